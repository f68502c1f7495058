//! Turns the rules of a job into checks of its columns, or says why a rule does not fit its column.

use std::collections::HashSet;

use arrow_schema::SchemaRef;
use ferry::reject::Code;
use ferry::schema::{Column, ColumnType};
use regex::Regex;

use crate::expression::{Expression, ExpressionError};
use crate::job::{CheckRule, RowCheck};

use super::ColumnChecks;
use super::bounds::{Bound, Side, has_bounds, suggested_type};
use super::rules::{Check, Rule, ValueRule};
use super::values::{constant, identity, is_text};

/// A check that cannot be applied to its column.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CheckError {
    /// An expression does not compile.
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    /// A rule is about texts, or about another type, and the column is none.
    #[error(
        "column \"{column}\" is {column_type}, and check {check} takes {takes}: leave the check out, or declare type = \"text\""
    )]
    WrongType {
        /// Name of the column.
        column: String,
        /// Name of the rule.
        check: &'static str,
        /// Types that the rule takes.
        takes: &'static str,
        /// Type of the column.
        column_type: ColumnType,
    },
    /// The values of the column have no order in which a bound could stand.
    #[error(
        "column \"{column}\" is {column_type}, and check {check} takes a number, a date, a time or a timestamp: declare such a type, for example type = \"{suggested}\", or write an expr (a column of personal data stays text)"
    )]
    NoBounds {
        /// Name of the column.
        column: String,
        /// Name of the rule.
        check: &'static str,
        /// Type of the column.
        column_type: ColumnType,
        /// A type that holds the bound.
        suggested: String,
    },
    /// A value that the job compares with is none of the column's type.
    #[error(
        "check {check} of column \"{column}\" names \"{value}\", which {column_type} does not hold as it is written: correct it, or declare another type"
    )]
    BadConstant {
        /// Name of the column.
        column: String,
        /// Name of the rule.
        check: &'static str,
        /// The value in the job.
        value: String,
        /// Type of the column.
        column_type: ColumnType,
    },
    /// A regular expression does not compile.
    #[error("check regex of column \"{column}\": {source}")]
    BadRegex {
        /// Name of the column.
        column: String,
        /// Why.
        source: regex::Error,
    },
    /// The name of a row check cannot be a code.
    #[error(
        "the name \"{name}\" of a [[check]] cannot be a code: use 1 to 64 of the characters a-z, 0-9 and _"
    )]
    BadName {
        /// The name.
        name: String,
    },
}

/// The checks of a job: columns in order, their rules in order, then those of the row.
pub(super) fn compile(
    columns: &[Column],
    checks: &[ColumnChecks],
    row_checks: &[RowCheck],
    schema: &SchemaRef,
) -> Result<Vec<Check>, CheckError> {
    let mut compiled = Vec::new();
    for (index, (column, of_column)) in columns.iter().zip(checks).enumerate() {
        for rule in &of_column.rules {
            if let Some(rule) = compile_rule(column, rule, schema)? {
                compiled.push(Check::new(Some(index), rule, of_column.on_fail));
            }
        }
    }
    for (index, check) in row_checks.iter().enumerate() {
        let rule = compile_row_check(index, check, schema)?;
        compiled.push(Check::new(None, rule, check.on_fail));
    }
    Ok(compiled)
}

/// `None` for a rule that every value of the column's type meets.
fn compile_rule(
    column: &Column,
    rule: &CheckRule,
    schema: &SchemaRef,
) -> Result<Option<Rule>, CheckError> {
    let rule = match rule {
        CheckRule::Required => ValueRule::Required,
        CheckRule::Uuid { version } => match (column.column_type, *version) {
            (ColumnType::Uuid, None) => return Ok(None),
            (ColumnType::Uuid, version) => ValueRule::Uuid { version },
            (_, version) => of_text(column, "uuid", "text or uuid", ValueRule::Uuid { version })?,
        },
        CheckRule::Email => of_text(column, "email", "text", ValueRule::Email)?,
        CheckRule::Url => of_text(column, "url", "text", ValueRule::Url)?,
        CheckRule::Date if column.column_type == ColumnType::Date => return Ok(None),
        CheckRule::Date => of_text(column, "date", "text or a date", ValueRule::Date)?,
        CheckRule::Min(bound) => compile_bound(column, Side::Min, bound)?,
        CheckRule::Max(bound) => compile_bound(column, Side::Max, bound)?,
        CheckRule::Length { min, max } => {
            let (min, max) = (min.unwrap_or(0), max.unwrap_or(u32::MAX));
            let rule = ValueRule::Length { min: characters(min), max: characters(max) };
            of_text(column, "length", "text", rule)?
        }
        CheckRule::OneOf(words) => compile_one_of(column, words)?,
        CheckRule::Regex(pattern) => compile_regex(column, pattern)?,
        CheckRule::Unique => return Ok(Some(Rule::Unique)),
        CheckRule::Expr(text) => {
            let setting = format!("column \"{}\" check expr", column.name);
            let expression = Expression::predicate(&setting, text, schema)?;
            return Ok(Some(Rule::Predicate { expression, code: Code::CHECK_FAILED }));
        }
    };
    Ok(Some(Rule::Value(rule)))
}

fn compile_row_check(
    index: usize,
    check: &RowCheck,
    schema: &SchemaRef,
) -> Result<Rule, CheckError> {
    let (setting, code) = match &check.name {
        Some(name) => {
            let bad_name = || CheckError::BadName { name: name.clone() };
            let code = Code::from_wire(name).ok_or_else(bad_name)?;
            (format!("[[check]] \"{name}\" expr"), code)
        }
        None => (format!("[[check]] number {} expr", index + 1), Code::CHECK_FAILED),
    };
    let expression = Expression::predicate(&setting, &check.expr, schema)?;
    Ok(Rule::Predicate { expression, code })
}

