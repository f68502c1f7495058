//! One person is deleted from all tables and from quarantine, under every key, in one transaction that is noted.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{EMAIL, ONLY_NEW, People, SECRET, TARGET, fed, rotate_key, run, token_of};
use crate::hosts::{Outcome, client, finish};
use crate::postgres::{Database, NULL, shared_log};

const ANN: &str = "ann@forget.example";
const BOB: &str = "bob@forget.example";
/// Three tables: one is reached by its key only, one has the e-mail and no key.
const TARGETS: &str = "[transform]\nrename.email = \"mail\"\n\
    [[target]]\ntable = \"public.users\"\nkey = [\"id\"]\ncolumns = [\"id\", \"mail\"]\n\
    [[target]]\ntable = \"public.places\"\nkey = [\"id\"]\ncolumns = [\"id\", \"city\"]\n\
    [[target]]\ntable = \"public.log\"\ncolumns = [\"mail\", \"status\"]\n\
    [load]\nmax_rejects = \"100%\"\n";
const ERASURES: &str = "SELECT job, column_name, array_length(key_ids, 1), reference, \
    requested_by, deleted, quarantined FROM ferry.erasure ORDER BY erasure_id";

/// Two people under two keys: Ann with the rows 1, 2, 4, 6 and 7, Bob with 3, 5 and 8.
///
/// Pseudonyms stand in columns of the type `mail`.
fn two_people(mail: &str) -> (People, PathBuf) {
    let people = People::new(
        "1,ann@forget.example,Rome,new\n2, ANN@forget.example,Oslo,new\n\
         3,bob@forget.example,Bern,new\n4,ann@forget.example,Bonn,lost\n\
         5,bob@forget.example,Kiel,lost\n",
    );
    people.database.execute(&format!(
        "CREATE TABLE users (id integer PRIMARY KEY, mail {mail}); \
         CREATE TABLE places (id integer REFERENCES users, city text); \
         CREATE TABLE log (mail {mail}, status text)"
    ));
    let job = people.job(&[EMAIL, ONLY_NEW, TARGETS].concat());
    run(&job).expect_code(0);
    rotate_key(&job).expect_code(0);
    people.source.append(
        "people.csv",
        "6,Ann@forget.example,Nice,new\n7,ann@forget.example,Linz,lost\n\
         8,bob@forget.example,Graz,new\n",
    );
    run(&job).expect_code(0);
    (people, job)
}

/// Forgets the person that these lines name.
fn forget(job: &Path, flags: &[&str], input: &str) -> Outcome {
    let mut command = client(["pii", "forget", "--column", "email"]);
    fed(command.args(flags).arg(job), input.as_bytes())
}

/// Ids of a table, in order.
fn ids(database: &Database, table: &str) -> String {
    let sql = format!("SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), '') FROM {table}");
    database.value(&sql)
}

/// Checks that nothing of Ann is in the database, and everything of Bob.
#[track_caller]
fn assert_only_bob_is_left(database: &Database, ann: &[String]) {
    assert_eq!([ids(database, "users"), ids(database, "places")], ["3 8", "3 8"]);
    assert_eq!(database.count("log"), 2);
    let waiting = database.rows(
        "SELECT row_number, state, record IS NULL, code, settled_at IS NOT NULL \
         FROM ferry.quarantine ORDER BY row_number",
    );
    let expected = [
        ["4", "discarded", "t", "not_listed", "t"],
        ["5", "open", "f", "not_listed", "f"],
        ["7", "discarded", "t", "not_listed", "t"],
    ];
    assert_eq!(waiting, expected);
    let dump = database.dump();
    for token in ann {
        assert!(!dump.contains(token.as_str()), "a pseudonym of the person is left");
    }
    assert!(!dump.contains("forget.example"), "a raw e-mail is in the database");
}

