//! The web page in a real browser: every page is clicked through, and what was done there is done in the database.

mod access;
mod accessible;
mod hostile;
mod keyboard;
mod phone;
mod quarantine;
mod records;
mod runs;
mod troubles;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::hosts::{client, wait_for};
use crate::redis::Redis;
use crate::serve::{REFUSED, RULES, people};
use crate::stages::Trip;
use crate::web::Web;

/// Enough for three pages of a table.
const ROWS: u64 = 120;
/// What lands in the table of these.
const LOADED: u64 = 117;
/// Whether the page is dark, by what it is painted on.
const DARK: &str =
    "Number(getComputedStyle(document.documentElement).backgroundColor.match(/[0-9]+/)[0]) < 128";
const LIGHT: &str =
    "Number(getComputedStyle(document.documentElement).backgroundColor.match(/[0-9]+/)[0]) >= 128";
/// Every page after a run of the job, and what holds once it is there.
const PAGES: [(&str, &str); 12] = [
    ("/", "one('@job-row')"),
    ("/ui/jobs/people", "one('@run-row') && one('@file-row') && one('@targets')"),
    ("/ui/runs", "one('@run-row')"),
    ("/ui/runs/1", "one('@run-file') && one('@run-worker-table') && one('@split')"),
    ("/ui/quarantine/people?state=open", "one('@quarantine-row')"),
    ("/ui/quarantine/people?open=1", "one('@entry-record')"),
    ("/ui/tables", "one('@table-row') && one('@skipped')"),
    ("/ui/tables/public.users", "one('@record-row')"),
    ("/ui/tables/public.users?key=2", "one('@record-fields')"),
    ("/ui/tables/public.users/lineage", "one('@lineage-row') && one('@schema-row')"),
    ("/api/docs", "one('@docs-operation')"),
    ("/ui/nowhere", "one('@empty')"),
];

/// Everything that stands behind the page, and the browser that looks at it.
struct Shown {
    // Dropped first: whoever looks goes before what is looked at.
    browser: Browser,
    web: Web,
    trip: Trip,
    redis: Redis,
    ttl: &'static str,
}

impl Shown {
    /// A job of so many rows that has not run yet.
    fn unloaded(rows: u64) -> Self {
        Self::start(rows, "2m", None)
    }

    /// The same after a run by another process.
    fn loaded() -> Self {
        let shown = Self::unloaded(ROWS);
        shown.trip.run(&shown.rules()).expect_code(0);
        shown
    }

    /// A job whose rows stay in the cache for so long, served as these settings say, if there are any.
    fn start(rows: u64, ttl: &'static str, settings: Option<&str>) -> Self {
        let trip = Trip::new(&[("uid", "integer")], people(rows));
        let redis = Redis::start();
        let job = trip.job(&rules(&redis, ttl));
        let web = match settings {
            None => Web::start(&[job]),
            Some(settings) => {
                trip.source.write("serve.toml", format!("jobs = [\"job.toml\"]\n{settings}"));
                Web::configured(&trip.source.path("serve.toml"))
            }
        };
        Self { browser: Browser::open(web.url()), web, trip, redis, ttl }
    }

    fn rules(&self) -> String {
        rules(&self.redis, self.ttl)
    }

    /// Opens a page and waits for it.
    #[track_caller]
    fn open(&self, path: &str, condition: &str) {
        self.browser.go(path);
        self.browser.wait(condition);
    }

    /// Serves the same job at the same address again, after the program was killed.
    fn serve_again(&mut self) {
        let job = self.trip.job(&self.rules());
        self.serve(&[job]);
    }

    /// Serves these jobs at the same address, after the program was killed.
    fn serve(&mut self, jobs: &[PathBuf]) {
        let address = self.web.address().to_owned();
        let mut command = client(["serve", "--listen", &address]);
        self.web = Web::start_with(command.args(jobs));
    }

