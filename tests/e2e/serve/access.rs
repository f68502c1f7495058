//! Who may ask: tokens with roles, hosts by their own names, pages of this origin; over TLS where that is set.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{RULES, Served, settings};
use crate::hosts::{client, finish};
use crate::stages::Trip;
use crate::tls::Authority;
use crate::web::Web;

pub(super) const READER: &str = "a-token-that-may-read-and-nothing-else";
pub(super) const OPERATOR: &str = "a-token-that-may-start-runs";

/// Settings with a token of each role.
pub(super) fn tokens() -> String {
    let token = |name: &str, token: &str| {
        let digest = ferry::hex::encode(&Sha256::digest(token.as_bytes()));
        format!("[[token]]\nname = \"{name}\"\nsha256 = \"{digest}\"\nrole = \"{name}\"\n")
    };
    [token("read", READER), token("operate", OPERATOR)].concat()
}

#[test]
fn a_token_is_needed_and_its_role_decides() {
    let served = Served::loaded();
    let id = served.quarantine_id(7);
    let mut web = Web::configured(&served.settings(&tokens()));
    let read = ["/jobs", "/runs/1", "/tables/public.users/records/1", "/jobs/people/quarantine"];
    let discard = json!({ "ids": [id] });

    for path in read {
        let answer = web.get(path).expect_problem(401, "no_token");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{path}");
    }
    web.ask("GET", "/metrics", &[], "").expect_problem(401, "no_token");
    web.post("/jobs/people/quarantine/discard", &discard).expect_problem(401, "no_token");
    assert_eq!(web.ask("GET", "/healthz", &[], "").expect(200).body.trim(), "ok");
    web.ask("GET", "/", &[], "").expect(200);
    let wrong = [READER.to_uppercase(), READER[1..].to_owned(), format!("{READER}x")];
    for token in &wrong {
        web.show_token(Some(token));
        web.get("/jobs").expect_problem(401, "bad_token");
    }
    web.show_token(None);
    for header in [format!("Basic {READER}"), READER.to_owned(), format!("Bearer  {READER} x")] {
        let answer = web.ask("GET", "/api/v1/jobs", &[("authorization", &header)], "");
        assert_eq!(answer.status, 401, "{header}");
    }
    let in_query = format!("/api/v1/jobs?token={READER}");
    assert_eq!(web.ask("GET", &in_query, &[], "").status, 401);

    web.show_token(Some(READER));
    for path in read {
        web.get(path).expect(200);
    }
    web.ask("GET", "/metrics", &[], "").expect(200);
    web.post("/jobs/people/quarantine/discard", &discard).expect_problem(403, "role_missing");
    web.post("/jobs/people/quarantine/replay", &discard).expect_problem(403, "role_missing");
    web.post("/jobs/people/runs", &Value::Null).expect_problem(403, "role_missing");
    assert_eq!(served.quarantine("state=open").len(), 3, "nothing was changed");
    assert_eq!(served.trip.database.count("ferry.run"), 1);

    web.show_token(Some(OPERATOR));
    web.get("/jobs").expect(200);
    assert_eq!(
        web.post("/jobs/people/quarantine/discard", &discard).expect(200).json()["discarded"],
        1
    );
    web.post("/jobs/people/runs", &Value::Null).expect(202);
    let said = web.stop().expect_code(0).text();
    for token in [READER, OPERATOR, &wrong[0], &wrong[1]] {
        assert!(!said.contains(token), "a token is in the log:\n{said}");
    }
}

/// A request by hand: method, path, and headers line by line.
fn raw(web: &Web, method: &str, path: &str, headers: &str) -> (u16, String) {
    let length = if method == "POST" { "content-length: 0\r\n" } else { "" };
    let request = format!("{method} {path} HTTP/1.1\r\n{headers}{length}connection: close\r\n\r\n");
    let answer = web.raw(&request);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no answer to {request}: {answer}")), answer)
}

#[test]
fn without_tokens_only_this_host_is_answered_under_its_own_names() {
    let served = Served::unloaded();
    let port = served.web.address().split_once(':').unwrap().1.to_owned();
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"] {
        for host in [host.to_owned(), format!("{host}:{port}")] {
            let (status, answer) =
                raw(&served.web, "GET", "/api/v1/jobs", &format!("host: {host}\r\n"));
            assert_eq!(status, 200, "{host}: {answer}");
        }
    }
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "evil.example:127",
        "0.0.0.0",
        "192.0.2.1",
        "[::1].evil.example",
    ] {
        for (method, path) in [("GET", "/api/v1/jobs"), ("POST", "/api/v1/jobs/people/runs")] {
            let (status, answer) = raw(&served.web, method, path, &format!("host: {host}\r\n"));
            assert_eq!(status, 403, "{host}: {answer}");
            assert!(answer.contains("unknown_host"), "{answer}");
        }
    }
    let absolute = format!("http://evil.example:{port}/api/v1/jobs");
    let (status, _) = raw(&served.web, "GET", &absolute, "host: localhost\r\n");
    assert_ne!(status, 200, "another host in the request line");
    assert_eq!(served.trip.database.count("ferry.run"), 0, "no run was started");
}

