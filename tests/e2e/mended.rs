//! Defects that were mended once: each test is named for what holds since.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::ops::Range;

use serde_json::json;

use crate::hosts::{Outcome, Process, Server, Source, client, finish, run, wait_for, write_job};
use crate::postgres::{Database, NULL};

/// Part of every raw e-mail: it must be nowhere in the database.
const RAW: &str = "@mended.example";

/// A dataset of all CSV files; `min_age` as in `server.toml`, or its default.
fn dataset(name: &str, min_age: Option<&str>) -> Source {
    let mut settings = format!("[[dataset]]\nname = \"{name}\"\nfiles = [\"*.csv\"]\n");
    if let Some(min_age) = min_age {
        writeln!(settings, "min_age = \"{min_age}\"").unwrap();
    }
    Source::new(&settings)
}

/// Loads a dataset into a table of the same name that is made if need be.
fn load(server: &Server, name: &str, database: &Database) -> Outcome {
    finish(run(server.url(), name, name, &database.url).arg("--create"))
}

/// Records of people, one a number.
fn people_records(numbers: Range<u32>) -> String {
    let mut records = String::new();
    for id in numbers {
        writeln!(records, "{id},person.{id}{RAW},phone-{id:08}").unwrap();
    }
    records
}

/// People, and a table of texts that would take their e-mails raw as well as hashed.
fn people(records: &str) -> (Source, Server, Database) {
    let source = Source::with_dataset("people", &[("id", "integer")]);
    source.write("people.csv", format!("id,email,phone\n{records}"));
    source.write("pii.key", "a key of more than thirty-two bytes for this test\n");
    let server = source.start();
    let database = Database::create();
    database.execute("CREATE TABLE people (id integer, email text, phone text)");
    (source, server, database)
}

fn load_people(source: &Source, server: &Server, database: &Database, flags: &[&str]) -> Outcome {
    let mut command = run(server.url(), "people", "public.people", &database.url);
    command.args(["--commit-bytes", "64KiB", "--split-bytes", "64KiB"]).args(flags);
    finish(command.arg("--key-file").arg(source.path("pii.key")))
}

/// Checks that so many people are stored, with hashes for e-mails.
#[track_caller]
fn assert_only_hashes(database: &Database, people: u64) {
    assert_eq!(database.count("people"), people);
    let hashed = "SELECT count(*) FROM people WHERE email ~ '^[0-9a-f]{64}$'";
    assert_eq!(database.number(hashed), people);
    assert!(!database.dump().contains(RAW), "a raw e-mail is in the database");
}

#[test]
fn an_unfinished_run_goes_on_with_its_own_columns_only() {
    let bad = format!("x,person.x{RAW},none\n");
    let records =
        people_records(0..15_000) + bad.as_str() + people_records(15_000..20_000).as_str();
    let (source, server, database) = people(&records);
    let load = |flags: &[&str]| load_people(&source, &server, &database, flags);
    let first = load(&["--pii", "email", "--max-rejects", "0"]).expect_code(5);
    let loaded = database.count("people");
    assert!(loaded > 0 && loaded < 20_000, "{loaded} rows before the bad one stopped the run");

    load(&["--max-rejects", "100%"]).expect_code(2).expect_text("column");
    assert_only_hashes(&database, loaded);
    let fewer = ["--pii", "email", "--columns", "id,email", "--max-rejects", "100%"];
    load(&fewer).expect_code(2).expect_text("columns");
    assert_only_hashes(&database, loaded);

    let last = load(&["--pii", "email", "--max-rejects", "100%"]).expect_code(0);
    assert_eq!(last.summary()["run_id"], first.summary()["run_id"], "the same run goes on");
    let rows = json!({ "read": 20_001, "loaded": 20_000, "quarantined": 1, "filtered": 0 });
    assert_eq!(last.summary()["rows"], rows);
    assert_only_hashes(&database, 20_000);
}

#[test]
fn a_column_that_was_hashed_stays_hashed_in_later_runs() {
    let (source, server, database) = people(&people_records(0..10));
    let load = |flags: &[&str]| load_people(&source, &server, &database, flags);
    load(&["--pii", "email,phone"]).expect_code(0);
    source.append("people.csv", &people_records(10..20));

    // The key is the same in the first case, and there is none in the second.
    load(&["--pii", "phone"]).expect_code(2).expect_text("email");
    assert_only_hashes(&database, 10);
    load(&[]).expect_code(2).expect_text("column");
    assert_only_hashes(&database, 10);

    load(&["--pii", "email,phone"]).expect_code(0);
    assert_only_hashes(&database, 20);
}

