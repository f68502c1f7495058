//! Turns replacements into the statements that carry them out.
//!
//! Whatever a table holds besides the loaded columns is left alone: new rows
//! take its defaults, rows that stay keep it. Rows of tables that inherit from
//! the target are not its own, and those of its partitions are: hence ONLY.

use super::Replacement;
use crate::names::quote_ident;

/// A target with what the catalogue says of it.
pub(super) struct Step<'a> {
    pub(super) replacement: &'a Replacement,
    /// Whether the rows of the target lie in partitions.
    pub(super) is_partitioned: bool,
    /// Operator of the key's unique index for each column of the key, as SQL.
    pub(super) key_operators: Vec<(String, String)>,
}

/// Keeps writers away from the targets, but not readers.
///
/// The incoming tables are not locked: all that was to be loaded is committed,
/// a worker that was overtaken cannot commit any more, and one that hangs in
/// the middle of a COPY must not keep the run from its end.
pub(super) fn lock(all: &[Replacement]) -> String {
    let mut tables: Vec<String> = all.iter().map(|each| each.target.to_sql()).collect();
    // Two transactions that take the same locks in one order do not meet halfway.
    tables.sort_unstable();
    format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", tables.join(", "))
}

/// Keeps the old rows; `None` if they are not wanted.
pub(super) fn keep_old(step: &Step<'_>) -> Option<String> {
    let old = step.replacement.old.as_ref()?;
    Some(format!("CREATE TABLE {} AS SELECT * FROM {}", old.to_sql(), own_rows(step)))
}

/// Removes all old rows.
pub(super) fn delete_all(step: &Step<'_>) -> String {
    format!("DELETE FROM {}", own_rows(step))
}

/// Inserts all new rows.
pub(super) fn insert_all(step: &Step<'_>) -> String {
    format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} AS incoming",
        step.replacement.target.to_sql(),
        columns(step.replacement, ""),
        columns(step.replacement, "incoming."),
        step.replacement.incoming.to_sql(),
    )
}

/// Tells the planner how many rows with which keys there are.
pub(super) fn analyze(step: &Step<'_>) -> String {
    let key: Vec<String> = step.replacement.key.iter().map(|name| quote_ident(name)).collect();
    format!("ANALYZE {} ({})", step.replacement.incoming.to_sql(), key.join(", "))
}

/// Rows of the target, and of its incoming table.
pub(super) fn count(step: &Step<'_>) -> String {
    format!(
        "SELECT (SELECT count(*) FROM {}) AS found, (SELECT count(*) FROM {}) AS expected",
        own_rows(step),
        step.replacement.incoming.to_sql()
    )
}

/// Carries out all replacements that have a key, as one statement; gives
/// `gone`, `changed` and `added` of each table, in this order.
///
/// One statement, because PostgreSQL looks at foreign keys at its end: rows
/// that refer to each other may change in any order. Within a table it must
/// be: delete, then update, then insert, so that a unique value can go from
/// one row to the next; the counts that are never negative see to that.
pub(super) fn merge(steps: &[&Step<'_>]) -> String {
    let mut parts = Vec::new();
    let mut counts = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        parts.push(format!("gone_{index} AS ({})", delete_vanished(step)));
        let mut before = format!("gone_{index}");
        let mut changed = "0::bigint".to_owned();
        if let Some(update) = update_changed(step, &before) {
            before = format!("changed_{index}");
            changed = format!("(SELECT count(*) FROM {before})");
            parts.push(format!("{before} AS ({update})"));
        }
        parts.push(format!("added_{index} AS ({})", insert_new(step, &before)));
        counts.push(format!("(SELECT count(*) FROM gone_{index})"));
        counts.push(changed);
        counts.push(format!("(SELECT count(*) FROM added_{index})"));
    }
    format!("WITH {}\nSELECT ARRAY[{}]", parts.join(",\n"), counts.join(", "))
}

fn delete_vanished(step: &Step<'_>) -> String {
    format!(
        "DELETE FROM {} AS present WHERE NOT EXISTS (SELECT FROM {} AS incoming WHERE {}) RETURNING 1",
        own_rows(step),
        step.replacement.incoming.to_sql(),
        same_key(step),
    )
}

/// `None` if a row is nothing but its key.
///
/// Rows are compared byte by byte: types such as json have no other way. As
/// records, because PostgreSQL takes plain rows apart into their columns.
fn update_changed(step: &Step<'_>, after: &str) -> Option<String> {
    let is_key = |name: &String| step.replacement.key.contains(name);
    let loaded = step.replacement.columns.iter().map(|column| &column.name);
    let names: Vec<String> =
        loaded.filter(|name| !is_key(name)).map(|name| quote_ident(name)).collect();
    if names.is_empty() {
        return None;
    }
    let assignments: Vec<String> =
        names.iter().map(|name| format!("{name} = incoming.{name}")).collect();
    let all_of = |table: &str| -> String {
        let values: Vec<String> = names.iter().map(|name| format!("{table}.{name}")).collect();
        values.join(", ")
    };
    Some(format!(
        "UPDATE {} AS present SET {} FROM {} AS incoming WHERE {} AND ROW({})::record OPERATOR(pg_catalog.*<>) ROW({})::record AND (SELECT count(*) FROM {after}) >= 0 RETURNING 1",
        own_rows(step),
        assignments.join(", "),
        step.replacement.incoming.to_sql(),
        same_key(step),
        all_of("present"),
        all_of("incoming"),
    ))
}

