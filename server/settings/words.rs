//! Reads single values of a `[[dataset]]`: words from a list, numbers between two bounds, texts.
//!
//! Every error names the key and says what may stand there.

use std::fmt::Display;
use std::ops::RangeInclusive;

use ferry::host::settings::nearest;
use toml::Value;

/// Most texts in one list of words.
const WORDS_MAX: usize = 100;

/// The meaning of a word, among those that are known.
pub(super) fn one_of<T: Clone>(key: &str, word: &str, known: &[(&str, T)]) -> Result<T, String> {
    if let Some((_, meaning)) = known.iter().find(|(name, _)| *name == word) {
        return Ok(meaning.clone());
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    Err(format!("{key} = {word:?}: {}", guess(word, &names)))
}

/// What a word may have been meant to be, or all that it can be.
pub(super) fn guess(word: &str, known: &[&str]) -> String {
    match nearest(&word.to_ascii_lowercase(), known.iter().copied()) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => format!("write \"{}\"", known.join("\" or \"")),
    }
}

/// A number, if it lies between two bounds.
pub(super) fn within<T: PartialOrd + Display>(
    key: &str,
    number: T,
    bounds: &RangeInclusive<T>,
) -> Result<T, String> {
    if bounds.contains(&number) {
        Ok(number)
    } else {
        Err(format!("{key} = {number}: write {} to {}", bounds.start(), bounds.end()))
    }
}

/// A quote or an escape: one ASCII character.
pub(super) fn one_byte(key: &str, text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !b"\r\n\0".contains(byte) => Ok(*byte),
        _ => Err(format!(
            "{key} = {text:?}: write one ASCII character that is no line end, or \"\" for none"
        )),
    }
}

/// A value that is a text.
pub(super) fn text(key: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        _ => Err(format!("{key} is {}: write a text in quotes", kind(value))),
    }
}

/// A value that is a list of texts, which may be empty.
pub(super) fn texts(key: &str, value: &Value) -> Result<Vec<String>, String> {
    let misuse = |found: &str| format!("{key} is {found}: write a list of texts, such as [\"-\"]");
    let Value::Array(values) = value else {
        return Err(misuse(kind(value)));
    };
    let mut texts = Vec::with_capacity(values.len());
    for value in values {
        let Value::String(text) = value else {
            return Err(misuse(&format!("a list with {}", kind(value))));
        };
        texts.push(text.clone());
    }
    few(key, texts)
}

/// A value that is a list of at least one text.
pub(super) fn some_texts(key: &str, value: &Value) -> Result<Vec<String>, String> {
    let texts = texts(key, value)?;
    if texts.is_empty() {
        return Err(format!("{key} is empty: write at least one text, or leave it out"));
    }
    Ok(texts)
}

/// A list that is not too long: each field is compared with all of its words.
pub(super) fn few(key: &str, texts: Vec<String>) -> Result<Vec<String>, String> {
    if texts.len() > WORDS_MAX {
        return Err(format!("{key} has {} texts: write at most {WORDS_MAX}", texts.len()));
    }
    Ok(texts)
}

/// What a value is, as an error says it.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date or time",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [(&str, u8); 3] = [("any", 0), ("crlf", 1), ("lf", 2)];

    #[test]
    fn a_word_has_one_meaning_or_is_refused_with_the_nearest() {
        assert_eq!(one_of("terminator", "crlf", &KNOWN), Ok(1));
        let refusal = |word| one_of("terminator", word, &KNOWN).expect_err("it is refused");
        assert_eq!(refusal("unix"), "terminator = \"unix\": write \"any\" or \"crlf\" or \"lf\"");
        for word in ["crfl", "CRLF"] {
            assert_eq!(refusal(word), format!("terminator = \"{word}\": did you mean \"crlf\"?"));
        }
    }

    #[test]
    fn bounds_are_told() {
        assert_eq!(within("skip_footer", 1000, &(0..=1000)), Ok(1000));
        let refusal = within("skip_footer", 1001, &(0..=1000)).expect_err("it is refused");
        assert_eq!(refusal, "skip_footer = 1001: write 0 to 1000");
    }

    #[test]
    fn lists_hold_texts() {
        let list = |text: &str| {
            let table: toml::Table = toml::from_str(text).expect("well-formed TOML");
            some_texts("null", &table["null"])
        };
        assert_eq!(list("null = ['NA', '']").expect("texts").len(), 2);
        assert!(list("null = 'NA'").expect_err("a text").contains("is a text: write a list"));
        assert!(list("null = [0]").expect_err("a number").contains("a list with a number"));
        assert!(list("null = []").expect_err("empty").contains("at least one"));
        let long = vec![String::new(); WORDS_MAX + 1];
        assert_eq!(
            few("null", long).expect_err("too long"),
            "null has 101 texts: write at most 100"
        );
    }
}
