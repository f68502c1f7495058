//! What is not there, what fails and what is gone is said in words, and the page goes on by itself.

use std::fs;
use std::path::PathBuf;

use super::{LOADED, ROWS, Shown, accessible, phone};
use crate::hosts::{client, finish};
use crate::postgres::Database;
use crate::proxy::Proxy;

#[test]
fn what_there_is_nothing_of_says_what_to_do() {
    let shown = Shown::unloaded(ROWS);
    let browser = &shown.browser;
    shown.open("/", "one('@job-row')");
    browser.wait_for_text("@job-row", "never run");
    let empty = [
        ("@nav-runs", "/ui/runs", "No run yet"),
        ("@nav-quarantine", "/ui/quarantine/people", "No row waits for a decision"),
        ("@nav-tables", "/ui/tables", "No table is served"),
    ];
    for (hook, path, words) in empty {
        browser.click(hook);
        browser.wait(&format!("location.pathname === '{path}'"));
        browser.wait_for_text("@empty", words);
    }
    browser.click("@empty .button");
    browser.click("@job-link");
    browser.wait("all('@empty').length === 2");
    browser.wait_for_text("@job-runs", "No run yet");
    browser.wait_for_text("@job-files", "No file is known yet");
    shown.browser.finish();
}

#[test]
fn an_address_of_nothing_says_so() {
    let shown = Shown::loaded();
    let browser = &shown.browser;
    let errors = [
        ("/ui/runs/777", "There is no such run"),
        ("/ui/jobs/nobody", "There is no such job"),
        ("/ui/quarantine/nobody", "There is no such job"),
        ("/ui/tables/public.notes", "There is no such table"),
        ("/ui/tables/public.nothing/lineage", "There is no such table"),
        ("/ui/tables/public.users?key=777", "There is no such record"),
        ("/ui/quarantine/people?open=777", "There is no such row"),
    ];
    for (path, words) in errors {
        browser.go(path);
        browser.wait_for_text("@error", words);
        browser.wait("one('h1') && one('@nav-jobs')");
    }
    for path in ["/ui/nowhere", "/ui/runs/1/more", "/ui/tables/%"] {
        browser.go(path);
        browser.wait_for_text("h1", "There is no such page");
    }
    browser.click("@empty .button");
    browser.wait("one('@job-row')");
    shown.browser.finish_after(&["status of 404", "status of 400"]);
}

#[test]
fn a_job_whose_source_is_gone_says_why_it_could_not_start_and_starts_later() {
    let mut shown = Shown::loaded();
    let job = shown.rules() + "[load]\nretries = 0\n";
    shown.trip.job(&job);
    shown.trip.server.process.kill();
    let browser = &shown.browser;
    shown.open("/", "one('@job-row')");
    browser.click("@start-run");
    browser.wait("text('@job-state') === 'failed'");
    browser.wait_for_text("@error-text", "source_unreachable");
    browser.wait_for_text("@error-text", "cannot reach the source");
    browser.click("@job-link");
    browser.wait("text('@job-state') === 'failed' && one('@run-row')");
    browser.wait_for_text("@error-text", "source_unreachable");

    let address = shown.trip.server.address().to_owned();
    shown.trip.server = shown.trip.source.start_at(&address);
    browser.click("@nav-jobs");
    browser.click("@start-run");
    browser.wait("text('@job-state') === 'finished' && !one('@error-text')");
    shown.browser.finish();
}

#[test]
fn a_page_whose_server_is_killed_says_so_and_goes_on_when_it_is_back() {
    let mut shown = Shown::loaded();
    shown.open("/ui/tables/public.users", "one('@record-row')");
    shown.web.process.kill();
    let browser = &shown.browser;
    browser.click("@record-row[data-key='2'] @record-link");
    browser.wait_for_text("@record @error", "ferry-client does not answer");
    browser.press(thirtyfour::Key::Escape);
    browser.wait("!one('@record')");
    assert_eq!(browser.count("@record-row"), 50, "what is there stays");
    browser.click("@nav-jobs");
    browser.wait("text('h1') === 'Jobs' && text('main @error')?.includes('does not answer')");
    shown.serve_again();
    let browser = &shown.browser;
    browser.click("@retry");
    browser.wait("one('@job-row') && !one('@error')");
    shown.browser.finish_after(&["net::ERR_"]);
}

