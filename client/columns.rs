//! Turns what the job, the target's catalogue and the dataset say into one type for each column.
//!
//! First that applies: the job's own words; the existing table; the dataset; text.

use ferry::host::settings::nearest;
use ferry::schema::{Column, ColumnType};

use crate::job::Job;
use crate::load::catalogue::TargetTable;

/// Hexadecimal digits of a pseudonym.
const HEX_DIGITS: u32 = 64;

/// A column on its way from the source to the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedColumn {
    /// What is asked of the source.
    pub(crate) source: Column,
    /// What is written to the target.
    pub(crate) target: Column,
    /// Domain of the pseudonym, if the column is personal data.
    pub(crate) pii_domain: Option<String>,
    /// Whether the target refuses NULL.
    pub(crate) is_required: bool,
}

/// Columns that do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ColumnError {
    /// The dataset lacks a column that the job names.
    #[error("dataset {dataset} has no column \"{column}\"{hint}")]
    NotInDataset {
        /// Name of the dataset.
        dataset: String,
        /// Column that the job names.
        column: String,
        /// The nearest name, or the list of names.
        hint: String,
    },
    /// The job says something of a column that it does not load.
    #[error("column \"{0}\" is configured but not loaded: add it to source.columns")]
    NotLoaded(String),
    /// The table does not exist.
    #[error("table {0} does not exist: create it, or set create = true (--create)")]
    NoTable(String),
    /// The table lacks a column.
    #[error(
        "target table {table} lacks column \"{column}\": add it, or leave it out of source.columns"
    )]
    NotInTable {
        /// Name of the table.
        table: String,
        /// Column of the source.
        column: String,
    },
    /// The table has a column that cannot be left out.
    #[error(
        "target table {table} requires column \"{column}\", which the source does not give: give it a default"
    )]
    RequiredByTable {
        /// Name of the table.
        table: String,
        /// Column of the table.
        column: String,
    },
    /// The column's type in the table cannot be loaded.
    #[error("column \"{column}\" of {table} is {found}: {hint}")]
    TypeMismatch {
        /// Name of the table.
        table: String,
        /// Name of the column.
        column: String,
        /// Type in the table.
        found: String,
        /// What to do.
        hint: String,
    },
}

/// Decides what each column is on both sides.
///
/// `table` is `None` if the target does not exist and is to be made.
pub(crate) fn plan_columns(
    job: &Job,
    dataset_columns: &[Column],
    table: Option<&TargetTable>,
) -> Result<Vec<PlannedColumn>, ColumnError> {
    let wanted = wanted_columns(job, dataset_columns)?;
    let mut planned = Vec::with_capacity(wanted.len());
    for dataset_column in wanted {
        planned.push(plan_column(job, dataset_column, table)?);
    }
    if let Some(rule) = job.columns.iter().find(|rule| !is_among(&rule.name, &planned)) {
        // A mistyped name here would load personal data as it is.
        if dataset_columns.iter().any(|column| column.name == rule.name) {
            return Err(ColumnError::NotLoaded(rule.name.clone()));
        }
        return Err(not_in_dataset(job, &rule.name, dataset_columns));
    }
    if let Some(table) = table {
        refuse_missing_required(table, &planned)?;
    }
    Ok(planned)
}

/// The plan as the ledger keeps it: what a run did to each column.
pub(crate) fn to_json(columns: &[PlannedColumn]) -> String {
    let entry = |column: &PlannedColumn| {
        serde_json::json!({
            "name": column.source.name,
            "read_as": column.source.column_type.to_string(),
            "loaded_as": column.target.column_type.to_string(),
            "pii": column.pii_domain,
        })
    };
    columns.iter().map(entry).collect::<serde_json::Value>().to_string()
}

fn is_among(name: &str, planned: &[PlannedColumn]) -> bool {
    planned.iter().any(|column| column.source.name == name)
}

