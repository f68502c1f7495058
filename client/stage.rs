//! A batch on its way through the stages, with how far it has come in its type.
//!
//! `Raw -> Clean -> Checked -> Pseudonymised -> Loadable`: each stage's module
//! owns the mark of its output, and only that module can make one. So raw
//! personal data cannot reach the database: it does not compile.

use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::ArrowError;
use arrow_select::filter::filter_record_batch;
use ferry::batch::Batch as Rows;
use ferry::position::Position;
use ferry::reject::Reject;
use ferry::values::text_of;
use serde_json::{Map, Value};

use crate::ledger::SplitId;
use crate::ledger::quarantine::QuarantinedRow;

/// A batch that has passed the stage that `S` marks.
pub(crate) struct Batch<S> {
    /// Rows still on the way, none if all were rejected.
    pub(crate) rows: Rows,
    /// Rows that left the way before pseudonymisation: raw, never to be stored.
    pub(crate) rejects: Vec<StagedReject>,
    /// Rows that left the way, safe to be stored.
    pub(crate) quarantined: Vec<QuarantinedRow>,
    /// Rows that a filter took out.
    pub(crate) filtered: u64,
    /// Values that its rows claim for themselves in columns that must be unique.
    pub(crate) claims: Vec<Claim>,
    /// What quarantine keeps of its rows if PostgreSQL refuses them.
    pub(crate) evidence: Option<Evidence>,
    _mark: S,
}

/// How rows get to their tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// By COPY into the table where that is enough.
    Swift,
    /// Through staging tables, so that rows that PostgreSQL refuses can be told apart.
    Careful,
}

/// A reject and the stage that refused it.
pub(crate) struct StagedReject {
    /// Name of the stage, as quarantine shows it.
    pub(crate) stage: &'static str,
    /// The refused row.
    pub(crate) reject: Reject,
}

/// Values of one column that no later row of the run may have.
pub(crate) struct Claim {
    /// Name of the column.
    pub(crate) column: String,
    /// For each value a keyed digest of 16 bytes and the number of its row,
    /// big-endian, end to end.
    pub(crate) entries: Vec<u8>,
}

/// A column as pseudonymisation left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    /// Its name.
    pub(crate) name: String,
    /// Whether it holds pseudonyms, which quarantine shows as bare hexadecimal digits.
    pub(crate) is_pseudonym: bool,
}

/// Rows as pseudonymisation left them: what may be stored of a row that is refused later.
pub(crate) struct Evidence {
    /// The rows.
    pub(crate) records: RecordBatch,
    /// Their columns.
    pub(crate) inputs: Arc<[Input]>,
}

impl Evidence {
    /// What quarantine keeps of a row: its texts by the names of the columns.
    pub(crate) fn record_of(&self, row: usize) -> Option<Value> {
        let mut record = Map::new();
        for (input, column) in self.inputs.iter().zip(self.records.columns()) {
            let Some(text) = text_of(column, row) else { continue };
            let text = match text.strip_prefix("\\x") {
                Some(digits) if input.is_pseudonym => digits.to_owned(),
                _ => text,
            };
            record.insert(input.name.clone(), text.into());
        }
        (!record.is_empty()).then_some(Value::Object(record))
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.records.get_array_memory_size() as u64
    }
}

/// Where the rows of a stream come from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// Name of the file.
    pub(crate) file: String,
    /// Split that is read.
    pub(crate) split: SplitId,
}

impl<S> Batch<S> {
    /// A batch as it came in.
    pub(crate) fn new(rows: Rows, rejects: Vec<StagedReject>, mark: S) -> Self {
        Self {
            rows,
            rejects,
            quarantined: Vec::new(),
            filtered: 0,
            claims: Vec::new(),
            evidence: None,
            _mark: mark,
        }
    }

    /// The same batch after the next stage, whose mark only that stage can make.
    pub(crate) fn marked<T>(self, mark: T) -> Batch<T> {
        let Self { rows, rejects, quarantined, filtered, claims, evidence, _mark: _ } = self;
        Batch { rows, rejects, quarantined, filtered, claims, evidence, _mark: mark }
    }

    /// Place after the last record of the batch, rejects included.
    pub(crate) fn end(&self) -> Position {
        self.rows.end
    }

    /// Keeps the rows for which `is_kept` is true; the others are the caller's to account for.
    pub(crate) fn keep(&mut self, is_kept: &BooleanArray) -> Result<(), ArrowError> {
        keep(&mut self.rows, is_kept)
    }
}

/// Keeps the rows for which `is_kept` is true, null counting as false.
pub(crate) fn keep(rows: &mut Rows, is_kept: &BooleanArray) -> Result<(), ArrowError> {
    if is_kept.true_count() == is_kept.len() {
        return Ok(());
    }
    rows.records = filter_record_batch(&rows.records, is_kept)?;
    let mut kept = is_kept.iter().map(|is_kept| is_kept == Some(true));
    rows.places.retain(|_| kept.next() == Some(true));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry::schema::{Column, arrow_schema};
    use ferry::values::ColumnBuilder;
    use serde_json::json;

    /// Rows of a number, a pseudonym and a text.
    fn evidence(rows: &[[Option<&str>; 3]]) -> Evidence {
        let names = [("n", "bigint"), ("email", "bytea"), ("note", "text")];
        let column = |(name, column_type): (&str, &str)| Column {
            name: name.to_owned(),
            column_type: column_type.parse().expect("a type"),
        };
        let columns = names.map(column);
        let mut arrays = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            let mut builder = ColumnBuilder::new(column.column_type);
            for row in rows {
                builder.append(row[index].map(str::as_bytes)).expect("a value");
            }
            arrays.push(builder.finish().expect("an array"));
        }
        let records = RecordBatch::try_new(arrow_schema(&columns), arrays).expect("a batch");
        let input = |column: &Column| Input {
            name: column.name.clone(),
            is_pseudonym: column.name == "email",
        };
        Evidence { records, inputs: columns.iter().map(input).collect() }
    }

    #[test]
    fn a_record_has_the_texts_of_its_row_and_pseudonyms_as_digits() {
        let evidence = evidence(&[
            [Some("1"), Some("\\xab"), Some("\\x")],
            [Some("2"), Some("\\xcd"), None],
            [None, None, None],
        ]);
        let first = json!({ "n": "1", "email": "ab", "note": "\\x" });
        assert_eq!(evidence.record_of(0), Some(first));
        assert_eq!(evidence.record_of(1), Some(json!({ "n": "2", "email": "cd" })));
        assert_eq!(evidence.record_of(2), None, "there is nothing to keep");
        assert!(evidence.bytes() > 0);
    }
}
