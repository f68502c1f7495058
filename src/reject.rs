//! A row that left the way: where it lies and why, never printed with its values.

use std::borrow::Cow;
use std::fmt;

use crate::position::Place;

/// A row that was refused.
#[derive(Clone, PartialEq, Eq)]
pub struct Reject {
    /// Where the record lies.
    pub place: Place,
    /// Every reason, at least one.
    pub reasons: Vec<Reason>,
    /// Text of each column in the order of the schema; `None` where the field
    /// was null or unreadable, empty if the fields could not be told apart.
    pub fields: Vec<Option<String>>,
}

impl fmt::Debug for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reject")
            .field("place", &self.place)
            .field("reasons", &self.reasons)
            .finish_non_exhaustive()
    }
}

/// One reason to refuse a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What is wrong.
    pub code: Code,
    /// Column that it concerns; `None` if it concerns the whole record.
    pub column: Option<String>,
}

impl Reason {
    /// A reason that concerns the whole record.
    #[must_use]
    pub fn of_record(code: Code) -> Self {
        Self { code, column: None }
    }

    /// A reason that concerns one column.
    #[must_use]
    pub fn of_column(code: Code, column: &str) -> Self {
        Self { code, column: Some(column.to_owned()) }
    }
}

/// What is wrong with a row: stable words in snake case.
///
/// A host may meet a code that its version does not know, hence not an enum.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Code(Cow<'static, str>);

impl Code {
    /// The record has fewer fields than the header.
    pub const TOO_FEW_FIELDS: Self = Self::known("too_few_fields");
    /// The record has more fields than the header.
    pub const TOO_MANY_FIELDS: Self = Self::known("too_many_fields");
    /// A quote was opened and never closed.
    pub const UNCLOSED_QUOTE: Self = Self::known("unclosed_quote");
    /// A quote stands inside an unquoted field, or text behind a closing quote.
    pub const STRAY_QUOTE: Self = Self::known("stray_quote");
    /// A field is longer than its source allows.
    pub const FIELD_TOO_LARGE: Self = Self::known("field_too_large");
    /// The record is longer than its source allows, and was skipped unread.
    pub const RECORD_TOO_LARGE: Self = Self::known("record_too_large");
    /// The record is JSON, but no object.
    pub const NOT_AN_OBJECT: Self = Self::known("not_an_object");
    /// A member is an object or an array where a single value is wanted.
    pub const NOT_A_SCALAR: Self = Self::known("not_a_scalar");
    /// Several members of the record give the same column.
    pub const DUPLICATE_FIELD: Self = Self::known("duplicate_field");
    /// Objects and arrays lie deeper in one another than their source allows.
    pub const TOO_DEEP: Self = Self::known("too_deep");
    /// A field is not UTF-8.
    pub const BAD_UTF8: Self = Self::known("bad_utf8");
    /// A field holds bytes that mean nothing in the encoding of its file, other than UTF-8.
    pub const BAD_ENCODING: Self = Self::known("bad_encoding");
    /// A text holds a NUL byte, which PostgreSQL cannot store.
    pub const NUL_BYTE: Self = Self::known("nul_byte");
    /// A field is not one of the words for true and false.
    pub const BAD_BOOLEAN: Self = Self::known("bad_boolean");
    /// A field is not a whole number.
    pub const BAD_INTEGER: Self = Self::known("bad_integer");
    /// A field is not a number.
    pub const BAD_NUMBER: Self = Self::known("bad_number");
    /// A number lies outside the range of its type.
    pub const OUT_OF_RANGE: Self = Self::known("out_of_range");
    /// A field is not an ISO 8601 date.
    pub const BAD_DATE: Self = Self::known("bad_date");
    /// A field is not an ISO 8601 time.
    pub const BAD_TIME: Self = Self::known("bad_time");
    /// A field is not an ISO 8601 timestamp.
    pub const BAD_TIMESTAMP: Self = Self::known("bad_timestamp");
    /// A field is not a UUID.
    pub const BAD_UUID: Self = Self::known("bad_uuid");
    /// A field, or a whole record, is not JSON.
    pub const BAD_JSON: Self = Self::known("bad_json");
    /// A field is not bytes in hexadecimal digits.
    pub const BAD_BYTEA: Self = Self::known("bad_bytea");
    /// A text is longer than its type allows.
    pub const TOO_LONG: Self = Self::known("too_long");
    /// A value is missing where the target requires one.
    pub const NULL_VALUE: Self = Self::known("null_value");
    /// The row's file lacks a column that is wanted.
    pub const MISSING_COLUMN: Self = Self::known("missing_column");
    /// The row has a value in a column that nobody expected.
    pub const UNKNOWN_COLUMN: Self = Self::known("unknown_column");

    /// A text is not an e-mail address.
    pub const BAD_EMAIL: Self = Self::known("bad_email");
    /// A text is not a telephone number of its country.
    pub const BAD_PHONE: Self = Self::known("bad_phone");
    /// A text is not an absolute URL.
    pub const BAD_URL: Self = Self::known("bad_url");
    /// A value is less than its check allows.
    pub const BELOW_MIN: Self = Self::known("below_min");
    /// A value is greater than its check allows.
    pub const ABOVE_MAX: Self = Self::known("above_max");
    /// A text is shorter than its check allows.
    pub const TOO_SHORT: Self = Self::known("too_short");
    /// A value is not one of those that its check lists.
    pub const NOT_LISTED: Self = Self::known("not_listed");
    /// A text does not match the pattern of its check.
    pub const NO_MATCH: Self = Self::known("no_match");
    /// A value was met before in the run.
    pub const DUPLICATE: Self = Self::known("duplicate");
    /// A condition of the job is false for the row.
    pub const CHECK_FAILED: Self = Self::known("check_failed");
    /// An expression of the job cannot be evaluated for the row.
    pub const EXPRESSION_FAILED: Self = Self::known("expression_failed");

    const fn known(code: &'static str) -> Self {
        Self(Cow::Borrowed(code))
    }

    /// The code as it stands on the wire and in the ledger.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes a code that another host sent.
    ///
    /// Returns `None` unless it is at most 64 letters, digits and underscores,
    /// so that a code cannot carry a value.
    #[must_use]
    pub fn from_wire(code: &str) -> Option<Self> {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let is_code = !code.is_empty() && code.len() <= 64 && code.bytes().all(is_word);
        is_code.then(|| Self(Cow::Owned(code.to_owned())))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
