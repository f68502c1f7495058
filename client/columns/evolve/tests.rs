//! Which statements follow the source, and what is refused.

use super::super::drift::tests::{column, drift_of, job};
use super::*;

/// The job of these settings under the policy `evolve`, and a table with `uid` and `email`.
fn evolved(settings: &str, baseline: &[&str], now: &[&str]) -> Result<Evolution, ColumnError> {
    evolved_of(settings, baseline, now, &[("uid", "integer"), ("email", "varchar(20)")])
}

fn evolved_of(
    settings: &str,
    baseline: &[&str],
    now: &[&str],
    table: &[(&str, &str)],
) -> Result<Evolution, ColumnError> {
    let job = job(&format!("{settings}\n[load]\ndrift = 'evolve'"));
    let drift = drift_of(&job, Some(baseline), &[("a.csv", now)]);
    let columns = table.iter().map(|(name, type_name)| TargetColumn::sample(name, type_name));
    evolve(&job, &drift, vec![Some(TargetTable::sample("users", columns.collect()))])
}

const BASELINE: [&str; 2] = ["uid integer", "email varchar(20)"];

#[track_caller]
fn statements(evolved: Result<Evolution, ColumnError>) -> Vec<String> {
    let evolved = evolved.expect("it evolves");
    let table = evolved.tables[0].as_ref().expect("a table").name.to_sql();
    let strip = |statement: String| statement.replace(&format!("ALTER TABLE {table} "), "");
    evolved.statements.into_iter().map(strip).collect()
}

#[track_caller]
fn refusal(evolved: Result<Evolution, ColumnError>) -> String {
    evolved.expect_err("it is refused").to_string()
}

#[test]
fn a_new_column_is_added_under_the_name_that_it_is_loaded_by() {
    let now = ["uid integer", "email varchar(20)", "born date"];
    let added = |settings: &str| statements(evolved(settings, &BASELINE, &now));
    assert_eq!(added(""), ["ADD COLUMN IF NOT EXISTS \"born\" date"]);
    let renamed = added("[transform]\nrename.born = 'Birth day'");
    assert_eq!(renamed, ["ADD COLUMN IF NOT EXISTS \"Birth day\" date"]);
    for settings in [
        "[transform]\ndrop = ['born']",
        "[transform]\nset.born = \"'x'\"",
        "[transform]\nrename.born = 'email'",
        "[[column]]\nname = 'born'\npii = 'drop'",
    ] {
        assert!(added(settings).is_empty(), "{settings}");
    }
    let named = evolved("columns = ['uid', 'email']", &BASELINE, &now);
    assert!(statements(named).is_empty(), "the target names its columns");
}

#[test]
fn a_new_column_gets_the_type_of_what_is_loaded() {
    let now = ["uid integer", "email varchar(20)", "phone text"];
    let added = |rule: &str| {
        let settings = format!("[[column]]\nname = 'phone'\n{rule}");
        let job = job(&format!("{settings}\n[load]\ndrift = 'evolve'"));
        made_of(&job, &column("phone text"))
            .iter()
            .map(|made| format!("{} {}", made.name, made.column_type))
            .collect::<Vec<_>>()
    };
    assert_eq!(added("pii = 'hash'"), ["phone bytea"]);
    assert_eq!(added("pii = 'hash'\nform = 'hex'"), ["phone text"]);
    assert_eq!(added("pii = 'salted'"), ["phone bytea", "phone_salt bytea"]);
    assert_eq!(added("pii = 'mask'"), ["phone text"]);
    assert_eq!(added("pii = 'none'\ntype = 'bigint'"), ["phone bigint"]);
    assert!(added("pii = 'drop'").is_empty());
    let table = evolved("[[column]]\nname = 'phone'\npii = 'none'", &BASELINE, &now);
    let table = table.expect("it evolves").tables.remove(0).expect("a table");
    assert_eq!(table.columns[2], TargetColumn::added("phone", ColumnType::Text));
}

#[test]
fn what_a_table_has_needs_no_statement() {
    let now = ["uid bigint", "email text", "born date"];
    let first = evolved("", &BASELINE, &now).expect("it evolves");
    assert_eq!(first.statements.len(), 3);
    let job = job("[load]\ndrift = 'evolve'");
    let drift = drift_of(&job, Some(&BASELINE), &[("a.csv", &now)]);
    let again = evolve(&job, &drift, first.tables.clone()).expect("it evolves");
    assert!(again.statements.is_empty());
    assert_eq!(again.tables, first.tables);
    let none = evolve(&job, &drift, vec![None]).expect("it evolves");
    assert!(none.statements.is_empty(), "a table that is made has all of it");
}

