//! Turns records into rows of typed columns; a value that does not parse becomes a reject of its row.
//!
//! Invariants: a record is either one row in every column, or a reject and a row
//! in none; neither takes much more than the longest record, even if an object
//! and its members are wanted at the same time.

use std::sync::Arc;

use arrow_schema::ArrowError;
use ferry::batch::Batch;
use ferry::position::{Place, Position};
use ferry::reject::{Code, Reason, Reject};
use ferry::schema::{Column, ColumnType};
use ferry::values::{ColumnBuilder, utf8};
use ferry::wire::{COLUMNS_MAX, RECORD_BYTES_MAX};
use memchr::memchr;

use super::flatten::{Flattener, Slot};
use super::records::Record;
use super::text::unescape;
use crate::chunk::{PendingRows, reject_whole};
use crate::wanted::{NullWords, WantedColumn};

/// Most bytes of one row: those of a record, and of what columns take beside their text.
const ROW_BYTES_MAX: usize = RECORD_BYTES_MAX + 32 * COLUMNS_MAX;

/// The rows of the next batch.
pub(super) struct Rows {
    pending: PendingRows,
    columns: Vec<FoundColumn>,
    flattener: Flattener,
    /// Room for a text without its escapes.
    unescaped: Vec<u8>,
}

/// A wanted column; records need not have it.
struct FoundColumn {
    reading: Reading,
    builder: ColumnBuilder,
}

/// How the values of a column are found and read.
pub(super) struct Reading {
    name: String,
    /// Under which number the flattener finds them.
    number: Option<usize>,
    /// Whether they stay JSON.
    is_json: bool,
    nulls: Arc<NullWords>,
}

impl Rows {
    pub(super) fn new(columns: Vec<WantedColumn>, depth_max: usize) -> Self {
        let asked: Vec<Column> = columns.iter().map(|wanted| wanted.column.clone()).collect();
        let names = asked.iter().map(|column| column.name.as_str());
        let flattener = Flattener::new(names, depth_max);
        let found = |wanted: WantedColumn| FoundColumn {
            reading: Reading::new(&wanted, &flattener),
            builder: ColumnBuilder::with_format(wanted.column.column_type, &wanted.format),
        };
        let columns = columns.into_iter().map(found).collect();
        Self { pending: PendingRows::new(&asked), columns, flattener, unescaped: Vec::new() }
    }

    /// The rows, but for their values.
    #[inline]
    pub(super) fn pending(&self) -> &PendingRows {
        &self.pending
    }

    /// Appends a record, or says everything that is wrong with it.
    #[inline]
    pub(super) fn push(&mut self, record: &Record<'_>) -> Result<(), Reject> {
        let place = record.place;
        let Some(text) = record.text else {
            return Err(reject_whole(place, Code::RECORD_TOO_LARGE));
        };
        self.flattener.find(text).map_err(|code| reject_whole(place, code))?;
        let mut row_bytes = 0;
        let mut reasons = Vec::new();
        for FoundColumn { reading, builder } in &mut self.columns {
            let value = reading.value(&self.flattener, text, &mut self.unescaped);
            match value.and_then(|value| builder.append_clean(value)) {
                Ok(bytes) => row_bytes += bytes,
                Err(code) => reasons.push(Reason::of_column(code, &reading.name)),
            }
        }
        if !reasons.is_empty() {
            return Err(self.reject_fields(text, place, reasons));
        }
        if row_bytes > ROW_BYTES_MAX {
            let reasons = vec![Reason::of_record(Code::RECORD_TOO_LARGE)];
            return Err(self.reject_fields(text, place, reasons));
        }
        self.pending.push(place, row_bytes);
        Ok(())
    }

    /// Takes the rows as a batch of the range, `None` if there are none.
    pub(super) fn take_batch(
        &mut self,
        start: Position,
        end: Position,
    ) -> Result<Option<Batch>, ArrowError> {
        let arrays = self.columns.iter_mut().map(|column| column.builder.finish());
        self.pending.take_batch(start, end, arrays)
    }

    #[cold]
    fn reject_fields(&mut self, text: &[u8], place: Place, reasons: Vec<Reason>) -> Reject {
        let rows = self.pending.len();
        let mut fields = Vec::with_capacity(self.columns.len());
        for FoundColumn { reading, builder } in &mut self.columns {
            builder.truncate(rows);
            let value = reading.value(&self.flattener, text, &mut self.unescaped);
            let value = match value {
                // A name for objects too: their text may tell what they are.
                Err(code) if code == Code::NOT_A_SCALAR => reading.raw(&self.flattener, text),
                value => value.unwrap_or_default(),
            };
            fields.push(value.and_then(|value| utf8(value).ok()).map(str::to_owned));
        }
        let field_bytes: usize = fields.iter().flatten().map(String::len).sum();
        if field_bytes > ROW_BYTES_MAX {
            fields.clear();
        }
        Reject { place, reasons, fields }
    }
}

impl Reading {
    /// How the values of a column are read that the flattener knows.
    pub(super) fn new(wanted: &WantedColumn, flattener: &Flattener) -> Self {
        let WantedColumn { column: Column { name, column_type }, nulls, .. } = wanted;
        Self {
            name: name.clone(),
            number: flattener.number_of(name),
            is_json: *column_type == ColumnType::Jsonb,
            nulls: Arc::clone(nulls),
        }
    }

    /// What the last record that was flattened has in the column: text without
    /// NUL; `None` if it is null or not there.
    #[inline]
    pub(super) fn value<'a>(
        &self,
        flattener: &Flattener,
        record: &'a [u8],
        unescaped: &'a mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>, Code> {
        if self.slot(flattener) == Slot::Twice {
            return Err(Code::DUPLICATE_FIELD);
        }
        let Some(raw) = self.raw(flattener, record) else {
            return Ok(None);
        };
        match raw {
            b"null" => Ok(None),
            [b'"', inner @ .., b'"'] => self.text(raw, inner, unescaped),
            [b'{' | b'[', ..] if !self.is_json => Err(Code::NOT_A_SCALAR),
            _ => Ok(Some(raw)),
        }
    }

    /// What a string between its quotes says.
    #[inline]
    fn text<'a>(
        &self,
        raw: &'a [u8],
        inner: &'a [u8],
        unescaped: &'a mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>, Code> {
        let text = unescape(inner, unescaped).map_err(|_| Code::BAD_JSON)?;
        if self.nulls.is_null(text) {
            Ok(None)
        } else if self.is_json {
            Ok(Some(raw))
        } else if text.len() != inner.len() && memchr(0, text).is_some() {
            Err(Code::NUL_BYTE)
        } else {
            Ok(Some(text))
        }
    }

    fn raw<'a>(&self, flattener: &Flattener, record: &'a [u8]) -> Option<&'a [u8]> {
        match self.slot(flattener) {
            Slot::At(start, end) => record.get(start..end),
            Slot::Absent | Slot::Twice => None,
        }
    }

    #[inline]
    fn slot(&self, flattener: &Flattener) -> Slot {
        self.number.map_or(Slot::Absent, |number| flattener.slot(number))
    }
}
