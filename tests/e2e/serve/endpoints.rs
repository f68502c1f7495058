//! Each path answers in its shape, and what cannot be answered is a problem with a code.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{RULES, Served, names, words};
use crate::hosts::{wait_for, write_job};
use crate::postgres::Database;
use crate::proxy::Proxy;
use crate::web::Web;

const RUN: &str = "run_id job state started_at finished_at seconds rows workers error";
const ROWS: &str = "in_source read loaded quarantined filtered";
const JOB: &str = "name source_url dataset tables last_run activity open_quarantine trouble";
const ENTRY: &str = "quarantine_id run_id file is_page row_number byte_start byte_end stage code column \
    reasons constraint state created_at settled_at";

#[test]
fn jobs_and_runs_answer_in_their_shapes() {
    let served = Served::loaded();
    let web = &served.web;

    let jobs = web.json("/jobs");
    let job = &jobs["jobs"][0];
    assert_eq!(names(job), words(JOB));
    assert_eq!(job["tables"], json!(["public.users", "public.notes"]));
    assert_eq!((&job["name"], &job["open_quarantine"]), (&json!("people"), &json!(3)));
    assert_eq!(job["trouble"], json!(null));
    assert_eq!(names(&job["activity"]), words("state run_id since error"));
    assert_eq!(job["activity"]["state"], "idle");
    assert_eq!(names(&job["last_run"]), words(RUN));
    let rows = json!({
        "in_source": 20, "read": 20, "loaded": 17, "quarantined": 3, "filtered": 0,
    });
    assert_eq!(job["last_run"]["rows"], rows);
    assert_eq!(names(&job["last_run"]["rows"]), words(ROWS));

    let job = web.json("/jobs/people");
    assert_eq!(names(&job), words(&format!("{JOB} targets")));
    let target = json!({
        "table": "public.users", "mode": "upsert", "key": ["uid"], "cache": false, "served": true,
    });
    assert_eq!(job["targets"][0], target);
    assert_eq!(job["targets"][1]["served"], false);

    let runs = web.json("/jobs/people/runs");
    assert_eq!(runs["runs"][0], jobs["jobs"][0]["last_run"]);
    assert!(runs["next_before"].is_null());
    let detail = "source_url dataset target commits files rejects workers_list closes";
    let run = web.json("/runs/1");
    assert_eq!(names(&run), words(&format!("{RUN} {detail}")));
    assert_eq!((&run["closes"], &run["state"]), (&json!(true), &json!("finished")));
    let file = json!({
        "name": "people.csv", "rows_in_source": 20, "read": 20, "loaded": 17, "quarantined": 3,
        "filtered": 0, "splits_done": 1, "splits_total": 1,
    });
    assert_eq!(run["files"], json!([file]));
    let rejects = run["rejects"].as_array().unwrap();
    assert!(rejects.contains(&json!({ "code": "bad_integer", "column": "uid", "count": 2 })));
    let worker = "host process_id joined_at left_at is_alive commits rows";
    assert_eq!(names(&run["workers_list"][0]), words(worker));

    let splits = web.json("/runs/1/splits");
    let split = "split_id file start_row end_row next_row loaded quarantined filtered done epoch";
    assert_eq!(names(&splits["splits"][0]), words(split));
    assert_eq!(
        (&splits["splits"][0]["next_row"], &splits["next_after"]),
        (&json!(20), &json!(null))
    );
    let points = web.json("/runs/1/commits");
    let committed = points["points"].as_array().unwrap().iter().map(|point| {
        assert_eq!(names(point), words("at rows"));
        point["rows"].as_u64().unwrap()
    });
    assert_eq!(committed.sum::<u64>(), 20);
    let files = web.json("/jobs/people/files");
    let file = "name dataset size_bytes planned_rows loaded quarantined filtered rows_left \
        last_commit_at problem is_page";
    assert_eq!(names(&files["files"][0]), words(file));
    assert_eq!(
        (&files["files"][0]["rows_left"], &files["files"][0]["is_page"]),
        (&json!(0), &json!(false))
    );
}

