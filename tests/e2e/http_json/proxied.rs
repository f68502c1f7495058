//! An API behind a proxy: it leads to all hosts but those that need none, and what is wrong with it is told without its password.

use std::process::Command;

use super::{APPEND, Fetching, HTTP, one, people, problems, with_secrets, without_proxies};
use crate::api::{Api, Paging, Tunnel};
use crate::hosts::{Process, free_port};

const COUNT: u64 = 23;
/// A host that no resolver knows.
const ELSEWHERE: &str = "http://api.invalid";
const PASSWORD: &str = "heronwick";
/// `ferry:heronwick`, as a proxy is told it.
const LOGIN: &str = "Basic ZmVycnk6aGVyb253aWNr";

fn proxied() -> (Fetching, Tunnel) {
    let api = Api::start(Paging::Cursor, 5, people(1..=COUNT));
    let tunnel = Tunnel::start(api.address(), LOGIN);
    (Fetching::new(api, "", HTTP), tunnel)
}

fn with_password(port: u16) -> String {
    format!("http://ferry:{PASSWORD}@127.0.0.1:{port}")
}

#[test]
fn a_proxy_leads_to_hosts_that_only_it_knows() {
    let (mut fetching, tunnel) = proxied();
    let proxy = with_password(tunnel.port());
    fetching.restart_at(ELSEWHERE, "", &[("HTTP_PROXY", proxy.as_str()), ("RUST_LOG", "trace")]);

    fetching.run(APPEND).expect_code(0);

    fetching.assert_holds(&people(1..=COUNT));
    let asked = tunnel.take_asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked == "api.invalid:80"), "{asked:?}");
    let asked = fetching.api.requests();
    assert!(asked.iter().all(|asked| asked.header("proxy-authorization").is_none()));
    let said = fetching.server.process.stdout() + fetching.server.process.stderr().as_str();
    for hidden in [PASSWORD, LOGIN] {
        assert!(!said.contains(hidden), "{hidden} is in the log");
    }
}

#[test]
fn hosts_that_are_excepted_are_asked_without_it() {
    let (mut fetching, tunnel) = proxied();
    let proxy = with_password(tunnel.port());
    // It leads to this machine, and is no name of it.
    let origin = fetching.api.origin().replace("127.0.0.1", "0.0.0.0");
    let excepted = [("ALL_PROXY", proxy.as_str()), ("NO_PROXY", "other.example, 0.0.0.0")];
    fetching.restart_at(&origin, "", &excepted);
    fetching.run(APPEND).expect_code(0);
    fetching.assert_holds(&people(1..=COUNT));
    assert_eq!(tunnel.take_asked(), Vec::<String>::new());

    // An API on this host needs no exception.
    let origin = fetching.api.origin();
    fetching.restart_at(&origin, "", &excepted[..1]);
    fetching.run(APPEND).expect_code(0);
    assert_eq!(tunnel.take_asked(), Vec::<String>::new());

    let origin = origin.replace("127.0.0.1", "0.0.0.0");
    fetching.restart_at(&origin, "", &excepted[..1]);
    fetching.run(APPEND).expect_code(0);
    let host = origin.replace("http://", "");
    let asked = tunnel.take_asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| *asked == host), "{asked:?}");
}

#[test]
fn a_proxy_that_does_not_lead_there_is_named_by_its_variable() {
    let (mut fetching, tunnel) = proxied();
    let nobody = format!("http://ferry:{PASSWORD}@127.0.0.1:{}", free_port());
    let stranger = format!("http://ferry:{PASSWORD}x@127.0.0.1:{}", tunnel.port());
    for (proxy, expected) in [(nobody, "refused"), (stranger, "407")] {
        fetching.restart_at(ELSEWHERE, "", &[("HTTP_PROXY", proxy.as_str())]);

        let outcome = fetching.run(APPEND).expect_code(7).expect_text(expected);

        let outcome = outcome.expect_text("proxy of HTTP_PROXY");
        assert_eq!(problems(&outcome.summary()), one("page-000001"));
        let said = outcome.text() + fetching.server.process.stderr().as_str();
        assert!(!said.contains(PASSWORD), "{said}");
        assert_eq!(fetching.database.count("people"), 0);
    }
    assert_eq!(fetching.api.requests().len(), 0);
}

#[test]
fn a_variable_that_names_no_usable_proxy_is_told_and_nothing_is_asked() {
    let (fetching, tunnel) = proxied();
    fetching.source.write("server.toml", fetching.settings_at(ELSEWHERE, ""));
    for value in
        ["socks5://ferry:heronwick@127.0.0.1:1080", "ht!tp://heronwick", "http://a:heronwick#@b"]
    {
        for verb in ["check", "serve"] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_ferry-server"));
            command.arg(verb).arg("--config").arg(fetching.source.path("server.toml"));
            without_proxies(with_secrets(&mut command));
            command.env("HTTP_PROXY", value).env("ALL_PROXY", with_password(tunnel.port()));

            let outcome = Process::spawn(&mut command).finish().expect_code(2);

            let outcome = outcome.expect_text("HTTP_PROXY names no proxy");
            assert!(!outcome.text().contains(PASSWORD), "{}", outcome.text());
        }
    }
    assert_eq!(tunnel.take_asked(), Vec::<String>::new());
}
