//! Turns what a target refuses into statements that make an incoming table refuse the same.
//!
//! Values of columns that the job does not load are the target's: with a key,
//! rows that stay keep theirs, so that an incoming table does without them;
//! without one they are defaults, and only what a sequence numbers is left
//! out, because the numbers would be used up twice.

use std::collections::HashMap;

use super::Replacement;
use crate::names::{TableName, quote_ident};

/// Name of the CHECK that refuses rows for which a partitioned table has no partition.
const NO_PARTITION: &str = "no_partition_of_the_row";
/// More partitions are not asked row by row: it would cost more than the load.
const PARTITIONS_MAX: usize = 64;

/// A column of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// Whether the table computes it from others.
    pub(super) is_generated: bool,
    /// Whether a sequence gives its default.
    pub(super) is_numbered: bool,
}

/// An index of a target that refuses rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unique {
    pub(super) oid: i64,
    pub(super) name: String,
    /// `PRIMARY KEY (uid)`; `None` if the index belongs to no constraint.
    pub(super) constraint: Option<String>,
    /// `CREATE UNIQUE INDEX users_lower ON public.users USING btree (lower(email))`.
    pub(super) index: String,
    /// What the text before ` USING` must be.
    pub(super) index_prefix: String,
}

/// A foreign key of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForeignKey {
    pub(super) name: String,
    /// `FOREIGN KEY (country) REFERENCES public.country(code)`.
    pub(super) definition: String,
}

/// Makes the table: its columns, NOT NULL, CHECKs and generated columns.
pub(super) fn create(replacement: &Replacement) -> String {
    let defaults = if replacement.key.is_empty() { " INCLUDING DEFAULTS" } else { "" };
    format!(
        "CREATE TABLE {} (LIKE {} INCLUDING CONSTRAINTS INCLUDING GENERATED{defaults})",
        replacement.incoming.to_sql(),
        replacement.target.to_sql(),
    )
}

