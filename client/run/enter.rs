//! Enters a run: opens or joins it, and writes to the ledger what is new, in one transaction.
//!
//! Invariant: whoever sees the run in the ledger sees its splits and the tables
//! that it fills too.

use std::collections::{HashMap, HashSet};

use ferry::wire::generated::FileState;
use sqlx::{Connection as _, PgConnection};

use super::order::{Turn, Turns};
use super::pages::warn_of_changing_pages;
use super::survey::Survey;
use crate::clean;
use crate::columns::{self, ColumnPlan, TargetPlan};
use crate::error::ClientError;
use crate::job::{Job, Mode, RewrittenPolicy};
use crate::ledger::files::{self, FileProblem, KnownFile};
use crate::ledger::register::{PlannedContent, Registration, register};
use crate::ledger::runs::{self, OldRules, OpenedRun, RunChoice, RunFacts};
use crate::ledger::{FileId, LedgerError, RunId, encode_columns, keys, watermark};
use crate::load::replace::{self, LoadedColumn, Replacement};
use crate::receive::PlannedFile;

/// A run that a worker takes part in.
pub(super) struct Entered {
    pub(super) run_id: RunId,
    /// What takes the place of other rows when the run is finished.
    pub(super) replacements: Vec<Replacement>,
    /// Names of the constraints of those tables, by those of the tables that are filled.
    pub(super) constraint_names: HashMap<String, String>,
    /// Files that wait for one before them, which cannot be read to its end.
    pub(super) held_up: usize,
}

/// Enters the run that is wanted; `None` if there is none.
pub(super) async fn enter(
    job: &Job,
    survey: &Survey,
    old_rules: OldRules,
    key_id: Option<&str>,
    connection: &mut PgConnection,
) -> Result<Option<Entered>, ClientError> {
    let offered = survey.drift.offered.as_deref().map(encode_columns);
    let facts = RunFacts {
        job: &job.name,
        source_url: &job.source.url,
        dataset: &job.source.dataset,
        target: &survey.columns.table_names(),
        columns: &columns::columns_json(&survey.columns),
        rules: &columns::rules_json(job),
        clean_version: clean::VERSION,
        old_rules,
        pii_key_id: key_id,
        source_columns: offered.as_deref(),
        choice: survey.choice,
        last_run: survey.last_run,
    };
    let mut transaction = connection.begin().await?;
    let Some(opened) = runs::open(&mut transaction, &facts).await? else {
        return Ok(None);
    };
    let OpenedRun { run_id, is_resumed } = opened;
    if let Some(key_id) = key_id {
        keys::remember(&mut transaction, key_id, Some(run_id)).await?;
    }
    let replacements = replacements(&survey.columns, run_id);
    if !replacements.is_empty() && !is_resumed {
        refuse_partial_plan(job, survey, &mut transaction).await?;
    }
    make_incoming(&replacements, &opened, &mut transaction).await?;
    let left = write_news(job, survey, &opened, &mut transaction).await?;
    note_watermark(job, survey, run_id, &left, &mut transaction).await?;
    let held_up = left.held_up;
    transaction.commit().await?;
    tracing::info!(run = %run_id, resumed = is_resumed, "run opened");
    if !replacements.is_empty() {
        replace::drop_leftovers(connection, &job.name, Some(run_id)).await?;
    }
    let mut constraint_names = HashMap::new();
    for Replacement { target, incoming, .. } in &replacements {
        constraint_names.extend(replace::constraint_names(connection, target, incoming).await?);
    }
    Ok(Some(Entered { run_id, replacements, constraint_names, held_up }))
}

/// Notes what the run reaches of an API, if this plan, the last one, has all of it.
///
/// What an earlier plan reached is forgotten: this one may give up its pages. So
/// is what earlier runs reached if everything was asked for again: who goes on
/// from there would never ask for what is left of that.
async fn note_watermark(
    job: &Job,
    survey: &Survey,
    run_id: RunId,
    left: &Left,
    connection: &mut PgConnection,
) -> Result<(), ClientError> {
    if matches!(survey.choice, RunChoice::Current | RunChoice::Join) {
        // The source was not asked.
        return Ok(());
    }
    if survey.read_before.is_some() && !survey.reads_on {
        watermark::forget(connection, &job.name, &job.source.dataset).await?;
    }
    let before = survey.read_before.as_ref().filter(|_| survey.reads_on);
    let is_whole = left.too_late + left.held_up == 0;
    let reached = survey.plan.watermark.as_ref().filter(|_| is_whole);
    watermark::note(connection, run_id, before, reached).await?;
    Ok(())
}

/// A table is replaced by what one run loads, so that a run which begins must
/// load every file; a plan that takes some for loaded is out of date.
async fn refuse_partial_plan(
    job: &Job,
    survey: &Survey,
    connection: &mut PgConnection,
) -> Result<(), ClientError> {
    if survey.plan.splits.is_empty() {
        return Ok(());
    }
    let known = files::known(connection, &job.name, &job.source.dataset).await?;
    let superseded: HashSet<FileId> = survey.superseded.iter().map(|file| file.file_id).collect();
    let is_superseded = |file: &KnownFile| superseded.contains(&file.file_id);
    if known.iter().all(is_superseded) { Ok(()) } else { Err(LedgerError::PlanOutdated.into()) }
}

