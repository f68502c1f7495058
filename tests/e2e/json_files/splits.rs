//! A large file is cut between records, and every cut gives the same rows.

use std::fmt::Write as _;

use super::{APPEND, DOCUMENTS, LINES, trip};
use crate::stages::Trip;

const ROWS: u64 = 20_000;
/// What the records hold, as SQL.
const RECORDS: &str = "SELECT n::bigint AS id, \
    'ends \"},{\"id\": ' || n || ' [' || E'\\n' || chr(92) AS name, \
    CASE WHEN n % 3 = 0 THEN NULL ELSE repeat('y', n % 50) END AS deep_er \
    FROM generate_series(1, 20000) AS n";

/// A record whose texts look like ends and beginnings of records.
fn record(n: u64) -> String {
    let name = format!("ends \"}},{{\"id\": {n} [\n\\");
    let mut record = format!("{{\"name\": {}, \"id\": {n}", serde_json::json!(name));
    if !n.is_multiple_of(3) {
        let text = "y".repeat(usize::try_from(n % 50).unwrap());
        write!(record, ", \"deep\": {{\"er\": \"{text}\", \"list\": [[], {{}}]}}").unwrap();
    }
    record + "}"
}

/// Loads the columns that the oracle has, in small splits.
fn load(trip: &Trip) -> serde_json::Value {
    let small = ["run", "--json", "--workers", "2", "--split-bytes", "128KiB"];
    let words = [&small[..], &["--columns", "id,name,deep_er"]].concat();
    trip.verb(&words, APPEND).expect_code(0).summary()
}

fn assert_whole(trip: &Trip) {
    trip.database.assert_same_rows("SELECT id, name, deep_er FROM people", RECORDS);
    let splits = trip.database.number("SELECT count(*) FROM ferry.split");
    assert!(splits > 5, "{splits} splits");
    let accounts =
        "SELECT sum(end_row - start_row), sum(loaded_rows), bool_and(done) FROM ferry.split";
    assert_eq!(
        trip.database.rows(accounts),
        [[ROWS.to_string(), ROWS.to_string(), "t".to_owned()]]
    );
    let broken = "SELECT count(*) FROM (SELECT start_byte, start_row, \
        lag(end_byte) OVER (ORDER BY start_byte) AS byte, lag(end_row) OVER (ORDER BY start_byte) AS row \
        FROM ferry.split) AS s WHERE (start_byte, start_row) <> (byte, row)";
    assert_eq!(trip.database.number(broken), 0, "splits follow each other");
}

#[test]
fn a_file_of_lines_is_cut_between_lines() {
    let mut file = String::new();
    for n in 1..=ROWS {
        file.push_str(&record(n));
        file.push_str(if n % 7 == 0 { "\r\n\n" } else { "\n" });
    }
    let trip = trip(LINES, &[("a.ndjson", file.as_bytes())]);

    let summary = load(&trip);

    assert_eq!(summary["rows"]["loaded"], ROWS);
    assert_whole(&trip);
}

#[test]
fn a_document_is_cut_between_records() {
    let mut file = String::from("{\"before\": {\"items\": [1]}, \"items\":\n[");
    for n in 1..=ROWS {
        if n > 1 {
            file.push_str(if n % 5 == 0 { "\n ,\n\t" } else { "," });
        }
        file.push_str(&record(n));
    }
    file.push_str(" ] , \"after\": [{\"id\": 0}, \"]\"]}");
    let trip = trip(DOCUMENTS, &[("a.json", file.as_bytes())]);

    let summary = load(&trip);

    assert_eq!(summary["rows"]["loaded"], ROWS);
    assert_whole(&trip);
}