#[test]
fn tables_and_refused_rows_answer_in_their_shapes() {
    let served = Served::loaded();
    let web = &served.web;

    let tables = web.json("/tables");
    assert_eq!(names(&tables), words("tables skipped unavailable"));
    assert_eq!(tables["unavailable"], json!([]));
    let table = "table job key columns cache approximate_rows";
    assert_eq!(tables["tables"].as_array().unwrap().len(), 1, "{tables}");
    assert_eq!(names(&tables["tables"][0]), words(table));
    assert_eq!(tables["tables"][0]["columns"], 3);
    let table = web.json("/tables/public.users");
    assert_eq!(names(&table), words("table job key cache_ttl_seconds columns"));
    let column = |name: &str, pii: Value, is_key: bool| {
        let kind = if name == "uid" { "integer" } else { "text" };
        json!({ "name": name, "type": kind, "pii": pii, "is_key": is_key, "nullable": !is_key })
    };
    let columns = [
        column("uid", json!(null), true),
        column("email", json!("hash"), false),
        column("name", json!(null), false),
    ];
    assert_eq!(table["columns"], json!(columns));
    let record = web.json("/tables/public.users/records/3");
    assert_eq!(names(&record), words("table key record found_in ttl_seconds"));
    assert_eq!((&record["key"], &record["record"]["name"]), (&json!("3"), &json!("Name 3")));

    let lineage = web.json("/tables/public.users/lineage");
    assert_eq!(names(&lineage), words("table job columns dropped"));
    let columns = lineage["columns"].as_array().unwrap();
    let email = columns.iter().find(|column| column["target"] == "email").unwrap();
    assert_eq!((&email["sources"], &email["pii"]), (&json!(["email"]), &json!("hash")));
    assert_eq!(email["stages"][0]["stage"], "pseudonymise", "{email}");

    let list = web.json("/jobs/people/quarantine");
    assert_eq!((&list["total"], &list["next_after"]), (&json!(3), &json!(null)));
    let entry = &list["rows"][0];
    assert_eq!(names(entry), words(ENTRY));
    let path = format!("/jobs/people/quarantine/{}", entry["quarantine_id"]);
    let entry = web.json(&path);
    assert_eq!(names(&entry), words(&format!("{ENTRY} record")));
    assert_eq!((&entry["code"], &entry["record"]["uid"]), (&json!("bad_integer"), &json!("x")));
    assert_eq!(entry["record"]["email"].as_str().map(str::len), Some(64), "{entry}");
}

#[test]
fn what_cannot_be_answered_is_a_problem() {
    let served = Served::loaded();
    let web = &served.web;
    for (path, status, code) in [
        ("/jobs/nobody", 404, "job_not_found"),
        ("/jobs/nobody/runs", 404, "job_not_found"),
        ("/jobs/nobody/files", 404, "job_not_found"),
        ("/jobs/nobody/quarantine", 404, "job_not_found"),
        ("/runs/77", 404, "run_not_found"),
        ("/runs/77/splits", 404, "run_not_found"),
        ("/runs/77/events", 404, "run_not_found"),
        ("/runs/first", 400, "bad_path"),
        ("/jobs/people/quarantine/77", 404, "row_not_found"),
        ("/tables/public.nothing", 404, "table_not_found"),
        ("/tables/public.users/records/77", 404, "record_not_found"),
        ("/tables/public.users/records/three", 404, "record_not_found"),
        ("/tables/public.users/records?after=zz", 400, "bad_cursor"),
        ("/tables/public.users/records?after=00", 400, "bad_cursor"),
        ("/tables/public.users/records?limit=0", 400, "bad_limit"),
        ("/tables/public.users/records?limit=501", 400, "bad_limit"),
        ("/tables/public.users/records?limit=many", 400, "bad_query"),
        ("/tables/public.users/records?page=2", 400, "bad_query"),
        ("/jobs/people/quarantine?state=lost", 400, "bad_query"),
        ("/nothing", 404, "path_not_found"),
    ] {
        let answer = web.get(path);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{path}");
        answer.expect_problem(status, code);
    }
    for (method, path) in
        [("DELETE", "/api/v1/jobs/people"), ("POST", "/api/v1/tables"), ("PUT", "/healthz")]
    {
        let answer = web.ask(method, path, &[], "").expect_problem(405, "method_not_allowed");
        assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET")), "{path}");
    }
    let replay = "/jobs/people/quarantine/replay";
    web.post("/jobs/nobody/runs", &Value::Null).expect_problem(404, "job_not_found");
    web.post(replay, &json!({ "ids": [] })).expect_problem(400, "bad_ids");
    web.post(replay, &json!({ "ids": vec![1; 501] })).expect_problem(400, "bad_ids");
    web.post(replay, &json!({ "ids": ["1"] })).expect_problem(400, "bad_body");
    web.post(replay, &json!({ "id": 1 })).expect_problem(400, "bad_body");
    let path = format!("/api/v1{replay}");
    let text = [("content-type", "text/plain")];
    web.ask("POST", &path, &text, "{\"ids\":[1]}").expect_problem(415, "not_json");
    assert_eq!(served.quarantine("state=open").len(), 3, "nothing was replayed");
}

