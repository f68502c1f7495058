//! The plan as the ledger keeps it: what a run did to each column, and by which rules.

use serde_json::{Map, Value, json};

use super::{ColumnPlan, SourceColumn};
use crate::job::{Job, Mode, Pii, Target};

/// What the run does to each column of the source, as a JSON array.
///
/// A run goes on only with the same columns, so what is not used is not named:
/// then a later version that knows more still writes the same.
pub(crate) fn columns_json(plan: &ColumnPlan) -> String {
    let entries = plan.sources.iter().map(|source| entry(plan, source));
    let left = plan.left_at_source.iter().map(|name| json!({ "name": name, "pii": "drop" }));
    entries.chain(left).collect::<Value>().to_string()
}

fn entry(plan: &ColumnPlan, source: &SourceColumn) -> Value {
    let name = &source.column.name;
    let mut entry = Map::new();
    entry.insert("name".to_owned(), json!(name));
    entry.insert("read_as".to_owned(), json!(source.column.column_type.to_string()));
    entry.insert("loaded_as".to_owned(), json!(loaded_as(plan, name)));
    let (pii, mode) = match &source.pii {
        None | Some(Pii::Public) => (Value::Null, None),
        Some(Pii::Hash { domain, .. }) => (json!(domain), None),
        Some(Pii::Salted { domain, .. }) => (json!(domain), Some("salted")),
        Some(Pii::Mask { .. }) => (json!("mask"), Some("mask")),
        Some(Pii::Drop) => (json!("drop"), Some("drop")),
    };
    entry.insert("pii".to_owned(), pii);
    if let Some(mode) = mode {
        entry.insert("pii_mode".to_owned(), json!(mode));
    }
    match &source.pii {
        Some(Pii::Mask { keep_last }) => {
            entry.insert("keep_last".to_owned(), json!(keep_last));
        }
        Some(Pii::Hash { form: Some(form), .. } | Pii::Salted { form: Some(form), .. }) => {
            entry.insert("form".to_owned(), json!(form));
        }
        _ => {}
    }
    if !source.clean.is_empty() {
        entry.insert("clean".to_owned(), json!(source.clean));
        entry.insert("typed_as".to_owned(), json!(source.clean_type.to_string()));
    }
    Value::Object(entry)
}

/// Type in the first table that takes the column under its own name.
fn loaded_as(plan: &ColumnPlan, name: &str) -> Option<String> {
    let mut columns = plan.targets.iter().flat_map(|target| &target.columns);
    let column = columns.find(|column| column.origin == name)?;
    Some(column.column.column_type.to_string())
}

/// The other rules of the job, as a JSON object; empty for a job without any.
pub(crate) fn rules_json(job: &Job) -> String {
    let mut rules = Map::new();
    let mut add = |name: &str, value: Value| {
        let is_empty = match &value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
            _ => false,
        };
        if !is_empty {
            rules.insert(name.to_owned(), value);
        }
    };
    let checks =
        job.columns.iter().filter(|rule| !rule.checks.is_empty()).map(|rule| {
            (rule.name.clone(), json!({ "check": rule.checks, "on_fail": rule.on_fail }))
        });
    add("checks", Value::Object(checks.collect()));
    add("row_checks", json!(job.row_checks));
    let transform = &job.transform;
    add("filter", json!(transform.filter));
    let map = |pairs: &[(String, String)]| -> Value {
        pairs.iter().map(|(name, text)| (name.clone(), json!(text))).collect::<Map<_, _>>().into()
    };
    add("set", map(&transform.set));
    add("rename", map(&transform.rename));
    add("drop", json!(transform.drop));
    add("derive_before_hash", map(&transform.derive_before_hash));
    let targets = job.targets.iter().filter(|target| !target.columns.is_empty());
    let targets = targets.map(|target| (target.table.to_string(), json!(target.columns)));
    add("target_columns", Value::Object(targets.collect()));
    let targets = job.targets.iter().filter(|target| target.mode != Mode::Append);
    let targets = targets.map(|target| (target.table.to_string(), mode_json(target)));
    add("target_modes", Value::Object(targets.collect()));
    Value::Object(rules).to_string()
}

/// How a target meets the rows that it has, without what is left at its default.
fn mode_json(target: &Target) -> Value {
    let mut entry = Map::new();
    entry.insert("mode".to_owned(), json!(target.mode.word()));
    if !target.key.is_empty() {
        entry.insert("key".to_owned(), json!(target.key));
    }
    match &target.mode {
        Mode::Append | Mode::InsertNew | Mode::Replace { keep_old: false } => {}
        Mode::Replace { keep_old: true } => {
            entry.insert("keep_old".to_owned(), json!(true));
        }
        Mode::Upsert { update, only_if_newer } => {
            if !update.is_empty() {
                entry.insert("update".to_owned(), json!(update));
            }
            if let Some(column) = only_if_newer {
                entry.insert("only_if_newer".to_owned(), json!(column));
            }
        }
    }
    Value::Object(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{CachePolicy, ServePolicy};

    fn target(mode: Mode, key: &[&str]) -> Target {
        Target {
            table: "public.users".parse().expect("a table name"),
            create: false,
            mode,
            key: key.iter().map(|name| (*name).to_owned()).collect(),
            columns: Vec::new(),
            cache: CachePolicy::default(),
            serve: ServePolicy::default(),
        }
    }

    #[test]
    fn a_mode_is_noted_without_what_is_not_used() {
        let upsert = |update: &[&str], only_if_newer: Option<&str>| Mode::Upsert {
            update: update.iter().map(|name| (*name).to_owned()).collect(),
            only_if_newer: only_if_newer.map(str::to_owned),
        };
        let noted = |mode, key: &[&str]| mode_json(&target(mode, key));
        assert_eq!(noted(Mode::InsertNew, &[]), json!({ "mode": "insert_new" }));
        assert_eq!(noted(Mode::Replace { keep_old: false }, &[]), json!({ "mode": "replace" }));
        assert_eq!(
            noted(Mode::Replace { keep_old: true }, &["a"]),
            json!({ "mode": "replace", "key": ["a"], "keep_old": true })
        );
        assert_eq!(noted(upsert(&[], None), &["a"]), json!({ "mode": "upsert", "key": ["a"] }));
        assert_eq!(
            noted(upsert(&["b", "c"], Some("c")), &["a"]),
            json!({ "mode": "upsert", "key": ["a"], "update": ["b", "c"], "only_if_newer": "c" })
        );
    }
}
