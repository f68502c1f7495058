//! A replacement that does not come to its end leaves the old rows, and rows that the table refuses are told apart.

use super::{BY_UID, COLUMNS, SMALL, USERS, assert_no_leftovers, people, target, trip, users};
use crate::gate;
use crate::stages::Trip;

#[test]
fn a_kill_before_the_end_leaves_the_old_rows() {
    // While the rows come in, and while they take the place of the old ones.
    for barrier in [
        "ALTER TABLE users ADD CONSTRAINT waits CHECK (uid <> 3000 OR held_up())",
        "CREATE TRIGGER waits BEFORE INSERT ON users FOR EACH ROW \
         WHEN (NEW.uid = 3000) EXECUTE FUNCTION hold_up()",
    ] {
        let trip = trip(11..5011, 1..21);
        let database = &trip.database;
        gate::build(database, barrier);
        let rules = target("") + SMALL;
        let mut client = trip.spawn(&rules);

        gate::kill_there(database, &mut client);

        let old = "SELECT count(*), bool_and(name = 'old' AND uid <= 20) FROM users";
        assert_eq!(database.rows(old), [["20", "t"]], "{barrier}");
        let summary = trip.run(&rules).expect_code(0).summary();
        assert_eq!(summary["rows"]["loaded"], 5000, "the accounts of both attempts together");
        database.execute("CREATE TABLE oracle (uid integer, name text)");
        database.copy("oracle", &trip.source.path("people.csv"));
        database.assert_same_rows("TABLE users", "TABLE oracle");
        assert_no_leftovers(database);
    }
}

#[test]
fn a_run_over_the_reject_limit_leaves_the_old_rows() {
    let trip = Trip::new(&COLUMNS, "uid,name\n1,new\nx,new\ny,new\n2,new\n");
    trip.database.execute(USERS);
    trip.database.execute("INSERT INTO users VALUES (1, 'old'), (9, 'old')");
    let with_limit = |limit: u32| target("") + format!("[load]\nmax_rejects = {limit}\n").as_str();

    let summary = trip.run(&with_limit(1)).expect_code(5).summary();

    assert_eq!(summary["error"]["code"], "rejects_over_limit");
    assert_eq!(users(&trip.database), "1 old, 9 old");
    trip.run(&with_limit(1)).expect_code(5);
    assert_eq!(users(&trip.database), "1 old, 9 old");

    trip.run(&with_limit(2)).expect_code(0);
    assert_eq!(users(&trip.database), "1 new, 2 new");
    assert_no_leftovers(&trip.database);
}

/// Refused rows with the constraint that they broke.
fn refused(trip: &Trip) -> Vec<Vec<String>> {
    trip.database.rows(
        "SELECT row_number, stage, code, constraint_name FROM ferry.quarantine ORDER BY row_number",
    )
}

#[test]
fn a_row_that_the_table_would_refuse_is_told_by_its_constraint() {
    let file = "uid,name,city\n1,a,Rome\n2,b,Oslo\n1,c,Rome\n3,d,Atlantis\n4,b,Rome\n5,ugly,Rome\n";
    for settings in ["", BY_UID] {
        let trip = Trip::new(&COLUMNS, file);
        trip.database.execute(
            "CREATE TABLE cities (city text PRIMARY KEY); \
             INSERT INTO cities VALUES ('Rome'), ('Oslo'); \
             CREATE TABLE users (uid integer PRIMARY KEY, name text NOT NULL UNIQUE \
                 CONSTRAINT pretty CHECK (name <> 'ugly'), city text REFERENCES cities); \
             INSERT INTO users VALUES (1, 'b', 'Rome'), (8, 'x', 'Rome')",
        );

        let summary =
            trip.run(&(target(settings) + "[load]\nmax_rejects = 4\n")).expect_code(0).summary();

        let expected = [
            ["3", "load", "sqlstate_23505", "users_pkey"],
            ["4", "load", "sqlstate_23503", "users_city_fkey"],
            ["5", "load", "sqlstate_23505", "users_name_key"],
            ["6", "load", "sqlstate_23514", "pretty"],
        ];
        assert_eq!(refused(&trip), expected, "{settings}");
        assert_eq!(summary["rows"]["loaded"], 2);
        let stored = trip.database.rows("SELECT uid, name, city FROM users ORDER BY uid");
        assert_eq!(stored, [["1", "a", "Rome"], ["2", "b", "Oslo"]], "{settings}");
    }
}

