//! The `OpenAPI` document is true: requests that are made up from it are answered as it says, and never with a 5xx.
//!
//! schemathesis makes them up; `scripts/test` installs it. Without it the test says so.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::hosts::{Process, Source, client, finish, is_soak, write_job};
use crate::postgres::Database;
use crate::web::Web;

/// What an answer is compared with. The others assume that what a document calls valid always succeeds.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,unsupported_method,ignored_auth";
/// Requests for each operation; there are over twenty operations.
const EXAMPLES: u32 = 20;
const EXAMPLES_SOAK: u32 = 500;
/// Requests that there must have been at least.
const REQUESTS_MIN: u64 = 500;
const REQUESTS_MIN_SOAK: u64 = 10_000;
const SECONDS_MAX: u64 = 1_200;

/// What `FERRY_SCHEMATHESIS` names, or what `scripts/test` installed.
fn schemathesis() -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
    let named = std::env::var_os("FERRY_SCHEMATHESIS").map(PathBuf::from);
    let mut candidates = named.into_iter().chain([tools.join("venv/bin/schemathesis")]);
    candidates.find(|path| path.is_file())
}

/// A job of which rows are loaded, and rows are in quarantine.
fn prepare(source: &Source, database: &Database, source_url: &str) -> PathBuf {
    let mut rows = String::from("id,name,born\n");
    for id in 1..=40 {
        let born = if id % 10 == 0 { "2024-02-30" } else { "2024-02-29" };
        writeln!(rows, "{id},name {id},{born}").unwrap();
    }
    source.write("people-1.csv", rows);
    let text = format!(
        "name = 'people'\n[database]\nurl = '{}'\n[source]\nurl = '{source_url}'\n\
         dataset = 'people'\n[[column]]\nname = 'name'\npii = 'none'\n\
         [[target]]\ntable = 'public.people'\ncreate = true\nmode = 'upsert'\nkey = ['id']\n",
        database.url
    );
    let job = write_job(source.path("").as_path(), &text);
    finish(client(["run", "--json"]).arg(&job)).expect_code(0);
    job
}

/// The counts of `/metrics` whose line has this part, added up.
fn counted(metrics: &str, part: &str) -> u64 {
    let lines = metrics.lines().filter(|line| line.starts_with("ferry_http_requests_total{"));
    let counts = lines.filter(|line| line.contains(part)).map(|line| {
        let (_, count) = line.rsplit_once(' ').unwrap();
        count.parse::<u64>().unwrap()
    });
    counts.sum()
}

#[test]
fn requests_made_up_from_the_document_are_answered_as_it_says() {
    let Some(program) = schemathesis() else {
        println!("skipped: no schemathesis in target/tools/venv: scripts/test installs it");
        return;
    };
    let database = Database::create();
    let source = Source::with_dataset("people", &[("id", "bigint"), ("born", "date")]);
    let server = source.start();
    let job = prepare(&source, &database, server.url());
    source.write(
        "serve.toml",
        format!(
            "jobs = ['{}']\n[limits]\nrequests_per_minute = 10000000\n",
            job.file_name().unwrap().to_str().unwrap()
        ),
    );
    let web = Web::configured(&source.path("serve.toml"));
    let (examples, requests_min) =
        if is_soak() { (EXAMPLES_SOAK, REQUESTS_MIN_SOAK) } else { (EXAMPLES, REQUESTS_MIN) };

    let mut command = Command::new(program);
    command.current_dir(source.path("")).args(["run", "--checks", CHECKS]);
    command.args(["--workers", "2", "--continue-on-failure", "--no-shrink", "--no-color"]);
    command.args(["--generation-database", "none", "--suppress-health-check", "all"]);
    command.args(["--request-timeout", "30", "--max-examples", &examples.to_string()]);
    command.arg(format!("{}/api/v1/openapi.json", web.url()));
    let outcome = Process::spawn(&mut command).finish_within(SECONDS_MAX);

    let metrics = web.ask("GET", "/metrics", &[], "").expect(200).body;
    let (all, failed) = (counted(&metrics, "status="), counted(&metrics, "status=\"5"));
    println!("{all} requests, {failed} with a 5xx");
    assert_eq!(failed, 0, "{metrics}");
    assert!(all >= requests_min, "only {all} requests:\n{}", outcome.text());
    outcome.expect_code(0);
}
