//! Reads one rule of a list as it stands in TOML: a word, or a table of one key.
//!
//! Serde would only say that no variant fits; here an error names the rule and how it is written.

use ferry::host::settings::nearest;
use toml::Value;

/// The rules that may stand in a list.
pub(super) struct RuleList {
    /// Key of the list in the job file.
    pub(super) key: &'static str,
    /// Word of each rule, and how the rule is written.
    pub(super) rules: &'static [(&'static str, &'static str)],
}

/// A rule that the list knows, its setting not yet looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// Word of the rule.
    pub(super) word: &'a str,
    /// What the word is set to, if it stands in a table.
    pub(super) setting: Option<&'a Value>,
}

impl RuleList {
    /// Reads a rule as far as its word.
    pub(super) fn entry<'a>(&self, value: &'a Value) -> Result<Entry<'a>, String> {
        let entry = match value {
            Value::String(word) => Entry { word: word.as_str(), setting: None },
            Value::Table(table) => {
                let mut keys = table.iter();
                let (Some((word, setting)), None) = (keys.next(), keys.next()) else {
                    return Err(format!(
                        "a table in {} must have exactly one key: write a table for each rule",
                        self.key
                    ));
                };
                Entry { word: word.as_str(), setting: Some(setting) }
            }
            _ => return Err(format!("{} takes words and tables of one key", self.key)),
        };
        let known: Vec<&str> = self.rules.iter().map(|(word, _)| *word).collect();
        if known.contains(&entry.word) {
            Ok(entry)
        } else {
            Err(unknown(&format!("{} rule", self.key), entry.word, &known))
        }
    }

    /// What is wrong with a known rule that is not written as it must be.
    pub(super) fn misuse(&self, word: &str) -> String {
        let rule = self.rules.iter().find(|(known, _)| *known == word);
        let example = rule.map_or("", |(_, example)| *example);
        format!("{} rule \"{word}\" is not written like that: write {example}", self.key)
    }

    /// What is wrong with a rule that stands in the list again.
    pub(super) fn repeated(&self, word: &str) -> String {
        format!("{} rule \"{word}\" stands there twice: keep one", self.key)
    }
}

/// Says that a word is not known, and which known one is nearest.
pub(super) fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("{what} \"{word}\" is not known: did you mean \"{near}\"?"),
        None => format!("{what} \"{word}\" is not known: use {}", known.join(", ")),
    }
}

/// A single value as its text; `None` for lists, tables, and numbers that are not finite.
pub(super) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        // So that 1.0 does not become 1.
        Value::Float(number) => number.is_finite().then(|| format!("{number:?}")),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Datetime(datetime) => Some(datetime.to_string()),
        Value::Array(_) | Value::Table(_) => None,
    }
}

/// A list of at least one value, each as the text that `text_of` takes from it.
pub(super) fn text_list(
    value: &Value,
    text_of: fn(&Value) -> Option<String>,
) -> Option<Vec<String>> {
    let texts: Vec<String> = value.as_array()?.iter().map(text_of).collect::<Option<_>>()?;
    (!texts.is_empty()).then_some(texts)
}

/// An SQL expression, which must say something.
pub(super) fn expression(setting: &str, text: String) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err(format!("{setting} is empty: write an SQL expression, or leave it out"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_becomes_the_text_that_was_written() {
        let table: toml::Table = toml::from_str(
            "text = ' x '\ninteger = -7\nwhole = 1.0\nfraction = 0.25\nflag = true\n\
             day = 2020-01-31\ninstant = 2020-01-31T07:32:00Z",
        )
        .expect("well-formed TOML");
        let text = |key: &str| scalar_text(&table[key]);
        assert_eq!(text("text").as_deref(), Some(" x "));
        assert_eq!(text("integer").as_deref(), Some("-7"));
        assert_eq!(text("whole").as_deref(), Some("1.0"));
        assert_eq!(text("fraction").as_deref(), Some("0.25"));
        assert_eq!(text("flag").as_deref(), Some("true"));
        assert_eq!(text("day").as_deref(), Some("2020-01-31"));
        assert_eq!(text("instant").as_deref(), Some("2020-01-31T07:32:00Z"));
        assert_eq!(scalar_text(&Value::Float(f64::NAN)), None);
        assert_eq!(scalar_text(&Value::Array(Vec::new())), None);
    }

    #[test]
    fn an_unknown_word_gets_the_nearest_one_or_all() {
        let known = ["trim", "email"];
        assert!(unknown("rule", "trimm", &known).ends_with("did you mean \"trim\"?"));
        assert!(unknown("rule", "zzz", &known).ends_with("use trim, email"));
    }
}
