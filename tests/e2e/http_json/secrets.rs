//! Secrets of an API go to the API alone: not into a log, an error, the ledger, or to another host.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::{APPEND, Fetching, UPSERT, people, with_secrets};
use crate::api::{Api, Paging, Trouble};
use crate::hosts::{Process, Server, client, finish};

/// In a header.
pub(super) const TOKEN: &str = "kestrelq-token-of-the-api";
/// In a parameter.
pub(super) const REGION: &str = "thornbuckle region";
const KEYS: &str = "headers = { Authorization = \"Bearer ${API_TOKEN}\" }\n\
    parameters = { region = \"${API_REGION}\" }\n";
const TABLES: &str = "[dataset.incremental]\nparameter = \"updated_since\"\n\
    column = \"updated_at\"\n[dataset.http]\nrequests_per_second = 1000.0\ntimeout = \"1s\"\nretries = 1\n";
/// The secrets, and what else of a request is nobody's business: cursors, the
/// greatest value so far.
static HIDDEN: [&str; 7] = [
    "kestrelq-token",
    "thornbuckle",
    "b&c=d",
    "b%26c",
    "2024-01-01T23:00:00",
    "2024-01-01 23:00:00",
    "2024-01-01T23%3A00",
];

/// Everything that may go wrong with a page while both programs log every step.
fn troubles(other: &Api) -> Vec<Trouble> {
    vec![
        Trouble::Status(500),
        Trouble::Status(401),
        Trouble::RetryAfter(429, "3600"),
        Trouble::CutLength,
        Trouble::Html,
        Trouble::Silent,
        Trouble::Redirect(format!("{}?region={}", other.url(), "thornbuckle%20region")),
    ]
}

#[test]
fn secrets_are_in_no_output_and_nowhere_in_the_database() {
    let other = Api::start(Paging::Once, 1, Vec::new());
    let api = Api::start(Paging::Cursor, 5, people(1..=23));
    let mut fetching = Fetching::new(api, KEYS, TABLES);
    let mut command = fetching.source.command();
    with_secrets(command.args(["--listen", "127.0.0.1:0"]).env("RUST_LOG", "trace"));
    fetching.server = Server::start(&mut command);
    let mut said = Vec::new();
    let mut keep = |name: &str, text: String| said.push((name.to_owned(), text));

    for trouble in troubles(&other) {
        fetching.api.trouble(2, trouble.clone(), u32::MAX);
        let mut command = client(["run", "--json"]);
        let run = finish(command.arg(fetching.job(UPSERT)).env("RUST_LOG", "trace"));
        let run = run.expect_code(7).expect_text("page-000002");
        keep(&format!("run with {trouble:?}"), run.text());
        fetching.api.mend();
    }
    for words in [&["run", "--json"][..], &["run", "--json"], &["plan"], &["preview"], &["status"]]
    {
        let mut command = client(words);
        let outcome = finish(command.arg(fetching.job(UPSERT)).env("RUST_LOG", "trace"));
        keep(words[0], outcome.expect_code(0).text());
    }
    let check = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferry-server"));
        command.arg("check").arg("--config").arg(fetching.source.path("server.toml")).args(more);
        Process::spawn(with_secrets(command.env("RUST_LOG", "trace"))).finish().expect_code(0)
    };
    keep("check", check(&[]).expect_text("/v1/people").text());
    keep("check --records", check(&["--records"]).text());
    keep(
        "ferry-server",
        fetching.server.process.stdout() + fetching.server.process.stderr().as_str(),
    );

    fetching.assert_holds(&people(1..=23));
    for asked in fetching.api.requests() {
        assert_eq!(asked.header("authorization"), Some("Bearer kestrelq-token-of-the-api"));
        assert_eq!(asked.parameter("region"), Some(REGION));
    }
    assert_eq!(other.requests().len(), 0, "another host was asked");
    for (name, text) in &said {
        // A preview is there to show values of records.
        let hidden = if name == "preview" { &HIDDEN[..4] } else { &HIDDEN[..] };
        for hidden in hidden {
            assert!(!text.contains(hidden), "{hidden} is in the output of: {name}\n{text}");
        }
    }
    let dump = fetching.database.dump();
    for hidden in &HIDDEN[..4] {
        assert!(!dump.contains(hidden), "{hidden} is in the database");
    }
    assert!(said.iter().any(|(_, text)| text.contains("TRACE")), "every step is logged");
}

#[test]
fn pages_are_for_their_owner_alone() {
    let fetching = Fetching::of(Paging::Number, 5, 7);
    fetching.run(APPEND).expect_code(0);

    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let pages = fetching.spooled();
    assert_eq!(pages.len(), 2);
    for page in &pages {
        assert_eq!(mode(page), 0o600, "{page:?}");
        assert_eq!(mode(page.parent().unwrap()), 0o700);
    }
    assert_eq!(mode(&fetching.source.path(".ferry-spool")), 0o700);
}

#[test]
fn a_secret_that_is_not_set_is_named_and_nothing_is_asked() {
    let api = Api::start(Paging::Once, 1, people(1..=2));
    let fetching = Fetching::new(api, KEYS, TABLES);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferry-server"));
    command.arg("check").arg("--config").arg(fetching.source.path("server.toml"));
    command.env_remove("API_TOKEN").env("API_REGION", REGION);

    let outcome = Process::spawn(&mut command).finish().expect_code(2).expect_text("API_TOKEN");

    assert!(!outcome.text().contains("thornbuckle"), "{}", outcome.text());
    assert_eq!(fetching.api.requests().len(), 0);
}
