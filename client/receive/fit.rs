//! Makes the wanted columns of those that a file has: what it lacks becomes NULL, or its rows become rejects.
//!
//! Invariants: each row comes out as a row or as a reject; a batch of a file
//! that has every wanted column, and nothing that matters beside them, is not
//! touched.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::{
    Array as _, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array,
};
use arrow_schema::{ArrowError, FieldRef, SchemaRef};
use ferry::batch::Batch as Rows;
use ferry::reject::{Code, Reason, Reject};
use ferry::schema::{Column, ColumnType, arrow_schema};
use ferry::values::text_of;

use crate::stage::keep;

/// Most columns that the reasons of one row name: a file may lack a thousand.
const REASONS_MAX: usize = 8;
/// Longest name that a reason tells: PostgreSQL has no longer ones.
const NAME_BYTES_MAX: usize = 63;

/// What becomes of rows of a file whose header lacks a column that is wanted,
/// or has one that nobody expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// The source says no to a file that lacks a column.
    Refuse,
    /// What lacks is NULL.
    Fill,
    /// Rows are refused: each one of a file that lacks a column, and those that
    /// have a value in a column that is not expected.
    Reject {
        /// Columns that may be there; `None` for all.
        expected: Option<Vec<String>>,
    },
}

/// What is asked of the source for one file, and how that becomes what is wanted.
pub(super) struct Fit {
    asked: Vec<Column>,
    /// `None` if the source sends just what is wanted.
    mending: Option<Mending>,
}

impl Fit {
    /// Compares the wanted columns with the names in a file's header, if they are known.
    pub(super) fn new(wanted: &[Column], header: Option<&[String]>, misfit: &Misfit) -> Self {
        let as_wanted = || Self { asked: wanted.to_vec(), mending: None };
        let expected = match misfit {
            Misfit::Refuse => return as_wanted(),
            Misfit::Fill => None,
            Misfit::Reject { expected } => Some(expected.as_deref()),
        };
        let Some(header) = header.filter(|header| !header.is_empty()) else {
            return as_wanted();
        };
        let there: HashSet<&str> = header.iter().map(String::as_str).collect();
        let unknown = unknown_names(wanted, header, expected.flatten());
        let is_missing = |column: &&Column| !there.contains(column.name.as_str());
        if unknown.is_empty() && !wanted.iter().any(|column| is_missing(&column)) {
            return as_wanted();
        }
        let mut mending = Mending::new(wanted);
        let mut asked = Vec::with_capacity(wanted.len() + unknown.len());
        for column in wanted {
            if is_missing(&column) {
                mending.lacks(column, expected.is_some());
            } else {
                mending.places.push(Some(asked.len()));
                asked.push(column.clone());
            }
        }
        for name in unknown {
            mending.unknown.push(Unknown::new(name, asked.len()));
            asked.push(as_text(name));
        }
        if let (true, Some(name)) = (asked.is_empty(), header.first()) {
            // The source sends rows of at least one column; this one only counts them.
            mending.stand_in = Some(name.clone());
            asked.push(as_text(name));
        }
        mending.asked_count = asked.len();
        Self { asked, mending: Some(mending) }
    }

    /// Columns to ask the source for.
    pub(super) fn asked(&self) -> &[Column] {
        &self.asked
    }

    /// Whether rows that the source sends may become rejects here.
    pub(super) fn refuses_rows(&self) -> bool {
        self.mending.as_ref().is_some_and(Mending::refuses_rows)
    }

    /// Makes what is wanted of the rows and rejects that the source sent.
    pub(super) fn apply(
        &self,
        rows: &mut Rows,
        rejects: &mut Vec<Reject>,
    ) -> Result<(), ArrowError> {
        match &self.mending {
            None => Ok(()),
            Some(mending) => mending.apply(rows, rejects),
        }
    }
}

/// Columns of a header that are neither wanted nor expected, in its order.
fn unknown_names<'a>(
    wanted: &[Column],
    header: &'a [String],
    expected: Option<&[String]>,
) -> Vec<&'a str> {
    let Some(expected) = expected else {
        return Vec::new();
    };
    let mut known: HashSet<&str> = expected.iter().map(String::as_str).collect();
    known.extend(wanted.iter().map(|column| column.name.as_str()));
    header.iter().map(String::as_str).filter(|name| !known.contains(name)).collect()
}

fn as_text(name: &str) -> Column {
    Column { name: name.to_owned(), column_type: ColumnType::Text }
}

/// How the columns of a file that does not fit become the wanted ones.
struct Mending {
    /// The wanted columns.
    schema: SchemaRef,
    /// For each wanted column its place among those asked for; `None` if the file lacks it.
    places: Vec<Option<usize>>,
    asked_count: usize,
    /// Reasons to refuse every row.
    missing: Vec<Reason>,
    /// Columns in which a row must not have a value.
    unknown: Vec<Unknown>,
    /// Name of a column that is asked for only because one must be.
    stand_in: Option<String>,
}

/// A column that nobody expected.
struct Unknown {
    name: String,
    /// Place among the columns asked for.
    place: usize,
    reason: Reason,
}

