//! Records by their keys and in pages: all of them, each once, in the forms of JSON.

use serde_json::{Value, json};

use super::Served;
use crate::hosts::wait_for;
use crate::stages::Trip;
use crate::web::{Answer, Web, encode, record_path};

const KEY: &str = "[[target]]\ntable = \"people\"\ncreate = true\nmode = \"upsert\"\n";

/// All records of a table, page by page, and how many pages there were.
fn all(web: &Web, table: &str, limit: u32) -> (Vec<Value>, usize) {
    let (mut records, mut pages) = (Vec::new(), 0);
    let mut after = String::new();
    loop {
        let path = format!("/tables/{table}/records?limit={limit}{after}");
        let page = web.json(&path);
        assert_eq!(page["table"], table);
        let rows = page["records"].as_array().unwrap();
        assert!(rows.len() <= usize::try_from(limit).unwrap());
        records.extend(rows.iter().cloned());
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", encode(next)),
            None => return (records, pages),
        }
    }
}

#[test]
fn pages_together_are_the_table() {
    let served = Served::loaded();
    let stored = served.trip.database.rows("SELECT uid, email, name FROM users ORDER BY uid");
    assert_eq!(stored.len(), 17);
    for (limit, pages) in [(1, 17), (5, 4), (16, 2), (17, 1), (500, 1)] {
        let (records, read) = all(&served.web, "public.users", limit);
        // A page that happens to be full may be followed by an empty one.
        assert!(read == pages || read == pages + 1, "{read} pages of {limit}");
        let row = |record: &Value| {
            let record = &record["record"];
            let text = |name: &str| record[name].as_str().unwrap().to_owned();
            vec![record["uid"].to_string(), text("email"), text("name")]
        };
        let read: Vec<Vec<String>> = records.iter().map(row).collect();
        assert_eq!(read, stored, "in pages of {limit}");
        for record in &records {
            assert_eq!(super::names(&record["record"]), ["email", "name", "uid"]);
        }
    }
}

#[test]
fn rows_that_come_and_go_between_two_pages_move_no_other() {
    let served = Served::loaded();
    let first = served.web.json("/tables/public.users/records?limit=5");
    let next = first["next"].as_str().unwrap();
    served.trip.database.execute(
        "DELETE FROM users WHERE uid IN (1, 2, 5); INSERT INTO users (uid, name) VALUES (0, 'new')",
    );

    let path = format!("/tables/public.users/records?limit=500&after={next}");
    let second = served.web.json(&path);

    let uids = |page: &Value| {
        let records = page["records"].as_array().unwrap().iter();
        records.map(|record| record["record"]["uid"].as_u64().unwrap()).collect::<Vec<u64>>()
    };
    assert_eq!(uids(&first), [1, 2, 3, 4, 5]);
    assert_eq!(uids(&second), [6, 8, 9, 10, 11, 12, 14, 16, 17, 18, 19, 20]);
}

#[test]
fn composite_keys_of_any_text_are_found_and_paged() {
    let parts = ["a", "b,c", "a,b", "c", "Z", "ä", "%2C", "", " ", "a\"b"];
    let mut file = String::from("one,other,name\n");
    for one in parts {
        for other in parts {
            let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            let name = [one, "|", other].concat();
            file.push_str(
                &[quoted(one).as_str(), ",", &quoted(other), ",", &quoted(&name), "\n"].concat(),
            );
        }
    }
    let trip = Trip::new(&[], file);
    let rules = format!("{KEY}key = [\"one\", \"other\"]\n");
    trip.run(&rules).expect_code(0);
    let web = Web::start(&[trip.job(&rules)]);

    let (records, _) = all(&web, "public.people", 7);

    assert_eq!(records.len(), 100);
    let mut found: Vec<&str> =
        records.iter().map(|record| record["record"]["name"].as_str().unwrap()).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 100, "each once");
    for record in &records {
        let path = format!("/tables/public.people/records/{}", record["key"].as_str().unwrap());
        assert_eq!(web.json(&path)["record"], record["record"], "{path}");
        let row = &record["record"];
        let key = [row["one"].as_str().unwrap(), row["other"].as_str().unwrap()];
        assert_eq!(web.json(&record_path("public.people", &key))["record"], record["record"]);
    }
    let swapped = web.record("public.people", &["a", "b", "c"]);
    swapped.expect_problem(404, "record_not_found");
}

