//! Asks the source and the ledger what a run would find and do; changes nothing.

use std::collections::HashSet;

use ferry::schema::Column;
use ferry::wire::generated::FileState;
use sqlx::PgConnection;

use super::options::{Missing, Reload, RunOptions};
use super::pages::{leave_known, outlived, returned};
use super::shown;
use crate::columns::{self, ColumnError, ColumnPlan, Drift, FileHeader};
use crate::error::{ClientError, RunLeft, UnreadableFiles};
use crate::job::{DriftPolicy, Job, JobError, Mode, RewrittenPolicy};
use crate::key::PseudonymKey;
use crate::ledger::files::{self, KnownFile, UnsettledFile};
use crate::ledger::runs::{self, LastShape, RunChoice, RunState};
use crate::ledger::watermark::{self, Watermark};
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
    /// Those of them that are gone from the source.
    pub(crate) missing: Vec<UnsettledFile>,
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
    /// Whether an API was asked only for what is newer than what was loaded of it.
    pub(crate) reads_on: bool,
    /// How far an API was read before, whatever it was asked for.
    pub(crate) read_before: Option<Watermark>,
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
    /// Those of which something is left: if they are gone, they may be given up.
    unsettled: Vec<UnsettledFile>,
    /// Columns that the source offered to the last run.
    offered: Option<Vec<Column>>,
    last: Option<LastShape>,
    /// How far an API is read.
    watermark: Option<Watermark>,
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
    let memory = remember(connection, job).await?;
    let News { plan, superseded, missing, choice, reads_on } = match options.choice {
        // What is new is left to a run that may take it up.
        RunChoice::Current | RunChoice::Join => News::none(options.choice),
        RunChoice::Automatic | RunChoice::New => plan_news(job, options, source, &memory).await?,
    };
    if let Some(error) = nothing_to_read(&plan).filter(|_| memory.known.is_empty()) {
        // Tables that are made now might lack columns for ever.
        return Err(error);
    }
    // The columns of an API are those of the pages that the plan has fetched.
    let dataset = source.dataset_columns(&job.source.dataset).await;
    let dataset =
        dataset.map_err(|error| nothing_to_read(&plan).unwrap_or_else(|| error.into()))?;
    let headers = headers(&plan);
    let mut drift = columns::drift(job, memory.offered.as_deref(), &dataset, &headers);
    let mut tables = look_up_tables(job, connection).await?;
    let mut evolution = Vec::new();
    let verdict = drift.judge(job.load.drift);
    if job.load.drift == DriftPolicy::Evolve && verdict.is_ok() {
        let evolved = columns::evolve(job, &drift, tables)?;
        (tables, evolution) = (evolved.tables, evolved.statements);
    }
    let planned = columns::plan(job, &drift.columns, &tables, key);
    // That the source has drifted, or cannot be read, says more than what comes of it.
    let columns = planned.map_err(|error| {
        let error = verdict.err().unwrap_or(error).into();
        nothing_to_read(&plan).unwrap_or(error)
    })?;
    shown::refuse_unknown(job, &tables, &columns)?;
    if columns.targets.iter().any(|target| target.ddl.is_some()) {
        drift.make_baseline();
    }
    let has_loaded = memory.known.len() > superseded.len();
    let last_run = memory.last.map(|last| last.run_id);
    let unfinished = memory.last.filter(|last| last.has_undone).map(|last| last.run_id);
    Ok(Survey {
        given_up: given_up(job, &memory, &plan, &missing),
        plan,
        superseded,
        missing,
        drift,
        evolution,
        columns,
        choice,
        last_run,
        unfinished,
        has_loaded,
        reads_on,
        read_before: memory.watermark,
    })
}

/// What is left of a file can be given up by who knows what is there, and fills no table anew.
pub(super) fn refuse_giving_up(job: &Job, options: &RunOptions) -> Result<(), JobError> {
    if options.missing == Missing::Await {
        return Ok(());
    }
    if replaces(job) {
        return Err(JobError::GIVE_UP_WITH_REPLACE);
    }
    match options.choice {
        RunChoice::Current | RunChoice::Join => Err(JobError::GIVE_UP_WITH_CURRENT),
        RunChoice::Automatic | RunChoice::New => Ok(()),
    }
}

