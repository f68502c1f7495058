//! A run that is started here is watched to its end, and its accounts close; a second one has to wait.

use serde_json::{Value, json};

use super::{RULES, Served};
use crate::gate;
use crate::hosts::{finish, wait_for};

/// Holds a run up at its first row of users until the gate is opened.
fn with_gate(served: &Served) {
    let database = &served.trip.database;
    database
        .execute("CREATE TABLE users (uid integer PRIMARY KEY, email text, name text, note text)");
    gate::build(
        database,
        "CREATE TRIGGER held BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION public.hold_up()",
    );
}

fn start(served: &Served) -> Value {
    served.web.post("/jobs/people/runs", &Value::Null).expect(202).json()
}

#[test]
fn a_run_that_is_started_is_watched_to_its_end_and_its_accounts_close() {
    let served = Served::unloaded();
    with_gate(&served);
    let started = start(&served);
    assert_eq!(started["job"], "people");
    assert!(["starting", "running"].contains(&started["activity"]["state"].as_str().unwrap()));
    gate::wait_there(&served.trip.database);
    let activity = served.wait_for_state("running");
    let run_id = activity["run_id"].as_u64().unwrap();
    let mut events = served.web.events(&format!("/runs/{run_id}/events"));

    let (name, first) = events.next().unwrap();
    assert_eq!((name.as_str(), &first["state"]), ("progress", &json!("running")));
    assert_eq!(first["rows"]["read"], 0);
    assert_eq!(super::names(&first), super::words("run_id state at rows rows_per_second splits"));
    gate::open(&served.trip.database);
    let rest: Vec<(String, Value)> = events.collect();

    let (name, end) = rest.last().unwrap();
    assert_eq!((name.as_str(), &end["state"]), ("end", &json!("finished")));
    assert_eq!(end["run_id"], run_id);
    let rows = json!({
        "in_source": 20, "read": 20, "loaded": 17, "quarantined": 3, "filtered": 0,
    });
    assert_eq!(end["rows"], rows);
    let progress = &rest[..rest.len() - 1];
    assert!(progress.iter().all(|(name, _)| name == "progress"), "one end, and it is the last");
    let read = |event: &(String, Value)| event.1["rows"]["read"].as_u64().unwrap();
    assert!(progress.windows(2).all(|two| read(&two[0]) <= read(&two[1])), "rows that went away");
    let run = served.web.json(&format!("/runs/{run_id}"));
    assert_eq!((&run["closes"], &run["rows"]), (&json!(true), &rows));
    assert_eq!(served.trip.database.count("users"), 17);
    assert_eq!(served.wait_for_state("idle")["error"], json!(null));
    assert_eq!(served.job()["last_run"]["run_id"], run_id);
}

#[test]
fn a_stream_of_a_run_that_is_over_says_so_and_ends() {
    let served = Served::loaded();
    let events: Vec<(String, Value)> = served.web.events("/runs/1/events").collect();
    let (name, end) = events.last().unwrap();
    assert_eq!((name.as_str(), &end["state"]), ("end", &json!("finished")));
}

#[test]
fn a_second_start_is_a_conflict_while_the_first_is_under_way() {
    let served = Served::unloaded();
    with_gate(&served);
    start(&served);
    gate::wait_there(&served.trip.database);

    for _ in 0..3 {
        let answer = served.web.post("/jobs/people/runs", &Value::Null);
        answer.expect_problem(409, "run_in_progress");
    }
    assert_eq!(served.trip.database.count("ferry.run"), 1);

    gate::open(&served.trip.database);
    served.wait_for_state("idle");
    assert_eq!(served.trip.database.count("users"), 17);
    served.trip.source.append("people.csv", "21,more@canary.example,Name 21,thornbuckle 21\n");
    start(&served);
    wait_for("the row of the second run", 30, || {
        (served.trip.database.count("users") == 18).then_some(())
    });
    served.wait_for_state("idle");
    assert_eq!(served.web.json("/jobs/people/runs")["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn a_run_of_another_process_is_seen_too() {
    let served = Served::unloaded();
    with_gate(&served);
    let client = served.trip.spawn(RULES);
    gate::wait_there(&served.trip.database);

    let activity = served.wait_for_state("running");
    let run_id = activity["run_id"].as_u64().unwrap();
    let events = served.web.events(&format!("/runs/{run_id}/events"));
    gate::open(&served.trip.database);
    let last = events.last().unwrap();

    assert_eq!((last.0.as_str(), &last.1["rows"]["loaded"]), ("end", &json!(17)));
    client.finish().expect_code(0);
    served.wait_for_state("idle");
}

#[test]
fn a_run_that_fails_is_told_with_its_reason_and_serve_goes_on() {
    let mut served = Served::unloaded();
    served.trip.job(&format!("{RULES}[load]\nretries = 0\n"));
    served.trip.server.process.kill();

    start(&served);
    let activity = served.wait_for_state("failed");

    assert_eq!(activity["error"]["code"], "source_unreachable", "{activity}");
    assert!(!activity["error"]["message"].as_str().unwrap().is_empty());
    assert_eq!(served.trip.database.count("users"), 0);
    served.trip.server = served.trip.source.start();
    served.trip.job(RULES);
    start(&served);
    served.wait_for_state("idle");
    assert_eq!(served.trip.database.count("users"), 17, "the job file is read anew");
}

#[test]
fn runs_and_splits_are_paged() {
    let served = Served::loaded();
    for uid in 21..=25 {
        let line = format!("{uid},x@canary.example,Name {uid},thornbuckle {uid}\n");
        served.trip.source.append("people.csv", &line);
        served.trip.run(RULES).expect_code(0);
    }
    let (mut found, mut before) = (Vec::new(), String::new());
    loop {
        let page = served.web.json(&format!("/jobs/people/runs?limit=2{before}"));
        let runs = page["runs"].as_array().unwrap();
        found.extend(runs.iter().map(|run| run["run_id"].as_u64().unwrap()));
        match page["next_before"].as_u64() {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    assert_eq!(found, [6, 5, 4, 3, 2, 1], "the newest first, each once");
    let small = ["run", "--json", "--reload", "--split-bytes", "64KiB"];
    let mut more = String::new();
    for uid in 100..9_000 {
        more.push_str(&[uid.to_string().as_str(), ",e@canary.example,Name,thornbuckle\n"].concat());
    }
    served.trip.source.append("people.csv", &more);
    finish(crate::hosts::client(small).arg(served.trip.job(RULES))).expect_code(0);
    let (mut rows, mut after, mut pages) = (0, String::new(), 0);
    loop {
        let page = served.web.json(&format!("/runs/7/splits?limit=2{after}"));
        for split in page["splits"].as_array().unwrap() {
            rows += split["end_row"].as_u64().unwrap() - split["start_row"].as_u64().unwrap();
        }
        pages += 1;
        match page["next_after"].as_u64() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert!(pages > 1, "one page");
    assert_eq!(rows, 20 + 5 + 8_900);
}
