//! What differs, what is planned with, and what each policy says to it.

use super::*;
use crate::job::Overrides;

/// A job of one target; `settings` go on behind it.
pub(in crate::columns) fn job(settings: &str) -> Job {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("job.toml");
    // Keys of the target stand first in the settings, tables follow.
    let text = format!(
        "database.url = 'postgres://localhost/x'\npii.key_file = 'pii.key'\n\
         source.url = 'http://127.0.0.1:7443'\nsource.dataset = 'customers'\n\
         [[target]]\ntable = 'public.users'\n{settings}\n"
    );
    std::fs::write(&path, text).expect("job file is written");
    Job::load(Some(&path), Overrides::default()).expect("a valid job")
}

/// `uid bigint` as a column.
pub(in crate::columns) fn column(words: &str) -> Column {
    let (name, type_name) = words.rsplit_once(' ').expect("a name and a type");
    Column { name: name.to_owned(), column_type: type_name.parse().expect("a type") }
}

fn columns(words: &[&str]) -> Vec<Column> {
    words.iter().map(|words| column(words)).collect()
}

/// Compares these files; the dataset is as the first of them.
pub(in crate::columns) fn drift_of(
    job: &Job,
    baseline: Option<&[&str]>,
    files: &[(&str, &[&str])],
) -> Drift {
    let header = |(file, words): &(&str, &[&str])| FileHeader {
        file: (*file).to_owned(),
        columns: columns(words).into(),
    };
    let headers: Vec<FileHeader> = files.iter().map(header).collect();
    let dataset = headers.first().map(|header| header.columns.to_vec()).unwrap_or_default();
    let baseline = baseline.map(columns);
    drift(job, baseline.as_deref(), &dataset, &headers)
}

fn told(drift: &Drift) -> Vec<String> {
    drift.differences.iter().map(Difference::to_string).collect()
}

fn words(columns: &[Column]) -> Vec<String> {
    columns.iter().map(|column| format!("{} {}", column.name, column.column_type)).collect()
}

fn of_policy(policy: &str) -> Job {
    job(&format!("[load]\ndrift = '{policy}'"))
}

const BASELINE: [&str; 2] = ["uid integer", "email text"];

/// A file in another order, one with more, one with less, and another type.
const FILES: [(&str, &[&str]); 3] = [
    ("a.csv", &["email text", "uid bigint"]),
    ("b.csv", &["uid bigint", "email text", "born date"]),
    ("c.csv", &["uid bigint"]),
];

#[test]
fn files_that_fit_make_no_difference() {
    let files: [(&str, &[&str]); 2] =
        [("a.csv", &["uid integer", "email text"]), ("b.csv", &["email text", "uid integer"])];
    for policy in ["evolve", "freeze", "quarantine"] {
        let job = of_policy(policy);
        for baseline in [None, Some(&BASELINE[..])] {
            let drift = drift_of(&job, baseline, &files);
            assert_eq!(told(&drift), Vec::<String>::new());
            assert_eq!(words(&drift.columns), BASELINE);
            assert_eq!(drift.judge(job.load.drift), Ok(()));
        }
        let nothing = drift_of(&job, Some(&BASELINE), &[]);
        assert_eq!(
            (words(&nothing.columns), nothing.differences.len()),
            (words(&columns(&BASELINE)), 0)
        );
    }
}

#[test]
fn every_difference_is_told() {
    let expected = [
        "column \"uid\" was integer and is bigint",
        "column \"email\" is not in \"c.csv\"",
        "column \"born\" is new in \"b.csv\"",
    ];
    for policy in ["evolve", "freeze", "quarantine"] {
        assert_eq!(told(&drift_of(&of_policy(policy), Some(&BASELINE), &FILES)), expected);
    }
}

#[test]
fn only_evolve_takes_over_what_is_new() {
    let of = |policy: &str| drift_of(&of_policy(policy), Some(&BASELINE), &FILES);
    assert_eq!(words(&of("evolve").columns), ["uid bigint", "email text", "born date"]);
    for policy in ["freeze", "quarantine"] {
        assert_eq!(words(&of(policy).columns), BASELINE);
    }
}

#[test]
fn a_source_without_files_is_no_baseline() {
    assert_eq!(drift_of(&of_policy("freeze"), None, &[]).offered, None);
    let later = drift_of(&of_policy("freeze"), Some(&BASELINE), &[]);
    assert_eq!(words(later.offered.as_deref().expect("it was seen before")), BASELINE);
}

#[test]
fn the_next_attempt_comes_to_the_same_columns() {
    for policy in ["evolve", "freeze", "quarantine"] {
        let job = of_policy(policy);
        for baseline in [None, Some(&BASELINE[..])] {
            let first = drift_of(&job, baseline, &FILES);
            let noted = words(first.offered.as_deref().expect("files were seen"));
            let noted: Vec<&str> = noted.iter().map(String::as_str).collect();
            let again = drift_of(&job, Some(&noted), &FILES);
            assert_eq!(again.columns, first.columns, "{policy}");
            assert_eq!(again.offered, first.offered, "{policy}");
            let later = drift_of(&job, Some(&noted), &[]);
            assert_eq!(later.columns, first.columns, "{policy}, without files");
        }
    }
}

