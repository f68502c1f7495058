//! Turns the `check` list of a column, and each `[[check]]` of whole rows, into rules.

use std::collections::HashSet;

use ferry::reject::Code;
use regex::Regex;
use serde::Serialize;
use toml::{Table, Value};

use super::raw::RawCheck;
use super::rule::{Entry, RuleList, expression, scalar_text, text_list, unknown};
use super::{JobError, refuse_repeats};

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CheckRule {
    /// Not NULL.
    Required,
    /// A UUID.
    Uuid {
        /// Version that it must have; `None` for any.
        version: Option<u8>,
    },
    /// An e-mail address.
    Email,
    /// A URL.
    Url,
    /// A day.
    Date,
    /// At least this, in the words of the column's type.
    Min(String),
    /// At most this, in the words of the column's type.
    Max(String),
    /// Of so many characters; at least one bound is there.
    Length {
        /// Fewest characters.
        min: Option<u32>,
        /// Most characters.
        max: Option<u32>,
    },
    /// One of these, in the words of the column's type.
    OneOf(Vec<String>),
    /// Matched by this pattern, which compiles.
    Regex(String),
    /// Different from the value of every other row.
    Unique,
    /// Such that this SQL expression is true.
    Expr(String),
}

/// What a row must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RowCheck {
    /// Becomes the code of the reject.
    pub(crate) name: Option<String>,
    /// SQL expression that must be true.
    pub(crate) expr: String,
    /// What becomes of a row that fails, never [`OnFail::Null`].
    pub(crate) on_fail: OnFail,
}

/// What becomes of a row, or of a value, that fails a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnFail {
    /// The row goes to quarantine.
    #[default]
    Quarantine,
    /// The value becomes NULL.
    Null,
    /// The run fails.
    Fail,
}

const RULES: RuleList = RuleList {
    key: "check",
    rules: &[
        ("required", "\"required\""),
        ("uuid", "\"uuid\", or { uuid = 4 } with a version of 1 to 8"),
        ("email", "\"email\""),
        ("url", "\"url\""),
        ("date", "\"date\""),
        ("min", "{ min = 0 }, with a number, a text or a date"),
        ("max", "{ max = \"2030-01-01\" }, with a number, a text or a date"),
        ("length", "{ length = { min = 1, max = 20 } }, or { length = 5 } for exactly 5"),
        ("one_of", "{ one_of = [\"a\", \"b\"] }, with at least one text or whole number"),
        ("regex", "{ regex = \"^[A-Z]+$\" }"),
        ("unique", "\"unique\""),
        ("expr", "{ expr = \"price > 0\" }"),
    ],
};
/// Rules that may stand in a list more than once, each time with something else to say.
const REPEATABLE: [&str; 2] = ["regex", "expr"];

/// Reads the list; an error does not name the column.
pub(super) fn check_rules(values: &[Value]) -> Result<Vec<CheckRule>, String> {
    let mut seen = HashSet::new();
    let mut rules: Vec<CheckRule> = Vec::with_capacity(values.len());
    for value in values {
        let entry = RULES.entry(value)?;
        let rule = check_rule(entry)?;
        let is_repeated = if REPEATABLE.contains(&entry.word) {
            rules.contains(&rule)
        } else {
            !seen.insert(entry.word)
        };
        if is_repeated {
            return Err(RULES.repeated(entry.word));
        }
        rules.push(rule);
    }
    Ok(rules)
}

fn check_rule(entry: Entry<'_>) -> Result<CheckRule, String> {
    let misuse = || RULES.misuse(entry.word);
    Ok(match (entry.word, entry.setting) {
        ("required", None) => CheckRule::Required,
        ("uuid", None) => CheckRule::Uuid { version: None },
        ("uuid", Some(version)) => {
            CheckRule::Uuid { version: Some(uuid_version(version).ok_or_else(misuse)?) }
        }
        ("email", None) => CheckRule::Email,
        ("url", None) => CheckRule::Url,
        ("date", None) => CheckRule::Date,
        ("min", Some(bound)) => CheckRule::Min(bound_text(bound).ok_or_else(misuse)?),
        ("max", Some(bound)) => CheckRule::Max(bound_text(bound).ok_or_else(misuse)?),
        ("length", Some(length)) => length_rule(length)?,
        ("one_of", Some(list)) => {
            CheckRule::OneOf(text_list(list, listed_text).ok_or_else(misuse)?)
        }
        ("regex", Some(pattern)) => {
            CheckRule::Regex(valid_pattern(pattern.as_str().ok_or_else(misuse)?)?)
        }
        ("unique", None) => CheckRule::Unique,
        ("expr", Some(text)) => {
            let text = text.as_str().ok_or_else(misuse)?;
            CheckRule::Expr(expression("check rule \"expr\"", text.to_owned())?)
        }
        _ => return Err(misuse()),
    })
}

