//! Refused rows are filtered, opened, replayed and discarded by hand, and the tables follow.

use serde_json::{Value, json};

use super::{LOADED, REFUSED, Shown, texts};

const OPEN: &str = "/ui/quarantine/people?state=open";

/// Numbers in the file of the rows that the list shows.
fn rows(shown: &Shown) -> Vec<u64> {
    let cells =
        "all('@quarantine-row td[data-label=\"Row in file\"]').map((cell) => cell.textContent)";
    let cells = shown.browser.evaluate(cells);
    texts(&cells).iter().map(|cell| cell.parse().unwrap()).collect()
}

/// Selector of the row of the list with this number in the file.
fn row(shown: &Shown, row_number: u64) -> String {
    let list = shown.web.json("/jobs/people/quarantine");
    let entries = list["rows"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["row_number"] == row_number).unwrap();
    format!("@quarantine-row[data-id='{}']", entry["quarantine_id"])
}

#[test]
fn filters_leave_the_rows_that_fit() {
    let shown = Shown::loaded();
    let browser = &shown.browser;
    shown.open("/", "one('@job-row')");
    browser.click("@open-quarantine");
    browser.wait("all('@quarantine-row').length === 3");
    assert_eq!(rows(&shown), REFUSED);
    assert_eq!(browser.text("@quarantine-total"), "3 of 3 rows");

    browser.fill("@filter-code", "bad_integer");
    browser.click("@filter-apply");
    browser.wait("all('@quarantine-row').length === 2");
    assert_eq!(rows(&shown), REFUSED[..2]);
    assert_eq!(browser.evaluate("one('@filter-code').value"), json!("bad_integer"), "it is kept");
    browser.fill("@filter-column", "note");
    browser.click("@filter-apply");
    browser.wait_for_text("@empty", "No row fits these filters");
    browser.click("@filter-clear");
    browser.wait("all('@quarantine-row').length === 3");
    for (field, value, expected) in [
        ("column", "note", 1),
        ("file", "people.csv", 3),
        ("file", "other.csv", 0),
        ("run", "1", 3),
    ] {
        browser.fill(&format!("@filter-{field}"), value);
        browser.click("@filter-apply");
        let query = format!("new URLSearchParams(location.search).get('{field}') === '{value}'");
        browser.wait(&format!("{query} && !one('@loading')"));
        browser.wait(&format!("all('@quarantine-row').length === {expected}"));
        browser.click("@filter-clear");
        browser.wait("location.search === '' && all('@quarantine-row').length === 3");
    }
    browser.focus("@filter-state");
    browser.press("d");
    browser.wait("location.search === '?state=discarded' && one('@empty')");
    browser.back();
    browser.wait("location.search === '' && all('@quarantine-row').length === 3");
    shown.browser.finish();
}

#[test]
fn a_row_is_opened_and_nothing_is_done_to_it_without_a_yes() {
    let shown = Shown::loaded();
    let browser = &shown.browser;
    shown.open(OPEN, "all('@quarantine-row').length === 3");
    browser.click(&format!("{} @quarantine-open", row(&shown, 15)));
    browser.wait("one('@entry-record')");
    assert_eq!(browser.text("@entry-row-number"), "15");
    assert_eq!(browser.text("@entry-reasons"), "no_match in note");
    let record = browser.text("@entry-record");
    assert!(record.contains("lost 15") && record.contains("Name 15"), "{record}");
    assert!(!record.contains("@canary.example"), "{record}");
    assert_eq!(browser.count("@entry-record @pseudonym"), 1);
    // The address opens the same row for somebody else.
    let address = browser.evaluate("location.pathname + location.search");
    shown.open(address.as_str().unwrap(), "one('@entry-record')");
    assert_eq!(browser.text("@entry-row-number"), "15");

    browser.click("@entry-replay");
    browser.wait("one('@confirm-replay')");
    browser.click("@confirm-no");
    browser.wait("!one('@confirm-replay') && one('@entry')");
    browser.click("@entry-discard");
    browser.wait("one('@confirm-discard')?.contains(document.activeElement)");
    // What cannot be taken back is not done by an Enter that came too early.
    browser.press(thirtyfour::Key::Enter);
    browser.wait("!one('@confirm-discard') && one('@entry')");
    browser.click("@drawer-close");
    browser.wait("!one('dialog') && !location.search.includes('open=')");
    assert_eq!(states(&shown), json!({ "open": 3 }));
    assert_eq!(shown.trip.database.count("users"), LOADED);
    shown.browser.finish();
}

