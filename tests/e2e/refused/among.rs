//! Rows that PostgreSQL refuses among others that a job refuses, in several tables, in many transactions.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::json;

use super::{COLUMNS, HEADER, RULES, good, noted, users};
use crate::hosts::Random;
use crate::postgres::Database;
use crate::stages::Trip;

const TIDY: &str = "text CONSTRAINT tidy CHECK (note = 'fine')";

#[test]
fn rows_that_the_second_table_refuses_are_not_in_the_first() {
    let file = (1..=1000).fold(String::from(HEADER), |file, row| {
        let line = if row % 300 == 0 { noted(row, "crooked") } else { good(row) };
        file + line.as_str()
    });
    let trip = Trip::new(&COLUMNS, file);
    let tables = users("PRIMARY KEY", "", TIDY).replace("users", "notes");
    trip.database.execute("CREATE TABLE users (uid integer PRIMARY KEY, amount integer)");
    trip.database.execute(&tables);
    let rules = RULES.to_owned()
        + "columns = [\"uid\", \"amount\"]\n[[target]]\ntable = \"notes\"\n\
           columns = [\"uid\", \"note\"]\n";

    let summary = trip.run(&rules).expect_code(0).summary();

    let rows = json!({ "read": 1000, "loaded": 997, "quarantined": 3, "filtered": 0 });
    assert_eq!(summary["rows"], rows);
    for table in ["users", "notes"] {
        let counts =
            format!("SELECT count(*), count(*) FILTER (WHERE uid IN (300, 600, 900)) FROM {table}");
        assert_eq!(trip.database.rows(&counts), [["997", "0"]], "{table}");
    }
    let refused = trip.database.rows(
        "SELECT row_number, constraint_name, record ->> 'amount' FROM ferry.quarantine
         ORDER BY row_number",
    );
    assert_eq!(refused, [["300", "tidy", "0"], ["600", "tidy", "0"], ["900", "tidy", "0"]]);
}

#[test]
fn rows_that_are_read_again_are_no_duplicates_of_themselves() {
    let mut records: Vec<String> = (1..=1200).map(good).collect();
    records[499] = noted(500, "crooked");
    records[599] = good(600).replacen("600", "7", 1);
    records[699] = good(700).replacen("700", "500", 1);
    let trip = Trip::new(&COLUMNS, format!("{HEADER}{}", records.concat()));
    trip.database.execute(&users("PRIMARY KEY", "", TIDY));
    let unique = "[[column]]\nname = \"uid\"\ncheck = [\"unique\"]\n";
    let rules = [unique, RULES].concat();

    let summary = trip.run(&rules).expect_code(0).summary();

    let expected = [
        ["500", "load", "sqlstate_23514"],
        ["600", "check", "duplicate uid"],
        // A row that a later stage refuses holds its value.
        ["700", "check", "duplicate uid"],
    ];
    assert_eq!(trip.refused(), expected);
    assert_eq!(summary["rows"]["loaded"], 1197);
    assert_eq!(trip.database.count("users"), 1197);
}

#[test]
fn rows_that_postgresql_refuses_count_towards_the_limit() {
    let records: Vec<String> =
        (1..=1000).map(|row| noted(row, if row % 250 == 0 { "crooked" } else { "fine" })).collect();
    let trip = Trip::new(&COLUMNS, format!("{HEADER}{}", records.concat()));
    trip.database.execute(&users("", "", TIDY));
    let with_limit = |limit: u32| format!("{RULES}[load]\nmax_rejects = {limit}\n");

    let outcome = trip.run(&with_limit(3)).expect_code(5);
    assert_eq!(outcome.summary()["error"]["code"], "rejects_over_limit");

    trip.run(&with_limit(4)).expect_code(0);
    let accounts = "SELECT sum(loaded_rows), sum(quarantined_rows) FROM ferry.split";
    assert_eq!(trip.database.rows(accounts), [["996", "4"]]);
    assert_eq!(trip.database.count("users"), 996);
}

