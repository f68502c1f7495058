//! What `ferry-client serve` answers: runs, refused rows and records, to those who may see them, and nothing else.

mod access;
mod endpoints;
mod ends;
mod grpc;
mod limits;
mod quarantine;
mod records;
mod runs;
mod secrecy;

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::hosts::wait_for;
use crate::stages::Trip;
use crate::web::Web;

/// Stands in a column and in a table that are not served.
const SECRET: &str = "thornbuckle";
/// Rows of [`people`] that are refused: two have no number, one has a wrong note.
pub(crate) const REFUSED: [u64; 3] = [7, 13, 15];
const ROWS: u64 = 20;
pub(crate) const RULES: &str = r#"
[[column]]
name = "email"
pii = "hash"
form = "hex"
[[column]]
name = "note"
check = [{ regex = "^thorn" }]
[[target]]
table = "public.users"
create = true
mode = "upsert"
key = ["uid"]
serve_columns = ["uid", "email", "name"]
[[target]]
table = "public.notes"
create = true
mode = "upsert"
key = ["uid"]
columns = ["uid", "note"]
serve = false
"#;

/// Everything that stands behind a page: both hosts, the database, and what serves it.
struct Served {
    trip: Trip,
    web: Web,
}

impl Served {
    /// A job that has not run yet.
    fn unloaded() -> Self {
        let trip = Trip::new(&[("uid", "integer")], people(ROWS));
        trip.database.execute(
            "CREATE TABLE strangers (uid integer PRIMARY KEY, name text); \
             INSERT INTO strangers VALUES (1, 'thornbuckle')",
        );
        let web = Web::start(&[trip.job(RULES)]);
        Self { trip, web }
    }

    /// The same after a run by another process.
    fn loaded() -> Self {
        let served = Self::unloaded();
        let summary = served.trip.run(RULES).expect_code(0).summary();
        assert_eq!(summary["rows"]["quarantined"], 3, "{summary}");
        served
    }

    /// The one job.
    fn job(&self) -> Value {
        self.web.json("/jobs/people")
    }

    /// Waits until the job does something, or nothing.
    #[track_caller]
    fn wait_for_state(&self, state: &str) -> Value {
        wait_for(&format!("the job to be {state}"), 60, || {
            let activity = self.job()["activity"].clone();
            (activity["state"] == state).then_some(activity)
        })
    }

    /// Refused rows of the job that these parameters find.
    fn quarantine(&self, query: &str) -> Vec<Value> {
        let list = self.web.json(&format!("/jobs/people/quarantine?{query}"));
        list["rows"].as_array().unwrap().clone()
    }

    /// Number in quarantine of a row of the file.
    fn quarantine_id(&self, row_number: u64) -> u64 {
        let rows = self.quarantine("");
        let row = rows.iter().find(|row| row["row_number"] == row_number).unwrap();
        row["quarantine_id"].as_u64().unwrap()
    }

    /// Writes settings of `serve` beside the job.
    fn settings(&self, text: &str) -> PathBuf {
        settings(&self.trip, text)
    }
}

/// A file of so many rows, of which those of [`REFUSED`] do not fit [`RULES`].
pub(crate) fn people(rows: u64) -> String {
    let mut file = String::from("uid,email,name,note\n");
    for row in 1..=rows {
        let uid = if row == 7 || row == 13 { "x".to_owned() } else { row.to_string() };
        let note = if row == 15 { "lost" } else { SECRET };
        writeln!(file, "{uid},person.{row}@canary.example,Name {row},{note} {row}").unwrap();
    }
    file
}

/// Writes settings of `serve` beside the job, which they name.
fn settings(trip: &Trip, text: &str) -> PathBuf {
    trip.source.write("serve.toml", format!("jobs = [\"job.toml\"]\n{text}"));
    trip.source.path("serve.toml")
}

/// Names of the members of an object, in order.
#[track_caller]
fn names(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    let mut names: Vec<&str> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// Words in order, to compare names with.
fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split(' ').collect();
    words.sort_unstable();
    words
}
