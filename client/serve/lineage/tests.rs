//! The ways of columns, from job files as people write them.

use ferry::schema::{Column, ColumnType};
use serde_json::{Value, json};

use super::*;
use crate::job::Overrides;

/// A job of people with these settings, and one table unless they name others.
fn job(settings: &str) -> Job {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("job.toml");
    let target = if settings.contains("[[target]]") { "" } else { "[[target]]\ntable = 'users'" };
    let text = format!(
        "name = 'people'\ndatabase.url = 'postgres://localhost/x'\n\
         pii.key_file = 'pii.key'\n\
         source.url = 'http://127.0.0.1:7443'\nsource.dataset = 'people'\n{settings}\n{target}\n"
    );
    std::fs::write(&path, text).expect("file is written");
    Job::load(Some(&path), Overrides::default()).expect("a valid job")
}

fn offered(names: &[&str]) -> Vec<Column> {
    let column = |name: &&str| Column { name: (*name).to_owned(), column_type: ColumnType::Text };
    names.iter().map(column).collect()
}

/// Lineage of the first table of a job, as JSON.
fn lineage(job: &Job, names: &[&str], table: &[&str]) -> Value {
    let columns: Vec<TableColumn<'_>> =
        table.iter().map(|name| TableColumn { name, type_name: "text" }).collect();
    let lineage = trace(job, &job.targets[0], &offered(names), &columns);
    serde_json::to_value(lineage.expect("the job fits")).expect("JSON")
}

/// The first column of the lineage.
fn first(job: &Job, names: &[&str], column: &str) -> Value {
    lineage(job, names, &[column])["columns"][0].take()
}

#[test]
fn a_column_goes_through_the_stages_in_their_order() {
    let job = job("[[column]]\nname = 'email'\nclean = ['trim', 'lowercase']\n\
         check = ['required', 'email']\npii = 'hash'\n");
    let expected = json!({
        "target": "email",
        "type": "text",
        "sources": ["email"],
        "stages": [
            { "stage": "clean", "what": "trim, lowercase" },
            { "stage": "check", "what": "required, email" },
            { "stage": "pseudonymise", "what": "hash, domain email" },
        ],
        "pii": "hash",
    });
    assert_eq!(first(&job, &["uid", "email"], "email"), expected);
    let plain = first(&job, &["uid", "email"], "uid");
    assert_eq!((&plain["sources"], &plain["stages"]), (&json!(["uid"]), &json!([])));
    assert_eq!(plain["pii"], Value::Null);
}

#[test]
fn an_expression_has_all_of_its_sources() {
    let job = job("[[column]]\nname = 'first_name'\nclean = ['trim']\n\
         [transform]\nset.full_name = \"first_name || ' ' || last_name || first_name\"\n");
    let full = first(&job, &["last_name", "first_name", "uid"], "full_name");
    assert_eq!(full["sources"], json!(["last_name", "first_name"]), "in the order of the source");
    let expected = json!([
        { "stage": "clean", "what": "first_name: trim" },
        { "stage": "transform", "what": "first_name || ' ' || last_name || first_name" },
    ]);
    assert_eq!(full["stages"], expected);
}

#[test]
fn what_is_made_of_a_pseudonym_is_marked_as_one() {
    let job = job("[[column]]\nname = 'phone'\npii = 'mask'\n\
         [transform]\nset.line = \"coalesce(phone, 'none')\"\n");
    let line = first(&job, &["phone"], "line");
    assert_eq!(line["pii"], "mask");
    let expected = json!([
        { "stage": "pseudonymise", "what": "mask, the last 4 stay" },
        { "stage": "transform", "what": "coalesce(phone, 'none')" },
    ]);
    assert_eq!(line["stages"], expected);
}

#[test]
fn what_is_derived_before_the_hash_is_no_pseudonym() {
    let job = job("[[column]]\nname = 'email'\nclean = ['lowercase']\npii = 'drop'\n\
         [transform]\nderive_before_hash.host = \"split_part(email, '@', 2)\"\n\
         set.is_ours = \"host = 'example.org'\"\n");
    let host = first(&job, &["email"], "host");
    let expected = json!({
        "target": "host",
        "type": "text",
        "sources": ["email"],
        "stages": [
            { "stage": "clean", "what": "lowercase" },
            { "stage": "derive", "what": "split_part(email, '@', 2)" },
        ],
        "pii": null,
    });
    assert_eq!(host, expected);
    let ours = first(&job, &["email"], "is_ours");
    assert_eq!((&ours["sources"], &ours["pii"]), (&json!(["email"]), &Value::Null));
    assert_eq!(
        ours["stages"][1],
        json!({ "stage": "derive", "what": "split_part(email, '@', 2)" })
    );
    assert_eq!(ours["stages"][2]["stage"], "transform");
}