/// How many rows stand how, by the ledger.
fn states(shown: &Shown) -> Value {
    let sql = "SELECT jsonb_object_agg(state, rows) FROM \
        (SELECT state, count(*) AS rows FROM ferry.quarantine GROUP BY state) AS counted";
    serde_json::from_str(&shown.trip.database.value(sql)).unwrap()
}

#[test]
fn a_row_is_replayed_after_the_job_was_mended_and_another_is_discarded() {
    let shown = Shown::loaded();
    let (browser, database) = (&shown.browser, &shown.trip.database);
    shown.open(OPEN, "all('@quarantine-row').length === 3");
    let replay = |row_number: u64| {
        browser.click(&format!("{} @choose", row(&shown, row_number)));
        browser.wait_for_text("@chosen-count", "1 row chosen");
        browser.click("@choice-bar @replay");
        browser.click("@confirm-yes");
    };
    replay(15);
    browser.wait_for_text("@quarantine-result", "1 refused again");
    assert_eq!(states(&shown), json!({ "open": 3 }), "nothing is mended yet");

    shown.trip.job(&shown.rules().replace("^thorn", "^thorn|lost"));
    browser.wait("text('@chosen-count')?.startsWith('Choose')");
    replay(15);
    browser.wait_for_text("@quarantine-result", "Replayed: 1 loaded.");
    browser.wait("all('@quarantine-row').length === 2");
    assert_eq!(rows(&shown), REFUSED[..2]);
    assert_eq!(database.value("SELECT name FROM users WHERE uid = 15"), "Name 15");
    assert_eq!(database.value("SELECT note FROM notes WHERE uid = 15"), "lost 15");

    browser.click(&format!("{} @quarantine-open", row(&shown, 7)));
    browser.click("@entry-discard");
    browser.click("@confirm-yes");
    browser.wait_for_text("@quarantine-result", "1 row discarded.");
    browser.wait("all('@quarantine-row').length === 1");
    assert_eq!(rows(&shown), [13]);
    assert_eq!(states(&shown), json!({ "open": 1, "replayed": 1, "discarded": 1 }));
    assert_eq!(database.count("users"), LOADED + 1);
    browser.click("@filter-clear");
    browser.wait("all('@quarantine-row').length === 3");
    assert_eq!(browser.text(&format!("{} @quarantine-state", row(&shown, 7))), "discarded");
    assert_eq!(browser.text(&format!("{} @quarantine-state", row(&shown, 15))), "replayed");
    assert_eq!(browser.count("@choose:not(:disabled)"), 1, "what is settled stays so");
    browser.click("@nav-jobs");
    browser.wait("text('@open-quarantine') === '1'");
    shown.browser.finish();
}

#[test]
fn a_row_of_a_file_that_was_rewritten_is_not_taken_for_another() {
    let shown = Shown::loaded();
    let browser = &shown.browser;
    shown.trip.source.write("people.csv", super::people(super::ROWS).replace("x,", "77,"));
    shown.open(OPEN, "all('@quarantine-row').length === 3");
    browser.click("@choose-all");
    browser.wait_for_text("@chosen-count", "3 rows chosen");
    browser.click("@choice-bar @replay");
    browser.wait_for_text("@confirm-replay", "Replay 3 rows?");
    browser.click("@confirm-yes");
    browser.wait("one('@quarantine-result [data-kind=warn]')");
    browser.wait_for_text("@quarantine-result", "3 could not be read");
    assert_eq!(states(&shown), json!({ "open": 3 }));
    assert_eq!(shown.trip.database.count("users"), LOADED);
    shown.browser.finish();
}
