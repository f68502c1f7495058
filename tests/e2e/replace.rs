//! Replace: readers see the old rows until they see the new ones, and whatever hangs on the table stays.

mod ends;
mod quarantined;
mod races;
mod readers;

use std::fmt::Write as _;
use std::ops::Range;

use crate::postgres::{Database, NULL, try_psql};
use crate::stages::Trip;

use readers::Readers;

const COLUMNS: [(&str, &str); 1] = [("uid", "integer")];
const USERS: &str = "CREATE TABLE users (uid integer PRIMARY KEY, name text NOT NULL)";
const BY_UID: &str = "key = [\"uid\"]";
const SMALL: &str = "[load]\ncommit_bytes = \"64KiB\"\nsplit_bytes = \"64KiB\"\n";

/// The target `public.users` that is replaced, with more settings.
fn target(settings: &str) -> String {
    format!("[[target]]\ntable = \"public.users\"\nmode = \"replace\"\n{settings}\n")
}

/// A file with these users.
fn people(uids: Range<u32>) -> String {
    let mut file = String::from("uid,name\n");
    for uid in uids {
        writeln!(file, "{uid},user {uid} with a name that takes some room in the file").unwrap();
    }
    file
}

/// A job over a file of these users, and a table with old ones.
fn trip(uids: Range<u32>, old: Range<u32>) -> Trip {
    let trip = Trip::new(&COLUMNS, people(uids));
    trip.database.execute(USERS);
    let old: Vec<String> = old.map(|uid| format!("({uid}, 'old')")).collect();
    trip.database.execute(&format!("INSERT INTO users VALUES {}", old.join(", ")));
    trip
}

fn users(database: &Database) -> String {
    database.value("SELECT string_agg(uid || ' ' || left(name, 4), ', ' ORDER BY uid) FROM users")
}

/// Checks that the tables that a run fills before the end are gone.
#[track_caller]
fn assert_no_leftovers(database: &Database) {
    let tables = database.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'ferry'::regnamespace \
         AND relkind IN ('r', 'p') AND relname LIKE 'incoming%'",
    );
    assert!(tables.is_empty(), "{tables:?}");
}

#[test]
fn readers_see_the_old_rows_or_the_new_ones_and_nothing_else() {
    for settings in ["", BY_UID] {
        let trip = trip(401..5401, 1..501);
        let readers = Readers::start(&trip.database, "users");

        let summary = trip.run(&(target(settings) + SMALL)).expect_code(0).summary();

        readers.assert_saw_only(500, 5000);
        assert_eq!(summary["rows"]["loaded"], 5000);
        assert_eq!(summary["targets"][0]["mode"], "replace");
        trip.database.execute("CREATE TABLE oracle (LIKE users)");
        trip.database.copy("oracle", &trip.source.path("people.csv"));
        trip.database.assert_same_rows("TABLE users", "TABLE oracle");
        assert_no_leftovers(&trip.database);
    }
}

#[test]
fn tables_of_one_job_are_replaced_at_the_same_instant() {
    let trip = trip(1..3001, 1..11);
    let database = &trip.database;
    database.execute(
        "CREATE TABLE names (name text); INSERT INTO names VALUES ('old'); \
         CREATE VIEW either AS SELECT name FROM users UNION ALL SELECT name FROM names",
    );
    let rules = target("columns = [\"uid\", \"name\"]")
        + "[[target]]\ntable = \"names\"\nmode = \"replace\"\ncolumns = [\"name\"]\n"
        + SMALL;
    let readers = Readers::start(database, "either");

    trip.run(&rules).expect_code(0);

    readers.assert_saw_only(11, 6000);
    assert_eq!((database.count("users"), database.count("names")), (3000, 3000));
}

/// All that hangs on the tables, by its number in the catalogue.
fn standing(database: &Database) -> Vec<Vec<String>> {
    database.rows(
        "SELECT 'table', oid::bigint, concat_ws(' ', relname, relacl, relowner, relrowsecurity,
                relpersistence, obj_description(oid, 'pg_class'))
         FROM pg_class WHERE relname IN ('users', 'names', 'users_name', 'users_pkey', 'orders')
         UNION ALL
         SELECT 'column', attnum, concat_ws(' ', attname, atttypid, attacl, attnotnull)
         FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0
         UNION ALL
         SELECT 'constraint', oid::bigint, concat_ws(' ', conname, pg_get_constraintdef(oid))
         FROM pg_constraint WHERE conrelid IN ('users'::regclass, 'orders'::regclass)
         UNION ALL
         SELECT 'trigger', oid::bigint, concat_ws(' ', tgenabled, pg_get_triggerdef(oid))
         FROM pg_trigger WHERE tgrelid = 'users'::regclass
         UNION ALL
         SELECT 'policy', oid::bigint, polname::text FROM pg_policy
         UNION ALL
         SELECT 'view', 0, pg_get_viewdef('names'::regclass)
         ORDER BY 1, 2",
    )
}

