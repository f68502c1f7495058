//! How the files of a dataset are laid out: encoding, header, footer, and what becomes of ragged records.

use encoding_rs::{Encoding, UTF_8};

use super::{Delimiter, Dialect};

/// How the files of a dataset are laid out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Layout {
    pub(crate) dialect: Dialect,
    /// As it is declared; a byte order mark tells UTF-16LE from UTF-16BE.
    pub(crate) encoding: &'static Encoding,
    /// Lines before the header.
    pub(crate) skip_rows: u32,
    /// Records that name the columns; with several, their parts are joined.
    pub(crate) header_rows: u32,
    /// Names of the columns, in place of the header's. There if there is no header.
    pub(crate) names: Option<Vec<String>>,
    /// Last lines that are no data; blank ones do not count.
    pub(crate) skip_footer: u32,
    pub(crate) ragged: Ragged,
    /// Delimiters of single records, tried where the number of fields is wrong.
    pub(crate) other_delimiters: Vec<Delimiter>,
}

/// What becomes of a record with too few or too many fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Ragged {
    /// It is refused.
    Refuse,
    /// Fields that are missing at its end are NULL, empty ones too many are dropped.
    Pad,
}

impl Default for Layout {
    /// UTF-8, one header, nothing around it.
    fn default() -> Self {
        Self {
            dialect: Dialect::default(),
            encoding: UTF_8,
            skip_rows: 0,
            header_rows: 1,
            names: None,
            skip_footer: 0,
            ragged: Ragged::Refuse,
            other_delimiters: Vec::new(),
        }
    }
}
