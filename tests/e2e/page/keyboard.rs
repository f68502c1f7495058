//! Without a mouse one gets everywhere, sees where one is, and is not caught anywhere.

use serde_json::{Value, json};
use thirtyfour::Key;

use super::Shown;

/// What has the focus: its hook, whether it is outlined and to be seen, whether it lies in a dialog.
const FOCUS: &str = "(() => {
    const node = document.activeElement;
    if (node === null || node === document.body) return { hook: '' };
    const style = getComputedStyle(node);
    const box = node.getBoundingClientRect();
    const width = Number.parseFloat(style.outlineWidth);
    return {
        hook: node.dataset.test || node.getAttribute('class') || node.tagName,
        isOutlined: style.outlineStyle !== 'none' && width >= 2 && node.matches(':focus-visible'),
        isSeen: box.width > 1 && box.height > 1 && box.bottom > 0 && box.top < innerHeight,
        isInDialog: node.closest('dialog') !== null,
    };
})()";
const STOPS_MAX: usize = 200;

/// Presses Tab, and gives what has the focus once one sees it; an empty hook is the end of the page.
#[track_caller]
fn step(shown: &Shown) -> Value {
    shown.browser.press(Key::Tab);
    let is_shown = "focus.hook === '' || (focus.isOutlined && focus.isSeen)";
    shown.browser.wait(&format!("((focus) => ({is_shown}) && focus)({FOCUS})"))
}

/// Goes by Tab from the top of the page to its end, and gives what had the focus.
#[track_caller]
fn walk(shown: &Shown) -> Vec<String> {
    let mut hooks = Vec::new();
    for _ in 0..STOPS_MAX {
        let focus = step(shown);
        let hook = focus["hook"].as_str().unwrap();
        let is_again_first = hook == "skip-link" && !hooks.is_empty();
        if hook.is_empty() || is_again_first {
            return hooks;
        }
        hooks.push(hook.to_owned());
    }
    panic!("no end after {STOPS_MAX} stops: {hooks:?}");
}

#[test]
fn tab_goes_through_each_page_in_order_and_shows_where_one_is() {
    let shown = Shown::loaded();
    let pages: [(&str, &str, &[&str]); 4] = [
        ("/", "one('@job-row')", &["job-link", "last-run", "open-quarantine", "start-run"]),
        (
            "/ui/quarantine/people?state=open",
            "one('@quarantine-row')",
            &[
                "filter-state",
                "filter-code",
                "filter-apply",
                "choose-all",
                "choose",
                "quarantine-open",
            ],
        ),
        ("/ui/tables", "one('@table-row')", &["table-link", "lineage-link"]),
        ("/ui/runs/1", "one('@run-worker-table') && one('@split')", &["reject-link"]),
    ];
    for (path, condition, wanted) in pages {
        shown.open(path, condition);
        let hooks = walk(&shown);
        let first = ["skip-link", "brand", "nav-jobs", "nav-runs", "nav-quarantine", "nav-tables"];
        assert_eq!(hooks[..first.len()], first, "{path}");
        let mut rest = hooks.iter();
        for hook in wanted {
            assert!(rest.any(|stop| stop == hook), "{hook} is not reached in order: {hooks:?}");
        }
    }
    shown.browser.finish();
}

#[test]
fn the_first_stop_leads_to_the_content() {
    let shown = Shown::loaded();
    let browser = &shown.browser;
    for (path, condition, next) in [
        ("/", "one('@job-row')", "job-link"),
        ("/ui/tables", "one('@table-row')", "table-link"),
        ("/api/docs", "one('@docs-operation')", "docs-document"),
    ] {
        shown.open(path, condition);
        assert_eq!(step(&shown)["hook"], "skip-link", "{path}");
        browser.press(Key::Enter);
        browser.wait("document.activeElement === one('main')");
        assert_eq!(step(&shown)["hook"], next, "{path}");
        browser.press_tab_back();
        assert_ne!(browser.evaluate(FOCUS)["hook"], next, "{path}");
    }
    shown.browser.finish();
}

#[test]
fn a_run_is_started_and_a_row_discarded_by_keys_alone() {
    let shown = Shown::loaded();
    let (browser, database) = (&shown.browser, &shown.trip.database);
    shown.trip.source.append("people.csv", "200,late@canary.example,Late,thornbuckle\n");
    shown.open("/", "one('@job-row')");
    browser.focus("@start-run");
    browser.press(Key::Space);
    browser.wait("text('@last-run') === 'Run 2' && text('@job-state') === 'finished'");
    assert_eq!(database.value("SELECT name FROM users WHERE uid = 200"), "Late");

    shown.open("/ui/quarantine/people?state=open", "all('@quarantine-row').length === 3");
    browser.focus("@quarantine-row[data-id='1'] @quarantine-open");
    browser.press(Key::Enter);
    browser.wait("one('@entry-record')");
    for _ in 0..STOPS_MAX {
        browser.press(Key::Tab);
        let focus = browser.evaluate(FOCUS);
        assert_ne!(focus["isInDialog"], json!(false), "the focus leaves the dialog: {focus}");
        if focus["hook"] == "entry-discard" {
            break;
        }
    }
    assert_eq!(browser.evaluate(FOCUS)["hook"], "entry-discard");
    browser.press(Key::Enter);
    browser.wait("one('@confirm-discard')?.contains(document.activeElement)");
    browser.press(Key::Tab);
    assert_eq!(browser.evaluate(FOCUS)["hook"], "confirm-yes");
    browser.press(Key::Enter);
    browser.wait_for_text("@quarantine-result", "1 row discarded.");
    browser.wait("!one('dialog') && all('@quarantine-row').length === 2");
    assert_eq!(database.number("SELECT count(*) FROM ferry.quarantine WHERE state = 'open'"), 2);
    shown.browser.finish();
}