    /// Waits until a run of the job goes on, whoever started it.
    fn wait_for_run(&self) {
        wait_for("a run", 30, || {
            let job = self.web.json("/jobs/people");
            (job["activity"]["state"] == "running").then_some(())
        });
    }
}

/// The rules of the tests of what is served, with a table of users that has only what is shown, and a cache.
fn rules(redis: &Redis, ttl: &str) -> String {
    redis.settings(ttl) + RULES.replace("serve_columns", "cache = true\ncolumns").as_str()
}

/// Texts of an answer of the browser, such as the keys of all rows.
#[track_caller]
fn texts(value: &Value) -> Vec<&str> {
    let values = value.as_array().unwrap_or_else(|| panic!("no list: {value}"));
    values.iter().map(|value| value.as_str().unwrap_or_default()).collect()
}

#[test]
fn every_page_is_reached_by_clicks_and_tells_where_one_is() {
    let shown = Shown::loaded();
    let browser = &shown.browser;
    shown.open("/", "one('@job-row')");
    let titles = [
        ("@nav-runs", "Runs", "Runs · ferry"),
        ("@nav-quarantine", "Quarantine", "Quarantine of people · ferry"),
        ("@nav-tables", "Tables", "Tables · ferry"),
        ("@nav-jobs", "Jobs", "Jobs · ferry"),
    ];
    for (hook, heading, title) in titles {
        browser.click(hook);
        browser.wait(&format!("text('h1') === '{heading}' && document.title === '{title}'"));
        browser.wait(&format!("one('{hook}').getAttribute('aria-current') === 'page'"));
        browser.wait("!one('@loading') && document.activeElement === one('h1')");
        assert_eq!(browser.count(".pages [aria-current]"), 1, "{hook}");
    }
    browser.click("@job-link");
    browser.wait("text('h1') === 'people' && one('@file-row') && one('@run-row')");
    let facts = browser.text("main");
    for part in ["public.users", "public.notes", "people.csv", "upsert", "3 open"] {
        assert!(facts.contains(part), "{part} is missing in: {facts}");
    }
    browser.click("@target-link");
    browser.wait("text('h1') === 'public.users' && one('@record-row')");
    browser.back();
    browser.wait("text('h1') === 'people' && one('@run-row')");
    browser.click("@run-link");
    browser.wait("text('h1') === 'Run 1' && text('@accounts-verdict') === 'accounts close'");
    browser.click("@reject-link");
    browser.wait("text('h1') === 'Quarantine' && one('@quarantine-row')");
    assert_eq!(browser.evaluate("location.search.includes('run=1')"), json!(true));
    browser.click("@nav-docs");
    browser.wait("location.pathname === '/api/docs' && all('@docs-operation').length > 15");
    browser.fill("@docs-search", "replay");
    let is_short = "all('@docs-operation').filter((one) => one.checkVisibility()).length < 5";
    browser.wait(is_short);
    assert!(browser.text("main").contains("/quarantine/replay"));
    browser.click("@nav-jobs");
    browser.wait("text('h1') === 'Jobs' && one('@job-row')");
    shown.browser.finish();
}

#[test]
fn colours_are_those_of_the_system_until_others_are_chosen_and_those_stay() {
    let shown = Shown::loaded();
    let browser = &shown.browser;
    shown.open("/", "one('@job-row')");
    browser.prefer(crate::browser::Scheme::Dark);
    browser.wait(DARK);
    browser.prefer(crate::browser::Scheme::Light);
    browser.wait(LIGHT);

    browser.click("@theme");
    browser.wait_for_text("@theme", "Light");
    browser.click("@theme");
    browser.wait_for_text("@theme", "Dark");
    browser.wait(DARK);
    // It is remembered, on every page.
    browser.reload();
    browser.wait("one('@job-row')");
    browser.wait(DARK);
    assert_eq!(browser.text("@theme"), "Dark");
    shown.open("/api/docs", "one('@docs-operation')");
    browser.wait(DARK);
    browser.click("@theme");
    browser.wait_for_text("@theme", "Auto");
    browser.wait(LIGHT);
    shown.browser.finish();
}
