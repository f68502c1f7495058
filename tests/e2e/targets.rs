//! Several tables are written from one stream in one transaction: all of them get a row, or none does.

use std::fmt::Write as _;

use crate::gate;
use crate::hosts::{Process, Random, is_soak, wait_for};
use crate::postgres::{Database, NULL};
use crate::stages::Trip;

const ROWS: u64 = 20_000;
const COLUMNS: [(&str, &str); 2] = [("uid", "integer"), ("joined", "date")];
/// Both tables as an operator would make them: a row of the second one belongs to one of the first.
const TABLES: &str = "
CREATE TABLE users (uid integer PRIMARY KEY, name text NOT NULL, joined date);
CREATE TABLE users_address (
    uid integer PRIMARY KEY REFERENCES users, street text NOT NULL, city text)";
/// A row that waits in the second table until somebody opens the gate.
const BARRIER: &str = "
CREATE TRIGGER held BEFORE INSERT ON users_address
    FOR EACH ROW WHEN (NEW.uid = 10000) EXECUTE FUNCTION public.hold_up()";
/// What the first table is short of, and what it has too much.
const WITHOUT_PARTNER: &str = "
SELECT count(*) FROM users FULL JOIN users_address AS a USING (uid)
WHERE users.uid IS NULL OR a.uid IS NULL";

/// Addresses of users; every seventh has no city.
fn users(rows: u64) -> String {
    let mut file = String::from("uid,name,joined,street,city\n");
    for uid in 1..=rows {
        let day = uid % 28 + 1;
        let city = if uid % 7 == 0 { String::new() } else { format!("city {}", uid % 100) };
        writeln!(file, "{uid},user {uid},2024-01-{day:02},\"street {uid}, left\",{city}").unwrap();
    }
    file
}

/// Both targets with these settings, in small transactions.
fn targets(users: &str, addresses: &str) -> String {
    format!(
        "[[target]]\ntable = \"users\"\nkey = [\"uid\"]\ncolumns = [\"uid\", \"name\", \"joined\"]\n\
         {users}\n\
         [[target]]\ntable = \"users_address\"\nkey = [\"uid\"]\n\
         columns = [\"uid\", \"street\", \"city\"]\n{addresses}\n\
         [load]\ncommit_bytes = \"64KiB\"\nsplit_bytes = \"64KiB\"\n"
    )
}

/// Checks both tables against what `psql \copy` makes of the file.
#[track_caller]
fn assert_both_are_complete(trip: &Trip) {
    let database = &trip.database;
    database.execute(
        "CREATE TABLE oracle (uid integer, name text, joined date, street text, city text)",
    );
    database.copy("oracle", &trip.source.path("people.csv"));
    assert!(database.count("oracle") > 0);
    database.assert_same_rows(
        "SELECT uid, name, joined FROM users",
        "SELECT uid, name, joined FROM oracle",
    );
    database.assert_same_rows(
        "SELECT uid, street, city FROM users_address",
        "SELECT uid, street, city FROM oracle",
    );
}

/// Checks that both tables hold the rows that the ledger counts, and returns how many.
#[track_caller]
fn assert_tables_and_ledger_agree(database: &Database) -> u64 {
    assert_eq!(database.number(WITHOUT_PARTNER), 0, "rows in one table only");
    let loaded = database.number("SELECT coalesce(sum(loaded_rows), 0) FROM ferry.split");
    assert_eq!((database.count("users"), database.count("users_address")), (loaded, loaded));
    loaded
}

#[test]
fn one_stream_fills_two_tables_and_the_foreign_key_between_them_holds() {
    let trip = Trip::new(&COLUMNS, users(5_000));
    trip.database.execute(TABLES);

    let summary = trip.run(&targets("", "")).expect_code(0).summary();

    assert_eq!(summary["rows"]["loaded"], 5_000, "a row counts once");
    assert_both_are_complete(&trip);
    let transactions = trip.database.rows(
        "SELECT count(*) = 5000, count(DISTINCT users.xmin::text) > 1 \
         FROM users JOIN users_address AS a USING (uid) WHERE users.xmin = a.xmin",
    );
    assert_eq!(transactions, [["t", "t"]], "both rows of a user come in one transaction");
    let again = trip.run(&targets("", "")).expect_code(0).summary();
    assert_eq!(again["state"], "nothing_new");
}