#[test]
fn a_database_that_is_gone_is_told() {
    let served = Served::loaded();
    let Database { url, name, port } = &served.trip.database;
    let proxy = Proxy::start(&format!("127.0.0.1:{port}"));
    let other = format!("postgres://postgres@127.0.0.1:{}/{name}?sslmode=disable", proxy.port());
    let text = std::fs::read_to_string(served.trip.job(RULES)).unwrap().replace(url, &other);
    let web = Web::start(&[write_job(&served.trip.source.path(""), &text)]);
    let path = "/tables/public.users/records/1";
    web.get(path).expect(200);
    proxy.cut();
    wait_for("the record over another connection", 30, || {
        (web.get(path).status == 200).then_some(())
    });

    drop(proxy);

    let problem = web.get(path).expect(503);
    let code = problem.json()["code"].as_str().unwrap().to_owned();
    let problem = problem.expect_problem(503, &code);
    assert!(!problem.body.contains("postgres://"), "{}", problem.body);
    assert_eq!(web.ask("GET", "/healthz", &[], "").expect(200).body.trim(), "ok");
}

/// Writes a job beside the one that runs: another name, another database, another table.
fn write_other(served: &Served, name: &str, url: &str) -> PathBuf {
    let text = std::fs::read_to_string(served.trip.job(RULES)).unwrap();
    let other = text
        .replace(&served.trip.database.url, url)
        .replace("name = \"people\"\n[database]", &format!("name = \"{name}\"\n[database]"))
        .replace("public.users", &format!("public.{name}"));
    let file = format!("{name}.toml");
    served.trip.source.write(&file, other);
    served.trip.source.path(&file)
}

/// Checks that a list of jobs says of one only why its database cannot be asked.
#[track_caller]
fn expect_trouble(job: &Value, name: &str) {
    let told = (&job["name"], &job["last_run"], &job["open_quarantine"]);
    assert_eq!(told, (&json!(name), &json!(null), &json!(null)), "{job}");
    assert!(job["trouble"].as_str().is_some_and(|text| text.contains("database")), "{job}");
    assert_eq!(job["activity"]["state"], "idle", "{job}");
}

