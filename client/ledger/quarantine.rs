//! Turns rows that were refused into rows of `ferry.quarantine`, where they wait for a decision.
//!
//! Invariant: written in the transaction that moves the split past them.

use std::fmt;

use ferry::position::Place;
use ferry::reject::Reason;
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::ledger::{LedgerError, SplitId, to_bigint};

/// Rows in one statement.
const STATEMENT_ROWS_MAX: usize = 1000;

/// Stands for NUL, which PostgreSQL cannot store in a text.
const REPLACEMENT: &str = "\u{FFFD}";

/// A row that is not loaded.
#[derive(Clone)]
pub(crate) struct QuarantinedRow {
    /// Where the record lies.
    pub(crate) place: Place,
    /// Stage that refused it.
    pub(crate) stage: &'static str,
    /// Every reason; the first one counts in summaries.
    pub(crate) reasons: Vec<Reason>,
    /// What may be kept of the record after pseudonymisation.
    pub(crate) record: Option<Value>,
}

impl fmt::Debug for QuarantinedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuarantinedRow")
            .field("place", &self.place)
            .field("stage", &self.stage)
            .field("reasons", &self.reasons)
            .finish_non_exhaustive()
    }
}

/// Bytes that a quarantined row takes beside the text of its record.
const ROW_BYTES: u64 = 256;

/// A row stands here as a tree, as the statement's text and as its arguments.
const COPIES: u64 = 4;

/// About how many bytes some rows take until their transaction is committed.
pub(crate) fn bytes(rows: &[QuarantinedRow]) -> u64 {
    let row_bytes = |row: &QuarantinedRow| ROW_BYTES + row.record.as_ref().map_or(0, record_bytes);
    rows.iter().map(row_bytes).sum::<u64>() * COPIES
}

fn record_bytes(record: &Value) -> u64 {
    let members = record.as_object().into_iter().flatten();
    members
        .map(|(name, value)| {
            // Name, text, and what the tree around them takes.
            let text = value.as_str().map_or(0, str::len);
            (name.len() + text + 64) as u64
        })
        .sum()
}

const INSERT: &str = "
INSERT INTO ferry.quarantine
    (run_id, file_id, split_id, row_number, byte_start, byte_end, stage, code, column_name,
     reasons, record)
SELECT s.run_id, s.file_id, s.split_id, r.row_number, r.byte_start, r.byte_end, r.stage, r.code,
       r.column_name, r.reasons::jsonb, r.record::jsonb
FROM ferry.split AS s,
     unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::text[])
         AS r (row_number, byte_start, byte_end, stage, code, column_name, reasons, record)
WHERE s.split_id = $1";

/// Adds rows of one split.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    split: SplitId,
    rows: &[QuarantinedRow],
) -> Result<(), LedgerError> {
    for rows in rows.chunks(STATEMENT_ROWS_MAX) {
        insert_chunk(conn, split, &Columns::of(rows)?).await?;
    }
    Ok(())
}

async fn insert_chunk(
    conn: &mut PgConnection,
    split: SplitId,
    columns: &Columns,
) -> Result<(), LedgerError> {
    let inserted = sqlx::query(INSERT)
        .bind(split.0)
        .bind(&columns.row_numbers)
        .bind(&columns.byte_starts)
        .bind(&columns.byte_ends)
        .bind(&columns.stages)
        .bind(&columns.codes)
        .bind(&columns.column_names)
        .bind(&columns.reasons)
        .bind(&columns.records)
        .execute(conn)
        .await?
        .rows_affected();
    if usize::try_from(inserted) == Ok(columns.row_numbers.len()) {
        Ok(())
    } else {
        Err(LedgerError::Invalid { what: "split of a quarantined row" })
    }
}

/// The rows of one statement, column by column.
#[derive(Default)]
struct Columns {
    row_numbers: Vec<i64>,
    byte_starts: Vec<i64>,
    byte_ends: Vec<i64>,
    stages: Vec<String>,
    codes: Vec<String>,
    column_names: Vec<Option<String>>,
    reasons: Vec<String>,
    records: Vec<Option<String>>,
}

impl Columns {
    fn of(rows: &[QuarantinedRow]) -> Result<Self, LedgerError> {
        let mut columns = Self::default();
        for row in rows {
            let Some(first) = row.reasons.first() else {
                return Err(LedgerError::Invalid { what: "reason of a quarantined row" });
            };
            columns.row_numbers.push(to_bigint(row.place.row_number, "row number")?);
            columns.byte_starts.push(to_bigint(row.place.byte_start, "byte offset")?);
            columns.byte_ends.push(to_bigint(row.place.byte_end, "byte offset")?);
            columns.stages.push(row.stage.to_owned());
            columns.codes.push(first.code.as_str().to_owned());
            columns.column_names.push(first.column.as_deref().map(without_nul));
            columns.reasons.push(reasons_json(&row.reasons).to_string());
            columns.records.push(row.record.as_ref().map(|record| storable(record).to_string()));
        }
        Ok(columns)
    }
}

fn reasons_json(reasons: &[Reason]) -> Value {
    let of_reason = |reason: &Reason| {
        let column = reason.column.as_deref().map(without_nul);
        json!({ "code": reason.code.as_str(), "column": column })
    };
    reasons.iter().map(of_reason).collect()
}

/// The document as `jsonb` can hold it: without NUL.
fn storable(document: &Value) -> Value {
    match document {
        Value::String(text) => Value::String(without_nul(text)),
        Value::Array(items) => items.iter().map(storable).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (without_nul(name), storable(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => document.clone(),
    }
}

fn without_nul(text: &str) -> String {
    text.replace('\0', REPLACEMENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry::reject::Code;

    fn row(reasons: Vec<Reason>) -> QuarantinedRow {
        QuarantinedRow {
            place: Place { row_number: 3, byte_start: 20, byte_end: 31 },
            stage: "source",
            reasons,
            record: Some(json!({ "name": "a\0b", "tags": ["\0"], "age": 4 })),
        }
    }

    #[test]
    fn the_first_reason_leads_and_all_are_kept() {
        let reasons = vec![
            Reason::of_column(Code::BAD_DATE, "born"),
            Reason::of_record(Code::TOO_FEW_FIELDS),
        ];
        let columns = Columns::of(&[row(reasons)]).expect("a storable row");
        assert_eq!(columns.codes, ["bad_date"]);
        assert_eq!(columns.column_names, [Some("born".to_owned())]);
        let reasons: Value = serde_json::from_str(&columns.reasons[0]).expect("JSON");
        let expected = json!([
            { "code": "bad_date", "column": "born" },
            { "code": "too_few_fields", "column": null },
        ]);
        assert_eq!(reasons, expected);
    }

    #[test]
    fn a_record_is_stored_without_nul() {
        let expected = json!({ "name": "a\u{FFFD}b", "tags": ["\u{FFFD}"], "age": 4 });
        let record = row(Vec::new()).record.expect("a record");
        assert_eq!(storable(&record), expected);
    }

    #[test]
    fn a_row_without_reason_is_refused() {
        assert!(Columns::of(&[row(Vec::new())]).is_err());
    }

    #[test]
    fn a_row_does_not_print_its_record() {
        let printed = format!("{:?}", row(vec![Reason::of_record(Code::NUL_BYTE)]));
        assert!(printed.contains("nul_byte") && !printed.contains("name"), "{printed}");
    }
}
