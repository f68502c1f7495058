//! The examples of `docs/checks.md`, row by row, so that the page cannot say what is not so.

use super::*;
use std::collections::{HashMap, HashSet};

const PAGE: &str = include_str!("../../../docs/checks.md");
const HEADER: &str = "| rule | type | value | verdict |";

/// Rules that a job can name; [`number`] tells them apart.
const RULES: usize = 12;

/// A row of the table.
struct Example {
    rule: String,
    type_name: String,
    value: Option<String>,
    verdict: String,
}

fn examples() -> Vec<Example> {
    let lines = PAGE.lines().skip_while(|line| *line != HEADER).skip(2);
    lines.take_while(|line| line.starts_with('|')).map(example).collect()
}

fn example(line: &str) -> Example {
    let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`'));
    let cells: Vec<&str> = cells.collect();
    let [rule, type_name, value, verdict] = cells[..] else {
        panic!("not four cells: {line}");
    };
    let text = || serde_json::from_str(value).expect("a JSON string");
    Example {
        rule: rule.to_owned(),
        type_name: type_name.to_owned(),
        value: (value != "NULL").then(text),
        verdict: verdict.to_owned(),
    }
}

/// Reads a rule as it stands in a job.
fn parse_rule(text: &str) -> CheckRule {
    let document: toml::Table = toml::from_str(&format!("rule = {text}")).expect("TOML");
    let (name, argument) = match &document["rule"] {
        toml::Value::String(name) => (name.as_str(), None),
        toml::Value::Table(table) => {
            let (name, argument) = table.iter().next().expect("a rule");
            (name.as_str(), Some(argument))
        }
        _ => panic!("not a rule: {text}"),
    };
    match (name, argument) {
        ("required", None) => CheckRule::Required,
        ("uuid", None) => CheckRule::Uuid { version: None },
        ("email", None) => CheckRule::Email,
        ("url", None) => CheckRule::Url,
        ("date", None) => CheckRule::Date,
        ("unique", None) => CheckRule::Unique,
        ("uuid", Some(version)) => {
            let version = version.as_integer().and_then(|version| u8::try_from(version).ok());
            CheckRule::Uuid { version: Some(version.expect("a version")) }
        }
        ("min", Some(bound)) => CheckRule::Min(constant_text(bound)),
        ("max", Some(bound)) => CheckRule::Max(constant_text(bound)),
        ("length", Some(toml::Value::Integer(exact))) => {
            let exact = Some(u32::try_from(*exact).expect("a u32"));
            CheckRule::Length { min: exact, max: exact }
        }
        ("length", Some(limits)) => {
            let limit = |name: &str| limits.get(name).and_then(toml::Value::as_integer);
            let limit = |name: &str| limit(name).map(|limit| u32::try_from(limit).expect("a u32"));
            CheckRule::Length { min: limit("min"), max: limit("max") }
        }
        ("one_of", Some(words)) => {
            let words = words.as_array().expect("a list");
            CheckRule::OneOf(words.iter().map(constant_text).collect())
        }
        ("regex", Some(pattern)) => CheckRule::Regex(constant_text(pattern)),
        ("expr", Some(expr)) => CheckRule::Expr(constant_text(expr)),
        _ => panic!("not a rule: {text}"),
    }
}

fn constant_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        _ => panic!("neither text nor number"),
    }
}

/// A number for each rule; whoever adds one has to count it here.
fn number(rule: &CheckRule) -> usize {
    match rule {
        CheckRule::Required => 0,
        CheckRule::Uuid { .. } => 1,
        CheckRule::Email => 2,
        CheckRule::Url => 3,
        CheckRule::Date => 4,
        CheckRule::Min(_) => 5,
        CheckRule::Max(_) => 6,
        CheckRule::Length { .. } => 7,
        CheckRule::OneOf(_) => 8,
        CheckRule::Regex(_) => 9,
        CheckRule::Unique => 10,
        CheckRule::Expr(_) => 11,
    }
}

/// Column `v` of one type with one rule, and how many rows of it have been checked.
struct OneRule {
    columns: Vec<Column>,
    checker: Checker,
    rows: u64,
}

impl OneRule {
    fn new(example: &Example) -> Self {
        let columns = columns(&[("v", example.type_name.as_str())]);
        let of_column = checks(&[parse_rule(&example.rule)], OnFail::Quarantine);
        Self { checker: new(&columns, vec![of_column], &[]), columns, rows: 0 }
    }

    /// Checks the next row.
    fn verdict(&mut self, value: Option<&str>) -> String {
        self.rows += 1;
        let mut row = rows(&self.columns, self.rows, &[&["NULL"]]);
        let column_type = self.columns[0].column_type;
        let values = parse_or_null(column_type, std::iter::once(value)).expect("an array");
        assert_eq!(text_of(&values, 0).is_some(), value.is_some(), "the value is of its type");
        row.records = RecordBatch::try_new(row.records.schema(), vec![values]).expect("a record");
        let verdict = judge(&self.checker, &row);
        let codes: Vec<&str> = verdict
            .rejects
            .iter()
            .flat_map(|staged| staged.reject.reasons.iter().map(|reason| reason.code.as_str()))
            .collect();
        if codes.is_empty() { "passes".to_owned() } else { codes.join(" ") }
    }
}

#[test]
fn every_example_is_true_and_every_rule_has_one_that_passes_and_one_that_fails() {
    let mut seen = HashSet::new();
    let mut runs: HashMap<(String, String), OneRule> = HashMap::new();
    for example in examples() {
        let key = (example.rule.clone(), example.type_name.clone());
        let run = runs.entry(key).or_insert_with(|| OneRule::new(&example));
        let verdict = run.verdict(example.value.as_deref());
        let Example { rule, type_name, value, verdict: expected } = &example;
        assert_eq!(verdict, *expected, "{rule} of {type_name}: {value:?}");
        seen.insert((number(&parse_rule(rule)), expected == "passes"));
    }
    for number in 0..RULES {
        assert!(seen.contains(&(number, true)), "rule {number} has no example that passes");
        assert!(seen.contains(&(number, false)), "rule {number} has no example that fails");
    }
}

#[test]
fn every_code_of_the_examples_is_explained() {
    for Example { verdict, .. } in examples() {
        let entry = format!("| `{verdict}` | ");
        assert!(verdict == "passes" || PAGE.contains(&entry), "{verdict} is not explained");
    }
}
