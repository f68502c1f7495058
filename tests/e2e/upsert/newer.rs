//! `only_if_newer`: a row stays unless the new one is newer, and the outcome does not depend on how rows are cut.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::by_uid;
use crate::hosts::Random;
use crate::postgres::{Database, NULL};
use crate::stages::Trip;

const NEWER: &str = "only_if_newer = \"updated_at\"";
const USERS: &str =
    "CREATE TABLE users (uid integer PRIMARY KEY, name text, updated_at timestamptz)";

/// A job over this file, with an empty table.
fn trip(records: &str) -> Trip {
    let file = format!("uid,name,updated_at\n{records}");
    let trip = Trip::new(&[("uid", "integer"), ("updated_at", "timestamptz")], file);
    trip.database.execute(USERS);
    trip
}

/// Who is stored, by number.
fn names(trip: &Trip) -> String {
    trip.database.value("SELECT string_agg(uid || ' ' || name, ', ' ORDER BY uid) FROM users")
}

#[test]
fn a_row_that_is_not_newer_changes_nothing() {
    let trip = trip(
        "1,new,2024-01-01T00:00:00Z\n2,new,2024-02-01T00:00:00Z\n3,new,2024-01-01T00:00:00Z\n\
         4,new,2024-02-01T00:00:00.000001Z\n5,new,\n6,new,\n7,new,\n",
    );
    trip.database.execute(
        "INSERT INTO users VALUES (1, 'old', '2024-02-01'), (2, 'old', '2024-02-01'), \
         (3, 'old', NULL), (4, 'old', '2024-02-01'), (5, 'old', NULL), (6, 'old', '2024-02-01')",
    );

    let summary = trip.run(&by_uid(NEWER)).expect_code(0).summary();

    assert_eq!(names(&trip), "1 old, 2 old, 3 new, 4 new, 5 new, 6 old, 7 new");
    assert_eq!(summary["rows"]["loaded"], 7, "each of them is accounted for");
    assert_eq!(summary["targets"][0]["written"], 4);
    let times = "SELECT updated_at FROM users WHERE uid IN (4, 6) ORDER BY uid";
    let expected = [["2024-02-01 00:00:00.000001+00"], ["2024-02-01 00:00:00+00"]];
    assert_eq!(trip.database.rows(times), expected);
}

#[test]
fn the_newest_of_rows_that_come_together_wins() {
    let (early, late) = ("2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z");
    let records = [
        format!("1,first,{early}\n1,second,{late}\n"),
        format!("2,first,{late}\n2,second,{early}\n"),
        format!("3,first,{late}\n3,second,{late}\n"),
        format!("4,first,\n4,second,{early}\n"),
        format!("5,first,{early}\n5,second,\n"),
        "6,first,\n6,second,\n".to_owned(),
        format!("7,first,{early}\n7,second,{late}\n7,third,{early}\n"),
    ];
    let trip = trip(&records.concat());

    trip.run(&by_uid(NEWER)).expect_code(0);

    let expected = "1 second, 2 first, 3 first, 4 second, 5 first, 6 second, 7 second";
    assert_eq!(names(&trip), expected);
}

#[test]
fn a_row_that_is_replayed_late_does_not_undo_a_newer_one() {
    let trip = trip("1,lost,2024-01-01T00:00:00Z\n1,new,2024-02-01T00:00:00Z\n2,lost,\n");
    let strict = "[[column]]\nname = \"name\"\ncheck = [{ one_of = [\"new\"] }]\n";
    let rules = by_uid(NEWER) + "[load]\nmax_rejects = \"100%\"\n";
    trip.run(&[strict, &rules].concat()).expect_code(0);
    assert_eq!(names(&trip), "1 new");

    let report = trip.verb(&["quarantine", "replay", "--json"], &rules).expect_code(0).summary();

    assert_eq!(report["loaded"], 2, "both are dealt with");
    assert_eq!(names(&trip), "1 new, 2 lost");
    assert_eq!(trip.database.number("SELECT sum(quarantined_rows) FROM ferry.split"), 0);
}

const KEYS: u64 = 200;
const ROWS: u64 = 6000;

/// A version, or none.
fn version(random: &mut Random) -> Option<u64> {
    random.below(12).checked_sub(1)
}

/// What one row after the other makes of the table: line and version by key.
struct Model(BTreeMap<u64, (u64, Option<u64>)>);

impl Model {
    fn take(&mut self, uid: u64, line: u64, version: Option<u64>) {
        let old = self.0.get(&uid).map(|(_, version)| *version);
        let is_taken = match old {
            None | Some(None) => true,
            Some(Some(old)) => version.is_some_and(|new| new > old),
        };
        if is_taken {
            self.0.insert(uid, (line, version));
        }
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let shown = |version: Option<u64>| version.map_or_else(|| NULL.to_owned(), text);
        let row = |(uid, (line, version)): (&u64, &(u64, Option<u64>))| {
            vec![uid.to_string(), line.to_string(), shown(*version)]
        };
        self.0.iter().map(row).collect()
    }
}

fn text(version: u64) -> String {
    version.to_string()
}

#[test]
fn the_outcome_is_that_of_one_row_after_the_other() {
    let mut random = Random::from_environment("one_row_after_the_other");
    let mut model = Model(BTreeMap::new());
    let mut stored = Vec::new();
    for uid in 0..KEYS / 2 {
        let version = version(&mut random);
        model.take(uid, 0, version);
        let version = version.map_or_else(|| "NULL".to_owned(), text);
        stored.push(format!("({uid}, 0, {version}, '')"));
    }
    let mut file = String::from("uid,line,version,words\n");
    for line in 1..=ROWS {
        let (uid, version) = (random.below(KEYS), version(&mut random));
        model.take(uid, line, version);
        let version = version.map(text).unwrap_or_default();
        writeln!(file, "{uid},{line},{version},some words that make the row longer").unwrap();
    }
    let mut trip = Trip::new(&[("uid", "integer")], file);
    for commit_bytes in ["64KiB", "32MiB"] {
        trip.database = Database::create();
        trip.database.execute(
            "CREATE TABLE users (uid integer PRIMARY KEY, line integer, version integer, words text)",
        );
        trip.database.execute(&format!("INSERT INTO users VALUES {}", stored.join(", ")));
        let limits =
            format!("[load]\ncommit_bytes = \"{commit_bytes}\"\nsplit_bytes = \"64KiB\"\n");

        trip.run(&(by_uid("only_if_newer = \"version\"") + limits.as_str())).expect_code(0);

        let found = trip.database.rows("SELECT uid, line, version FROM users ORDER BY uid");
        assert_eq!(found, model.rows(), "{commit_bytes}");
    }
}
