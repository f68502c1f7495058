//! Turns single records into rows and rejects, and looks at their values, reasons and places.

use ferry::position::Place;
use ferry::reject::Code;
use ferry::wire::BATCH_ROWS_MAX;

use super::{Reading, Reasons};
use crate::json::{Framing, JsonError, JsonLayout};

/// A row of texts.
fn row(values: &[Option<&str>]) -> Vec<Option<String>> {
    values.iter().map(|value| value.map(str::to_owned)).collect()
}

fn of_column(code: &Code, column: &str) -> (String, Option<String>) {
    (code.to_string(), Some(column.to_owned()))
}

fn of_record(code: &Code) -> Reasons {
    vec![(code.to_string(), None)]
}

#[test]
fn values_become_what_their_columns_hold() {
    let columns = [
        ("id", "bigint"),
        ("price", "numeric(10,2)"),
        ("is_open", "boolean"),
        ("at", "timestamptz"),
        ("name", "text"),
        ("tags", "jsonb"),
        ("address_lat", "double precision"),
    ];
    let content = r#"[
        {"id":1,"price":12.5,"is_open":true,"at":"2024-02-29T12:00:00Z","name":"\u00e9\n",
         "tags":["a", 1],"address":{"lat":1e1,"x":{}}},
        {"id":"2","price":"0.10","is_open":"no","name":3.10,"tags":"x","address":null},
        {"name":"NA","tags":"NA","id":null,"address":7},
        {"name":"","tags":{"a":null},"address":{"lat":"2.5"},"at":"2024-03-01 00:00:00+01:00"},
        {}
    ]"#;
    let expected = [
        [
            Some("1"),
            Some("12.50"),
            Some("true"),
            Some("2024-02-29 12:00:00+00"),
            Some("é\n"),
            Some("[\"a\", 1]"),
            Some("10"),
        ],
        [Some("2"), Some("0.10"), Some("false"), None, Some("3.10"), Some("\"x\""), None],
        [None; 7],
        [
            None,
            None,
            None,
            Some("2024-02-29 23:00:00+00"),
            Some(""),
            Some("{\"a\":null}"),
            Some("2.5"),
        ],
        [None; 7],
    ];
    let results = Reading::document("", &columns).results(content);
    assert_eq!(results, expected.map(|values| Ok::<_, Reasons>(row(&values))));
}

