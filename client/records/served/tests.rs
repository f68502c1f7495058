//! What of a table is shown, under which key, and what its columns say of personal data.

use super::*;
use crate::job::Overrides;

const JOB: &str = "
name = 'people'
database.url = 'postgres://localhost/x'
source = { url = 'http://127.0.0.1:7443', dataset = 'people' }
pii.key_file = 'pii.key'
column = [
    { name = 'email', pii = 'hash' },
    { name = 'phone', pii = 'salted' },
    { name = 'iban', pii = 'mask' },
    { name = 'card', pii = 'drop' },
]
[transform]
set.full_name = \"first || ' ' || last\"
set.note = \"'x'\"
derive_before_hash.domain = \"split_part(email, '@', 2)\"
rename = { email = 'mail', first = 'last', last = 'first' }
drop = ['note', 'gone']
[[target]]
table = 'public.users'
";

fn job(target: &str) -> Job {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("job.toml");
    std::fs::write(&path, format!("{JOB}{target}")).expect("the job is written");
    Job::load(Some(&path), Overrides::default()).expect("a valid job")
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn table() -> TargetTable {
    let columns = [("uid", "integer"), ("mail", "bytea"), ("secret", "text"), ("at", "date")];
    let column = |(name, kind)| TargetColumn::sample(name, kind);
    TargetTable::sample("public.users", columns.map(column).to_vec())
}

#[track_caller]
fn assert_shown(job: &Job, table: &TargetTable, allowed: &[&str], columns: &[&str], key: &[&str]) {
    let shown = shown(job, &job.targets[0], table, &names(allowed)).expect("a served table");
    let shown_names: Vec<&str> = shown.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(shown_names, columns);
    assert_eq!(shown.key, key);
    for column in &shown.columns {
        assert_eq!(column.is_key, key.contains(&column.name.as_str()), "{}", column.name);
    }
}

#[test]
fn only_what_is_allowed_is_shown_in_the_order_of_the_table() {
    let table = table().with_unique_key(&["uid"]);
    assert_shown(&job(""), &table, &["at", "uid", "unknown"], &["uid", "at"], &["uid"]);
    let mut closed = table;
    closed.columns[3].may_select = false;
    assert_shown(&job(""), &closed, &["at", "uid"], &["uid"], &["uid"]);
}

#[test]
fn the_key_of_the_job_comes_first_if_it_tells_rows_apart() {
    let unique = table().with_unique_key(&["uid"]).with_unique_key(&["mail", "at"]);
    let all = ["uid", "mail", "at"];
    let with_key = job("key = ['at', 'mail']");
    assert_shown(&with_key, &unique, &all, &all, &["at", "mail"]);
    let not_unique = job("key = ['mail']");
    assert_shown(&not_unique, &unique, &all, &all, &["uid"]);
    // A key that is not shown would be told by asking for it.
    assert_shown(&job(""), &unique, &["mail", "at"], &["mail", "at"], &["mail", "at"]);
}

#[test]
fn a_table_without_a_key_that_is_shown_is_not_served() {
    let job = job("");
    let without = shown(&job, &job.targets[0], &table(), &names(&["uid"]));
    assert!(without.expect_err("no key").contains("no unique index"));
    let hidden = table().with_unique_key(&["secret"]);
    assert!(shown(&job, &job.targets[0], &hidden, &names(&["uid"])).is_err());
}

#[test]
fn a_target_says_what_is_allowed() {
    let loaded = names(&["uid", "mail"]);
    let allowed = |target: &str, loaded: Option<&[String]>| {
        let job = job(target);
        allowed_names(&job.targets[0], loaded).map(<[String]>::to_vec)
    };
    assert_eq!(allowed("", Some(&loaded)), Ok(loaded.clone()));
    assert!(allowed("", None).is_err());
    assert_eq!(allowed("columns = ['uid']", None), Ok(names(&["uid"])));
    let both = "columns = ['uid', 'mail']\nserve_columns = ['uid']";
    assert_eq!(allowed(both, Some(&loaded)), Ok(names(&["uid"])));
    assert!(allowed("serve = false", Some(&loaded)).is_err());
}

#[test]
fn loaded_columns_are_known_by_their_last_names() {
    let columns: Vec<LoadedColumn> = serde_json::from_str(
        r#"[{"name": "uid", "read_as": "bigint", "loaded_as": "bigint", "pii": null},
            {"name": "email", "read_as": "text", "pii": "email"},
            {"name": "phone", "read_as": "text", "pii": "phone", "pii_mode": "salted"},
            {"name": "first", "read_as": "text", "pii": null},
            {"name": "gone", "read_as": "text", "pii": null},
            {"name": "iban", "read_as": "text", "pii": "drop", "pii_mode": "drop"},
            {"name": "card", "pii": "drop"}]"#,
    )
    .expect("columns of a run");
    let salt = salt_name("phone");
    let expected = ["uid", "mail", "phone", &salt, "last", "domain", "full_name"];
    assert_eq!(names_after(&job(""), &columns), expected);
}

#[test]
fn pseudonyms_are_told_apart_from_what_is_public() {
    let job = job("");
    let treated = |name: &str| treatment_of(&job, name);
    assert_eq!(treated("mail"), Some("hash"));
    assert_eq!(treated("phone"), Some("salted"));
    assert_eq!(treated(&salt_name("phone")), Some("salted"));
    assert_eq!(treated("iban"), Some("mask"));
    for public in ["uid", "domain", "full_name", "first", "note"] {
        assert_eq!(treated(public), None, "{public}");
    }
}

#[test]
fn only_numbers_that_json_holds_are_numbers() {
    let kind = |name: &str| kind_of(&TargetColumn::sample("a", name));
    for number in ["smallint", "integer", "bigint", "real", "double precision"] {
        assert_eq!(kind(number), JsonKind::Number, "{number}");
    }
    for text in ["numeric(9,2)", "text", "date", "timestamptz", "uuid", "bytea", "time"] {
        assert_eq!(kind(text), JsonKind::Text, "{text}");
    }
    assert_eq!(kind("boolean"), JsonKind::Boolean);
    assert_eq!(kind("jsonb"), JsonKind::Json);
    assert_eq!(kind_of(&TargetColumn::sample_cast("a", "pg_catalog.json")), JsonKind::Json);
    assert_eq!(kind_of(&TargetColumn::sample_cast("a", "public.mood")), JsonKind::Text);
}
