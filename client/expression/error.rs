//! An expression that does not compile: what is wrong, and where, with a caret under it.

use std::fmt;

use datafusion_sql::sqlparser::tokenizer::{Location, Span};

/// An expression that does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExpressionError {
    setting: String,
    problem: String,
    /// The line of the expression, and the characters of it that are marked.
    excerpt: Option<Excerpt>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    line: String,
    /// Characters before the mark.
    start: usize,
    /// Characters of the mark, at least one.
    length: usize,
}

impl ExpressionError {
    /// `span` is where the problem lies, if that is known; otherwise the whole is marked.
    pub(super) fn new(setting: &str, text: &str, span: Option<Span>, problem: String) -> Self {
        let span = span.filter(|span| span.start.line > 0);
        let excerpt = match span {
            Some(span) => excerpt(text, span),
            None => whole(text),
        };
        Self { setting: setting.to_owned(), problem, excerpt }
    }
}

impl std::error::Error for ExpressionError {}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.problem)?;
        if let Some(Excerpt { line, start, length }) = &self.excerpt {
            write!(f, "\n  {line}\n  {}{}", " ".repeat(*start), "^".repeat(*length))?;
        }
        Ok(())
    }
}

fn excerpt(text: &str, span: Span) -> Option<Excerpt> {
    let line = text.lines().nth(index(span.start.line)?)?;
    let line_length = line.chars().count();
    // The end of a line can be marked too.
    let start = index(span.start.column)?.min(line_length);
    let is_one_line = span.end.line == span.start.line;
    let end = if is_one_line { index(span.end.column)? } else { line_length };
    let length = end.min(line_length).saturating_sub(start).max(1);
    Some(Excerpt { line: shown(line), start, length })
}

fn whole(text: &str) -> Option<Excerpt> {
    let mut lines = text.lines();
    let line = lines.next().filter(|line| !line.trim().is_empty())?;
    let start = line.chars().take_while(|character| character.is_whitespace()).count();
    let length = line.trim().chars().count();
    Some(Excerpt { line: shown(line), start, length })
}

/// Tabs would move the mark.
fn shown(line: &str) -> String {
    line.replace('\t', " ")
}

/// Lines and columns of a span begin at one.
fn index(number: u64) -> Option<usize> {
    usize::try_from(number.checked_sub(1)?).ok()
}

/// The place that a message of the parser ends with: ` at Line: 1, Column: 7`.
pub(super) fn place_in_message(message: &str) -> (String, Option<Span>) {
    let Some((problem, place)) = message.rsplit_once(" at Line: ") else {
        return (message.to_owned(), None);
    };
    let numbers = place.split_once(", Column: ");
    let parsed = numbers.and_then(|(line, column)| {
        Some(Location { line: line.parse().ok()?, column: column.trim().parse().ok()? })
    });
    (problem.to_owned(), parsed.map(|start| Span { start, end: start }))
}