#[test]
fn what_is_wrong_with_a_record_is_said_of_each_column() {
    let columns = [("id", "integer"), ("name", "text"), ("tags", "jsonb"), ("a_b", "text")];
    let reading = Reading::lines(&columns);
    for (record, reasons) in [
        (
            r#"{"id":"x","name":[1],"tags":1e200000,"a":{"b":1},"a_b":1}"#,
            vec![
                of_column(&Code::BAD_INTEGER, "id"),
                of_column(&Code::NOT_A_SCALAR, "name"),
                of_column(&Code::OUT_OF_RANGE, "tags"),
                of_column(&Code::DUPLICATE_FIELD, "a_b"),
            ],
        ),
        (r#"{"id":1.0}"#, vec![of_column(&Code::BAD_INTEGER, "id")]),
        (r#"{"id":99999999999}"#, vec![of_column(&Code::OUT_OF_RANGE, "id")]),
        (r#"{"id":"\u0000"}"#, vec![of_column(&Code::NUL_BYTE, "id")]),
        (r#"{"name":"a\u0000"}"#, vec![of_column(&Code::NUL_BYTE, "name")]),
        (r#"{"tags":["\u0000"]}"#, vec![of_column(&Code::NUL_BYTE, "tags")]),
        (r#"{"name":"\ud800"}"#, vec![of_column(&Code::BAD_JSON, "name")]),
        (r#"{"tags":"\ud800"}"#, vec![of_column(&Code::BAD_JSON, "tags")]),
        (r#"{"id":1"#, of_record(&Code::BAD_JSON)),
        (r#"{"id":1} {}"#, of_record(&Code::BAD_JSON)),
        ("{'id':1}", of_record(&Code::BAD_JSON)),
        ("[{}]", of_record(&Code::NOT_AN_OBJECT)),
        ("null", of_record(&Code::NOT_AN_OBJECT)),
        ("7", of_record(&Code::NOT_AN_OBJECT)),
    ] {
        let content = format!("{{\"id\":1}}\n{record}\n{{\"id\":2}}\n");
        let results = reading.results(&content);
        assert_eq!(results.len(), 3, "{record}");
        assert_eq!(results[1], Err(reasons), "{record}");
        assert!(results[0].is_ok() && results[2].is_ok(), "{record}");
    }
    // What nobody asks for is not looked at.
    let results = reading.results(r#"{"x":"\u0000\ud800","\udc00":[],"y":[{"id":"x"}]}"#);
    assert_eq!(results, [Ok::<_, Reasons>(row(&[None; 4]))]);
}

#[test]
fn rejects_carry_the_texts_of_their_columns() {
    let columns =
        [("id", "integer"), ("name", "text"), ("tags", "jsonb"), ("a_b", "text"), ("z", "text")];
    let reading = Reading::document("", &columns);
    let content =
        r#"[{"id":"x\u00e9","name":{"k":1},"tags":[2],"a_b":1,"a":{"b":2},"z":"\u0000"},{"id":}]"#;
    let chunks = reading.chunks(content.as_bytes(), reading.whole(content.as_bytes())).unwrap();
    let rejects = &chunks[0].rejects;
    let expected = [Some("xé"), Some("{\"k\":1}"), Some("[2]"), None, None];
    assert_eq!(rejects[0].fields, row(&expected));
    assert_eq!(rejects[1].fields, row(&[]));
    let place = Place { row_number: 1, byte_start: 1, byte_end: content.len() as u64 - 8 };
    assert_eq!(rejects[0].place, place);
}

#[test]
fn records_that_are_too_large_or_too_deep_are_passed_over() {
    let long = "x".repeat(100_000);
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    let large = format!("{{\"b\":\"{long}\"}}");
    let records =
        ["{\"a\":1}", large.as_str(), "{\"a\":2}", deep.as_str(), "{\"a\":[[3]]}", "{\"a\":3}"];
    let document = format!(" [{}]", records.join(", "));
    let lines = records.join("\r\n\r\n");
    for (content, mut reading) in [
        (document, Reading::document("", &[("a", "text")])),
        (lines, Reading::lines(&[("a", "text")])),
    ] {
        reading.layout = JsonLayout { record_bytes_max: 10_000, depth_max: 2, ..reading.layout };
        reading.step = 1000;
        let expected = [
            Ok(row(&[Some("1")])),
            Err(of_record(&Code::RECORD_TOO_LARGE)),
            Ok(row(&[Some("2")])),
            Err(of_record(&Code::RECORD_TOO_LARGE)),
            Err(of_record(&Code::TOO_DEEP)),
            Ok(row(&[Some("3")])),
        ];
        assert_eq!(reading.results(&content), expected);
        reading.layout.record_bytes_max = 1_000_000;
        let results = reading.results(&content);
        assert_eq!(results[1], Ok(row(&[None])));
        assert_eq!(results[3], Err(of_record(&Code::TOO_DEEP)));
    }
}

#[test]
fn the_largest_record_is_read() {
    let record = "{\"a\":\"12345\"}";
    for (content, framing) in [
        (format!("[{record} , 1]"), Framing::Document { records: "".parse().unwrap() }),
        (format!("{record}\n1"), Framing::Lines),
    ] {
        let mut reading = Reading::new(framing, &[("a", "text")]);
        for (record_bytes_max, is_ok) in [(record.len(), true), (record.len() - 1, false)] {
            reading.layout.record_bytes_max = record_bytes_max;
            for step in [1, 5, usize::MAX] {
                reading.step = step;
                assert_eq!(reading.results(&content)[0].is_ok(), is_ok, "{content} by {step}");
            }
        }
    }
}

#[test]
fn chunks_end_at_their_limits() {
    let mut reading = Reading::lines(&[("a", "text")]);
    let content = "{\"a\":\"0123456789\"}\n".repeat(BATCH_ROWS_MAX + 10);
    let rows = |reading: &Reading| -> Vec<usize> {
        let chunks = reading.chunks(content.as_bytes(), reading.whole(content.as_bytes())).unwrap();
        let batches = chunks.into_iter().filter_map(|chunk| chunk.batch);
        batches.map(|batch| batch.places.len()).collect()
    };
    assert_eq!(rows(&reading), [BATCH_ROWS_MAX, 10]);
    // Ten bytes of text and four of an offset.
    reading.batch_bytes_max = 14 * 1000;
    assert!(rows(&reading).iter().take(8).all(|rows| *rows == 1000));

    let content = "x\n".repeat(2500);
    let chunks = reading.chunks(content.as_bytes(), reading.whole(content.as_bytes())).unwrap();
    let rejects: Vec<usize> = chunks.iter().map(|chunk| chunk.rejects.len()).collect();
    assert_eq!(rejects, [1000, 1000, 500]);
}

#[test]
fn a_range_must_end_where_it_was_cut() {
    let reading = Reading::lines(&[("a", "text")]);
    let content = b"{\"a\":1}\n{\"a\":2}\n";
    let whole = reading.whole(content);
    let mut end = whole.end;
    end.row_number += 1;
    let outcome = reading.chunks(content, whole.start..end);
    assert!(matches!(outcome, Err(JsonError::RowCountDiffers { .. })));
    let outcome = reading.chunks(content, end..whole.start);
    assert!(matches!(outcome, Err(JsonError::RowCountDiffers { .. })));

    let reading = Reading::document("", &[("a", "text")]);
    let content = b"[{\"a\":1},{\"a\":2}]";
    let whole = reading.whole(content);
    let outcome = reading.chunks(&content[..12], whole.clone());
    assert!(matches!(outcome, Err(JsonError::EndsEarly { byte_offset: 12 })));
    // All of the range is there, and nothing behind it.
    let end = usize::try_from(whole.end.byte_offset).unwrap();
    assert_eq!(reading.read(&content[..end], whole).len(), 2);
}
