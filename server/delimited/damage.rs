//! What can be wrong with a record before its fields are looked at.

use ferry::reject::Code;

/// Why a record cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// A quote where none should be.
    StrayQuote,
    /// A quote that nothing closes.
    UnclosedQuote,
    /// A field is longer than fields may be.
    FieldTooLarge,
    /// The record is longer than records may be.
    RecordTooLarge,
}

impl Damage {
    /// The word for it in rejects.
    pub(crate) fn code(self) -> Code {
        match self {
            Self::StrayQuote => Code::STRAY_QUOTE,
            Self::UnclosedQuote => Code::UNCLOSED_QUOTE,
            Self::FieldTooLarge => Code::FIELD_TOO_LARGE,
            Self::RecordTooLarge => Code::RECORD_TOO_LARGE,
        }
    }
}