#[test]
fn rows_that_others_refer_to_cannot_go() {
    // Without a key no row could stay; with one, all that is referred to must come again.
    for settings in ["", BY_UID] {
        let trip = trip(2..5, 1..4);
        let database = &trip.database;
        database.execute(
            "CREATE TABLE orders (id integer, uid integer REFERENCES users); \
             INSERT INTO orders VALUES (7, 1)",
        );

        trip.run(&target(settings)).expect_code(8).expect_text("orders_uid_fkey");

        assert_eq!(users(database), "1 old, 2 old, 3 old", "{settings}");
        database.execute("UPDATE orders SET uid = 2");
        if settings == BY_UID {
            trip.run(&target(settings)).expect_code(0);
            assert_eq!(users(database), "2 user, 3 user, 4 user");
            assert_eq!(database.rows("SELECT id, uid FROM orders"), [["7", "2"]]);
            assert_no_leftovers(database);
        }
    }
}

#[test]
fn a_table_that_others_write_to_is_replaced_whole() {
    let trip = trip(1..4, 5..6);
    trip.run(&target("")).expect_code(0);
    trip.database.execute("INSERT INTO users VALUES (77, 'by hand')");
    trip.source.append("people.csv", "4,later\n");

    trip.run(&target("")).expect_code(0);

    assert_eq!(users(&trip.database), "1 user, 2 user, 3 user, 4 late");
}

/// Everything in the database, in an order of its own.
fn everything(trip: &Trip) -> Vec<String> {
    let mut rows: Vec<String> = trip.database.dump().split('\x1e').map(str::to_owned).collect();
    rows.sort();
    rows
}

#[test]
fn a_table_is_not_replaced_with_some_of_the_files() {
    let trip = trip(1..4, 5..8);
    for is_first in [true, false] {
        let before = everything(&trip);
        for since in ["2d", "2020-01-31"] {
            let words = ["run", "--json", "--since", since];
            let outcome = trip.verb(&words, &target("")).expect_code(2);
            let _ = outcome.expect_text("--since").expect_text("replace");
            assert_eq!(everything(&trip), before);
        }
        let has_ledger = "SELECT to_regclass('ferry.run') IS NOT NULL";
        assert_eq!(trip.database.value(has_ledger), if is_first { "f" } else { "t" });
        trip.run(&target("")).expect_code(0);
        trip.source.write("later.csv", people(7..9));
    }
    assert_eq!(users(&trip.database), "1 user, 2 user, 3 user, 7 user, 8 user");
}

#[test]
fn a_table_of_somebody_else_is_not_filled() {
    let trip = trip(1..4, 5..8);
    let database = &trip.database;
    trip.run(&target("")).expect_code(0);
    trip.source.write("later.csv", people(7..9));
    let next = "SELECT pg_sequence_last_value(pg_get_serial_sequence('ferry.run', 'run_id')\
                ::regclass) + 1";
    let incoming = format!("ferry.incoming_{}_0", database.number(next));
    let role = format!("stranger_{}", database.name);
    database.execute(&format!(
        "CREATE ROLE {role}; GRANT USAGE, CREATE ON SCHEMA ferry TO {role}; SET ROLE {role}; \
         CREATE TABLE {incoming} (uid integer, name text); GRANT ALL ON {incoming} TO PUBLIC"
    ));

    let outcome = trip.run(&target(""));

    assert_ne!(outcome.code, Some(0), "{}", outcome.text());
    let _ = outcome.expect_text(&incoming.replace("ferry.", ""));
    assert_eq!(users(database), "1 user, 2 user, 3 user");
    assert_eq!(database.value(&format!("SELECT to_regclass('{incoming}') IS NULL")), "f");
    assert_eq!(database.count(&incoming), 0);
    database.execute(&format!("DROP TABLE {incoming}; DROP OWNED BY {role}; DROP ROLE {role}"));
    trip.run(&target("")).expect_code(0);
    assert_eq!(users(database), "1 user, 2 user, 3 user, 7 user, 8 user");
    assert_no_leftovers(database);
}
