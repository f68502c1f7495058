//! How records and fields are told apart in the text of a file.

use std::fmt;
use std::str::FromStr;

use ferry::wire::RECORD_BYTES_MAX;

/// Longest delimiter, in bytes of UTF-8.
const DELIMITER_BYTES_MAX: usize = 8;
/// Longest field unless the settings say otherwise, in bytes.
const FIELD_BYTES_DEFAULT: usize = 1024 * 1024;

/// How records and fields are told apart.
///
/// Quote, escape and the first byte of the delimiter differ from each other and
/// are no line ends: whoever reads the settings checks that.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Dialect {
    /// What stands between two fields.
    pub(crate) delimiter: Delimiter,
    /// Byte around a field that holds delimiters, line ends or quotes; `None`
    /// where a quote is a byte like any other.
    pub(crate) quote: Option<u8>,
    /// How a quote is written inside quotes.
    pub(crate) escape: Escape,
    /// What a line that is no record begins with; empty if there are none.
    pub(crate) comment: String,
    /// What ends a record.
    pub(crate) terminator: Terminator,
    /// What an empty line is.
    pub(crate) blank_lines: BlankLines,
    /// What becomes of a record with a quote where none should be.
    pub(crate) stray_quotes: StrayQuotes,
    /// Whether spaces in front of a field, and behind a closing quote, are no
    /// part of it.
    pub(crate) skips_spaces: bool,
    /// Whether a delimiter stands behind the last field too.
    pub(crate) has_trailing_delimiter: bool,
    /// A longer field refuses its record.
    pub(crate) field_bytes_max: usize,
    /// A longer record is refused without being held.
    pub(crate) record_bytes_max: usize,
}

/// How a quote is written inside quotes, or a delimiter where there are no quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Escape {
    /// Twice.
    Doubled,
    /// With this byte before it. Where quoting is off, it stands before a
    /// delimiter, a line end or itself.
    Byte(u8),
    /// It cannot be.
    None,
}

/// What ends a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Terminator {
    /// LF, CRLF or CR, each record as it likes.
    Any,
    /// LF alone: a CR is text.
    Lf,
    /// CRLF alone: both halves by themselves are text.
    Crlf,
    /// CR alone: an LF is text.
    Cr,
}

/// What an empty line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum BlankLines {
    /// Nothing.
    Skip,
    /// A record with one empty field.
    Row,
}

/// What becomes of quotes inside unquoted fields and of text behind a closing quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum StrayQuotes {
    /// Their record is refused.
    Refuse,
    /// They are text.
    Keep,
}

impl Default for Dialect {
    /// RFC 4180, with any line end.
    fn default() -> Self {
        Self {
            delimiter: Delimiter(b",".to_vec()),
            quote: Some(b'"'),
            escape: Escape::Doubled,
            comment: String::new(),
            terminator: Terminator::Any,
            blank_lines: BlankLines::Skip,
            stray_quotes: StrayQuotes::Refuse,
            skips_spaces: false,
            has_trailing_delimiter: false,
            field_bytes_max: FIELD_BYTES_DEFAULT,
            record_bytes_max: RECORD_BYTES_MAX,
        }
    }
}

impl Dialect {
    /// The byte that makes the next one text inside quotes, if there is one.
    pub(super) fn escape_byte(&self) -> Option<u8> {
        match self.escape {
            Escape::Byte(byte) => Some(byte),
            Escape::Doubled | Escape::None => None,
        }
    }

    /// Whether a byte is a space that may stand around fields.
    pub(super) fn is_skipped_space(&self, byte: u8) -> bool {
        self.skips_spaces && matches!(byte, b' ' | b'\t') && self.delimiter.0[0] != byte
    }

    /// The place behind the spaces at the front, if they are no part of fields.
    #[inline]
    pub(super) fn behind_spaces(&self, text: &[u8], at: usize) -> usize {
        if !self.skips_spaces {
            return at;
        }
        let spaces = text[at..].iter().take_while(|byte| self.is_skipped_space(**byte));
        at + spaces.count()
    }
}

/// One or more bytes between two fields.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Delimiter(Vec<u8>);

impl Delimiter {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The delimiter, if it is a single byte.
    pub(super) fn single(&self) -> Option<u8> {
        if let [byte] = self.0[..] { Some(byte) } else { None }
    }
}

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_allowed = !text.is_empty()
            && text.len() <= DELIMITER_BYTES_MAX
            && !text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
        if is_allowed {
            Ok(Self(text.as_bytes().to_vec()))
        } else {
            Err(format!(
                "{text:?} cannot be a delimiter: write 1 to {DELIMITER_BYTES_MAX} bytes without line ends, such as \",\" or \"\\t\""
            ))
        }
    }
}

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_checked() {
        for text in [",", "\t", "||", ", ", "§", "12345678"] {
            let delimiter: Delimiter = text.parse().expect("it is allowed");
            assert_eq!(delimiter.to_string(), text);
        }
        for text in ["", "\n", "a\r", "\0", "123456789"] {
            assert!(text.parse::<Delimiter>().is_err(), "{text:?}");
        }
    }
}
