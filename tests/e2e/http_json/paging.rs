//! Whatever the style of paging: the same rows, and no request more than it takes.

use std::time::Duration;

use super::{APPEND, Fetching, HTTP, people};
use crate::api::{Api, Paging};

/// In pages of five the last one has three.
const COUNT: u64 = 23;
const SIZE: usize = 5;

#[test]
fn every_style_loads_the_same_rows() {
    for paging in Paging::ALL {
        let fetching = Fetching::of(paging, SIZE, COUNT);

        let summary = fetching.run(APPEND).expect_code(0).summary();

        assert_eq!(summary["rows"]["loaded"], COUNT, "{paging:?}");
        fetching.assert_holds(&people(1..=COUNT));
        let asked = fetching.asked();
        let expected = match paging {
            Paging::Once => 1,
            // Only an empty page tells that there is none behind it.
            Paging::NumberToEmpty => 6,
            _ => 5,
        };
        let shown: Vec<_> = asked.iter().map(|asked| &asked.query).collect();
        assert_eq!(asked.len(), expected, "{paging:?}: {shown:?}");
        assert!(asked.iter().all(|asked| asked.method == "GET" && asked.body.is_empty()));
        let pages = fetching.pages();
        assert_eq!(pages.len(), if paging == Paging::Once { 1 } else { 5 }, "{paging:?}");
        assert_eq!(fetching.spooled().len(), pages.len(), "{paging:?}");
    }
}

#[test]
fn a_last_page_that_is_full_is_not_read_beyond() {
    for (paging, requests) in [(Paging::Number, 5), (Paging::Offset, 5), (Paging::Cursor, 4)] {
        let fetching = Fetching::of(paging, SIZE, 20);

        fetching.run(APPEND).expect_code(0);

        fetching.assert_holds(&people(1..=20));
        assert_eq!(fetching.asked().len(), requests, "{paging:?}");
        assert_eq!(fetching.pages().len(), 4, "an empty page is none: {paging:?}");
    }
}

#[test]
fn an_api_without_records_is_no_error() {
    for paging in [Paging::Once, Paging::Number, Paging::Cursor] {
        let fetching = Fetching::of(paging, SIZE, 0);
        fetching.database.execute("CREATE TABLE people (id bigint, updated_at timestamptz)");
        let columns = APPEND.replace("create = true\n", "");
        let declared = format!("columns = [\"id\", \"updated_at\"]\n{columns}");

        let summary = fetching.run(&declared).expect_code(0).summary();

        assert_eq!(summary["rows"]["loaded"], 0, "{paging:?}: {summary}");
        assert_eq!(fetching.database.count("people"), 0);
    }
}

#[test]
fn a_record_a_line_in_a_compressed_answer_is_a_record_too() {
    let api = Api::start(Paging::Link, SIZE, people(1..=COUNT));
    api.serve_lines();
    api.compress();
    let fetching = Fetching::new(api, "format = \"ndjson\"\n", HTTP);

    fetching.run(APPEND).expect_code(0);

    fetching.assert_holds(&people(1..=COUNT));
    let is_lines = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "ndjson");
    assert!(fetching.spooled().iter().all(is_lines), "{:?}", fetching.spooled());
}

#[test]
fn parameters_headers_and_body_go_with_every_request() {
    let keys = "method = \"POST\"\nbody = '{\"filter\":\"all\"}'\n\
        parameters = { region = \"${API_REGION}\", odd = \"a&b=c d\" }\n\
        headers = { X-Wanted = \"all of it\" }\n";
    let api = Api::start(Paging::Number, SIZE, people(1..=COUNT));
    let fetching = Fetching::new(api, keys, HTTP);

    fetching.run(APPEND).expect_code(0);

    fetching.assert_holds(&people(1..=COUNT));
    let asked = fetching.asked();
    assert_eq!(asked.len(), 5);
    for (index, asked) in asked.iter().enumerate() {
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/v1/people"));
        assert_eq!(asked.body, "{\"filter\":\"all\"}");
        assert_eq!(asked.header("content-type"), Some("application/json"));
        assert_eq!(asked.header("x-wanted"), Some("all of it"));
        assert_eq!(asked.parameter("region"), Some(super::secrets::REGION));
        assert_eq!(asked.parameter("odd"), Some("a&b=c d"));
        let page = (index + 1).to_string();
        assert_eq!(asked.parameter("page"), Some(page.as_str()));
        assert_eq!(asked.parameter("size"), Some("5"));
    }
}

#[test]
fn no_more_requests_are_sent_in_a_second_than_the_settings_allow() {
    let api = Api::start(Paging::Number, SIZE, people(1..=COUNT));
    let fetching = Fetching::new(api, "", &HTTP.replace("1000.0", "10.0"));

    fetching.run(APPEND).expect_code(0);

    let asked = fetching.asked();
    let took = asked[asked.len() - 1].at - asked[0].at;
    // Four pauses of a tenth of a second; what arrives late does not count against it.
    assert!(took > Duration::from_millis(350), "{took:?}");
    fetching.assert_holds(&people(1..=COUNT));
}
