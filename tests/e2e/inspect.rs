//! What `ferry-server inspect` prints can be pasted: the server takes it, every row is loaded, and no value is in it.

mod kinds;

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;

use self::kinds::{Kind, kinds};
use crate::hosts::{Outcome, Process, Source, finish, run};
use crate::postgres::Database;

/// A folder on the source host, and one file in it that changed long ago.
fn folder(file: &str, content: impl AsRef<[u8]>) -> Source {
    let source = Source::new("");
    source.write(file, content);
    let long_ago = SystemTime::now().checked_sub(Duration::from_hours(1)).unwrap();
    let file = File::options().append(true).open(source.path(file)).unwrap();
    file.set_modified(long_ago).unwrap();
    source
}

/// `ferry-server inspect` in a folder.
fn command(source: &Source, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferry-server"));
    command.arg("inspect").args(words).current_dir(source.path("")).env_remove("RUST_LOG");
    command
}

fn inspect(source: &Source, words: &[&str]) -> Outcome {
    finish(&mut command(source, words))
}

/// The one dataset of a text of TOML.
#[track_caller]
fn dataset(text: &str) -> toml::Table {
    let settings: toml::Table =
        toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let datasets = settings["dataset"].as_array().unwrap();
    assert_eq!(datasets.len(), 1, "{text}");
    datasets[0].as_table().unwrap().clone()
}

#[track_caller]
fn assert_hidden(printed: &str, values: &[&str]) {
    for value in values {
        assert!(!printed.contains(value), "{value} is in\n{printed}");
    }
}

/// Inspects the file of a kind, pastes what is printed, and loads the dataset.
fn inspect_and_load(kind: &Kind) {
    let (file, rows) = (kind.file, kind.rows);
    let source = folder(file, &kind.content);
    let printed = inspect(&source, &[file]).expect_code(0);
    assert_eq!(printed.stderr, "", "{file}");
    assert_hidden(&printed.stdout, kind.hidden);
    let name = dataset(&printed.stdout)["name"].as_str().unwrap().to_owned();

    source.write("server.toml", &printed.stdout);
    let checked = source.check().expect_code(0).expect_text(file);
    assert!(!checked.text().contains("warning"), "{file}\n{}", checked.text());
    let server = source.start();
    let database = Database::create();
    let mut command = run(server.url(), &name, "stored", &database.url);
    let summary = finish(command.args(["--create", "--max-rejects", "0"])).expect_code(0).summary();

    assert_eq!(summary["rows"]["loaded"], rows, "{file}\n{}", printed.stdout);
    assert_eq!(database.count("stored"), rows, "{file}");
    assert_eq!(database.count("ferry.quarantine"), 0, "{file}");
    let stored = database.rows("SELECT * FROM stored ORDER BY ctid LIMIT 1");
    assert_eq!(stored, [kind.first.as_slice()], "{file}");
}

#[test]
fn what_is_printed_loads_every_row_of_every_kind_of_file() {
    let kinds = kinds();
    assert!(kinds.len() >= 8);
    for kind in &kinds {
        inspect_and_load(kind);
    }
}

#[test]
fn what_is_printed_can_be_added_to_settings() {
    let kinds = kinds();
    let source = folder("first.csv", "id,name\n1,x\n2,y\n");
    let mut settings = inspect(&source, &["first.csv"]).expect_code(0).stdout;
    for kind in &kinds {
        source.write(kind.file, &kind.content);
        settings.push_str(&inspect(&source, &[kind.file]).expect_code(0).stdout);
    }
    source.write("server.toml", &settings);

    let checked = source.check().expect_code(0);

    for kind in &kinds {
        assert!(checked.stdout.contains(kind.file), "{}", checked.text());
    }
}

#[test]
fn values_are_printed_only_where_that_is_asked_for() {
    let file = "amount,day,who\n4711,2024-03-17,Lovelace\n815,2023-11-05,Hopper\n77\n";
    let source = folder("a.csv", file);
    let printed = inspect(&source, &["a.csv"]).expect_code(0).stdout;
    assert_hidden(&printed, &["4711", "815", "2024", "2023", "Lovelace", "Hopper", "77"]);
    assert!(printed.contains("too_few_fields: 1 record"), "{printed}");

    let printed = inspect(&source, &["a.csv", "--values"]).expect_code(0).stdout;

    for value in ["\"815\" to \"4711\"", "\"2023-11-05\" to \"2024-03-17\""] {
        assert!(printed.contains(value), "{value} is not in\n{printed}");
    }
    assert_hidden(&printed, &["Lovelace", "Hopper"]);
}

