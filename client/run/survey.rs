//! Asks the source and the ledger what a run would find and do; changes nothing.

use std::collections::HashSet;

use ferry::schema::Column;
use ferry::wire::generated::FileState;
use sqlx::PgConnection;

use super::options::{Reload, RunOptions};
use crate::columns::{self, ColumnError, ColumnPlan, Drift, FileHeader};
use crate::error::ClientError;
use crate::job::{DriftPolicy, Job, JobError, Mode, RewrittenPolicy};
use crate::key::PseudonymKey;
use crate::ledger::files::{self, KnownFile};
use crate::ledger::runs::{self, LastShape, RunChoice, RunState};
use crate::ledger::{FileId, LedgerError, RunId, migrate};
use crate::load::catalogue::TargetTable;
use crate::receive::{Plan, PlannedFile, Source};

/// What a run would find and do.
pub(crate) struct Survey {
    /// Files of the source, and what is to be loaded of them.
    pub(crate) plan: Plan,
    /// Files that are loaded from their start again.
    pub(crate) superseded: Vec<KnownFile>,
    /// Files of which the rest is never loaded.
    pub(crate) given_up: Vec<FileId>,
    /// How the source differs from what the job has seen of it.
    pub(crate) drift: Drift,
    /// Statements that fit the tables to it.
    pub(crate) evolution: Vec<String>,
    /// What becomes of every column.
    pub(crate) columns: ColumnPlan,
    /// The run that is wanted.
    pub(crate) choice: RunChoice,
    /// The job's last run.
    pub(crate) last_run: Option<RunId>,
    /// The same, if splits of it are left to do.
    pub(crate) unfinished: Option<RunId>,
    /// Whether rows of the files that stay known are in the tables.
    pub(crate) has_loaded: bool,
}

impl Survey {
    /// Names of the files whose loaded part changed, if the job refuses to go on with such.
    pub(crate) fn rewritten(&self, job: &Job) -> Vec<&str> {
        if job.load.rewritten != RewrittenPolicy::Refuse || replaces(job) {
            return Vec::new();
        }
        names_of(&self.plan, FileState::Rewritten)
    }
}

/// Whether a table of the job is replaced as a whole.
pub(crate) fn replaces(job: &Job) -> bool {
    job.targets.iter().any(|target| matches!(target.mode, Mode::Replace { .. }))
}

/// What the ledger remembers of a job.
#[derive(Default)]
struct Memory {
    known: Vec<KnownFile>,
    /// Columns that the source offered to the last run.
    offered: Option<Vec<Column>>,
    last: Option<LastShape>,
}

impl Memory {
    /// The last run, if it has loaded something that is yet to take the place of other rows.
    fn filling(&self) -> Option<LastShape> {
        self.last.filter(|last| last.fills_tables && last.state != RunState::Finished)
    }
}

/// Surveys the source of a job.
pub(crate) async fn survey(
    job: &Job,
    options: &RunOptions,
    source: &mut Source,
    connection: &mut PgConnection,
    key: Option<&PseudonymKey>,
) -> Result<Survey, ClientError> {
    if options.since_unix_nanos.is_some() && replaces(job) {
        return Err(JobError::SINCE_WITH_REPLACE.into());
    }
    let dataset = source.dataset_columns(&job.source.dataset).await?;
    let memory = remember(connection, job).await?;
    let (plan, superseded, choice) = match options.choice {
        // What is new is left to a run that may take it up.
        RunChoice::Current | RunChoice::Join => (Plan::default(), Vec::new(), options.choice),
        RunChoice::Automatic | RunChoice::New => plan_news(job, options, source, &memory).await?,
    };
    let headers = headers(&plan);
    let drift = columns::drift(job, memory.offered.as_deref(), &dataset, &headers);
    let mut tables = look_up_tables(job, connection).await?;
    let mut evolution = Vec::new();
    let verdict = drift.judge(job.load.drift);
    if job.load.drift == DriftPolicy::Evolve && verdict.is_ok() {
        let evolved = columns::evolve(job, &drift, tables)?;
        (tables, evolution) = (evolved.tables, evolved.statements);
    }
    // That the source has drifted says more than what comes of it.
    let planned = columns::plan(job, &drift.columns, &tables, key);
    let columns = planned.map_err(|error| verdict.err().unwrap_or(error))?;
    let has_loaded = memory.known.len() > superseded.len();
    let last_run = memory.last.map(|last| last.run_id);
    let unfinished = memory.last.filter(|last| last.has_undone).map(|last| last.run_id);
    Ok(Survey {
        given_up: given_up(job, &memory, &plan),
        plan,
        superseded,
        drift,
        evolution,
        columns,
        choice,
        last_run,
        unfinished,
        has_loaded,
    })
}

async fn remember(connection: &mut PgConnection, job: &Job) -> Result<Memory, ClientError> {
    if !migrate::is_current(connection).await? {
        // Before the first run there is no ledger, and nothing is known of any file.
        let is_old = migrate::exists(connection).await?;
        return if is_old { Err(LedgerError::NotCurrent.into()) } else { Ok(Memory::default()) };
    }
    Ok(Memory {
        known: files::known(connection, &job.name, &job.source.dataset).await?,
        offered: runs::last_source_columns(connection, &job.name).await?,
        last: runs::last(connection, &job.name).await?,
    })
}

