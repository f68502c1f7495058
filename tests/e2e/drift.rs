//! Columns that appear, vanish or change their type at the source stop a run, are followed, or go to quarantine.

mod evolve;

use crate::hosts::Outcome;
use crate::postgres::Database;
use crate::stages::Trip;

/// Lets the job's table be made, and says what becomes of drift.
fn rules(policy: &str) -> String {
    format!(
        "[[target]]\ntable = \"people\"\ncreate = true\n\
         [load]\ndrift = \"{policy}\"\nmax_rejects = \"100%\"\n"
    )
}

/// A job that has loaded two people.
fn loaded() -> Trip {
    let trip = Trip::new(&[("uid", "integer")], "uid,name\n1,Ann\n2,Bob\n");
    trip.run(&rules("freeze")).expect_code(0);
    trip
}

/// Declares other types of the columns, as the owner of the source host does.
fn declare(trip: &mut Trip, columns: &[(&str, &str)]) {
    let mut settings =
        String::from("[[dataset]]\nname = \"people\"\nfiles = [\"*.csv\"]\n[dataset.columns]\n");
    for (column, column_type) in columns {
        settings.push_str(&["\"", column, "\" = \"", column_type, "\"\n"].concat());
    }
    trip.source.write("server.toml", settings);
    trip.server = trip.source.start();
}

fn appear(trip: &mut Trip) {
    trip.source.write("second.csv", "uid,name,city\n3,Cleo,Oslo\n4,Dora,\n");
}

fn vanish(trip: &mut Trip) {
    trip.source.write("second.csv", "uid\n3\n4\n");
}

fn change(trip: &mut Trip) {
    trip.source.write("second.csv", "uid,name\n3,Cleo\n3000000000,Dora\n");
    declare(trip, &[("uid", "bigint")]);
}

/// A way to drift, and words that tell of it.
type Way = (fn(&mut Trip), [&'static str; 2]);

/// Each of them once.
const DRIFTS: [Way; 3] = [
    (appear, ["city", "second.csv"]),
    (vanish, ["name", "second.csv"]),
    (change, ["uid", "bigint"]),
];

/// All relations of a database, and all rows.
fn state(database: &Database) -> (Vec<Vec<String>>, String) {
    let relations = database.rows(
        "SELECT nspname, relname, relfilenode, relnatts FROM pg_class
         JOIN pg_namespace AS n ON n.oid = relnamespace
         WHERE nspname IN ('public', 'ferry') ORDER BY 1, 2",
    );
    (relations, database.dump())
}

/// Runs a job that must stop before it moves a row, and checks that it did.
#[track_caller]
fn assert_stops(trip: &Trip, rules: &str) -> Outcome {
    let columns = trip.database.columns("people");
    let outcome = trip.run(rules);
    assert!(matches!(outcome.code, Some(2 | 7 | 8)), "{:?}: {}", outcome.code, outcome.text());
    assert_eq!(trip.database.count("people"), 2);
    assert_eq!(trip.database.columns("people"), columns);
    assert_eq!(trip.database.count("ferry.quarantine"), 0);
    outcome
}

#[test]
fn a_frozen_run_moves_no_row_and_says_what_differs() {
    for (drift, words) in DRIFTS {
        let mut trip = loaded();
        drift(&mut trip);

        let outcome = assert_stops(&trip, &rules("freeze"));

        for word in words {
            let text = outcome.text();
            assert!(text.contains(word), "{word} is missing in:\n{text}");
        }
        let by_default = rules("freeze").replace("drift = \"freeze\"\n", "");
        assert_stops(&trip, &by_default);
        trip.run(&rules("evolve")).expect_code(0);
        assert_eq!(trip.database.count("people"), 4, "{words:?}");
    }
}

#[test]
fn every_difference_is_told_at_once() {
    let mut trip = loaded();
    trip.source.write("second.csv", "uid,city\n3,Oslo\n");
    trip.source.write("third.csv", "uid,name,country\n3,Eve,Norway\n");
    declare(&mut trip, &[("uid", "bigint")]);

    let outcome = assert_stops(&trip, &rules("freeze"));

    for word in ["city", "country", "name", "bigint", "second.csv", "third.csv"] {
        assert!(outcome.text().contains(word), "{word} is missing in:\n{}", outcome.text());
    }
}

#[test]
fn a_plan_shows_the_drift_and_changes_nothing() {
    for (drift, words) in DRIFTS {
        let mut trip = loaded();
        drift(&mut trip);
        let before = state(&trip.database);

        for policy in ["freeze", "evolve", "quarantine"] {
            let mut outcome = trip.verb(&["plan"], &rules(policy));
            for word in words {
                outcome = outcome.expect_text(word);
            }
            if policy != "freeze" {
                outcome.expect_code(0);
            }
            assert_eq!(state(&trip.database), before, "{policy}, {words:?}");
        }
    }
}

#[test]
fn rows_with_an_unknown_column_are_refused_if_they_have_a_value_there() {
    let mut trip = loaded();
    appear(&mut trip);

    let summary = trip.run(&rules("quarantine")).expect_code(0).summary();

    assert_eq!(trip.refused(), [["1", "read", "unknown_column city"]]);
    assert_eq!(summary["rows"]["loaded"], 1);
    let stored = trip.database.rows("SELECT uid, name FROM people ORDER BY uid");
    assert_eq!(stored, [["1", "Ann"], ["2", "Bob"], ["4", "Dora"]]);
}

#[test]
fn rows_of_a_file_without_a_column_are_refused() {
    let mut trip = loaded();
    vanish(&mut trip);
    trip.source.append("people.csv", "5,Eve\n");

    let summary = trip.run(&rules("quarantine")).expect_code(0).summary();

    let refused = trip.refused();
    assert_eq!(
        refused,
        [["1", "read", "missing_column name"], ["2", "read", "missing_column name"]]
    );
    assert_eq!(summary["rows"]["loaded"], 1);
    assert_eq!(trip.database.count("people"), 3);
}

#[test]
fn values_of_another_type_are_refused_one_by_one() {
    let mut trip = loaded();
    change(&mut trip);

    trip.run(&rules("quarantine")).expect_code(0);

    let refused = trip.refused();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0][2].contains("out_of_range uid"), "{refused:?}");
    let stored = trip.database.rows("SELECT uid, name FROM people ORDER BY uid");
    assert_eq!(stored, [["1", "Ann"], ["2", "Bob"], ["3", "Cleo"]]);
    assert_eq!(trip.database.columns("people")[0].1, "integer");
}

#[test]
fn a_job_that_names_its_columns_does_not_care_for_others() {
    let mut trip = Trip::new(&[("uid", "integer")], "uid,name\n1,Ann\n2,Bob\n");
    let words = ["run", "--json", "--columns", "uid,name"];
    trip.verb(&words, &rules("freeze")).expect_code(0);
    appear(&mut trip);

    trip.verb(&words, &rules("freeze")).expect_code(0);
    assert_eq!(trip.database.count("people"), 4);

    trip.source.write("third.csv", "uid\n9\n");
    let outcome = trip.verb(&words, &rules("freeze")).expect_text("name").expect_text("third.csv");
    assert_ne!(outcome.code, Some(0));
    assert_eq!(trip.database.count("people"), 4);
}
