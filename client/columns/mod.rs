//! Turns what the job, the targets' catalogue and the dataset say into one plan of all columns.
//!
//! The plan is made before a row moves: every type is decided, every expression
//! compiled. Types: first that applies of the job's own words; the first
//! existing table that takes the column; the dataset.

mod drift;
mod error;
mod evolve;
mod modes;
mod names;
mod record;
mod sources;
mod targets;

use ferry::schema::{Column, arrow_schema, column_type_of};

use crate::expression::{Expression, is_bare_column};
use crate::job::{ColumnRule, Job, Mode};
use crate::key::PseudonymKey;
use crate::load::catalogue::{Store, TargetTable};
use crate::names::TableName;
use crate::pseudonym::{Derived, salt_name, treated_columns};
use crate::transform::{Input, Output};

pub(crate) use drift::{Drift, FileHeader, drift};
pub(crate) use error::ColumnError;
pub(crate) use evolve::evolve;
pub(crate) use names::{Origin, finals};
pub(crate) use record::{columns_json, rules_json};
pub(crate) use sources::SourceColumn;

/// What a run does to every column on its way.
#[derive(Debug)]
pub(crate) struct ColumnPlan {
    /// Columns that are asked of the source, in its order.
    pub(crate) sources: Vec<SourceColumn>,
    /// Personal columns that never leave the source.
    pub(crate) left_at_source: Vec<String>,
    /// Columns made of values before their pseudonyms.
    pub(crate) derived: Vec<Derived>,
    /// Columns that the transform stage sees.
    pub(crate) inputs: Vec<Input>,
    /// Which rows are loaded.
    pub(crate) filter: Option<Expression>,
    /// Columns that the tables take.
    pub(crate) outputs: Vec<Output>,
    /// The tables, in the order of the job.
    pub(crate) targets: Vec<TargetPlan>,
}

/// A table and what goes into its columns.
#[derive(Debug)]
pub(crate) struct TargetPlan {
    /// The table, as the catalogue names it if it exists.
    pub(crate) table: TableName,
    /// The statement that makes the table, if it does not exist.
    pub(crate) ddl: Option<String>,
    /// Its columns that are loaded, each with the output that goes into it.
    pub(crate) columns: Vec<TargetColumnPlan>,
    /// How rows meet those that are there already.
    pub(crate) mode: Mode,
    /// Columns that tell its rows apart.
    pub(crate) key: Vec<String>,
}

impl TargetPlan {
    /// The columns that a row of the table takes over from one of the same key:
    /// those that the mode names, or else all that can be updated but the key.
    pub(crate) fn updated_columns(&self) -> Vec<String> {
        match &self.mode {
            Mode::Upsert { update, .. } if !update.is_empty() => update.clone(),
            _ => {
                let updatable = self.columns.iter().filter(|column| column.store.is_updatable);
                let names = updatable.map(|column| column.column.name.clone());
                names.filter(|name| !self.key.contains(name)).collect()
            }
        }
    }
}

/// One column of a table.
#[derive(Debug)]
pub(crate) struct TargetColumnPlan {
    /// Name and type in the table.
    pub(crate) column: Column,
    /// The type as PostgreSQL writes it; `None` if the table is to be made.
    pub(crate) type_name: Option<String>,
    /// Index of its output.
    pub(crate) output: usize,
    /// Where its values come from, in words.
    pub(crate) origin: String,
    /// Whether a row with NULL there is refused.
    pub(crate) is_required: bool,
    /// How PostgreSQL takes its values.
    pub(crate) store: Store,
}

impl ColumnPlan {
    /// The columns that are asked of the source.
    pub(crate) fn source_columns(&self) -> Vec<Column> {
        self.sources.iter().map(|source| source.column.clone()).collect()
    }

    /// The columns after cleaning.
    pub(crate) fn clean_columns(&self) -> Vec<Column> {
        self.sources.iter().map(SourceColumn::clean_column).collect()
    }

    /// Names of the tables, as people read them.
    pub(crate) fn table_names(&self) -> String {
        let names: Vec<String> =
            self.targets.iter().map(|target| target.table.to_string()).collect();
        names.join(", ")
    }
}

/// Plans the columns of a job. `tables` are those of its targets, `None` where
/// a table does not exist and is to be made.
pub(crate) fn plan(
    job: &Job,
    dataset_columns: &[Column],
    tables: &[Option<TargetTable>],
    key: Option<&PseudonymKey>,
) -> Result<ColumnPlan, ColumnError> {
    let wanted = sources::wanted(job, dataset_columns)?;
    let finals = names::finals(job, &wanted)?;
    let choices = targets::choose(job, &finals, tables)?;
    let sources::Sources { columns: sources, left } = sources::plan(job, &wanted, &choices, key)?;
    let clean: Vec<Column> = sources.iter().map(SourceColumn::clean_column).collect();
    let derived = derive(job, &clean)?;
    let treatments: Vec<_> = sources.iter().map(|source| source.treatment.clone()).collect();
    let mut visible = treated_columns(&clean, &treatments);
    visible.extend(derived.iter().map(|derived| derived.column.clone()));
    let schema = arrow_schema(&visible);
    let filter = job.transform.filter.as_ref();
    let filter =
        filter.map(|text| Expression::predicate("transform.filter", text, &schema)).transpose()?;
    let inputs = inputs(&sources, &visible);
    let (outputs, targets) = targets::plan(&choices, &visible, &inputs)?;
    Ok(ColumnPlan { inputs, sources, left_at_source: left, derived, filter, outputs, targets })
}

/// Compiles what is made of values before their pseudonyms.
fn derive(job: &Job, clean: &[Column]) -> Result<Vec<Derived>, ColumnError> {
    let schema = arrow_schema(clean);
    let mut derived = Vec::new();
    for (name, text) in &job.transform.derive_before_hash {
        let setting = format!("transform.derive_before_hash.{name}");
        let expression = Expression::compile(&setting, text, &schema)?;
        let reads_personal = expression
            .column_indexes()
            .iter()
            .any(|index| rule_of(job, &clean[*index].name).is_some_and(ColumnRule::is_personal));
        if reads_personal && is_bare_column(&setting, text)? {
            return Err(ColumnError::DerivedAsItIs(setting));
        }
        let column = Column { name: name.clone(), column_type: type_of(&setting, &expression)? };
        derived.push(Derived { column, expression });
    }
    Ok(derived)
}

/// The type of the column that an expression makes.
fn type_of(
    setting: &str,
    expression: &Expression,
) -> Result<ferry::schema::ColumnType, ColumnError> {
    column_type_of(expression.data_type())
        .ok_or_else(|| ColumnError::NoColumnType(setting.to_owned()))
}

fn inputs(sources: &[SourceColumn], visible: &[Column]) -> Vec<Input> {
    let is_pseudonym = |name: &str| {
        let is_hashed = |source: &SourceColumn| source.is_pseudonym();
        let of = |source: &&SourceColumn| {
            name == source.column.name || name == salt_name(&source.column.name)
        };
        sources.iter().find(of).is_some_and(is_hashed)
    };
    let input = |column: &Column| Input {
        name: column.name.clone(),
        is_pseudonym: is_pseudonym(&column.name),
    };
    visible.iter().map(input).collect()
}

/// What the job says of a column.
fn rule_of<'a>(job: &'a Job, name: &str) -> Option<&'a ColumnRule> {
    job.columns.iter().find(|rule| rule.name == name)
}
