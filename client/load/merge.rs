//! Turns the mode of a table into SQL: from its staging table into the table itself. Pure: no I/O.
//!
//! Invariant: what is in the table at the end does not depend on how rows are
//! cut into statements: each statement does what its rows would do one by one,
//! in their order. Rows are sorted only where that takes sorting.

use std::sync::Arc;

use super::catalogue::Store;
use super::table::{LoadColumn, Merge};
use crate::names::{TableName, quote_ident};

/// Number of a row, in a staging table; the columns of the table are `c0`, `c1`, …
/// whatever their names.
const ROW: &str = "ferry_row";
/// Rows from one number to another.
const BETWEEN: &str = " WHERE ferry_row BETWEEN $1 AND $2";
/// From the last row with a key to the first, for what only the first one gives.
const SAME_KEY_ORDER: &str =
    "ORDER BY ferry_row DESC ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING";

/// The statements of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statements {
    /// Begins a COPY into the table itself.
    pub(super) copy: String,
    /// Makes the staging table unless the session has it.
    pub(super) make: String,
    /// Begins a COPY into the staging table.
    pub(super) copy_staged: String,
    /// Makes rows of the staging table quick to find by their numbers.
    pub(super) index: String,
    /// Takes that back.
    pub(super) drop_index: String,
    /// Takes the rows of these numbers (`$1`) out of the staging table.
    pub(super) forget: Arc<str>,
    /// Takes all but the rows of these numbers (`$1`) out of the staging table.
    pub(super) keep: Arc<str>,
    /// Takes all staged rows into the table; PostgreSQL refuses it if a key
    /// comes twice. `None` where that makes no difference.
    pub(super) merge_each: Option<Arc<str>>,
    /// Whether that statement writes every row, and no condition leaves some alone.
    pub(super) writes_each: bool,
    /// Takes all staged rows into the table.
    pub(super) merge_all: Arc<str>,
    /// Takes the staged rows from number `$1` to number `$2` into the table.
    pub(super) merge_range: Arc<str>,
}

impl Statements {
    /// The statements for table `index` of a job, whose rows go `into` these columns.
    pub(super) fn new(
        index: usize,
        into: &TableName,
        columns: &[LoadColumn],
        merge: Merge,
    ) -> Self {
        let name = format!("ferry_staged_{index}");
        let staged = format!("pg_temp.{name}");
        let merging =
            Merging { into: into.to_sql(), staged: &staged, columns, merge: plain(merge) };
        let names = merging.names();
        Self {
            copy: format!("COPY {} ({names}) FROM STDIN (FORMAT binary)", merging.into),
            make: merging.make(&name),
            copy_staged: format!("COPY {staged} FROM STDIN (FORMAT binary)"),
            index: format!("CREATE INDEX IF NOT EXISTS {name}_row ON {staged} ({ROW})"),
            drop_index: format!("DROP INDEX IF EXISTS {staged}_row"),
            keep: format!("DELETE FROM {staged} WHERE {ROW} <> ALL($1)").into(),
            forget: format!("DELETE FROM {staged} WHERE {ROW} = ANY($1)").into(),
            merge_each: merging.each().map(Into::into),
            writes_each: merging.writes_each(),
            merge_all: merging.sql("").into(),
            merge_range: merging.sql(BETWEEN).into(),
        }
    }
}

/// The same, with what goes without saying.
fn plain(merge: Merge) -> Merge {
    let Merge::Upsert { key, mut update, only_if_newer } = merge else {
        return merge;
    };
    // A value that is compared and never taken over would let every later row win.
    let is_added = |newer: &&String| !update.contains(*newer) && !key.contains(*newer);
    let added = only_if_newer.as_ref().filter(is_added).cloned();
    update.extend(added);
    if update.is_empty() {
        // All columns are key: there is nothing to take over.
        return Merge::InsertNew { key };
    }
    Merge::Upsert { key, update, only_if_newer }
}

/// How staged rows become rows of a table.
struct Merging<'a> {
    /// The table, as SQL.
    into: String,
    staged: &'a str,
    columns: &'a [LoadColumn],
    merge: Merge,
}

