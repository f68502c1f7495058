//! Turns a filter into the rows of `ferry.quarantine` that it means, ordered by id.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Row as _};

use crate::ledger::times::TimeForm;
use crate::ledger::{LedgerError, RunId, from_bigint, without_nul};

/// Which rows are meant: those that fit every field that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Name of the job whose runs refused them.
    pub(crate) job: Option<String>,
    /// Run that refused them.
    pub(crate) run: Option<RunId>,
    /// Code of any of their reasons; of the same reason as `column`, if both are set.
    pub(crate) code: Option<String>,
    /// Column of any of their reasons.
    pub(crate) column: Option<String>,
    /// Name of the file that they lie in.
    pub(crate) file: Option<String>,
    /// How they stand.
    pub(crate) state: Option<State>,
    /// Their ids; empty for any.
    pub(crate) ids: Vec<i64>,
}

/// How a quarantined row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It waits for a decision.
    Open,
    /// It was read again, and loaded or filtered.
    Replayed,
    /// Somebody decided that it is not loaded.
    Discarded,
}

impl State {
    const ALL: [Self; 3] = [Self::Open, Self::Replayed, Self::Discarded];

    /// The state as it stands in the ledger.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
        }
    }

    /// The state that a word stands for.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let problem = || format!("\"{word}\" is not a state: write open, replayed or discarded");
        Self::parse(word).ok_or_else(problem)
    }
}

/// A row of quarantine.
#[derive(Clone, PartialEq)]
pub(crate) struct Entry {
    /// Identity of the row.
    pub(crate) id: i64,
    /// Run that refused it.
    pub(crate) run_id: RunId,
    /// Job of that run.
    pub(crate) job: String,
    /// Name of the file.
    pub(crate) file: String,
    /// Whether it is a page that was fetched from an API.
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
    /// Column of the first reason; `None` for the whole record.
    pub(crate) column: Option<String>,
    /// All reasons, as a list of `{"code", "column"}`.
    pub(crate) reasons: Value,
    /// Constraint of the target that it broke.
    pub(crate) constraint: Option<String>,
    /// What was kept of the record after pseudonymisation.
    pub(crate) record: Option<Value>,
    /// How it stands.
    pub(crate) state: State,
    /// When it was refused, in the form that was asked for.
    pub(crate) created_at: String,
    /// When it was replayed or discarded.
    pub(crate) settled_at: Option<String>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id)
            .field("run_id", &self.run_id)
            .field("file", &self.file)
            .field("row_number", &self.row_number)
            .field("reasons", &self.reasons)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// What [`statement`] selects from: `q` quarantine, `r` run, `f` file, `s` split.
const TABLES: &str = "
FROM ferry.quarantine AS q
JOIN ferry.run AS r USING (run_id)
JOIN ferry.file AS f USING (file_id)
JOIN ferry.split AS s USING (split_id)
WHERE ($1::text IS NULL OR r.job = $1)
  AND ($2::bigint IS NULL OR q.run_id = $2)
  AND ($3::text IS NULL OR q.reasons @> $3::text::jsonb)
  AND ($4::text IS NULL OR f.name = $4)
  AND ($5::text IS NULL OR q.state = $5)
  AND (cardinality($6::bigint[]) = 0 OR q.quarantine_id = ANY($6))";

/// A statement on the rows of a filter, which takes `$1` to `$6`; the next argument is `$7`.
pub(super) fn statement(
    before: &'static str,
    filter: &Filter,
    after: &'static str,
) -> Query<'static, Postgres, PgArguments> {
    // All of the text stands in this program; what comes from outside is bound.
    sqlx::query(AssertSqlSafe([before, TABLES, after].concat()))
        .bind(filter.job.as_deref().map(without_nul))
        .bind(filter.run.map(|run| run.0))
        .bind(wanted_reason(filter))
        .bind(filter.file.as_deref().map(without_nul))
        .bind(filter.state.map(State::as_str))
        .bind(filter.ids.clone())
}

/// A list of reasons that the reasons of a row must contain, as JSON.
fn wanted_reason(filter: &Filter) -> Option<String> {
    let mut reason = Map::new();
    for (name, wanted) in [("code", &filter.code), ("column", &filter.column)] {
        if let Some(wanted) = wanted {
            reason.insert(name.to_owned(), Value::String(without_nul(wanted)));
        }
    }
    (!reason.is_empty()).then(|| Value::Array(vec![Value::Object(reason)]).to_string())
}

