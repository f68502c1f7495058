//! Turns records into rows of typed columns; a field that does not parse becomes a reject of its row.
//!
//! Invariants: a record is either one row in every column, or a reject and a
//! row in none; no record that holds undecodable bytes or a NUL becomes a row.

use std::sync::Arc;

use arrow_schema::ArrowError;
use ferry::batch::Batch;
use ferry::host::settings::nearest;
use ferry::position::{Place, Position};
use ferry::reject::{Code, Reason, Reject};
use ferry::schema::Column;
use ferry::values::{ColumnBuilder, utf8};
use memchr::memmem;

use super::{DelimitedError, Dialect, Header, Layout, Ragged, Record, RecordReader, TextInput};
use crate::chunk::{PendingRows, reject_whole};
use crate::wanted::{NullWords, WantedColumn};

/// The rows of the next batch.
pub(super) struct Rows {
    pending: PendingRows,
    columns: Vec<FoundColumn>,
    /// Names of all columns of the file; a record must have a field for each.
    names: Vec<String>,
    /// What is wrong with a field whose bytes are not of the file's encoding.
    undecodable: Code,
    ragged: Ragged,
    /// What a record with the wrong number of fields may be written in.
    other_dialects: Arc<[Dialect]>,
}

/// A wanted column that the header has.
struct FoundColumn {
    name: String,
    /// Which field of a record it is.
    field: usize,
    nulls: Arc<NullWords>,
    builder: ColumnBuilder,
}

impl Rows {
    /// No rows yet, of columns that are found in the header by name.
    pub(super) fn new(
        header: &Header,
        layout: &Layout,
        columns: Vec<WantedColumn>,
    ) -> Result<Self, DelimitedError> {
        let asked: Vec<Column> = columns.iter().map(|wanted| wanted.column.clone()).collect();
        let columns = columns.into_iter().map(|wanted| FoundColumn::find(header, wanted));
        let is_utf8 = header.encoding == encoding_rs::UTF_8;
        let other_dialects = layout
            .other_delimiters
            .iter()
            .map(|delimiter| Dialect { delimiter: delimiter.clone(), ..layout.dialect.clone() });
        Ok(Self {
            pending: PendingRows::new(&asked),
            columns: columns.collect::<Result<_, _>>()?,
            names: header.names.clone(),
            undecodable: if is_utf8 { Code::BAD_UTF8 } else { Code::BAD_ENCODING },
            ragged: layout.ragged,
            other_dialects: other_dialects.collect(),
        })
    }

    /// The rows, but for their values.
    #[inline]
    pub(super) fn pending(&self) -> &PendingRows {
        &self.pending
    }