#[test]
fn a_record_whose_quote_is_never_closed_is_quarantined() {
    let file = "id,note\n1,a\n2,\"abc\n3,def\n";
    let source = dataset("notes", Some("0s"));
    source.write("notes.csv", file);
    let server = source.start();
    let database = Database::create();

    let mut command = run(server.url(), "notes", "notes", &database.url);
    let outcome = finish(command.args(["--create", "--max-rejects", "1"])).expect_code(0);

    let rows = json!({ "read": 3, "loaded": 2, "quarantined": 1, "filtered": 0 });
    assert_eq!(outcome.summary()["rows"], rows);
    let stored = database.rows("SELECT id, note FROM notes ORDER BY id");
    assert_eq!(stored, [["1", "a"], ["3", "def"]]);
    let quarantined = database.rows(
        "SELECT row_number, code, column_name, record, byte_start, byte_end FROM ferry.quarantine",
    );
    let (start, end) = (file.find("2,").unwrap().to_string(), file.find("3,").unwrap().to_string());
    assert_eq!(quarantined, [["2", "unclosed_quote", NULL, NULL, start.as_str(), end.as_str()]]);
}

/// Loads the beginning of a file just after it was written, then the rest of it.
fn assert_unfinished_record_waits(beginning: &str, rest: &str, expected: &[[&str; 2]]) {
    let source = dataset("young", None);
    source.write("young.csv", beginning);
    let server = source.start();
    let database = Database::create();
    let load = || load(&server, "young", &database).expect_code(0).summary();
    let stored = || database.rows("SELECT id, v FROM young ORDER BY id::integer");

    // The cluster may have taken its time to start.
    source.write("young.csv", beginning);
    assert_eq!(load()["rows"]["loaded"], 1);
    assert_eq!(stored(), expected[..1]);

    source.append("young.csv", rest);
    assert_eq!(load()["rows"]["loaded"].as_u64(), Some(expected.len() as u64 - 1));
    assert_eq!(stored(), expected);
}

#[test]
fn a_last_record_that_may_still_grow_is_left_for_the_next_run() {
    assert_unfinished_record_waits("id,v\n1,a\n2,b", "3\n", &[["1", "a"], ["2", "b3"]]);
    assert_unfinished_record_waits(
        "id,v\n1,a\n2,\"b\n",
        "c\"\n3,d\n",
        &[["1", "a"], ["2", "b\nc"], ["3", "d"]],
    );
}

#[test]
fn a_header_that_may_still_grow_names_no_columns() {
    let source = dataset("young", None);
    let server = source.start();
    let database = Database::create();
    source.write("young.csv", "id,pri");
    load(&server, "young", &database).expect_code(7).expect_text("none has a header yet");
    assert_eq!(database.number("SELECT count(*) FROM pg_class WHERE relname = 'young'"), 0);

    source.write("young.csv", "id,price\n1,2\n");
    load(&server, "young", &database).expect_code(0);

    assert_eq!(database.rows("SELECT id, price FROM young"), [["1", "2"]]);
}

#[test]
fn a_last_record_of_a_file_that_is_old_enough_is_loaded_at_once() {
    let source = dataset("settled", Some("0s"));
    source.write("settled.csv", "id,v\n1,a\n2,b");
    let server = source.start();
    let database = Database::create();

    load(&server, "settled", &database).expect_code(0);

    let stored = database.rows("SELECT id, v FROM settled ORDER BY id");
    assert_eq!(stored, [["1", "a"], ["2", "b"]]);
}

#[test]
fn a_run_over_its_reject_limit_loads_nothing_more_when_it_is_run_again() {
    let source = Source::with_dataset("halves", &[("id", "integer")]);
    let mut file = String::from("id,note\n");
    for id in 0..20_000 {
        let bad = if id % 2 == 0 { "" } else { "x" };
        writeln!(file, "{bad}{id},words that make the record longer: number {id}").unwrap();
    }
    source.write("halves.csv", file);
    let server = source.start();
    let database = Database::create();
    let load = || {
        let mut command = run(server.url(), "halves", "halves", &database.url);
        command.args(["--create", "--max-rejects", "1%"]);
        command.args(["--commit-bytes", "64KiB", "--split-bytes", "64KiB"]);
        let outcome = finish(&mut command).expect_code(5);
        assert_eq!(outcome.summary()["error"]["code"], "rejects_over_limit");
        (database.count("halves"), database.count("ferry.quarantine"))
    };

    let (loaded, quarantined) = load();
    assert!(loaded + quarantined < 20_000, "the first run was stopped before the end");

    assert_eq!(load(), (loaded, quarantined));
    assert_eq!(load(), (loaded, quarantined));
}

