//! Turns a column and a rule into the rows that fail it; NULL fails no rule but `required`.
//!
//! Rules go over a whole column at once, and a row that passes costs no memory.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, RecordBatch, StringArray};
use arrow_schema::ArrowError;
use ferry::reject::Code;
use ferry::schema::ColumnType;
use regex::Regex;
use url::Url;

use crate::address::is_email;
use crate::expression::Expression;
use crate::job::OnFail;

use super::bounds::Bound;
use super::values::{identity, parse_or_null};

/// One rule of the job, ready to be applied.
pub(super) struct Check {
    /// Column that it is about; `None` for one of the whole row.
    pub(super) column: Option<usize>,
    /// What it demands.
    pub(super) rule: Rule,
    /// What becomes of a row that fails it.
    pub(super) on_fail: OnFail,
    /// Columns on whose values it depends.
    pub(super) reads: Vec<usize>,
}

/// What a check demands.
pub(super) enum Rule {
    /// Something of each value by itself.
    Value(ValueRule),
    /// That no value comes twice; see [`super::unique`].
    Unique,
    /// That an expression is not false.
    Predicate {
        /// Boolean, over all columns.
        expression: Expression,
        /// What is wrong with a row for which it is false.
        code: Code,
    },
}

/// What a rule demands of a value.
pub(super) enum ValueRule {
    /// Not NULL.
    Required,
    /// A UUID, of any version or of one; of a text column or of one of type uuid.
    Uuid { version: Option<u8> },
    /// An address of e-mail.
    Email,
    /// An absolute URL with a host.
    Url,
    /// An ISO 8601 date, as text.
    Date,
    /// A value that is not beyond a bound.
    Bound(Bound),
    /// A number of characters.
    Length { min: usize, max: usize },
    /// One of some texts.
    OneOf(HashSet<String>),
    /// One of some values of another type, by their identity.
    OneOfValues { column_type: ColumnType, identities: HashSet<String> },
    /// A text in which a regular expression matches.
    Regex(Regex),
}

/// A row that fails a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// Row of the batch.
    pub(super) row: usize,
    /// Index of the check.
    pub(super) check: usize,
    /// What is wrong.
    pub(super) code: Code,
}

/// Hears of a row that fails, and of what is wrong with it.
type Fail<'a> = dyn FnMut(usize, Code) + 'a;

impl Check {
    /// A check of a column, or of the row.
    pub(super) fn new(column: Option<usize>, rule: Rule, on_fail: OnFail) -> Self {
        let mut reads: Vec<usize> = column.into_iter().collect();
        if let Rule::Predicate { expression, .. } = &rule {
            reads.extend_from_slice(expression.column_indexes());
        }
        Self { column, rule, on_fail, reads }
    }

    /// The column in which a failing value becomes NULL; `None` if the row is refused.
    pub(super) fn nulled_column(&self) -> Option<usize> {
        self.column.filter(|_| self.on_fail == OnFail::Null)
    }

    /// Tells `fail` of every row that fails, but of no value that comes twice.
    pub(super) fn evaluate(
        &self,
        records: &RecordBatch,
        fail: &mut Fail<'_>,
    ) -> Result<(), ArrowError> {
        match (&self.rule, self.column) {
            (Rule::Value(rule), Some(column)) => rule.evaluate(records.column(column), fail),
            (Rule::Predicate { expression, code }, _) => predicate(expression, code, records, fail),
            (Rule::Value(_), None) | (Rule::Unique, _) => Ok(()),
        }
    }
}

impl ValueRule {
    fn evaluate(&self, column: &ArrayRef, fail: &mut Fail<'_>) -> Result<(), ArrowError> {
        match self {
            Self::Required => {
                required(column, fail);
                Ok(())
            }
            Self::Uuid { version } => uuid(column, *version, fail),
            Self::Email => each_text(column, &Code::BAD_EMAIL, is_email, fail),
            Self::Url => each_text(column, &Code::BAD_URL, is_url, fail),
            Self::Date => date(column, fail),
            Self::Bound(bound) => bound.check(column, &mut |row| fail(row, bound.code())),
            Self::Length { min, max } => length(column, *min, *max, fail),
            Self::OneOf(words) => {
                each_text(column, &Code::NOT_LISTED, |text| words.contains(text), fail)
            }
            Self::OneOfValues { column_type, identities } => {
                one_of_values(column, *column_type, identities, fail);
                Ok(())
            }
            Self::Regex(regex) => {
                each_text(column, &Code::NO_MATCH, |text| regex.is_match(text), fail)
            }
        }
    }
}

fn required(column: &ArrayRef, fail: &mut Fail<'_>) {
    if column.null_count() == 0 {
        return;
    }
    for row in 0..column.len() {
        if column.is_null(row) {
            fail(row, Code::NULL_VALUE);
        }
    }
}

/// Tells of the texts that do not pass.
fn each_text(
    column: &ArrayRef,
    code: &Code,
    passes: impl Fn(&str) -> bool,
    fail: &mut Fail<'_>,
) -> Result<(), ArrowError> {
    for (row, text) in texts(column)?.iter().enumerate() {
        if text.is_some_and(|text| !passes(text)) {
            fail(row, code.clone());
        }
    }
    Ok(())
}

