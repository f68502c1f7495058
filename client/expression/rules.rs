//! What `DataFusion` would take and who knows PostgreSQL would not expect: refused before a row moves.

use arrow_schema::DataType;
use datafusion_common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError};
use datafusion_expr::expr::BinaryExpr;
use datafusion_expr::{Expr, ExprSchemable as _, Operator};
use regex::Regex;

/// Functions whose second argument is a regular expression.
const REGEX_FUNCTIONS: [&str; 4] =
    ["regexp_count", "regexp_instr", "regexp_like", "regexp_replace"];

/// Why an expression is refused although `DataFusion` would plan it.
pub(super) fn refused(
    expression: &Expr,
    schema: &DFSchema,
) -> Result<Option<String>, DataFusionError> {
    let mut problem = None;
    expression.apply(|part| {
        if let Some(pattern) = pattern_of(part) {
            problem = refused_pattern(pattern);
        }
        for (left, right) in compared(part) {
            if is_text_against_number(left, right, schema)?
                || is_text_against_number(right, left, schema)?
            {
                problem = Some(
                    "it compares text with a number: cast one side, such as CAST(… AS numeric(12,2))",
                );
            }
            if is_bytes_against_text(left, right, schema)?
                || is_bytes_against_text(right, left, schema)?
            {
                problem = Some("it compares bytea with text: write decode('…', 'hex')");
            }
        }
        let is_found = problem.is_some();
        Ok(if is_found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(problem.map(str::to_owned))
}

/// The regular expression that a part matches with.
fn pattern_of(part: &Expr) -> Option<&Expr> {
    match part {
        Expr::BinaryExpr(BinaryExpr {
            op:
                Operator::RegexMatch
                | Operator::RegexIMatch
                | Operator::RegexNotMatch
                | Operator::RegexNotIMatch,
            right,
            ..
        }) => Some(right),
        Expr::ScalarFunction(call) if REGEX_FUNCTIONS.contains(&call.name()) => call.args.get(1),
        _ => None,
    }
}

/// Why a regular expression is refused, if it is: one of a record could take hours.
fn refused_pattern(pattern: &Expr) -> Option<&'static str> {
    match pattern {
        Expr::Literal(value, _) => match value.try_as_str() {
            Some(Some(text)) if Regex::new(text).is_err() => {
                Some("its regular expression is not one that the regex crate takes, or too large")
            }
            _ => None,
        },
        _ => Some("a regular expression must be written out as text"),
    }
}

/// Whether bytes would be taken for text, which fails for most of them: asked
/// once every type is coerced.
pub(super) fn reads_bytes_as_text(
    typed: &Expr,
    schema: &DFSchema,
) -> Result<bool, DataFusionError> {
    let mut is_found = false;
    typed.apply(|part| {
        if let Expr::Cast(cast) = part {
            let is_bytes = is_bytes(&cast.expr.get_type(schema)?);
            is_found |= is_bytes && is_text(cast.field.data_type());
        }
        Ok(if is_found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(is_found)
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
    Ok(is_text(&text.get_type(schema)?) && number.get_type(schema)?.is_numeric())
}

fn is_bytes_against_text(
    bytes: &Expr,
    text: &Expr,
    schema: &DFSchema,
) -> Result<bool, DataFusionError> {
    Ok(is_bytes(&bytes.get_type(schema)?) && is_text(&text.get_type(schema)?))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::BinaryView | DataType::LargeBinary)
}
