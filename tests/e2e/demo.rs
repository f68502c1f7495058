//! The try-out keeps its word: it shows what ferry does, and leaves nothing behind.

use std::fs;
use std::path::Path;

use crate::hosts::{client, finish, wait_for};

/// Command lines of the processes that mention a path.
fn processes_with(path: &Path) -> Vec<String> {
    let path = path.to_str().unwrap();
    let entries = fs::read_dir("/proc").unwrap();
    let lines = entries.filter_map(|entry| {
        let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(path).then_some(line)
    });
    lines.collect()
}

#[test]
fn the_demo_shows_hashed_rows_and_quarantine_and_cleans_up() {
    let folder = tempfile::tempdir().unwrap();

    let outcome = finish(client(["demo"]).env("TMPDIR", folder.path())).expect_code(0);

    let outcome = outcome.expect_text("quarantine").expect_text("grpcurl").expect_text("loaded");
    let outcome = outcome.expect_text("read").expect_text("bad_").expect_text("\\x");
    let said = &outcome.stdout;
    assert!(said.lines().count() > 10, "{said}");
    wait_for("the demo's processes to go", 10, || {
        processes_with(folder.path()).is_empty().then_some(())
    });
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn the_demo_of_people_goes_from_an_api_to_a_page_and_cleans_up() {
    let folder = tempfile::tempdir().unwrap();

    let outcome = finish(client(["demo", "people"]).env("TMPDIR", folder.path())).expect_code(0);

    let outcome = outcome.expect_text("250 people in the API = 246 in both tables");
    let outcome = outcome.expect_text("found in the cache, where it stays for 1");
    let outcome = outcome.expect_text("found in the database");
    // Somebody moves: another address, and another pseudonym.
    let said = outcome.stdout;
    let shown = |line: &&str| line.starts_with("uid ");
    let mut people: Vec<&str> = said.lines().filter(shown).collect();
    people.dedup();
    assert_eq!(people.len(), 2, "{said}");
    wait_for("the demo's processes to go", 10, || {
        processes_with(folder.path()).is_empty().then_some(())
    });
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}
