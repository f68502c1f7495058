//! A ledger that ferry 0.1.0 made goes on with the present program: what it loaded is not loaded again.
//!
//! The rows are written here as 0.1.0 wrote them, hashes and pseudonyms as
//! constants: a version that computes any of them otherwise does not go on.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use serde_json::json;
use sha2::{Digest as _, Sha384};

use crate::hosts::{Outcome, Server, Source, client, finish, write_job};
use crate::postgres::Database;

const FIRST_MIGRATION: &str = include_str!("../../migrations/0001_ledger.sql");
/// As sqlx makes it.
const MIGRATION_TABLE: &str = "CREATE SCHEMA ferry; CREATE TABLE ferry.migration (\
    version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
    installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL, \
    checksum BYTEA NOT NULL, execution_time BIGINT NOT NULL)";

const KEY: &str = "Rotterdam-canary-key-0123456789-abcdefghij\n";
const KEY_ID: &str = "edbd76447d913b0b";
const FILE: &str = "id,email,note\n1,ann@x.example,a\n2,bob@x.example,b\nx,ann@x.example,c\n";
/// XXH3-128 of the file, big-endian.
const FILE_HASH: &str = "bd4a3ac3cce526b569febe2b633d6cd9";
/// Pseudonyms of the two people in domain `email`.
const ANN: &str = "6d9be73036b2626671be7ee67c47c0045cac27e60299a33e39ca289cada1ca2c";
const BOB: &str = "50ae16741be4dd57f93a6eb4731a1ad9e7d9e779212f478162c046198fcdb24c";
const COLUMNS: &str = r#"[
    {"name": "id", "read_as": "integer", "loaded_as": "integer", "pii": null},
    {"name": "email", "read_as": "text", "loaded_as": "bytea", "pii": "email"},
    {"name": "note", "read_as": "text", "loaded_as": "text", "pii": null}]"#;
const PEOPLE: &str = "SELECT id, encode(email, 'hex'), note FROM people ORDER BY note";

/// How far 0.1.0 had come.
#[derive(Debug, Clone, Copy)]
enum Progress {
    /// The run was finished: two rows loaded, one refused.
    Finished,
    /// It died after the first row.
    Died,
    /// It was stopped after the first row.
    Stopped,
}

/// A source and a database in which 0.1.0 was at work.
struct Old {
    source: Source,
    server: Server,
    database: Database,
}

impl Old {
    fn at(progress: Progress) -> Self {
        let source = Source::with_dataset("people", &[("id", "integer")]);
        source.write("people.csv", FILE);
        source.write("pii.key", KEY);
        let server = source.start();
        let old = Self { source, server, database: Database::create() };
        old.make_ledger();
        old.fill_ledger(progress);
        old
    }

    /// The tables of 0.1.0, as its first migration made them.
    fn make_ledger(&self) {
        let checksum = ferry::hex::encode(&Sha384::digest(FIRST_MIGRATION.as_bytes()));
        self.database.execute(MIGRATION_TABLE);
        self.database.execute(FIRST_MIGRATION);
        self.database.execute(&format!(
            "INSERT INTO ferry.migration (version, description, success, checksum, execution_time) \
             VALUES (1, 'ledger', true, '\\x{checksum}', 67170952)"
        ));
    }

