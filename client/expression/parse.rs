//! Turns the text of an expression into its syntax tree.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{Expr, Ident, visit_expressions};
use datafusion_sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::{Location, Span, Token, Tokenizer};

use super::error::{ExpressionError, place_in_message};

/// Longest expression, in bytes.
const EXPRESSION_BYTES_MAX: usize = 64 * 1024;
/// Most tokens of an expression: a chain of operators nests without parentheses.
const TOKENS_MAX: usize = 1500;
/// Most parentheses and CASEs in each other: the time to plan calls doubles with each.
const LEVELS_MAX: usize = 16;
/// Deepest recursion of the parser.
const DEPTH_MAX: usize = 50;

/// Parses one expression and nothing behind it.
pub(super) fn parse(setting: &str, text: &str) -> Result<Expr, ExpressionError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let problem = format!("it is longer than {EXPRESSION_BYTES_MAX} bytes");
        return Err(ExpressionError::new(setting, "", None, problem));
    }
    let failed = |error: ParserError| syntax_error(setting, text, &error);
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize();
    if let Some(problem) = tokens.ok().and_then(|tokens| too_much(&tokens)) {
        return Err(ExpressionError::new(setting, "", None, problem));
    }
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(DEPTH_MAX).try_with_sql(text).map_err(failed)?;
    let parsed = parser.parse_expr().map_err(failed)?;
    let behind = parser.peek_token();
    if behind.token != Token::EOF {
        let problem = format!("the expression ends before \"{}\"", behind.token);
        return Err(ExpressionError::new(setting, text, Some(behind.span), problem));
    }
    Ok(parsed)
}

/// Why an expression is more than can be planned in a moment, if it is.
fn too_much(tokens: &[Token]) -> Option<String> {
    if tokens.len() > TOKENS_MAX {
        return Some(format!("it has more than {TOKENS_MAX} words, signs and spaces"));
    }
    let mut depth = 0_usize;
    for token in tokens {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(word) if word.keyword == Keyword::CASE => depth += 1,
            Token::Word(word) if word.keyword == Keyword::END => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > LEVELS_MAX {
            return Some(format!("it is nested more than {LEVELS_MAX} levels deep"));
        }
    }
    None
}

fn syntax_error(setting: &str, text: &str, error: &ParserError) -> ExpressionError {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.clone(),
        ParserError::RecursionLimitExceeded => "it is nested too deeply".to_owned(),
    };
    let (problem, span) = place_in_message(&message);
    let problem = lower_first(&problem).replace("found: EOF", "found the end");
    let is_end = problem.ends_with("the end");
    ExpressionError::new(setting, text, span.or_else(|| is_end.then(|| end_of(text))), problem)
}

/// The place after the last character.
fn end_of(text: &str) -> Span {
    let line = text.trim_end().lines().last().unwrap_or_default();
    let lines = text.trim_end().lines().count().max(1);
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let end = Location { line: count(lines), column: count(line.chars().count() + 1) };
    Span { start: end, end }
}

/// Error texts begin with a small letter.
pub(super) fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_lowercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}

/// What an identifier names: small letters unless it is quoted, as in PostgreSQL.
pub(super) fn name_of(identifier: &Ident) -> String {
    match identifier.quote_style {
        Some(_) => identifier.value.clone(),
        None => identifier.value.to_ascii_lowercase(),
    }
}

/// Every plain identifier of the tree.
pub(super) fn column_names(parsed: &Expr) -> Vec<String> {
    let mut names = Vec::new();
    let _ = visit_expressions(parsed, |part| {
        if let Expr::Identifier(identifier) = part {
            names.push(name_of(identifier));
        }
        ControlFlow::<()>::Continue(())
    });
    names
}

/// Whether there is nothing around a column but parentheses and casts.
pub(super) fn is_bare_column(parsed: &Expr) -> bool {
    match parsed {
        Expr::Identifier(_) => true,
        Expr::Nested(inner) => is_bare_column(inner),
        Expr::Cast { expr, .. } => is_bare_column(expr),
        _ => false,
    }
}