#[test]
fn pages_of_other_sites_write_nothing_and_read_nothing() {
    let served = Served::unloaded();
    let address = served.web.address().to_owned();
    let host = format!("host: {address}\r\n");
    let write = |headers: &str| {
        raw(&served.web, "POST", "/api/v1/jobs/nobody/runs", &format!("{host}{headers}")).0
    };
    for headers in [
        "origin: https://evil.example\r\n",
        "origin: null\r\n",
        "origin: http://localhost.evil.example\r\n",
        "origin: http://127.0.0.1:1\r\n",
        "sec-fetch-site: cross-site\r\n",
        "origin: https://evil.example\r\nsec-fetch-site: same-origin\r\n",
    ] {
        assert_eq!(write(headers), 403, "{headers}");
    }
    // What is let through finds no such job.
    let own = format!("origin: http://{address}\r\nsec-fetch-site: same-origin\r\n");
    assert_eq!(write(&own), 404);
    assert_eq!(write(""), 404, "a program is no page");
    let reading = [("origin", "https://evil.example")];
    let answer = served.web.ask("GET", "/api/v1/jobs", &reading, "");
    assert_eq!(answer.header("access-control-allow-origin"), None, "no page may read the answer");
    let fetching = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")];
    let refused = served.web.ask("GET", "/api/v1/jobs", &fetching, "");
    refused.expect_problem(403, "cross_site");
    let asking = [reading[0], ("access-control-request-method", "POST")];
    let answer = served.web.ask("OPTIONS", "/api/v1/jobs/people/runs", &asking, "");
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(answer.header("access-control-allow-methods"), None);
}

#[test]
fn an_origin_that_the_settings_name_may_ask() {
    let served = Served::unloaded();
    let cors = "[cors]\norigins = [\"https://intranet.example\"]\n";
    let web = Web::configured(&served.settings(cors));
    let preflight = |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type"),
        ];
        web.ask("OPTIONS", "/api/v1/jobs/people/runs", &headers, "")
    };

    let allowed = preflight("https://intranet.example");
    let origin = allowed.header("access-control-allow-origin");
    assert_eq!(origin, Some("https://intranet.example"), "{allowed:?}");
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("POST"));
    assert_eq!(allowed.header("access-control-allow-credentials"), None, "there are no cookies");
    let refused = preflight("https://evil.example");
    assert_ne!(refused.header("access-control-allow-origin"), Some("https://evil.example"));
    assert_ne!(refused.header("access-control-allow-origin"), Some("*"));
    let from = |origin: &str| {
        web.ask("POST", "/api/v1/jobs/nobody/runs", &[("origin", origin)], "").status
    };
    assert_eq!((from("https://intranet.example"), from("https://evil.example")), (404, 403));
}

#[test]
fn a_certificate_makes_it_https() {
    let trip = Trip::new(&[("uid", "integer")], "uid,name\n1,Ann\n");
    let rules =
        "[[target]]\ntable = \"people\"\ncreate = true\nmode = \"upsert\"\nkey = [\"uid\"]\n";
    trip.run(rules).expect_code(0);
    let authority = Authority::new("the right authority");
    authority.issue(&trip.source.path(""), "serve");
    let tls = "[tls]\ncert_file = \"serve.pem\"\nkey_file = \"serve.key\"\n";
    let mut web = Web::configured(&settings(&trip, tls));
    assert!(web.url().starts_with("https://"), "{}", web.url());

    assert!(web.try_ask("GET", "/healthz", &[], "").is_err(), "nobody vouches for it");
    web.trust(&Authority::new("another authority").certificate);
    assert!(web.try_ask("GET", "/healthz", &[], "").is_err(), "the wrong one vouches for it");
    web.trust(&authority.certificate);
    let found = web.record("public.people", &["1"]).expect(200).json();
    assert_eq!(found["record"]["name"], "Ann");
    web.stop().expect_code(0);
}

#[test]
fn a_network_is_not_served_by_mistake() {
    let trip = Trip::new(&[("uid", "integer")], "uid,name\n1,Ann\n");
    let job = trip.job(RULES);
    let open = |text: &str| {
        let mut command = client(["serve", "--listen", "0.0.0.0:0", "--config"]);
        command.arg(settings(&trip, text));
        command
    };
    let mut bare = client(["serve", "--listen", "0.0.0.0:0"]);
    finish(bare.arg(&job)).expect_code(2).expect_text("[tls]").expect_text("token");
    finish(&mut open(&tokens())).expect_code(2).expect_text("[tls]");
    let authority = Authority::new("an authority");
    authority.issue(&trip.source.path(""), "serve");
    let tls = "[tls]\ncert_file = \"serve.pem\"\nkey_file = \"serve.key\"\n";
    finish(&mut open(tls)).expect_code(2).expect_text("token");

    let whole = [tls, &tokens()].concat();
    for text in [whole.as_str(), "insecure = true\n"] {
        Web::start_with(&mut open(text)).stop().expect_code(0);
    }
}
