//! A role that lacks a permission is told which GRANT it needs, and nothing is loaded.

use crate::hosts::Outcome;
use crate::postgres::Database;
use crate::stages::Trip;

const APPEND: &str = "";
const UPSERT: &str = "mode = \"upsert\"\nkey = [\"uid\"]";
const REPLACE: &str = "mode = \"replace\"";
const REPLACE_BY_KEY: &str = "mode = \"replace\"\nkey = [\"uid\"]";

/// A role that may make the ledger, and nothing else.
struct Role {
    name: String,
    url: String,
}

impl Role {
    fn create(database: &Database) -> Self {
        let name = format!("loader_{}", database.name);
        database.execute(&format!(
            "CREATE ROLE {name} LOGIN; GRANT CREATE, TEMPORARY ON DATABASE {0} TO {name}; \
             REVOKE TEMPORARY ON DATABASE {0} FROM PUBLIC",
            database.name
        ));
        let url = format!("postgres://{name}@127.0.0.1:{}/{}", database.port, database.name);
        Self { name, url }
    }
}

/// A job of one file, and a role that loads it.
fn trip() -> (Trip, Role) {
    let trip = Trip::new(&[("uid", "integer")], "uid,name\n1,Ann\n2,Bob\n");
    trip.database.execute("CREATE TABLE users (uid integer PRIMARY KEY, name text)");
    let role = Role::create(&trip.database);
    (trip, role)
}

/// Runs a job of its own as a role that has these privileges on the table.
fn run(trip: &Trip, role: &Role, job: usize, settings: &str, privileges: &str) -> Outcome {
    let name = &role.name;
    trip.database.execute(&format!(
        "TRUNCATE users; REVOKE ALL ON users FROM {name}; GRANT {privileges} ON users TO {name}"
    ));
    let job = format!("job-{job}");
    let words = ["run", "--json", "--name", &job, "--database", &role.url];
    trip.verb(&words, &format!("[[target]]\ntable = \"users\"\n{settings}\n"))
}

#[test]
fn what_is_missing_is_named() {
    let (trip, role) = trip();
    let cases = [
        (APPEND, "SELECT", "GRANT INSERT"),
        (APPEND, "INSERT (uid)", "GRANT INSERT"),
        (UPSERT, "SELECT, UPDATE", "GRANT INSERT"),
        (UPSERT, "INSERT, UPDATE", "GRANT SELECT"),
        (UPSERT, "INSERT, SELECT", "GRANT UPDATE"),
        (REPLACE, "INSERT, DELETE", "GRANT SELECT"),
        (REPLACE, "INSERT, SELECT", "GRANT DELETE"),
        (REPLACE_BY_KEY, "INSERT, SELECT, DELETE", "GRANT UPDATE"),
    ];
    for (job, (settings, privileges, grant)) in cases.into_iter().enumerate() {
        let outcome = run(&trip, &role, job, settings, privileges);

        assert_eq!(outcome.code, Some(8), "{settings}, {privileges}: {}", outcome.text());
        outcome.expect_text(grant).expect_text(&role.name).expect_text("users");
        assert_eq!(trip.database.count("users"), 0);
    }
}

#[test]
fn no_more_is_needed_than_is_said() {
    let (trip, role) = trip();
    let cases = [
        (APPEND, "INSERT"),
        (APPEND, "INSERT (uid, name)"),
        (UPSERT, "INSERT, SELECT, UPDATE"),
        (UPSERT, "INSERT, SELECT, UPDATE (name)"),
        (REPLACE, "INSERT, SELECT, DELETE"),
        (REPLACE_BY_KEY, "INSERT, SELECT, DELETE, UPDATE"),
    ];
    for (job, (settings, privileges)) in cases.into_iter().enumerate() {
        let outcome = run(&trip, &role, job, settings, privileges);

        assert_eq!(outcome.code, Some(0), "{settings}, {privileges}: {}", outcome.text());
        assert_eq!(trip.database.count("users"), 2);
    }
}

#[test]
fn temporary_tables_need_a_permission_of_the_database() {
    let (trip, role) = trip();
    let (database, name) = (&trip.database.name, &role.name);
    trip.database.execute(&format!("REVOKE TEMPORARY ON DATABASE {database} FROM {name}"));

    let outcome = run(&trip, &role, 1, UPSERT, "ALL").expect_code(8);
    outcome.expect_text("GRANT TEMPORARY").expect_text(database).expect_text(name);
    assert_eq!(trip.database.count("users"), 0);

    run(&trip, &role, 2, APPEND, "ALL").expect_code(0);
    assert_eq!(trip.database.count("users"), 2, "rows that are only added need none");
}
