//! Turns the words that a file has for true and false into booleans.

use crate::reject::Code;

use super::fields::trim;

/// Words for true and for false; case does not matter, white space around them neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BooleanWords {
    /// In lower case, as the next ones.
    true_words: Vec<String>,
    false_words: Vec<String>,
}

impl BooleanWords {
    /// Takes the words of settings, both lists or neither. Err: what to do.
    pub(super) fn new(
        true_words: Option<Vec<String>>,
        false_words: Option<Vec<String>>,
    ) -> Result<Option<Self>, String> {
        let (true_words, false_words) = match (true_words, false_words) {
            (None, None) => return Ok(None),
            (Some(true_words), Some(false_words)) => (lowered(&true_words), lowered(&false_words)),
            _ => {
                return Err("true and false are set together: \
                            where a file has no word for one of them, set it to []"
                    .to_owned());
            }
        };
        if true_words.is_empty() && false_words.is_empty() {
            return Err("true and false have no words: leave both out or name some".to_owned());
        }
        if let Some(word) = true_words.iter().find(|word| false_words.contains(word)) {
            return Err(format!("\"{word}\" is a word for true and for false: choose one"));
        }
        Ok(Some(Self { true_words, false_words }))
    }

    pub(super) fn read(&self, field: &[u8]) -> Result<bool, Code> {
        let word = std::str::from_utf8(trim(field)).map_err(|_| Code::BAD_BOOLEAN)?;
        if self.true_words.iter().any(|lower| is_same_word(word, lower)) {
            Ok(true)
        } else if self.false_words.iter().any(|lower| is_same_word(word, lower)) {
            Ok(false)
        } else {
            Err(Code::BAD_BOOLEAN)
        }
    }
}

fn lowered(words: &[String]) -> Vec<String> {
    let lower =
        |word: &String| word.trim().chars().flat_map(char::to_lowercase).collect::<String>();
    words.iter().map(lower).collect()
}

fn is_same_word(word: &str, lower: &str) -> bool {
    word.chars().flat_map(char::to_lowercase).eq(lower.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(true_words: &[&str], false_words: &[&str]) -> Result<Option<BooleanWords>, String> {
        let owned = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        BooleanWords::new(owned(true_words), owned(false_words))
    }

    #[test]
    fn words_are_found_in_any_case() {
        let words = words(&["Ja", "ДА"], &["Nein", ""]).expect("words").expect("some");
        for (field, expected) in [
            ("ja", Ok(true)),
            (" JA ", Ok(true)),
            ("да", Ok(true)),
            ("NEIN", Ok(false)),
            ("", Ok(false)),
            ("j", Err(Code::BAD_BOOLEAN)),
            ("true", Err(Code::BAD_BOOLEAN)),
            ("jaa", Err(Code::BAD_BOOLEAN)),
        ] {
            assert_eq!(words.read(field.as_bytes()), expected, "{field}");
        }
        assert_eq!(words.read(b"\xFF"), Err(Code::BAD_BOOLEAN));
    }

    #[test]
    fn words_that_say_nothing_or_both_are_refused() {
        assert_eq!(BooleanWords::new(None, None), Ok(None));
        assert!(words(&["x"], &[]).is_ok());
        assert!(words(&[], &[]).is_err());
        assert!(words(&["x", "ja"], &["JA"]).is_err());
        assert!(BooleanWords::new(Some(vec!["x".to_owned()]), None).is_err());
        assert!(BooleanWords::new(None, Some(vec!["x".to_owned()])).is_err());
    }
}
