//! Turns what is new at the source into the statements that fit the tables of a job to it. Pure: no I/O.
//!
//! Invariants: no statement loses a value or refuses a row that was taken
//! before; what a table has already needs none, so that they can be made again.

use ferry::schema::{Column, ColumnType, Precision};

use super::drift::{Difference, Drift, shown};
use super::{ColumnError, rule_of};
use crate::job::{Form, Job, Pii, Target};
use crate::load::catalogue::{Store, TargetColumn, TargetTable};
use crate::load::ddl;
use crate::names::check_column_name;
use crate::pseudonym::salt_name;

/// What fits the tables to the source.
#[derive(Debug)]
pub(crate) struct Evolution {
    /// In this order.
    pub(crate) statements: Vec<String>,
    /// The tables as the statements leave them.
    pub(crate) tables: Vec<Option<TargetTable>>,
}

/// Follows the differences in the tables of a job, in the order of its targets.
///
/// A table that is to be made, `None`, is made with all columns. One whose
/// target names its columns gets no other.
pub(crate) fn evolve(
    job: &Job,
    drift: &Drift,
    mut tables: Vec<Option<TargetTable>>,
) -> Result<Evolution, ColumnError> {
    let mut statements = Vec::new();
    for (target, table) in job.targets.iter().zip(&mut tables) {
        let Some(table) = table else {
            continue;
        };
        for difference in &drift.differences {
            match difference {
                Difference::Appeared { column, .. } if target.columns.is_empty() => {
                    statements.extend(add(job, column, table)?);
                }
                Difference::Changed { column, before, now } => {
                    statements.extend(widen(job, target, column, (*before, *now), table)?);
                }
                Difference::Appeared { .. } | Difference::Vanished { .. } => {}
            }
        }
    }
    Ok(Evolution { statements, tables })
}

/// Adds what a new column brings to a table, unless it is there.
fn add(job: &Job, column: &Column, table: &mut TargetTable) -> Result<Vec<String>, ColumnError> {
    let mut statements = Vec::new();
    for Column { name, column_type } in made_of(job, column) {
        let Some(name) = loaded_name(job, &name) else {
            continue;
        };
        if table.columns.iter().any(|found| found.name == name) {
            continue;
        }
        if check_column_name(&name).is_err() || name.chars().any(char::is_control) {
            let table = table.name.to_string();
            return Err(ColumnError::CannotAdd { table, column: shown(&name) });
        }
        statements.push(ddl::add_column(&table.name, &name, &column_type.to_string()));
        table.columns.push(TargetColumn::added(&name, column_type));
    }
    Ok(statements)
}

/// The columns that a column of the source becomes, as a table that ferry makes would have them.
fn made_of(job: &Job, column: &Column) -> Vec<Column> {
    let rule = rule_of(job, &column.name);
    let of_type = |column_type| Column { name: column.name.clone(), column_type };
    let pseudonym = |form: Option<Form>| match form {
        Some(Form::Hex) => ColumnType::Text,
        Some(Form::Bytea) | None => ColumnType::Bytea,
    };
    match rule.and_then(|rule| rule.pii.as_ref()) {
        Some(Pii::Drop) => Vec::new(),
        Some(Pii::Mask { .. }) => vec![of_type(ColumnType::Text)],
        Some(Pii::Hash { form, .. }) => vec![of_type(pseudonym(*form))],
        Some(Pii::Salted { form, .. }) => {
            let column_type = pseudonym(*form);
            let salt = Column { name: salt_name(&column.name), column_type };
            vec![of_type(column_type), salt]
        }
        None | Some(Pii::Public) => {
            let own = rule.and_then(|rule| rule.column_type);
            vec![of_type(own.unwrap_or(column.column_type))]
        }
    }
}

/// The name under which tables know a column; `None` if it does not reach them as it is.
fn loaded_name(job: &Job, name: &str) -> Option<String> {
    let transform = &job.transform;
    let is_replaced = transform.set.iter().any(|(made, _)| made == name);
    if is_replaced || transform.drop.iter().any(|dropped| dropped == name) {
        return None;
    }
    let renamed = transform.rename.iter().find(|(old, _)| old == name);
    Some(renamed.map_or(name, |(_, new)| new.as_str()).to_owned())
}

/// Widens a column of a table to the type that the source declares now, if it must be.
fn widen(
    job: &Job,
    target: &Target,
    column: &str,
    (before, now): (ColumnType, ColumnType),
    table: &mut TargetTable,
) -> Result<Option<String>, ColumnError> {
    let Some(name) = loaded_name(job, column) else {
        return Ok(None);
    };
    if !target.columns.is_empty() && !target.columns.contains(&name) {
        return Ok(None);
    }
    let Some(found) = table.columns.iter_mut().find(|found| found.name == name) else {
        return Ok(None);
    };
    let Some(held) = found.column_type else {
        return Ok(None);
    };
    // What did not fit before is refused row by row, as it was.
    if takes(held, now) || !takes(held, before) {
        return Ok(None);
    }
    // A domain, or `character(n)`, is more than the type that it holds.
    let is_plain = found.type_name.parse::<ColumnType>() == Ok(held);
    if !is_plain || found.is_generated || !widens(held, now) {
        return Err(ColumnError::CannotWiden {
            table: table.name.to_string(),
            column: name,
            found: found.type_name.clone(),
            now: now.to_string(),
        });
    }
    let collation = collation(&found.store).to_owned();
    let statement = ddl::widen_column(&table.name, &name, &format!("{now}{collation}"));
    let store = Store::of(now);
    found.store = Store {
        staged_as: format!("{}{collation}", store.staged_as),
        is_updatable: found.store.is_updatable,
        ..store
    };
    found.column_type = Some(now);
    found.type_name = now.to_string();
    Ok(Some(statement))
}

/// The collation of a column if it is not that of its type: a new type alone would reset it.
fn collation(store: &Store) -> &str {
    store.staged_as.find(" COLLATE ").map_or("", |at| &store.staged_as[at..])
}

/// Whether a column of a table takes every value of a type of the source.
fn takes(held: ColumnType, from: ColumnType) -> bool {
    held == from || held == ColumnType::Text || widens(from, held)
}

/// Whether PostgreSQL changes a column of one type to the other without loss.
fn widens(from: ColumnType, to: ColumnType) -> bool {
    use ColumnType::{
        Bigint, Date, DoublePrecision, Integer, Numeric, Real, Smallint, Text, Timestamp, Varchar,
    };
    match (from, to) {
        (Smallint, Integer | Bigint | Real | DoublePrecision | Numeric(None))
        | (Integer, Bigint | DoublePrecision | Numeric(None))
        | (Bigint | Numeric(Some(_)), Numeric(None))
        | (Real, DoublePrecision)
        | (Varchar(_), Text)
        | (Date, Timestamp) => true,
        (Numeric(Some(from)), Numeric(Some(to))) => {
            from != to && to.scale >= from.scale && whole_digits(to) >= whole_digits(from)
        }
        (Varchar(from), Varchar(to)) => from < to,
        _ => false,
    }
}

/// Digits before the decimal point.
fn whole_digits(precision: Precision) -> u16 {
    precision.precision - precision.scale
}

#[cfg(test)]
mod tests;
