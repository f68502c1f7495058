//! Of rows that repeat a key the last one wins, or the first, by file name and row number, however they are cut.

use std::fmt::Write as _;

use super::by_uid;
use crate::gate;
use crate::hosts::Random;
use crate::postgres::Database;
use crate::stages::Trip;

const USERS: &str = "CREATE TABLE users (line integer, uid integer PRIMARY KEY, name text)";
/// Rows of each file, in the order of their names.
const FILES: [(&str, u64); 3] = [("alpha.csv", 1000), ("people.csv", 10_000), ("zoo.csv", 1000)];
const ROWS: u64 = 12_000;
const KEYS: u64 = 500;
/// Ways to cut the rows: many small transactions, several workers, one transaction a file.
const CUTS: [&str; 3] = [
    "commit_bytes = \"64KiB\"\nsplit_bytes = \"64KiB\"",
    "commit_bytes = \"64KiB\"\nsplit_bytes = \"64KiB\"\nworkers = 3",
    "commit_bytes = \"32MiB\"",
];

/// Three files whose keys come again and again; `line` numbers the rows of all of them.
fn repeated(random: &mut Random) -> Trip {
    let trip = Trip::new(&[("line", "integer"), ("uid", "integer")], "");
    let mut line = 0;
    for (name, rows) in FILES {
        let mut file = String::from("line,uid,name\n");
        for _ in 0..rows {
            let uid = random.below(KEYS);
            writeln!(
                file,
                "{line},{uid},some words that make the row longer and longer still {line}"
            )
            .unwrap();
            line += 1;
        }
        trip.source.write(name, file);
    }
    trip
}

/// Checks that of each key the first row in this order is stored.
#[track_caller]
fn assert_stored(trip: &Trip, order: &str) {
    let database = &trip.database;
    database.execute("CREATE TABLE oracle (line integer, uid integer, name text)");
    for (name, _) in FILES {
        database.copy("oracle", &trip.source.path(name));
    }
    assert_eq!(database.count("users"), KEYS);
    let wanted = format!("SELECT DISTINCT ON (uid) * FROM oracle ORDER BY uid, {order}");
    database.assert_same_rows("TABLE users", &wanted);
}

/// Checks the outcome for every way to cut the rows.
fn assert_stored_for_every_cut(test: &str, mode: &str, order: &str) {
    let mut random = Random::from_environment(test);
    let mut trip = repeated(&mut random);
    for cut in CUTS {
        trip.database = Database::create();
        trip.database.execute(USERS);
        let rules = by_uid("").replace("\"upsert\"", &format!("\"{mode}\""));

        let summary = trip.run(&format!("{rules}[load]\n{cut}\n")).expect_code(0).summary();

        assert_eq!(summary["rows"]["loaded"], ROWS, "every row is accounted for: {cut}");
        assert_stored(&trip, order);
    }
}

#[test]
fn the_last_row_of_a_key_wins() {
    assert_stored_for_every_cut("the_last_row_of_a_key_wins", "upsert", "line DESC");
}

#[test]
fn insert_new_keeps_the_first_row_of_a_key() {
    assert_stored_for_every_cut("insert_new_keeps_the_first", "insert_new", "line");
}

#[test]
fn what_comes_later_goes_over_what_was_loaded_before() {
    let mut random = Random::from_environment("what_comes_later");
    let trip = repeated(&mut random);
    trip.database.execute(USERS);
    let later = std::fs::read(trip.source.path("alpha.csv")).unwrap();
    std::fs::remove_file(trip.source.path("alpha.csv")).unwrap();
    trip.run(&by_uid("")).expect_code(0);
    trip.source.write("alpha.csv", later);

    trip.run(&by_uid("")).expect_code(0);

    // The first lines are in the file that came last.
    assert_stored(&trip, "line >= 1000, line DESC");
}

#[test]
fn a_kill_in_the_middle_and_a_second_run_give_the_same_table() {
    let mut random = Random::from_environment("a_kill_in_the_middle");
    let trip = repeated(&mut random);
    let database = &trip.database;
    database.execute(USERS);
    gate::build(
        database,
        "CREATE TRIGGER waits BEFORE INSERT ON users FOR EACH ROW \
         WHEN (NEW.uid = 7 AND NEW.line > 6000) EXECUTE FUNCTION hold_up()",
    );
    let rules = format!("{}[load]\n{}\n", by_uid(""), CUTS[0]);
    let mut client = trip.spawn(&rules);

    gate::kill_there(database, &mut client);

    let done = database.number("SELECT sum(loaded_rows) FROM ferry.split");
    assert!(done > 0 && done < ROWS, "{done} rows before the kill");
    let summary = trip.run(&rules).expect_code(0).summary();
    assert_eq!(summary["rows"]["loaded"], ROWS, "the accounts of both attempts together");
    assert_eq!(database.number("SELECT count(*) FROM ferry.run"), 1, "one run");
    assert_stored(&trip, "line DESC");
}
