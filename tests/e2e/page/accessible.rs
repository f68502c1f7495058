//! Every page has names, headings and contrast for those who hear it, and for those who see little.

use super::{DARK, LIGHT, PAGES, Shown, texts};
use crate::browser::Scheme;

/// What would keep somebody out, line by line; its rules are WCAG's.
const CHECK: &str = include_str!("accessible.js");

#[test]
fn every_page_has_names_headings_and_contrast_in_light_and_dark() {
    let shown = Shown::loaded();
    let mut problems = Vec::new();
    for (path, condition) in PAGES {
        shown.browser.prefer(Scheme::Light);
        shown.open(path, condition);
        problems.extend(check(&shown, path));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    shown.browser.finish_after(&["status of 404"]);
}

#[test]
fn errors_and_dialogs_have_them_too() {
    let shown = Shown::loaded();
    let browser = &shown.browser;
    shown.open("/ui/runs/777", "one('@error')");
    let mut problems = check(&shown, "error");
    shown.open("/ui/quarantine/people?state=open", "one('@quarantine-row')");
    browser.click("@choose-all");
    problems.extend(check(&shown, "chosen rows"));
    browser.click("@choice-bar @discard");
    browser.wait("one('@confirm-discard')");
    // A short question has few texts, which is no fault of it.
    let found = browser.run(CHECK);
    let mut lines = texts(&found);
    lines.retain(|line| !line.contains("texts were found"));
    assert!(lines.is_empty(), "{lines:#?}");
    browser.click("@confirm-yes");
    browser.wait("one('@quarantine-result [data-kind]')");
    problems.extend(check(&shown, "result"));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    shown.browser.finish_after(&["status of 404"]);
}

/// What would keep somebody out of the page as it stands, in light and in dark.
pub(super) fn check(shown: &Shown, what: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for scheme in [Scheme::Light, Scheme::Dark] {
        shown.browser.prefer(scheme);
        settle(shown, scheme);
        let found = shown.browser.run(CHECK);
        problems.extend(texts(&found).iter().map(|line| format!("{what} {scheme:?}: {line}")));
    }
    problems
}

/// Waits until the page has these colours and nothing moves: in the middle of a change it has others.
fn settle(shown: &Shown, scheme: Scheme) {
    shown.browser.wait(match scheme {
        Scheme::Light => LIGHT,
        Scheme::Dark => DARK,
    });
    shown.browser.wait("document.getAnimations().every((one) => one.playState !== 'running')");
}
