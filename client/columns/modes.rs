//! Checks that a table can take its rows in the mode of its target: the key, the index behind it, the privileges.
//!
//! All that is missing is told at once, with the statements that make it.

use super::names::hint;
use super::targets::mismatch;
use super::{ColumnError, TargetPlan};
use crate::job::{Mode, Target};
use crate::load::catalogue::{Need, TargetTable};
use crate::names::quote_ident;

/// Refuses what cannot be loaded; `table` is `None` if it is to be made.
pub(super) fn check(
    target: &Target,
    plan: &TargetPlan,
    table: Option<&TargetTable>,
) -> Result<(), ColumnError> {
    refuse_unknown(target, plan)?;
    let Some(table) = table else {
        return Ok(());
    };
    refuse_fixed(plan, table)?;
    refuse_missing_index(plan, table)?;
    refuse_missing_grants(plan, table)
}

/// What a setting names must be loaded: a key that is not could find no row.
fn refuse_unknown(target: &Target, plan: &TargetPlan) -> Result<(), ColumnError> {
    let mut named: Vec<(&str, &String)> = target.key.iter().map(|name| ("key", name)).collect();
    if let Mode::Upsert { update, only_if_newer } = &target.mode {
        named.extend(update.iter().map(|name| ("update", name)));
        named.extend(only_if_newer.iter().map(|name| ("only_if_newer", name)));
    }
    let loaded = || plan.columns.iter().map(|column| column.column.name.as_str());
    match named.into_iter().find(|(_, name)| loaded().all(|loaded| loaded != *name)) {
        None => Ok(()),
        Some((setting, name)) => Err(ColumnError::Unknown {
            setting: format!("target.{setting} of {}", target.table),
            column: name.clone(),
            hint: hint(name, loaded()),
        }),
    }
}

/// Refuses to update a column whose every value PostgreSQL makes itself.
fn refuse_fixed(plan: &TargetPlan, table: &TargetTable) -> Result<(), ColumnError> {
    let Mode::Upsert { update, only_if_newer } = &plan.mode else {
        return Ok(());
    };
    let is_updated = |name: &String| update.contains(name) || only_if_newer.as_ref() == Some(name);
    let mut fixed = table.columns.iter().filter(|column| column.is_identity_always);
    match fixed.find(|column| is_updated(&column.name)) {
        None => Ok(()),
        Some(column) => {
            let hint = "it is GENERATED ALWAYS AS IDENTITY and cannot be updated: take it out of update and only_if_newer";
            Err(mismatch(&table.name, column, hint))
        }
    }
}

fn refuse_missing_index(plan: &TargetPlan, table: &TargetTable) -> Result<(), ColumnError> {
    if plan.mode == Mode::Append || plan.key.is_empty() || table.has_unique_key(&plan.key) {
        return Ok(());
    }
    let quoted: Vec<String> = plan.key.iter().map(|name| quote_ident(name)).collect();
    let key = format!("({})", quoted.join(", "));
    Err(ColumnError::NoUniqueIndex {
        table: table.name.to_string(),
        statement: format!("CREATE UNIQUE INDEX ON {} {key}", table.name.to_sql()),
        key,
        mode: plan.mode.word(),
    })
}

fn refuse_missing_grants(plan: &TargetPlan, table: &TargetTable) -> Result<(), ColumnError> {
    let updated = plan.updated_columns();
    let grants = table.missing_grants(&needs(plan, table, &updated));
    if grants.is_empty() {
        return Ok(());
    }
    Err(ColumnError::MissingGrant {
        table: table.name.to_string(),
        role: table.role.clone(),
        mode: plan.mode.word(),
        grants: grants.join("; "),
    })
}

