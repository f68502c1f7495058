//! Makes arithmetic of expressions behave as PostgreSQL's does.
//!
//! In `DataFusion` a number with a point is a numeric even beside a floating-point
//! one, which is then cut off; a floating-point division by zero gives infinity;
//! a cast to an integer cuts the fraction off; a minus sign wraps around.

use std::hash::Hash;
use std::sync::Arc;

use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_schema::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode as _};
use datafusion_common::{DFSchema, DataFusionError, ScalarValue};
use datafusion_expr::expr::{Between, BinaryExpr, Case, Cast, InList, ScalarFunction};
use datafusion_expr::{
    ColumnarValue, Expr, ExprSchemable as _, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use super::functions::function;

/// Functions that give back one of their arguments.
const CHOICES: [&str; 7] = ["coalesce", "greatest", "ifnull", "least", "nullif", "nvl", "nvl2"];

/// Makes floating-point numbers of the numerics that meet one.
pub(super) fn with_floats(expression: Expr, schema: &DFSchema) -> Result<Expr, DataFusionError> {
    let converted = expression.transform_up(|part| {
        Ok(Transformed::yes(match part {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let [left, right] = as_floats([*left, *right], schema)?;
                Expr::BinaryExpr(BinaryExpr { left: left.into(), op, right: right.into() })
            }
            Expr::Between(Between { expr, negated, low, high }) => {
                let [expr, low, high] = as_floats([*expr, *low, *high], schema)?;
                Expr::Between(Between::new(expr.into(), negated, low.into(), high.into()))
            }
            Expr::InList(InList { expr, list, negated }) => {
                let mut all = as_floats_of(std::iter::once(*expr).chain(list).collect(), schema)?;
                let list = all.split_off(1);
                let expr = all.remove(0);
                Expr::InList(InList { expr: expr.into(), list, negated })
            }
            Expr::ScalarFunction(ScalarFunction { func, args })
                if CHOICES.contains(&func.name()) =>
            {
                Expr::ScalarFunction(ScalarFunction { func, args: as_floats_of(args, schema)? })
            }
            Expr::Case(case) => Expr::Case(case_of_floats(case, schema)?),
            other => return Ok(Transformed::no(other)),
        }))
    })?;
    Ok(converted.data)
}

fn case_of_floats(case: Case, schema: &DFSchema) -> Result<Case, DataFusionError> {
    let Case { expr, when_then_expr, else_expr } = case;
    let (whens, mut results): (Vec<_>, Vec<_>) =
        when_then_expr.into_iter().map(|(when, then)| (when, *then)).unzip();
    let has_else = else_expr.is_some();
    results.extend(else_expr.map(|result| *result));
    let mut results = as_floats_of(results, schema)?;
    let else_expr = if has_else { results.pop().map(Box::new) } else { None };
    let when_then_expr =
        whens.into_iter().zip(results).map(|(when, then)| (when, Box::new(then))).collect();
    Ok(Case { expr, when_then_expr, else_expr })
}

fn as_floats<const COUNT: usize>(
    parts: [Expr; COUNT],
    schema: &DFSchema,
) -> Result<[Expr; COUNT], DataFusionError> {
    let converted = as_floats_of(parts.to_vec(), schema)?;
    Ok(<[Expr; COUNT]>::try_from(converted).unwrap_or(parts))
}

/// The parts, with numerics cast if one of the others is a floating-point number.
fn as_floats_of(parts: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>, DataFusionError> {
    let types = parts.iter().map(|part| part.get_type(schema)).collect::<Result<Vec<_>, _>>()?;
    let is_mixed = types.iter().any(DataType::is_floating) && types.iter().any(is_decimal);
    if !is_mixed {
        return Ok(parts);
    }
    let convert = |(part, data_type): (Expr, &DataType)| {
        if is_decimal(data_type) { cast(part, DataType::Float64) } else { part }
    };
    Ok(parts.into_iter().zip(&types).map(convert).collect())
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..))
}

fn cast(part: Expr, data_type: DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(part), data_type))
}

/// Rounds what is cast to an integer.
pub(super) fn with_rounding(typed: Expr, schema: &DFSchema) -> Result<Expr, DataFusionError> {
    let rounded = typed.transform_up(|part| {
        let Expr::Cast(inner) = part else {
            return Ok(Transformed::no(part));
        };
        let from = inner.expr.get_type(schema)?;
        let is_cut_off =
            (from.is_floating() || is_decimal(&from)) && inner.field.data_type().is_integer();
        let Some(round) = function("round").filter(|_| is_cut_off) else {
            return Ok(Transformed::no(Expr::Cast(inner)));
        };
        let round = Expr::ScalarFunction(ScalarFunction::new_udf(round, vec![*inner.expr]));
        Ok(Transformed::yes(cast(round, inner.field.data_type().clone())))
    })?;
    Ok(rounded.data)
}

/// Takes integers away from zero in place of a minus sign, so that an overflow fails.
pub(super) fn with_checked_signs(typed: Expr, schema: &DFSchema) -> Result<Expr, DataFusionError> {
    let checked = typed.transform_up(|part| {
        let Expr::Negative(inner) = part else {
            return Ok(Transformed::no(part));
        };
        let data_type = inner.get_type(schema)?;
        if !data_type.is_integer() {
            return Ok(Transformed::no(Expr::Negative(inner)));
        }
        let zero = Expr::Literal(ScalarValue::new_zero(&data_type)?, None);
        let difference = BinaryExpr { left: Box::new(zero), op: Operator::Minus, right: inner };
        Ok(Transformed::yes(Expr::BinaryExpr(difference)))
    })?;
    Ok(checked.data)
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