#[test]
fn a_table_that_is_missing_is_made_beside_one_that_exists() {
    let trip = Trip::new(&COLUMNS, users(500));
    trip.database.execute("CREATE TABLE users (uid bigint, name varchar(40), joined timestamp)");

    trip.run(&targets("", "create = true")).expect_code(0);

    let columns = trip.database.columns("users_address");
    let columns: Vec<String> =
        columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
    assert_eq!(columns, ["uid bigint", "street text", "city text"], "types of the table that is");
    let stored = trip.database.rows(
        "SELECT users.uid, name, joined, street, city FROM users JOIN users_address USING (uid) \
         WHERE uid = 7",
    );
    assert_eq!(stored, [["7", "user 7", "2024-01-08 00:00:00", "street 7, left", NULL]]);
    assert_eq!(assert_tables_and_ledger_agree(&trip.database), 500);
}

#[test]
fn a_missing_table_that_may_not_be_made_leaves_all_as_it_was() {
    let trip = Trip::new(&COLUMNS, users(500));
    let rules = targets("create = true", "");

    trip.run(&rules).expect_code(8).expect_text("users_address").expect_text("create = true");

    let made = trip.database.rows(
        "SELECT relname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace \
         WHERE nspname IN ('public', 'ferry')",
    );
    assert!(made.is_empty(), "{made:?}");
}

#[test]
fn a_row_that_does_not_fit_one_table_is_in_none_and_in_quarantine_once() {
    let file = "uid,name,joined,street,city\n1,Ann,2024-01-01,Main Road,Rome\n\
                2,Bob,2024-01-01,,Oslo\n3,,2024-01-01,,Bonn\n";
    let trip = Trip::new(&COLUMNS, file);
    trip.database.execute(TABLES);

    trip.run(&(targets("", "") + "max_rejects = 2\n")).expect_code(0);

    assert_eq!(assert_tables_and_ledger_agree(&trip.database), 1);
    let (one, both) = ("null_value street", "null_value name, null_value street");
    assert_eq!(trip.refused(), [["2", "transform", one], ["3", "transform", both]]);
}

#[test]
fn what_the_second_table_refuses_is_not_in_the_first_either() {
    let trip = Trip::new(&COLUMNS, users(ROWS));
    let database = &trip.database;
    database.execute(TABLES);
    database.execute("ALTER TABLE users_address ADD CONSTRAINT not_there CHECK (uid <> 10000)");

    let run = trip.run(&targets("", "")).expect_code(0);

    let run = run.expect_text("23514").expect_text("not_there").expect_text("users_address");
    assert_eq!(run.summary()["rows"]["loaded"], ROWS - 1);
    assert_eq!(assert_tables_and_ledger_agree(database), ROWS - 1);
    assert_eq!(trip.refused(), [["10000", "load", "sqlstate_23514"]]);
    assert_eq!(database.number("SELECT count(*) FROM users WHERE uid = 10000"), 0);
}

#[test]
fn a_kill_between_the_two_tables_leaves_none_of_the_step_in_either() {
    let trip = Trip::new(&COLUMNS, users(ROWS));
    let database = &trip.database;
    database.execute(TABLES);
    gate::build(database, BARRIER);
    let mut client = trip.spawn(&targets("", ""));

    gate::kill_there(database, &mut client);

    let loaded = assert_tables_and_ledger_agree(database);
    assert!(loaded > 0 && loaded < 10_000, "{loaded} rows before the kill");
    let second = trip.run(&targets("", "")).expect_code(0).summary();
    assert_eq!(second["rows"]["loaded"], ROWS, "the accounts of both attempts together");
    assert_both_are_complete(&trip);
}

/// Kills the client once so many rows more are in the first table; whether it still ran then.
fn kill_after(trip: &Trip, client: &mut Process, rows: u64) -> bool {
    let goal = trip.database.count("users") + rows;
    wait_for("rows to kill after", 60, || {
        let is_there = client.ended().is_some() || trip.database.count("users") >= goal;
        is_there.then_some(())
    });
    let was_running = client.ended().is_none();
    client.kill();
    was_running
}

#[test]
fn kills_at_any_moment_leave_both_tables_equal_to_the_source() {
    let mut random = Random::from_environment("kills_with_two_targets");
    let (rows, kills) = if is_soak() { (200_000, 30) } else { (ROWS, 2) };
    let trip = Trip::new(&COLUMNS, users(rows));
    trip.database.execute(TABLES);
    let rules = targets("", "");

    let mut hits = 0;
    for _ in 0..kills {
        let mut client = trip.spawn(&rules);
        hits += u32::from(kill_after(&trip, &mut client, random.below(rows / kills / 2)));
    }

    assert!(hits > 0, "every run had ended before its kill");
    trip.run(&rules).expect_code(0);
    let runs = trip.database.number("SELECT count(DISTINCT run_id) FROM ferry.split");
    assert_eq!(runs, 1, "one run, however often it was killed");
    assert_eq!(assert_tables_and_ledger_agree(&trip.database), rows);
    assert_both_are_complete(&trip);
}
