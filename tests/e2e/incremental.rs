//! A run loads what is new: new files and what was added to others; what was rewritten or is to be loaded again, by rule.

mod history;
mod pages;

use std::collections::BTreeMap;
use std::fs::File;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::hosts::Outcome;
use crate::stages::Trip;

const APPEND: &str = "[[target]]\ntable = \"people\"\ncreate = true\n";
const UPSERT: &str =
    "[[target]]\ntable = \"people\"\ncreate = true\nmode = \"upsert\"\nkey = [\"uid\"]\n";
const TEN_DAYS: Duration = Duration::from_hours(240);
/// From 1970 to the first instant of 2020, UTC.
const NEW_YEAR: Duration = Duration::from_hours(438_288);

/// Three people in two files, not loaded yet.
fn trip() -> Trip {
    let trip = Trip::new(&[("uid", "integer")], "uid,name\n1,Ann\n2,Bob\n");
    trip.source.write("second.csv", "uid,name\n3,Cleo\n");
    trip
}

/// The same, loaded.
fn loaded(rules: &str) -> Trip {
    let trip = trip();
    trip.run(rules).expect_code(0);
    trip
}

/// With this policy for files that were rewritten.
fn rewritten(rules: &str, policy: &str) -> String {
    format!("{rules}[load]\nrewritten = \"{policy}\"\n")
}

/// Runs a job with more flags.
fn run(trip: &Trip, flags: &[&str], rules: &str) -> Outcome {
    trip.verb(&[&["run", "--json"][..], flags].concat(), rules)
}

fn people(trip: &Trip) -> String {
    trip.database
        .value("SELECT string_agg(uid || ' ' || name, ', ' ORDER BY uid, name) FROM people")
}

/// Files of a run: state and rows read, by name.
fn files(summary: &Value) -> BTreeMap<String, (String, u64)> {
    let file = |file: &Value| {
        let word = |name: &str| file[name].as_str().unwrap().to_owned();
        (word("name"), (word("state"), file["read"].as_u64().unwrap()))
    };
    summary["files"].as_array().unwrap().iter().map(file).collect()
}

/// Files of which a run loaded something, as [`files`] tells them.
fn told(expected: &[(&str, &str, u64)]) -> BTreeMap<String, (String, u64)> {
    let told = expected.iter();
    told.map(|(name, state, read)| ((*name).to_owned(), ((*state).to_owned(), *read))).collect()
}

/// Sets when a file of the source was modified last.
fn date(trip: &Trip, name: &str, modified: SystemTime) {
    let file = File::options().append(true).open(trip.source.path(name)).unwrap();
    file.set_modified(modified).unwrap();
}

fn ten_days_ago() -> SystemTime {
    SystemTime::now().checked_sub(TEN_DAYS).unwrap()
}

#[test]
fn new_and_grown_files_are_loaded_and_unchanged_ones_are_not_read() {
    let trip = trip();
    let first = trip.run(APPEND).expect_code(0).summary();
    assert_eq!(files(&first), told(&[("people.csv", "new", 2), ("second.csv", "new", 1)]));
    assert_eq!(trip.run(APPEND).expect_code(0).summary()["state"], "nothing_new");
    trip.source.append("people.csv", "4,Dora\n5,Eve\n");
    trip.source.write("third.csv", "uid,name\n6,Ida\n");

    let second = trip.run(APPEND).expect_code(0).summary();

    assert_eq!(files(&second), told(&[("people.csv", "grown", 2), ("third.csv", "new", 1)]));
    assert_eq!(people(&trip), "1 Ann, 2 Bob, 3 Cleo, 4 Dora, 5 Eve, 6 Ida");
    assert_eq!(trip.run(APPEND).expect_code(0).summary()["state"], "nothing_new");
}

#[test]
fn a_rewritten_file_stops_the_run_unless_the_job_says_otherwise() {
    let trip = loaded(APPEND);
    trip.source.write("people.csv", "uid,name\n1,Anna\n2,Bob\n9,Zoe\n");
    trip.source.append("second.csv", "4,Dora\n");
    for rules in [APPEND.to_owned(), rewritten(APPEND, "refuse")] {
        let outcome = trip.run(&rules).expect_code(7).expect_text("people.csv");
        assert_eq!(outcome.summary()["error"]["code"], "file_rewritten");
        assert_eq!(people(&trip), "1 Ann, 2 Bob, 3 Cleo", "nothing was moved");
    }

    let ignore = rewritten(APPEND, "ignore");
    let outcome = trip.run(&ignore).expect_code(0).expect_text("people.csv");
    assert_eq!(files(&outcome.summary()), told(&[("second.csv", "grown", 1)]));
    assert_eq!(people(&trip), "1 Ann, 2 Bob, 3 Cleo, 4 Dora");
    assert_eq!(trip.run(&ignore).expect_code(0).summary()["state"], "nothing_new");

    let reload = rewritten(APPEND, "reload");
    trip.run(&reload).expect_code(0);
    let expected = "1 Ann, 1 Anna, 2 Bob, 2 Bob, 3 Cleo, 4 Dora, 9 Zoe";
    assert_eq!(people(&trip), expected, "what was added stays, what is added comes");
    assert_eq!(trip.run(&reload).expect_code(0).summary()["state"], "nothing_new");
    assert_eq!(trip.run(APPEND).expect_code(0).summary()["state"], "nothing_new");
}

