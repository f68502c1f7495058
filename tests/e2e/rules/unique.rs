//! A value of a column that must be unique comes once in a run, and the first row has it.

use std::fmt::Write as _;

use super::assert_accounts;
use crate::hosts::{Random, is_soak, wait_for};
use crate::postgres::NULL;
use crate::stages::Trip;

const ROWS: u64 = 20_000;
/// Rows before the first value that comes again.
const ALL_DIFFERENT: u64 = 5_000;
const DUPLICATES: u64 = (ROWS - ALL_DIFFERENT) / 10;

/// A job with a unique code, and these limits beside small steps.
fn rules(limits: &str) -> String {
    format!(
        "[[column]]\nname = \"code\"\ncheck = [\"required\", \"unique\"]\n\
         [[target]]\ntable = \"people\"\ncreate = true\n\
         [load]\ncommit_bytes = \"64KiB\"\nsplit_bytes = \"64KiB\"\n{limits}"
    )
}

/// After a while every tenth row has the code of one that is far before it.
fn codes() -> String {
    let mut file = String::from("uid,code,note\n");
    for uid in 1..=ROWS {
        let is_repeated = uid > ALL_DIFFERENT && uid.is_multiple_of(10);
        let code = if is_repeated { uid - 4_999 } else { uid };
        writeln!(file, "{uid},code-{code},words that make the record longer").unwrap();
    }
    file
}

fn trip(file: String) -> Trip {
    Trip::new(&[("uid", "integer")], file)
}

/// Checks that of each code the first row is stored, and each other one is refused.
#[track_caller]
fn assert_first_rows_won(trip: &Trip) {
    let is_repeated = format!("uid > {ALL_DIFFERENT} AND uid % 10 = 0");
    let stored = trip.database.rows(&format!(
        "SELECT count(*), count(DISTINCT uid), count(DISTINCT code), \
         count(*) FILTER (WHERE {is_repeated}) FROM people"
    ));
    let rows = (ROWS - DUPLICATES).to_string();
    assert_eq!(stored, [[rows.as_str(), &rows, &rows, "0"]]);
    let refused = trip.database.rows(&format!(
        "SELECT DISTINCT stage, code, column_name, \
         count(*) OVER (), count(*) FILTER (WHERE {is_repeated}) OVER () \
         FROM (SELECT *, row_number AS uid FROM ferry.quarantine) AS q"
    ));
    let duplicates = DUPLICATES.to_string();
    assert_eq!(refused, [["check", "duplicate", "code", duplicates.as_str(), &duplicates]]);
}

#[test]
fn the_first_row_of_a_file_has_the_value_unless_it_is_refused() {
    let trip = Trip::new(
        &[("uid", "integer"), ("size", "numeric(6,2)")],
        "uid,code,size\n-1,a,1\n2,a,1.5\n3,a,2\n4,\" a\",1.50\n5,,3\n6,,\n7,A,\n8,b,1.5\nx,c,9\n\
         10,c,9\n",
    );

    let outcome = trip.run(
        "[[column]]\nname = \"uid\"\ncheck = [{ min = 0 }]\n\
         [[column]]\nname = \"code\"\ncheck = [\"unique\"]\n\
         [[column]]\nname = \"size\"\ncheck = [\"unique\"]\non_fail = \"null\"\n\
         [[target]]\ntable = \"people\"\ncreate = true\n",
    );

    assert_accounts(&outcome.expect_code(0), 7, 3, 0);
    let stored = trip.database.rows("SELECT uid, code, size FROM people ORDER BY uid");
    let expected = [
        ["2", "a", "1.50"],
        ["4", " a", NULL],
        ["5", NULL, "3.00"],
        ["6", NULL, NULL],
        ["7", "A", NULL],
        ["8", "b", NULL],
        ["10", "c", "9.00"],
    ];
    assert_eq!(stored, expected);
    let expected = [
        ["1", "check", "below_min uid"],
        ["3", "check", "duplicate code"],
        ["9", "read", "bad_integer uid"],
    ];
    assert_eq!(trip.refused(), expected);
}

#[test]
fn values_are_unique_across_the_splits_of_a_file() {
    let trip = trip(codes());

    let outcome = trip.run(&rules("")).expect_code(0);

    assert_accounts(&outcome, ROWS - DUPLICATES, DUPLICATES, 0);
    assert!(trip.database.count("ferry.split") > 5, "the file is one split");
    assert_first_rows_won(&trip);
    let kept = trip.database.value("SELECT string_agg(entries::text, ' ') FROM ferry.claim");
    assert!(!kept.contains(&ferry::hex::encode(b"code-")), "a value is in ferry.claim");
}

#[test]
fn values_are_unique_across_the_files_of_a_run() {
    let trip = Trip::new(&[("uid", "integer")], "uid,code\n3,x\n4,z\n5,y\n");
    trip.source.write("earlier.csv", "uid,code\n1,x\n2,y\n");

    let outcome = trip.run(&rules("max_rejects = 2\n")).expect_code(0);

    assert_accounts(&outcome, 3, 2, 0);
    assert_eq!(trip.database.rows("SELECT uid FROM people ORDER BY uid"), [["1"], ["2"], ["4"]]);
}

#[test]
fn a_run_that_was_killed_knows_its_values_when_it_goes_on() {
    let mut random = Random::from_environment("unique_after_kills");
    let kills = if is_soak() { 20 } else { 3 };
    let trip = trip(codes());

    let mut hits = 0;
    for _ in 0..kills {
        let goal = trip.database.count("people") + random.below(ROWS / kills / 2);
        let mut client = trip.spawn(&rules(""));
        wait_for("rows to kill after", 60, || {
            let is_there = client.ended().is_some() || trip.database.count("people") >= goal;
            is_there.then_some(())
        });
        hits += u32::from(client.ended().is_none());
        client.kill();
    }

    assert!(hits > 0, "every run had ended before its kill");
    trip.run(&rules("")).expect_code(0);
    let runs = trip.database.number("SELECT count(DISTINCT run_id) FROM ferry.split");
    assert_eq!(runs, 1, "one run, however often it was killed");
    assert_first_rows_won(&trip);
}

#[test]
fn too_many_values_for_the_memory_stop_the_run_and_more_memory_lets_it_go_on() {
    let trip = trip(codes());

    let outcome = trip.run(&rules("unique_memory = \"256KiB\"\n")).expect_code(2);

    assert_eq!(outcome.summary()["error"]["code"], "configuration");
    let outcome = outcome.expect_text("load.unique_memory").expect_text("column \"code\"");
    let loaded = trip.database.count("people");
    assert!(loaded > 0 && loaded < ROWS / 2, "{loaded} rows before the memory was full");
    let second = trip.run(&rules("unique_memory = \"8MiB\"\n")).expect_code(0);
    assert_eq!(second.summary()["run_id"], outcome.summary()["run_id"], "the same run goes on");
    assert_first_rows_won(&trip);
}
