//! A run is started on the page or elsewhere, watched while it goes on, and found again in the history.

use serde_json::json;

use super::{LOADED, ROWS, Shown};
use crate::gate;
use crate::hosts::{Process, client};

/// Splits of a few thousand rows each.
const SPLIT: &str = "64KiB";
const MANY: u64 = 8_000;
/// The run waits here, in the middle.
const HELD: u64 = 4_000;

/// Makes the tables, one of which holds a row up until the gate is opened.
fn with_gate(shown: &Shown, uid: u64) {
    let database = &shown.trip.database;
    database.execute(
        "CREATE TABLE users (uid integer PRIMARY KEY, email text, name text); \
         CREATE TABLE notes (uid integer PRIMARY KEY, note text)",
    );
    let trigger = format!(
        "CREATE TRIGGER held BEFORE INSERT ON notes FOR EACH ROW \
         WHEN (NEW.uid = {uid}) EXECUTE FUNCTION public.hold_up()"
    );
    gate::build(database, &trigger);
}

#[test]
fn a_run_that_is_started_on_the_page_is_watched_to_its_end_and_stands_in_the_history() {
    let shown = Shown::unloaded(ROWS);
    with_gate(&shown, 1);
    let browser = &shown.browser;
    shown.open("/", "one('@job-row')");
    assert_eq!(browser.text("@job-state"), "idle");
    assert_eq!(browser.text("@start-run"), "Start run");

    browser.click("@start-run");
    browser.wait_for_text("@toast", "A run of people is starting");
    gate::wait_there(&shown.trip.database);
    browser.wait("text('@job-state') === 'running' && one('@start-run').disabled");
    browser.click("@watch-run");
    browser.wait("one('@connection')?.dataset.state === 'live'");
    let now = "[text('@run-state'), text('@rows-read'), text('@rate'), text('@split-share')]";
    assert_eq!(browser.evaluate(now), json!(["running", "0", "0 rows/s", "0%"]));
    assert_eq!(shown.trip.database.count("users"), 0);

    gate::open(&shown.trip.database);
    browser
        .wait("text('@run-state') === 'finished' && one('@connection').dataset.state === 'ended'");
    browser.wait("text('@accounts-verdict') === 'accounts close'");
    let sums = "['read', 'loaded', 'quarantined', 'filtered'] \
        .map((name) => text(`[data-test=rows-${name}]`))";
    assert_eq!(browser.evaluate(sums), json!(["120", "117", "3", "0"]));
    browser.wait("text('@split-share') === '100%' && one('@rate-chart path')");
    browser.wait_for_text("@run-rejects", "bad_integer");
    browser.wait_for_text("@run-rejects", "no_match");
    browser.wait_for_text("@run-file", "people.csv");
    browser.wait("text('@run-workers')?.includes('left')");
    browser.wait("text('#announce').includes('finished')");
    assert_eq!(shown.trip.database.count("users"), LOADED);

    browser.click("@nav-runs");
    browser.wait("all('@run-row').length === 1");
    assert_eq!(browser.text("@run-row @run-state"), "finished");
    // A click anywhere on the row opens it.
    browser.click("@run-row td:last-child");
    browser.wait("text('h1') === 'Run 1' && text('@accounts-verdict') === 'accounts close'");
    browser.wait("one('@rate-chart path')");
    browser.click("@nav-jobs");
    browser.wait("text('@job-state') === 'finished' && !one('@start-run').disabled");
    assert_eq!(browser.text("@open-quarantine"), "3");
    shown.browser.finish();
}

#[test]
fn a_run_of_another_process_is_watched_live_split_by_split() {
    let shown = Shown::unloaded(MANY);
    with_gate(&shown, HELD);
    let browser = &shown.browser;
    shown.open("/ui/runs", "one('@empty')");
    let mut command = client(["run", "--json", "--split-bytes", SPLIT]);
    let process = Process::spawn(command.arg(shown.trip.job(&shown.rules())));
    shown.wait_for_run();

    browser.click("@nav-jobs");
    browser.click("@watch-run");
    browser.wait("one('@connection')?.dataset.state === 'live'");
    // Some splits are done and some are not, while one row in the middle waits.
    let part = "all('@split[data-done=true]').length > 0 \
        && all('@split[data-done=false]').length > 0 && Number(text('@rows-read').replace(',', ''))";
    let read = browser.wait(part).as_u64().unwrap();
    assert!(read < MANY, "{read} rows of {MANY}");
    gate::wait_there(&shown.trip.database);
    let verdict = browser.text("@accounts-verdict");
    assert!(verdict == "accounts close so far" || verdict.contains("on the way"), "{verdict}");
    browser.wait_for_text("@rate", "rows/s");
    assert_eq!(browser.text("@run-state"), "running");

    gate::open(&shown.trip.database);
    browser.wait(&format!("Number(text('@rows-read').replace(',', '')) > {read}"));
    browser.wait(
        "text('@run-state') === 'finished' && text('@accounts-verdict') === 'accounts close'",
    );
    browser.wait("all('@split').length > 3 && all('@split[data-done=false]').length === 0");
    assert_eq!(browser.text("@rows-read"), "8,000");
    assert_eq!(browser.text("@rows-loaded"), "7,997");
    assert_eq!(browser.text("@rows-in-source"), "100% of 8,000 rows in the source");
    process.finish().expect_code(0);
    assert_eq!(shown.trip.database.count("users"), MANY - 3);
    shown.browser.finish();
}
