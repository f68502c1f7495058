//! Refused rows are filtered, opened, replayed with a mended job, and discarded.

use serde_json::{Value, json};

use super::{REFUSED, RULES, Served};

fn rows(found: &[Value]) -> Vec<u64> {
    found.iter().map(|row| row["row_number"].as_u64().unwrap()).collect()
}

#[test]
fn each_filter_finds_its_rows() {
    let served = Served::loaded();
    let found: [(&str, &[u64]); 12] = [
        ("", &REFUSED),
        ("state=open", &REFUSED),
        ("state=replayed", &[]),
        ("state=discarded", &[]),
        ("code=bad_integer", &[7, 13]),
        ("code=no_match", &[15]),
        ("column=note", &[15]),
        ("code=no_match&column=uid", &[]),
        ("file=people.csv", &REFUSED),
        ("file=other.csv", &[]),
        ("run=1", &REFUSED),
        ("run=2", &[]),
    ];
    for (query, expected) in found {
        assert_eq!(rows(&served.quarantine(query)), expected, "{query}");
        let list = served.web.json(&format!("/jobs/people/quarantine?{query}"));
        assert_eq!(list["total"], expected.len(), "{query}");
    }
    let first = served.web.json("/jobs/people/quarantine?limit=2");
    assert_eq!(
        (&first["total"], rows(first["rows"].as_array().unwrap())),
        (&json!(3), vec![7, 13])
    );
    let after = first["next_after"].as_u64().unwrap();
    assert_eq!(rows(&served.quarantine(&format!("limit=2&after={after}"))), [15]);
}

#[test]
fn a_row_that_a_mended_job_accepts_is_replayed_and_the_accounts_move() {
    let served = Served::loaded();
    let id = served.quarantine_id(15);
    let replay = |ids: &[u64]| {
        let answer = served.web.post("/jobs/people/quarantine/replay", &json!({ "ids": ids }));
        answer.expect(200).json()
    };
    let refused =
        json!({ "loaded": 0, "filtered": 0, "refused": 1, "not_a_record": 0, "unread": 0 });
    assert_eq!(replay(&[id]), refused, "nothing is mended yet");
    assert_eq!(rows(&served.quarantine("state=open")), REFUSED);

    served.trip.job(&RULES.replace("^thorn", "^thorn|lost"));
    let loaded =
        json!({ "loaded": 1, "filtered": 0, "refused": 0, "not_a_record": 0, "unread": 0 });
    assert_eq!(replay(&[id]), loaded);

    assert_eq!(rows(&served.quarantine("state=open")), [7, 13]);
    let entry = served.web.json(&format!("/jobs/people/quarantine/{id}"));
    assert_eq!(entry["state"], "replayed");
    assert!(entry["settled_at"].is_string());
    let found = served.web.record("public.users", &["15"]).expect(200).json();
    assert_eq!(found["record"]["name"], "Name 15");
    let run = served.web.json("/runs/1");
    assert_eq!((&run["rows"]["loaded"], &run["closes"]), (&json!(18), &json!(true)));
    let nothing =
        json!({ "loaded": 0, "filtered": 0, "refused": 0, "not_a_record": 0, "unread": 0 });
    assert_eq!(replay(&[id]), nothing, "a row is settled once");
    assert_eq!(served.trip.database.count("users"), 18);
    assert_eq!(served.trip.database.count("notes"), 18, "in every target");
}

#[test]
fn rows_that_are_discarded_stay_out() {
    let served = Served::loaded();
    let ids = [served.quarantine_id(7), served.quarantine_id(13), 777];
    let discard = || {
        let answer = served.web.post("/jobs/people/quarantine/discard", &json!({ "ids": ids }));
        answer.expect(200).json()
    };

    assert_eq!(discard(), json!({ "discarded": 2 }));

    assert_eq!(rows(&served.quarantine("state=discarded")), [7, 13]);
    assert_eq!(served.job()["open_quarantine"], 1);
    assert_eq!(discard(), json!({ "discarded": 0 }));
    let replay = served.web.post("/jobs/people/quarantine/replay", &json!({ "ids": ids }));
    assert_eq!(replay.expect(200).json()["loaded"], 0);
    assert_eq!(served.trip.database.count("users"), 17);
}

#[test]
fn rows_of_another_job_are_out_of_reach() {
    let served = Served::loaded();
    let id = served.quarantine_id(7);
    let other = served.trip.source.path("other.toml");
    let text = std::fs::read_to_string(served.trip.job(RULES)).unwrap();
    std::fs::write(&other, text.replace("name = \"people\"\n", "name = \"other\"\n")).unwrap();
    let web = crate::web::Web::start(&[&other]);

    web.get(&format!("/jobs/other/quarantine/{id}")).expect_problem(404, "row_not_found");
    web.get("/runs/1").expect_problem(404, "run_not_found");
    web.get("/runs/1/events").expect_problem(404, "run_not_found");
    let discarded = web.post("/jobs/other/quarantine/discard", &json!({ "ids": [id] }));
    assert_eq!(discarded.expect(200).json()["discarded"], 0);
    assert_eq!(served.quarantine("state=open").len(), 3);
}
