//! Turns the plan of all columns into the stages that every batch goes through.

use crate::check::{Checker, ColumnChecks};
use crate::clean::{Cleaner, ColumnCleaning};
use crate::columns::ColumnPlan;
use crate::error::ClientError;
use crate::job::Job;
use crate::load::copy::TableCopy;
use crate::pipeline::Stages;
use crate::pseudonym::Pseudonymiser;
use crate::transform::Transformer;

/// Makes the stages of a plan; what is wrong with a rule is found here, before a row moves.
pub(crate) fn stages(job: &Job, plan: &ColumnPlan) -> Result<Stages, ClientError> {
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
    let mut tables = Vec::with_capacity(plan.targets.len());
    for target in &plan.targets {
        let columns = target.columns.iter().map(|column| (column.column.clone(), column.output));
        tables.push(TableCopy::new(&target.table, columns.collect()));
    }
    let (inputs, outputs) = (plan.inputs.clone(), plan.outputs.clone());
    Ok(Stages {
        cleaner: Cleaner::new(&source_columns, &cleaning)?,
        checker: Checker::new(&clean_columns, checks, &job.row_checks, job.load.unique_bytes)?,
        pseudonymiser: Pseudonymiser::new(&clean_columns, treatments, plan.derived.clone()),
        transformer: Transformer::new(inputs, plan.filter.clone(), outputs),
        tables,
        source_columns,
    })
}
