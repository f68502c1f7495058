//! Which files of a folder are read: those that the patterns name, below the root, each once, whatever is done to the folder meanwhile.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, JoinHandle};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tempfile::TempDir;

use crate::hosts::{Outcome, Process, Server, Source, finish, run, wait_for};
use crate::orders::{Orders, records};
use crate::postgres::Database;

/// What nobody who reads the dataset may see.
const SECRET: &str = "outside the root";
const ROWS_PER_FILE: u64 = 50;
/// The first file of orders.
const FIRST: &str = "part_00.csv";

/// A dataset `files` of these patterns, with further settings.
fn source(patterns: &str, settings: &str) -> Source {
    Source::new(&format!("[[dataset]]\nname = \"files\"\nfiles = {patterns}\n{settings}\n"))
}

/// Writes a file of one record that says which file it is, and the folders that lead to it.
fn write(source: &Source, file: &str) {
    fs::create_dir_all(source.path(file).parent().unwrap()).unwrap();
    source.write(file, format!("file\n{file}\n"));
}

/// Loads the dataset into a table of its name.
fn load(server: &Server, database: &Database) -> Outcome {
    finish(run(server.url(), "files", "files", &database.url).arg("--create"))
}

/// What is stored, in order.
fn stored(database: &Database) -> Vec<String> {
    let rows = database.rows("SELECT file FROM files ORDER BY file COLLATE \"C\"");
    rows.into_iter().flatten().collect()
}

/// Names of the files in the ledger, in order.
fn names(database: &Database) -> Vec<String> {
    let rows = database.rows("SELECT name FROM ferry.file ORDER BY name COLLATE \"C\"");
    rows.into_iter().flatten().collect()
}

#[test]
fn patterns_together_name_the_files_and_none_is_read_twice() {
    let patterns = "[\"daily/**/*.csv\", \"daily/2024/*.csv\", \"*.{csv,tsv}\", \"old-?.txt\"]";
    let source = source(patterns, "");
    let named = [
        "a.csv",
        "b.tsv",
        "daily/2024/01/deep.csv",
        "daily/2024/twice.csv",
        "daily/c.csv",
        "old-1.txt",
    ];
    let others = [
        ".hidden.csv",
        ".hidden/d.csv",
        "a.csv.bak",
        "a.txt",
        "daily/.hidden.csv",
        "daily/2024/.hidden/e.csv",
        "daily/f.CSV",
        "old-22.txt",
        "weekly/g.csv",
    ];
    for file in named.iter().chain(&others) {
        write(&source, file);
    }
    let database = Database::create();
    let server = source.start();

    let _ = load(&server, &database).expect_code(0);

    assert_eq!(stored(&database), named);
    assert_eq!(names(&database), named);
    let checked = source.check().expect_code(0);
    for file in others {
        assert!(!checked.text().contains(file), "{file} is in\n{}", checked.text());
    }
}

#[test]
fn a_link_that_leaves_the_root_is_not_read_and_one_that_stays_is() {
    let outside = outside();
    let source = source("[\"in/**/*.csv\"]", "");
    for file in ["in/plain.csv", "kept/one.csv", "more/two.csv"] {
        write(&source, file);
    }
    let link = |target: &Path, name: &str| symlink(target, source.path(name)).unwrap();
    link("../kept/one.csv".as_ref(), "in/link.csv");
    link("../more".as_ref(), "in/folder");
    link("../in".as_ref(), "in/circle");
    link("nowhere.csv".as_ref(), "in/nowhere.csv");
    link(&outside.path().join("secret.csv"), "in/secret.csv");
    link(outside.path(), "in/outside");
    let database = Database::create();
    let server = source.start();

    let _ = load(&server, &database).expect_code(0);

    assert_eq!(names(&database), ["in/folder/two.csv", "in/link.csv", "in/plain.csv"]);
    assert_eq!(stored(&database), ["in/plain.csv", "kept/one.csv", "more/two.csv"]);
    wait_for("the server to tell of the link", 30, || {
        let told = server.process.stderr();
        (told.contains("leads out of root") && told.contains("secret.csv")).then_some(())
    });
    let checked = source.check().expect_code(0);
    assert!(!checked.stdout.contains("secret.csv"), "{}", checked.text());
    assert!(!database.dump().contains(SECRET) && !checked.text().contains(SECRET));
}

