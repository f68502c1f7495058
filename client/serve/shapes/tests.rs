//! What a job is said to be doing, and how runs are written.

use std::time::Duration;

use super::runs::{RunFile, closes};
use super::*;
use crate::ledger::RunId;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn beginning(run_before: Option<i64>) -> Beginning {
    Beginning { at: at(1_000_000_000), run_before }
}

fn failed(run_before: Option<i64>, run_id: Option<i64>) -> Standing {
    let message = "nobody is there".to_owned();
    let failure = Failure { at: at(1_000_000_005), run_id, code: "source_unreachable", message };
    Standing::Failed(beginning(run_before), failure)
}

fn last(run_id: i64) -> LastRun<'static> {
    let started_at = "2001-09-09T01:46:39.000001Z";
    LastRun { run_id, is_running: false, is_worked_at: false, started_at }
}

fn activity(
    standing: Option<&Standing>,
    last: Option<&LastRun<'_>>,
) -> (ActivityState, Option<i64>) {
    let activity = Activity::of(standing, last);
    (activity.state, activity.run_id)
}

#[test]
fn a_job_without_a_run_is_idle() {
    assert_eq!(activity(None, None), (ActivityState::Idle, None));
    assert_eq!(activity(None, Some(&last(4))), (ActivityState::Idle, None));
}

#[test]
fn a_run_of_another_process_runs_while_a_worker_lives() {
    let running = LastRun { is_running: true, ..last(4) };
    assert_eq!(activity(None, Some(&running)), (ActivityState::Idle, None), "its process died");
    let running = LastRun { is_worked_at: true, ..running };
    assert_eq!(activity(None, Some(&running)), (ActivityState::Running, Some(4)));
    let since = Activity::of(None, Some(&running)).since;
    assert_eq!(since.as_deref(), Some("2001-09-09T01:46:39.000001Z"));
    let earlier = failed(Some(3), None);
    assert_eq!(activity(Some(&earlier), Some(&running)), (ActivityState::Running, Some(4)));
}

#[test]
fn a_run_that_was_asked_for_starts_until_the_ledger_knows_it() {
    let started = Standing::UnderWay(beginning(Some(4)));
    assert_eq!(activity(Some(&started), Some(&last(4))), (ActivityState::Starting, None));
    let resumed = LastRun { is_running: true, ..last(4) };
    assert_eq!(activity(Some(&started), Some(&resumed)), (ActivityState::Running, Some(4)));
    let new = LastRun { is_running: true, ..last(5) };
    assert_eq!(activity(Some(&started), Some(&new)), (ActivityState::Running, Some(5)));
    assert_eq!(
        activity(Some(&started), Some(&last(5))),
        (ActivityState::Running, Some(5)),
        "the ledger knows its end a moment before this process does"
    );
    let first = Standing::UnderWay(beginning(None));
    assert_eq!(activity(Some(&first), None), (ActivityState::Starting, None));
    assert_eq!(activity(Some(&first), Some(&last(1))), (ActivityState::Running, Some(1)));
    let since = Activity::of(Some(&first), None).since;
    assert_eq!(since.as_deref(), Some("2001-09-09T01:46:40.000Z"));
}

#[test]
fn a_failure_is_told_until_another_run_begins() {
    let before_it_began = failed(Some(4), None);
    assert_eq!(activity(Some(&before_it_began), Some(&last(4))), (ActivityState::Failed, None));
    assert_eq!(activity(Some(&before_it_began), Some(&last(5))), (ActivityState::Idle, None));
    let in_its_midst = failed(Some(4), Some(5));
    assert_eq!(activity(Some(&in_its_midst), Some(&last(5))), (ActivityState::Failed, Some(5)));
    assert_eq!(activity(Some(&in_its_midst), Some(&last(6))), (ActivityState::Idle, None));
    let told = Activity::of(Some(&in_its_midst), Some(&last(5)));
    assert_eq!(told.error.expect("an error").code, "source_unreachable");
    assert_eq!(told.since.as_deref(), Some("2001-09-09T01:46:45.000Z"));
}

#[test]
fn a_run_is_written_with_every_field() {
    let run = history::RunSummary {
        run_id: RunId(12),
        job: "people".to_owned(),
        state: RunState::Failed,
        started_at: "2026-01-31T12:00:00.000000Z".to_owned(),
        finished_at: None,
        milliseconds: 8_250,
        rows_in_source: 100,
        read: 60,
        loaded: 50,
        quarantined: 7,
        filtered: 3,
        workers: 2,
        error_code: Some("source_refused".to_owned()),
        error_message: Some("no such dataset".to_owned()),
    };
    let written = serde_json::to_value(RunSummary::from(run)).expect("JSON");
    let expected = serde_json::json!({
        "run_id": 12,
        "job": "people",
        "state": "failed",
        "started_at": "2026-01-31T12:00:00.000000Z",
        "finished_at": null,
        "seconds": 8.25,
        "rows": { "in_source": 100, "read": 60, "loaded": 50, "quarantined": 7, "filtered": 3 },
        "workers": 2,
        "error": { "code": "source_refused", "message": "no such dataset" },
    });
    assert_eq!(written, expected);
}

#[test]
fn a_run_closes_if_every_record_of_every_file_is_somewhere() {
    let file = |in_source: u64, read: u64, loaded: u64| RunFile {
        name: "a.csv".to_owned(),
        rows_in_source: in_source,
        read,
        loaded,
        quarantined: 1,
        filtered: 0,
        splits_done: 1,
        splits_total: 1,
    };
    assert!(closes(RunState::Finished, &[file(10, 10, 9)]));
    assert!(!closes(RunState::Finished, &[file(10, 10, 9), file(10, 9, 8)]), "a record is missing");
    assert!(closes(RunState::Running, &[file(10, 9, 8)]), "the rest is still to come");
    assert!(!closes(RunState::Running, &[file(10, 9, 9)]), "a row is there twice");
}
