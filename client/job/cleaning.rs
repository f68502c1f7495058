//! Turns the `clean` list of a column into rules, in the order in which they apply.

use std::collections::HashSet;

use serde::Serialize;
use toml::Value;

use super::rule::{Entry, RuleList, scalar_text, text_list};

/// How the text of a value is cleaned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CleanRule {
    /// Without white space at both ends.
    Trim,
    /// One space for each run of white space.
    CollapseSpaces,
    /// In small letters.
    Lowercase,
    /// In capital letters.
    Uppercase,
    /// In Unicode's composed form.
    Nfc,
    /// One of these texts means that there is no value.
    NullWords(Vec<String>),
    /// Stands where there is no value.
    Default(String),
    /// Only the digits.
    Digits,
    /// As an E.164 phone number.
    Phone {
        /// Country of numbers without a country code: two capital letters of ISO 3166.
        region: String,
    },
    /// As an e-mail address.
    Email,
}

const RULES: RuleList = RuleList {
    key: "clean",
    rules: &[
        ("trim", "\"trim\""),
        ("collapse_spaces", "\"collapse_spaces\""),
        ("lowercase", "\"lowercase\""),
        ("uppercase", "\"uppercase\""),
        ("nfc", "\"nfc\""),
        (NULL_WORDS, "{ null_words = [\"n/a\", \"\"] }, with at least one text"),
        ("default", "{ default = \"x\" }, with a text, a number or a boolean"),
        ("digits", "\"digits\""),
        ("phone", "{ phone = { region = \"US\" } }"),
        ("email", "\"email\""),
    ],
};
/// May stand more than once, such as before and after other rules.
const NULL_WORDS: &str = "null_words";

/// Reads the list; an error does not name the column.
pub(super) fn clean_rules(values: &[Value]) -> Result<Vec<CleanRule>, String> {
    let mut seen = HashSet::new();
    let mut rules = Vec::with_capacity(values.len());
    for value in values {
        let entry = RULES.entry(value)?;
        rules.push(clean_rule(entry)?);
        if !seen.insert(entry.word) && entry.word != NULL_WORDS {
            return Err(RULES.repeated(entry.word));
        }
    }
    Ok(rules)
}

fn clean_rule(entry: Entry<'_>) -> Result<CleanRule, String> {
    let misuse = || RULES.misuse(entry.word);
    Ok(match (entry.word, entry.setting) {
        ("trim", None) => CleanRule::Trim,
        ("collapse_spaces", None) => CleanRule::CollapseSpaces,
        ("lowercase", None) => CleanRule::Lowercase,
        ("uppercase", None) => CleanRule::Uppercase,
        ("nfc", None) => CleanRule::Nfc,
        (NULL_WORDS, Some(words)) => {
            let text_of = |word: &Value| word.as_str().map(str::to_owned);
            CleanRule::NullWords(text_list(words, text_of).ok_or_else(misuse)?)
        }
        ("default", Some(value)) => CleanRule::Default(scalar_text(value).ok_or_else(misuse)?),
        ("digits", None) => CleanRule::Digits,
        ("phone", Some(setting)) => CleanRule::Phone { region: region(setting)? },
        ("email", None) => CleanRule::Email,
        _ => return Err(misuse()),
    })
}

fn region(setting: &Value) -> Result<String, String> {
    let table = setting.as_table().filter(|table| table.len() == 1);
    let region = table.and_then(|table| table.get("region")).and_then(Value::as_str);
    let region = region.ok_or_else(|| RULES.misuse("phone"))?;
    let is_code = region.len() == 2 && region.bytes().all(|byte| byte.is_ascii_uppercase());
    if !is_code {
        return Err(format!(
            "clean rule \"phone\": region \"{region}\" must be the two capital letters that ISO 3166 gives a country, such as \"US\""
        ));
    }
    Ok(region.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::tests::{column, column_refusal};

    fn clean(list: &str) -> Vec<CleanRule> {
        column(&format!("clean = {list}")).expect("a valid list").clean
    }

    #[track_caller]
    fn assert_refused(list: &str, hint: &str) {
        let error = column_refusal(&format!("clean = {list}"));
        assert!(error.starts_with("column \"email\": ") && error.contains(hint), "{error}");
    }

    #[test]
    fn rules_keep_their_order() {
        let rules = clean("['nfc', { null_words = ['n/a', ''] }, 'trim', { default = 'x' }]");
        let null_words = CleanRule::NullWords(vec!["n/a".to_owned(), String::new()]);
        let default = CleanRule::Default("x".to_owned());
        assert_eq!(rules, [CleanRule::Nfc, null_words, CleanRule::Trim, default]);
    }

    #[test]
    fn a_default_is_kept_as_its_text() {
        assert_eq!(clean("[{ default = 0 }]"), [CleanRule::Default("0".to_owned())]);
        assert_eq!(clean("[{ default = false }]"), [CleanRule::Default("false".to_owned())]);
        assert_eq!(clean("[{ default = 1.5 }]"), [CleanRule::Default("1.5".to_owned())]);
    }

    #[test]
    fn a_mistyped_rule_gets_the_nearest_one() {
        let error = column_refusal("clean = ['trimm']");
        assert_eq!(
            error,
            "column \"email\": clean rule \"trimm\" is not known: did you mean \"trim\"?"
        );
    }

    #[test]
    fn a_rule_that_is_written_wrongly_is_shown_as_it_should_be() {
        assert_refused("['phone']", "{ phone = { region = \"US\" } }");
        assert_refused("[{ phone = 'US' }]", "{ phone = { region = \"US\" } }");
        assert_refused("[{ phone = { region = 'US', type = 'mobile' } }]", "{ phone = ");
        assert_refused("[{ trim = true }]", "write \"trim\"");
        assert_refused("[{ null_words = [] }]", "at least one text");
        assert_refused("[{ null_words = 'n/a' }]", "at least one text");
        assert_refused("[{ null_words = [0] }]", "at least one text");
        assert_refused("[{ default = ['x'] }]", "{ default = \"x\" }");
        assert_refused("[{ default = nan }]", "{ default = \"x\" }");
    }

    #[test]
    fn a_table_has_exactly_one_key() {
        assert_refused("[{ default = 'x', null_words = ['n/a'] }]", "exactly one key");
        assert_refused("[{}]", "exactly one key");
        assert_refused("[7]", "words and tables of one key");
    }

    #[test]
    fn a_region_is_two_capital_letters() {
        for region in ["us", "USA", "U", "", "1A"] {
            assert_refused(&format!("[{{ phone = {{ region = '{region}' }} }}]"), "ISO 3166");
        }
    }

    #[test]
    fn a_rule_stands_once_but_for_null_words() {
        assert_refused("['trim', 'lowercase', 'trim']", "clean rule \"trim\" stands there twice");
        assert_refused("[{ default = 'a' }, { default = 'b' }]", "\"default\" stands there twice");
        let rules = clean("[{ null_words = ['n/a'] }, 'digits', { null_words = [''] }]");
        assert_eq!(rules.len(), 3);
    }
}