fn uuid_version(value: &Value) -> Option<u8> {
    let version = u8::try_from(value.as_integer()?).ok()?;
    (1..=8).contains(&version).then_some(version)
}

fn bound_text(value: &Value) -> Option<String> {
    if value.is_bool() { None } else { scalar_text(value) }
}

/// Other numbers have several spellings, so they must be written as text.
fn listed_text(value: &Value) -> Option<String> {
    let is_plain = value.is_str() || value.is_integer();
    scalar_text(value).filter(|_| is_plain)
}

fn valid_pattern(pattern: &str) -> Result<String, String> {
    match Regex::new(pattern) {
        Ok(_) => Ok(pattern.to_owned()),
        Err(error) => Err(format!("check rule \"regex\": \"{pattern}\" is no pattern: {error}")),
    }
}

fn length_rule(value: &Value) -> Result<CheckRule, String> {
    let misuse = || RULES.misuse("length");
    let (min, max) = if let Value::Table(range) = value {
        length_range(range)?
    } else {
        let exact = characters(value).ok_or_else(misuse)?;
        (Some(exact), Some(exact))
    };
    match (min, max) {
        (None, None) => Err(misuse()),
        (Some(min), Some(max)) if min > max => Err(format!(
            "check rule \"length\": no text has at least {min} and at most {max} characters"
        )),
        _ => Ok(CheckRule::Length { min, max }),
    }
}

fn length_range(range: &Table) -> Result<(Option<u32>, Option<u32>), String> {
    if let Some(key) = range.keys().find(|key| !["min", "max"].contains(&key.as_str())) {
        return Err(unknown("setting of check rule \"length\"", key, &["min", "max"]));
    }
    let bound = |key: &str| match range.get(key) {
        None => Ok(None),
        Some(value) => characters(value).map(Some).ok_or_else(|| RULES.misuse("length")),
    };
    Ok((bound("min")?, bound("max")?))
}

fn characters(value: &Value) -> Option<u32> {
    u32::try_from(value.as_integer()?).ok()
}

impl OnFail {
    /// Reads the key `on_fail`.
    pub(super) fn of_word(word: Option<&str>) -> Result<Self, String> {
        match word {
            None => Ok(Self::default()),
            Some("quarantine") => Ok(Self::Quarantine),
            Some("null") => Ok(Self::Null),
            Some("fail") => Ok(Self::Fail),
            Some(word) => Err(unknown("on_fail", word, &["quarantine", "null", "fail"])),
        }
    }
}

/// Reads the checks of whole rows.
pub(super) fn row_checks(raw: Vec<RawCheck>) -> Result<Vec<RowCheck>, JobError> {
    refuse_repeats("[[check]]", raw.iter().filter_map(|check| check.name.as_ref()))?;
    let mut checks = Vec::with_capacity(raw.len());
    for (index, check) in raw.into_iter().enumerate() {
        // A check without name is told by its place among the others.
        let shown = match &check.name {
            Some(name) => format!("[[check]] \"{name}\""),
            None => format!("[[check]] number {}", index + 1),
        };
        let check = row_check(check);
        checks.push(check.map_err(|text| JobError::Invalid(format!("{shown}: {text}")))?);
    }
    Ok(checks)
}

fn row_check(raw: RawCheck) -> Result<RowCheck, String> {
    if raw.name.as_deref().is_some_and(|name| Code::from_wire(name).is_none()) {
        let text = "the name becomes a code: use 1 to 64 of the characters a to z, 0 to 9 and _";
        return Err(text.to_owned());
    }
    let on_fail = OnFail::of_word(raw.on_fail.as_deref())?;
    if on_fail == OnFail::Null {
        let text = "on_fail = \"null\" is for columns, a row has no value of its own: use \"quarantine\" or \"fail\"";
        return Err(text.to_owned());
    }
    Ok(RowCheck { name: raw.name, expr: expression("expr", raw.expr)?, on_fail })
}

#[cfg(test)]
mod tests;
