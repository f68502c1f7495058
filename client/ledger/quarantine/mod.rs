//! Rows that were refused: put here by a run, then found, replayed or discarded.
//!
//! Invariant: a row that is open or discarded counts among the quarantined
//! rows of its split, a replayed one among the loaded or the filtered ones;
//! state and counts change in one transaction.

mod columns;
mod find;
mod insert;
pub(crate) mod settle;

use std::fmt;

use ferry::position::Place;
use ferry::reject::Reason;
use serde_json::Value;

pub(crate) use find::{Entry, Filter, State, count, list, page};
pub(crate) use insert::insert;

/// A row that is not loaded.
#[derive(Clone)]
pub(crate) struct QuarantinedRow {
    /// Where the record lies.
    pub(crate) place: Place,
    /// Stage that refused it.
    pub(crate) stage: &'static str,
    /// Every reason; the first one counts in summaries.
    pub(crate) reasons: Vec<Reason>,
    /// Constraint of the target that it broke.
    pub(crate) constraint: Option<String>,
    /// What may be kept of the record after pseudonymisation.
    pub(crate) record: Option<Value>,
}

impl fmt::Debug for QuarantinedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuarantinedRow")
            .field("place", &self.place)
            .field("stage", &self.stage)
            .field("reasons", &self.reasons)
            .field("constraint", &self.constraint)
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

#[cfg(test)]
mod tests {
    use super::*;
    use ferry::reject::Code;
    use serde_json::json;

    #[test]
    fn a_row_does_not_print_its_record() {
        let row = QuarantinedRow {
            place: Place { row_number: 3, byte_start: 20, byte_end: 31 },
            stage: "read",
            reasons: vec![Reason::of_record(Code::NUL_BYTE)],
            constraint: None,
            record: Some(json!({ "name": "a" })),
        };
        let printed = format!("{row:?}");
        assert!(printed.contains("nul_byte") && !printed.contains("name"), "{printed}");
    }
}