#[test]
fn a_rewritten_file_that_is_loaded_again_updates_its_rows() {
    let trip = loaded(UPSERT);
    trip.source.write("people.csv", "uid,name\n2,Rob\n9,Zoe\n");

    let summary = trip.run(&rewritten(UPSERT, "reload")).expect_code(0).summary();

    assert_eq!(summary["rows"]["read"], 2);
    assert_eq!(people(&trip), "1 Ann, 2 Rob, 3 Cleo, 9 Zoe");
    trip.source.append("people.csv", "1,Anna\n");
    let summary = trip.run(UPSERT).expect_code(0).summary();
    assert_eq!(files(&summary), told(&[("people.csv", "grown", 1)]), "its new content is known");
}

#[test]
fn reload_reads_all_rows_again() {
    let trip = loaded(UPSERT);
    trip.database.execute("UPDATE people SET name = 'touched' WHERE uid = 1");

    let summary = run(&trip, &["--reload"], UPSERT).expect_code(0).summary();

    assert_eq!(summary["rows"]["read"], 3);
    assert_eq!(summary["rows"]["loaded"], 3);
    assert_eq!(people(&trip), "1 Ann, 2 Bob, 3 Cleo", "the same table");
    assert_eq!(trip.run(UPSERT).expect_code(0).summary()["state"], "nothing_new");
    let current = "SELECT count(*), count(*) FILTER (WHERE superseded_at IS NULL) FROM ferry.file";
    assert_eq!(trip.database.rows(current), [["4", "2"]]);
    trip.source.append("second.csv", "4,Dora\n");
    let summary = trip.run(UPSERT).expect_code(0).summary();
    assert_eq!(files(&summary), told(&[("second.csv", "grown", 1)]));
}

#[test]
fn a_reload_reads_rewritten_files_too() {
    let trip = loaded(UPSERT);
    trip.source.write("people.csv", "uid,name\n1,Anna\n");

    let summary = run(&trip, &["--reload"], UPSERT).expect_code(0).summary();

    assert_eq!(summary["rows"]["read"], 2);
    assert_eq!(people(&trip), "1 Anna, 2 Bob, 3 Cleo");
}

#[test]
fn since_leaves_older_files_to_a_later_run() {
    let trip = trip();
    date(&trip, "people.csv", ten_days_ago());
    let rules = APPEND;
    run(&trip, &["--since", "2d"], rules).expect_code(0);
    assert_eq!(people(&trip), "3 Cleo");
    let outcome = run(&trip, &["--since", "2d"], rules).expect_code(0);
    assert_eq!(outcome.summary()["state"], "nothing_new");

    run(&trip, &["--since", "11d"], rules).expect_code(0);
    assert_eq!(people(&trip), "1 Ann, 2 Bob, 3 Cleo");

    trip.source.write("third.csv", "uid,name\n4,Dora\n");
    date(&trip, "third.csv", ten_days_ago());
    run(&trip, &["--since", "1 day"], rules).expect_code(0);
    assert_eq!(trip.database.count("people"), 3);
    trip.run(rules).expect_code(0);
    assert_eq!(trip.database.count("people"), 4, "without the flag it is loaded");
}

#[test]
fn since_takes_a_day_and_a_time() {
    let trip = trip();
    let new_year = SystemTime::UNIX_EPOCH + NEW_YEAR;
    date(&trip, "people.csv", new_year);
    date(&trip, "second.csv", new_year + Duration::from_mins(1));
    for wrong in ["yesterday", "2020-13-01", "9999-01-01", ""] {
        run(&trip, &["--since", wrong], APPEND).expect_code(2).expect_text("--since");
    }
    run(&trip, &["--since", "2020-01-02"], APPEND).expect_code(0);
    assert_eq!(trip.database.count("people"), 0);

    run(&trip, &["--since", "2020-01-01T01:00:30+01:00"], APPEND).expect_code(0);
    assert_eq!(people(&trip), "3 Cleo");
    run(&trip, &["--since", "2020-01-01"], APPEND).expect_code(0);
    assert_eq!(people(&trip), "1 Ann, 2 Bob, 3 Cleo");
}
