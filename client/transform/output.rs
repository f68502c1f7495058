//! One loadable column: where its values come from, and how they become what its table holds.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::ArrowError;
use ferry::reject::{Code, Reason};
use ferry::schema::Column;

use super::conversion::Conversion;
use super::{Refused, refuse_nulls};
use crate::expression::Expression;

/// A column that a target takes.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// Its name before any target renames it, and its type in the target.
    pub(super) column: Column,
    value: Value,
    conversion: Conversion,
    is_required: bool,
}

/// Where the values of a column come from.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// A column as the stage before left it, by its index.
    Column(usize, Column),
    /// An expression over these columns.
    Expression(Expression),
}

impl Output {
    /// `None` if such values cannot become the column's type.
    pub(crate) fn new(column: Column, value: Value, is_required: bool) -> Option<Self> {
        let to = column.column_type;
        let conversion = match &value {
            Value::Column(_, from) => Conversion::of_column(from.column_type, to)?,
            Value::Expression(expression) => Conversion::of_values(expression.data_type(), to)?,
        };
        Some(Self { column, value, conversion, is_required })
    }

    /// Whether both take the same values to the same column.
    pub(crate) fn is_same(&self, column: &Column) -> bool {
        self.column == *column
    }

    /// A NULL is refused from now on.
    pub(crate) fn require(&mut self) {
        self.is_required = true;
    }

    /// The column of a batch; what fails is null there, and has a reason in `refused`.
    pub(super) fn make(
        &self,
        records: &RecordBatch,
        refused: &mut Refused,
    ) -> Result<ArrayRef, ArrowError> {
        let name = &self.column.name;
        let values = match &self.value {
            Value::Column(index, _) => Arc::clone(records.column(*index)),
            Value::Expression(expression) => {
                let evaluated = expression.evaluate(records)?;
                for row in evaluated.failed {
                    let reason = Reason::of_column(Code::EXPRESSION_FAILED, name);
                    refused.entry(row).or_default().push(reason);
                }
                evaluated.values
            }
        };
        let converted = self.conversion.convert(&values, self.column.column_type)?;
        for (row, code) in converted.failed {
            refused.entry(row).or_default().push(Reason::of_column(code, name));
        }
        if self.is_required {
            refuse_nulls(&converted.values, name, refused);
        }
        Ok(converted.values)
    }
}
