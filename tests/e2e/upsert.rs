//! Upsert and `insert_new`: rows whose key is known change or stay, rows whose key is new are added.

mod newer;
mod order;

use serde_json::json;

use crate::hosts::Outcome;
use crate::postgres::NULL;
use crate::stages::Trip;

const COLUMNS: [(&str, &str); 1] = [("uid", "integer")];
/// Two users that were there before any run; the source knows nothing of `note`.
const USERS: &str = "
CREATE TABLE users (uid integer PRIMARY KEY, name text, city text, note text DEFAULT 'none');
INSERT INTO users VALUES (1, 'Ann', 'Rome', 'kept'), (2, 'Rob', 'Bonn', 'kept')";

/// The target `public.users` with this mode and more settings.
fn target(mode: &str, settings: &str) -> String {
    format!("[[target]]\ntable = \"public.users\"\nmode = \"{mode}\"\n{settings}\n")
}

/// Upsert by `uid` with more settings.
fn by_uid(settings: &str) -> String {
    target("upsert", &format!("key = [\"uid\"]\n{settings}"))
}

fn users(trip: &Trip) -> Vec<Vec<String>> {
    trip.database.rows("SELECT uid, name, city FROM users ORDER BY uid, name")
}

/// Runs a job that fits neither itself nor its table, and checks that it says so.
#[track_caller]
fn assert_unfit(trip: &Trip, rules: &str, part: &str) -> Outcome {
    let outcome = trip.run(rules);
    assert!(matches!(outcome.code, Some(2 | 8)), "{:?}: {}", outcome.code, outcome.text());
    outcome.expect_text(part)
}

#[test]
fn known_rows_change_and_new_rows_are_added() {
    let trip = Trip::new(&COLUMNS, "uid,name,city\n2,Bob,Oslo\n3,Cleo,\n");
    trip.database.execute(USERS);

    let summary = trip.run(&by_uid("")).expect_code(0).summary();

    let note = "SELECT uid, name, city, note FROM users ORDER BY uid";
    let expected =
        [["1", "Ann", "Rome", "kept"], ["2", "Bob", "Oslo", "kept"], ["3", "Cleo", NULL, "none"]];
    assert_eq!(trip.database.rows(note), expected);
    assert_eq!(summary["rows"]["loaded"], 2);
    assert_eq!(summary["targets"][0]["mode"], "upsert");
    assert_eq!(summary["targets"][0]["written"], 2);

    trip.source.append("people.csv", "1,Anna,\n");
    assert_eq!(trip.run(&by_uid("")).expect_code(0).summary()["rows"]["read"], 1);
    assert_eq!(users(&trip)[0], ["1", "Anna", NULL], "NULL takes the place of a value");
    let again = trip.run(&by_uid("")).expect_code(0).summary();
    assert_eq!(again["state"], "nothing_new");
}

#[test]
fn a_key_may_have_several_columns_in_any_order() {
    let trip = Trip::new(&COLUMNS, "uid,name,city\n1,Ann,Oslo\n1,Bob,Oslo\n1,Ann,Bonn\n");
    trip.database.execute(
        "CREATE TABLE users (uid integer, name text, city text, PRIMARY KEY (uid, name)); \
         INSERT INTO users VALUES (1, 'Ann', 'Rome'), (2, 'Ann', 'Rome')",
    );

    trip.run(&target("upsert", "key = [\"name\", \"uid\"]")).expect_code(0);

    let stored = trip.database.rows("SELECT uid, name, city FROM users ORDER BY uid, name");
    assert_eq!(stored, [["1", "Ann", "Bonn"], ["1", "Bob", "Oslo"], ["2", "Ann", "Rome"]]);
}

#[test]
fn only_the_columns_that_are_named_are_taken_over() {
    let file = "uid,name,city\n1,Eve,Oslo\n3,Cleo,Paris\n3,Leo,Lyon\n";
    let trip = Trip::new(&COLUMNS, file);
    trip.database.execute(USERS);
    let rules = by_uid("update = [\"city\"]");

    trip.run(&rules).expect_code(0);

    let cleo = ["3", "Cleo", "Lyon"];
    assert_eq!(users(&trip), [["1", "Ann", "Oslo"], ["2", "Rob", "Bonn"], cleo]);

    // The same rows in transactions of their own.
    trip.database.execute("DELETE FROM users WHERE uid = 3");
    trip.source.append("people.csv", "3,Cleo,Paris\n");
    trip.run(&rules).expect_code(0);
    trip.source.append("people.csv", "3,Leo,Lyon\n");
    trip.run(&rules).expect_code(0);
    assert_eq!(users(&trip)[2], cleo);
}

