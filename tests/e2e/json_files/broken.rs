//! A record that is none is refused alone; a document that breaks gives what is whole before the place, and says so.

use serde_json::Value;

use super::{ALL_MAY_BE_REFUSED, APPEND, DOCUMENTS, LINES, ids, trip};
use crate::stages::Trip;

/// Files that could not be read to their end.
fn problems(summary: &Value) -> Vec<String> {
    let told = summary["problems"].as_array().unwrap().iter();
    told.map(|problem| problem["file"].as_str().unwrap().to_owned()).collect()
}

/// Runs once more, and finds that nothing is loaded again.
#[track_caller]
fn assert_loads_nothing_again(trip: &Trip, expected: &str) {
    let again = trip.run(APPEND).expect_code(7).summary();
    assert_eq!((again["state"].as_str(), ids(trip)), (Some("nothing_new"), expected.to_owned()));
}

#[test]
fn a_broken_line_is_one_reject_and_its_neighbours_load() {
    let long = format!("{{\"id\":7,\"name\":\"{}\"}}", "x".repeat(3 << 20));
    let lines = [
        r#"{"id":1}"#,
        r#"{"id":2"#,
        r#"{"id":3}}"#,
        r#"{"id":4} {"id":5}"#,
        "no JSON",
        "[1]",
        &long,
        r#"{"id":8}"#,
        r#"{"id":9,"name":"\ud800"}"#,
        r#"{"id":10}"#,
    ];
    let trip = trip(LINES, &[("a.ndjson", (lines.join("\n") + "\n").as_bytes())]);

    let rules = [APPEND, ALL_MAY_BE_REFUSED].concat();
    let summary = trip.run(&rules).expect_code(0).summary();

    assert_eq!(ids(&trip), "1 8 10");
    assert_eq!(summary["rows"]["read"], 10);
    let codes = trip.refused().into_iter().map(|row| [row[0].clone(), row[2].clone()]);
    let codes: Vec<[String; 2]> = codes.collect();
    let expected = [
        ["2", "bad_json"],
        ["3", "bad_json"],
        ["4", "bad_json"],
        ["5", "bad_json"],
        ["6", "not_an_object"],
        ["7", "record_too_large"],
        ["9", "bad_json"],
    ];
    // A lone surrogate may be told of its column or of the whole record.
    let shortened: Vec<[&str; 2]> =
        codes.iter().map(|[row, code]| [row.as_str(), code.split(' ').next().unwrap()]).collect();
    assert_eq!(shortened, expected);
}

#[test]
fn bytes_that_are_no_utf8_are_refused_alone() {
    let lines = b"{\"id\":1}\n{\"id\":2,\"name\":\"\xff\"}\n{\"id\":3}\n";
    let trip = trip(LINES, &[("a.ndjson", lines)]);
    trip.run(&[APPEND, ALL_MAY_BE_REFUSED].concat()).expect_code(0);
    assert_eq!(ids(&trip), "1 3");
    assert_eq!(trip.refused().len(), 1);
}

#[test]
fn a_truncated_document_loads_what_is_whole_and_says_so_until_the_rest_is_there() {
    let trip = trip(
        DOCUMENTS,
        &[
            ("a.json", b"{\"items\":[{\"id\":1},{\"id\":2},{\"id\":3,\"name\":\"hal"),
            ("b.json", b"{\"items\":[{\"id\":5}]}"),
        ],
    );

    let outcome = trip.run(APPEND).expect_code(7).expect_text("a.json");

    let summary = outcome.summary();
    assert_eq!(summary["error"]["code"], "files_unreadable");
    assert_eq!(problems(&summary), ["a.json"]);
    assert_eq!(ids(&trip), "1 2 5");
    assert_loads_nothing_again(&trip, "1 2 5");

    trip.source.append("a.json", "f\"},{\"id\":4}]}");
    let mended = trip.run(APPEND).expect_code(0).summary();
    assert_eq!(problems(&mended), [""; 0]);
    assert_eq!(ids(&trip), "1 2 3 4 5");
}

#[test]
fn a_document_that_breaks_in_the_middle_gives_what_is_before_it() {
    for middle in ["{\"id\":2} {\"id\":3}", "{\"id\":2},,{\"id\":3}", "{\"id\":2}}, {\"id\":3}"] {
        let document = format!("{{\"items\":[{{\"id\":1}},{middle},{{\"id\":4}}]}}");
        let trip = trip(
            DOCUMENTS,
            &[("a.json", document.as_bytes()), ("b.json", b"{\"items\":[{\"id\":5}]}")],
        );

        let outcome = trip.run(APPEND).expect_code(7);

        assert_eq!(problems(&outcome.summary()), ["a.json"], "{middle}");
        // The record that the fault follows may be held to be a part of it.
        let loaded = ids(&trip);
        assert!(["1 5", "1 2 5"].contains(&loaded.as_str()), "{middle}: {loaded}");
        assert_loads_nothing_again(&trip, &loaded);
    }
}

#[test]
fn a_record_that_is_broken_inside_is_one_reject_of_a_document() {
    let document = b"{\"items\":[{\"id\":1},{\"id\":2,\"name\":tru},{\"id\":},7,null,{\"id\":3}]}";
    let trip = trip(DOCUMENTS, &[("a.json", document)]);

    trip.run(&[APPEND, ALL_MAY_BE_REFUSED].concat()).expect_code(0);

    assert_eq!(ids(&trip), "1 3");
    let expected = [
        ["2", "read", "bad_json"],
        ["3", "read", "bad_json"],
        ["4", "read", "not_an_object"],
        ["5", "read", "not_an_object"],
    ];
    assert_eq!(trip.refused(), expected);
}

#[test]
fn a_document_without_the_array_is_named_with_what_to_set_and_the_others_load() {
    let trip = trip(
        DOCUMENTS,
        &[
            ("a.json", b"{\"data\":[{\"id\":1}]}"),
            ("b.json", b"{\"items\":[{\"id\":5}]}"),
            ("c.json", b"<html>sign in</html>"),
        ],
    );

    let outcome = trip.run(APPEND).expect_code(7).expect_text("records");

    assert_eq!(problems(&outcome.summary()), ["a.json", "c.json"]);
    assert_eq!(ids(&trip), "5");
}
