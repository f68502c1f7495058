//! What is not served appears nowhere: no column, no table, no raw value, whatever path is asked.

use super::{SECRET, Served};
use crate::hosts::client;
use crate::web::{Web, encode};

/// Stands in every raw e-mail.
const RAW: &str = "canary.example";

#[test]
fn what_is_not_served_appears_in_no_answer() {
    let served = Served::loaded();
    let mut command = client(["serve", "--listen", "127.0.0.1:0"]);
    let job = served.trip.source.path("job.toml");
    let web = Web::start_with(command.arg(&job).env("RUST_LOG", "trace"));
    let mut said = String::new();
    let look = |said: &mut String, path: &str| {
        let answer = web.ask("GET", path, &[], "");
        said.push_str(&answer.body);
        answer.status
    };

    for path in [
        "/api/v1/jobs",
        "/api/v1/jobs/people",
        "/api/v1/jobs/people/runs",
        "/api/v1/jobs/people/files",
        "/api/v1/runs/1",
        "/api/v1/runs/1/splits",
        "/api/v1/runs/1/commits",
        "/api/v1/runs/1/events",
        "/api/v1/jobs/people/quarantine",
        "/api/v1/tables",
        "/api/v1/tables/public.users",
        "/api/v1/tables/public.users/records?limit=500",
        "/api/v1/tables/public.users/records/1",
        "/api/v1/openapi.json",
        "/metrics",
    ] {
        assert_eq!(look(&mut said, path), 200, "{path}");
    }
    assert!(!said.contains("\"note\":"), "a column that is not served is a member");
    for table in [
        "public.notes",
        "notes",
        "public.strangers",
        "strangers",
        "ferry.run",
        "ferry.quarantine",
        "pg_catalog.pg_authid",
        "public.users; DROP TABLE users",
        "public.\"users\" --",
    ] {
        for rest in ["", "/records", "/records/1", "/lineage"] {
            let path = format!("/api/v1/tables/{}{rest}", encode(table));
            assert!(matches!(look(&mut said, &path), 404 | 400), "{path}");
        }
    }
    for key in ["1'", "1 OR 1=1", "1;DELETE FROM users", "0x1", "1e0", "\u{0}", "1\n"] {
        let path = format!("/api/v1/tables/public.users/records/{}", encode(key));
        // PostgreSQL itself takes white space around a number.
        assert!(matches!(look(&mut said, &path), 404 | 400 | 200), "{path}");
    }
    for query in ["columns=note", "select=note", "order=note", "note=eq.1", "limit=1;note"] {
        let path = format!("/api/v1/tables/public.users/records?{query}");
        assert_eq!(look(&mut said, &path), 400, "{query}");
    }

    assert!(said.contains("Name 1"), "what is served is there");
    let log = web.stop().expect_code(0).text();
    assert!(log.contains("TRACE"), "every step is logged");
    assert!(!log.contains("Name 1"), "a value is in the log");
    for hidden in [SECRET, RAW, "a key of more than", served.trip.database.url.as_str()] {
        assert!(!said.contains(hidden), "{hidden} is in an answer");
        assert!(!log.contains(hidden), "{hidden} is in the log");
    }
    assert_eq!(served.trip.database.count("users"), 17, "and nothing was changed");
}

#[test]
fn a_column_that_the_role_may_not_read_is_not_served() {
    let served = Served::loaded();
    let database = &served.trip.database;
    let role = format!("reader_of_{}", database.name);
    database.execute(&format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA ferry, public TO {role}; \
         GRANT SELECT ON ALL TABLES IN SCHEMA ferry TO {role}; \
         GRANT SELECT (uid, name) ON users TO {role}"
    ));
    let text = std::fs::read_to_string(served.trip.source.path("job.toml")).unwrap();
    let text = text.replace("//postgres@", &format!("//{role}@"));
    assert!(text.contains(&role), "{text}");
    let job = crate::hosts::write_job(&served.trip.source.path(""), &text);
    let web = Web::start(&[job]);

    let found = web.record("public.users", &["1"]).expect(200).json();
    assert_eq!(found["record"], serde_json::json!({ "uid": 1, "name": "Name 1" }));
    let columns = web.json("/tables/public.users")["columns"].as_array().unwrap().len();
    assert_eq!(columns, 2);
    drop(web);
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}
