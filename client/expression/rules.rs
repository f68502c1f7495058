//! Where DataFusion's arithmetic and comparisons would surprise who knows PostgreSQL's.
//!
//! Two things differ: a comparison of a text column with a number would compare
//! texts, so it is refused; a floating-point division by zero would give
//! infinity, so its divisor is checked.

use std::hash::Hash;
use std::sync::Arc;

use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_schema::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError};
use datafusion_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion_expr::{
    ColumnarValue, Expr, ExprSchemable as _, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

/// Why an expression is refused although DataFusion would plan it.
pub(super) fn refused(
    expression: &Expr,
    schema: &DFSchema,
) -> Result<Option<String>, DataFusionError> {
    let mut problem = None;
    expression.apply(|part| {
        for (left, right) in compared(part) {
            if is_text_against_number(left, right, schema)?
                || is_text_against_number(right, left, schema)?
            {
                problem = Some(
                    "it compares text with a number: cast one side, such as CAST(… AS numeric(12,2))"
                        .to_owned(),
                );
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(problem)
}

/// Pairs of operands that an expression compares.
fn compared(part: &Expr) -> Vec<(&Expr, &Expr)> {
    match part {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => {
            vec![(left, right)]
        }
        Expr::Between(between) => {
            vec![(&between.expr, &between.low), (&between.expr, &between.high)]
        }
        Expr::InList(list) => list.list.iter().map(|item| (list.expr.as_ref(), item)).collect(),
        _ => Vec::new(),
    }
}

/// A literal on the side of the text is read as a number, as PostgreSQL does.
fn is_text_against_number(
    text: &Expr,
    number: &Expr,
    schema: &DFSchema,
) -> Result<bool, DataFusionError> {
    if matches!(text, Expr::Literal(..)) {
        return Ok(false);
    }
    let is_text =
        matches!(text.get_type(schema)?, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    Ok(is_text && number.get_type(schema)?.is_numeric())
}

/// Checks the divisors of floating-point divisions.
pub(super) fn with_checked_divisors(
    expression: Expr,
    schema: &DFSchema,
) -> Result<Expr, DataFusionError> {
    let checked = expression.transform_up(|part| {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = part else {
            return Ok(Transformed::no(part));
        };
        let is_division = matches!(op, Operator::Divide | Operator::Modulo);
        if !is_division || !right.get_type(schema)?.is_floating() {
            return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
        }
        let function = Arc::new(ScalarUDF::from(NonZero::new()));
        let divisor = Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![*right]));
        Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right: Box::new(divisor) })))
    })?;
    Ok(checked.data)
}

/// Gives its argument back, and fails if that is zero.
#[derive(Debug, PartialEq, Eq, Hash)]
struct NonZero {
    signature: Signature,
}

impl NonZero {
    fn new() -> Self {
        let types = vec![DataType::Float32, DataType::Float64];
        Self { signature: Signature::uniform(1, types, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for NonZero {
    fn name(&self) -> &'static str {
        "non_zero"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, argument_types: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(argument_types.first().cloned().unwrap_or(DataType::Float64))
    }

    fn invoke_with_args(
        &self,
        arguments: ScalarFunctionArgs,
    ) -> Result<ColumnarValue, DataFusionError> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let Some(divisors) = arrays.into_iter().next() else {
            return Err(DataFusionError::Execution("a divisor is missing".to_owned()));
        };
        let has_zero = if let Some(values) = divisors.as_primitive_opt::<Float64Type>() {
            values.iter().flatten().any(|value| value == 0.0)
        } else if let Some(values) = divisors.as_primitive_opt::<Float32Type>() {
            values.iter().flatten().any(|value| value == 0.0)
        } else {
            divisors.is_empty()
        };
        if has_zero {
            return Err(DataFusionError::Execution("division by zero".to_owned()));
        }
        Ok(ColumnarValue::Array(divisors))
    }
}
