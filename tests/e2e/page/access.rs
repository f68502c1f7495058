//! A page of a server with tokens asks for one, keeps it in its tab only, and says what its role may not do.

use serde_json::json;
use sha2::{Digest as _, Sha256};
use thirtyfour::Key;

use super::Shown;
use crate::gate;

const READER: &str = "a-token-that-may-read-and-nothing-else";
const OPERATOR: &str = "a-token-that-may-start-runs";

/// Settings with a token of each role.
fn tokens() -> String {
    let token = |role: &str, token: &str| {
        let digest = ferry::hex::encode(&Sha256::digest(token.as_bytes()));
        format!("[[token]]\nname = \"{role}\"\nsha256 = \"{digest}\"\nrole = \"{role}\"\n")
    };
    [token("read", READER), token("operate", OPERATOR)].concat()
}

#[test]
fn a_token_is_asked_for_and_its_role_decides() {
    let shown = Shown::start(20, "2m", Some(&tokens()));
    shown.trip.run(&shown.rules()).expect_code(0);
    let browser = &shown.browser;
    browser.go("/ui/tables");
    browser.wait("one('@token-form') && document.activeElement === one('@token-input')");
    assert_eq!(browser.evaluate("one('@token-input').type"), json!("password"));
    browser.press("no-such-token");
    browser.press(Key::Enter);
    browser.wait_for_text("@token-error", "does not know this token");
    assert_eq!(browser.count("@table-row"), 0);

    browser.fill("@token-input", READER);
    browser.click("@token-submit");
    browser.wait("location.pathname === '/ui/tables' && one('@table-row')");
    browser.reload();
    browser.wait("one('@table-row')");
    let kept = "[document.cookie, JSON.stringify(localStorage), location.href].join(' ')";
    let kept = browser.evaluate(kept);
    assert!(!kept.as_str().unwrap().contains(READER), "in the tab and nowhere else: {kept}");
    browser.click("@nav-jobs");
    browser.wait("one('@job-row')");
    if browser.count("@start-run:not(:disabled)") > 0 {
        browser.click("@start-run");
        browser.wait_for_text("@toast", "may only read");
    }
    browser.go("/ui/quarantine/people?open=1");
    browser.wait("one('@entry-record')");
    if browser.count("@entry-discard") > 0 {
        browser.click("@entry-discard");
        browser.click("@confirm-yes");
        browser.wait("all('@toast').some((toast) => toast.textContent.includes('may only read'))");
    }
    let open = "SELECT count(*) FROM ferry.quarantine WHERE state = 'open'";
    assert_eq!(shown.trip.database.number(open), 3);
    assert_eq!(shown.trip.database.count("ferry.run"), 1, "nothing was started");

    browser.go("/");
    browser.click("@forget-token");
    browser.wait("one('@token-form') && !one('@job-row')");
    browser.fill("@token-input", OPERATOR);
    browser.press(Key::Enter);
    browser.wait("one('@job-row')");
    shown.trip.source.append("people.csv", "200,late@canary.example,Late,thornbuckle\n");
    browser.click("@start-run");
    browser.wait_for_text("@toast", "is starting");
    browser.wait("text('@last-run') === 'Run 2' && text('@job-state') === 'finished'");
    assert_eq!(shown.trip.database.value("SELECT name FROM users WHERE uid = 200"), "Late");
    shown.browser.finish_after(&["status of 401", "status of 403"]);
}

#[test]
fn a_run_is_watched_live_with_a_token() {
    let shown = Shown::start(20, "2m", Some(&tokens()));
    let database = &shown.trip.database;
    database.execute("CREATE TABLE users (uid integer PRIMARY KEY, email text, name text)");
    let trigger =
        "CREATE TRIGGER held BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION public.hold_up()";
    gate::build(database, trigger);
    let browser = &shown.browser;
    browser.go("/");
    browser.fill("@token-input", OPERATOR);
    browser.press(Key::Enter);
    browser.click("@start-run");
    gate::wait_there(database);
    browser.click("@watch-run");
    browser.wait("one('@connection')?.dataset.state === 'live'");
    gate::open(database);
    browser.wait("text('@run-state') === 'finished' && text('@rows-loaded') === '17'");
    shown.browser.finish_after(&["status of 401"]);
}
