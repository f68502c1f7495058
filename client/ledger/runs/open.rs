//! Opens a run: takes up the job's unfinished one, begins another, or finds that there is none to take part in.
//!
//! Invariants: whoever opens a run has the lock of the job, so that two workers
//! do not begin one each; a job's last run is the only one with splits left to
//! do, and goes on only as it began.

use sqlx::{Connection as _, PgConnection, Row as _};

use super::{FERRY_VERSION, RunState, has_undone_splits, refuse_unsafe_change, set_state};
use crate::ledger::{LedgerError, RunId, cuts, lock_job};

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
    /// What the source offers, see [`crate::ledger::encode_columns`]; `None` if that is not known.
    pub(crate) source_columns: Option<&'a str>,
    /// What becomes of an unfinished run that began with other rules.
    pub(crate) old_rules: OldRules,
    /// Which run is wanted.
    pub(crate) choice: RunChoice,
    /// The job's last run when it was decided which run is wanted.
    pub(crate) last_run: Option<RunId>,
}

/// What becomes of an unfinished run whose checks or expressions differ from the job's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OldRules {
    /// It is left alone, and the job refused.
    Keep,
    /// It goes on with the job's rules as they are now.
    Replace,
}

/// Which run of a job is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunChoice {
    /// The unfinished one, or else a new one.
    Automatic,
    /// A new one, which takes over what the unfinished one has left; unless
    /// another worker has begun one since that was decided: then that one.
    New,
    /// The unfinished one.
    Current,
    /// The unfinished one, if it is running.
    Join,
}

/// The run that a worker takes part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenedRun {
    /// The run.
    pub(crate) run_id: RunId,
    /// Whether it was begun before, by this worker or by another.
    pub(crate) is_resumed: bool,
}

/// Takes up the job's unfinished run or begins another; `None` if neither is wanted.
pub(crate) async fn open(
    conn: &mut PgConnection,
    facts: &RunFacts<'_>,
) -> Result<Option<OpenedRun>, LedgerError> {
    let mut tx = conn.begin().await?;
    lock_job(&mut tx, facts.job).await?;
    refuse_unsafe_change(&mut tx, facts.job, facts.columns, facts.pii_key_id).await?;
    let last = lock_last(&mut tx, facts).await?;
    let opened = match decide(last.as_ref(), facts)? {
        Step::Nothing => None,
        Step::TakeUp(run_id) => {
            resume(&mut tx, run_id, facts).await?;
            Some(OpenedRun { run_id, is_resumed: true })
        }
        Step::Begin => {
            let run_id = begin(&mut tx, last.as_ref(), facts).await?;
            Some(OpenedRun { run_id, is_resumed: false })
        }
    };
    tx.commit().await?;
    Ok(opened)
}

/// The last run of a job, as it stands against the job of now.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LastRun {
    run_id: RunId,
    state: RunState,
    has_undone: bool,
    dataset: String,
    target: String,
    pii_key_id: Option<String>,
    likeness: Likeness,
    /// Whether it fills tables that take the place of others in the end.
    fills_tables: bool,
}

/// How a run began, against the job of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    Same,
    /// With other checks or expressions.
    OtherRules,
    /// With other columns, or other modes of its targets: rows that were loaded
    /// in one mode are not where another one puts them.
    OtherColumns,
}

/// What is to be done to open a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    TakeUp(RunId),
    Begin,
    Nothing,
}

fn decide(last: Option<&LastRun>, facts: &RunFacts<'_>) -> Result<Step, LedgerError> {
    let unfinished = last.filter(|last| last.is_unfinished());
    match facts.choice {
        RunChoice::New if last.map(|last| last.run_id) == facts.last_run => {
            if let Some(last) = unfinished.filter(|last| last.has_undone) {
                last.refuse_other_dataset(facts)?;
            }
            Ok(Step::Begin)
        }
        RunChoice::New => match (last, unfinished) {
            (_, Some(last)) => last.take_up_or(Step::Begin, facts),
            // It ended before its time: what it was to load is in no plan any more.
            (Some(last), None) if last.state != RunState::Finished => {
                Err(LedgerError::RunEnded { run: last.run_id })
            }
            _ => Ok(Step::Begin),
        },
        RunChoice::Automatic => {
            unfinished.map_or(Ok(Step::Begin), |last| last.take_up_or(Step::Begin, facts))
        }
        RunChoice::Current => {
            unfinished.map_or(Ok(Step::Nothing), |last| last.take_up_or(Step::Nothing, facts))
        }
        RunChoice::Join => match unfinished {
            Some(last) if last.state == RunState::Running => last.take_up_or(Step::Nothing, facts),
            _ => Ok(Step::Nothing),
        },
    }
}

