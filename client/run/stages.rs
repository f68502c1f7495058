//! Turns the plan of all columns into the stages that every batch goes through.

use std::collections::HashMap;

use crate::check::{Checker, ColumnChecks};
use crate::clean::{Cleaner, ColumnCleaning};
use crate::columns::{ColumnPlan, TargetPlan};
use crate::error::ClientError;
use crate::job::{CachePolicy, Job, Mode};
use crate::ledger::RunId;
use crate::load::replace;
use crate::load::table::{LoadColumn, Merge, TableLoad};
use crate::pipeline::Stages;
use crate::pseudonym::Pseudonymiser;
use crate::receive::Misfit;
use crate::transform::Transformer;

/// Where the rows of a table that is replaced go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Into the table itself, as rows do that are added to it later.
    Live,
    /// Into the table that takes its place when the run is finished.
    Incoming(RunId),
}

/// Makes the stages of a plan; what is wrong with a rule is found here, before a row moves.
pub(crate) fn stages(
    job: &Job,
    plan: &ColumnPlan,
    misfit: Misfit,
    destination: Destination,
) -> Result<Stages, ClientError> {
    let source_columns = plan.source_columns();
    let clean_columns = plan.clean_columns();
    let mut cleaning = Vec::with_capacity(plan.sources.len());
    let mut checks = Vec::with_capacity(plan.sources.len());
    let mut treatments = Vec::with_capacity(plan.sources.len());
    for source in &plan.sources {
        cleaning
            .push(ColumnCleaning { rules: source.clean.clone(), column_type: source.clean_type });
        checks.push(ColumnChecks {
            rules: source.checks.clone(),
            on_fail: source.on_fail,
            claims: source.claims.clone(),
        });
        treatments.push(source.treatment.clone());
    }
    let (inputs, outputs) = (plan.inputs.clone(), plan.outputs.clone());
    Ok(Stages {
        cleaner: Cleaner::new(&source_columns, &cleaning)?,
        checker: Checker::new(&clean_columns, checks, &job.row_checks, job.load.unique_bytes)?,
        pseudonymiser: Pseudonymiser::new(&clean_columns, treatments, plan.derived.clone()),
        transformer: Transformer::new(inputs, plan.filter.clone(), outputs),
        tables: tables(job, plan, destination, &HashMap::new()),
        source_columns,
        misfit,
    })
}

/// How rows get into each table of the plan; `names` are those of constraints
/// where the tables that are written have others.
pub(crate) fn tables(
    job: &Job,
    plan: &ColumnPlan,
    destination: Destination,
    names: &HashMap<String, String>,
) -> Vec<TableLoad> {
    let mut tables = Vec::with_capacity(plan.targets.len());
    for (index, target) in plan.targets.iter().enumerate() {
        let mut table = table(index, target, destination).with_constraint_names(names.clone());
        // In the order of the job, as the plan is.
        let is_cached =
            job.targets.get(index).is_some_and(|target| target.cache == CachePolicy::On);
        // What is filled beside a table is cached by nobody before it takes its place.
        if is_cached && !is_beside(target, destination) {
            table = table.with_cached_key(&target.key);
        }
        tables.push(table);
    }
    tables
}

/// Whether rows go into another table than the target first.
fn is_beside(target: &TargetPlan, destination: Destination) -> bool {
    matches!((&target.mode, destination), (Mode::Replace { .. }, Destination::Incoming(_)))
}

fn table(index: usize, target: &TargetPlan, destination: Destination) -> TableLoad {
    let columns = target.columns.iter().map(|column| LoadColumn {
        column: column.column.clone(),
        type_name: column.type_name.clone(),
        output: column.output,
        store: column.store.clone(),
    });
    let into = match (&target.mode, destination) {
        (Mode::Replace { .. }, Destination::Incoming(run_id)) => {
            replace::incoming_name(run_id, index)
        }
        _ => target.table.clone(),
    };
    TableLoad::new(index, &target.table, &into, columns.collect(), merge(target))
}

fn merge(target: &TargetPlan) -> Merge {
    let key = target.key.clone();
    match &target.mode {
        Mode::Append | Mode::Replace { .. } => Merge::Append,
        Mode::InsertNew => Merge::InsertNew { key },
        Mode::Upsert { only_if_newer, .. } => Merge::Upsert {
            update: target.updated_columns(),
            only_if_newer: only_if_newer.clone(),
            key,
        },
    }
}
