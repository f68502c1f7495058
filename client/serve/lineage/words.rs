//! Says in a few words what a rule of a job does, as a person would read it out of the job file.
//!
//! Bound: of a list of texts, the first [`LISTED_MAX`] are told.

use crate::job::{CheckRule, CleanRule, ColumnRule, Form, OnFail, Pii};

/// Texts of a list that are told.
const LISTED_MAX: usize = 8;

/// How a column is cleaned; `None` if it is not.
pub(super) fn clean_words(rule: &ColumnRule) -> Option<String> {
    let words: Vec<String> = rule.clean.iter().map(clean_word).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// What the values of a column must be; `None` if the job asks for nothing.
pub(super) fn check_words(rule: &ColumnRule) -> Option<String> {
    let words: Vec<String> = rule.checks.iter().map(check_word).collect();
    if words.is_empty() {
        return None;
    }
    let words = words.join(", ");
    Some(match rule.on_fail {
        OnFail::Quarantine => words,
        OnFail::Null => format!("{words}; a value that fails becomes NULL"),
        OnFail::Fail => format!("{words}; a value that fails ends the run"),
    })
}

/// What becomes of personal data; `None` if it stays as it is, or is not loaded at all.
pub(super) fn pii_words(pii: &Pii) -> Option<String> {
    match pii {
        Pii::Public | Pii::Drop => None,
        Pii::Hash { domain, form } => Some(format!("hash, domain {domain}{}", form_words(*form))),
        Pii::Salted { domain, form } => {
            Some(format!("salted hash, domain {domain}{}", form_words(*form)))
        }
        Pii::Mask { keep_last: 0 } => Some("mask, nothing stays".to_owned()),
        Pii::Mask { keep_last } => Some(format!("mask, the last {keep_last} stay")),
    }
}

fn form_words(form: Option<Form>) -> &'static str {
    match form {
        None => "",
        Some(Form::Bytea) => ", as bytes",
        Some(Form::Hex) => ", as hexadecimal digits",
    }
}

fn clean_word(rule: &CleanRule) -> String {
    match rule {
        CleanRule::Trim => "trim".to_owned(),
        CleanRule::CollapseSpaces => "collapse spaces".to_owned(),
        CleanRule::Lowercase => "lowercase".to_owned(),
        CleanRule::Uppercase => "uppercase".to_owned(),
        CleanRule::Nfc => "nfc".to_owned(),
        CleanRule::NullWords(words) => format!("null words {}", listed(words)),
        CleanRule::Default(text) => format!("default {text:?}"),
        CleanRule::Digits => "digits".to_owned(),
        CleanRule::Phone { region } => format!("phone of {region}"),
        CleanRule::Email => "email".to_owned(),
    }
}

fn check_word(rule: &CheckRule) -> String {
    match rule {
        CheckRule::Required => "required".to_owned(),
        CheckRule::Uuid { version: None } => "uuid".to_owned(),
        CheckRule::Uuid { version: Some(version) } => format!("uuid of version {version}"),
        CheckRule::Email => "email".to_owned(),
        CheckRule::Url => "url".to_owned(),
        CheckRule::Date => "date".to_owned(),
        CheckRule::Min(bound) => format!("at least {bound}"),
        CheckRule::Max(bound) => format!("at most {bound}"),
        CheckRule::Length { min, max } => length_words(*min, *max),
        CheckRule::OneOf(texts) => format!("one of {}", listed(texts)),
        CheckRule::Regex(pattern) => format!("matches {pattern}"),
        CheckRule::Unique => "unique".to_owned(),
        CheckRule::Expr(text) => text.clone(),
    }
}

fn length_words(min: Option<u32>, max: Option<u32>) -> String {
    match (min, max) {
        (Some(min), Some(max)) if min == max => format!("{min} characters"),
        (Some(min), Some(max)) => format!("{min} to {max} characters"),
        (Some(min), None) => format!("at least {min} characters"),
        (None, Some(max)) => format!("at most {max} characters"),
        (None, None) => "any length".to_owned(),
    }
}

/// Texts in quotes, the first ones.
fn listed(texts: &[String]) -> String {
    let shown: Vec<String> =
        texts.iter().take(LISTED_MAX).map(|text| format!("{text:?}")).collect();
    let shown = shown.join(", ");
    match texts.len().saturating_sub(LISTED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(clean: Vec<CleanRule>, checks: Vec<CheckRule>, on_fail: OnFail) -> ColumnRule {
        ColumnRule {
            name: "email".to_owned(),
            column_type: None,
            clean,
            checks,
            on_fail,
            pii: None,
        }
    }

    #[test]
    fn cleaning_is_told_in_its_order() {
        let words = vec!["n/a".to_owned(), String::new()];
        let clean = vec![
            CleanRule::Trim,
            CleanRule::NullWords(words),
            CleanRule::Phone { region: "US".to_owned() },
            CleanRule::Default("x".to_owned()),
        ];
        let told = clean_words(&rule(clean, Vec::new(), OnFail::Quarantine));
        assert_eq!(
            told.as_deref(),
            Some("trim, null words \"n/a\", \"\", phone of US, default \"x\"")
        );
        assert_eq!(clean_words(&rule(Vec::new(), Vec::new(), OnFail::Quarantine)), None);
    }

    #[test]
    fn checks_are_told_with_what_becomes_of_a_failure() {
        let checks = || {
            vec![
                CheckRule::Required,
                CheckRule::Length { min: Some(1), max: Some(20) },
                CheckRule::Min("0".to_owned()),
                CheckRule::Uuid { version: Some(4) },
            ]
        };
        let told = |on_fail| check_words(&rule(Vec::new(), checks(), on_fail)).expect("checks");
        let words = "required, 1 to 20 characters, at least 0, uuid of version 4";
        assert_eq!(told(OnFail::Quarantine), words);
        assert_eq!(told(OnFail::Null), format!("{words}; a value that fails becomes NULL"));
        assert_eq!(told(OnFail::Fail), format!("{words}; a value that fails ends the run"));
    }

    #[test]
    fn long_lists_are_cut() {
        let texts: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let told = check_word(&CheckRule::OneOf(texts));
        assert!(told.ends_with("\"7\" and 2 more") && !told.contains("\"8\""), "{told}");
    }

    #[test]
    fn personal_data_is_told_with_its_domain() {
        let hash = Pii::Hash { domain: "email".to_owned(), form: None };
        assert_eq!(pii_words(&hash).as_deref(), Some("hash, domain email"));
        let hex = Pii::Hash { domain: "person".to_owned(), form: Some(Form::Hex) };
        assert_eq!(pii_words(&hex).as_deref(), Some("hash, domain person, as hexadecimal digits"));
        assert_eq!(
            pii_words(&Pii::Mask { keep_last: 4 }).as_deref(),
            Some("mask, the last 4 stay")
        );
        assert_eq!(pii_words(&Pii::Drop), None);
        assert_eq!(pii_words(&Pii::Public), None);
    }
}