#[test]
fn salts_and_new_names_lead_back_to_the_source() {
    let job = job("[[column]]\nname = 'card'\npii = 'salted'\ndomain = 'payment'\nform = 'hex'\n\
         [transform]\nrename.card = 'card_hash'\n");
    let card = first(&job, &["card"], "card_hash");
    let expected = json!([
        { "stage": "pseudonymise", "what": "salted hash, domain payment, as hexadecimal digits" },
        { "stage": "transform", "what": "renamed from card" },
    ]);
    assert_eq!((&card["stages"], &card["pii"]), (&expected, &json!("salted")));
    let salt = first(&job, &["card"], "card_salt");
    assert_eq!(salt["sources"], json!(["card"]));
    assert_eq!(salt["stages"], json!([{ "stage": "pseudonymise", "what": "the salts of card" }]));
    assert_eq!(salt["pii"], Value::Null);
}

#[test]
fn what_does_not_reach_the_table_is_told_with_the_reason() {
    let job = job("source.columns = ['uid', 'email', 'password', 'note', 'city']\n\
         [[column]]\nname = 'password'\npii = 'drop'\n\
         [transform]\ndrop = ['note']\n\
         [[target]]\ntable = 'users'\ncolumns = ['uid', 'email']\n\
         [[target]]\ntable = 'places'\ncolumns = ['uid', 'city']\n");
    let names = ["avatar", "uid", "email", "password", "note", "city"];
    let expected = json!([
        { "column": "avatar", "why": "not asked for" },
        { "column": "password", "why": "pii drop" },
        { "column": "note", "why": "drop" },
        { "column": "city", "why": "not asked for" },
    ]);
    assert_eq!(lineage(&job, &names, &["uid"])["dropped"], expected);
}

#[test]
fn a_column_that_is_not_shown_is_not_dropped_for_that() {
    let lineage = lineage(&job(""), &["uid", "email"], &["uid"]);
    assert_eq!(lineage["columns"].as_array().map(Vec::len), Some(1));
    assert_eq!(lineage["dropped"], json!([]));
}

#[test]
fn a_column_that_the_table_fills_itself_has_no_source() {
    let made = first(&job(""), &["uid"], "created_at");
    assert_eq!((&made["sources"], &made["stages"]), (&json!([]), &json!([])));
}

#[test]
fn before_the_first_run_the_job_alone_tells_the_columns() {
    let job = job("[[column]]\nname = 'email'\npii = 'hash'\n\
         [transform]\nset.full_name = \"first_name || ' ' || last_name\"\n\
         rename.mail = 'address'\ndrop = ['note']\n\
         [[target]]\ntable = 'users'\ncolumns = ['uid', 'email', 'full_name', 'address']\n");
    let lineage = lineage(&job, &[], &["uid", "email", "full_name", "address"]);
    let sources: Vec<&Value> = lineage["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| &column["sources"])
        .collect();
    let expected =
        [json!(["uid"]), json!(["email"]), json!(["first_name", "last_name"]), json!(["mail"])];
    assert_eq!(sources, expected.iter().collect::<Vec<_>>());
    assert_eq!(lineage["dropped"], json!([{ "column": "note", "why": "drop" }]));
}

#[test]
fn a_table_is_found_by_its_name_in_the_catalogue() {
    let job = job("[[target]]\ntable = 'users'\n[[target]]\ntable = 'crm.people'\n");
    let found = |text: &str| {
        let table: TableName = text.parse().expect("a table name");
        target_of(&job, &table).map(|target| target.table.to_string())
    };
    assert_eq!(found("public.users").as_deref(), Some("users"));
    assert_eq!(found("crm.people").as_deref(), Some("crm.people"));
    assert_eq!(found("app.users").as_deref(), Some("users"), "along the search path");
    assert_eq!(found("app.people"), None);
}
