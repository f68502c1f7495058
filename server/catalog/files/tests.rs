//! Which files a dataset has, whatever else lies in its folders.

use super::*;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

fn folder(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    for file in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder is made");
        std::fs::write(path, "a\n").expect("file is written");
    }
    folder
}

fn file_set(root: &Path, patterns: &[&str]) -> FileSet {
    let root = root.canonicalize().expect("folder is there");
    let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    FileSet::new(&root, &patterns).expect("patterns are allowed")
}

fn names(files: &FileSet) -> Vec<String> {
    files.list().expect("files are listed").into_iter().map(|file| file.name).collect()
}

#[test]
fn globs_find_files_in_the_order_of_their_names() {
    let folder = folder(&["b.csv", "a.csv", "a.txt", "x/c.csv", "x/y/d.csv"]);
    let found = |patterns: &[&str]| names(&file_set(folder.path(), patterns));
    assert_eq!(found(&["*.csv"]), ["a.csv", "b.csv"]);
    assert_eq!(found(&["./b.csv", "*.csv"]), ["a.csv", "b.csv"]);
    assert_eq!(found(&["x/*.csv"]), ["x/c.csv"]);
    assert_eq!(found(&["**/*.csv"]), ["a.csv", "b.csv", "x/c.csv", "x/y/d.csv"]);
    assert_eq!(found(&["x/**/d.csv"]), ["x/y/d.csv"]);
    assert_eq!(found(&["{a,x/c}.csv"]), ["a.csv", "x/c.csv"]);
    assert_eq!(found(&["**"]), ["a.csv", "a.txt", "b.csv", "x/c.csv", "x/y/d.csv"]);
    assert_eq!(found(&["**/y/*"]), ["x/y/d.csv"]);
    assert_eq!(found(&["a.csv", "a.csv", "x/c.csv"]), ["a.csv", "x/c.csv"]);
    assert!(found(&["none/*.csv"]).is_empty());
    assert!(found(&["none.csv", "a.csv/*", "x"]).is_empty());
}

#[test]
fn hidden_files_are_skipped() {
    let folder = folder(&["a.csv", ".b.csv", ".x/c.csv"]);
    let files = file_set(folder.path(), &["**/*.csv"]);
    assert_eq!(names(&files), ["a.csv"]);
    assert!(files.find(".b.csv").expect("no error").is_none());
    assert!(files.find(".x/c.csv").expect("no error").is_none());
}

#[test]
fn links_stay_below_the_root() {
    let outside = folder(&["secret.csv", "deep/secret.csv"]);
    let folder = folder(&["a.csv"]);
    let root = folder.path();
    symlink(root.join("a.csv"), root.join("inside.csv")).expect("link is made");
    symlink(outside.path().join("secret.csv"), root.join("file.csv")).expect("link is made");
    symlink(outside.path().join("deep"), root.join("deep")).expect("link is made");
    symlink(root.join("gone"), root.join("gone.csv")).expect("link is made");

    let files = file_set(root, &["*.csv", "deep/*.csv", "**/*.csv"]);
    assert_eq!(names(&files), ["a.csv", "inside.csv"]);
    for name in ["file.csv", "deep/secret.csv", "gone.csv"] {
        assert!(files.find(name).expect("no error").is_none(), "{name}");
    }
}

#[test]
fn a_name_that_is_no_file_of_the_dataset_finds_nothing() {
    let folder = folder(&["a.csv", "x/b.csv", "c.txt", "d.csv/e"]);
    let files = file_set(folder.path(), &["*.csv"]);
    assert!(files.find("a.csv").expect("no error").is_some());
    let absolute = folder.path().join("a.csv").display().to_string();
    for name in ["", "x/b.csv", "c.txt", "d.csv", "x/../a.csv", "./a.csv", "a.csv\0", &absolute] {
        assert!(files.find(name).expect("no error").is_none(), "{name}");
    }
}

#[test]
fn patterns_that_leave_the_root_are_refused() {
    let folder = folder(&[]);
    for pattern in ["/etc/*", "../*.csv", "a/../*.csv", ".x/*.csv", "a//b", "", "a[.csv"] {
        assert!(FileSet::new(folder.path(), &[pattern.to_owned()]).is_err(), "{pattern}");
    }
}

#[test]
fn braces_and_classes_reach_as_deep_as_they_say() {
    let folder = folder(&["a1.csv", "a2.csv.gz", "ab.csv", "x/b/1.csv", "x/c/d/2.csv", "y/1.csv"]);
    let found = |pattern: &str| names(&file_set(folder.path(), &[pattern]));
    assert_eq!(found("a[0-9].csv*"), ["a1.csv", "a2.csv.gz"]);
    assert_eq!(found("a[!0-9].csv"), ["ab.csv"]);
    assert_eq!(found("*.csv{,.gz}"), ["a1.csv", "a2.csv.gz", "ab.csv"]);
    assert_eq!(found("a{1,2}.{csv,csv.gz}"), ["a1.csv", "a2.csv.gz"]);
    assert_eq!(found("x/{b,c/d}/[12].csv"), ["x/b/1.csv", "x/c/d/2.csv"]);
    assert_eq!(found("{x/b,y}/?.csv"), ["x/b/1.csv", "y/1.csv"]);
    assert_eq!(found("{x/c/**,a1}*.csv"), ["a1.csv", "x/c/d/2.csv"]);
    assert_eq!(found("{x/**/,a}[12].csv"), ["a1.csv", "x/b/1.csv", "x/c/d/2.csv"]);
    assert_eq!(found("[xy]/**/1.csv"), ["x/b/1.csv", "y/1.csv"]);
}