const SELECT: &str = "
SELECT q.quarantine_id, q.run_id, r.job, f.name AS file, f.is_page, q.row_number, q.byte_start, q.byte_end,
       q.stage, q.code, q.column_name, q.reasons::text AS reasons, q.constraint_name,
       q.record::text AS record, q.state,
       to_char(q.created_at AT TIME ZONE 'UTC', $9::text) AS created_at,
       to_char(q.settled_at AT TIME ZONE 'UTC', $9::text) AS settled_at";
const NEXT_BY_ID: &str = " AND q.quarantine_id > $7 ORDER BY q.quarantine_id LIMIT $8";

/// The next rows of a filter after an id; ids are greater than 0.
pub(crate) async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    after_id: i64,
    limit: i64,
) -> Result<Vec<Entry>, LedgerError> {
    page(conn, filter, after_id, limit, TimeForm::Words).await
}

/// The same, with the times in the form that is asked for.
pub(crate) async fn page(
    conn: &mut PgConnection,
    filter: &Filter,
    after_id: i64,
    limit: i64,
    form: TimeForm,
) -> Result<Vec<Entry>, LedgerError> {
    let rows = statement(SELECT, filter, NEXT_BY_ID)
        .bind(after_id)
        .bind(limit)
        .bind(form.pattern())
        .fetch_all(conn)
        .await?;
    rows.iter().map(read_entry).collect()
}

/// How many rows a filter means.
pub(crate) async fn count(conn: &mut PgConnection, filter: &Filter) -> Result<u64, LedgerError> {
    let row = statement("SELECT count(*) AS row_count", filter, "").fetch_one(conn).await?;
    from_bigint(&row, "row_count")
}

fn read_entry(row: &PgRow) -> Result<Entry, LedgerError> {
    let state = State::parse(row.try_get("state")?);
    let record: Option<&str> = row.try_get("record")?;
    Ok(Entry {
        id: row.try_get("quarantine_id")?,
        run_id: RunId(row.try_get("run_id")?),
        job: row.try_get("job")?,
        file: row.try_get("file")?,
        is_page: row.try_get("is_page")?,
        row_number: from_bigint(row, "row_number")?,
        byte_start: from_bigint(row, "byte_start")?,
        byte_end: from_bigint(row, "byte_end")?,
        stage: row.try_get("stage")?,
        code: row.try_get("code")?,
        column: row.try_get("column_name")?,
        reasons: document(row.try_get("reasons")?, "reasons of a quarantined row")?,
        constraint: row.try_get("constraint_name")?,
        record: record.map(|text| document(text, "record of a quarantined row")).transpose()?,
        state: state.ok_or(LedgerError::Invalid { what: "state of a quarantined row" })?,
        created_at: row.try_get("created_at")?,
        settled_at: row.try_get("settled_at")?,
    })
}

fn document(text: &str, what: &'static str) -> Result<Value, LedgerError> {
    serde_json::from_str(text).map_err(|_| LedgerError::Invalid { what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn states_read_back() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        let error = "opened".parse::<State>().expect_err("no state");
        assert!(error.contains("discarded"), "{error}");
    }

    #[test]
    fn code_and_column_are_looked_for_in_one_reason() {
        let wanted = |code: Option<&str>, column: Option<&str>| {
            let code = code.map(str::to_owned);
            let column = column.map(str::to_owned);
            let reason = wanted_reason(&Filter { code, column, ..Filter::default() })?;
            Some(serde_json::from_str::<Value>(&reason).expect("JSON"))
        };
        assert_eq!(wanted(None, None), None);
        assert_eq!(wanted(Some("bad_date"), None), Some(json!([{ "code": "bad_date" }])));
        assert_eq!(wanted(None, Some("a\"b")), Some(json!([{ "column": "a\"b" }])));
        let both = json!([{ "code": "bad_date", "column": "born" }]);
        assert_eq!(wanted(Some("bad_date"), Some("born")), Some(both));
        assert_eq!(wanted(None, Some("a\0")), Some(json!([{ "column": "a\u{FFFD}" }])));
    }

    #[test]
    fn an_entry_does_not_print_its_record() {
        let entry = Entry {
            id: 7,
            run_id: RunId(1),
            job: "orders".to_owned(),
            file: "a.csv".to_owned(),
            is_page: false,
            row_number: 3,
            byte_start: 20,
            byte_end: 31,
            stage: "read".to_owned(),
            code: "bad_date".to_owned(),
            column: Some("born".to_owned()),
            reasons: json!([{ "code": "bad_date", "column": "born" }]),
            constraint: None,
            record: Some(json!({ "note": "hunter2" })),
            state: State::Open,
            created_at: String::new(),
            settled_at: None,
        };
        let printed = format!("{entry:?}");
        assert!(printed.contains("bad_date") && !printed.contains("hunter2"), "{printed}");
    }
}
