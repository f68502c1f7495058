//! What is too much, and what leads elsewhere, is refused: large answers, too many pages, other origins.

use super::{APPEND, Fetching, HTTP, one, people, problems};
use crate::api::{Api, Paging, Trouble};

const COUNT: u64 = 23;
const SIZE: usize = 5;
const MEGABYTE: usize = 1 << 20;

fn pages_of(paging: Paging, tables: &str) -> Fetching {
    Fetching::new(Api::start(paging, SIZE, people(1..=COUNT)), "", tables)
}

#[test]
fn an_answer_that_is_too_large_is_not_taken_compressed_or_not() {
    for trouble in [Trouble::Padded(2 * MEGABYTE), Trouble::Bomb(16 * MEGABYTE)] {
        let http =
            "[dataset.http]\nrequests_per_second = 1000.0\nretries = 1\nmax_response = \"1MiB\"\n";
        let fetching = pages_of(Paging::Cursor, http);
        fetching.api.trouble(2, trouble.clone(), u32::MAX);

        let outcome = fetching.run(APPEND).expect_code(7).expect_text("max_response");

        assert_eq!(problems(&outcome.summary()), one("page-000002"), "{trouble:?}");
        fetching.assert_holds(&people(1..=5));
        let kept = fetching.spooled();
        assert_eq!(kept.len(), 1, "nothing of it is kept: {kept:?}");
        assert!(kept[0].metadata().unwrap().len() < 10_000);

        fetching.api.mend();
        fetching.run(APPEND).expect_code(0);
        fetching.assert_holds(&people(1..=COUNT));
    }
}

#[test]
fn an_answer_below_the_ceiling_may_be_mostly_white_space() {
    let fetching = pages_of(Paging::Cursor, HTTP);
    fetching.api.trouble(2, Trouble::Bomb(4 * MEGABYTE), u32::MAX);
    fetching.run(APPEND).expect_code(0);
    fetching.assert_holds(&people(1..=COUNT));
}

#[test]
fn more_pages_than_the_settings_allow_are_told_and_the_others_are_loaded() {
    let pages = Paging::Cursor.settings(SIZE);
    let fetching = pages_of(Paging::Cursor, &format!("{pages}max_pages = 3\n{HTTP}"));

    let outcome = fetching.run(APPEND).expect_code(7).expect_text("max_pages");

    let problems = problems(&outcome.summary());
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].1, "FETCH_FAILED");
    assert_eq!(fetching.asked().len(), 3);
    fetching.assert_holds(&people(1..=15));
}

#[test]
fn a_redirect_within_the_origin_is_followed_and_no_other() {
    let fetching = pages_of(Paging::NextUrl, HTTP);
    fetching.api.trouble(2, Trouble::Redirect("/v2/people?at=1".to_owned()), 1);
    fetching.run(APPEND).expect_code(0);
    fetching.assert_holds(&people(1..=COUNT));
    assert!(fetching.asked().iter().any(|asked| asked.path == "/v2/people"));

    let other = Api::start(Paging::NextUrl, SIZE, people(90..=99));
    let fetching = pages_of(Paging::NextUrl, HTTP);
    let elsewhere = format!("{}/v1/people?at=1", other.origin());
    fetching.api.trouble(2, Trouble::Redirect(elsewhere), u32::MAX);
    let outcome = fetching.run(APPEND).expect_code(7);
    assert_eq!(problems(&outcome.summary()), one("page-000002"));
    fetching.assert_holds(&people(1..=5));
    assert_eq!(other.requests().len(), 0, "another origin was asked");
}

#[test]
fn a_circle_of_redirects_ends() {
    let fetching =
        pages_of(Paging::NextUrl, "[dataset.http]\nrequests_per_second = 1000.0\nretries = 0\n");
    fetching.api.trouble(2, Trouble::Redirect("/v1/people?at=1".to_owned()), u32::MAX);

    let outcome = fetching.run(APPEND).expect_code(7);

    assert_eq!(problems(&outcome.summary()), one("page-000002"));
    let asked = fetching.asked().len();
    assert!(asked <= 7, "the first page, the second, and five redirects, not {asked}");
}

#[test]
fn a_next_page_of_another_origin_is_refused_and_never_asked() {
    for paging in [Paging::Link, Paging::NextUrl] {
        let other = Api::start(paging, SIZE, people(90..=99));
        let address = other.origin().replace("http://", "");
        let fetching = pages_of(paging, HTTP);
        let own = fetching.api.origin().replace("http://", "");
        let elsewhere = [
            other.url(),
            format!("//{address}/v1/people"),
            format!("http://{own}@{address}/v1/people"),
            format!("https://{own}/v1/people"),
            "file:///etc/passwd".to_owned(),
        ];
        for url in elsewhere {
            fetching.api.trouble(1, Trouble::NextAt(url.clone()), u32::MAX);

            let outcome = fetching.run(APPEND).expect_code(7);

            assert_eq!(problems(&outcome.summary()), one("page-000002"), "{url}");
            assert_eq!(other.requests().len(), 0, "{url} was asked");
            fetching.api.mend();
        }
        let summary = fetching.run(APPEND).expect_code(0).summary();
        assert_eq!(summary["problems"], serde_json::json!([]));
        let distinct = "SELECT count(DISTINCT id) FROM people WHERE id <= 23";
        assert_eq!(fetching.database.number(distinct), COUNT, "{paging:?}");
    }
}