/// Asks the source what is new, and once more if known files are to be loaded again.
async fn plan_news(
    job: &Job,
    options: &RunOptions,
    source: &mut Source,
    memory: &Memory,
) -> Result<(Plan, Vec<KnownFile>, RunChoice), ClientError> {
    let (dataset, split_bytes) = (&job.source.dataset, job.load.split_bytes);
    let mut plan = source.plan(dataset, &[], split_bytes, &memory.known).await?;
    let (superseded, choice) = supersede(job, options, memory, &plan);
    if !superseded.is_empty() {
        let is_kept = |file: &&KnownFile| superseded.iter().all(|gone| gone.name != file.name);
        let kept: Vec<KnownFile> = memory.known.iter().filter(is_kept).cloned().collect();
        plan = source.plan(dataset, &[], split_bytes, &kept).await?;
    }
    if let Some(since) = options.since_unix_nanos {
        leave_out_older(&mut plan, since);
    }
    Ok((plan, superseded, choice))
}

/// Which known files are loaded again, and by which run.
fn supersede(
    job: &Job,
    options: &RunOptions,
    memory: &Memory,
    plan: &Plan,
) -> (Vec<KnownFile>, RunChoice) {
    if replaces(job) {
        let is_anew = must_replace(options, memory, plan);
        let superseded = if is_anew { memory.known.clone() } else { Vec::new() };
        return (superseded, if is_anew { RunChoice::New } else { options.choice });
    }
    // Its rows are beside the tables that they were to replace, and nowhere else.
    if memory.filling().is_some() {
        return (memory.known.clone(), RunChoice::New);
    }
    if options.reload == Reload::All {
        let is_meant = |file: &&KnownFile| is_young(plan, &file.name, options.since_unix_nanos);
        return (memory.known.iter().filter(is_meant).cloned().collect(), RunChoice::New);
    }
    if job.load.rewritten != RewrittenPolicy::Reload {
        return (Vec::new(), options.choice);
    }
    let rewritten = names_of(plan, FileState::Rewritten);
    let is_meant = |file: &&KnownFile| {
        rewritten.contains(&file.name.as_str())
            && is_young(plan, &file.name, options.since_unix_nanos)
    };
    (memory.known.iter().filter(is_meant).cloned().collect(), options.choice)
}

/// Whether a table that is replaced must be filled from the beginning.
///
/// Rows in its incoming table are of no use once a file of theirs has changed
/// or is gone; otherwise a run that ended before its time is to be finished.
fn must_replace(options: &RunOptions, memory: &Memory, plan: &Plan) -> bool {
    let is_there = |known: &KnownFile| plan.files.iter().any(|file| file.name == known.name);
    let is_other = !names_of(plan, FileState::Rewritten).is_empty()
        || !memory.known.iter().all(is_there)
        || options.reload == Reload::All
        || options.choice == RunChoice::New;
    match memory.filling() {
        Some(_) => is_other,
        None => is_other || !plan.splits.is_empty(),
    }
}

/// Whether a file is to be loaded, by the time of its last change; without a
/// time, one that is gone is as well, so that what was left of it is given up.
fn is_young(plan: &Plan, name: &str, since_unix_nanos: Option<i64>) -> bool {
    let file = plan.files.iter().find(|file| file.name == name);
    since_unix_nanos
        .is_none_or(|since| file.is_some_and(|file| file.fingerprint.modified_unix_nanos >= since))
}

/// Leaves out files that changed last before a time.
fn leave_out_older(plan: &mut Plan, since_unix_nanos: i64) {
    plan.files.retain(|file| file.fingerprint.modified_unix_nanos >= since_unix_nanos);
    let left: HashSet<&str> = plan.files.iter().map(|file| file.name.as_str()).collect();
    plan.splits.retain(|split| left.contains(split.file.as_str()));
}

/// Files that were rewritten where the job is to leave such alone: what was not
/// loaded of them cannot be read any more. One that is gone may come back.
fn given_up(job: &Job, memory: &Memory, plan: &Plan) -> Vec<FileId> {
    if job.load.rewritten != RewrittenPolicy::Ignore || replaces(job) {
        return Vec::new();
    }
    let rewritten = names_of(plan, FileState::Rewritten);
    let is_lost = |known: &&KnownFile| rewritten.contains(&known.name.as_str());
    memory.known.iter().filter(is_lost).map(|known| known.file_id).collect()
}

fn names_of(plan: &Plan, state: FileState) -> Vec<&str> {
    let is_it = |file: &&PlannedFile| file.state == state;
    plan.files.iter().filter(is_it).map(|file| file.name.as_str()).collect()
}

/// Headers of the files of which something is, or will be, loaded.
///
/// Also of a new file without a record yet: the ledger will know its names.
fn headers(plan: &Plan) -> Vec<FileHeader> {
    let is_news = |file: &&PlannedFile| matches!(file.state, FileState::New | FileState::Grown);
    let with_splits: HashSet<&str> = plan.splits.iter().map(|split| split.file.as_str()).collect();
    let is_read = |file: &&PlannedFile| {
        with_splits.contains(file.name.as_str()) || (is_news(file) && !file.columns.is_empty())
    };
    let header =
        |file: &PlannedFile| FileHeader { file: file.name.clone(), columns: file.columns.clone() };
    plan.files.iter().filter(is_read).map(header).collect()
}

/// What the catalogue says of the targets; `None` where a table is to be made.
pub(super) async fn look_up_tables(
    job: &Job,
    connection: &mut PgConnection,
) -> Result<Vec<Option<TargetTable>>, ClientError> {
    let mut tables = Vec::with_capacity(job.targets.len());
    for target in &job.targets {
        let found = TargetTable::lookup(connection, &target.table).await?;
        if found.is_none() && !target.create {
            return Err(ColumnError::NoTable(target.table.to_string()).into());
        }
        tables.push(found);
    }
    Ok(tables)
}
