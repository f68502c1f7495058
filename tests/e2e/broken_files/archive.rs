//! A compressed file that ends early: what is whole is loaded, and the run says so until the rest is there.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::{APPEND, one, problems};
use crate::hosts::Source;
use crate::postgres::{Database, NULL};
use crate::stages::Trip;

const FILE: &str = "people.csv.gz";
pub(super) const ROWS: u64 = 20_000;
pub(super) const SETTINGS: &str = "[[dataset]]\nname = \"people\"\nfiles = [\"*.csv\", \"*.csv.gz\"]\n\
    min_age = \"0s\"\n[dataset.columns]\nuid = \"integer\"\n";
/// What the ledger knows of the archive.
const PROBLEM: &str = "SELECT problem_reason FROM ferry.file WHERE name = 'people.csv.gz'";

/// A file of people, compressed.
pub(super) fn archive() -> Vec<u8> {
    let mut file = String::from("uid,name\n");
    for uid in 1..=ROWS {
        writeln!(file, "{uid},person {}", uid.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unwrap();
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(file.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The first half of the archive, and a file beside it that is whole.
fn trip() -> Trip {
    let source = Source::new(SETTINGS);
    let archive = archive();
    source.write(FILE, &archive[..archive.len() / 2]);
    source.write("whole.csv", "uid,name\n0,Ann\n");
    source.write("pii.key", "a key of more than thirty-two bytes for this test\n");
    let server = source.start();
    Trip { source, server, database: Database::create() }
}

#[test]
fn what_is_whole_of_an_archive_is_loaded_and_the_rest_once_it_is_there() {
    let trip = trip();

    let summary = trip.run(APPEND).expect_code(7).expect_text("ends early").summary();

    assert_eq!(
        (&summary["state"], &summary["error"]["code"]),
        (&json!("finished"), &json!("files_unreadable"))
    );
    assert_eq!(problems(&summary), one(FILE, "ARCHIVE_DAMAGED"));
    let loaded = trip.database.count("people");
    assert!(loaded > ROWS / 4 && loaded < ROWS, "{loaded} rows of half an archive");
    assert_eq!(trip.database.number("SELECT max(uid) FROM people") + 1, loaded, "no row is lost");
    assert_eq!(trip.database.value(PROBLEM), "ARCHIVE_DAMAGED");

    let again = trip.run(APPEND).expect_code(7).expect_text("ends early").summary();
    assert_eq!(again["state"], "nothing_new");
    assert_eq!(problems(&again), one(FILE, "ARCHIVE_DAMAGED"));
    let status = trip.verb(&["status", "--json"], APPEND).expect_code(0).summary();
    let files = status["files"].as_array().unwrap();
    let told: Vec<_> = files.iter().map(|file| &file["problem"]["reason"]).collect();
    assert_eq!(told, [&json!("ARCHIVE_DAMAGED"), &json!(null)]);
    trip.verb(&["status"], APPEND).expect_code(0).expect_text("ends early");

    trip.source.write(FILE, archive());
    let whole = trip.run(APPEND).expect_code(0).summary();
    assert_eq!(whole["problems"], json!([]));
    assert_eq!(whole["rows"]["loaded"], ROWS + 1 - loaded);
    let distinct = "SELECT count(DISTINCT uid) FROM people";
    assert_eq!(trip.database.number(distinct), ROWS + 1);
    assert_eq!(trip.database.count("people"), ROWS + 1, "exactly once");
    assert_eq!(trip.database.value(PROBLEM), NULL);
    assert_eq!(trip.run(APPEND).expect_code(0).summary()["state"], "nothing_new");
}

#[test]
fn the_rest_of_an_archive_that_is_gone_can_be_given_up() {
    let trip = trip();
    trip.run(APPEND).expect_code(7);
    let loaded = trip.database.count("people");
    std::fs::remove_file(trip.source.path(FILE)).unwrap();
    let gone = trip.run(APPEND).expect_code(7).summary();
    assert_eq!(problems(&gone), one(FILE, "ARCHIVE_DAMAGED"), "nobody has given it up");

    trip.verb(&["run", "--json", "--give-up-missing"], APPEND).expect_code(0);

    assert_eq!(trip.run(APPEND).expect_code(0).summary()["state"], "nothing_new");
    assert_eq!(trip.database.count("people"), loaded);
}