#[test]
fn a_row_that_is_all_key_is_there_once() {
    let trip = Trip::new(&COLUMNS, "uid\n2\n5\n5\n2\n");
    trip.database.execute(USERS);

    let summary = trip.run(&by_uid("")).expect_code(0).summary();

    assert_eq!(summary["rows"]["loaded"], 4, "each of them is accounted for");
    let expected = [["1", "Ann", "Rome"], ["2", "Rob", "Bonn"], ["5", NULL, NULL]];
    assert_eq!(users(&trip), expected);
}

#[test]
fn insert_new_leaves_what_is_there() {
    let file = "uid,name,city\n1,Eve,Oslo\n3,Cleo,Paris\n3,Leo,Lyon\n4,Rob,Bonn\n";
    for (settings, fourth) in [("key = [\"uid\"]", true), ("", false)] {
        let trip = Trip::new(&COLUMNS, file);
        trip.database.execute(USERS);
        if !fourth {
            trip.database.execute("CREATE UNIQUE INDEX users_name ON users (name)");
        }

        let summary = trip.run(&target("insert_new", settings)).expect_code(0).summary();

        let mut expected = vec![["1", "Ann", "Rome"], ["2", "Rob", "Bonn"], ["3", "Cleo", "Paris"]];
        if fourth {
            expected.push(["4", "Rob", "Bonn"]);
        }
        assert_eq!(users(&trip), expected, "{settings}");
        assert_eq!(summary["rows"]["loaded"], 4);
        let written = expected.len() - 2;
        assert_eq!(summary["targets"][0]["written"].as_u64(), Some(written as u64));
    }
}

#[test]
fn a_key_without_a_value_is_refused() {
    let trip = Trip::new(&COLUMNS, "uid,name,city\n1,Eve,Oslo\n,Nobody,Nowhere\n3,Cleo,Paris\n");
    trip.database.execute(
        "CREATE TABLE users (uid integer, name text, city text); \
         CREATE UNIQUE INDEX users_uid ON users (uid)",
    );

    let summary = trip.run(&by_uid("")).expect_code(0).summary();

    assert_eq!(trip.refused(), [["2", "transform", "null_value uid"]]);
    assert_eq!(users(&trip), [["1", "Eve", "Oslo"], ["3", "Cleo", "Paris"]]);
    let rows = json!({ "read": 3, "loaded": 2, "quarantined": 1, "filtered": 0 });
    assert_eq!(summary["rows"], rows);
}

#[test]
fn a_missing_unique_index_is_named() {
    let trip = Trip::new(&COLUMNS, "uid,name,city\n1,Eve,Oslo\n");
    trip.database.execute("CREATE TABLE users (uid integer, name text, city text)");
    for unfit in [
        "CREATE INDEX other ON users (uid)",
        "CREATE UNIQUE INDEX other ON users (uid, name)",
        "CREATE UNIQUE INDEX other ON users (uid) WHERE name IS NOT NULL",
        "CREATE UNIQUE INDEX other ON users ((uid + 0))",
    ] {
        trip.database.execute(unfit);
        let outcome = trip.run(&by_uid("")).expect_code(8).expect_text("CREATE UNIQUE INDEX");
        let outcome = outcome.expect_text("uid").expect_text("users");
        assert_eq!(trip.database.count("users"), 0, "{unfit}: {}", outcome.text());
        trip.database.execute("DROP INDEX other");
    }
    let deferred = "ALTER TABLE users ADD CONSTRAINT other UNIQUE (uid) DEFERRABLE";
    trip.database.execute(deferred);
    trip.run(&by_uid("")).expect_code(8).expect_text("CREATE UNIQUE INDEX");

    trip.database.execute("ALTER TABLE users DROP CONSTRAINT other");
    trip.database.execute("CREATE UNIQUE INDEX fit ON users (uid)");
    trip.run(&by_uid("")).expect_code(0);
    assert_eq!(users(&trip), [["1", "Eve", "Oslo"]]);
}

#[test]
fn a_table_that_is_made_has_the_key_as_its_primary_key() {
    for mode in ["upsert", "insert_new"] {
        let trip = Trip::new(&COLUMNS, "uid,name,city\n1,Ann,Rome\n1,Bob,Rome\n");
        let rules = target(mode, "key = [\"uid\", \"name\"]\ncreate = true");

        trip.run(&rules).expect_code(0);

        let key = "SELECT pg_get_constraintdef(oid) FROM pg_constraint \
                   WHERE conrelid = 'users'::regclass AND contype = 'p'";
        assert_eq!(trip.database.value(key), "PRIMARY KEY (uid, name)", "{mode}");
        trip.source.append("people.csv", "1,Bob,Oslo\n");
        trip.run(&rules).expect_code(0);
        let city = if mode == "upsert" { "Oslo" } else { "Rome" };
        assert_eq!(users(&trip), [["1", "Ann", "Rome"], ["1", "Bob", city]], "{mode}");
    }
}

