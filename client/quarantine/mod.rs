//! The verbs on refused rows: list, show, export, discard and replay them.
//!
//! Invariant: what is printed of a record was kept after pseudonymisation, and
//! what is printed for people cannot steer their terminal.

mod discard;
mod export;
mod list;
mod page;
mod parts;
mod ranges;
mod read;
mod replay;
mod report;
mod show;

use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::database;
use crate::error::ClientError;
use crate::ledger::quarantine::{Entry, Filter, State};
use crate::ledger::{LedgerError, RunId, migrate};
use crate::output::printable;
use crate::run::APPLICATION_NAME;
use crate::status::Scope;

pub(crate) use discard::{Reach, discard, discard_rows};
pub(crate) use export::{ExportFile, export};
pub(crate) use list::list;
pub(crate) use replay::{replay, replay_quietly};
pub(crate) use report::ReplayCounts;
pub(crate) use show::show;

/// What stands in place of a column if the whole record is meant.
const WHOLE_RECORD: &str = "(whole record)";
/// Rows that are read from the ledger at once.
const PAGE_ROWS: i64 = 100;

/// Which rows the command line names; all of a job, if it names none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// `--run`: number of the run that refused them.
    pub(crate) run: Option<i64>,
    /// `--code`: code of any of their reasons.
    pub(crate) code: Option<String>,
    /// `--column`: column of any of their reasons.
    pub(crate) column: Option<String>,
    /// `--file`: name of their file.
    pub(crate) file: Option<String>,
    /// `--state`: how they stand.
    pub(crate) state: Option<State>,
    /// Their ids.
    pub(crate) ids: Vec<i64>,
}

impl Selection {
    /// The rows of a job, or of all jobs, that are named.
    fn filter(&self, job: Option<&str>) -> Filter {
        let mut ids = self.ids.clone();
        ids.sort_unstable();
        ids.dedup();
        Filter {
            job: job.map(str::to_owned),
            run: self.run.map(RunId),
            code: self.code.clone(),
            column: self.column.clone(),
            file: self.file.clone(),
            state: self.state,
            ids,
        }
    }

    /// Whether nothing but the state tells the rows of a job apart.
    fn is_everything(&self) -> bool {
        self.run.is_none()
            && self.code.is_none()
            && self.column.is_none()
            && self.file.is_none()
            && self.ids.is_empty()
    }
}

/// Connects to a ledger that is there and current.
async fn open(scope: &Scope) -> Result<PgConnection, ClientError> {
    let mut connection = database::connect(&scope.database_url, APPLICATION_NAME).await?;
    if migrate::is_current(&mut connection).await? {
        Ok(connection)
    } else {
        Err(LedgerError::NotCurrent.into())
    }
}

/// An entry for machines, without its record.
fn to_json(entry: &Entry) -> Value {
    json!({
        "quarantine_id": entry.id,
        "run_id": entry.run_id.0,
        "job": entry.job,
        "file": entry.file,
        "row_number": entry.row_number,
        "byte_start": entry.byte_start,
        "byte_end": entry.byte_end,
        "stage": entry.stage,
        "code": entry.code,
        "column": entry.column,
        "reasons": entry.reasons,
        "constraint": entry.constraint,
        "state": entry.state.as_str(),
        "created_at": entry.created_at,
        "settled_at": entry.settled_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_flags_become_a_filter() {
        let selection = Selection { run: Some(3), ids: vec![9, 4, 9], ..Selection::default() };
        let filter = selection.filter(Some("orders"));
        assert_eq!(filter.job.as_deref(), Some("orders"));
        assert_eq!(filter.run, Some(RunId(3)));
        assert_eq!(filter.ids, [4, 9]);
    }

    #[test]
    fn a_state_alone_names_every_row() {
        let state = Some(State::Open);
        assert!(Selection { state, ..Selection::default() }.is_everything());
        let code = Some("bad_date".to_owned());
        assert!(!Selection { code, ..Selection::default() }.is_everything());
        assert!(!Selection { ids: vec![1], ..Selection::default() }.is_everything());
    }

    #[test]
    fn a_printed_text_cannot_steer_the_terminal() {
        assert_eq!(printable("Zoë, \"x\""), "Zoë, \"x\"");
        assert_eq!(printable("a\n\u{1b}[2Jb"), "a\\n\\u{1b}[2Jb");
    }
}