fn wanted_columns<'a>(
    job: &Job,
    dataset_columns: &'a [Column],
) -> Result<Vec<&'a Column>, ColumnError> {
    if job.source.columns.is_empty() {
        return Ok(dataset_columns.iter().collect());
    }
    let find = |name: &String| {
        let column = dataset_columns.iter().find(|column| column.name == *name);
        column.ok_or_else(|| not_in_dataset(job, name, dataset_columns))
    };
    job.source.columns.iter().map(find).collect()
}

fn not_in_dataset(job: &Job, name: &str, columns: &[Column]) -> ColumnError {
    let names = || columns.iter().map(|column| column.name.as_str());
    let hint = match nearest(name, names()) {
        Some(near) => format!(": did you mean \"{near}\"?"),
        None => format!(": it has {}", names().collect::<Vec<_>>().join(", ")),
    };
    ColumnError::NotInDataset { dataset: job.source.dataset.clone(), column: name.to_owned(), hint }
}

fn plan_column(
    job: &Job,
    dataset_column: &Column,
    table: Option<&TargetTable>,
) -> Result<PlannedColumn, ColumnError> {
    let name = &dataset_column.name;
    let rule = job.columns.iter().find(|rule| rule.name == *name);
    let pii_domain = rule.and_then(|rule| rule.pii_domain.clone());
    let own_type = rule.and_then(|rule| rule.column_type);
    let (target_type, is_required) = match table {
        Some(table) => table_type(table, name, own_type, pii_domain.is_some())?,
        None if pii_domain.is_some() => (ColumnType::Bytea, false),
        None => (own_type.unwrap_or(dataset_column.column_type), false),
    };
    // The hash is of the text as it stands in the file.
    let source_type = if pii_domain.is_some() { ColumnType::Text } else { target_type };
    Ok(PlannedColumn {
        source: Column { name: name.clone(), column_type: source_type },
        target: Column { name: name.clone(), column_type: target_type },
        pii_domain,
        is_required,
    })
}

/// The type that the table gives a column, and whether it refuses NULL.
fn table_type(
    table: &TargetTable,
    name: &str,
    own_type: Option<ColumnType>,
    is_pii: bool,
) -> Result<(ColumnType, bool), ColumnError> {
    let column = table.columns.iter().find(|column| column.name == *name).ok_or_else(|| {
        ColumnError::NotInTable { table: table.name.to_string(), column: name.to_owned() }
    })?;
    let mismatch = |hint: &str| ColumnError::TypeMismatch {
        table: table.name.to_string(),
        column: name.to_owned(),
        found: column.type_name.clone(),
        hint: hint.to_owned(),
    };
    if column.is_generated {
        return Err(mismatch("PostgreSQL generates it: leave it out of source.columns"));
    }
    let Some(found) = column.column_type else {
        return Err(mismatch("this type cannot be loaded yet: leave it out of source.columns"));
    };
    if is_pii {
        let holds_pseudonym = match found {
            ColumnType::Bytea | ColumnType::Text => true,
            ColumnType::Varchar(length) => length >= HEX_DIGITS,
            _ => false,
        };
        if !holds_pseudonym {
            return Err(mismatch("a pseudonym needs bytea, or text of 64 characters"));
        }
    } else if let Some(own) = own_type.filter(|own| *own != found) {
        return Err(mismatch(&format!("the job says {own}: leave the type out of the job")));
    }
    Ok((found, column.is_not_null))
}

fn refuse_missing_required(
    table: &TargetTable,
    planned: &[PlannedColumn],
) -> Result<(), ColumnError> {
    let is_missing = |name: &str| !planned.iter().any(|column| column.target.name == name);
    match table.columns.iter().find(|column| column.is_required && is_missing(&column.name)) {
        None => Ok(()),
        Some(column) => Err(ColumnError::RequiredByTable {
            table: table.name.to_string(),
            column: column.name.clone(),
        }),
    }
}