/// That no file at all can be read, if it is so; one without a header yet says nothing.
fn nothing_to_read(plan: &Plan) -> Option<ClientError> {
    let has_header = |file: &PlannedFile| !file.columns.is_empty();
    if plan.files.iter().any(has_header) || plan.problems.is_empty() {
        return None;
    }
    let (problems, left) = (plan.problems.clone(), RunLeft::NothingToRead);
    Some(ClientError::FilesUnreadable(UnreadableFiles { problems, left, held_up: 0 }))
}

async fn remember(connection: &mut PgConnection, job: &Job) -> Result<Memory, ClientError> {
    if !migrate::is_current(connection).await? {
        // Before the first run there is no ledger, and nothing is known of any file.
        let is_old = migrate::exists(connection).await?;
        return if is_old { Err(LedgerError::NotCurrent.into()) } else { Ok(Memory::default()) };
    }
    let (name, dataset) = (&job.name, &job.source.dataset);
    Ok(Memory {
        known: files::known(connection, name, dataset).await?,
        unsettled: files::unsettled(connection, name, dataset).await?,
        offered: runs::last_source_columns(connection, &job.name).await?,
        watermark: watermark::find(connection, name, dataset).await?,
        last: runs::last(connection, &job.name).await?,
    })
}

/// What is new at the source, and what is made of it.
struct News {
    plan: Plan,
    superseded: Vec<KnownFile>,
    missing: Vec<UnsettledFile>,
    choice: RunChoice,
    reads_on: bool,
}

impl News {
    /// Nothing was asked.
    fn none(choice: RunChoice) -> Self {
        let (superseded, missing) = (Vec::new(), Vec::new());
        Self { plan: Plan::default(), superseded, missing, choice, reads_on: false }
    }
}

/// Asks the source what is new, and once more if known files are to be loaded again.
async fn plan_news(
    job: &Job,
    options: &RunOptions,
    source: &mut Source,
    memory: &Memory,
) -> Result<News, ClientError> {
    let is_anew = is_anew(job, options, memory);
    // What is read from its beginning has nothing to go on from.
    let goes_on = !is_anew && options.reload == Reload::Changed && !replaces(job);
    let watermark = memory.watermark.as_ref().filter(|_| goes_on);
    let known: &[KnownFile] = if is_anew { &[] } else { &memory.known };
    let mut plan = ask(job, source, known, watermark).await?;
    let (superseded, choice) = if is_anew {
        (memory.known.clone(), RunChoice::New)
    } else {
        supersede(job, options, memory, &plan)
    };
    // An API is asked twice for nothing if that was clear before.
    if !superseded.is_empty() && !is_anew {
        let gone: HashSet<FileId> = superseded.iter().map(|file| file.file_id).collect();
        let is_kept = |file: &&KnownFile| !gone.contains(&file.file_id);
        let kept: Vec<KnownFile> = memory.known.iter().filter(is_kept).cloned().collect();
        plan = ask(job, source, &kept, watermark).await?;
    }
    let outlived = outlived(&plan, &memory.known);
    let is_gone = |file: &&UnsettledFile| {
        let is_meant = options.missing == Missing::GiveUp || outlived.contains(&file.file_id);
        let is_superseded = superseded.iter().any(|known| known.file_id == file.file_id);
        is_meant && !is_superseded && !is_there(&plan, &file.name)
    };
    let missing = memory.unsettled.iter().filter(is_gone).cloned().collect();
    if let Some(since) = options.since_unix_nanos {
        let split_count = plan.splits.len();
        leave_out(&mut plan, |file| file.fingerprint.modified_unix_nanos < since);
        if plan.splits.len() < split_count {
            // The next run must ask for it again.
            plan.watermark = None;
        }
    }
    if job.load.rewritten == RewrittenPolicy::Ignore {
        leave_out_problems(&mut plan, |file| file.state == FileState::Rewritten);
    }
    Ok(News { plan, superseded, missing, choice, reads_on: watermark.is_some() })
}