#[test]
fn a_column_is_widened_to_what_the_source_declares() {
    let widened = |now: [&str; 2]| statements(evolved("", &BASELINE, &now));
    assert_eq!(
        widened(["uid bigint", "email text"]),
        ["ALTER COLUMN \"uid\" TYPE bigint", "ALTER COLUMN \"email\" TYPE text"]
    );
    assert!(widened(["uid smallint", "email varchar(10)"]).is_empty(), "narrower ones fit");
    let settings = "[transform]\nrename.uid = 'id'";
    let table = [("id", "integer"), ("email", "text")];
    let now = ["uid bigint", "email varchar(20)"];
    let renamed = evolved_of(settings, &BASELINE, &now, &table);
    assert_eq!(statements(renamed), ["ALTER COLUMN \"id\" TYPE bigint"]);
}

#[test]
fn what_was_never_of_the_declared_type_is_left_alone() {
    let baseline = ["uid text", "email text"];
    let now = ["uid varchar(10)", "email date"];
    assert!(statements(evolved("", &baseline, &now)).is_empty());
    let typed = evolved("[[column]]\nname = 'uid'\ntype = 'integer'", &BASELINE, &now);
    assert!(refusal(typed).contains("\"email\""), "the type of uid is the job's");
}

#[test]
fn a_change_that_would_lose_something_is_refused() {
    let error = refusal(evolved("", &BASELINE, &["uid date", "email text"]));
    assert!(
        error.starts_with(
            "column \"uid\" of users is integer, and the source declares it as date now"
        ),
        "{error}"
    );
    let mut domain = TargetColumn::sample("uid", "integer");
    domain.type_name = "public.customer_number".to_owned();
    let job = job("[load]\ndrift = 'evolve'");
    let drift = drift_of(&job, Some(&["uid integer"]), &[("a.csv", &["uid bigint"])]);
    let refused = evolve(&job, &drift, vec![Some(TargetTable::sample("users", vec![domain]))]);
    assert!(refusal(refused).contains("is public.customer_number"));
}

#[test]
fn a_collation_outlives_a_new_type() {
    let mut email = TargetColumn::sample("email", "varchar(20)");
    email.store.staged_as = "pg_catalog.varchar COLLATE pg_catalog.\"C\"".to_owned();
    let job = job("[load]\ndrift = 'evolve'");
    let now: [&str; 1] = ["email text"];
    let drift = drift_of(&job, Some(&["email varchar(20)"]), &[("a.csv", &now)]);
    let table = TargetTable::sample("users", vec![email]);
    let evolved = evolve(&job, &drift, vec![Some(table)]).expect("it evolves");
    assert!(evolved.statements[0].ends_with("\"email\" TYPE text COLLATE pg_catalog.\"C\""));
    let store = &evolved.tables[0].as_ref().expect("a table").columns[0].store;
    assert_eq!(store.staged_as, "text COLLATE pg_catalog.\"C\"");
}

#[test]
fn names_that_no_column_can_have_are_refused() {
    let long = format!("{} text", "x".repeat(64));
    for name in [" text", "a\nb text", long.as_str()] {
        let error = refusal(evolved("", &BASELINE, &["uid integer", "email varchar(20)", name]));
        assert!(error.contains("cannot get a column") && error.len() < 300, "{error}");
    }
}

#[test]
fn only_what_holds_every_value_is_wider() {
    let kind = |name: &str| name.parse::<ColumnType>().expect("a type");
    for (narrow, wide) in [
        ("smallint", "integer"),
        ("integer", "bigint"),
        ("bigint", "numeric"),
        ("smallint", "real"),
        ("integer", "double precision"),
        ("real", "double precision"),
        ("numeric(5,2)", "numeric(7,2)"),
        ("numeric(5,2)", "numeric(7,4)"),
        ("numeric(5,2)", "numeric"),
        ("varchar(5)", "varchar(6)"),
        ("varchar(5)", "text"),
        ("date", "timestamp"),
    ] {
        assert!(widens(kind(narrow), kind(wide)), "{narrow} {wide}");
        assert!(!widens(kind(wide), kind(narrow)), "{wide} {narrow}");
    }
    for (from, to) in [
        ("integer", "real"),
        ("bigint", "double precision"),
        ("numeric(5,2)", "numeric(7,1)"),
        ("numeric(5,2)", "numeric(6,4)"),
        ("numeric", "double precision"),
        ("date", "timestamptz"),
        ("timestamp", "timestamptz"),
        ("integer", "text"),
        ("integer", "integer"),
    ] {
        assert!(!widens(kind(from), kind(to)), "{from} {to}");
    }
}