impl LastRun {
    /// Whether there is something left of it to do, if only to end it.
    fn is_unfinished(&self) -> bool {
        match self.state {
            RunState::Running => true,
            RunState::Finished => false,
            RunState::Failed | RunState::Stopped => self.has_undone || self.fills_tables,
        }
    }

    /// Takes the run up if the job is as it was. If it is not, the run is
    /// refused as long as splits of it are left; a worker died with nothing
    /// left to do otherwise, and there is no use for the run.
    fn take_up_or(&self, other: Step, facts: &RunFacts<'_>) -> Result<Step, LedgerError> {
        match self.refuse_changes(facts) {
            Ok(()) => Ok(Step::TakeUp(self.run_id)),
            Err(error) if self.has_undone || self.fills_tables => Err(error),
            Err(_) => Ok(other),
        }
    }

    fn refuse_changes(&self, facts: &RunFacts<'_>) -> Result<(), LedgerError> {
        let run = self.run_id;
        match self.likeness {
            Likeness::OtherColumns => return Err(LedgerError::ColumnsChanged { run }),
            Likeness::OtherRules if facts.old_rules == OldRules::Keep => {
                return Err(LedgerError::RulesChanged { run });
            }
            Likeness::OtherRules | Likeness::Same => {}
        }
        self.refuse_other_dataset(facts)?;
        let settings = [
            ("target", Some(self.target.as_str()), Some(facts.target)),
            ("pseudonym key", self.pii_key_id.as_deref(), facts.pii_key_id),
        ];
        match settings.into_iter().find(|(_, before, now)| before != now) {
            None => Ok(()),
            Some((what, before, now)) => {
                let (before, now) = (shown(before), shown(now));
                Err(LedgerError::JobChanged { run, what, before, now })
            }
        }
    }

    /// Splits of one dataset are nothing that a run of another could read.
    fn refuse_other_dataset(&self, facts: &RunFacts<'_>) -> Result<(), LedgerError> {
        if self.dataset != facts.dataset {
            return Err(LedgerError::DatasetChanged {
                run: self.run_id,
                before: self.dataset.clone(),
                now: facts.dataset.to_owned(),
            });
        }
        Ok(())
    }
}

fn shown(setting: Option<&str>) -> String {
    setting.unwrap_or("none").to_owned()
}

/// Locks the job's last run until the transaction ends, whatever its state.
///
/// Nobody can begin a later one meanwhile, and whoever is about to end this one
/// waits; workers that write rows which refer to it do not.
async fn lock_last(
    conn: &mut PgConnection,
    facts: &RunFacts<'_>,
) -> Result<Option<LastRun>, LedgerError> {
    let row = sqlx::query(
        "SELECT run_id, state, dataset, target, pii_key_id,
                columns = $2::jsonb AND clean_version = $4
                    AND rules -> 'target_modes' IS NOT DISTINCT FROM $3::jsonb -> 'target_modes'
                    AS has_columns,
                rules = $3::jsonb AS has_rules
         FROM ferry.run WHERE job = $1 ORDER BY run_id DESC LIMIT 1 FOR NO KEY UPDATE",
    )
    .bind(facts.job)
    .bind(facts.columns)
    .bind(facts.rules)
    .bind(facts.clean_version)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let run_id = RunId(row.try_get("run_id")?);
    Ok(Some(LastRun {
        run_id,
        state: RunState::parse(row.try_get("state")?)?,
        has_undone: has_undone_splits(conn, run_id).await?,
        fills_tables: fills_tables(conn, run_id).await?,
        dataset: row.try_get("dataset")?,
        target: row.try_get("target")?,
        pii_key_id: row.try_get("pii_key_id")?,
        likeness: match (row.try_get("has_columns")?, row.try_get("has_rules")?) {
            (false, _) => Likeness::OtherColumns,
            (true, false) => Likeness::OtherRules,
            (true, true) => Likeness::Same,
        },
    }))
}

