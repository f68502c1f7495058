//! How an instant of the ledger is written: for people who read a table, or for programs.

/// How instants are written. They are always of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeForm {
    /// Such as `2026-01-31 23:59:59 UTC`.
    Words,
    /// As RFC 3339 has it, to the microsecond: `2026-01-31T23:59:59.000001Z`.
    Rfc3339,
}

impl TimeForm {
    /// The pattern for PostgreSQL's `to_char`, which takes it as an argument of the statement.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            Self::Words => "YYYY-MM-DD HH24:MI:SS \"UTC\"",
            Self::Rfc3339 => "YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"",
        }
    }
}
