//! The tables of `docs/cleaning.md` are true: each line is carried out, and no rule is missing.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::clean::phone::PhoneLibrary;
use crate::clean::rules::{Step, clean_value};
use crate::job::CleanRule;

const PAGE: &str = include_str!("../../../docs/cleaning.md");
const HEADER: &str = "| rule | text | becomes |";
/// Names of all rules, as jobs write them.
const NAMES: [&str; 10] = [
    "trim",
    "collapse_spaces",
    "lowercase",
    "uppercase",
    "nfc",
    "null_words",
    "default",
    "digits",
    "phone",
    "email",
];

/// A line of a table: a rule, a text, and what the page says becomes of it.
struct Example {
    line: &'static str,
    rule: CleanRule,
    text: Option<String>,
    becomes: Result<Option<String>, String>,
}

/// A rule that is new does not compile here until it has a name, and then an example.
fn name_of(rule: &CleanRule) -> &'static str {
    match rule {
        CleanRule::Trim => "trim",
        CleanRule::CollapseSpaces => "collapse_spaces",
        CleanRule::Lowercase => "lowercase",
        CleanRule::Uppercase => "uppercase",
        CleanRule::Nfc => "nfc",
        CleanRule::NullWords(_) => "null_words",
        CleanRule::Default(_) => "default",
        CleanRule::Digits => "digits",
        CleanRule::Phone { .. } => "phone",
        CleanRule::Email => "email",
    }
}

fn rule_of(cell: &str) -> Option<CleanRule> {
    let table: Table = toml::from_str(&format!("rule = {cell}")).ok()?;
    match table.get("rule")? {
        Value::String(word) => plain_rule(word),
        Value::Table(table) => {
            let (word, setting) = table.iter().next()?;
            rule_with_setting(word, setting)
        }
        _ => None,
    }
}

fn plain_rule(word: &str) -> Option<CleanRule> {
    Some(match word {
        "trim" => CleanRule::Trim,
        "collapse_spaces" => CleanRule::CollapseSpaces,
        "lowercase" => CleanRule::Lowercase,
        "uppercase" => CleanRule::Uppercase,
        "nfc" => CleanRule::Nfc,
        "digits" => CleanRule::Digits,
        "email" => CleanRule::Email,
        _ => return None,
    })
}

fn rule_with_setting(word: &str, setting: &Value) -> Option<CleanRule> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(match word {
        "null_words" => {
            CleanRule::NullWords(setting.as_array()?.iter().map(text).collect::<Option<_>>()?)
        }
        "default" => CleanRule::Default(text(setting)?),
        "phone" => CleanRule::Phone { region: text(setting.get("region")?)? },
        _ => return None,
    })
}

/// `NULL`, or a text as JSON.
fn value_of(cell: &str) -> Result<Option<String>, serde_json::Error> {
    serde_json::from_str(if cell == "NULL" { "null" } else { cell })
}

fn example_of(line: &'static str) -> Option<Example> {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let &[rule, text, becomes] = cells.as_slice() else {
        return None;
    };
    let bare = |cell: &'static str| cell.strip_prefix('`')?.strip_suffix('`');
    let becomes = bare(becomes)?;
    let becomes = match becomes.strip_prefix("rejected: ") {
        Some(code) => Err(code.to_owned()),
        None => Ok(value_of(becomes).ok()?),
    };
    let (rule, text) = (rule_of(bare(rule)?)?, value_of(bare(text)?).ok()?);
    Some(Example { line, rule, text, becomes })
}

/// The lines of all tables of examples.
fn examples() -> Vec<Example> {
    let mut examples = Vec::new();
    let mut lines = PAGE.lines();
    while lines.by_ref().any(|line| line == HEADER) {
        for line in lines.by_ref().skip(1).take_while(|line| line.starts_with('|')) {
            let example = example_of(line).unwrap_or_else(|| panic!("cannot be read: {line}"));
            examples.push(example);
        }
    }
    examples
}

#[test]
fn the_page_says_what_happens() {
    for Example { line, rule, text, becomes } in examples() {
        let steps = Step::compile_all(&[rule], &mut PhoneLibrary::default()).expect("a rule");
        let cleaned = clean_value(&steps, text.as_deref());
        assert_eq!(cleaned.map_err(|code| code.to_string()), becomes, "{line}");
    }
}

#[test]
fn every_rule_is_on_the_page() {
    let shown: BTreeSet<&str> = examples().iter().map(|example| name_of(&example.rule)).collect();
    assert_eq!(shown, BTreeSet::from(NAMES));
}