#[test]
fn freeze_tells_every_difference_and_what_to_do() {
    let job = of_policy("freeze");
    let error = drift_of(&job, Some(&BASELINE), &FILES).judge(DriftPolicy::Freeze);
    assert_eq!(
        error.expect_err("it stops").to_string(),
        "the files of dataset customers do not have the columns that were expected: \
         column \"uid\" was integer and is bigint; column \"email\" is not in \"c.csv\"; \
         column \"born\" is new in \"b.csv\": set load.drift (--drift) to \"evolve\" to follow \
         them or to \"quarantine\" to refuse what does not fit, or name the columns to load in \
         source.columns"
    );
}

#[test]
fn what_becomes_of_rows_that_do_not_fit_is_the_policys() {
    let misfit = |job: &Job| drift_of(job, Some(&BASELINE), &FILES).misfit(job);
    assert_eq!(misfit(&of_policy("freeze")), Misfit::Refuse);
    assert_eq!(misfit(&of_policy("evolve")), Misfit::Fill);
    let expected = Some(vec!["uid".to_owned(), "email".to_owned()]);
    assert_eq!(misfit(&of_policy("quarantine")), Misfit::Reject { expected });
    let named = naming(&["uid"], "quarantine");
    assert_eq!(misfit(&named), Misfit::Reject { expected: None });
}

/// A job that names the columns of its source.
fn naming(names: &[&str], policy: &str) -> Job {
    let mut job = of_policy(policy);
    job.source.columns = names.iter().map(|name| (*name).to_owned()).collect();
    job
}

#[test]
fn a_job_that_names_its_columns_sees_no_others() {
    let drift = drift_of(&naming(&["email"], "freeze"), Some(&BASELINE), &FILES);
    assert_eq!(told(&drift), ["column \"email\" is not in \"c.csv\""]);
    let drift = drift_of(&naming(&["uid"], "evolve"), Some(&BASELINE), &FILES);
    assert_eq!(told(&drift), ["column \"uid\" was integer and is bigint"]);
    assert_eq!(words(&drift.columns), ["uid bigint", "email text"]);
}

#[test]
fn a_job_may_name_a_column_that_only_later_files_have() {
    let drift = drift_of(&naming(&["uid", "born"], "freeze"), Some(&["uid bigint"]), &FILES);
    assert_eq!(told(&drift), ["column \"born\" is not in \"a.csv\", \"c.csv\""]);
    assert_eq!(words(&drift.columns), ["uid bigint", "born date"]);
}

#[test]
fn a_type_that_the_job_decides_does_not_drift() {
    let files: [(&str, &[&str]); 1] = [("a.csv", &["uid bigint", "email varchar(9)"])];
    for rule in ["type = 'integer'", "pii = 'hash'"] {
        let settings = format!("[[column]]\nname = 'uid'\n{rule}");
        let drift = drift_of(&job(&settings), Some(&BASELINE), &files);
        assert_eq!(told(&drift), ["column \"email\" was text and is varchar(9)"], "{rule}");
    }
}

#[test]
fn a_header_that_may_be_a_record_is_not_told() {
    let record: &[&str] = &["17 text", "anna@mail.example text"];
    let other: &[&str] = &["17 text", "Anna text"];
    for (policy, header) in
        [("evolve", record), ("freeze", record), ("quarantine", record), ("evolve", other)]
    {
        let job = of_policy(policy);
        let files = [("a.csv", &BASELINE[..]), ("b\n.csv", header)];
        let drift = drift_of(&job, Some(&BASELINE), &files);
        assert!(drift.differences.is_empty(), "{policy}");
        assert_eq!(words(&drift.columns), BASELINE, "{policy}");
        let error = drift.judge(job.load.drift).expect_err("it is refused").to_string();
        assert!(error.starts_with("the header of \"b\\n.csv\" looks like a record"), "{error}");
        assert!(!error.contains("17") && !error.to_lowercase().contains("anna"), "{error}");
    }
}

#[test]
fn a_new_column_that_looks_personal_must_be_declared() {
    let files: [(&str, &[&str]); 1] = [("a.csv", &["uid integer", "email text", "phone text"])];
    let verdict = |settings: &str| {
        let job = job(&format!("{settings}\n[load]\ndrift = 'evolve'"));
        drift_of(&job, Some(&BASELINE), &files).judge(DriftPolicy::Evolve)
    };
    let error = verdict("").expect_err("it is refused").to_string();
    assert!(error.contains("column \"phone\" looks like a phone number by its name"), "{error}");
    for settings in [
        "[[column]]\nname = 'phone'\npii = 'hash'",
        "[[column]]\nname = 'phone'\npii = 'none'",
        "[transform]\ndrop = ['phone']",
    ] {
        assert_eq!(verdict(settings), Ok(()), "{settings}");
    }
    let job = of_policy("quarantine");
    let drift = drift_of(&job, Some(&BASELINE), &files);
    assert_eq!(drift.judge(DriftPolicy::Quarantine), Ok(()), "it is not loaded");
}

#[test]
fn hostile_names_are_cut() {
    let name = format!("a\u{1b}[2J{} text", "x".repeat(1 << 20));
    let header: Vec<&str> = vec!["uid integer", "email text", &name];
    let job = of_policy("freeze");
    let drift = drift_of(&job, Some(&BASELINE), &[("a.csv", &header[..])]);
    let error = drift.judge(DriftPolicy::Freeze).expect_err("it stops").to_string();
    assert!(error.len() < 500 && !error.contains('\u{1b}'), "{error}");
}