#[test]
fn words_of_a_file_without_header_are_no_names() {
    let source = folder("who.csv", "Lovelace;London\nHopper;New York\nNoether;Erlangen\n");
    let guessed = inspect(&source, &["who.csv"]).expect_code(0).expect_text("header: guessed");
    assert!(guessed.stdout.contains("--no-header"), "{}", guessed.stdout);

    let printed = inspect(&source, &["who.csv", "--no-header"]).expect_code(0).stdout;

    assert_hidden(&printed, &["Lovelace", "London", "Hopper", "Noether", "Erlangen"]);
    assert_eq!(dataset(&printed)["header"].as_bool(), Some(false));

    // A phone number is no name, whoever stands beside it.
    let source = folder("calls.csv", "Lovelace,(202) 555-0123\nHopper,(202) 555-0124\n");
    let printed = inspect(&source, &["calls.csv"]).expect_code(0).stdout;
    assert_hidden(&printed, &["Lovelace", "555"]);
}

#[test]
fn what_is_known_goes_before_what_is_found() {
    let source = folder("a.csv", "a,b;c\n1,2;3\n");
    let words = ["a.csv", "--delimiter", ";", "--name", "mine", "--quote", ""];
    let found = dataset(&inspect(&source, &words).expect_code(0).stdout);

    assert_eq!(found["name"].as_str(), Some("mine"));
    assert_eq!(found["delimiter"].as_str(), Some(";"));
    assert_eq!(found["quote"].as_str(), Some(""));
}

#[test]
fn a_sample_is_enough_for_settings_that_load_everything() {
    let mut file = String::from("id,word\n");
    for id in 100_000..160_000 {
        writeln!(file, "{id},word {}", id % 7).unwrap();
    }
    let source = folder("long.csv", &file);
    let printed = inspect(&source, &["long.csv", "--sample", "64KiB"]).expect_code(0);
    let fewer = printed.expect_text("that was looked at fits");

    source.write("server.toml", &fewer.stdout);
    let database = Database::create();
    let server = source.start();
    let mut command = run(server.url(), "long", "stored", &database.url);
    let _ = finish(command.args(["--create", "--max-rejects", "0"])).expect_code(0);
    assert_eq!(database.count("stored"), 60_000);
}

#[test]
fn an_archive_that_breaks_off_is_inspected_up_to_there() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for id in 0_u64..5_000 {
        writeln!(encoder, "{id},{}", id.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unwrap();
    }
    let archive = encoder.finish().unwrap();
    let source = folder("half.csv.gz", &archive[..archive.len() / 2]);

    let printed = inspect(&source, &["half.csv.gz"]).expect_code(0).expect_text("ends early");

    let found = dataset(&printed.stdout);
    assert_eq!(found["name"].as_str(), Some("half"));
    assert_eq!(found["columns"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_cannot_be_inspected_is_named_and_nothing_is_printed() {
    let source = folder("empty.csv", "");
    source.write("blank.csv", "\n\r\n\n");
    source.write("sheet.xlsx", [&b"PK\x03\x04\x14\x00\x06\x00\x08\x00"[..], &[0; 200]].concat());
    source.write("wide.csv", "1,".repeat(3_000));
    source.write("table.csv", ["a", "1", "2"].map(|field| vec![field; 2_000].join(",")).join("\n"));
    std::fs::create_dir(source.path("folder.csv")).unwrap();
    source.write("records.csv", "{\"id\": 1}\n{\"id\": 2}\n");
    let refused: [(&[&str], &str); 12] = [
        (&["gone.csv"], "gone.csv"),
        (&["folder.csv"], "is not a file"),
        (&["/dev/zero"], "is not a file"),
        (&["empty.csv"], "is empty"),
        (&["blank.csv"], "has no record"),
        (&["sheet.xlsx"], "is no text"),
        (&["records.csv"], "is JSON"),
        (&["table.csv"], "2000 fields"),
        (&["wide.csv", "--encoding", "utf-16"], "utf-8"),
        (&["wide.csv", "--delimiter", ","], "3001 fields"),
        (&["wide.csv", "--encoding", "klingon"], "no such encoding"),
        (&["wide.csv", "--quote", "ab"], "one character"),
    ];
    for (words, expected) in refused {
        let outcome = inspect(&source, words).expect_code(2).expect_text(expected);
        assert_eq!(outcome.stdout, "", "{words:?}");
    }
    assert_eq!(inspect(&source, &[]).expect_code(2).stdout, "");
}

#[test]
fn a_long_text_without_line_ends_is_no_row_of_many_columns() {
    let source = folder("words.txt", "word ".repeat(300_000));
    let outcome = Process::spawn(&mut command(&source, &["words.txt"])).finish_within(60);
    let found = dataset(&outcome.expect_code(0).stdout);
    assert_eq!(found["columns"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_path_is_printed_relative_to_the_settings() {
    let source = folder("a.csv", "id,name\n1,x\n");
    let folder = source.path("daily [new]");
    std::fs::create_dir(&folder).unwrap();
    std::fs::rename(source.path("a.csv"), folder.join("a{1}.csv")).unwrap();
    let file = Path::new("daily [new]").join("a{1}.csv");

    let printed = inspect(&source, &[file.to_str().unwrap()]).expect_code(0).stdout;

    source.write("server.toml", &printed);
    source.check().expect_code(0).expect_text("a{1}.csv").expect_text("smallint");
}