impl Merging<'_> {
    fn make(&self, name: &str) -> String {
        let numbered = self.columns.iter().enumerate();
        let columns =
            list(numbered.map(|(index, column)| format!("c{index} {}", column.store.staged_as)));
        format!(
            "CREATE TEMP TABLE IF NOT EXISTS {name} ({ROW} bigint, {columns}) ON COMMIT DELETE ROWS"
        )
    }

    /// Names of the columns of the table.
    fn names(&self) -> String {
        list(self.columns.iter().map(|column| quote_ident(&column.column.name)))
    }

    /// Takes staged rows into the table.
    fn sql(&self, rows: &str) -> String {
        match &self.merge {
            Merge::Append => {
                format!("{} SELECT {} FROM {}{rows}", self.insert(), self.values(), self.staged)
            }
            Merge::InsertNew { key } => {
                let arbiter = if key.is_empty() { String::new() } else { in_brackets(key) };
                format!(
                    "{} SELECT {} FROM {}{rows} ORDER BY {ROW} ON CONFLICT{arbiter} DO NOTHING",
                    self.insert(),
                    self.values(),
                    self.staged,
                )
            }
            Merge::Upsert { key, update, only_if_newer } => {
                let newer = only_if_newer.as_deref();
                let select = self.each_key_once(key, update, newer, rows);
                format!("{} {select} {}", self.insert(), self.on_conflict(key, update, newer))
            }
        }
    }

    /// Takes all rows over without a look at their keys, if that is another statement.
    fn each(&self) -> Option<String> {
        let Merge::Upsert { key, update, only_if_newer } = &self.merge else {
            return None;
        };
        // By key, so that two workers do not lock the same rows crosswise.
        let order = list(key.iter().filter_map(|name| self.value_of(name)));
        Some(format!(
            "{} SELECT {} FROM {} ORDER BY {order} {}",
            self.insert(),
            self.values(),
            self.staged,
            self.on_conflict(key, update, only_if_newer.as_deref()),
        ))
    }

    fn writes_each(&self) -> bool {
        matches!(&self.merge, Merge::Upsert { only_if_newer: None, .. })
    }

    /// A numbered row brings its value of an identity column with it, as in a COPY.
    fn insert(&self) -> String {
        format!("INSERT INTO {} AS t ({}) OVERRIDING SYSTEM VALUE", self.into, self.names())
    }

    fn values(&self) -> String {
        list((0..self.columns.len()).map(|index| self.value(index)))
    }

    /// A staged column as the table takes it, so that equal keys are equal as there.
    fn value(&self, index: usize) -> String {
        match &self.columns[index].store.cast {
            Some(cast) => format!("c{index}::{cast}"),
            None => format!("c{index}"),
        }
    }

    fn value_of(&self, name: &str) -> Option<String> {
        let index = self.columns.iter().position(|column| column.column.name == name)?;
        Some(self.value(index))
    }

    /// Of the rows with one key a single one, as they would leave it behind one after the other.
    ///
    /// The first one is inserted, and the others give it what they update: so
    /// columns that are not updated, the key among them, come from the first
    /// row, the others from the one that wins.
    fn each_key_once(
        &self,
        key: &[String],
        update: &[String],
        newer: Option<&str>,
        rows: &str,
    ) -> String {
        let key = list(key.iter().filter_map(|name| self.value_of(name)));
        let mut values = Vec::with_capacity(self.columns.len());
        for (index, column) in self.columns.iter().enumerate() {
            let value = self.value(index);
            let is_updated = update.contains(&column.column.name);
            values.push(if is_updated { value } else { format!("last_value({value}) OVER same") });
        }
        let order = match newer.and_then(|newer| self.value_of(newer)) {
            None => format!("{ROW} DESC"),
            // Of equal values the first one stays, and as long as there is none the last one wins.
            Some(newer) => format!(
                "{newer} DESC NULLS LAST, CASE WHEN {newer} IS NULL THEN -{ROW} ELSE {ROW} END"
            ),
        };
        format!(
            "SELECT DISTINCT ON ({key}) {} FROM {}{rows} WINDOW same AS (PARTITION BY {key} {SAME_KEY_ORDER}) ORDER BY {key}, {order}",
            values.join(", "),
            self.staged,
        )
    }

    fn on_conflict(&self, key: &[String], update: &[String], newer: Option<&str>) -> String {
        let set = list(update.iter().map(|name| {
            let name = quote_ident(name);
            format!("{name} = excluded.{name}")
        }));
        let condition = newer.map_or(String::new(), |newer| self.if_newer(newer));
        format!("ON CONFLICT{} DO UPDATE SET {set}{condition}", in_brackets(key))
    }

    /// Compares by the order in which a column is sorted, that of its type's
    /// default operator class: `>` may mean another one where the schema of a
    /// type such as citext is not on the search path.
    fn if_newer(&self, newer: &str) -> String {
        let is_builtin = self
            .columns
            .iter()
            .any(|column| column.column.name == newer && is_builtin(&column.store));
        let newer = quote_ident(newer);
        if is_builtin {
            return format!(
                " WHERE excluded.{newer} OPERATOR(pg_catalog.>) t.{newer} OR t.{newer} IS NULL"
            );
        }
        // Records are compared by that class, whatever its schema, but NULL comes
        // last in them, and each costs some time: the others do without.
        format!(
            " WHERE (excluded.{newer} IS NOT NULL AND ROW(excluded.{newer})::record OPERATOR(pg_catalog.>) ROW(t.{newer})::record) OR t.{newer} IS NULL"
        )
    }
}

