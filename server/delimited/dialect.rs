//! The two bytes in which delimited files differ.

/// How the fields of a file are told apart.
///
/// The two bytes are ASCII, differ from each other and are no line ends:
/// whoever reads the settings checks that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// Byte between two fields.
    pub(crate) delimiter: u8,
    /// Byte around a field that holds delimiters, line ends or quotes; doubled
    /// inside, it stands for itself.
    pub(crate) quote: u8,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { delimiter: b',', quote: b'"' }
    }
}