    /// The rows of 0.1.0 after a run that came so far.
    fn fill_ledger(&self, progress: Progress) {
        let is_finished = matches!(progress, Progress::Finished);
        let (state, finished_at) = match progress {
            Progress::Finished => ("finished", "now()"),
            Progress::Died => ("running", "NULL"),
            Progress::Stopped => ("stopped", "now()"),
        };
        let start = FILE.find("1,ann").unwrap();
        let last = FILE.find("x,ann").unwrap();
        let end = FILE.len();
        let (next_byte, next_row) =
            if is_finished { (end, 3) } else { (FILE.find("2,bob").unwrap(), 1) };
        let (loaded, quarantined) = if is_finished { (2, 1) } else { (1, 0) };
        let modified = self.source.path("people.csv").metadata().unwrap().modified().unwrap();
        let nanos = modified.duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let fingerprint = format!("{end}, '\\x{FILE_HASH}', {nanos}");
        let mut sql = format!(
            "CREATE TABLE people (id integer, email bytea, note text); \
             INSERT INTO people VALUES (1, '\\x{ANN}', 'a'); \
             INSERT INTO ferry.run (job, source_url, dataset, target, columns, pii_key_id, state, \
             finished_at, ferry_version) VALUES ('people', 'http://source-host:7443', 'people', \
             'public.people', '{COLUMNS}', '{KEY_ID}', '{state}', {finished_at}, '0.1.0'); \
             INSERT INTO ferry.pii_key (key_id, first_run) VALUES ('{KEY_ID}', 1); \
             INSERT INTO ferry.file (job, dataset, name, fingerprint_bytes, fingerprint_hash, \
             modified_unix_nanos, planned_byte, planned_row) \
             VALUES ('people', 'people', 'people.csv', {fingerprint}, {end}, 3); \
             INSERT INTO ferry.split (run_id, file_id, fingerprint_bytes, fingerprint_hash, \
             modified_unix_nanos, start_byte, start_row, end_byte, end_row, next_byte, next_row, \
             loaded_rows, quarantined_rows, epoch, lease_owner, lease_until) \
             VALUES (1, 1, {fingerprint}, {start}, 0, {end}, 3, {next_byte}, {next_row}, \
             {loaded}, {quarantined}, 1, 8657204686709998641, now() + interval '1 minute');"
        );
        if is_finished {
            let record = json!({ "id": "x", "email": ANN, "note": "c" });
            let reasons = json!([{ "code": "bad_integer", "column": "id" }]);
            write!(
                sql,
                "INSERT INTO people VALUES (2, '\\x{BOB}', 'b'); \
                 INSERT INTO ferry.quarantine (run_id, file_id, split_id, row_number, byte_start, \
                 byte_end, stage, code, column_name, reasons, record) \
                 VALUES (1, 1, 1, 3, {last}, {end}, 'read', 'bad_integer', 'id', '{reasons}', \
                 '{record}')"
            )
            .unwrap();
        }
        self.database.execute(&sql);
    }

    /// Writes the job as it was for 0.1.0, with these rules for e-mails.
    fn job(&self, email: &str) -> PathBuf {
        let (database, server) = (&self.database.url, self.server.url());
        let text = format!(
            "name = \"people\"\n[database]\nurl = \"{database}\"\n\
             [source]\nurl = \"{server}\"\ndataset = \"people\"\n\
             [pii]\nkey_file = \"pii.key\"\n\
             [[column]]\nname = \"email\"\n{email}\
             [[target]]\ntable = \"public.people\"\ncreate = true\n"
        );
        write_job(&self.source.path(""), &text)
    }

    fn run(&self) -> Outcome {
        finish(client(["run", "--json"]).arg(self.job("pii = \"hash\"\n")))
    }

    fn versions(&self) -> Vec<Vec<String>> {
        self.database.rows("SELECT version FROM ferry.migration ORDER BY version")
    }
}

#[test]
fn an_unchanged_file_is_not_loaded_again_and_a_grown_one_continues() {
    let old = Old::at(Progress::Finished);

    assert_eq!(old.run().expect_code(0).summary()["state"], "nothing_new");

    assert_eq!(old.versions(), [["1"], ["2"], ["3"], ["4"], ["5"]]);
    let before = [["1", ANN, "a"], ["2", BOB, "b"]];
    assert_eq!(old.database.rows(PEOPLE), before);

    old.source.append("people.csv", "3,ann@x.example,d\n");
    let summary = old.run().expect_code(0).summary();
    let rows = json!({ "read": 1, "loaded": 1, "quarantined": 0, "filtered": 0 });
    assert_eq!(summary["rows"], rows);
    let after = [["1", ANN, "a"], ["2", BOB, "b"], ["3", ANN, "d"]];
    assert_eq!(old.database.rows(PEOPLE), after, "with the same pseudonyms");
    assert_eq!(old.run().expect_code(0).summary()["state"], "nothing_new");

    let key = "SELECT key_id, first_run, retired_at IS NULL FROM ferry.pii_key";
    assert_eq!(old.database.rows(key), [[KEY_ID, "1", "t"]]);
    let status = finish(client(["status", "--json"]).arg(old.job("pii = \"hash\"\n")));
    let runs = status.expect_code(0).summary()["runs"].clone();
    let first = runs.as_array().unwrap().last().unwrap();
    let rows = json!({ "read": 3, "loaded": 2, "quarantined": 1, "filtered": 0 });
    assert_eq!((&first["rows"], &first["state"]), (&rows, &json!("finished")));
}