#[test]
fn a_folder_that_a_pattern_names_may_not_be_a_link_out_of_the_root() {
    let outside = outside();
    let source = source("[\"data/*.csv\", \"*.csv\"]", "");
    symlink(outside.path(), source.path("data")).unwrap();
    write(&source, "plain.csv");
    let database = Database::create();
    let server = source.start();

    let _ = load(&server, &database).expect_code(0);

    assert_eq!(names(&database), ["plain.csv"]);
    assert!(!database.dump().contains(SECRET));
}

/// A folder that is not below the root, with a file in it.
fn outside() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret.csv"), format!("file\n{SECRET}\n")).unwrap();
    folder
}

/// Files that appear one after the other; each is whole when it gets its name.
fn write_files(folder: PathBuf, files: u64) -> JoinHandle<()> {
    thread::spawn(move || {
        for number in 0..files {
            let beginning = folder.join("unfinished");
            let mut file = File::create(&beginning).unwrap();
            for row in 0..ROWS_PER_FILE {
                writeln!(file, "{}", number * ROWS_PER_FILE + row).unwrap();
            }
            // Takes a moment, so that runs come in between.
            file.sync_all().unwrap();
            // Names come in no order: a folder grows before and behind what was seen of it.
            let name = format!("{:03}/{number}.csv", number.wrapping_mul(7) % 10);
            fs::rename(&beginning, folder.join(name)).unwrap();
        }
    })
}

#[test]
fn a_folder_that_grows_meanwhile_is_loaded_once_in_the_end() {
    const FILES: u64 = 150;
    let source = source("[\"**/*.csv\"]", "header = false\ncolumns = [\"id\"]\nmin_age = \"0s\"");
    for folder in 0..10 {
        fs::create_dir(source.path(&format!("{folder:03}"))).unwrap();
    }
    let database = Database::create();
    database.execute("CREATE TABLE files (id text)");
    let server = source.start();
    let writer = write_files(source.path(""), FILES);
    wait_for("the first files", 60, || source.path("000/0.csv").exists().then_some(()));

    let mut runs = Vec::new();
    while !writer.is_finished() || runs.is_empty() {
        let summary = load(&server, &database).expect_code(0).summary();
        runs.push((summary["state"].clone(), summary["rows"]["loaded"].as_u64().unwrap()));
    }
    writer.join().unwrap();
    let last = load(&server, &database).expect_code(0).summary();

    let loaded: u64 = runs.iter().map(|(_, loaded)| loaded).sum();
    assert_eq!(loaded + last["rows"]["loaded"].as_u64().unwrap(), FILES * ROWS_PER_FILE);
    assert!(loaded > 0, "{runs:?}");
    assert_eq!(database.count("files"), FILES * ROWS_PER_FILE);
    let distinct = "SELECT count(DISTINCT id) FROM files";
    assert_eq!(database.number(distinct), FILES * ROWS_PER_FILE, "exactly once");
    assert_eq!(database.count("ferry.file"), FILES);
    assert_eq!(load(&server, &database).expect_code(0).summary()["state"], "nothing_new");
}

#[test]
fn a_young_archive_is_left_until_it_is_older() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"file\none\ntwo\n").unwrap();
    let archive = encoder.finish().unwrap();
    assert_left_until_older("a.csv.gz", &archive, "");
}

#[test]
fn a_young_file_whose_last_records_are_a_footer_is_left_until_it_is_older() {
    assert_left_until_older("a.csv", b"file\none\ntwo\n2 records\n", "skip_footer = 1");
}

