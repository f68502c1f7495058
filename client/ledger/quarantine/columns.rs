//! Turns quarantined rows into the columns of one statement, as PostgreSQL can hold them.

use ferry::reject::Reason;
use serde_json::{Value, json};

use super::QuarantinedRow;
use crate::ledger::{LedgerError, to_bigint, without_nul};

/// The rows of one statement, column by column.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) row_numbers: Vec<i64>,
    pub(super) byte_starts: Vec<i64>,
    pub(super) byte_ends: Vec<i64>,
    pub(super) stages: Vec<String>,
    /// Codes of the first reasons.
    pub(super) codes: Vec<String>,
    /// Columns of the first reasons.
    pub(super) column_names: Vec<Option<String>>,
    /// All reasons of each row, as JSON.
    pub(super) reasons: Vec<String>,
    /// Constraints that the rows broke.
    pub(super) constraints: Vec<Option<String>>,
    /// Records as JSON.
    pub(super) records: Vec<Option<String>>,
}

impl Columns {
    /// The columns of these rows, in their order.
    pub(super) fn of<'a>(
        rows: impl Iterator<Item = &'a QuarantinedRow>,
    ) -> Result<Self, LedgerError> {
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
            columns.constraints.push(row.constraint.clone());
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

#[cfg(test)]
mod tests {
    use super::*;
    use ferry::position::Place;
    use ferry::reject::Code;

    fn row(reasons: Vec<Reason>) -> QuarantinedRow {
        QuarantinedRow {
            place: Place { row_number: 3, byte_start: 20, byte_end: 31 },
            stage: "read",
            reasons,
            constraint: Some("people_pkey".to_owned()),
            record: Some(json!({ "name": "a\0b", "tags": ["\0"], "age": 4 })),
        }
    }

    fn columns(row: &QuarantinedRow) -> Result<Columns, LedgerError> {
        Columns::of(std::iter::once(row))
    }

    #[test]
    fn the_first_reason_leads_and_all_are_kept() {
        let reasons = vec![
            Reason::of_column(Code::BAD_DATE, "born"),
            Reason::of_record(Code::TOO_FEW_FIELDS),
        ];
        let columns = columns(&row(reasons)).expect("a storable row");
        assert_eq!(columns.codes, ["bad_date"]);
        assert_eq!(columns.column_names, [Some("born".to_owned())]);
        assert_eq!(columns.constraints, [Some("people_pkey".to_owned())]);
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
        assert!(columns(&row(Vec::new())).is_err());
    }
}
