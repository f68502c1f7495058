//! A refused row as the answers have it: in lists without its record, alone with it.
//!
//! Invariant: nothing here prints a record by `Debug`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::ledger::quarantine::{Entry, State};

/// How a quarantined row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QuarantineState {
    /// It waits for a decision.
    Open,
    /// It was read again, and loaded or left out.
    Replayed,
    /// Somebody decided that it is not loaded.
    Discarded,
}

impl From<State> for QuarantineState {
    fn from(state: State) -> Self {
        match state {
            State::Open => Self::Open,
            State::Replayed => Self::Replayed,
            State::Discarded => Self::Discarded,
        }
    }
}

impl From<QuarantineState> for State {
    fn from(state: QuarantineState) -> Self {
        match state {
            QuarantineState::Open => Self::Open,
            QuarantineState::Replayed => Self::Replayed,
            QuarantineState::Discarded => Self::Discarded,
        }
    }
}

/// One reason for which a row was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct QuarantineReason {
    /// Stable word.
    pub(crate) code: String,
    /// Column that it concerns; null for the whole record.
    pub(crate) column: Option<String>,
}

/// A refused row, without what was kept of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct QuarantineEntry {
    /// Number of the row in quarantine.
    pub(crate) quarantine_id: i64,
    /// Run that refused it.
    pub(crate) run_id: i64,
    /// Name of its file.
    pub(crate) file: String,
    /// Whether that is a page that was fetched from an API.
    pub(crate) is_page: bool,
    /// Number of the record in its file; the first data record is 1.
    pub(crate) row_number: u64,
    /// Offset of the record's first byte.
    pub(crate) byte_start: u64,
    /// Offset after the record's terminator.
    pub(crate) byte_end: u64,
    /// Stage that refused it.
    pub(crate) stage: String,
    /// First reason.
    pub(crate) code: String,
    /// Column of the first reason; null for the whole record.
    pub(crate) column: Option<String>,
    /// All reasons.
    pub(crate) reasons: Vec<QuarantineReason>,
    /// Constraint of the target that it broke.
    pub(crate) constraint: Option<String>,
    /// How it stands.
    pub(crate) state: QuarantineState,
    /// When it was refused.
    #[schema(format = DateTime)]
    pub(crate) created_at: String,
    /// When it was replayed or discarded; null while it is open.
    #[schema(format = DateTime)]
    pub(crate) settled_at: Option<String>,
}

/// A refused row with what was kept of it.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct QuarantinedRecord {
    #[serde(flatten)]
    entry: QuarantineEntry,
    /// Its fields after pseudonymisation, by the names of their columns; null if none may be kept.
    #[schema(value_type = Option<Object>)]
    record: Option<Map<String, Value>>,
}

impl From<Entry> for QuarantineEntry {
    fn from(entry: Entry) -> Self {
        Self {
            quarantine_id: entry.id,
            run_id: entry.run_id.0,
            file: entry.file,
            is_page: entry.is_page,
            row_number: entry.row_number,
            byte_start: entry.byte_start,
            byte_end: entry.byte_end,
            stage: entry.stage,
            code: entry.code,
            column: entry.column,
            reasons: reasons(&entry.reasons),
            constraint: entry.constraint,
            state: entry.state.into(),
            created_at: entry.created_at,
            settled_at: entry.settled_at,
        }
    }
}

impl From<Entry> for QuarantinedRecord {
    fn from(mut entry: Entry) -> Self {
        let record = match entry.record.take() {
            Some(Value::Object(fields)) => Some(fields),
            // No stage keeps anything else.
            _ => None,
        };
        Self { entry: entry.into(), record }
    }
}

fn reasons(list: &Value) -> Vec<QuarantineReason> {
    let word = |reason: &Value, name: &str| reason.get(name)?.as_str().map(str::to_owned);
    let reason = |reason: &Value| QuarantineReason {
        code: word(reason, "code").unwrap_or_default(),
        column: word(reason, "column"),
    };
    list.as_array().into_iter().flatten().map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::RunId;
    use serde_json::json;

    fn entry(record: Option<Value>) -> Entry {
        Entry {
            id: 7,
            run_id: RunId(3),
            job: "people".to_owned(),
            file: "a.csv".to_owned(),
            is_page: false,
            row_number: 3,
            byte_start: 20,
            byte_end: 31,
            stage: "check".to_owned(),
            code: "bad_email".to_owned(),
            column: Some("email".to_owned()),
            reasons: json!([
                { "code": "bad_email", "column": "email" },
                { "code": "older_than_born", "column": null },
            ]),
            constraint: None,
            record,
            state: State::Open,
            created_at: "2026-01-31T12:00:00.000000Z".to_owned(),
            settled_at: None,
        }
    }

    #[test]
    fn a_row_is_written_with_every_field() {
        let mut written =
            serde_json::to_value(QuarantineEntry::from(entry(None))).expect("an object");
        let reasons = written["reasons"].take();
        let expected = json!([
            { "code": "bad_email", "column": "email" },
            { "code": "older_than_born", "column": null },
        ]);
        assert_eq!(reasons, expected);
        let expected = json!({
            "quarantine_id": 7, "run_id": 3, "file": "a.csv", "is_page": false, "row_number": 3,
            "byte_start": 20, "byte_end": 31, "stage": "check", "code": "bad_email",
            "column": "email", "reasons": null, "constraint": null, "state": "open",
            "created_at": "2026-01-31T12:00:00.000000Z", "settled_at": null,
        });
        assert_eq!(written, expected);
    }

    #[test]
    fn a_record_stands_beside_the_rest() {
        let record = json!({ "email": "3fa9", "city": "Berlin" });
        let whole = QuarantinedRecord::from(entry(Some(record.clone())));
        let written = serde_json::to_value(whole).expect("an object");
        assert_eq!((&written["quarantine_id"], &written["record"]), (&json!(7), &record));
        let none = serde_json::to_value(QuarantinedRecord::from(entry(None))).expect("an object");
        assert_eq!(none.get("record"), Some(&Value::Null));
    }

    #[test]
    fn states_are_those_of_the_ledger() {
        for state in [QuarantineState::Open, QuarantineState::Replayed, QuarantineState::Discarded]
        {
            let word = serde_json::to_value(state).expect("a word");
            assert_eq!(word, json!(State::from(state).as_str()));
            assert_eq!(QuarantineState::from(State::from(state)), state);
        }
    }
}