#[test]
fn an_unfinished_run_goes_on_where_it_was() {
    for progress in [Progress::Died, Progress::Stopped] {
        let old = Old::at(progress);

        let summary = old.run().expect_code(0).summary();

        assert_eq!((&summary["run_id"], &summary["state"]), (&json!(1), &json!("finished")));
        let rows = json!({ "read": 3, "loaded": 2, "quarantined": 1, "filtered": 0 });
        assert_eq!(summary["rows"], rows, "{progress:?}");
        assert_eq!(old.database.rows(PEOPLE), [["1", ANN, "a"], ["2", BOB, "b"]], "{progress:?}");
    }
}

#[test]
fn a_rewritten_file_is_refused_as_before() {
    let old = Old::at(Progress::Finished);
    old.source.write("people.csv", FILE.replace("bob", "eve") + "3,ann@x.example,d\n");
    old.run().expect_code(7).expect_text("people.csv");
    assert_eq!(old.database.count("people"), 2);
}

#[test]
fn what_was_hashed_stays_hashed_and_under_the_same_key() {
    let old = Old::at(Progress::Finished);
    old.source.append("people.csv", "3,ann@x.example,d\n");
    let job = old.job("pii = \"none\"\n");
    finish(client(["run"]).arg(job)).expect_code(2).expect_text("email");
    old.source.write("pii.key", "another key of more than thirty-two bytes\n");
    old.run().expect_code(2).expect_text(KEY_ID);
    assert_eq!(old.database.count("people"), 2);
}

#[test]
fn rows_that_were_refused_then_can_be_replayed_now() {
    let old = Old::at(Progress::Finished);
    let job = old.job("pii = \"hash\"\n");
    let list = || {
        let mut command = client(["quarantine", "list", "--database", &old.database.url]);
        finish(&mut command)
    };
    list().expect_code(8).expect_text("ferry-client migrate");
    finish(&mut client(["migrate", "--database", &old.database.url])).expect_code(0);
    assert_eq!(old.versions(), [["1"], ["2"], ["3"], ["4"], ["5"]]);
    list().expect_code(0).expect_text("bad_integer");
    old.database.execute("ALTER TABLE people ALTER id TYPE text");

    finish(client(["quarantine", "replay"]).arg(&job)).expect_code(0);

    let expected = [["1", ANN, "a"], ["2", BOB, "b"], ["x", ANN, "c"]];
    assert_eq!(old.database.rows(PEOPLE), expected);
    let counts = "SELECT loaded_rows, quarantined_rows, state FROM ferry.split, ferry.quarantine";
    assert_eq!(old.database.rows(counts), [["3", "0", "replayed"]]);
}

#[test]
fn a_person_can_be_forgotten_whom_it_loaded() {
    let old = Old::at(Progress::Finished);
    finish(&mut client(["migrate", "--database", &old.database.url])).expect_code(0);
    let mut forget = client(["pii", "forget", "--column", "email", "--token", ANN]);
    finish(forget.arg(old.job("pii = \"hash\"\n"))).expect_code(0);
    assert_eq!(old.database.rows(PEOPLE), [["2", BOB, "b"]]);
    assert!(!old.database.dump().contains(ANN), "quarantine still has the pseudonym");
}