#[test]
fn a_row_that_is_read_again_counts_once_towards_the_limit() {
    // All in one transaction, which is rolled back and read again for the sake of one row.
    let record = |row: usize| match row {
        900 => noted(row, "crooked"),
        _ if row.is_multiple_of(100) && row < 700 => good(row).replacen(&row.to_string(), "x", 1),
        _ => good(row),
    };
    let records: Vec<String> = (1..=1000).map(record).collect();
    for (limit, code) in [(10, 0), (7, 0), (6, 5)] {
        let trip = Trip::new(&COLUMNS, format!("{HEADER}{}", records.concat()));
        trip.database.execute(&users("", "", TIDY));

        let outcome = trip.run(&format!("{RULES}[load]\nmax_rejects = {limit}\n"));

        let summary = outcome.expect_code(code).summary();
        if code == 0 {
            let rows = json!({ "read": 1000, "loaded": 993, "quarantined": 7, "filtered": 0 });
            assert_eq!(summary["rows"], rows, "max_rejects = {limit}");
            assert_eq!(trip.database.count("ferry.quarantine"), 7);
            assert_eq!(trip.database.count("users"), 993);
        } else {
            assert_eq!(summary["error"]["code"], "rejects_over_limit");
        }
    }
}

#[test]
fn any_rows_may_be_bad_whatever_the_transactions() {
    let mut random = Random::from_environment("any_rows_may_be_bad_whatever");
    let rows: u64 = 6000;
    let bad: BTreeSet<u64> = (0..40).map(|_| 1 + random.below(rows)).collect();
    let mut file = String::from(HEADER);
    for row in 1..=rows {
        let note = if bad.contains(&row) { "crooked" } else { "fine" };
        writeln!(file, "{row},person.{row}@heron.example,{},{note}", row % 7).unwrap();
    }
    let mut trip = Trip::new(&COLUMNS, file);
    for limits in ["commit_bytes = \"64KiB\"\nsplit_bytes = \"64KiB\"\nworkers = 2", ""] {
        trip.database = Database::create();
        trip.database.execute(&users("PRIMARY KEY", "", TIDY));

        let summary = trip.run(&format!("{RULES}[load]\n{limits}\n")).expect_code(0).summary();

        let listed: Vec<String> = bad.iter().map(u64::to_string).collect();
        let found = "SELECT string_agg(row_number::text, ' ' ORDER BY row_number) \
                     FROM ferry.quarantine WHERE constraint_name = 'tidy'";
        assert_eq!(trip.database.value(found), listed.join(" "), "{limits}");
        let refused = bad.len() as u64;
        assert_eq!(summary["rows"]["quarantined"], refused);
        let stored = "SELECT count(*), count(DISTINCT uid), bool_and(note = 'fine') FROM users";
        let good = (rows - refused).to_string();
        assert_eq!(trip.database.rows(stored), [[good.as_str(), good.as_str(), "t"]], "{limits}");
    }
}

#[test]
fn what_is_no_fault_of_a_row_stops_the_run() {
    let file = (1..=100).fold(String::from(HEADER), |file, row| file + good(row).as_str());
    let trip = Trip::new(&COLUMNS, file);
    trip.database.execute(
        &(users("", "", "text")
            + "; CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'no' USING ERRCODE = 'insufficient_privilege'; END $$;
               CREATE TRIGGER stops BEFORE INSERT ON users FOR EACH ROW \
               WHEN (NEW.uid = 50) EXECUTE FUNCTION stop()"),
    );

    let outcome = trip.run(RULES).expect_code(8).expect_text("42501");

    assert_eq!(outcome.summary()["rows"]["quarantined"], 0);
    assert_eq!(trip.database.count("users"), 0);
    assert_eq!(trip.database.count("ferry.quarantine"), 0);
}