fn uuid(column: &ArrayRef, version: Option<u8>, fail: &mut Fail<'_>) -> Result<(), ArrowError> {
    let parsed = match column.as_string_opt::<i32>() {
        Some(texts) => parse_or_null(ColumnType::Uuid, texts.iter())?,
        None => Arc::clone(column),
    };
    let Some(uuids) = parsed.as_fixed_size_binary_opt() else {
        return Err(unexpected(column));
    };
    for row in 0..column.len() {
        let passes = column.is_null(row)
            || (uuids.is_valid(row)
                && version.is_none_or(|version| has_version(uuids.value(row), version)));
        if !passes {
            fail(row, Code::BAD_UUID);
        }
    }
    Ok(())
}

/// RFC 9562, section 4: the version is in the upper half of byte 6, and the
/// upper bits of byte 8 are 10 in the variant that has versions.
fn has_version(uuid: &[u8], version: u8) -> bool {
    matches!(uuid, [_, _, _, _, _, _, byte_6, _, byte_8, ..]
        if byte_6 >> 4 == version && byte_8 >> 6 == 0b10)
}

fn date(column: &ArrayRef, fail: &mut Fail<'_>) -> Result<(), ArrowError> {
    let texts = texts(column)?;
    let dates = parse_or_null(ColumnType::Date, texts.iter())?;
    if dates.null_count() == texts.null_count() {
        return Ok(());
    }
    for row in 0..texts.len() {
        if texts.is_valid(row) && dates.is_null(row) {
            fail(row, Code::BAD_DATE);
        }
    }
    Ok(())
}

fn length(
    column: &ArrayRef,
    min: usize,
    max: usize,
    fail: &mut Fail<'_>,
) -> Result<(), ArrowError> {
    for (row, text) in texts(column)?.iter().enumerate() {
        let Some(text) = text else { continue };
        let characters = text.chars().count();
        if characters < min {
            fail(row, Code::TOO_SHORT);
        } else if characters > max {
            fail(row, Code::TOO_LONG);
        }
    }
    Ok(())
}

fn one_of_values(
    column: &ArrayRef,
    column_type: ColumnType,
    identities: &HashSet<String>,
    fail: &mut Fail<'_>,
) {
    for row in 0..column.len() {
        let identity = identity(column_type, column.as_ref(), row);
        if identity.is_some_and(|identity| !identities.contains(&identity)) {
            fail(row, Code::NOT_LISTED);
        }
    }
}

/// As a CHECK of PostgreSQL: what is neither true nor false passes.
fn predicate(
    expression: &Expression,
    code: &Code,
    records: &RecordBatch,
    fail: &mut Fail<'_>,
) -> Result<(), ArrowError> {
    let evaluated = expression.evaluate(records)?;
    let Some(truths) = evaluated.values.as_boolean_opt() else {
        return Err(unexpected(&evaluated.values));
    };
    if truths.has_false() {
        for (row, truth) in truths.iter().enumerate() {
            if truth == Some(false) {
                fail(row, code.clone());
            }
        }
    }
    for row in evaluated.failed {
        fail(row, Code::EXPRESSION_FAILED);
    }
    Ok(())
}

/// Whether a text is an absolute URL with a host, as RFC 3986 writes it.
///
/// The parser follows browsers, which drop white space and forgive slashes
/// that are missing or too many.
fn is_url(text: &str) -> bool {
    if text.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return false;
    }
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let behind_scheme = text.get(url.scheme().len()..).unwrap_or_default();
    let authority = behind_scheme.strip_prefix("://").unwrap_or_default();
    !authority.is_empty()
        && !authority.starts_with(['/', '\\'])
        && url.host_str().is_some_and(|host| !host.is_empty())
}

fn texts(column: &ArrayRef) -> Result<&StringArray, ArrowError> {
    column.as_string_opt::<i32>().ok_or_else(|| unexpected(column))
}

fn unexpected(column: &ArrayRef) -> ArrowError {
    let data_type = column.data_type();
    ArrowError::SchemaError(format!("a column of type {data_type} is not what its check is for"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_absolute_and_have_a_host() {
        for text in [
            "https://example.com",
            "HTTP://user:secret@example.com:8080/a?b=c#d",
            "ftps://files.example/x",
            "http://[::1]/",
            "s3://bucket/key",
            "http://münchen.example/",
        ] {
            assert!(is_url(text), "{text}");
        }
        for text in [
            "",
            "example.com",
            "/path",
            "//example.com/x",
            "mailto:a@b.example",
            "file:///etc/hosts",
            "http:example.com",
            "http:///example.com",
            "http://",
            "foo://",
            "https://exa mple.com",
            " https://example.com",
            "https://example.com/\n",
            "http://example.com:99999/",
            "http://[::1/",
        ] {
            assert!(!is_url(text), "{text}");
        }
    }

    #[test]
    fn the_version_of_a_uuid_counts_only_with_its_variant() {
        let mut uuid = [0xff_u8; 16];
        uuid[6] = 0x4f;
        uuid[8] = 0x80;
        assert!(has_version(&uuid, 4) && !has_version(&uuid, 7));
        uuid[8] = 0xbf;
        assert!(has_version(&uuid, 4));
        uuid[8] = 0xc0;
        assert!(!has_version(&uuid, 4));
    }
}
