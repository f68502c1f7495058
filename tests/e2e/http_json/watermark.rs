//! How far an API was read never says more than what was loaded: not of rows that were given up, of times that never end, or of runs beside each other.

use std::fs;

use serde_json::json;

use super::{Fetching, HTTP, UPSERT, one, people, person, problems};
use crate::api::{Api, Paging, Trouble};
use crate::hosts::wait_for;

const SINCE: &str =
    "[dataset.incremental]\nparameter = \"updated_since\"\ncolumn = \"updated_at\"\n";
/// Columns that are declared, so that they are known without any page.
const DECLARED: &str = "columns = [\"id\", \"updated_at\"]\n";

fn fetching(count: u64) -> Fetching {
    let api = Api::start(Paging::Cursor, 5, people(1..=count));
    Fetching::new(api, "", &format!("{SINCE}{HTTP}"))
}

fn updated_at(id: u64) -> String {
    person(id)["updated_at"].as_str().unwrap().to_owned()
}

/// Makes each statement that inserts take so many seconds.
fn dawdling(seconds: u32) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$"
    )
}

fn remembered(fetching: &Fetching) -> String {
    fetching.database.value("SELECT max(value) FROM ferry.watermark")
}

#[test]
fn rows_that_are_given_up_are_asked_for_again() {
    let fetching = fetching(5);
    let rules = [DECLARED, UPSERT].concat();
    fetching.run(&rules).expect_code(0);
    fetching.api.set_records(people(1..=9));
    fetching.database.slow_inserts("people", 1);
    fetching.database.execute(&dawdling(4));
    let mut client = fetching.spawn(&rules);
    wait_for("the run", 30, || {
        let running = "SELECT count(*) FROM ferry.run WHERE state = 'running'";
        (fetching.database.number(running) > 0).then_some(())
    });
    // It has planned everything, and loaded nothing of it.
    client.kill();
    assert_eq!(fetching.database.count("people"), 5, "it was killed too late");
    fetching.database.execute(&dawdling(0));
    fs::remove_dir_all(fetching.source.path(".ferry-spool")).unwrap();
    fetching.api.trouble(1, Trouble::Status(404), u32::MAX);

    fetching.run_with(&["--give-up-missing"], &rules).expect_code(7);

    assert_eq!(remembered(&fetching), updated_at(5), "what lies between was not loaded");
    fetching.api.mend();
    // The very page that was given up comes again.
    fetching.run(&rules).expect_code(0);
    assert_eq!(fetching.database.count("people"), 9);
    assert_eq!(remembered(&fetching), updated_at(9));
}

#[test]
fn a_run_that_asked_before_another_one_does_not_take_it_back() {
    let fetching = fetching(5);
    fetching.run(UPSERT).expect_code(0);
    fetching.asked();
    fetching.api.set_records(people(1..=9));
    fetching.api.trouble(1, Trouble::Held, 1);
    let late = fetching.spawn(UPSERT);
    wait_for("the page that is held", 30, || (!fetching.api.requests().is_empty()).then_some(()));
    fetching.api.set_records(people(1..=20));
    fetching.run(UPSERT).expect_code(0);
    assert_eq!(remembered(&fetching), updated_at(20));

    fetching.api.mend();
    late.finish().expect_code(0);

    assert_eq!(remembered(&fetching), updated_at(20));
    fetching.assert_holds(&people(1..=20));
}

#[test]
fn a_page_with_a_time_that_lies_far_ahead_does_not_count_and_comes_again() {
    let mut records = people(1..=8);
    records[6]["updated_at"] = json!("9999-12-31T00:00:00Z");
    let api = Api::start(Paging::Cursor, 5, records);
    let fetching = Fetching::new(api, "", &format!("{SINCE}{HTTP}"));

    fetching.run(UPSERT).expect_code(0);

    assert_eq!(fetching.database.count("people"), 8, "as a row it is as good as any");
    assert_eq!(remembered(&fetching), updated_at(5), "nothing would come after it");
    assert!(fetching.server.process.stderr().contains("incremental.max_ahead"));
    // It was mended at the source.
    fetching.api.set_records(people(1..=9));
    fetching.run(UPSERT).expect_code(0);
    fetching.assert_holds(&people(1..=9));
    assert_eq!(remembered(&fetching), updated_at(9));
}

#[test]
fn a_watermark_that_lies_far_ahead_is_told_instead_of_asked_with() {
    let mut fetching = fetching(5);
    fetching.run(UPSERT).expect_code(0);
    fetching.database.execute("UPDATE ferry.watermark SET value = '2999-01-01T00:00:00Z'");
    fetching.api.set_records(people(1..=9));
    fetching.asked();

    let outcome = fetching.run(UPSERT).expect_code(7).expect_text("ferry.watermark");

    assert_eq!(problems(&outcome.summary()), one("page-000001"));
    assert!(!outcome.text().contains("2999"), "it is a value of a record");
    assert_eq!(fetching.api.requests().len(), 0, "there is nothing to ask for");
    // Some columns do hold what is to come.
    fetching.mend("", &format!("{SINCE}max_ahead = \"3660d\"\n{HTTP}"));
    fetching.run(UPSERT).expect_code(7);
    fetching.database.execute("DELETE FROM ferry.watermark");
    fetching.run(UPSERT).expect_code(0);
    fetching.assert_holds(&people(1..=9));
    assert_eq!(remembered(&fetching), updated_at(9));
}

#[test]
fn a_time_that_never_ends_does_not_count() {
    let mut records = people(1..=5);
    records[2]["updated_at"] = json!("infinity");
    let api = Api::start(Paging::Cursor, 5, records);
    let fetching = Fetching::new(api, "", &format!("{SINCE}{HTTP}"));

    fetching.run(UPSERT).expect_code(0);

    assert_eq!(remembered(&fetching), updated_at(5), "nothing would come after it");
    assert_eq!(fetching.database.count("people"), 5);
}
