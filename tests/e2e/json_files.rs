//! Files of JSON, one document or a record a line, packed or not: each record is a row once, however the file is cut, grows or breaks.

mod broken;
mod splits;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::hosts::{client, finish};
use crate::postgres::{Database, NULL};
use crate::stages::Trip;

const TYPES: &str = "[dataset.columns]\nid = \"bigint\"\nname = \"text\"\nborn = \"date\"\n";
const APPEND: &str = "[[target]]\ntable = \"people\"\ncreate = true\n";
const ALL_MAY_BE_REFUSED: &str = "[load]\nmax_rejects = \"100%\"\n";
const LINES: &str = "files = [\"*.ndjson*\"]\nformat = \"ndjson\"\nmin_age = \"0s\"\n";
const DOCUMENTS: &str = "files = [\"*.json{,.gz,.zst}\"]\nrecords = \"/items\"\nmin_age = \"0s\"\n";

/// A source host with these files of a dataset `people`.
fn trip(keys: &str, files: &[(&str, &[u8])]) -> Trip {
    let source = crate::hosts::Source::new(&settings(keys));
    for (name, content) in files {
        source.write(name, content);
    }
    source.write("pii.key", "a key of more than thirty-two bytes for this test\n");
    let server = source.start();
    Trip { source, server, database: Database::create() }
}

fn settings(keys: &str) -> String {
    format!("[[dataset]]\nname = \"people\"\nkind = \"json\"\n{keys}{TYPES}")
}

fn ids(trip: &Trip) -> String {
    trip.database.value("SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), '') FROM people")
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstandard(content: &str) -> Vec<u8> {
    zstd::stream::encode_all(content.as_bytes(), 3).unwrap()
}

#[test]
fn documents_of_a_glob_load_together_packed_or_not() {
    let document = |id: u64| {
        format!(
            "\u{feff}{{\"took\": [1], \"items\": [ {{\"id\": {id}, \"address\": {{\"city\": \"Oslo\"}}}}, \
             {{\"id\": {}, \"born\": \"2000-02-29\"}} ], \"next\": \"]}}\"}}\n",
            id + 1
        )
    };
    let packed = (gzip(&document(3)), zstandard(&document(5)));
    let trip = trip(
        DOCUMENTS,
        &[
            ("a.json", document(1).as_bytes()),
            ("b.json.gz", &packed.0),
            ("c.json.zst", &packed.1),
            ("empty.json", b"{\"items\": []}"),
            ("other.txt", b"{\"items\": [{\"id\": 99}]}"),
        ],
    );
    let checked = trip.source.check().expect_code(0);
    checked.expect_text("address_city").expect_text("bigint");

    let summary = trip.run(APPEND).expect_code(0).summary();

    assert_eq!(summary["rows"]["loaded"], 6, "{summary}");
    let stored = trip.database.rows("SELECT id, born, address_city FROM people ORDER BY id");
    let expected = [["1", NULL, "Oslo"], ["2", "2000-02-29", NULL], ["3", NULL, "Oslo"]];
    assert_eq!(stored[..3], expected);
    assert_eq!(ids(&trip), "1 2 3 4 5 6");
    assert_eq!(trip.run(APPEND).expect_code(0).summary()["state"], "nothing_new");
}

#[test]
fn lines_of_a_glob_load_together_packed_or_not() {
    let lines = |id: u64| format!("{{\"id\":{id}}}\n\n  {{\"name\":\"ä\",\"id\":{}}}\r\n", id + 1);
    let packed = (gzip(&lines(3)), zstandard(&lines(5)));
    let trip = trip(
        LINES,
        &[
            ("a.ndjson", lines(1).as_bytes()),
            ("b.ndjson.gz", &packed.0),
            ("c.ndjson.zst", &packed.1),
        ],
    );

    trip.run(APPEND).expect_code(0);

    assert_eq!(ids(&trip), "1 2 3 4 5 6");
    assert_eq!(trip.database.number("SELECT count(*) FROM people WHERE name = 'ä'"), 3);
}

#[test]
fn a_file_of_lines_that_grows_goes_on_where_it_ended() {
    let keys = LINES.replace("min_age = \"0s\"\n", "");
    let trip = trip(&keys, &[("a.ndjson", b"{\"id\":1}\n{\"id\":2}\n{\"id\":3")]);

    trip.run(APPEND).expect_code(0);
    assert_eq!(ids(&trip), "1 2", "a line without an end may still be written");
    trip.source.append("a.ndjson", "3,\"name\":\"whole\"}\n{\"id\":4}\n");
    let summary = trip.run(APPEND).expect_code(0).summary();

    assert_eq!(summary["rows"]["read"], 2);
    assert_eq!(ids(&trip), "1 2 4 33");
    assert_eq!(trip.run(APPEND).expect_code(0).summary()["state"], "nothing_new");
    trip.source.write("a.ndjson", "{\"id\":9}\n{\"id\":2}\n{\"id\":3}\n{\"id\":4}\n{\"id\":5}\n");
    trip.run(APPEND).expect_code(7).expect_text("rewritten");
    assert_eq!(ids(&trip), "1 2 4 33");
}

#[test]
fn a_document_that_grows_by_records_goes_on_too() {
    // A log that somebody writes as one array, and has not closed yet.
    let keys = DOCUMENTS.replace("min_age = \"0s\"\n", "");
    let trip = trip(&keys, &[("a.json", b"{\"items\":[{\"id\":1},{\"id\":2},{\"id\"")]);
    trip.run(APPEND).expect_code(0);
    let before = ids(&trip);
    assert!(["", "1", "1 2"].contains(&before.as_str()), "{before}");

    trip.source.append("a.json", ":3},{\"id\":4}]}\n");
    trip.run(APPEND).expect_code(0);

    assert_eq!(ids(&trip), "1 2 3 4");
}

#[test]
fn a_refused_record_is_replayed_after_the_job_or_the_source_was_mended() {
    let lines = b"{\"id\":1}\n{\"id\":2,\"born\":\"never\"}\n{\"id\":3,\"born\":\"n/a\"}\n\
        {\"id\":\"four\"}\n";
    let mut trip = trip(LINES, &[("a.ndjson", lines)]);
    let rules = [APPEND, ALL_MAY_BE_REFUSED].concat();
    trip.run(&rules).expect_code(0);
    let expected = [
        ["2", "read", "bad_date born"],
        ["3", "read", "bad_date born"],
        ["4", "read", "bad_integer id"],
    ];
    assert_eq!(trip.refused(), expected);
    let replay = |trip: &Trip, rules: &str| {
        let mut command = client(["quarantine", "replay", "--json"]);
        finish(command.arg(trip.job(rules))).expect_code(0).summary()
    };
    let born = "[[column]]\nname = \"born\"\nclean = [{ null_words = [\"n/a\"] }]\n";

    let report = replay(&trip, &[born, &rules].concat());
    assert_eq!((&report["loaded"], &report["still_refused"]), (&json!(1), &json!(2)));
    assert_eq!(ids(&trip), "1 3");

    // A word for NULL in the settings of the source.
    trip.source.write("server.toml", settings(&format!("{LINES}null = [\"never\"]\n")));
    trip.server = trip.source.start();
    let report = replay(&trip, &rules);
    assert_eq!((&report["loaded"], &report["still_refused"]), (&json!(1), &json!(1)));
    assert_eq!(ids(&trip), "1 2 3");
    let states = "SELECT string_agg(state, ' ' ORDER BY row_number) FROM ferry.quarantine";
    assert_eq!(trip.database.value(states), "replayed replayed open");
}
