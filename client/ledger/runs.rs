//! Runs of a job: which one goes on, how it ended, what ran before.
//!
//! Invariant: a job has at most one running run, and a run is finished only
//! when all of its splits are done.

use sqlx::{Connection as _, PgConnection, Row as _};

use crate::ledger::{LedgerError, RunId, keys, lock_job};

const FERRY_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a run is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunFacts<'a> {
    /// Name of the job.
    pub(crate) job: &'a str,
    /// Source host, without credentials.
    pub(crate) source_url: &'a str,
    /// Dataset that is read.
    pub(crate) dataset: &'a str,
    /// Table that is loaded.
    pub(crate) target: &'a str,
    /// Key of the pseudonyms; `None` if no column is pseudonymised.
    pub(crate) pii_key_id: Option<&'a str>,
    /// Name, types and PII domain of each column, as a JSON array of objects.
    pub(crate) columns: &'a str,
    /// Checks, expressions and targets, as a JSON object.
    pub(crate) rules: &'a str,
    /// Version of the cleaning rules.
    pub(crate) clean_version: i32,
    /// What becomes of an unfinished run that began with other rules.
    pub(crate) old_rules: OldRules,
}

/// What becomes of an unfinished run whose checks or expressions differ from the job's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OldRules {
    /// It is left alone, and the job refused.
    Keep,
    /// It goes on with the job's rules as they are now.
    Replace,
}

/// The run that a worker joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenedRun {
    /// The run.
    pub(crate) run_id: RunId,
    /// Whether it was begun before, by this worker or by another.
    pub(crate) is_resumed: bool,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunState {
    /// Workers are at it, or died at it.
    Running,
    /// Every split is done.
    Finished,
    /// It met an error.
    Failed,
    /// Somebody asked it to stop.
    Stopped,
}

impl RunState {
    /// The state as it stands in the ledger.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// The state that a word of the ledger means.
    pub(super) fn parse(word: &str) -> Result<Self, LedgerError> {
        [Self::Running, Self::Finished, Self::Failed, Self::Stopped]
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or(LedgerError::Invalid { what: "state of a run" })
    }
}

/// Takes up the job's last run if it is not finished, or begins a new one.
pub(crate) async fn open(
    conn: &mut PgConnection,
    facts: &RunFacts<'_>,
) -> Result<OpenedRun, LedgerError> {
    let mut tx = conn.begin().await?;
    lock_job(&mut tx, facts.job).await?;
    refuse_unsafe_change(&mut tx, facts.job, facts.columns, facts.pii_key_id).await?;
    let opened = match find_resumable(&mut tx, facts).await? {
        Some(run_id) => {
            resume(&mut tx, run_id, facts).await?;
            OpenedRun { run_id, is_resumed: true }
        }
        None => OpenedRun { run_id: begin(&mut tx, facts).await?, is_resumed: false },
    };
    tx.commit().await?;
    Ok(opened)
}

/// Refuses a job that would load as it is what an earlier run pseudonymised, or
/// that makes its pseudonyms with another key than before.
pub(crate) async fn refuse_unsafe_change(
    conn: &mut PgConnection,
    job: &str,
    columns: &str,
    pii_key_id: Option<&str>,
) -> Result<(), LedgerError> {
    let unhashed = sqlx::query(
        "SELECT before ->> 'name' AS column_name,
                (SELECT max(run_id) FROM ferry.run WHERE job = $1) AS last_run
         FROM ferry.treatment AS earlier, jsonb_array_elements(earlier.columns) AS before
         JOIN jsonb_array_elements($2::jsonb) AS now ON now ->> 'name' = before ->> 'name'
         WHERE earlier.job = $1 AND before ->> 'pii' IS NOT NULL AND now ->> 'pii' IS NULL
         LIMIT 1",
    )
    .bind(job)
    .bind(columns)
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(row) = unhashed {
        let run = RunId(row.try_get("last_run")?);
        return Err(LedgerError::NoLongerHashed { run, column: row.try_get("column_name")? });
    }
    match pii_key_id {
        Some(key_id) => keys::refuse_silent_change(conn, job, key_id).await,
        None => Ok(()),
    }
}

/// Notes, in the transaction that loads rows again, what becomes of each column
/// and under which key, so that later runs keep to it.
pub(crate) async fn note_replay(
    conn: &mut PgConnection,
    job: &str,
    columns: &str,
    pii_key_id: Option<&str>,
) -> Result<(), LedgerError> {
    lock_job(conn, job).await?;
    refuse_unsafe_change(conn, job, columns, pii_key_id).await?;
    sqlx::query(
        "INSERT INTO ferry.replay (job, columns, pii_key_id, ferry_version)
         SELECT $1, $2::jsonb, $3, $4
         WHERE NOT EXISTS (SELECT FROM ferry.replay AS r
                           WHERE r.job = $1 AND r.columns = $2::jsonb
                             AND r.pii_key_id IS NOT DISTINCT FROM $3)",
    )
    .bind(job)
    .bind(columns)
    .bind(pii_key_id)
    .bind(FERRY_VERSION)
    .execute(&mut *conn)
    .await?;
    match pii_key_id {
        Some(key_id) => keys::remember(conn, key_id, None).await,
        None => Ok(()),
    }
}