impl Unknown {
    fn new(name: &str, place: usize) -> Self {
        let reason = Reason::of_column(Code::UNKNOWN_COLUMN, &told(name));
        Self { name: name.to_owned(), place, reason }
    }
}

impl Mending {
    fn new(wanted: &[Column]) -> Self {
        Self {
            schema: arrow_schema(wanted),
            places: Vec::with_capacity(wanted.len()),
            asked_count: 0,
            missing: Vec::new(),
            unknown: Vec::new(),
            stand_in: None,
        }
    }

    /// Notes the next wanted column as one that the file lacks.
    fn lacks(&mut self, column: &Column, is_refused: bool) {
        self.places.push(None);
        if is_refused && self.missing.len() < REASONS_MAX {
            self.missing.push(Reason::of_column(Code::MISSING_COLUMN, &told(&column.name)));
        }
    }

    fn refuses_rows(&self) -> bool {
        !self.missing.is_empty() || !self.unknown.is_empty()
    }

    fn apply(&self, rows: &mut Rows, rejects: &mut Vec<Reject>) -> Result<(), ArrowError> {
        for reject in rejects.iter_mut() {
            self.mend_reject(reject);
        }
        let empty = RecordBatch::new_empty(Arc::clone(&self.schema));
        let sent = std::mem::replace(&mut rows.records, empty);
        if rows.places.is_empty() {
            return Ok(());
        }
        rows.records = self.wanted(&sent)?;
        if self.refuses_rows() {
            self.refuse(rows, &sent, rejects)?;
        }
        Ok(())
    }

    /// The wanted columns, NULL where the file has none.
    fn wanted(&self, sent: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let row_count = sent.num_rows();
        let fields = self.schema.fields().iter().zip(&self.places);
        let array = |(field, place): (&FieldRef, &Option<usize>)| match place {
            Some(place) => Arc::clone(sent.column(*place)),
            None => new_null_array(field.data_type(), row_count),
        };
        let arrays: Vec<ArrayRef> = fields.map(array).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(row_count));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
    }

    /// Moves the rows that do not fit to the rejects.
    fn refuse(
        &self,
        rows: &mut Rows,
        sent: &RecordBatch,
        rejects: &mut Vec<Reject>,
    ) -> Result<(), ArrowError> {
        let mut is_kept = Vec::with_capacity(rows.places.len());
        for (row, place) in rows.places.iter().enumerate() {
            let reasons = self.reasons(sent, row);
            is_kept.push(reasons.is_empty());
            if !reasons.is_empty() {
                let columns = rows.records.columns().iter();
                let fields = columns.map(|column| text_of(column.as_ref(), row)).collect();
                rejects.push(Reject { place: *place, reasons, fields });
            }
        }
        rejects.sort_by_key(|reject| reject.place.row_number);
        keep(rows, &BooleanArray::from(is_kept))
    }

    fn reasons(&self, sent: &RecordBatch, row: usize) -> Vec<Reason> {
        let has_value = |unknown: &&Unknown| sent.column(unknown.place).is_valid(row);
        let unknown = self.unknown.iter().filter(has_value).map(|unknown| &unknown.reason);
        self.missing.iter().chain(unknown).take(REASONS_MAX).cloned().collect()
    }

    /// Puts the fields of a row that the source refused in the wanted order, and
    /// adds what is wrong with its file.
    fn mend_reject(&self, reject: &mut Reject) {
        for reason in &mut reject.reasons {
            self.mend_reason(reason);
        }
        let mut sent = std::mem::take(&mut reject.fields);
        // Of a row of another shape the fields cannot be told apart.
        if sent.len() == self.asked_count {
            for unknown in &self.unknown {
                let is_told = reject.reasons.contains(&unknown.reason);
                if sent[unknown.place].is_some() && !is_told && reject.reasons.len() < REASONS_MAX {
                    reject.reasons.push(unknown.reason.clone());
                }
            }
            let mut field = |place: &Option<usize>| sent[(*place)?].take();
            reject.fields = self.places.iter().map(&mut field).collect();
        }
        reject.reasons.extend(self.missing.iter().cloned());
    }

    /// A reason speaks of a column that was asked for, which need not be a wanted one.
    fn mend_reason(&self, reason: &mut Reason) {
        let Some(column) = reason.column.as_deref() else {
            return;
        };
        if let Some(unknown) = self.unknown.iter().find(|unknown| unknown.name == column) {
            *reason = unknown.reason.clone();
        } else if self.stand_in.as_deref() == Some(column) {
            reason.column = None;
        }
    }
}

/// A name of the source as a reason tells it: it may be anything, and stands in every row.
fn told(name: &str) -> String {
    let mut told = String::new();
    for character in name.chars() {
        let shown = if character.is_control() { char::REPLACEMENT_CHARACTER } else { character };
        if told.len() + shown.len_utf8() > NAME_BYTES_MAX {
            break;
        }
        told.push(shown);
    }
    told
}

#[cfg(test)]
mod tests;
