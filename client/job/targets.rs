//! Turns each `[[target]]` into a table that the records go to.

use super::cache::{CachePolicy, ServePolicy, cache_policy, serve_policy};
use super::mode::{Mode, mode_of};
use super::raw::RawTarget;
use super::{JobError, refuse_repeats, required};
use crate::names::TableName;

/// Where the records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Table that is written.
    pub(crate) table: TableName,
    /// Whether a missing table is made.
    pub(crate) create: bool,
    /// How rows meet those that are there already.
    pub(crate) mode: Mode,
    /// Columns that tell its rows apart.
    pub(crate) key: Vec<String>,
    /// Columns that it gets; empty for all.
    pub(crate) columns: Vec<String>,
    /// Whether its rows are cached.
    pub(crate) cache: CachePolicy,
    /// What may be looked up in it.
    pub(crate) serve: ServePolicy,
}

/// Reads the targets: at least one, each table once.
pub(super) fn all_targets(raw: Vec<RawTarget>) -> Result<Vec<Target>, JobError> {
    if raw.is_empty() {
        return Ok(vec![target(RawTarget::default())?]);
    }
    let is_only = raw.len() == 1;
    let mut targets: Vec<Target> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.into_iter().enumerate() {
        if raw.table.is_none() && !is_only {
            let text = format!("[[target]] number {} has no table: name one", index + 1);
            return Err(JobError::Invalid(text));
        }
        let target = target(raw)?;
        let table = target.table.without_public();
        if targets.iter().any(|other| other.table.without_public() == table) {
            let text = format!("two [[target]] name the table {}: make one of them", target.table);
            return Err(JobError::Invalid(text));
        }
        targets.push(target);
    }
    refuse_append_beside_replace(&targets)?;
    Ok(targets)
}

/// A table is replaced by all that the source holds, so that every change there
/// loads every file again: what appends would have its rows twice.
fn refuse_append_beside_replace(targets: &[Target]) -> Result<(), JobError> {
    let replaced = targets.iter().find(|target| matches!(target.mode, Mode::Replace { .. }));
    let appended = targets.iter().find(|target| target.mode == Mode::Append);
    let (Some(replaced), Some(appended)) = (replaced, appended) else {
        return Ok(());
    };
    let text = format!(
        "target {} appends while {} is replaced, and each change at the source would add all rows again: use insert_new or upsert with a key there, or a job of its own",
        appended.table, replaced.table
    );
    Err(JobError::Invalid(text))
}

fn target(raw: RawTarget) -> Result<Target, JobError> {
    let table = required(raw.table.clone(), "target.table", "--table")?;
    let table = table.parse::<TableName>();
    let table = table.map_err(|error| JobError::Invalid(error.to_string()))?;
    refuse_repeats(&format!("target {table}: key"), raw.key.iter())?;
    refuse_repeats(&format!("target {table}: columns"), raw.columns.iter())?;
    let is_left_out = |name: &&String| !raw.columns.is_empty() && !raw.columns.contains(name);
    if let Some(name) = raw.key.iter().find(is_left_out) {
        let text = format!("target {table}: key \"{name}\" is not in columns: add it there");
        return Err(JobError::Invalid(text));
    }
    let invalid = |text: String| JobError::Invalid(format!("target {table}: {text}"));
    let mode = mode_of(&raw).map_err(invalid)?;
    let cache = cache_policy(&raw).map_err(invalid)?;
    let serve = serve_policy(&raw).map_err(invalid)?;
    let RawTarget { create, key, columns, .. } = raw;
    Ok(Target { table, create, mode, key, columns, cache, serve })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::tests::{job, refusal};

    #[test]
    fn a_stream_goes_to_several_tables() {
        let text = "key = ['uid']\n[[target]]\ntable = 'crm.users'\ncolumns = ['uid', 'city']\n\
                    key = ['uid']\ncreate = true\nmode = 'insert_new'";
        let targets = job(text).expect("a valid job").targets;
        let uid = vec!["uid".to_owned()];
        let first = Target {
            table: "public.users".parse().expect("a name"),
            create: false,
            mode: Mode::Append,
            key: uid.clone(),
            columns: Vec::new(),
            cache: CachePolicy::Off,
            serve: ServePolicy::Loaded,
        };
        let second = Target {
            table: "crm.users".parse().expect("a name"),
            create: true,
            mode: Mode::InsertNew,
            key: uid,
            columns: vec!["uid".to_owned(), "city".to_owned()],
            cache: CachePolicy::Off,
            serve: ServePolicy::Loaded,
        };
        assert_eq!(targets, [first, second]);
    }

    #[test]
    fn a_table_is_written_once() {
        for table in ["public.users", "users", "\"users\""] {
            let error = refusal(&format!("[[target]]\ntable = '{table}'"));
            assert!(error.starts_with("two [[target]] name the table"), "{error}");
        }
    }

    #[test]
    fn every_target_names_its_table() {
        let error = refusal("[[target]]\ncreate = true");
        assert_eq!(error, "[[target]] number 2 has no table: name one");
        let error = refusal("[[target]]\ntable = 'a-b'");
        assert!(error.contains("is not a table name"), "{error}");
    }

    #[test]
    fn a_key_is_among_the_columns() {
        let error = refusal("key = ['uid']\ncolumns = ['email']");
        assert!(error.contains("key \"uid\" is not in columns"), "{error}");
        let error = refusal("key = ['uid', 'uid']");
        assert_eq!(error, "target public.users: key names \"uid\" twice");
        let error = refusal("columns = ['uid', 'uid']");
        assert_eq!(error, "target public.users: columns names \"uid\" twice");
    }

    #[test]
    fn no_table_is_appended_to_beside_one_that_is_replaced() {
        let replaced = "mode = 'replace'\n[[target]]\ntable = 'crm.log'\n";
        let error = refusal(replaced);
        assert!(error.contains("crm.log appends while public.users is replaced"), "{error}");
        let merged = format!("{replaced}mode = 'upsert'\nkey = ['uid']");
        assert_eq!(job(&merged).expect("a valid job").targets.len(), 2);
    }
}
