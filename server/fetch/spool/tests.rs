//! What a spool keeps, for how long, and who may read it.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

/// A spool of so many bytes, in a folder that it has yet to make.
fn spool(folder: &tempfile::TempDir, bytes_max: u64) -> Spool {
    Spool::new(folder.path().join("spool"), bytes_max, Duration::from_hours(24 * 30))
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("temporary folder")
}

/// Keeps a page of this number, written so many hours ago.
fn keep(spool: &Spool, number: u32, body: &[u8], hours: u64) -> PathBuf {
    let name = page_name(number, u128::from(number), Extension::Json);
    let path = spool.keep("users", &name, body, SystemTime::now()).expect("it is written");
    let written = SystemTime::now() - Duration::from_hours(hours);
    let file = fs::File::options().write(true).open(&path).expect("it is there");
    file.set_modified(written).expect("its time is set");
    path
}

fn names(spool: &Spool) -> Vec<String> {
    let paths = spool.pages("users").expect("it is read");
    let name = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
    paths.iter().map(name).collect()
}

#[test]
fn a_page_is_named_by_its_number_and_its_content() {
    let name = page_name(7, 0xab, Extension::Ndjson);
    assert_eq!(name, format!("page-000007-{}ab.ndjson", "0".repeat(30)));
    assert!(is_page_name(&name));
    assert_eq!(failed_page_name(3), "page-000003");
    let hash = "0".repeat(32);
    for name in [
        String::new(),
        "page-000007".to_owned(),
        format!("page-7-{hash}.json"),
        format!("page-000007-{hash}.csv"),
        format!("page-000007-{hash}.json.gz"),
        format!("page-000007-{}.json", "A".repeat(32)),
        format!("../page-000007-{hash}.json"),
        format!("page-000007-{hash}.json/"),
        format!("page-00000７-{hash}.json"),
    ] {
        assert!(!is_page_name(&name), "{name}");
    }
}

#[test]
fn only_the_owner_may_read_what_is_kept() {
    let folder = folder();
    let spool = spool(&folder, 1 << 20);
    let path = keep(&spool, 1, b"[1]", 0);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().expect("a folder")), 0o700);
    assert_eq!(mode(&folder.path().join("spool")), 0o700);
}

#[test]
fn a_page_that_is_there_is_left_as_it_is() {
    let folder = folder();
    let spool = spool(&folder, 1 << 20);
    let path = keep(&spool, 1, b"[1]", 5);
    let modified = || fs::metadata(&path).and_then(|found| found.modified()).expect("it is there");
    let before = modified();
    let name = page_name(1, 1, Extension::Json);
    assert_eq!(spool.keep("users", &name, b"[1]", NOW).expect("it is there"), path);
    assert_eq!(modified(), before);
    // What a crash or somebody else left behind has the name, but not the content.
    for content in ["", "[2]"] {
        fs::write(&path, content).expect("it is written");
        spool.keep("users", &name, b"[1]", NOW).expect("it is written");
        assert_eq!(fs::read(&path).expect("it is there"), b"[1]");
    }
    assert_eq!(fs::read_dir(path.parent().expect("a folder")).expect("it is read").count(), 1);
}

#[test]
fn pages_are_found_by_names_of_their_form_only() {
    let folder = folder();
    let spool = spool(&folder, 1 << 20);
    assert!(spool.pages("users").expect("nothing is there yet").is_empty());
    let path = keep(&spool, 1, b"[1]", 0);
    let name = page_name(1, 1, Extension::Json);
    assert_eq!(spool.find("users", &name), Some(path.clone()));
    assert_eq!(spool.find("orders", &name), None);
    assert_eq!(spool.find("users", &format!("../dataset.users/{name}")), None);
    let users = path.parent().expect("a folder");
    fs::write(users.join("other.json"), b"x").expect("it is written");
    symlink("/etc/passwd", users.join(page_name(2, 2, Extension::Json))).expect("a link");
    assert_eq!(spool.find("users", &page_name(2, 2, Extension::Json)), None);
    assert_eq!(names(&spool), [name]);
}

#[test]
fn a_dataset_may_have_any_name() {
    let folder = folder();
    let spool = spool(&folder, 1 << 20);
    let name = page_name(1, 1, Extension::Json);
    for dataset in [".", "..", "a"] {
        let path = spool.keep(dataset, &name, b"[1]", NOW).expect("it is written");
        assert!(path.starts_with(folder.path().join("spool")), "{path:?}");
        assert_eq!(fs::read_dir(path.parent().expect("a folder")).expect("read").count(), 1);
    }
}

#[test]
fn what_is_too_old_is_removed() {
    let folder = folder();
    let spool = spool(&folder, 1 << 20);
    keep(&spool, 1, b"[1]", 24 * 31);
    keep(&spool, 2, b"[2]", 24 * 29);
    spool.prune(SystemTime::now());
    assert_eq!(names(&spool), [page_name(2, 2, Extension::Json)]);
}

#[test]
fn the_oldest_of_what_is_too_much_is_removed_but_not_what_is_recent() {
    let folder = folder();
    let spool = spool(&folder, 5);
    keep(&spool, 1, b"[1]", 3);
    keep(&spool, 2, b"[2]", 4);
    keep(&spool, 3, b"[3]", 2);
    keep(&spool, 4, b"[4]", 0);
    // It was there before, and has just been fetched again.
    let name = page_name(2, 2, Extension::Json);
    spool.keep("users", &name, b"[2]", SystemTime::now()).expect("it is there");
    spool.prune(SystemTime::now());
    assert_eq!(names(&spool), [name, page_name(4, 4, Extension::Json)]);
}

#[test]
fn what_was_never_finished_is_cleared_away_and_what_is_foreign_is_not() {
    let folder = folder();
    let spool = spool(&folder, 1);
    let users = keep(&spool, 1, b"[1]", 0).parent().expect("a folder").to_owned();
    let hours_ago = |hours: u64| SystemTime::now() - Duration::from_hours(hours);
    for (name, hours) in [(".unfinished-1-0", 2), (".unfinished-1-1", 0), ("mine.json", 9999)] {
        let file = fs::File::create(users.join(name)).expect("it is written");
        file.set_modified(hours_ago(hours)).expect("its time is set");
    }
    spool.prune(SystemTime::now());
    let is_there = |name: &str| users.join(name).exists();
    assert!(!is_there(".unfinished-1-0"));
    assert!(is_there(".unfinished-1-1") && is_there("mine.json"));
}

#[test]
fn a_spool_that_cannot_be_written_says_so_without_its_path() {
    let folder = folder();
    fs::write(folder.path().join("spool"), b"a file").expect("it is written");
    let spool = spool(&folder, 1 << 20);
    let name = page_name(1, 1, Extension::Json);
    let error = spool.keep("users", &name, b"[1]", NOW).expect_err("it is no folder");
    let text = error.to_string();
    assert!(text.starts_with("the spool cannot be written: "), "{text}");
    assert!(!text.contains(&*folder.path().to_string_lossy()), "{text}");
}