#[test]
fn the_rows_of_a_person_leave_every_table_under_every_key() {
    let (people, job) = two_people("bytea");
    let database = &people.database;
    let old_key = people.kept_keys().remove(0);
    let ann = [token_of(&job, ANN, None), token_of(&job, ANN, Some(&old_key))];
    let before = database.dump();
    assert!(ann.iter().all(|token| before.contains(token.as_str())));

    let dry = forget(&job, &["--dry-run"], ANN).expect_code(0);
    let dry = dry.expect_text("nothing was changed").expect_text("public.places");
    assert!(database.dump() == before, "a dry run changed something");
    assert!(!dry.text().contains(ANN), "{}", dry.text());

    let outcome = forget(&job, &["--reference", "TICKET-4711"], " ANN@forget.example\n");

    let outcome = outcome.expect_code(0).expect_text("noted as erasure");
    assert!(!outcome.text().to_lowercase().contains(ANN), "{}", outcome.text());
    assert_only_bob_is_left(database, &ann);
    let erasures = database.rows(ERASURES);
    assert_eq!(erasures[0][..5], ["people", "email", "2", "TICKET-4711", "postgres"]);
    let deleted: Value = serde_json::from_str(&erasures[0][5]).unwrap();
    assert_eq!(deleted, json!({ "public.users": 3, "public.places": 3, "public.log": 3 }));
    assert_eq!((erasures.len(), erasures[0][6].as_str()), (1, "2"));
    let accounts = "SELECT sum(loaded_rows), sum(quarantined_rows) FROM ferry.split";
    assert_eq!(database.rows(accounts), [["5", "3"]]);
    assert!(!shared_log().contains("forget.example"), "a raw e-mail is in the log of PostgreSQL");

    let mut replay = client(["quarantine", "replay", "--json"]);
    finish(replay.arg(people.job(&[EMAIL, TARGETS].concat()))).expect_code(0);
    assert_eq!(ids(database, "users"), "3 5 8", "what was discarded does not come back");
}

#[test]
fn an_unknown_person_is_noted_too() {
    let (people, job) = two_people("bytea");
    let outcome = forget(&job, &[], "nobody@forget.example\n").expect_code(0);
    outcome.expect_text("nothing was found");
    let erasures = people.database.rows(ERASURES);
    assert_eq!(erasures[0][..4], ["people", "email", "2", NULL]);
    let deleted: Value = serde_json::from_str(&erasures[0][5]).unwrap();
    assert_eq!(deleted, json!({ "public.users": 0, "public.places": 0, "public.log": 0 }));
    assert_eq!((erasures.len(), erasures[0][6].as_str()), (1, "0"));
    assert_eq!(ids(&people.database, "users"), "1 2 3 6 8");
}

#[test]
fn a_row_that_somebody_else_refers_to_keeps_all_the_others() {
    let (people, job) = two_people("bytea");
    let database = &people.database;
    database.execute(
        "CREATE TABLE payment (id integer CONSTRAINT payment_of_user REFERENCES users); \
         INSERT INTO payment VALUES (6)",
    );
    for when in ["IMMEDIATE", "DEFERRED"] {
        let deferrable =
            "ALTER TABLE payment ALTER CONSTRAINT payment_of_user DEFERRABLE INITIALLY";
        database.execute(&format!("{deferrable} {when}"));
        let before = database.dump();
        for flags in [&["--dry-run"][..], &[]] {
            let outcome = forget(&job, flags, ANN).expect_code(8);
            outcome.expect_text("23503").expect_text("payment_of_user");
            assert!(database.dump() == before, "something changed: {when} {flags:?}");
        }
    }
    database.execute("DELETE FROM payment");
    forget(&job, &[], ANN).expect_code(0);
    assert_eq!(ids(database, "users"), "3 8");
}

#[test]
fn an_old_key_that_is_not_there_is_named_and_nothing_is_deleted() {
    let (people, job) = two_people("bytea");
    let database = &people.database;
    let old_key = people.kept_keys().remove(0);
    let old_id = database.value("SELECT pii_key_id FROM ferry.run WHERE run_id = 1");
    let elsewhere = people.source.path("elsewhere.key");
    let ann = [token_of(&job, ANN, None), token_of(&job, ANN, Some(&old_key))];
    fs::rename(&old_key, &elsewhere).unwrap();
    let before = database.dump();

    let outcome = forget(&job, &[], ANN).expect_code(2);
    outcome.expect_text(&old_id).expect_text("--old-key-file");
    let wrong = people.source.path("pii.key");
    let flags = ["--old-key-file", wrong.to_str().unwrap()];
    forget(&job, &flags, ANN).expect_code(2).expect_text(&old_id);
    assert!(database.dump() == before, "something changed");

    let flags = ["--old-key-file", elsewhere.to_str().unwrap()];
    forget(&job, &flags, ANN).expect_code(0);
    assert_only_bob_is_left(database, &ann);
}