/// Makes an index that refuses what the target's refuses; `None` if its definition is not understood.
pub(super) fn add_unique(incoming: &TableName, unique: &Unique) -> Option<String> {
    let name = quote_ident(&index_name(incoming, unique.oid));
    let table = incoming.to_sql();
    if let Some(definition) = &unique.constraint {
        return Some(format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"));
    }
    let columns = unique.index.strip_prefix(&unique.index_prefix)?;
    Some(format!("CREATE UNIQUE INDEX {name} ON {table}{columns}"))
}

/// Refuses rows for which the target has no partition.
///
/// `partitions` are the conditions of its leaves; one without a condition takes every row.
pub(super) fn add_partition_check(
    incoming: &TableName,
    partitions: &[Option<String>],
) -> Option<String> {
    let conditions: Option<Vec<&str>> = partitions.iter().map(Option::as_deref).collect();
    let conditions = conditions.filter(|all| !all.is_empty() && all.len() <= PARTITIONS_MAX)?;
    Some(format!(
        "ALTER TABLE {} ADD CONSTRAINT {NO_PARTITION} CHECK ({})",
        incoming.to_sql(),
        conditions.join(" OR ")
    ))
}

/// Takes away columns that are the target's alone, and what depends on them; `None` if there are none.
///
/// A column that is loaded needs no default, and the default of a sequence
/// would keep that sequence from being dropped.
pub(super) fn leave_out(replacement: &Replacement, columns: &[Column]) -> Option<String> {
    let has_key = !replacement.key.is_empty();
    let mut actions = Vec::new();
    for column in columns.iter().filter(|column| !column.is_generated) {
        let is_loaded = replacement.columns.iter().any(|loaded| loaded.name == column.name);
        let name = quote_ident(&column.name);
        if is_loaded && column.is_numbered {
            actions.push(format!("ALTER COLUMN {name} DROP DEFAULT"));
        } else if !is_loaded && (has_key || column.is_numbered) {
            actions.push(format!("DROP COLUMN {name} CASCADE"));
        }
    }
    let table = replacement.incoming.to_sql();
    (!actions.is_empty()).then(|| format!("ALTER TABLE {table} {}", actions.join(", ")))
}

/// Makes a foreign key that refuses what the target's refuses.
pub(super) fn add_foreign_key(incoming: &TableName, key: &ForeignKey) -> String {
    let name = quote_ident(&key.name);
    format!("ALTER TABLE {} ADD CONSTRAINT {name} {}", incoming.to_sql(), key.definition)
}

/// Names of the indexes of an incoming table, and what the target calls them.
pub(super) fn names_of_target(incoming: &TableName, all: &[Unique]) -> HashMap<String, String> {
    all.iter().map(|unique| (index_name(incoming, unique.oid), unique.name.clone())).collect()
}

/// Names of indexes are unique in a schema, and there may be two `users_pkey`.
fn index_name(incoming: &TableName, oid: i64) -> String {
    format!("{}_{oid}", incoming.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::RunId;
    use crate::load::replace::{LoadedColumn, incoming_name};

    fn replacement(key: &[&str]) -> Replacement {
        let column = |name: &str| LoadedColumn { name: name.to_owned(), is_updatable: true };
        Replacement {
            target: "crm.\"User s\"".parse().expect("a table name"),
            incoming: incoming_name(RunId(12), 0),
            columns: vec![column("uid"), column("E Mail")],
            key: key.iter().map(|name| (*name).to_owned()).collect(),
            old: None,
        }
    }

    fn column(name: &str, is_generated: bool, is_numbered: bool) -> Column {
        Column { name: name.to_owned(), is_generated, is_numbered }
    }

    fn unique(constraint: Option<&str>, index: &str) -> Unique {
        Unique {
            oid: 77,
            name: "u".to_owned(),
            constraint: constraint.map(str::to_owned),
            index: index.to_owned(),
            index_prefix: "CREATE UNIQUE INDEX u ON crm.\"User s\"".to_owned(),
        }
    }

    #[test]
    fn defaults_are_taken_over_where_every_row_is_a_new_one() {
        assert_eq!(
            create(&replacement(&[])),
            r#"CREATE TABLE "ferry"."incoming_12_0" (LIKE "crm"."User s" INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING DEFAULTS)"#
        );
        assert_eq!(
            create(&replacement(&["uid"])),
            r#"CREATE TABLE "ferry"."incoming_12_0" (LIKE "crm"."User s" INCLUDING CONSTRAINTS INCLUDING GENERATED)"#
        );
    }

    #[test]
    fn an_index_is_made_as_the_constraint_or_index_that_it_is() {
        let incoming = replacement(&[]).incoming;
        assert_eq!(
            add_unique(&incoming, &unique(Some("PRIMARY KEY (uid)"), "")).as_deref(),
            Some(
                r#"ALTER TABLE "ferry"."incoming_12_0" ADD CONSTRAINT "incoming_12_0_77" PRIMARY KEY (uid)"#
            )
        );
        let index = r#"CREATE UNIQUE INDEX u ON crm."User s" USING btree (a) WHERE active"#;
        assert_eq!(
            add_unique(&incoming, &unique(None, index)).as_deref(),
            Some(
                r#"CREATE UNIQUE INDEX "incoming_12_0_77" ON "ferry"."incoming_12_0" USING btree (a) WHERE active"#
            )
        );
        assert_eq!(add_unique(&incoming, &unique(None, "CREATE UNIQUE INDEX v ON t (a)")), None);
    }

    #[test]
    fn names_lead_back_to_the_target() {
        let names = names_of_target(&replacement(&[]).incoming, &[unique(None, "")]);
        assert_eq!(names.get("incoming_12_0_77").map(String::as_str), Some("u"));
    }

    #[test]
    fn columns_that_are_not_loaded_are_the_targets() {
        let columns = [
            column("uid", false, true),
            column("E Mail", false, false),
            column("number", false, true),
            column("note", false, false),
            column("lower", true, false),
        ];
        assert_eq!(
            leave_out(&replacement(&[]), &columns).as_deref(),
            Some(
                r#"ALTER TABLE "ferry"."incoming_12_0" ALTER COLUMN "uid" DROP DEFAULT, DROP COLUMN "number" CASCADE"#
            )
        );
        assert_eq!(
            leave_out(&replacement(&["uid"]), &columns).as_deref(),
            Some(
                r#"ALTER TABLE "ferry"."incoming_12_0" ALTER COLUMN "uid" DROP DEFAULT, DROP COLUMN "number" CASCADE, DROP COLUMN "note" CASCADE"#
            )
        );
        assert_eq!(leave_out(&replacement(&[]), &[column("uid", false, false)]), None);
    }

    #[test]
    fn a_row_without_partition_is_refused_unless_one_takes_every_row() {
        let incoming = replacement(&[]).incoming;
        let leaf = |text: &str| Some(text.to_owned());
        assert_eq!(
            add_partition_check(&incoming, &[leaf("(a < 3)"), leaf("(a > 5)")]).as_deref(),
            Some(
                r#"ALTER TABLE "ferry"."incoming_12_0" ADD CONSTRAINT no_partition_of_the_row CHECK ((a < 3) OR (a > 5))"#
            )
        );
        assert_eq!(add_partition_check(&incoming, &[leaf("(a < 3)"), None]), None);
        assert_eq!(add_partition_check(&incoming, &[]), None);
        assert_eq!(add_partition_check(&incoming, &vec![leaf("(a < 3)"); 65]), None);
    }

    #[test]
    fn a_foreign_key_keeps_its_name() {
        let key = ForeignKey {
            name: "a\"b".to_owned(),
            definition: "FOREIGN KEY (c) REFERENCES country(code) NOT VALID".to_owned(),
        };
        assert_eq!(
            add_foreign_key(&replacement(&[]).incoming, &key),
            r#"ALTER TABLE "ferry"."incoming_12_0" ADD CONSTRAINT "a""b" FOREIGN KEY (c) REFERENCES country(code) NOT VALID"#
        );
    }
}
