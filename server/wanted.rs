//! What is wanted of a source: columns with their types, and how their values are written.

use std::sync::Arc;

use ferry::schema::Column;
use ferry::values::FieldFormat;

/// A column that is to be read, and how its fields are written.
#[derive(Debug, Clone)]
pub(crate) struct WantedColumn {
    /// Its name in the source, and the type of its values.
    pub(crate) column: Column,
    /// How a value is written.
    pub(crate) format: Arc<FieldFormat>,
    /// How a missing value is written, beside the empty field.
    pub(crate) nulls: Arc<NullWords>,
}

/// Texts of fields that stand for a missing value, quoted or not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct NullWords(Vec<Vec<u8>>);

impl NullWords {
    pub(crate) fn new(words: Vec<String>) -> Self {
        Self(words.into_iter().map(String::into_bytes).collect())
    }

    /// Whether a field is one of the words, letter by letter.
    #[inline]
    pub(crate) fn is_null(&self, field: &[u8]) -> bool {
        self.0.iter().any(|word| word == field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_words_are_whole_fields() {
        let nulls = NullWords::new(vec!["NA".to_owned(), "-".to_owned()]);
        assert!(nulls.is_null(b"NA") && nulls.is_null(b"-"));
        for field in [&b""[..], b"N", b"na", b"NA ", b"--"] {
            assert!(!nulls.is_null(field));
        }
        assert!(NullWords::new(vec![String::new()]).is_null(b""));
    }
}
