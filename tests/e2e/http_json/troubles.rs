//! An API that behaves badly: what passes is waited for, what does not leaves the pages before it, and nothing is loaded twice.

use std::time::Duration;

use super::{APPEND, Fetching, HTTP, UPSERT, one, people, problems};
use crate::api::{Api, Paging, Trouble};

const COUNT: u64 = 23;
const SIZE: usize = 5;

/// Pages by a kind that tells of the end in the answer.
fn fetching() -> Fetching {
    Fetching::of(Paging::Cursor, SIZE, COUNT)
}

#[test]
fn what_passes_is_not_seen_in_the_rows() {
    let passing = [
        (Trouble::Status(500), 2),
        (Trouble::Status(408), 1),
        (Trouble::RetryAfter(429, "1"), 1),
        (Trouble::RetryAfter(503, "0"), 1),
        (Trouble::CutLength, 1),
        (Trouble::CutChunked, 1),
        (Trouble::Body("{\"data\": {\"items\": [{\"id\": 1"), 1),
        (Trouble::Slow(20), 1),
    ];
    for (trouble, times) in passing {
        let fetching = fetching();
        fetching.api.trouble(2, trouble.clone(), times);

        let summary = fetching.run(APPEND).expect_code(0).summary();

        assert!(problems(&summary).is_empty(), "{trouble:?}: {summary}");
        assert_eq!(summary["rows"]["loaded"], COUNT, "{trouble:?}");
        fetching.assert_holds(&people(1..=COUNT));
        let again = usize::try_from(times).unwrap();
        let extra = if matches!(trouble, Trouble::Slow(_)) { 0 } else { again };
        assert_eq!(fetching.asked().len(), 5 + extra, "{trouble:?}");
    }
}

#[test]
fn a_server_that_says_when_to_come_back_is_obeyed() {
    let fetching = fetching();
    fetching.api.trouble(3, Trouble::RetryAfter(429, "2"), 1);

    fetching.run(APPEND).expect_code(0);

    let asked = fetching.asked();
    let waited = asked[3].at - asked[2].at;
    assert_eq!(asked[3].query, asked[2].query, "the same page once more");
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
    fetching.assert_holds(&people(1..=COUNT));
}

#[test]
fn what_does_not_pass_leaves_the_pages_before_it_and_the_rest_comes_later() {
    let lasting = [
        Trouble::Status(500),
        Trouble::Status(404),
        Trouble::RetryAfter(429, "3600"),
        Trouble::Html,
        Trouble::Body("{\"data\": []}"),
        Trouble::Body("{\"data\": {\"items\": [{\"id\": 1}]}} and more"),
        Trouble::PageBefore,
    ];
    for trouble in lasting {
        println!("{trouble:?}");
        let api = Api::start(Paging::Cursor, SIZE, people(1..=COUNT));
        let fetching =
            Fetching::new(api, "", "[dataset.http]\nrequests_per_second = 1000.0\nretries = 1\n");
        fetching.api.trouble(3, trouble.clone(), u32::MAX);

        let outcome = fetching.run(APPEND).expect_code(7);

        let summary = outcome.summary();
        assert_eq!(summary["error"]["code"], "files_unreadable", "{trouble:?}");
        assert_eq!(problems(&summary), one("page-000003"), "{trouble:?}");
        fetching.assert_holds(&people(1..=10));
        assert_eq!(fetching.database.value("SELECT state FROM ferry.run"), "finished");

        fetching.api.mend();
        let mended = fetching.run(APPEND).expect_code(0).summary();
        assert_eq!(mended["rows"]["loaded"], COUNT - 10, "{trouble:?}");
        fetching.assert_holds(&people(1..=COUNT));
    }
}

#[test]
fn an_api_that_refuses_the_first_page_changes_nothing() {
    let fetching = fetching();
    fetching.run(UPSERT).expect_code(0);
    assert_eq!(fetching.asked().len(), 5);
    fetching.database.execute("CREATE TABLE before AS TABLE people");
    fetching.api.trouble(1, Trouble::Status(403), u32::MAX);

    let outcome = fetching.run(UPSERT).expect_code(7).expect_text("403");

    assert_eq!(problems(&outcome.summary()), one("page-000001"));
    fetching.database.assert_same_rows("TABLE people", "TABLE before");
    let asked = fetching.asked().len();
    assert_eq!(asked, 1, "what is forbidden is not asked for again and again");
}

#[test]
fn an_answer_that_never_comes_is_given_up_in_time() {
    let http = "[dataset.http]\nrequests_per_second = 1000.0\ntimeout = \"500ms\"\nretries = 1\n";
    let api = Api::start(Paging::Cursor, SIZE, people(1..=COUNT));
    let fetching = Fetching::new(api, "", http);
    fetching.api.trouble(2, Trouble::Silent, 2);

    let outcome = fetching.run(APPEND).expect_code(7);

    assert_eq!(problems(&outcome.summary()), one("page-000002"));
    assert_eq!(fetching.asked().len(), 3, "one attempt more than the first");
    fetching.assert_holds(&people(1..=5));
    fetching.run(APPEND).expect_code(0);
    fetching.assert_holds(&people(1..=COUNT));
}

#[test]
fn a_page_by_number_that_comes_again_names_the_parameter() {
    let api = Api::start(Paging::NumberToEmpty, SIZE, people(1..=COUNT));
    let fetching = Fetching::new(api, "", HTTP);
    fetching.api.trouble(2, Trouble::PageBefore, u32::MAX);

    let outcome = fetching.run(APPEND).expect_code(7).expect_text("page 2 repeats page 1");

    assert_eq!(problems(&outcome.summary()), one("page-000002"));
    fetching.assert_holds(&people(1..=5));
}

#[test]
fn a_page_of_an_upsert_that_failed_leaves_older_rows_and_newer_ones_are_not_lost() {
    let fetching = fetching();
    fetching.run(UPSERT).expect_code(0);
    let mut records = people(1..=COUNT);
    for record in &mut records {
        record["name"] = format!("second {}", record["id"]).into();
    }
    fetching.api.set_records(records.clone());
    fetching.api.trouble(3, Trouble::Status(500), 9);

    fetching.run(UPSERT).expect_code(7);
    assert_eq!(fetching.database.count("people"), COUNT);
    let renamed = "SELECT count(*) FROM people WHERE name LIKE 'second%'";
    assert_eq!(fetching.database.number(renamed), 10, "the pages before the failure");

    fetching.api.mend();
    fetching.run(UPSERT).expect_code(0);
    fetching.assert_holds(&records);
}