fn insert_new(step: &Step<'_>, after: &str) -> String {
    format!(
        "{} WHERE NOT EXISTS (SELECT FROM {} AS present WHERE {}) AND (SELECT count(*) FROM {after}) >= 0 RETURNING 1",
        insert_all(step),
        own_rows(step),
        same_key(step),
    )
}

/// By the operators of the unique index: `=` may mean another one where the
/// schema of a type such as citext is not on the search path.
fn same_key(step: &Step<'_>) -> String {
    let equal = |(name, operator): &(String, String)| {
        let name = quote_ident(name);
        format!("present.{name} {operator} incoming.{name}")
    };
    let all: Vec<String> = step.key_operators.iter().map(equal).collect();
    all.join(" AND ")
}

fn own_rows(step: &Step<'_>) -> String {
    let only = if step.is_partitioned { "" } else { "ONLY " };
    format!("{only}{}", step.replacement.target.to_sql())
}

fn columns(replacement: &Replacement, qualifier: &str) -> String {
    let name = |column: &super::LoadedColumn| format!("{qualifier}{}", quote_ident(&column.name));
    let names: Vec<String> = replacement.columns.iter().map(name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::RunId;
    use crate::load::replace::{LoadedColumn, incoming_name, old_name};
    use crate::names::TableName;

    fn replacement(columns: &[&str], key: &[&str]) -> Replacement {
        let target: TableName = "crm.\"U s\"".parse().expect("a table name");
        let column = |name: &&str| LoadedColumn { name: (*name).to_owned(), is_updatable: true };
        Replacement {
            incoming: incoming_name(RunId(1), 0),
            columns: columns.iter().map(column).collect(),
            key: key.iter().map(|name| (*name).to_owned()).collect(),
            old: Some(old_name(&target, RunId(1))),
            target,
        }
    }

    fn step(replacement: &Replacement) -> Step<'_> {
        let operator = |name: &String| (name.clone(), "OPERATOR(\"pg_catalog\".=)".to_owned());
        let key_operators = replacement.key.iter().map(operator).collect();
        Step { replacement, is_partitioned: false, key_operators }
    }

    #[test]
    fn all_rows_are_replaced_without_a_key() {
        let replacement = replacement(&["id", "E \"x\""], &[]);
        let step = step(&replacement);
        assert_eq!(delete_all(&step), r#"DELETE FROM ONLY "crm"."U s""#);
        assert_eq!(
            insert_all(&step),
            r#"INSERT INTO "crm"."U s" ("id", "E ""x""") OVERRIDING SYSTEM VALUE SELECT incoming."id", incoming."E ""x""" FROM "ferry"."incoming_1_0" AS incoming"#
        );
        assert_eq!(
            keep_old(&step).as_deref(),
            Some(r#"CREATE TABLE "crm"."U s_before_1" AS SELECT * FROM ONLY "crm"."U s""#)
        );
    }

    #[test]
    fn rows_of_partitions_are_those_of_the_table() {
        let replacement = replacement(&["id"], &[]);
        let step = Step { is_partitioned: true, ..step(&replacement) };
        assert_eq!(delete_all(&step), r#"DELETE FROM "crm"."U s""#);
        assert_eq!(
            lock(std::slice::from_ref(&replacement)),
            r#"LOCK TABLE "crm"."U s" IN SHARE ROW EXCLUSIVE MODE"#
        );
    }

    #[test]
    fn with_a_key_rows_go_change_and_come_in_this_order() {
        let replacement = replacement(&["id", "a", "b"], &["id"]);
        let step = step(&replacement);
        let expected = r#"WITH gone_0 AS (DELETE FROM ONLY "crm"."U s" AS present WHERE NOT EXISTS (SELECT FROM "ferry"."incoming_1_0" AS incoming WHERE present."id" OPERATOR("pg_catalog".=) incoming."id") RETURNING 1),
changed_0 AS (UPDATE ONLY "crm"."U s" AS present SET "a" = incoming."a", "b" = incoming."b" FROM "ferry"."incoming_1_0" AS incoming WHERE present."id" OPERATOR("pg_catalog".=) incoming."id" AND ROW(present."a", present."b")::record OPERATOR(pg_catalog.*<>) ROW(incoming."a", incoming."b")::record AND (SELECT count(*) FROM gone_0) >= 0 RETURNING 1),
added_0 AS (INSERT INTO "crm"."U s" ("id", "a", "b") OVERRIDING SYSTEM VALUE SELECT incoming."id", incoming."a", incoming."b" FROM "ferry"."incoming_1_0" AS incoming WHERE NOT EXISTS (SELECT FROM ONLY "crm"."U s" AS present WHERE present."id" OPERATOR("pg_catalog".=) incoming."id") AND (SELECT count(*) FROM changed_0) >= 0 RETURNING 1)
SELECT ARRAY[(SELECT count(*) FROM gone_0), (SELECT count(*) FROM changed_0), (SELECT count(*) FROM added_0)]"#;
        assert_eq!(merge(&[&step]), expected);
        assert_eq!(analyze(&step), r#"ANALYZE "ferry"."incoming_1_0" ("id")"#);
    }

    #[test]
    fn a_row_that_is_nothing_but_its_key_is_not_updated() {
        let replacement = replacement(&["id"], &["id"]);
        let sql = merge(&[&step(&replacement)]);
        assert!(!sql.contains("UPDATE"), "{sql}");
        assert!(sql.contains("(SELECT count(*) FROM gone_0) >= 0 RETURNING 1)\n"), "{sql}");
        assert!(
            sql.ends_with(
                "(SELECT count(*) FROM gone_0), 0::bigint, (SELECT count(*) FROM added_0)]"
            ),
            "{sql}"
        );
    }
}