#[test]
fn values_at_the_limits_of_postgresql_do_not_stop_a_run() {
    let extremes = [
        "0e300000,,",
        "0e99999999999,,",
        ",1e-16384,",
        ",,1e131072",
        ",,\"{\"\"a\"\": [1e999999]}\"",
    ];
    let source = dataset("limits", None);
    let mut file = String::from("kind,a,b,c\n");
    for extreme in extremes {
        writeln!(file, "good,1.5,2.25,\"{{\"\"n\"\": 1e3}}\"\nextreme,{extreme}").unwrap();
    }
    source.write("limits.csv", file);
    let server = source.start();
    let database = Database::create();
    database.execute("CREATE TABLE limits (kind text, a numeric, b numeric(40,2), c jsonb)");

    let mut command = run(server.url(), "limits", "limits", &database.url);
    let outcome = finish(command.args(["--max-rejects", "100%"])).expect_code(0);

    let summary = outcome.summary();
    let account = |name: &str| summary["rows"][name].as_u64().unwrap();
    let (loaded, quarantined) = (account("loaded"), account("quarantined"));
    assert_eq!((account("read"), loaded + quarantined), (10, 10));
    assert_eq!(database.count("limits"), loaded);
    assert_eq!(database.count("ferry.quarantine"), quarantined);
    let good = "SELECT count(*) FROM limits WHERE kind = 'good' AND a = 1.5 AND b = 2.25 \
                AND c = '{\"n\": 1000}'";
    assert_eq!(database.number(good), 5);
}

#[test]
fn a_target_that_was_dropped_after_it_was_loaded_is_not_made_anew() {
    let source = dataset("gone", None);
    source.write("gone.csv", "id\n1\n");
    let server = source.start();
    let database = Database::create();
    load(&server, "gone", &database).expect_code(0);
    assert_eq!(database.count("gone"), 1);
    database.execute("DROP TABLE gone");
    let assert_refused = || {
        load(&server, "gone", &database).expect_code(8).expect_text("another job name");
        let table = database.value("SELECT to_regclass('public.gone') IS NULL");
        assert_eq!(table, "t", "a table was made");
    };

    assert_refused();
    source.append("gone.csv", "2\n");
    assert_refused();

    let mut command = run(server.url(), "gone", "gone", &database.url);
    finish(command.args(["--create", "--name", "gone anew"])).expect_code(0);
    assert_eq!(database.count("gone"), 2);
}

#[test]
fn a_table_with_and_without_its_schema_is_the_same_job() {
    let source = dataset("grow", None);
    source.write("grow.csv", "id\n1\n2\n");
    let server = source.start();
    let database = Database::create();
    let load = |table: &str| {
        let mut command = run(server.url(), "grow", table, &database.url);
        finish(command.arg("--create")).expect_code(0).summary()
    };

    assert_eq!(load("public.grow")["rows"]["loaded"], 2);
    assert_eq!(load("grow")["state"], "nothing_new");

    source.append("grow.csv", "3\n");
    assert_eq!(load("grow")["rows"]["loaded"], 1);
    assert_eq!(database.rows("SELECT id FROM grow ORDER BY id"), [["1"], ["2"], ["3"]]);
}

#[test]
fn files_without_a_header_do_not_stop_the_others() {
    for min_age in [None, Some("0s")] {
        let source = dataset("mixed", min_age);
        source.write("a.csv", "\n");
        source.write("b.csv", "\u{feff}");
        source.write("c.csv", "id,v\n1,a\n2,b\n");
        let server = source.start();
        let database = Database::create();

        let summary = load(&server, "mixed", &database).expect_code(0).summary();

        let rows = json!({ "read": 2, "loaded": 2, "quarantined": 0, "filtered": 0 });
        assert_eq!(summary["rows"], rows, "min_age {min_age:?}");
        let stored = database.rows("SELECT id, v FROM mixed ORDER BY id");
        assert_eq!(stored, [["1", "a"], ["2", "b"]]);
        let again = load(&server, "mixed", &database).expect_code(0).summary();
        assert_eq!(again["state"], "nothing_new", "min_age {min_age:?}");
    }
}

#[test]
fn a_job_file_that_is_not_there_is_told_as_json_too() {
    let outcome = finish(&mut client(["run", "--json", "nowhere.toml"])).expect_code(2);
    let error = &outcome.summary()["error"];
    assert_eq!(error["code"], "configuration");
    assert!(error["message"].as_str().unwrap().contains("nowhere.toml"), "{error}");
}

#[test]
fn a_job_file_with_a_syntax_error_does_not_show_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let job = write_job(folder.path(), "[database]\nurl = \"postgres://u:hunter2@h/d\" x\n");
    for verb in [&["run"][..], &["run", "--json"], &["plan"], &["status"]] {
        let outcome = finish(client(verb).arg(&job)).expect_code(2).expect_text("job.toml");
        assert!(!outcome.text().contains("hunter2"), "{verb:?}:\n{}", outcome.text());
    }
}

#[test]
fn a_plan_that_waits_for_a_silent_source_can_be_interrupted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let source_url = format!("http://{}", listener.local_addr().unwrap());
    let database = Database::create();
    let mut command = client(["plan", "--source", &source_url, "--dataset", "people"]);
    command.args(["--table", "people", "--create", "--database", &database.url]);
    let plan = Process::spawn(&mut command);
    let silent = wait_for("the client to connect", 30, || listener.accept().ok());

    plan.signal("INT");

    plan.finish_within(5).expect_code(130);
    drop(silent);
}
