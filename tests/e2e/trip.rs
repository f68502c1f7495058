//! The first trip: files on the source host become rows in PostgreSQL, once, also when files grow.

use serde_json::json;

use crate::hosts::{Outcome, Server, Source, client, finish, run, write_job};
use crate::postgres::{Database, NULL};

const PEOPLE: &str = "uid,name,joined,balance\n\
    1,Ada,2024-01-02,10.50\n\
    2,\"Grace \"\"G\"\" Hopper\",2024-02-03,\n\
    3,\"\",,0.00\n\
    4,,2024-03-04,-7\n\
    5,\"two\nlines, one field\",2024-03-05,1\n";

fn people() -> (Source, Server) {
    let columns = [("uid", "bigint"), ("joined", "date"), ("balance", "numeric(10,2)")];
    let source = Source::with_dataset("people", &columns);
    source.write("people.csv", PEOPLE);
    let server = source.start();
    (source, server)
}

fn run_people(server: &Server, database: &Database) -> Outcome {
    finish(run(server.url(), "people", "public.people", &database.url).arg("--create"))
}

fn rows_of(outcome: &Outcome) -> serde_json::Value {
    outcome.summary()["rows"].clone()
}

#[test]
fn flags_alone_make_the_table_and_load_it() {
    let (_source, server) = people();
    let database = Database::create();

    let summary = run_people(&server, &database).expect_code(0).summary();

    assert_eq!(summary["state"], "finished");
    let rows = json!({ "read": 5, "loaded": 5, "quarantined": 0, "filtered": 0 });
    assert_eq!(summary["rows"], rows);
    assert_eq!(summary["files"].as_array().map(Vec::len), Some(1));
    assert_eq!(summary["files"][0]["name"], "people.csv");
    assert_eq!(summary["files"][0]["loaded"], 5);
    assert!(summary["error"].is_null());
    let columns =
        [("uid", "bigint"), ("name", "text"), ("joined", "date"), ("balance", "numeric(10,2)")];
    let expected = columns.map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    assert_eq!(database.columns("public.people"), expected);
    let stored = database.rows("SELECT uid, name, joined, balance FROM people ORDER BY uid");
    let expected = [
        ["1", "Ada", "2024-01-02", "10.50"],
        ["2", "Grace \"G\" Hopper", "2024-02-03", NULL],
        ["3", "", NULL, "0.00"],
        ["4", NULL, "2024-03-04", "-7.00"],
        ["5", "two\nlines, one field", "2024-03-05", "1.00"],
    ];
    assert_eq!(stored, expected);
}

#[test]
fn a_job_file_loads_some_columns_into_the_types_of_a_table_that_exists() {
    let (source, server) = people();
    let database = Database::create();
    database.execute(
        "CREATE TABLE users (uid integer, note text DEFAULT 'kept', joined timestamp, name varchar(40))",
    );
    let job = write_job(
        &source.path(""),
        &format!(
            "name = \"some-people\"\n\
             [database]\nurl = \"${{DATABASE_URL}}\"\n\
             [source]\nurl = \"{}\"\ndataset = \"people\"\ncolumns = [\"name\", \"uid\"]\n\
             [[target]]\ntable = \"public.users\"\n",
            server.url()
        ),
    );

    let mut command = client(["run", "--json"]);
    let outcome = finish(command.arg(&job).env("DATABASE_URL", &database.url)).expect_code(0);

    assert_eq!(outcome.summary()["job"], "some-people");
    let stored = database.rows("SELECT uid, name, note, joined FROM users ORDER BY uid LIMIT 2");
    let expected = [["1", "Ada", "kept", NULL], ["2", "Grace \"G\" Hopper", "kept", NULL]];
    assert_eq!(stored, expected);
    assert_eq!(database.count("users"), 5);
}

#[test]
fn the_words_of_a_job_decide_the_type_of_a_new_column() {
    let (source, server) = people();
    let database = Database::create();
    let job = write_job(
        &source.path(""),
        &format!(
            "name = \"typed\"\n[database]\nurl = \"{}\"\n\
             [source]\nurl = \"{}\"\ndataset = \"people\"\n\
             [[column]]\nname = \"uid\"\ntype = \"integer\"\n\
             [[target]]\ntable = \"public.people\"\ncreate = true\n",
            database.url,
            server.url()
        ),
    );

    finish(client(["run", "--json"]).arg(&job)).expect_code(0);

    let columns = database.columns("people");
    assert_eq!(columns[0], ("uid".to_owned(), "integer".to_owned()));
    assert_eq!(database.count("people"), 5);
}

#[test]
fn a_plan_touches_nothing() {
    let (_source, server) = people();
    let database = Database::create();
    let mut command = client(["plan", "--source", server.url(), "--dataset", "people"]);
    command.args(["--table", "public.people", "--database", &database.url, "--create"]);

    let outcome = finish(&mut command).expect_code(0);

    outcome.expect_text("people.csv").expect_text("create table").expect_text("numeric(10,2)");
    let tables = database.number(
        "SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace \
         WHERE nspname IN ('public', 'ferry')",
    );
    assert_eq!(tables, 0, "tables after a plan");
}

