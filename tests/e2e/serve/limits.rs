//! How much one caller may ask for: requests in a minute, bytes of a body, rows of a page.

use serde_json::json;

use super::Served;
use super::access::{OPERATOR, READER, tokens};
use crate::web::Web;

#[test]
fn who_asks_too_often_is_told_when_to_come_back() {
    let served = Served::unloaded();
    let settings = format!("{}[limits]\nrequests_per_minute = 5\n", tokens());
    let mut web = Web::configured(&served.settings(&settings));
    web.show_token(Some(READER));
    for _ in 0..5 {
        web.get("/jobs").expect(200);
    }

    let refused = web.get("/jobs").expect_problem(429, "too_many_requests");

    let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{after} s");
    web.show_token(Some(OPERATOR));
    web.get("/jobs").expect(200);
}

#[test]
fn a_body_or_a_page_that_is_too_large_is_refused() {
    let served = Served::loaded();
    let limits = "[limits]\nbody_bytes = \"1KiB\"\npage_rows_max = 4\n";
    let web = Web::configured(&served.settings(limits));
    let ids: Vec<u64> = (1_000_000..1_000_400).collect();

    let path = "/jobs/people/quarantine/discard";
    web.post(path, &json!({ "ids": ids })).expect_problem(413, "body_too_large");
    web.post(path, &json!({ "ids": ids[..4] })).expect(200);
    web.get("/tables/public.users/records?limit=5").expect_problem(400, "bad_limit");
    let page = web.json("/tables/public.users/records?limit=4");
    assert_eq!(page["records"].as_array().unwrap().len(), 4);
    let page = web.json("/tables/public.users/records");
    assert!(page["records"].as_array().unwrap().len() <= 4, "{page}");
}

#[test]
fn settings_that_mean_nothing_are_refused_with_the_nearest_word() {
    let served = Served::unloaded();
    for (text, word) in [
        ("[limits]\nrequest_per_minute = 5\n", "requests_per_minute"),
        ("[limits]\nbody_bytes = \"1GiB\"\n", "body_bytes"),
        ("[[token]]\nname = \"x\"\nsha256 = \"12\"\nrole = \"read\"\n", "sha256"),
        ("[cors]\norigins = [\"intranet\"]\n", "origins"),
    ] {
        let mut command = crate::hosts::client(["serve", "--listen", "127.0.0.1:0", "--config"]);
        command.arg(served.settings(text));
        crate::hosts::finish(&mut command).expect_code(2).expect_text(word);
    }
}