/// Whether the type behind a column is one of PostgreSQL's own, whose `>` is that of its sorting.
fn is_builtin(store: &Store) -> bool {
    let type_name = store.cast.as_deref().unwrap_or(&store.staged_as);
    let type_name = type_name.split_once(" COLLATE ").map_or(type_name, |(name, _)| name);
    // Without a schema it is a type as ferry writes it, or a time with a precision.
    type_name.starts_with("pg_catalog.") || !type_name.contains('.')
}

fn in_brackets(names: &[String]) -> String {
    format!(" ({})", list(names.iter().map(|name| quote_ident(name))))
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::column;
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// `id bigint`, `Mood "public"."mood"` that is staged as text, `seen timestamptz`.
    fn statements(merge: Merge) -> Statements {
        let mut mood = column("Mood", "text", 1);
        mood.store.cast = Some("public.mood".to_owned());
        mood.store.is_direct = false;
        let columns = [column("id", "bigint", 0), mood, column("seen", "timestamptz", 2)];
        Statements::new(3, &"public.users".parse().expect("a table name"), &columns, merge)
    }

    const INSERT: &str = r#"INSERT INTO "public"."users" AS t ("id", "Mood", "seen") OVERRIDING SYSTEM VALUE SELECT"#;

    fn upsert(update: &[&str], only_if_newer: Option<&str>) -> Statements {
        statements(Merge::Upsert {
            key: names(&["id"]),
            update: names(update),
            only_if_newer: only_if_newer.map(str::to_owned),
        })
    }

    #[test]
    fn the_staging_table_numbers_its_columns() {
        let found = statements(Merge::Append);
        assert_eq!(
            found.make,
            "CREATE TEMP TABLE IF NOT EXISTS ferry_staged_3 (ferry_row bigint, c0 bigint, c1 text, c2 timestamptz) ON COMMIT DELETE ROWS"
        );
        assert_eq!(
            found.copy,
            r#"COPY "public"."users" ("id", "Mood", "seen") FROM STDIN (FORMAT binary)"#
        );
        assert_eq!(found.copy_staged, "COPY pg_temp.ferry_staged_3 FROM STDIN (FORMAT binary)");
        assert_eq!(
            found.index,
            "CREATE INDEX IF NOT EXISTS ferry_staged_3_row ON pg_temp.ferry_staged_3 (ferry_row)"
        );
        assert_eq!(found.drop_index, "DROP INDEX IF EXISTS pg_temp.ferry_staged_3_row");
        assert_eq!(*found.forget, *"DELETE FROM pg_temp.ferry_staged_3 WHERE ferry_row = ANY($1)");
    }

    #[test]
    fn an_append_is_not_sorted() {
        let found = statements(Merge::Append);
        let all = format!("{INSERT} c0, c1::public.mood, c2 FROM pg_temp.ferry_staged_3");
        assert_eq!(*found.merge_all, *all);
        assert_eq!(*found.merge_range, *format!("{all} WHERE ferry_row BETWEEN $1 AND $2"));
        assert_eq!(found.merge_each, None);
    }

    #[test]
    fn of_new_rows_the_first_one_stays() {
        let found = statements(Merge::InsertNew { key: names(&["id", "Mood"]) });
        let select = format!("{INSERT} c0, c1::public.mood, c2 FROM pg_temp.ferry_staged_3");
        let end = r#" ORDER BY ferry_row ON CONFLICT ("id", "Mood") DO NOTHING"#;
        assert_eq!(*found.merge_all, *format!("{select}{end}"));
        let range = " WHERE ferry_row BETWEEN $1 AND $2";
        assert_eq!(*found.merge_range, *format!("{select}{range}{end}"));
        let found = statements(Merge::InsertNew { key: Vec::new() });
        let end = " ORDER BY ferry_row ON CONFLICT DO NOTHING";
        assert_eq!(*found.merge_all, *format!("{select}{end}"));
    }

    #[test]
    fn an_upsert_supposes_at_first_that_no_key_comes_twice() {
        let found = upsert(&["Mood", "seen"], None);
        let select = format!("{INSERT} c0, c1::public.mood, c2 FROM pg_temp.ferry_staged_3");
        let end = r#" ORDER BY c0 ON CONFLICT ("id") DO UPDATE SET "Mood" = excluded."Mood", "seen" = excluded."seen""#;
        assert!(found.writes_each && !upsert(&["seen"], Some("seen")).writes_each);
        assert_eq!(found.merge_each.as_deref(), Some(format!("{select}{end}").as_str()));
    }

    const WINDOW: &str = "WINDOW same AS (PARTITION BY c0 ORDER BY ferry_row DESC ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)";

    #[test]
    fn of_repeated_keys_the_last_row_wins_what_it_updates() {
        let found = upsert(&["seen"], None);
        let select = format!(
            "{INSERT} DISTINCT ON (c0) last_value(c0) OVER same, last_value(c1::public.mood) OVER same, c2 FROM pg_temp.ferry_staged_3"
        );
        let end = format!(
            r#" {WINDOW} ORDER BY c0, ferry_row DESC ON CONFLICT ("id") DO UPDATE SET "seen" = excluded."seen""#
        );
        assert_eq!(*found.merge_all, *format!("{select}{end}"));
        let range = " WHERE ferry_row BETWEEN $1 AND $2";
        assert_eq!(*found.merge_range, *format!("{select}{range}{end}"));
    }

    #[test]
    fn of_repeated_keys_the_newest_row_wins_and_of_equal_ones_the_first() {
        let found = upsert(&["Mood"], Some("seen"));
        let expected = format!(
            r#"{INSERT} DISTINCT ON (c0) last_value(c0) OVER same, c1::public.mood, c2 FROM pg_temp.ferry_staged_3 {WINDOW} ORDER BY c0, c2 DESC NULLS LAST, CASE WHEN c2 IS NULL THEN -ferry_row ELSE ferry_row END ON CONFLICT ("id") DO UPDATE SET "Mood" = excluded."Mood", "seen" = excluded."seen" WHERE excluded."seen" OPERATOR(pg_catalog.>) t."seen" OR t."seen" IS NULL"#
        );
        assert_eq!(*found.merge_all, *expected);
    }

    #[test]
    fn what_is_newer_does_not_depend_on_the_search_path() {
        let found = upsert(&["seen"], Some("Mood"));
        let end = r#" WHERE (excluded."Mood" IS NOT NULL AND ROW(excluded."Mood")::record OPERATOR(pg_catalog.>) ROW(t."Mood")::record) OR t."Mood" IS NULL"#;
        assert!(found.merge_all.ends_with(end), "{}", found.merge_all);
        assert!(found.merge_each.is_some_and(|sql| sql.ends_with(end)));
        let store = |staged_as: &str, cast: Option<&str>| Store {
            staged_as: staged_as.to_owned(),
            cast: cast.map(str::to_owned),
            ..column("seen", "text", 0).store
        };
        let with_collation = store("pg_catalog.text COLLATE public.\"no case\"", None);
        let made = store("varchar COLLATE public.\"no case\"", None);
        let rounded = store("timestamp(3) without time zone", None);
        let cast = store("pg_catalog.text", Some("pg_catalog.inet"));
        for builtin in [with_collation, made, rounded, cast] {
            assert!(is_builtin(&builtin), "{builtin:?}");
        }
        let citext = store("public.citext", None);
        let array = store("pg_catalog.text", Some("public.citext[]"));
        for other in [citext, array] {
            assert!(!is_builtin(&other), "{other:?}");
        }
    }

    #[test]
    fn an_upsert_that_updates_nothing_adds_what_is_new() {
        let found = upsert(&[], None);
        assert_eq!(found, statements(Merge::InsertNew { key: names(&["id"]) }));
        assert_eq!(found, upsert(&[], Some("id")), "a key is never newer than itself");
    }
}
