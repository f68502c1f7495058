//! On a screen of 390 pixels no page scrolls sideways, and one can do there what one can do elsewhere.

use serde_json::json;

use super::{PAGES, Shown, texts};

/// What does not fit, or is too small for a finger: 24 pixels, after WCAG 2.5.8.
///
/// Boxes to tick may be smaller, for they stand that far apart.
const CHECK: &str = "
const root = document.documentElement;
const found = [];
if (root.scrollWidth > root.clientWidth) found.push(`scrolls sideways: ${root.scrollWidth} pixels`);
const isWithin = (node) => {
    for (let at = node.parentElement; at !== null; at = at.parentElement) {
        if (getComputedStyle(at).overflowX !== 'visible' && at !== root && at !== document.body) return true;
    }
    return false;
};
const wanted = 'button, .button, select, input:not([type=checkbox]), nav.pages a, nav.tabs a';
for (const node of document.querySelectorAll(wanted)) {
    const box = node.getBoundingClientRect();
    if (!node.checkVisibility() || box.width === 0) continue;
    const name = node.outerHTML.slice(0, 120);
    const isOut = box.left < -1 || box.right > root.clientWidth + 1;
    if (isOut && !isWithin(node)) found.push(`out of reach: ${name}`);
    if (box.width < 24 || box.height < 24) found.push(`${box.width} x ${box.height} pixels: ${name}`);
}
return found;
";

#[test]
fn no_page_scrolls_sideways_and_everything_is_within_reach() {
    let shown = Shown::loaded();
    shown.browser.become_phone();
    let mut problems = Vec::new();
    for (path, condition) in PAGES {
        shown.open(path, condition);
        problems.extend(check(&shown, path));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    shown.browser.finish();
}

/// What does not fit the page as it stands on a phone.
#[track_caller]
pub(super) fn check(shown: &Shown, what: &str) -> Vec<String> {
    assert_eq!(shown.browser.evaluate("innerWidth"), json!(390), "{what}");
    let found = shown.browser.run(CHECK);
    texts(&found).iter().map(|line| format!("{what}: {line}")).collect()
}

#[test]
fn a_long_key_leaves_room_for_the_button_that_closes_its_panel() {
    let shown = Shown::loaded();
    shown.browser.become_phone();
    let key = "00dffcc8-0f25-4582-b7ad-355bfe6138ab";
    shown.open(&format!("/ui/tables/public.users?key={key}"), "one('@record @error')");
    assert_eq!(shown.browser.text("@record h2"), key);
    let problems = check(&shown, "a long key");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    shown.browser.finish_after(&["status of 400", "status of 404"]);
}

#[test]
fn the_way_from_a_job_to_a_record_is_the_same_on_a_phone() {
    let shown = Shown::loaded();
    let browser = &shown.browser;
    browser.become_phone();
    shown.open("/", "one('@job-row')");
    shown.trip.source.append("people.csv", "200,late@canary.example,Late,thornbuckle\n");
    browser.click("@start-run");
    browser.wait("text('@last-run') === 'Run 2' && text('@job-state') === 'finished'");
    assert_eq!(shown.trip.database.value("SELECT name FROM users WHERE uid = 200"), "Late");
    browser.click("@last-run");
    browser.wait("text('h1') === 'Run 2' && text('@accounts-verdict') === 'accounts close'");
    browser.click("@nav-quarantine");
    browser.click("@quarantine-row @quarantine-open");
    browser.wait("one('@entry-record')");
    let is_wide = "one('dialog').getBoundingClientRect().width >= 380";
    assert_eq!(browser.evaluate(is_wide), json!(true), "a panel takes the whole screen");
    browser.click("@drawer-close");
    browser.wait("!one('dialog')");
    browser.click("@nav-tables");
    browser.click("@table-link");
    browser.click("@record-row[data-key='2'] @record-link");
    browser.wait("one('@record-fields') && one('@found-badge')");
    let fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(browser.evaluate(fits), json!(true));
    shown.browser.finish();
}