/// Whether a run has loaded something that takes the place of other rows in the end.
async fn fills_tables(conn: &mut PgConnection, run_id: RunId) -> Result<bool, LedgerError> {
    let fills = sqlx::query_scalar(
        "SELECT jsonb_path_exists(rules, '$.target_modes.*.mode ? (@ == \"replace\")')
                AND EXISTS (SELECT FROM ferry.split AS s WHERE s.run_id = r.run_id)
         FROM ferry.run AS r WHERE run_id = $1",
    )
    .bind(run_id.0)
    .fetch_one(conn)
    .await?;
    Ok(fills)
}

/// The job's last run, for whoever plans the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastShape {
    /// The run.
    pub(crate) run_id: RunId,
    /// How it stands.
    pub(crate) state: RunState,
    /// Whether splits of it are left to do.
    pub(crate) has_undone: bool,
    /// Whether it has loaded something that takes the place of other rows in the end.
    pub(crate) fills_tables: bool,
}

/// The job's last run, if it ever ran.
pub(crate) async fn last(
    conn: &mut PgConnection,
    job: &str,
) -> Result<Option<LastShape>, LedgerError> {
    let row = sqlx::query(
        "SELECT run_id, state FROM ferry.run WHERE job = $1 ORDER BY run_id DESC LIMIT 1",
    )
    .bind(job)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let run_id = RunId(row.try_get("run_id")?);
    Ok(Some(LastShape {
        run_id,
        state: RunState::parse(row.try_get("state")?)?,
        has_undone: has_undone_splits(conn, run_id).await?,
        fills_tables: fills_tables(conn, run_id).await?,
    }))
}

async fn resume(
    conn: &mut PgConnection,
    run_id: RunId,
    facts: &RunFacts<'_>,
) -> Result<(), LedgerError> {
    // Who only takes part has not asked the source for what is new.
    let source_columns = match facts.choice {
        RunChoice::Automatic | RunChoice::New => facts.source_columns,
        RunChoice::Current | RunChoice::Join => None,
    };
    sqlx::query(
        "UPDATE ferry.run
         SET state = 'running', finished_at = NULL, error_code = NULL, error_message = NULL,
             source_url = $2, rules = $3::jsonb,
             source_columns = coalesce($4::jsonb, source_columns)
         WHERE run_id = $1",
    )
    .bind(run_id.0)
    .bind(facts.source_url)
    .bind(facts.rules)
    .bind(source_columns)
    .execute(conn)
    .await?;
    Ok(())
}

/// Begins a run in the place of the last one: what that has left is the new one's.
async fn begin(
    conn: &mut PgConnection,
    last: Option<&LastRun>,
    facts: &RunFacts<'_>,
) -> Result<RunId, LedgerError> {
    if let Some(last) = last.filter(|last| last.state == RunState::Running) {
        set_state(conn, last.run_id, RunState::Stopped, None).await?;
    }
    let run_id = insert(conn, facts).await?;
    if let Some(last) = last.filter(|last| last.has_undone) {
        cuts::hand_over(conn, last.run_id, run_id).await?;
    }
    Ok(run_id)
}

async fn insert(conn: &mut PgConnection, facts: &RunFacts<'_>) -> Result<RunId, LedgerError> {
    let run_id = sqlx::query_scalar(
        "INSERT INTO ferry.run
             (job, source_url, dataset, target, pii_key_id, ferry_version, columns, rules,
              clean_version, source_columns)
         VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8::jsonb, $9, $10::jsonb) RETURNING run_id",
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
    .bind(facts.source_columns)
    .fetch_one(conn)
    .await?;
    Ok(RunId(run_id))
}

#[cfg(test)]
mod tests;