#[test]
fn a_finished_file_is_not_loaded_again_and_a_grown_one_continues() {
    let (source, server) = people();
    let database = Database::create();
    run_people(&server, &database).expect_code(0);

    let second = run_people(&server, &database).expect_code(0);
    assert_eq!(second.summary()["state"], "nothing_new");
    assert_eq!(database.count("people"), 5);

    source.append("people.csv", "6,Edsger,2024-05-06,1\n7,Barbara,2024-05-07,2\n");
    let third = run_people(&server, &database).expect_code(0);
    assert_eq!(rows_of(&third)["loaded"], 2);
    let uids = database.value("SELECT string_agg(uid::text, ',' ORDER BY uid) FROM people");
    assert_eq!(uids, "1,2,3,4,5,6,7");
}

#[test]
fn a_rewritten_file_is_refused_and_nothing_of_it_is_loaded() {
    let (source, server) = people();
    let database = Database::create();
    run_people(&server, &database).expect_code(0);
    database.execute("CREATE TABLE before AS TABLE people");

    // Longer than before, so that it looks like a file that grew.
    source.write("people.csv", PEOPLE.replace("Ada", "Eve") + "6,Edsger,2024-05-06,1\n");
    let outcome = run_people(&server, &database).expect_code(7);

    assert_eq!(outcome.summary()["state"], "failed");
    assert!(outcome.summary()["error"]["code"].is_string());
    outcome.expect_text("people.csv").expect_text("rewritten");
    database.assert_same_rows("TABLE people", "TABLE before");

    // The same size as before.
    source.write("people.csv", PEOPLE.replace("Ada", "Eve"));
    run_people(&server, &database).expect_code(7);
    database.assert_same_rows("TABLE people", "TABLE before");
}

/// A file of two rows that counts as complete although its last line has no end.
fn numbers_without_last_line_end() -> Source {
    let source = Source::new(
        "[[dataset]]\nname = \"numbers\"\nfiles = [\"*.csv\"]\nmin_age = \"0s\"\n\
         [dataset.columns]\nn = \"integer\"\n",
    );
    source.write("numbers.csv", "n,word\n1,one\n2,two");
    source
}

#[test]
fn a_last_line_without_terminator_is_a_row_and_the_file_may_go_on_after_it() {
    let source = numbers_without_last_line_end();
    let server = source.start();
    let database = Database::create();
    let load = || finish(run(server.url(), "numbers", "numbers", &database.url).arg("--create"));

    assert_eq!(rows_of(&load().expect_code(0))["loaded"], 2);
    assert_eq!(load().expect_code(0).summary()["state"], "nothing_new");

    source.append("numbers.csv", "\n3,three\n");
    assert_eq!(rows_of(&load().expect_code(0))["loaded"], 1);
    let words = database.value("SELECT string_agg(word, ' ' ORDER BY n) FROM numbers");
    assert_eq!(words, "one two three");
}

#[test]
fn a_last_record_that_itself_grew_counts_as_rewritten() {
    let source = numbers_without_last_line_end();
    let server = source.start();
    let database = Database::create();
    let load = || finish(run(server.url(), "numbers", "numbers", &database.url).arg("--create"));
    load().expect_code(0);

    source.append("numbers.csv", "fold\n3,three\n");
    load().expect_code(7).expect_text("rewritten");

    let words = database.value("SELECT string_agg(word, ' ' ORDER BY n) FROM numbers");
    assert_eq!(words, "one two");
}

#[test]
fn files_of_a_glob_load_together_with_columns_matched_by_name() {
    let source = Source::new(
        "[[dataset]]\nname = \"days\"\nfiles = [\"day-*.csv\", \"more/**/*.csv\"]\n\
         [dataset.columns]\nn = \"integer\"\n",
    );
    source.write("day-1.csv", "n,word\n1,one\n2,two\n");
    source.write("day-2.csv", "word,n\nthree,3\n");
    source.write("night-1.csv", "n,word\n99,no\n");
    std::fs::create_dir_all(source.path("more/deep")).unwrap();
    source.write("more/deep/day.csv", "n,word,extra\n4,four,x\n");
    let server = source.start();
    let database = Database::create();
    let load = || {
        let mut command = run(server.url(), "days", "days", &database.url);
        finish(command.args(["--create", "--columns", "n,word"])).expect_code(0).summary()
    };

    let summary = load();
    assert_eq!(summary["rows"]["loaded"], 4);
    let names: Vec<_> =
        summary["files"].as_array().unwrap().iter().map(|file| file["name"].clone()).collect();
    assert_eq!(names, ["day-1.csv", "day-2.csv", "more/deep/day.csv"]);
    let words = || database.value("SELECT string_agg(n || word, ' ' ORDER BY n) FROM days");
    assert_eq!(words(), "1one 2two 3three 4four");

    source.write("day-3.csv", "n,word\n5,five\n");
    assert_eq!(load()["rows"]["loaded"], 1);
    assert_eq!(words(), "1one 2two 3three 4four 5five");
}

#[test]
fn status_tells_of_the_run() {
    let (_source, server) = people();
    let database = Database::create();
    run_people(&server, &database).expect_code(0);

    let mut command = client(["status", "--json", "--database", &database.url]);
    let outcome = finish(&mut command).expect_code(0);

    let status: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let status = status.to_string();
    assert!(status.contains("finished") && status.contains("people"), "{status}");
}