    /// Appends a record, or says everything that is wrong with it.
    pub(super) fn push(&mut self, record: &Record<'_>) -> Result<(), Reject> {
        if record.len() != self.names.len() || record.damage().is_some() {
            return self.push_misshapen(record);
        }
        self.push_fields(record, record.place())
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

    /// Appends a record that lies at `place`; fields that it lacks are null.
    fn push_fields(&mut self, record: &Record<'_>, place: Place) -> Result<(), Reject> {
        if !record.is_clean_text() {
            return Err(self.reject_unreadable(record, place));
        }
        let mut row_bytes = 0;
        let mut reasons = Vec::new();
        for column in &mut self.columns {
            let value = column.value(record);
            match column.builder.append_clean(value) {
                Ok(bytes) => row_bytes += bytes,
                Err(code) => reasons.push(Reason::of_column(code, &column.name)),
            }
        }
        if !reasons.is_empty() {
            return Err(self.reject_fields(record, place, reasons));
        }
        self.pending.push(place, row_bytes);
        Ok(())
    }

    /// Appends a record that is damaged or has the wrong number of fields, if
    /// the layout tells how to read it nevertheless.
    #[cold]
    fn push_misshapen(&mut self, record: &Record<'_>) -> Result<(), Reject> {
        let (place, damage) = (record.place(), record.damage());
        // To this dialect, the quotes of another are strays.
        if damage.as_ref().is_none_or(|code| *code == Code::STRAY_QUOTE) {
            let (content, field_count) = (record.content(), self.names.len());
            let dialects = Arc::clone(&self.other_dialects);
            for dialect in dialects.iter() {
                if !may_fit(content, dialect, field_count) {
                    continue;
                }
                let mut records = read_again(content, dialect, field_count);
                let Ok(Some(other)) = records.next() else {
                    continue;
                };
                let is_whole = other.place().byte_end == content.len() as u64;
                if is_whole && other.damage().is_none() && other.len() == field_count {
                    return self.push_fields(&other, place);
                }
            }
        }
        if let Some(code) = damage {
            return Err(reject_whole(place, code));
        }
        let mut surplus = self.names.len()..record.len();
        if self.ragged == Ragged::Pad && surplus.all(|index| record.field(index).is_empty()) {
            return self.push_fields(record, place);
        }
        let is_short = record.len() < self.names.len();
        let code = if is_short { Code::TOO_FEW_FIELDS } else { Code::TOO_MANY_FIELDS };
        Err(reject_whole(place, code))
    }

    /// Refuses a record that is not text, with all that is wrong in the
    /// wanted columns, and what is not text in the others.
    #[cold]
    fn reject_unreadable(&mut self, record: &Record<'_>, place: Place) -> Reject {
        let mut reasons = Vec::new();
        for column in &mut self.columns {
            let value = column.value(record);
            let fault = value.and_then(|field| text_fault(field, &self.undecodable));
            let code = fault.or_else(|| column.builder.append_clean(value).err());
            reasons.extend(code.map(|code| Reason::of_column(code, &column.name)));
        }
        for (index, name) in self.names.iter().enumerate().take(record.len()) {
            let Some(code) = text_fault(record.field(index), &self.undecodable) else {
                continue;
            };
            if self.columns.iter().all(|column| column.field != index) {
                reasons.push(Reason::of_column(code, name));
            }
        }
        if reasons.is_empty() {
            // Dropping a quote between them has made a character of the bytes.
            reasons.push(Reason::of_record(self.undecodable.clone()));
        }
        self.reject_fields(record, place, reasons)
    }

    #[cold]
    fn reject_fields(&mut self, record: &Record<'_>, place: Place, reasons: Vec<Reason>) -> Reject {
        let rows = self.pending.len();
        for column in &mut self.columns {
            column.builder.truncate(rows);
        }
        let text = |column: &FoundColumn| {
            let field = column.value(record)?;
            utf8(field).ok().map(str::to_owned)
        };
        let fields = self.columns.iter().map(text).collect();
        Reject { place, reasons, fields }
    }
}

impl FoundColumn {
    fn find(header: &Header, wanted: WantedColumn) -> Result<Self, DelimitedError> {
        let WantedColumn { column: Column { name, column_type }, format, nulls } = wanted;
        let Some(field) = header.names.iter().position(|known| *known == name) else {
            let names = header.names.iter().map(String::as_str);
            let nearest = nearest(&name, names).map(str::to_owned);
            return Err(DelimitedError::MissingColumn { column: name, nearest });
        };
        let builder = ColumnBuilder::with_format(column_type, &format);
        Ok(Self { name, field, nulls, builder })
    }

    /// Bytes of the column's field; `None` if that is null or not there.
    #[inline]
    fn value<'a>(&self, record: &Record<'a>) -> Option<&'a [u8]> {
        if self.field >= record.len() {
            return None;
        }
        record.value(self.field).filter(|field| !self.nulls.is_null(field))
    }
}

/// Whether a record has enough delimiters of a dialect for so many fields.
fn may_fit(content: &[u8], dialect: &Dialect, field_count: usize) -> bool {
    memmem::find_iter(content, dialect.delimiter.as_bytes()).count() + 1 >= field_count
}

/// A reader of one record's text in another dialect.
fn read_again<'a>(
    content: &'a [u8],
    dialect: &Dialect,
    field_count: usize,
) -> RecordReader<&'a [u8]> {
    // The text is decoded already.
    let input = TextInput::new(content, encoding_rs::UTF_8, 0);
    let (start, end) = (Position::default(), u64::MAX);
    RecordReader::with_window(input, dialect, Some(field_count), start, end, content.len())
}

/// Why a field is not text, `None` if it is.
fn text_fault(field: &[u8], undecodable: &Code) -> Option<Code> {
    let code = utf8(field).err()?;
    Some(if code == Code::BAD_UTF8 { undecodable.clone() } else { code })
}