#[test]
fn a_pseudonym_can_stand_for_the_person() {
    let (people, job) = two_people("text");
    let (bob, ann) = (token_of(&job, BOB, None), token_of(&job, ANN, None));

    forget(&job, &["--token", &bob], "").expect_code(0);
    assert_eq!(ids(&people.database, "users"), "1 2 3 6", "only the rows of this pseudonym");
    forget(&job, &["--token", &format!("\\x{ann}")], "").expect_code(0);
    assert_eq!(ids(&people.database, "places"), "1 2 3");
    assert_eq!(people.database.rows(ERASURES)[1][2], NULL, "no key was needed");

    for wrong in ["hunter2", &ann[1..], &format!("{ann}0")] {
        let outcome = forget(&job, &["--token", wrong], "").expect_code(2).expect_text("64");
        assert!(!outcome.text().contains(wrong), "{}", outcome.text());
    }
}

#[test]
fn what_names_no_person_is_refused_and_not_shown() {
    let (people, job) = two_people("bytea");
    let before = people.database.dump();
    for (input, reason) in [
        ("", "standard input is empty"),
        ("hunter2\nhunter2\n", "one person at a time"),
        ("  \n", "empty value"),
    ] {
        let outcome = forget(&job, &[], input).expect_code(2).expect_text(reason);
        assert!(!outcome.text().contains(SECRET), "{}", outcome.text());
    }
    for column in ["status", "city", "mail"] {
        let mut command = client(["pii", "forget", "--column", column]);
        let outcome = fed(command.arg(&job), SECRET.as_bytes()).expect_code(2);
        let outcome = outcome.expect_text(column);
        assert!(!outcome.text().contains(SECRET), "{}", outcome.text());
    }
    assert!(people.database.dump() == before, "something changed");
}

#[test]
fn a_table_without_a_way_to_the_person_is_an_error_before_anything_is_deleted() {
    let (people, job) = two_people("bytea");
    let keyless = TARGETS.replace("places\"\nkey = [\"id\"]\n", "places\"\n");
    people.job(&[EMAIL, ONLY_NEW, &keyless].concat());
    let before = people.database.dump();
    let outcome = forget(&job, &[], ANN).expect_code(2);
    outcome.expect_text("public.places").expect_text("key");
    assert!(people.database.dump() == before, "something changed");
}

#[test]
fn rows_that_an_unfinished_run_may_load_yet_are_told() {
    let mut records = String::new();
    for id in 0..10_000 {
        let number = if id == 5000 { "x".to_owned() } else { id.to_string() };
        writeln!(records, "{number},person.{id}@forget.example,Rome,new").unwrap();
    }
    let people = People::new(&records);
    let limits = "[load]\nmax_rejects = \"0\"\ncommit_bytes = \"64KiB\"\nsplit_bytes = \"64KiB\"\n";
    let target = TARGET.split_once("[load]").unwrap().0;
    let job = people.job(&[EMAIL, target, limits].concat());
    run(&job).expect_code(5);
    let outcome = forget(&job, &[], "person.1@forget.example").expect_code(0);
    outcome.expect_text("run 1").expect_text("not finished");
    assert_eq!(people.database.number("SELECT count(*) FROM people WHERE id = 1"), 0);
}

#[test]
fn rows_that_were_replayed_between_two_rotations_are_found_too() {
    let people = People::new("1,ann@forget.example,Rome,new\n2,ann@forget.example,Oslo,lost\n");
    let job = people.job(&[EMAIL, ONLY_NEW, TARGET].concat());
    run(&job).expect_code(0);
    rotate_key(&job).expect_code(0);
    let job = people.job(&[EMAIL, TARGET].concat());
    finish(client(["quarantine", "replay"]).arg(&job)).expect_code(0);
    assert_eq!(people.database.count("people"), 2);
    rotate_key(&job).expect_code(0);

    forget(&job, &[], ANN).expect_code(0);

    assert_eq!(people.database.count("people"), 0, "rows of the second key are left");
}

#[test]
fn a_value_that_must_be_unique_stays_so_after_somebody_was_forgotten() {
    let people = People::new("1,ann@forget.example,Rome,new\n1,bob@forget.example,Oslo,new\n");
    let unique = "[[column]]\nname = \"id\"\ncheck = [\"unique\"]\n";
    let job = people.job(&[EMAIL, unique, TARGET].concat());
    run(&job).expect_code(0);
    forget(&job, &[], "nobody@forget.example").expect_code(0);

    finish(client(["quarantine", "replay"]).arg(&job)).expect_code(0);

    assert_eq!(ids(&people.database, "people"), "1", "a duplicate was loaded");
}
