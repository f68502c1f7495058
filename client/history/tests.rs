//! What is shown of runs, for people and for machines.

use super::*;
use crate::ledger::runs::RunState;
use crate::ledger::workers::WorkerId;

fn summary() -> RunSummary {
    RunSummary {
        run_id: RunId(12),
        job: "customers".to_owned(),
        state: RunState::Failed,
        started_at: "2026-01-31 12:00:00 UTC".to_owned(),
        finished_at: None,
        milliseconds: 8_600,
        rows_in_source: 100,
        read: 60,
        loaded: 50,
        quarantined: 7,
        filtered: 3,
        workers: 2,
        error_code: Some("source_refused".to_owned()),
        error_message: Some("no such dataset".to_owned()),
    }
}

fn worker(left_at: Option<&str>, is_alive: bool) -> WorkerDetails {
    WorkerDetails {
        worker_id: WorkerId(10),
        host: "loader-1".to_owned(),
        process_id: 4711,
        joined_at: "2026-01-31 12:00:00 UTC".to_owned(),
        left_at: left_at.map(str::to_owned),
        is_alive,
        commits: 3,
        rows: 60,
    }
}

fn run() -> Run {
    let details = RunDetails {
        summary: summary(),
        source_url: "http://source-host:7443".to_owned(),
        dataset: "customers".to_owned(),
        target: "users, crm.people".to_owned(),
        pii_key_id: None,
        ferry_version: "1.0.0".to_owned(),
        workers: vec![worker(None, true), worker(None, false)],
        commits: 3,
        first_commit_at: Some("2026-01-31 12:00:01 UTC".to_owned()),
        last_commit_at: Some("2026-01-31 12:00:08 UTC".to_owned()),
    };
    let count = RejectCount { code: "bad_date".to_owned(), column: None, count: 7 };
    let tables = vec![("users".to_owned(), 50), ("crm.people".to_owned(), 20)];
    Run { details, files: Vec::new(), tables, rejects: vec![count] }
}

#[test]
fn tables_are_told_apart_even_if_a_name_has_a_comma() {
    assert_eq!(table_names("users"), ["users"]);
    assert_eq!(table_names("users, crm.people"), ["users", "crm.people"]);
    let quoted = "\"a, b\", \"c\"\"d, e\".f, g";
    assert_eq!(table_names(quoted), ["\"a, b\"", "\"c\"\"d, e\".f", "g"]);
}

#[test]
fn a_worker_is_at_work_gone_or_lost() {
    assert_eq!(left_words(&worker(None, true)), "at work");
    assert_eq!(left_words(&worker(None, false)), "lost");
    let left = "2026-01-31 12:30:00 UTC";
    assert_eq!(left_words(&worker(Some(left), false)), left);
}

#[test]
fn a_list_tells_how_far_each_run_came() {
    let table = runs_table(&[summary()]).to_string();
    for cell in ["12", "customers", "failed", "60/100", "50"] {
        assert!(table.contains(cell), "{cell} is not in\n{table}");
    }
    let runs = runs_json(&[summary()]);
    assert_eq!(runs[0]["rows"]["loaded"], 50);
    assert_eq!(runs[0]["worker_count"], 2);
    assert_eq!(runs[0]["error"], "source_refused");
}

#[test]
fn one_run_is_told_with_its_error() {
    let facts = run().facts();
    let fact = |wanted: &str| {
        let found = facts.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(fact("error"), Some("source_refused: no such dataset"));
    assert_eq!(fact("finished"), Some("not yet"));
    let commits = "3, from 2026-01-31 12:00:01 UTC to 2026-01-31 12:00:08 UTC";
    assert_eq!(fact("commits"), Some(commits));
    let rows = "read 60 of 100: loaded 50, quarantined 7, filtered 3";
    assert_eq!(fact("rows"), Some(rows));
}

#[test]
fn one_run_is_told_to_machines() {
    let document = run().to_json();
    assert_eq!(document["run_id"], 12);
    assert_eq!(document["tables"][1], json!({ "table": "crm.people", "written": 20 }));
    assert_eq!(document["workers"][0]["worker_id"], "000000000000000a");
    assert_eq!(document["workers"][1]["is_alive"], false);
    assert_eq!(document["rejects"], json!([{ "code": "bad_date", "column": null, "count": 7 }]));
    assert_eq!(document["files"], json!([]));
    assert_eq!(document["error_message"], "no such dataset");
}