/// The tables that a finished run replaces.
fn replacements(plan: &ColumnPlan, run_id: RunId) -> Vec<Replacement> {
    let numbered = plan.targets.iter().enumerate();
    numbered.filter_map(|(index, target)| replacement(index, target, run_id)).collect()
}

fn replacement(index: usize, target: &TargetPlan, run_id: RunId) -> Option<Replacement> {
    let Mode::Replace { keep_old } = target.mode else {
        return None;
    };
    let columns = target.columns.iter().map(|column| LoadedColumn {
        name: column.column.name.clone(),
        is_updatable: column.store.is_updatable,
    });
    Some(Replacement {
        target: target.table.clone(),
        incoming: replace::incoming_name(run_id, index),
        columns: columns.collect(),
        key: target.key.clone(),
        old: keep_old.then(|| replace::old_name(&target.table, run_id)),
    })
}

/// Makes the tables that the run fills beside others, and finds those of a run that goes on.
async fn make_incoming(
    replacements: &[Replacement],
    opened: &OpenedRun,
    connection: &mut PgConnection,
) -> Result<(), ClientError> {
    if opened.is_resumed {
        replace::check_incoming(connection, replacements).await?;
    } else {
        replace::make_incoming(connection, replacements).await?;
    }
    Ok(())
}

/// Files that are left for a later run.
#[derive(Default)]
struct Left {
    /// Something of a file behind them is loaded, or the run has pages of another answer.
    too_late: usize,
    /// A file before them cannot be read to its end.
    held_up: usize,
}

/// Writes what the source has and the ledger does not know yet; returns what is left for later.
async fn write_news(
    job: &Job,
    survey: &Survey,
    opened: &OpenedRun,
    connection: &mut PgConnection,
) -> Result<Left, ClientError> {
    let turns = Turns::find(job, survey, opened, connection).await?;
    let problems: HashMap<&str, &FileProblem> =
        survey.plan.problems.iter().map(|problem| (problem.file.as_str(), problem)).collect();
    let is_ignored = |file: &PlannedFile| {
        job.load.rewritten == RewrittenPolicy::Ignore && file.state == FileState::Rewritten
    };
    let mut left = Left::default();
    let mut files = Vec::with_capacity(survey.plan.files.len());
    for file in &survey.plan.files {
        if is_ignored(file) {
            tracing::warn!(file = file.name, "the file was rewritten since it was loaded: ignored");
            continue;
        }
        match turns.turn(file) {
            Turn::Now => {}
            Turn::TooLate => {
                left.too_late += 1;
                tracing::info!(file = file.name, "left for the next run: a later file has begun");
                continue;
            }
            Turn::OtherAnswer => {
                left.too_late += 1;
                tracing::info!(
                    file = file.name,
                    "left for the next run: this one has pages of another answer of the API, which gives the same records again"
                );
                continue;
            }
            Turn::HeldUp => {
                left.held_up += 1;
                tracing::warn!(
                    file = file.name,
                    "left for a later run: a file before it cannot be read to its end"
                );
                continue;
            }
        }
        if file.unfinished_bytes > 0 {
            tracing::warn!(
                file = file.name,
                bytes = file.unfinished_bytes,
                "the last bytes of the file may still be written: they are left for the next run"
            );
        }
        files.push(PlannedContent {
            name: file.name.clone(),
            fingerprint: file.fingerprint.clone(),
            columns: file.columns.to_vec(),
            problem: problems.get(file.name.as_str()).copied().cloned(),
            is_page: file.is_page,
        });
    }
    tell_of_problems(survey);
    warn_of_repeats(job, survey);
    warn_of_changing_pages(job, &survey.plan);
    let superseded: Vec<_> = survey.superseded.iter().map(|file| file.file_id).collect();
    let registration = Registration {
        run_id: opened.run_id,
        job: &job.name,
        dataset: &job.source.dataset,
        superseded: &superseded,
        given_up: &survey.given_up,
        files: &files,
        splits: &survey.plan.splits,
    };
    register(connection, &registration).await?;
    Ok(left)
}

/// Says what is not loaded of files that cannot be read to their end, or are gone.
fn tell_of_problems(survey: &Survey) {
    for FileProblem { file, reason, message } in &survey.plan.problems {
        tracing::warn!(file, reason, error = message, "the file cannot be read to its end");
    }
    for file in &survey.missing {
        tracing::warn!(
            file = file.name,
            records = file.rows_left,
            "the file is gone from the source: what is left of it is given up"
        );
    }
}

/// Rows of a file that is loaded again are added to those that were loaded before.
fn warn_of_repeats(job: &Job, survey: &Survey) {
    let appends = job.targets.iter().filter(|target| target.mode == Mode::Append);
    let appends: Vec<String> = appends.map(|target| target.table.to_string()).collect();
    if !survey.superseded.is_empty() && !appends.is_empty() {
        tracing::warn!(
            files = survey.superseded.len(),
            tables = appends.join(", "),
            "files are loaded again in mode append: what was loaded of them before stays"
        );
    }
}
