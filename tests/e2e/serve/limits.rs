//! How much one caller may ask for: requests in a minute, bytes of a body, rows of a page.

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::json;

use super::Served;
use super::access::{OPERATOR, READER, tokens};
use crate::hosts::wait_for;
use crate::web::{Events, Web};

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
fn who_follows_too_many_runs_is_refused_and_takes_no_room_of_others() {
    let served = Served::loaded();
    let database = &served.trip.database;
    database.execute("UPDATE ferry.run SET state = 'running', finished_at = NULL");
    let mut web = Web::configured(&served.settings(&tokens()));
    let path = "/runs/1/events";
    web.show_token(Some(READER));
    let mut streams: Vec<Events> = (0..8).map(|_| web.events(path)).collect();
    assert!(streams.iter_mut().all(|stream| stream.next().is_some()), "all of them go on");

    let refused = web.get(path).expect_problem(429, "too_many_streams");

    assert!(refused.header("retry-after").is_some());
    web.get("/jobs").expect(200);
    web.show_token(Some(OPERATOR));
    assert!(web.events(path).next().is_some(), "another caller has room");

    database.execute("UPDATE ferry.run SET state = 'finished', finished_at = now()");
    for stream in streams {
        assert_eq!(stream.last().map(|(name, _)| name).as_deref(), Some("end"));
    }
    web.show_token(Some(READER));
    let followed = wait_for("room for another stream", 20, || {
        let answer = web.get(path);
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(followed.header("cache-control"), Some("no-store"));
}

#[test]
fn who_shows_no_token_and_sends_slowly_takes_no_room() {
    let served = Served::loaded();
    let settings = format!("{}[limits]\nrequests_in_flight = 1\n", tokens());
    let mut web = Web::configured(&served.settings(&settings));
    let head = "POST /ferry.v1.RecordService/GetRecord HTTP/1.1\r\nhost: localhost\r\n\
        content-type: application/grpc\r\ncontent-length: 1000\r\n\r\n";
    let health = head.replace("ferry.v1.RecordService/GetRecord", "grpc.health.v1.Health/Check");
    let mut slow = Vec::new();
    for request in [head, health.as_str()] {
        let mut stream = TcpStream::connect(web.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        slow.push(stream);
    }

    web.show_token(Some(READER));
    for _ in 0..20 {
        web.get("/jobs").expect(200);
    }
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
