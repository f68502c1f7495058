//! Tables are paged, records are opened by hand and by keyboard, and it is told where each was found and where it came from.

use serde_json::json;
use thirtyfour::Key;

use super::{Shown, texts};

const TABLE: &str = "/ui/tables/public.users";
const LAST_LOOK_UP: &str = "one('@look-up:first-child')?.dataset.foundIn";

#[test]
fn a_table_is_paged_forward_and_back() {
    let shown = Shown::loaded();
    let browser = &shown.browser;
    shown.open("/ui/tables", "one('@table-row')");
    assert_eq!(browser.count("@table-row"), 1);
    browser.wait_for_text("@skipped", "public.notes");
    browser.wait_for_text("@skipped", "serve = false");
    browser.click("@table-link");
    let mut seen = Vec::new();
    for (rows, first) in [(50, "1"), (50, "54"), (17, "104")] {
        let there = format!("all('@record-row').length === {rows}");
        browser.wait(&format!("{there} && one('@record-row').dataset.key === '{first}'"));
        let keys = browser.evaluate("all('@record-row').map((row) => row.dataset.key)");
        seen.extend(texts(&keys).into_iter().map(|key| key.parse::<u64>().unwrap()));
        if rows == 50 {
            browser.click("@records-pager-next");
        }
    }
    let stored = shown.trip.database.rows("SELECT uid FROM users ORDER BY uid");
    let stored: Vec<u64> = stored.iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(seen, stored, "each once, in order");
    assert_eq!(browser.count("@records-pager-next"), 0);

    browser.back();
    browser.wait("one('@record-row').dataset.key === '54'");
    browser.back();
    browser.wait("one('@record-row').dataset.key === '1'");
    browser.click("@records-pager-next");
    browser.wait("one('@record-row').dataset.key === '54'");
    browser.click("@records-pager-first");
    browser.wait("one('@record-row').dataset.key === '1' && !one('@records-pager-first')");
    shown.browser.finish();
}

#[test]
fn a_record_is_found_in_the_cache_until_its_time_is_over_and_then_in_the_database() {
    let shown = Shown::start(20, "5s", None);
    let browser = &shown.browser;
    shown.trip.run(&shown.rules()).expect_code(0);
    shown.open(TABLE, "all('@record-row').length === 17");
    browser.click("@record-row[data-key='2'] td:last-child");
    browser.wait("text('@record h2') === '2' && one('@record-fields')");
    // After a slow start the first look-up finds it in the database, and puts it into the cache.
    browser.click("@ask-again");
    browser
        .wait(&format!("{LAST_LOOK_UP} === 'cache' && text('@found-badge') === 'found in cache'"));
    let left = "one('@ttl progress')?.value";
    let before = browser.wait(left).as_f64().unwrap();
    assert!(before <= 5.0, "{before}");
    browser.wait(&format!("{left} < {before} - 0.5"));
    assert!(browser.text("@ttl-left").starts_with("0:0"), "{}", browser.text("@ttl-left"));

    // At the end of its time the page looks it up by itself.
    browser.wait(&format!("{LAST_LOOK_UP} === 'database'"));
    assert_eq!(browser.text("@found-badge"), "found in database");
    let fields = "all('@field').map((field) => field.dataset.column)";
    assert_eq!(browser.evaluate(fields), json!(["uid", "email", "name"]));
    assert_eq!(browser.text("@field[data-column=name] .value"), "Name 2");
    browser.click("@ask-again");
    browser.wait(&format!("{LAST_LOOK_UP} === 'cache'"));
    let key = "ferry:people:public.users:2";
    assert_eq!(shown.redis.entry(key)["name"], "Name 2");
    shown.browser.finish();
}