#[test]
fn values_have_the_forms_of_json() {
    let trip = Trip::new(
        &[
            ("uid", "bigint"),
            ("small", "smallint"),
            ("price", "numeric(10,2)"),
            ("ratio", "double precision"),
            ("paid", "boolean"),
            ("doc", "jsonb"),
            ("day", "date"),
            ("at", "timestamptz"),
            ("tag", "uuid"),
            ("raw", "bytea"),
        ],
        "uid,small,price,ratio,paid,doc,day,at,tag,raw,note\n\
         9007199254740993,-7,12.50,0.1,true,\"{\"\"a\"\": [1, null]}\",2024-02-29,\
         2024-01-02T03:04:05Z,00000000-0000-4000-8000-000000000001,\\x00ff,\"say \"\"hi\"\"\n\"\n\
         2,,,NaN,,,,,,,\n",
    );
    let rules = format!("{KEY}key = [\"uid\"]\n");
    trip.run(&rules).expect_code(0);
    let web = Web::start(&[trip.job(&rules)]);
    let record = |answer: Answer| answer.expect(200).json()["record"].clone();

    let first = record(web.record("public.people", &["9007199254740993"]));
    let second = record(web.record("public.people", &["2"]));

    assert!(first["at"].as_str().unwrap().starts_with("2024-01-02 03:04:05"), "{}", first["at"]);
    let expected = json!({
        "uid": 9_007_199_254_740_993_u64, "small": -7, "price": "12.50", "ratio": 0.1,
        "paid": true, "doc": { "a": [1, null] }, "day": "2024-02-29", "at": first["at"],
        "tag": "00000000-0000-4000-8000-000000000001", "raw": "\\x00ff", "note": "say \"hi\"\n",
    });
    assert_eq!(first, expected);
    let expected = json!({
        "uid": 2, "small": null, "price": null, "ratio": "NaN", "paid": null, "doc": null,
        "day": null, "at": null, "tag": null, "raw": null, "note": null,
    });
    assert_eq!(second, expected);
    let (listed, _) = all(&web, "public.people", 500);
    assert_eq!(listed[0]["record"], second);
    assert_eq!(listed[1]["record"], first, "a list has the same forms");
}

#[test]
fn a_key_that_gets_another_type_is_told_and_then_served() {
    let served = Served::loaded();
    served.web.record("public.users", &["1"]).expect(200);
    served.trip.database.execute("ALTER TABLE users ALTER COLUMN uid TYPE text");

    served.web.record("public.users", &["1"]).expect_problem(503, "table_changed");

    let found = wait_for("the table to be looked at anew", 30, || {
        let answer = served.web.record("public.users", &["1"]);
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(found["record"]["uid"], "1");
}

#[test]
fn a_table_without_a_key_is_not_served_and_it_is_said_why() {
    let trip = Trip::new(&[("uid", "integer")], "uid,name\n1,Ann\n");
    let rules = "[[target]]\ntable = \"people\"\ncreate = true\n";
    trip.run(rules).expect_code(0);
    let web = Web::start(&[trip.job(rules)]);

    let tables = web.json("/tables");

    assert_eq!(tables["tables"], json!([]));
    let skipped = &tables["skipped"][0];
    assert_eq!(super::names(skipped), ["job", "reason", "table"]);
    assert_eq!(skipped["table"], "public.people");
    assert!(skipped["reason"].as_str().unwrap().contains("key"), "{skipped}");
    web.record("public.people", &["1"]).expect_problem(404, "table_not_found");
}

#[test]
fn a_key_of_the_database_serves_where_the_job_names_none() {
    let trip = Trip::new(&[("uid", "integer")], "uid,name\n1,Ann\n2,Bob\n");
    trip.database.execute("CREATE TABLE people (name text, uid integer PRIMARY KEY, more text)");
    let rules = "[[target]]\ntable = \"people\"\n";
    trip.run(rules).expect_code(0);
    let web = Web::start(&[trip.job(rules)]);

    let found = web.record("public.people", &["2"]).expect(200).json();

    assert_eq!(found["record"], json!({ "uid": 2, "name": "Bob" }), "what the job loads");
    assert_eq!(found["found_in"], "database");
}