/// Asks the source what there is beside what is known.
async fn ask(
    job: &Job,
    source: &mut Source,
    known: &[KnownFile],
    watermark: Option<&Watermark>,
) -> Result<Plan, ClientError> {
    let told = files::to_tell(known);
    let (dataset, split_bytes) = (&job.source.dataset, job.load.split_bytes);
    let mut plan = source.plan(dataset, &[], split_bytes, &told, watermark).await?;
    leave_known(&mut plan, known, &told);
    Ok(plan)
}

/// Whether everything is loaded again, whatever the source says of it.
fn is_anew(job: &Job, options: &RunOptions, memory: &Memory) -> bool {
    let is_reload = options.reload == Reload::All && options.since_unix_nanos.is_none();
    // Rows of a run that filled tables are beside them, and nowhere else.
    is_reload || (memory.filling().is_some() && !replaces(job))
}

/// Whether the source has a file, be it one that cannot be read.
fn is_there(plan: &Plan, name: &str) -> bool {
    plan.files.iter().any(|file| file.name == name)
        || plan.problems.iter().any(|problem| problem.file == name)
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
    if options.reload == Reload::All {
        let is_meant = |file: &&KnownFile| is_young(plan, &file.name, options.since_unix_nanos);
        return (memory.known.iter().filter(is_meant).cloned().collect(), RunChoice::New);
    }
    let reloads = job.load.rewritten == RewrittenPolicy::Reload;
    let rewritten = names_of(plan, FileState::Rewritten);
    let is_meant = |file: &&KnownFile| {
        rewritten.contains(&file.name.as_str())
            && is_young(plan, &file.name, options.since_unix_nanos)
            && (reloads || !file.is_begun)
    };
    let changed = memory.known.iter().filter(is_meant);
    let again = changed.chain(returned(plan, &memory.known));
    (again.cloned().collect(), options.choice)
}

/// Whether a table that is replaced must be filled from the beginning.
///
/// Rows in its incoming table are of no use once a file of theirs has changed
/// or is gone; otherwise a run that ended before its time is to be finished.
fn must_replace(options: &RunOptions, memory: &Memory, plan: &Plan) -> bool {
    let there = plan.files.iter().filter(|file| !file.is_earlier);
    let there: HashSet<&str> = there.map(|file| file.name.as_str()).collect();
    let is_there = |known: &KnownFile| there.contains(known.name.as_str());
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

/// Leaves out files, and what is to be loaded of them.
fn leave_out(plan: &mut Plan, is_meant: impl Fn(&PlannedFile) -> bool) {
    leave_out_problems(plan, &is_meant);
    plan.files.retain(|file| !is_meant(file));
    let left: HashSet<&str> = plan.files.iter().map(|file| file.name.as_str()).collect();
    plan.splits.retain(|split| left.contains(split.file.as_str()));
}

/// Leaves out what is wrong with files that nothing is to be loaded of.
fn leave_out_problems(plan: &mut Plan, is_meant: impl Fn(&PlannedFile) -> bool) {
    let meant = plan.files.iter().filter(|file| is_meant(file));
    let meant: HashSet<&str> = meant.map(|file| file.name.as_str()).collect();
    plan.problems.retain(|problem| !meant.contains(problem.file.as_str()));
}

/// Files that were rewritten where the job is to leave such alone: what was not
/// loaded of them cannot be read any more. One that is gone may come back, so
/// that it must be given up in words.
fn given_up(job: &Job, memory: &Memory, plan: &Plan, missing: &[UnsettledFile]) -> Vec<FileId> {
    let mut given_up: Vec<FileId> = missing.iter().map(|file| file.file_id).collect();
    if job.load.rewritten == RewrittenPolicy::Ignore && !replaces(job) {
        let rewritten = names_of(plan, FileState::Rewritten);
        let is_lost = |known: &&KnownFile| rewritten.contains(&known.name.as_str());
        given_up.extend(memory.known.iter().filter(is_lost).map(|known| known.file_id));
    }
    given_up
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