#[test]
fn numbers_that_differ_in_their_zeros_only_are_one_key() {
    let trip = Trip::new(&[], "uid,name,city\n1.0,Ann,Rome\n1.00,Bob,Oslo\n2,Eve,Bonn\n");
    trip.database.execute("CREATE TABLE users (uid numeric PRIMARY KEY, name text, city text)");

    trip.run(&by_uid("")).expect_code(0);
    trip.source.append("people.csv", "2.00,Cleo,Paris\n");
    trip.run(&by_uid("")).expect_code(0);

    // A key that is there stays as it was written first.
    assert_eq!(users(&trip), [["1.0", "Bob", "Oslo"], ["2", "Cleo", "Paris"]]);
}

#[test]
fn a_job_that_does_not_fit_itself_is_refused() {
    let trip = Trip::new(&COLUMNS, "uid,name,city\n1,Eve,Oslo\n");
    trip.database.execute(USERS);

    assert_unfit(&trip, &target("upsert", ""), "key");
    assert_unfit(&trip, &target("upsert", "key = [\"id\"]"), "id");
    assert_unfit(&trip, &by_uid("update = [\"town\"]"), "town");
    assert_unfit(&trip, &by_uid("only_if_newer = \"changed\""), "changed");
    assert_unfit(&trip, &target("append", "update = [\"city\"]"), "update");
    assert_unfit(&trip, &target("upset", "key = [\"uid\"]"), "upsert");

    assert_eq!(users(&trip), [["1", "Ann", "Rome"], ["2", "Rob", "Bonn"]]);
}

#[test]
fn tables_of_one_job_have_modes_of_their_own() {
    let trip = Trip::new(&COLUMNS, "uid,name,city\n1,Eve,Oslo\n3,Cleo,Paris\n3,Leo,Lyon\n");
    trip.database.execute(USERS);
    trip.database.execute(
        "CREATE TABLE visits (uid integer, city text); \
         CREATE TABLE firsts (uid integer PRIMARY KEY, name text)",
    );
    let rules = by_uid("columns = [\"uid\", \"name\", \"city\"]")
        + "[[target]]\ntable = \"visits\"\ncolumns = [\"uid\", \"city\"]\n\
           [[target]]\ntable = \"firsts\"\nmode = \"insert_new\"\nkey = [\"uid\"]\n\
           columns = [\"uid\", \"name\"]\n";

    trip.run(&rules).expect_code(0);
    trip.source.append("people.csv", "1,Ida,Bern\n");
    let summary = trip.run(&rules).expect_code(0).summary();

    let expected = [["1", "Ida", "Bern"], ["2", "Rob", "Bonn"], ["3", "Leo", "Lyon"]];
    assert_eq!(users(&trip), expected);
    let visits = trip.database.rows("SELECT uid, city FROM visits ORDER BY uid, city");
    assert_eq!(visits, [["1", "Bern"], ["1", "Oslo"], ["3", "Lyon"], ["3", "Paris"]]);
    let firsts = trip.database.rows("SELECT uid, name FROM firsts ORDER BY uid");
    assert_eq!(firsts, [["1", "Eve"], ["3", "Cleo"]]);
    let written = [0_usize, 1, 2].map(|index| summary["targets"][index]["written"].as_u64());
    assert_eq!(written, [Some(1), Some(1), Some(0)]);
}

#[test]
fn a_row_that_is_replayed_takes_the_place_of_the_one_with_its_key() {
    let trip = Trip::new(&COLUMNS, "uid,name,city\n1,Eve,lost\n3,Cleo,lost\n4,Ida,Bern\n");
    trip.database.execute(USERS);
    let strict = "[[column]]\nname = \"city\"\ncheck = [{ one_of = [\"Bern\"] }]\n";
    let open = "[load]\nmax_rejects = \"100%\"\n";
    trip.run(&[strict, &by_uid(""), open].concat()).expect_code(0);
    assert_eq!(trip.refused().len(), 2);

    let replay = ["quarantine", "replay", "--json"];
    let report = trip.verb(&replay, &(by_uid("") + open)).expect_code(0).summary();

    assert_eq!((&report["loaded"], &report["still_refused"]), (&json!(2), &json!(0)));
    let expected =
        [["1", "Eve", "lost"], ["2", "Rob", "Bonn"], ["3", "Cleo", "lost"], ["4", "Ida", "Bern"]];
    assert_eq!(users(&trip), expected);
}