#[test]
fn whatever_hangs_on_the_table_stays() {
    let trip = Trip::new(&COLUMNS, "uid,name,city\n2,new,Oslo\n3,new,Rome\n");
    let database = &trip.database;
    database.execute(
        "CREATE TABLE cities (city text PRIMARY KEY); INSERT INTO cities VALUES ('Rome'), ('Oslo'); \
         CREATE TABLE users (uid integer PRIMARY KEY, name text NOT NULL, \
             city text REFERENCES cities, note text DEFAULT 'none'); \
         CREATE INDEX users_name ON users (name); \
         CREATE VIEW names AS SELECT name FROM users; \
         CREATE TABLE orders (id integer PRIMARY KEY, uid integer REFERENCES users); \
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN RETURN NULL; END'; \
         CREATE TRIGGER looks AFTER INSERT OR UPDATE OR DELETE ON users \
             FOR EACH ROW EXECUTE FUNCTION look(); \
         CREATE POLICY everybody ON users USING (true); \
         ALTER TABLE users ENABLE ROW LEVEL SECURITY; \
         COMMENT ON TABLE users IS 'people'; \
         GRANT SELECT ON users TO PUBLIC; GRANT UPDATE (name) ON users TO PUBLIC; \
         INSERT INTO users VALUES (1, 'old', 'Rome', 'first'), (2, 'old', 'Rome', 'second'); \
         INSERT INTO orders VALUES (7, 2)",
    );
    let before = standing(database);
    assert!(before.len() > 15, "{before:?}");

    trip.run(&target(BY_UID)).expect_code(0);

    assert_eq!(standing(database), before);
    let stored = database.rows("SELECT uid, name, city, note FROM users ORDER BY uid");
    let expected = [["2", "new", "Oslo", "second"], ["3", "new", "Rome", "none"]];
    assert_eq!(stored, expected, "a row that stays keeps what is not loaded");
    assert_eq!(database.rows("SELECT name FROM names"), [["new"], ["new"]]);
    assert_eq!(database.rows("SELECT id, uid FROM orders"), [["7", "2"]]);
    for (sql, constraint) in [
        ("INSERT INTO orders VALUES (8, 1)", "orders_uid_fkey"),
        ("DELETE FROM users WHERE uid = 2", "orders_uid_fkey"),
        ("INSERT INTO users VALUES (9, 'x', 'Atlantis')", "users_city_fkey"),
    ] {
        let error = try_psql(&database.url, sql).unwrap_err();
        assert!(error.contains(constraint), "{error}");
    }
}

#[test]
fn rows_that_did_not_change_are_not_written() {
    let trip = Trip::new(&COLUMNS, "uid,name\n1,same\n2,other\n3,\"\"\n");
    let database = &trip.database;
    database.execute(USERS);
    database.execute("INSERT INTO users VALUES (1, 'same'), (2, 'old'), (4, 'gone')");
    let version = "SELECT xmin, ctid FROM users WHERE uid = 1";
    let before = database.rows(version);

    let summary = trip.run(&target(BY_UID)).expect_code(0).summary();

    assert_eq!(users(database), "1 same, 2 othe, 3 ");
    assert_eq!(database.rows(version), before);
    assert_eq!(summary["rows"]["loaded"], 3);
    assert_eq!(summary["targets"][0]["written"], 2);
}

#[test]
fn the_old_rows_are_kept_beside_it_if_the_job_says_so() {
    for settings in ["keep_old = true", "keep_old = true\nkey = [\"uid\"]"] {
        let trip = trip(2..5, 1..4);
        let database = &trip.database;
        let first = trip.run(&target(settings)).expect_code(0).summary();
        let kept = |run_id: &serde_json::Value| {
            database.rows(&format!("SELECT uid, name FROM users_before_{run_id} ORDER BY uid"))
        };

        assert_eq!(users(database), "2 user, 3 user, 4 user");
        assert_eq!(kept(&first["run_id"]), [["1", "old"], ["2", "old"], ["3", "old"]]);

        trip.source.write("later.csv", "uid,name\n9,new\n");
        let second = trip.run(&target(settings)).expect_code(0).summary();
        assert_eq!(users(database), "2 user, 3 user, 4 user, 9 new");
        assert_eq!(kept(&second["run_id"]).len(), 3, "{settings}");
        assert_eq!(kept(&first["run_id"]).len(), 3, "the operator drops it");
    }
}

#[test]
fn an_unchanged_source_is_nothing_new() {
    let trip = trip(1..4, 5..8);
    trip.run(&target("")).expect_code(0);
    let versions = || trip.database.rows("SELECT uid, xmin, ctid FROM users ORDER BY uid");
    let before = versions();

    let summary = trip.run(&target("")).expect_code(0).summary();

    assert_eq!(summary["state"], "nothing_new");
    assert_eq!(before.len(), 3);
    assert_eq!(versions(), before, "no row was written");
}

#[test]
fn the_table_is_what_the_files_are() {
    let trip = Trip::new(&COLUMNS, people(1..3));
    trip.source.write("later.csv", people(7..9));
    let run = || trip.run(&target("create = true")).expect_code(0).summary();
    let users = || users(&trip.database);
    assert_eq!(run()["rows"]["loaded"], 4);
    assert_eq!(users(), "1 user, 2 user, 7 user, 8 user");

    trip.source.append("people.csv", "3,grown\n");
    run();
    assert_eq!(users(), "1 user, 2 user, 3 grow, 7 user, 8 user");

    std::fs::remove_file(trip.source.path("later.csv")).unwrap();
    run();
    assert_eq!(users(), "1 user, 2 user, 3 grow", "rows of a file that is gone");

    trip.source.write("people.csv", "uid,name\n1,rewritten\n4,new\n");
    run();
    assert_eq!(users(), "1 rewr, 4 new", "a file that was rewritten needs no position");
    assert_eq!(run()["state"], "nothing_new");
    assert_no_leftovers(&trip.database);
    assert_eq!(trip.database.value("SELECT to_regclass('users_before_1')"), NULL);
}
