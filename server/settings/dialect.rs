//! Turns the keys of a `[[dataset]]` that say how records and fields are told apart into a dialect.
//!
//! Invariant: nothing that the dialect looks for can be taken for something else that it looks for.

use std::ops::RangeInclusive;

use ferry::host::settings::ByteSize;
use ferry::wire::RECORD_BYTES_MAX;

use crate::delimited::{BlankLines, Delimiter, Dialect, Escape, StrayQuotes, Terminator};
use crate::settings::dataset::RawDataset;
use crate::settings::words::{one_byte, one_of};

const TERMINATORS: [(&str, Terminator); 4] = [
    ("any", Terminator::Any),
    ("lf", Terminator::Lf),
    ("crlf", Terminator::Crlf),
    ("cr", Terminator::Cr),
];
const BLANK_LINES: [(&str, BlankLines); 2] = [("skip", BlankLines::Skip), ("row", BlankLines::Row)];
const STRAY_QUOTES: [(&str, StrayQuotes); 2] =
    [("quarantine", StrayQuotes::Refuse), ("keep", StrayQuotes::Keep)];

/// What a record may be limited to, in bytes.
const RECORD_BYTES: RangeInclusive<usize> = 1024..=RECORD_BYTES_MAX;
const COMMENT_BYTES_MAX: usize = 64;

/// Reads the dialect of a dataset.
pub(super) fn dialect(raw: &RawDataset) -> Result<Dialect, String> {
    let usual = Dialect::default();
    let delimiter = match &raw.delimiter {
        None => usual.delimiter,
        Some(text) => delimiter("delimiter", text)?,
    };
    let quote = match raw.quote.as_deref() {
        None => usual.quote,
        Some("") => None,
        Some(text) => Some(one_byte("quote", text)?),
    };
    let (field_bytes_max, record_bytes_max) = limits(raw)?;
    let dialect = Dialect {
        delimiter,
        quote,
        escape: escape(raw.escape.as_deref(), quote)?,
        comment: raw.comment.clone().unwrap_or_default(),
        terminator: match &raw.terminator {
            None => usual.terminator,
            Some(word) => one_of("terminator", word, &TERMINATORS)?,
        },
        blank_lines: match &raw.blank_lines {
            None => usual.blank_lines,
            Some(word) => one_of("blank_lines", word, &BLANK_LINES)?,
        },
        stray_quotes: match &raw.stray_quotes {
            None => usual.stray_quotes,
            Some(word) => one_of("stray_quotes", word, &STRAY_QUOTES)?,
        },
        skips_spaces: raw.skip_initial_space,
        has_trailing_delimiter: raw.trailing_delimiter,
        field_bytes_max,
        record_bytes_max,
    };
    check_delimiter("delimiter", &dialect.delimiter, &dialect)?;
    check_spaces(&dialect)?;
    check_comment(&dialect)?;
    Ok(dialect)
}

/// Reads a delimiter.
pub(super) fn delimiter(key: &str, text: &str) -> Result<Delimiter, String> {
    // In single quotes TOML reads no escapes, and the two characters would be taken as they are.
    if ["\\t", "\\x", "\\u"].iter().any(|escape| text.starts_with(escape)) {
        return Err(format!(
            "{key} = '{text}' begins with a backslash: for a tab or another code write it in double quotes, such as \"\\t\""
        ));
    }
    text.parse().map_err(|error: String| format!("{key}: {error}"))
}

/// Refuses a delimiter that a quote or an escape would cut.
pub(super) fn check_delimiter(
    key: &str,
    delimiter: &Delimiter,
    dialect: &Dialect,
) -> Result<(), String> {
    let holds = |byte: u8| delimiter.as_bytes().contains(&byte);
    let shown = delimiter.to_string();
    if dialect.quote.is_some_and(holds) {
        return Err(format!(
            "{key} = {shown:?} contains the quote: write another quote, or quote = \"\" if fields are not quoted"
        ));
    }
    if escape_byte(dialect).is_some_and(holds) {
        return Err(format!("{key} = {shown:?} contains the escape: write another escape"));
    }
    Ok(())
}

fn escape(text: Option<&str>, quote: Option<u8>) -> Result<Escape, String> {
    match text {
        None if quote.is_none() => Ok(Escape::None),
        None => Ok(Escape::Doubled),
        Some("") => Ok(Escape::None),
        Some(text) => {
            let byte = one_byte("escape", text)?;
            Ok(if quote == Some(byte) { Escape::Doubled } else { Escape::Byte(byte) })
        }
    }
}

fn escape_byte(dialect: &Dialect) -> Option<u8> {
    match dialect.escape {
        Escape::Byte(byte) => Some(byte),
        Escape::Doubled | Escape::None => None,
    }
}

/// Reads `max_record`; `None` if it is left out.
pub(super) fn record_bytes_max(size: Option<ByteSize>) -> Result<Option<usize>, String> {
    let Some(size) = size else {
        return Ok(None);
    };
    let bytes = usize::try_from(size.0).ok().filter(|bytes| RECORD_BYTES.contains(bytes));
    match bytes {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(format!("max_record is {} bytes: write \"1KiB\" to \"2MiB\"", size.0)),
    }
}

fn limits(raw: &RawDataset) -> Result<(usize, usize), String> {
    let usual = Dialect::default();
    let record_bytes_max = record_bytes_max(raw.max_record)?.unwrap_or(usual.record_bytes_max);
    let Some(size) = raw.max_field else {
        return Ok((usual.field_bytes_max.min(record_bytes_max), record_bytes_max));
    };
    match usize::try_from(size.0) {
        Ok(0) => Err("max_field is 0: write a size, such as \"64KiB\"".to_owned()),
        Ok(bytes) if bytes <= record_bytes_max => Ok((bytes, record_bytes_max)),
        _ => Err(format!(
            "max_field is {} bytes, more than max_record, which is {record_bytes_max}: lower the one or raise the other",
            size.0
        )),
    }
}

/// Refuses a quote or an escape that would be skipped as a space.
fn check_spaces(dialect: &Dialect) -> Result<(), String> {
    let is_space = |byte: u8| byte == b' ' || byte == b'\t';
    let is_skipped =
        dialect.quote.is_some_and(is_space) || escape_byte(dialect).is_some_and(is_space);
    if dialect.skips_spaces && is_skipped {
        return Err(
            "skip_initial_space would skip the quote or the escape, which is a space: leave one of them out"
                .to_owned(),
        );
    }
    Ok(())
}

/// Refuses a comment that could begin a record, or never stand in one line.
fn check_comment(dialect: &Dialect) -> Result<(), String> {
    let comment = dialect.comment.as_str();
    let Some(first) = comment.bytes().next() else {
        return Ok(());
    };
    let problem = if comment.len() > COMMENT_BYTES_MAX {
        "is longer than 64 bytes: write how comment lines begin"
    } else if comment.contains(['\r', '\n', '\0']) {
        "contains a line end or a NUL: write how comment lines begin"
    } else if begins_with_one_another(comment.as_bytes(), dialect.delimiter.as_bytes()) {
        "begins like the delimiter: a record whose first field is empty would be a comment"
    } else if dialect.quote == Some(first) {
        "begins with the quote: a record whose first field is quoted would be a comment; write another quote, or quote = \"\""
    } else if dialect.quote.is_none() && escape_byte(dialect) == Some(first) {
        "begins with the escape: write another escape"
    } else {
        return Ok(());
    };
    Err(format!("comment = {comment:?} {problem}"))
}

fn begins_with_one_another(one: &[u8], other: &[u8]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}