/// The key that a run made its pseudonyms with.
pub(crate) async fn key_of(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<Option<String>, LedgerError> {
    let key_id = sqlx::query_scalar("SELECT pii_key_id FROM ferry.run WHERE run_id = $1")
        .bind(run_id.0)
        .fetch_one(conn)
        .await?;
    Ok(key_id)
}

/// The last run of the job, if there is something left of it to do.
async fn find_resumable(
    conn: &mut PgConnection,
    facts: &RunFacts<'_>,
) -> Result<Option<RunId>, LedgerError> {
    let last = sqlx::query(
        "SELECT run_id, state, dataset, target, pii_key_id,
                columns = $2::jsonb AND clean_version = $4 AS has_columns,
                rules = $3::jsonb AS has_rules
         FROM ferry.run WHERE job = $1 ORDER BY run_id DESC LIMIT 1 FOR UPDATE",
    )
    .bind(facts.job)
    .bind(facts.columns)
    .bind(facts.rules)
    .bind(facts.clean_version)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(last) = last else {
        return Ok(None);
    };
    let run_id = RunId(last.try_get("run_id")?);
    let state = RunState::parse(last.try_get("state")?)?;
    if state == RunState::Finished {
        return Ok(None);
    }
    let has_undone = has_undone_splits(conn, run_id).await?;
    let has_columns: bool = last.try_get("has_columns")?;
    let has_rules: bool = last.try_get("has_rules")?;
    if has_undone && !has_columns {
        return Err(LedgerError::ColumnsChanged { run: run_id });
    }
    if has_undone && !has_rules && facts.old_rules == OldRules::Keep {
        return Err(LedgerError::RulesChanged { run: run_id });
    }
    let is_as_before = has_columns && (has_rules || facts.old_rules == OldRules::Replace);
    let pii_key_id: Option<String> = last.try_get("pii_key_id")?;
    let settings = [
        ("dataset", Some(last.try_get("dataset")?), Some(facts.dataset)),
        ("target", Some(last.try_get("target")?), Some(facts.target)),
        ("pseudonym key", pii_key_id, facts.pii_key_id),
    ];
    match settings.iter().find(|(_, before, now)| before.as_deref() != *now) {
        None if is_as_before => Ok((has_undone || state == RunState::Running).then_some(run_id)),
        Some((what, before, now)) if has_undone => Err(LedgerError::JobChanged {
            run: run_id,
            what,
            before: shown(before.as_deref()),
            now: shown(*now),
        }),
        _ => {
            // The job was changed after a worker died with nothing left to do.
            if state == RunState::Running {
                set_state(conn, run_id, RunState::Stopped, None).await?;
            }
            Ok(None)
        }
    }
}

fn shown(setting: Option<&str>) -> String {
    setting.unwrap_or("none").to_owned()
}

async fn resume(
    conn: &mut PgConnection,
    run_id: RunId,
    facts: &RunFacts<'_>,
) -> Result<(), LedgerError> {
    sqlx::query(
        "UPDATE ferry.run
         SET state = 'running', finished_at = NULL, error_code = NULL, error_message = NULL,
             source_url = $2, rules = $3::jsonb
         WHERE run_id = $1",
    )
    .bind(run_id.0)
    .bind(facts.source_url)
    .bind(facts.rules)
    .execute(conn)
    .await?;
    Ok(())
}

async fn begin(conn: &mut PgConnection, facts: &RunFacts<'_>) -> Result<RunId, LedgerError> {
    let run_id = sqlx::query_scalar(
        "INSERT INTO ferry.run
             (job, source_url, dataset, target, pii_key_id, ferry_version, columns, rules,
              clean_version)
         VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8::jsonb, $9) RETURNING run_id",
    )
    .bind(facts.job)
    .bind(facts.source_url)
    .bind(facts.dataset)
    .bind(facts.target)
    .bind(facts.pii_key_id)
    .bind(FERRY_VERSION)
    .bind(facts.columns)
    .bind(facts.rules)
    .bind(facts.clean_version)
    .fetch_one(conn)
    .await?;
    Ok(RunId(run_id))
}

/// Records how the run ended for this worker; returns how it stands now.
///
/// A finished run stays finished, and a run with splits left does not become so.
pub(crate) async fn close(
    conn: &mut PgConnection,
    run_id: RunId,
    state: RunState,
    error: Option<(&str, &str)>,
) -> Result<RunState, LedgerError> {
    let mut tx = conn.begin().await?;
    let word: String =
        sqlx::query_scalar("SELECT state FROM ferry.run WHERE run_id = $1 FOR UPDATE")
            .bind(run_id.0)
            .fetch_one(&mut *tx)
            .await?;
    let before = RunState::parse(&word)?;
    // Asked under the lock of the run, which whoever registers splits takes as well.
    let is_early = state == RunState::Finished && has_undone_splits(&mut tx, run_id).await?;
    let after = if before == RunState::Finished || is_early { before } else { state };
    if after != before {
        set_state(&mut tx, run_id, after, error).await?;
    }
    tx.commit().await?;
    Ok(after)
}

async fn has_undone_splits(conn: &mut PgConnection, run_id: RunId) -> Result<bool, LedgerError> {
    let has_undone = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM ferry.split WHERE run_id = $1 AND NOT done)",
    )
    .bind(run_id.0)
    .fetch_one(conn)
    .await?;
    Ok(has_undone)
}

async fn set_state(
    conn: &mut PgConnection,
    run_id: RunId,
    state: RunState,
    error: Option<(&str, &str)>,
) -> Result<(), LedgerError> {
    sqlx::query(
        "UPDATE ferry.run
         SET state = $2, error_code = $3, error_message = $4,
             finished_at = CASE WHEN $2 <> 'running' THEN clock_timestamp() END
         WHERE run_id = $1",
    )
    .bind(run_id.0)
    .bind(state.as_str())
    .bind(error.map(|(code, _)| code))
    .bind(error.map(|(_, message)| message))
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_read_back() {
        for state in [RunState::Running, RunState::Finished, RunState::Failed, RunState::Stopped] {
            assert_eq!(RunState::parse(state.as_str()).ok(), Some(state));
        }
        assert!(RunState::parse("paused").is_err());
    }
}