/// Loads a file of two records while it is too young, and again until it is not.
fn assert_left_until_older(file: &str, content: &[u8], settings: &str) {
    let patterns = "[\"*.csv\", \"*.csv.gz\"]";
    let aged = |min_age: &str| source(patterns, &format!("min_age = \"{min_age}\"\n{settings}"));
    let (young, old) = (aged("1h"), aged("1s"));
    let database = Database::create();
    young.write(file, content);
    old.write(file, content);

    let server = young.start();
    let first = load(&server, &database).expect_code(0).expect_text("left for the next run");
    assert_eq!(first.summary()["rows"]["loaded"], 0);
    drop(server);
    let server = old.start();
    wait_for("the file to be old enough", 60, || {
        let summary = load(&server, &database).expect_code(0).summary();
        let loaded = database.count("files");
        assert!(loaded == 0 || loaded == 2, "{loaded} rows: {summary}");
        (loaded == 2).then_some(())
    });

    assert_eq!(stored(&database), ["one", "two"]);
    assert_eq!(load(&server, &database).expect_code(0).summary()["state"], "nothing_new");
}

/// Orders in three files of several splits each, and transactions that take their time.
fn slow_orders() -> (Orders, Server, Command) {
    let orders = Orders::new(Database::create(), 3, 3_000);
    orders.database.slow_inserts("orders", 400);
    let server = orders.source.start();
    let mut command = orders.run(server.url());
    command.args(["--split-bytes", "64KiB"]);
    (orders, server, command)
}

/// Runs the job, and does something to its first file once a part of it is stored.
fn run_and_disturb(orders: &Orders, command: &mut Command, disturb: impl FnOnce()) -> Value {
    let running = Process::spawn(command);
    orders.wait_for_commits(1);
    disturb();
    orders.database.execute("DROP TRIGGER dawdle ON orders");
    let outcome = running.finish().expect_code(7).expect_text(FIRST);
    let undone = orders.database.rows(
        "SELECT DISTINCT name FROM ferry.split JOIN ferry.file USING (file_id) WHERE NOT done",
    );
    assert_eq!(undone, [[FIRST]], "only of that file something is left");
    outcome.summary()
}

#[test]
fn a_file_that_is_cut_short_while_it_is_loaded_leaves_the_others() {
    let (orders, _server, mut command) = slow_orders();
    let path = orders.source.path(FIRST);
    let content = fs::read(&path).unwrap();

    let summary = run_and_disturb(&orders, &mut command, || {
        File::options().write(true).open(&path).unwrap().set_len(5).unwrap();
    });

    assert_eq!(summary["problems"][0]["reason"], "FILE_CHANGED", "{summary}");
    assert_eq!(summary["error"]["code"], "files_unreadable");
    let again = finish(&mut command).expect_code(7).summary();
    assert_eq!(again["error"]["code"], "file_rewritten", "as the job says");
    fs::write(&path, content).unwrap();
    let _ = finish(&mut command).expect_code(0);
    orders.assert_loaded_once();
}

#[test]
fn a_link_out_of_the_root_in_place_of_a_file_that_is_loaded_is_not_followed() {
    let (orders, _server, mut command) = slow_orders();
    let outside = tempfile::tempdir().unwrap();
    let elsewhere = outside.path().join("elsewhere.csv");
    fs::write(&elsewhere, records(1_000_000..1_003_000)).unwrap();
    let path = orders.source.path(FIRST);
    let away = orders.source.path("away");

    let summary = run_and_disturb(&orders, &mut command, || {
        fs::rename(&path, &away).unwrap();
        symlink(&elsewhere, &path).unwrap();
    });

    assert_eq!(summary["problems"][0]["reason"], "FILE_NOT_FOUND", "{summary}");
    let strange = "SELECT count(*) FROM orders WHERE id >= 1000000";
    assert_eq!(orders.database.number(strange), 0);
    fs::remove_file(&path).unwrap();
    fs::rename(&away, &path).unwrap();
    let _ = finish(&mut command).expect_code(0);
    orders.assert_loaded_once();
}