#[test]
fn a_page_that_follows_a_run_says_when_it_is_cut_off_and_goes_on_by_itself() {
    let mut shown = Shown::unloaded(20);
    let database = &shown.trip.database;
    database.execute("CREATE TABLE users (uid integer PRIMARY KEY, email text, name text)");
    let trigger =
        "CREATE TRIGGER held BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION public.hold_up()";
    crate::gate::build(database, trigger);
    let run = shown.trip.spawn(&shown.rules());
    crate::gate::wait_there(database);
    shown.wait_for_run();
    // What is asked for again and again stays to be seen, with its age.
    shown.open("/", "text('@job-state') === 'running'");
    shown.web.process.kill();
    shown.browser.wait("!one('@stale').hidden && text('@stale').includes('does not answer')");
    assert_eq!(shown.browser.count("@job-row"), 1, "what is there stays");
    shown.serve_again();
    shown.browser.wait("one('@stale').hidden");

    shown.browser.click("@watch-run");
    shown.browser.wait("one('@connection')?.dataset.state === 'live'");
    shown.web.process.kill();
    shown.browser.wait("one('@connection').dataset.state === 'waiting' && !one('@stale').hidden");
    shown.serve_again();
    shown.browser.wait("one('@connection').dataset.state === 'live' && one('@stale').hidden");
    crate::gate::open(&shown.trip.database);
    shown.browser.wait("text('@run-state') === 'finished' && text('@rows-loaded') === '17'");
    run.finish().expect_code(0);
    shown.browser.finish_after(&["net::ERR_"]);
}

/// Writes and runs a job `lost` that is as `people`, with a table and a database of its own behind a proxy.
fn lost_job(shown: &Shown, database: &Database, proxy: &Proxy) -> PathBuf {
    let (port, name) = (proxy.port(), &database.name);
    let url = format!("postgres://postgres@127.0.0.1:{port}/{name}?sslmode=disable");
    let people = fs::read_to_string(shown.trip.job(&shown.rules())).unwrap();
    let lost = people
        .replace(&shown.trip.database.url, &url)
        .replace("name = \"people\"\n[database]", "name = \"lost\"\n[database]")
        .replace("public.users", "public.lost");
    shown.trip.source.write("lost.toml", lost);
    let path = shown.trip.source.path("lost.toml");
    finish(client(["run", "--json"]).arg(&path)).expect_code(0);
    path
}

#[test]
fn a_job_whose_database_is_gone_says_so_and_the_others_are_shown() {
    let mut shown = Shown::loaded();
    let database = Database::create();
    let proxy = Proxy::start(&format!("127.0.0.1:{}", database.port));
    let lost = lost_job(&shown, &database, &proxy);
    assert_eq!(database.count("lost"), LOADED);
    shown.web.process.kill();
    shown.serve(&[lost, shown.trip.job(&shown.rules())]);
    let browser = &shown.browser;
    shown.open("/", "all('@job-row').length === 2 && all('@last-run').length === 2");
    assert_eq!(browser.count("@job-state[data-state=finished]"), 2);

    drop(proxy);

    browser.wait("text('[data-job=lost] [data-test=job-state]') === 'unavailable'");
    browser.wait_for_text("[data-job=lost] @job-trouble", "database");
    assert_eq!(browser.count("[data-job=lost] @job-state svg"), 1, "a sign, not colour alone");
    assert_eq!(browser.count("[data-job=lost] @last-run"), 0);
    assert!(!browser.text("[data-job=lost]").contains("never run"), "nobody knows");
    assert_eq!(browser.text("[data-job=people] @job-state"), "finished");
    assert_eq!(browser.text("[data-job=people] @last-run"), "Run 1");
    assert_eq!(browser.text("[data-job=people] @open-quarantine"), "3");
    let mut problems = accessible::check(&shown, "jobs");
    for (path, condition) in [
        ("/ui/runs", "all('@run-row').length === 1 && text('@run-row').includes('people')"),
        ("/ui/tables", "all('@table-row').length === 1 && text('@skipped').includes('lost')"),
        ("/ui/quarantine", "all('@quarantine-jobs tbody tr').length === 2"),
    ] {
        shown.open(path, condition);
        assert_eq!(browser.text("@unasked"), "Could not be asked: lost", "{path}");
        problems.extend(accessible::check(&shown, path));
    }
    browser.click("@unasked-job");
    browser.wait("text('h1') === 'lost'");
    browser.wait_for_text("@error", "The database cannot be reached");
    browser.become_phone();
    for (path, condition) in [("/", "one('@job-trouble')"), ("/ui/runs", "one('@run-row')")] {
        shown.open(path, condition);
        problems.extend(phone::check(&shown, path));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    shown.browser.finish_after(&["status of 503"]);
}

#[test]
fn a_list_of_runs_goes_on_by_itself_once_the_database_is_back() {
    let shown = Shown::loaded();
    let (browser, name) = (&shown.browser, &shown.trip.database.name);
    let aside = Database::create();
    let allow = |is_open: bool| format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {is_open}");
    aside.execute(&allow(false));
    aside.execute(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    ));
    shown.open("/ui/runs", "one('@empty') && text('@empty').includes('No run can be shown')");
    assert_eq!(browser.text("@unasked"), "Could not be asked: people");

    aside.execute(&allow(true));

    browser.wait("all('@run-row').length === 1 && one('@unasked').hidden");
    assert!(browser.text("@runs-pager").contains("1 shown"));
    shown.browser.finish();
}
