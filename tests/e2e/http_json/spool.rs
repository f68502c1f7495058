//! Pages lie in the spool for as long as the settings say, each beside those of its own dataset.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::interrupted::{COUNT, RULES, assert_whole, slow};
use super::{APPEND, Fetching, HTTP, settings, start_at};
use crate::api::{Api, Paging};
use crate::gate;
use crate::hosts::{Outcome, finish, run};

const DAY: Duration = Duration::from_hours(24);
/// Holds a run up at its first row.
const BARRIER: &str = "CREATE TRIGGER barrier BEFORE INSERT ON people FOR EACH ROW \
    WHEN (NEW.id = 1) EXECUTE FUNCTION hold_up()";

/// Declares a dataset `others` of an API beside `people`, with bounds of the spool they share.
fn share(fetching: &mut Fetching, others: &Api, spool: &str) {
    let people = settings(&fetching.api, "", HTTP);
    let others = settings(others, "", HTTP).replacen("\"people\"", "\"others\"", 1);
    fetching.source.write("server.toml", format!("[spool]\n{spool}\n{people}{others}"));
    restart(fetching);
}

fn restart(fetching: &mut Fetching) {
    fetching.server = start_at(&fetching.source, "127.0.0.1:0");
}

fn run_others(fetching: &Fetching) -> Outcome {
    let (server, database) = (fetching.server.url(), &fetching.database.url);
    finish(run(server, "others", "public.others", database).arg("--create"))
}

/// Pages of a dataset, in order.
fn pages_of(fetching: &Fetching, dataset: &str) -> Vec<PathBuf> {
    let folder = fetching.source.path(&format!(".ferry-spool/dataset.{dataset}"));
    let files = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths
}

fn names(pages: &[PathBuf]) -> Vec<&str> {
    pages.iter().map(|page| page.file_name().unwrap().to_str().unwrap()).collect()
}

/// Makes a page look as if it had been fetched so long ago.
fn make_older(page: &Path, age: Duration) {
    let file = File::options().write(true).open(page).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn a_page_that_is_too_old_while_a_run_needs_it_is_named_and_the_next_run_has_it_again() {
    let (mut fetching, _) = slow();
    let few = Api::start(Paging::Number, 5, super::people(1..=7));
    share(&mut fetching, &few, "max_age = \"2d\"");
    gate::build(&fetching.database, BARRIER);
    let client = fetching.spawn(RULES);
    gate::wait_there(&fetching.database);
    let last = pages_of(&fetching, "people").pop().unwrap();
    make_older(&last, 3 * DAY);

    // Whoever fetches next clears up, whatever the dataset.
    run_others(&fetching).expect_code(0);
    assert!(!last.exists(), "it is too old");
    gate::open(&fetching.database);

    let outcome = client.finish().expect_code(7).expect_text("FILE_NOT_FOUND");
    outcome.expect_text(last.file_name().unwrap().to_str().unwrap());
    let stored = fetching.database.count("people");
    assert!(0 < stored && stored < COUNT, "the pages before it are loaded: {stored}");
    assert_eq!(fetching.database.count("others"), 7);
    fetching.run(RULES).expect_code(0);
    assert_whole(&fetching);
    assert!(last.exists(), "it was fetched again");
}

#[test]
fn datasets_share_a_spool_and_the_oldest_pages_of_all_make_room() {
    let filler = "x".repeat(600);
    let record = |id: u64| json!({ "id": id, "name": format!("person {id}{filler}") });
    let records: Vec<Value> = (1001..=2000).map(record).collect();
    // Both are the same to the last letter, and so are the names of their pages.
    let others = Api::start(Paging::Number, 200, records.clone());
    let mut fetching = Fetching::new(Api::start(Paging::Number, 200, records), "", HTTP);
    share(&mut fetching, &others, "max_bytes = \"1MiB\"");
    let rules = ["columns = [\"id\", \"name\"]\n", APPEND].concat();
    fetching.run(&rules).expect_code(0);
    let kept = pages_of(&fetching, "people");
    assert_eq!(kept.len(), 5);
    for (page, hours) in kept.iter().zip([10, 9, 8, 7, 6]) {
        make_older(page, Duration::from_hours(hours));
    }
    // What this process has fetched within the hour would stay.
    restart(&mut fetching);

    run_others(&fetching).expect_code(0);
    assert_eq!(names(&pages_of(&fetching, "others")), names(&kept));
    assert_eq!(names(&pages_of(&fetching, "people")), names(&kept), "so much has room");
    run_others(&fetching).expect_code(0);

    assert_eq!(names(&pages_of(&fetching, "people")), names(&kept[2..]), "the oldest are gone");
    assert_eq!(names(&pages_of(&fetching, "others")), names(&kept), "these are new");
    let summary = fetching.run(&rules).expect_code(0).summary();
    assert_eq!(summary["state"], "nothing_new", "{summary}");
    assert_eq!(names(&pages_of(&fetching, "people")), names(&kept), "fetched again");
    for table in ["people", "others"] {
        assert_eq!(fetching.database.count(table), 1000, "{table}");
        let distinct = format!("SELECT count(DISTINCT id) FROM {table}");
        assert_eq!(fetching.database.number(&distinct), 1000, "{table}");
    }
}