#[test]
fn a_database_that_is_gone_hides_no_job_of_another() {
    let served = Served::loaded();
    let lost = write_other(&served, "lost", "postgres://me:hunter2@127.0.0.1:1/none");
    let web = Web::start(&[lost, served.trip.job(RULES)]);

    let answer = web.get("/jobs").expect(200);

    let told = answer.json();
    let jobs = told["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 2, "{told}");
    expect_trouble(&jobs[0], "lost");
    assert_eq!((&jobs[1]["name"], &jobs[1]["trouble"]), (&json!("people"), &json!(null)));
    assert_eq!(
        (&jobs[1]["last_run"]["run_id"], &jobs[1]["open_quarantine"]),
        (&json!(1), &json!(3))
    );
    assert!(!answer.body.contains("hunter2") && !answer.body.contains("postgres"), "{told}");
    web.get("/jobs/lost").expect_problem(503, "database_unreachable");
    web.get("/jobs/people").expect(200);
    let said = web.stop().expect_code(0).text();
    assert!(said.contains("lost") && !said.contains("hunter2"), "{said}");
}

#[test]
fn a_database_that_refuses_a_session_is_not_said_to_be_out_of_reach() {
    let served = Served::loaded();
    let port = served.trip.database.port;
    let nowhere = format!("postgres://postgres@127.0.0.1:{port}/no_such_database?sslmode=disable");
    let web = Web::start(&[write_other(&served, "lost", &nowhere), served.trip.job(RULES)]);

    let told = web.json("/jobs");

    expect_trouble(&told["jobs"][0], "lost");
    let trouble = told["jobs"][0]["trouble"].as_str().unwrap();
    assert!(trouble.contains("refuses") && trouble.contains("log"), "{trouble}");
    web.get("/jobs/lost").expect_problem(503, "database_unreachable");
    let said = web.stop().expect_code(0).text();
    assert!(said.contains("3D000"), "{said}");
}

#[test]
fn silent_databases_hold_up_no_list() {
    let served = Served::loaded();
    // It lets everybody in and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let names: Vec<String> = (0..5).map(|number| format!("silent{number}")).collect();
    let mut jobs: Vec<PathBuf> = Vec::new();
    for name in &names {
        jobs.push(write_other(&served, name, &format!("postgres://postgres@{address}/{name}")));
    }
    jobs.push(served.trip.job(RULES));
    let web = Web::start(&jobs);

    let began = Instant::now();
    let list = web.json("/jobs");
    let tables = web.json("/tables");
    let took = began.elapsed();

    assert!(took < Duration::from_secs(20), "one after the other: {took:?}");
    let jobs = list["jobs"].as_array().unwrap();
    for (job, name) in jobs.iter().zip(&names) {
        expect_trouble(job, name);
    }
    assert_eq!((&jobs[5]["open_quarantine"], &jobs[5]["trouble"]), (&json!(3), &json!(null)));
    assert_eq!(tables["unavailable"], json!(names));
    assert_eq!(tables["tables"][0]["table"], "public.users", "{tables}");
}

#[test]
fn a_database_that_is_gone_hides_no_table_of_another() {
    let served = Served::loaded();
    let lost = write_other(&served, "lost", "postgres://postgres@127.0.0.1:1/none");
    let web = Web::start(&[lost, served.trip.job(RULES)]);

    web.record("public.users", &["1"]).expect(200);
    web.record("public.lost", &["1"]).expect_problem(503, "database_unreachable");
    web.record("public.nobody", &["1"]).expect_problem(404, "table_not_found");

    let tables = web.json("/tables");
    assert_eq!(tables["tables"][0]["table"], "public.users", "{tables}");
    let skipped = tables["skipped"].as_array().unwrap();
    assert!(skipped.iter().any(|table| table["job"] == "lost"), "{tables}");
    assert_eq!(tables["unavailable"], json!(["lost"]));
}

#[test]
fn the_page_and_the_description_are_there_for_everybody() {
    let served = Served::unloaded();
    let web = &served.web;
    for path in ["/", "/ui/jobs/people", "/ui/tables/public.users?key=1"] {
        let page = web.ask("GET", path, &[], "").expect(200);
        assert!(page.header("content-type").unwrap().starts_with("text/html"), "{path}");
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert!(page.header("set-cookie").is_none());
        let tag = page.header("etag").unwrap();
        let again = web.ask("GET", path, &[("if-none-match", tag)], "");
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
    }
    let document = web.json("/openapi.json");
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    for path in [
        "/api/v1/jobs",
        "/api/v1/jobs/{job}/runs",
        "/api/v1/runs/{run_id}/events",
        "/api/v1/jobs/{job}/quarantine/replay",
        "/api/v1/tables/{table}/records/{key}",
        "/api/v1/tables/{table}/lineage",
    ] {
        assert!(document["paths"][path].is_object(), "{path} is not described");
    }
    let docs = web.ask("GET", "/api/docs", &[], "").expect(200);
    assert!(docs.header("content-type").unwrap().starts_with("text/html"));
    let jobs = web.get("/jobs").expect(200);
    assert_eq!(jobs.header("cache-control"), Some("no-store"));
}
