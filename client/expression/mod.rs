//! SQL expressions of a job: parsed, typed and planned before a row moves, evaluated batch by batch.
//!
//! Built on DataFusion's expression crates, with PostgreSQL's syntax.
//! Invariant: an expression that compiles evaluates for every batch of its
//! schema; what fails for a value fails for that row alone.

mod error;
mod evaluate;
mod functions;
mod numbers;
mod parse;
mod plan;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow_schema::{DataType, SchemaRef};
use datafusion_physical_expr::PhysicalExpr;

pub(crate) use error::ExpressionError;

/// An expression over the columns of one schema.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    plan: Arc<dyn PhysicalExpr>,
    data_type: DataType,
    column_indexes: Vec<usize>,
    /// Those of them that hold UUIDs: expressions see these as text.
    uuid_indexes: Vec<usize>,
}

impl Expression {
    /// Compiles `text` against the columns of `schema`.
    ///
    /// `setting` names where it stands, such as `transform.set.full_name`.
    pub(crate) fn compile(
        setting: &str,
        text: &str,
        schema: &SchemaRef,
    ) -> Result<Self, ExpressionError> {
        let parsed = parse::parse(setting, text)?;
        plan::plan(setting, text, &parsed, schema)
    }

    /// Compiles a condition: it must be true, false or null.
    pub(crate) fn predicate(
        setting: &str,
        text: &str,
        schema: &SchemaRef,
    ) -> Result<Self, ExpressionError> {
        let expression = Self::compile(setting, text, schema)?;
        if expression.data_type == DataType::Boolean {
            return Ok(expression);
        }
        let found = plan::type_name(&expression.data_type);
        Err(ExpressionError::new(
            setting,
            text,
            None,
            format!("it gives {found}, not true or false"),
        ))
    }

    /// Arrow type of its values: one that a column of ferry can have.
    pub(crate) fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Columns of the schema that it reads, in ascending order.
    pub(crate) fn column_indexes(&self) -> &[usize] {
        &self.column_indexes
    }
}

/// Names that an expression may mean as columns, before any type is known.
pub(crate) fn column_names(setting: &str, text: &str) -> Result<Vec<String>, ExpressionError> {
    Ok(parse::column_names(&parse::parse(setting, text)?))
}

/// Whether an expression is nothing but a column, so that it gives the value as it is.
pub(crate) fn is_bare_column(setting: &str, text: &str) -> Result<bool, ExpressionError> {
    Ok(parse::is_bare_column(&parse::parse(setting, text)?))
}