#[test]
fn a_record_is_opened_by_keyboard_by_address_and_by_its_key() {
    let shown = Shown::loaded();
    let browser = &shown.browser;
    shown.open(TABLE, "one('@record-row')");
    browser.focus("@record-row[data-key='3'] @record-link");
    browser.press(Key::Enter);
    browser.wait("text('@record h2') === '3' && one('@record-fields')");
    browser.wait("one('@record').contains(document.activeElement)");
    assert_eq!(browser.evaluate("location.search"), json!("?key=3"));
    browser.press(Key::Escape);
    browser.wait("!one('@record') && location.search === ''");
    let focus = "document.activeElement.closest('@record-row')?.dataset.key";
    assert_eq!(browser.evaluate(focus), json!("3"), "one goes on where one was");

    shown.open(&format!("{TABLE}?key=4"), "text('@record h2') === '4' && one('@record-fields')");
    browser.click("@drawer-close");
    browser.wait("!one('@record')");
    browser.fill("@find-key", "119");
    browser.press(Key::Enter);
    browser.wait("text('@record h2') === '119' && one('@record-fields')");
    assert_eq!(browser.text("@field[data-column=name] .value"), "Name 119");
    browser.press(Key::Escape);
    browser.wait("!one('@record')");
    for nobody in ["777", "no number", "../1", "a,b", "%"] {
        browser.fill("@find-key", nobody);
        browser.click("@find-submit");
        browser.wait_for_text("@record @error", "There is no such record");
        browser.press(Key::Escape);
        browser.wait("!one('@record')");
    }
    shown.browser.finish_after(&["status of 404", "status of 400"]);
}

#[test]
fn personal_data_is_shown_as_pseudonyms_with_their_sign() {
    let shown = Shown::loaded();
    let browser = &shown.browser;
    let stored = shown.trip.database.value("SELECT email FROM users WHERE uid = 2");
    shown.open(TABLE, "one('@record-row')");
    assert_eq!(browser.count("@records thead @pii-sign"), 1);
    assert_eq!(browser.count("@record-row @pseudonym[data-pii=hash]"), 50, "one in each row");
    assert!(browser.text("@pii-legend").contains("One column holds pseudonyms"));
    let cell = browser.text("@record-row[data-key='2'] @pseudonym");
    assert!(cell.contains(&stored[..6]) && cell.contains(&stored[60..]), "{cell} of {stored}");
    browser.click("@record-row[data-key='2'] @record-link");
    browser.wait("one('@record-fields')");
    assert_eq!(browser.count("@field[data-column=email] @pii-sign"), 1);
    assert_eq!(browser.count("@field[data-column=email] @pseudonym"), 1);
    assert_eq!(browser.count("@field[data-column=name] @pii-sign"), 0);
    let page = browser.evaluate("document.documentElement.outerHTML");
    assert!(!page.as_str().unwrap().contains("@canary.example"));
    shown.browser.finish();
}

#[test]
fn lineage_tells_the_way_of_each_column() {
    let shown = Shown::loaded();
    let browser = &shown.browser;
    shown.open("/ui/tables", "one('@table-row')");
    browser.click("@lineage-link");
    browser.wait("text('h1') === 'public.users' && one('@schema-row')");
    let targets = "all('@lineage-row').map((row) => row.dataset.target)";
    assert_eq!(browser.evaluate(targets), json!(["uid", "email", "name"]));
    let email = browser.text("@lineage-row[data-target=email]");
    assert!(email.contains("pseudonymise") && email.contains("hash"), "{email}");
    assert_eq!(browser.count("@lineage-row[data-target=email] @pii-sign"), 1);
    assert_eq!(browser.count("@lineage-row[data-target=name] @pii-sign"), 0);
    let note = browser.text("@dropped-row[data-column=note]");
    assert!(note.contains("not loaded"), "{note}");
    browser.wait("all('.lineage-lines path').length >= 3");
    let schema = "all('@schema-row').map((row) => [...row.cells].slice(0, 4).map((cell) => cell.textContent))";
    let expected = json!([
        ["uid", "integer", "key", "no"],
        ["email", "text", "–", "allowed"],
        ["name", "text", "–", "allowed"],
    ]);
    assert_eq!(browser.evaluate(schema), expected);
    browser.click("@tab-records");
    browser.wait("one('@record-row')");
    shown.browser.finish();
}