/// All that the mode does to the table.
fn needs<'a>(plan: &'a TargetPlan, table: &'a TargetTable, updated: &'a [String]) -> Vec<Need<'a>> {
    let is_loaded = |name: &str| plan.columns.iter().any(|column| column.column.name == name);
    let mut needs = Vec::new();
    for column in &table.columns {
        let name = column.name.as_str();
        needs.push(if is_loaded(name) { Need::Insert(name) } else { Need::Default(name) });
    }
    let is_staged = plan.columns.iter().any(|column| !column.store.is_direct);
    if plan.mode != Mode::Append || is_staged {
        needs.push(Need::Stage);
    }
    match &plan.mode {
        Mode::Append => {}
        // ON CONFLICT reads the columns that it looks for.
        Mode::InsertNew => needs.extend(plan.key.iter().map(|name| Need::Select(name))),
        Mode::Upsert { only_if_newer, .. } => {
            // For PostgreSQL, to read what was excluded is to read the column.
            let read = plan.key.iter().chain(updated).chain(only_if_newer);
            needs.extend(read.map(|name| Need::Select(name)));
            needs.extend(updated.iter().map(|name| Need::Update(name)));
        }
        Mode::Replace { keep_old } => {
            needs.extend([Need::SelectAll, Need::Delete]);
            if !plan.key.is_empty() {
                needs.extend(updated.iter().map(|name| Need::Update(name)));
            }
            if *keep_old {
                needs.push(Need::MakeBeside);
            }
        }
    }
    needs
}

#[cfg(test)]
mod tests {
    use ferry::schema::{Column, ColumnType};

    use super::*;
    use crate::columns::TargetColumnPlan;
    use crate::job::{CachePolicy, ServePolicy};
    use crate::load::catalogue::TargetColumn;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn target(mode: Mode, key: &[&str]) -> Target {
        Target {
            table: "public.users".parse().expect("a table name"),
            create: false,
            mode,
            key: names(key),
            columns: Vec::new(),
            cache: CachePolicy::default(),
            serve: ServePolicy::default(),
        }
    }

    fn upsert(update: &[&str], only_if_newer: Option<&str>) -> Mode {
        Mode::Upsert { update: names(update), only_if_newer: only_if_newer.map(str::to_owned) }
    }

    /// A table with the columns `uid`, `email`, `at` and one that is not loaded.
    fn table() -> TargetTable {
        let columns = ["uid", "email", "at", "note"].map(|name| TargetColumn::sample(name, "text"));
        TargetTable::sample("public.users", columns.to_vec())
    }

    fn closed_table() -> TargetTable {
        let mut table = table().with_unique_key(&["uid"]);
        for column in &mut table.columns {
            (column.may_insert, column.may_select, column.may_update) = (false, false, false);
        }
        TargetTable {
            may_select: false,
            may_delete: false,
            may_stage: false,
            may_make_beside: false,
            ..table
        }
    }

    fn plan(target: &Target, table: &TargetTable) -> TargetPlan {
        let loaded = table.columns.iter().filter(|column| column.name != "note");
        let columns = loaded.enumerate().map(|(output, column)| TargetColumnPlan {
            column: Column { name: column.name.clone(), column_type: ColumnType::Text },
            type_name: Some(column.type_name.clone()),
            output,
            origin: column.name.clone(),
            is_required: false,
            store: column.store.clone(),
        });
        TargetPlan {
            table: table.name.clone(),
            ddl: None,
            columns: columns.collect(),
            mode: target.mode.clone(),
            key: target.key.clone(),
        }
    }

    fn refusal(mode: Mode, key: &[&str], table: &TargetTable) -> Option<String> {
        let target = target(mode, key);
        let checked = check(&target, &plan(&target, table), Some(table));
        checked.err().map(|error| error.to_string())
    }

    #[track_caller]
    fn assert_grants(mode: Mode, key: &[&str], grants: &str) {
        let expected = format!(
            "role loader may not load public.users with mode {}: run {grants}",
            mode.word()
        );
        assert_eq!(refusal(mode, key, &closed_table()), Some(expected));
    }

    #[test]
    fn what_a_mode_names_is_loaded() {
        let table = table().with_unique_key(&["uid"]);
        let error = |mode, key: &[&str]| refusal(mode, key, &table).unwrap_or_default();
        let refused = error(Mode::Append, &["uidd"]);
        assert_eq!(
            refused,
            "target.key of public.users names \"uidd\", which is not there: did you mean \"uid\"?"
        );
        let refused = error(upsert(&["note"], None), &["uid"]);
        assert!(refused.starts_with("target.update of public.users names \"note\""), "{refused}");
        let refused = error(upsert(&[], Some("note")), &["uid"]);
        assert!(refused.starts_with("target.only_if_newer of public.users"), "{refused}");
        assert_eq!(refusal(upsert(&["at"], Some("at")), &["uid"], &table), None);
    }

