//! Turns fields into whether a column says nothing but yes and no, and in which words.
//!
//! `0` and `1` are numbers here: PostgreSQL takes them for booleans, but few columns mean that.

use ferry::values::FormatWords;

use super::fit::Fit;

/// Words for true and for false; PostgreSQL's own come first.
const VOCABULARIES: [(&[&str], &[&str]); 7] = [
    (&["true", "t", "yes", "y", "on"], &["false", "f", "no", "n", "off"]),
    (&["ja", "j"], &["nein", "n"]),
    (&["wahr"], &["falsch"]),
    (&["oui", "o"], &["non", "n"]),
    (&["vrai"], &["faux"]),
    (&["si", "s"], &["no", "n"]),
    (&["verdadero"], &["falso"]),
];
const WORD_BYTES_MAX: usize = 9;

/// The words of one column.
#[derive(Default)]
pub(super) struct Booleans {
    pub(super) fit: Fit,
    /// Vocabularies that have every word so far, as bits; none before the first word.
    vocabularies: Option<u8>,
    has_true: bool,
    has_false: bool,
    /// Whether a word was seen that may mean anything, such as `f` or `no`.
    has_vague_word: bool,
}

impl Booleans {
    #[inline]
    pub(super) fn take(&mut self, field: &[u8]) {
        if self.fit.is_out() {
            return;
        }
        let is_fitting = field.len() <= WORD_BYTES_MAX && self.read(field);
        self.fit.note(is_fitting);
    }

    /// How the words are to be declared, if they are those of a boolean.
    pub(super) fn choose(&self) -> Option<FormatWords> {
        let index = usize::try_from(self.vocabularies?.trailing_zeros()).ok()?;
        let (true_words, false_words) = *VOCABULARIES.get(index)?;
        let says_both = self.has_true && self.has_false;
        if !says_both && (index > 0 || self.has_vague_word) {
            return None;
        }
        let owned = |words: &[&str]| -> Option<Vec<String>> {
            Some(words.iter().map(|word| (*word).to_owned()).collect())
        };
        Some(match index {
            0 => FormatWords::default(),
            _ => FormatWords {
                true_words: owned(true_words),
                false_words: owned(false_words),
                ..FormatWords::default()
            },
        })
    }

    fn read(&mut self, field: &[u8]) -> bool {
        let is_word = |word: &&str| word.as_bytes().eq_ignore_ascii_case(field);
        let (mut in_true, mut in_false) = (0_u8, 0_u8);
        for (index, (true_words, false_words)) in VOCABULARIES.iter().enumerate() {
            in_true |= u8::from(true_words.iter().any(is_word)) << index;
            in_false |= u8::from(false_words.iter().any(is_word)) << index;
        }
        let alive = self.vocabularies.unwrap_or(u8::MAX) & (in_true | in_false);
        if alive == 0 {
            return false;
        }
        self.vocabularies = Some(alive);
        self.has_true |= in_true & alive != 0;
        self.has_false |= in_false & alive != 0;
        self.has_vague_word |= field.len() < 4;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words for true, empty where they are PostgreSQL's; `None` if it is no boolean.
    fn chosen(fields: &[&str]) -> Option<String> {
        let mut booleans = Booleans::default();
        for field in fields {
            booleans.take(field.as_bytes());
        }
        let words = booleans.choose().filter(|_| booleans.fit.is_whole())?;
        Some(words.true_words.map(|words| words.join("|")).unwrap_or_default())
    }

    #[test]
    fn words_of_postgresql_need_no_format() {
        assert_eq!(chosen(&["True", "False", "TRUE"]), Some(String::new()));
        assert_eq!(chosen(&["yes", "n"]), Some(String::new()));
        assert_eq!(chosen(&["true"]), Some(String::new()));
    }

    #[test]
    fn words_of_other_languages_do() {
        assert_eq!(chosen(&["ja", "nein"]), Some("ja|j".to_owned()));
        assert_eq!(chosen(&["oui", "non", "N"]), Some("oui|o".to_owned()));
    }

    #[test]
    fn what_may_mean_anything_else_is_no_boolean() {
        for fields in [&["0", "1"][..], &["f", "f"], &["no"], &["m", "f"], &["yes", "maybe"]] {
            assert_eq!(chosen(fields), None, "{fields:?}");
        }
    }
}