/// Hands the rule back if the column holds text.
fn of_text(
    column: &Column,
    check: &'static str,
    takes: &'static str,
    rule: ValueRule,
) -> Result<ValueRule, CheckError> {
    if is_text(column.column_type) {
        return Ok(rule);
    }
    let (column, column_type) = (column.name.clone(), column.column_type);
    Err(CheckError::WrongType { column, check, takes, column_type })
}

fn compile_bound(column: &Column, side: Side, text: &str) -> Result<ValueRule, CheckError> {
    let column_type = column.column_type;
    if !has_bounds(column_type) {
        return Err(CheckError::NoBounds {
            column: column.name.clone(),
            check: side.rule(),
            column_type,
            suggested: suggested_type(column_type, text),
        });
    }
    let bound = Bound::parse(column_type, side, text);
    let bound = bound.ok_or_else(|| bad_constant(column, side.rule(), text))?;
    Ok(ValueRule::Bound(bound))
}

fn compile_one_of(column: &Column, words: &[String]) -> Result<ValueRule, CheckError> {
    let column_type = column.column_type;
    if is_text(column_type) {
        return Ok(ValueRule::OneOf(words.iter().cloned().collect()));
    }
    let mut identities = HashSet::new();
    for word in words {
        let value = constant(column_type, word);
        let identity = value.and_then(|value| identity(column_type, value.as_ref(), 0));
        identities.insert(identity.ok_or_else(|| bad_constant(column, "one_of", word))?);
    }
    Ok(ValueRule::OneOfValues { column_type, identities })
}

fn compile_regex(column: &Column, pattern: &str) -> Result<ValueRule, CheckError> {
    let bad_regex = |source| CheckError::BadRegex { column: column.name.clone(), source };
    let regex = Regex::new(pattern).map_err(bad_regex)?;
    of_text(column, "regex", "text", ValueRule::Regex(regex))
}

fn bad_constant(column: &Column, check: &'static str, value: &str) -> CheckError {
    CheckError::BadConstant {
        column: column.name.clone(),
        check,
        value: value.to_owned(),
        column_type: column.column_type,
    }
}

/// A number of characters; more than memory can hold does not bind.
fn characters(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::OnFail;
    use crate::key::DomainHash;
    use ferry::schema::arrow_schema;

    /// What is wrong with a rule of column `v`; empty if nothing is.
    fn problem(type_name: &str, rule: CheckRule) -> String {
        let column_type = type_name.parse().expect("a type");
        let columns = [Column { name: "v".to_owned(), column_type }];
        let claims = DomainHash::public("v");
        let checks = [ColumnChecks { rules: vec![rule], on_fail: OnFail::Quarantine, claims }];
        match compile(&columns, &checks, &[], &arrow_schema(&columns)) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_rule_for_text_refuses_another_type_and_says_what_to_do() {
        for (name, rule) in [
            ("email", CheckRule::Email),
            ("url", CheckRule::Url),
            ("length", CheckRule::Length { min: Some(1), max: None }),
            ("regex", CheckRule::Regex("^a".to_owned())),
        ] {
            assert_eq!(
                problem("integer", rule.clone()),
                format!(
                    "column \"v\" is integer, and check {name} takes text: leave the check out, or declare type = \"text\""
                )
            );
            assert_eq!(problem("varchar(9)", rule.clone()), "");
            assert_ne!(problem("jsonb", rule), "");
        }
        assert_ne!(problem("date", CheckRule::Uuid { version: None }), "");
        assert_ne!(problem("uuid", CheckRule::Date), "");
    }

    #[test]
    fn a_bound_needs_an_order_and_must_fit() {
        let min =
            |type_name: &str, bound: &str| problem(type_name, CheckRule::Min(bound.to_owned()));
        assert!(min("text", "2024-01-01").contains("for example type = \"date\""));
        assert!(min("numeric", "0").contains("for example type = \"numeric(38,9)\""));
        assert!(min("integer", "0.5").contains("names \"0.5\", which integer does not hold"));
        assert!(min("numeric(5,2)", "0.005").contains("does not hold as it is written"));
        assert_eq!(min("numeric(5,2)", "0.01"), "");
        assert_eq!(min("timestamptz", "2024-01-01"), "");
    }

    #[test]
    fn lists_are_of_the_columns_type() {
        let one_of = |words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            problem("date", CheckRule::OneOf(words))
        };
        assert_eq!(one_of(&["2024-01-01", "infinity"]), "");
        assert!(one_of(&["2024-01-01", "soon"]).starts_with("check one_of of column \"v\""));
    }

    #[test]
    fn what_does_not_compile_is_refused() {
        let regex = problem("text", CheckRule::Regex("(".to_owned()));
        assert!(regex.starts_with("check regex of column \"v\""), "{regex}");
        let expr = problem("text", CheckRule::Expr("w > 1".to_owned()));
        assert!(expr.contains("column \"v\" check expr"), "{expr}");
    }

    #[test]
    fn a_row_check_is_named_by_a_word() {
        let columns = [Column { name: "v".to_owned(), column_type: ColumnType::Integer }];
        let compile = |name: &str| {
            let expr = "v > 1".to_owned();
            let check = RowCheck { name: Some(name.to_owned()), expr, on_fail: OnFail::Quarantine };
            compile(&columns, &[], &[check], &arrow_schema(&columns))
        };
        assert!(matches!(compile("in_order"), Ok(checks) if checks.len() == 1));
        assert!(matches!(compile("In order"), Err(CheckError::BadName { .. })));
    }
}