#[test]
fn a_class_does_not_lead_into_another_folder() {
    let folder = folder(&["a/b.csv", "a-b.csv"]);
    let files = file_set(folder.path(), &["a[!x]b.csv"]);
    assert_eq!(names(&files), ["a-b.csv"]);
    assert!(files.find("a/b.csv").expect("no error").is_none());
}

#[test]
fn a_name_that_breaks_a_line_of_the_log_is_skipped() {
    let names_of_files =
        ["a.csv", "b\nc.csv", "b\u{1b}[1m.csv", "b\u{2028}.csv", "x\r/d.csv", "ü.csv"];
    let folder = folder(&names_of_files);
    std::fs::write(folder.path().join(OsStr::from_bytes(b"b\xFF.csv")), "a\n").expect("written");
    let files = file_set(folder.path(), &["**/*.csv"]);
    assert_eq!(names(&files), ["a.csv", "ü.csv"]);
    assert!(files.find("b\nc.csv").expect("no error").is_none());
    let pattern = ["b\n*.csv".to_owned()];
    let refusal = FileSet::new(folder.path(), &pattern).expect_err("it is refused");
    assert!(refusal.starts_with("\"b\\n*.csv\" cannot be"), "{refusal}");
}

#[test]
fn links_that_lead_in_a_circle_or_nowhere_are_skipped() {
    let folder = folder(&["a.csv", "x/b.csv"]);
    let root = folder.path();
    symlink(root, root.join("x/up")).expect("link is made");
    symlink(".", root.join("latest")).expect("link is made");
    symlink("itself", root.join("itself")).expect("link is made");
    symlink("/proc/1/root/x", root.join("forbidden")).expect("link is made");
    symlink(".hidden", root.join(".hidden")).expect("link is made");
    assert_eq!(names(&file_set(root, &["**/*.csv"])), ["a.csv", "x/b.csv"]);
    assert_eq!(names(&file_set(root, &["*.csv"])), ["a.csv"]);
}

#[test]
fn only_files_are_files() {
    let folder = folder(&["a.csv", "d.csv/x"]);
    let socket = std::os::unix::net::UnixListener::bind(folder.path().join("s.csv"));
    assert_eq!(names(&file_set(folder.path(), &["*.csv"])), ["a.csv"]);
    drop(socket.expect("a socket"));
}

#[test]
fn a_folder_may_change_while_it_is_walked() {
    let steady: Vec<String> = (10..50).map(|number| format!("x/steady-{number}.csv")).collect();
    let steady: Vec<&str> = steady.iter().map(String::as_str).collect();
    let folder = folder(&steady);
    let files = file_set(folder.path(), &["**/*.csv", "x/*/*.csv"]);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                come_and_go(&folder.path().join("x"));
            }
        });
        for _ in 0..100 {
            let listed = files.list();
            let is_steady = |file: &&SourceFile| file.name.contains("steady");
            let found = listed.as_ref().map(|files| files.iter().filter(is_steady).count());
            if found.as_ref().ok() != Some(&steady.len()) {
                is_over.store(true, Ordering::Relaxed);
            }
            assert_eq!(found.expect("a list"), steady.len());
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

/// Makes files, folders and links, and removes them again.
fn come_and_go(folder: &Path) {
    for number in 0..20 {
        let inner = folder.join(format!("folder-{number}.csv"));
        std::fs::write(folder.join(format!("{number}.csv")), "a\n").expect("file is written");
        std::fs::create_dir(&inner).expect("folder is made");
        std::fs::write(inner.join("a.csv"), "a\n").expect("file is written");
        symlink(&inner, folder.join(format!("link-{number}"))).expect("link is made");
        symlink(inner.join("a.csv"), folder.join(format!("link-{number}.csv"))).expect("link");
    }
    for number in 0..20 {
        let inner = folder.join(format!("folder-{number}.csv"));
        std::fs::remove_dir_all(&inner).expect("folder is removed");
        // A file now stands where a folder was.
        std::fs::write(&inner, "a\n").expect("file is written");
        std::fs::remove_file(&inner).expect("file is removed");
        for name in
            [format!("{number}.csv"), format!("link-{number}"), format!("link-{number}.csv")]
        {
            std::fs::remove_file(folder.join(name)).expect("file is removed");
        }
    }
}
