//! `status` tells what is loaded of each file, `runs` what ran, `runs show` all of one run; for people and for machines.

use serde_json::{Value, json};

use super::{APPEND, UPSERT, loaded, run};
use crate::hosts::{client, finish};
use crate::stages::Trip;

/// Three people, and later two more of whom one is refused.
fn trip_of_two_runs() -> Trip {
    let trip = loaded(APPEND);
    trip.source.append("people.csv", "4,Dora\nfive,Eve\n");
    trip.source.write("third.csv", "uid,name\n6,Ida\n");
    trip.run(APPEND).expect_code(0);
    trip
}

/// What is told of the file of this name.
fn file<'a>(document: &'a Value, name: &str) -> &'a Value {
    let files = document["files"].as_array().unwrap();
    files.iter().find(|file| file["name"] == name).unwrap()
}

/// A verb without the job file, for one job by its name.
fn by_name(trip: &Trip, words: &[&str], name: &str) -> Value {
    let mut command = client(words);
    command.args(["--json", "--name", name, "--database", &trip.database.url]);
    finish(&mut command).expect_code(0).summary()
}

#[test]
fn status_tells_of_each_file_what_is_loaded_by_all_runs() {
    let trip = trip_of_two_runs();

    let status = trip.verb(&["status", "--json"], APPEND).expect_code(0).summary();

    assert_eq!(status["files"].as_array().unwrap().len(), 3);
    let people = file(&status, "people.csv");
    let accounts = ["planned_rows", "loaded", "quarantined", "filtered", "rows_left"];
    assert_eq!(accounts.map(|name| people[name].as_u64().unwrap()), [4, 3, 1, 0, 0]);
    assert_eq!(
        people["size_bytes"],
        std::fs::metadata(trip.source.path("people.csv")).unwrap().len()
    );
    assert!(people["last_commit_at"].as_str().unwrap().ends_with("UTC"), "{people}");
    assert_eq!(file(&status, "second.csv")["loaded"], 1);
    assert_eq!(status["runs"].as_array().unwrap().len(), 2);
    assert_eq!(by_name(&trip, &["status"], "people")["files"], status["files"]);
    assert_eq!(by_name(&trip, &["status"], "another")["files"], json!([]));

    let shown = trip.verb(&["status"], APPEND).expect_code(0);
    for part in ["people.csv", "second.csv", "third.csv", "finished"] {
        assert!(shown.stdout.contains(part), "{part} is missing in:\n{}", shown.stdout);
    }
}

#[test]
fn status_counts_a_file_that_is_loaded_again_once() {
    let trip = loaded(UPSERT);
    run(&trip, &["--reload"], UPSERT).expect_code(0);

    let status = trip.verb(&["status", "--json"], UPSERT).expect_code(0).summary();

    assert_eq!(status["files"].as_array().unwrap().len(), 2);
    let people = file(&status, "people.csv");
    assert_eq!((&people["planned_rows"], &people["loaded"]), (&json!(2), &json!(2)));
}

#[test]
fn runs_are_listed_with_the_newest_first() {
    let trip = trip_of_two_runs();

    let listed = trip.verb(&["runs", "--json"], APPEND).expect_code(0).summary();

    let runs = listed["runs"].as_array().unwrap();
    let told: Vec<_> = runs.iter().map(|run| (&run["run_id"], &run["rows"]["loaded"])).collect();
    assert_eq!(told, [(&json!(2), &json!(2)), (&json!(1), &json!(3))]);
    assert!(runs.iter().all(|run| run["state"] == "finished" && run["job"] == "people"));
    assert_eq!(by_name(&trip, &["runs"], "people"), listed);
    assert_eq!(by_name(&trip, &["runs"], "another")["runs"], json!([]));
    let last = trip.verb(&["runs", "--json", "--limit", "1"], APPEND).expect_code(0).summary();
    assert_eq!(last["runs"], json!([runs[0]]));

    let shown = trip.verb(&["runs"], APPEND).expect_code(0);
    let lines = shown.stdout.lines().filter(|line| line.contains("finished"));
    assert_eq!(lines.count(), 2, "{}", shown.stdout);
}

#[test]
fn all_of_one_run_is_shown() {
    let trip = trip_of_two_runs();
    let show = |id: &str, flags: &[&str]| {
        let mut command = client(["runs", "show", id, "--database", &trip.database.url]);
        finish(command.args(flags))
    };

    let run = show("2", &["--json"]).expect_code(0).summary();

    assert_eq!((&run["run_id"], &run["job"]), (&json!(2), &json!("people")));
    assert_eq!((&run["state"], &run["dataset"]), (&json!("finished"), &json!("people")));
    let rows = json!({ "read": 3, "loaded": 2, "quarantined": 1, "filtered": 0 });
    assert_eq!(run["rows"], rows);
    assert_eq!(file(&run, "people.csv")["quarantined"], 1);
    let reject = json!({ "code": "bad_integer", "column": "uid", "count": 1 });
    assert_eq!(run["rejects"], json!([reject]));
    let workers = run["workers"].as_array().unwrap();
    let rows: u64 = workers.iter().map(|worker| worker["rows"].as_u64().unwrap()).sum();
    assert_eq!(rows, 3, "{workers:?}");
    assert!(workers.iter().all(|worker| worker["left_at"].is_string()), "{workers:?}");
    assert!(run["commits"].as_u64().unwrap() >= 1, "{run}");

    let shown = show("2", &[]).expect_code(0);
    for part in ["people.csv", "third.csv", "bad_integer", "finished", "people"] {
        assert!(shown.stdout.contains(part), "{part} is missing in:\n{}", shown.stdout);
    }
    assert!(!shown.stdout.contains("second.csv"), "it has nothing of that run");
    assert_ne!(show("77", &[]).expect_text("77").code, Some(0));
    assert_ne!(show("2", &["--name", "another"]).code, Some(0));
}

#[test]
fn a_run_that_failed_says_why() {
    let trip = loaded(APPEND);
    trip.source.append("people.csv", "four,Dora\n");
    trip.run(&[APPEND, "[load]\nmax_rejects = 0\n"].concat()).expect_code(5);

    let mut command = client(["runs", "show", "2", "--json", "--database", &trip.database.url]);
    let run = finish(&mut command).expect_code(0).summary();

    assert_eq!((&run["state"], &run["error"]), (&json!("failed"), &json!("rejects_over_limit")));
    let message = run["error_message"].as_str().unwrap();
    assert!(message.contains("max_rejects"), "{message}");
    trip.verb(&["runs"], APPEND).expect_code(0).expect_text("failed");
}