    #[test]
    fn a_key_needs_an_index_unless_rows_are_only_added() {
        let modes = [upsert(&[], None), Mode::InsertNew, Mode::Replace { keep_old: false }];
        for mode in modes {
            let word = mode.word();
            let expected = format!(
                "target table public.users has no unique index on exactly (\"uid\", \"at\") that mode {word} can use: run CREATE UNIQUE INDEX ON \"public\".\"users\" (\"uid\", \"at\")"
            );
            let table = table().with_unique_key(&["uid"]);
            assert_eq!(refusal(mode.clone(), &["uid", "at"], &table), Some(expected));
            let table = table.with_unique_key(&["at", "uid"]);
            assert_eq!(refusal(mode, &["uid", "at"], &table), None);
        }
        assert_eq!(refusal(Mode::Append, &["uid"], &table()), None);
        assert_eq!(refusal(Mode::InsertNew, &[], &table()), None);
    }

    #[test]
    fn an_identity_is_not_updated() {
        let mut table = table().with_unique_key(&["uid"]);
        table.columns[2].is_identity_always = true;
        table.columns[2].store.is_updatable = false;
        for mode in [upsert(&["at"], None), upsert(&[], Some("at"))] {
            let error = refusal(mode, &["uid"], &table).unwrap_or_default();
            assert!(
                error.contains("column \"at\" of public.users is text: it is GENERATED"),
                "{error}"
            );
        }
        let target = target(upsert(&[], None), &["uid"]);
        assert_eq!(plan(&target, &table).updated_columns(), ["email"]);
        assert_eq!(refusal(target.mode, &["uid"], &table), None);
    }

    #[test]
    fn every_mode_names_the_grants_that_it_needs() {
        let insert = "INSERT (\"uid\", \"email\", \"at\")";
        let on_table = "ON \"public\".\"users\" TO \"loader\"";
        let stage = "GRANT TEMPORARY ON DATABASE \"shop\" TO \"loader\"";
        assert_grants(Mode::Append, &[], &format!("GRANT {insert} {on_table}"));
        let grants = format!("GRANT {insert} {on_table}; {stage}");
        assert_grants(Mode::InsertNew, &[], &grants);
        let grants = format!("GRANT SELECT (\"uid\"), {insert} {on_table}; {stage}");
        assert_grants(Mode::InsertNew, &["uid"], &grants);
        let grants = format!(
            "GRANT SELECT (\"uid\", \"email\", \"at\"), {insert}, UPDATE (\"email\", \"at\") {on_table}; {stage}"
        );
        assert_grants(upsert(&[], None), &["uid"], &grants);
        let grants = format!(
            "GRANT SELECT (\"uid\", \"at\"), {insert}, UPDATE (\"at\") {on_table}; {stage}"
        );
        assert_grants(upsert(&["at"], Some("at")), &["uid"], &grants);
        let grants = format!("GRANT SELECT, {insert}, DELETE {on_table}; {stage}");
        assert_grants(Mode::Replace { keep_old: false }, &[], &grants);
        let grants = format!(
            "GRANT SELECT, {insert}, UPDATE (\"email\", \"at\"), DELETE {on_table}; {stage}; GRANT CREATE ON SCHEMA \"public\" TO \"loader\""
        );
        assert_grants(Mode::Replace { keep_old: true }, &["uid"], &grants);
    }

    #[test]
    fn rows_that_are_only_added_wait_nowhere_unless_they_must_be_cast() {
        let mut table = table();
        table.may_stage = false;
        assert_eq!(refusal(Mode::Append, &[], &table), None);
        table.columns[1] = TargetColumn::sample_cast("email", "pg_catalog.inet");
        let error = refusal(Mode::Append, &[], &table).unwrap_or_default();
        assert!(
            error.ends_with("run GRANT TEMPORARY ON DATABASE \"shop\" TO \"loader\""),
            "{error}"
        );
    }

    #[test]
    fn a_table_that_is_made_has_what_it_needs() {
        let target = target(upsert(&[], None), &["uid"]);
        assert_eq!(check(&target, &plan(&target, &table()), None), Ok(()));
    }
}
