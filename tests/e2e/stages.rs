//! Cleaning, checks, pseudonyms and expressions in one run: what is stored, and every reason of what is not.

use std::path::PathBuf;

use serde_json::json;

use crate::hosts::{Outcome, Process, Server, Source, client, finish, write_job};
use crate::postgres::{Database, NULL};

/// Both hosts of a test, the database, and the job `people` between them.
pub(crate) struct Trip {
    pub(crate) source: Source,
    pub(crate) server: Server,
    pub(crate) database: Database,
}

impl Trip {
    /// A source host with one file, `people.csv`, and these types of its columns.
    pub(crate) fn new(columns: &[(&str, &str)], file: impl AsRef<[u8]>) -> Self {
        let source = Source::with_dataset("people", columns);
        source.write("people.csv", file);
        source.write("pii.key", "a key of more than thirty-two bytes for this test\n");
        let server = source.start();
        Self { source, server, database: Database::create() }
    }

    /// Writes the job with these rules, targets and limits.
    pub(crate) fn job(&self, rules: &str) -> PathBuf {
        job_of("people", &self.source, &self.server, &self.database, rules)
    }

    /// Runs the job to its end, with its summary as JSON.
    pub(crate) fn run(&self, rules: &str) -> Outcome {
        finish(client(["run", "--json"]).arg(self.job(rules)))
    }

    /// Starts to run the job.
    pub(crate) fn spawn(&self, rules: &str) -> Process {
        Process::spawn(client(["run", "--json"]).arg(self.job(rules)))
    }

    /// Does something else with the job, such as `plan`.
    pub(crate) fn verb(&self, words: &[&str], rules: &str) -> Outcome {
        finish(client(words).arg(self.job(rules)))
    }

    /// Refused rows: row number, stage, and every reason as `code column`.
    pub(crate) fn refused(&self) -> Vec<Vec<String>> {
        self.database.rows(
            "SELECT row_number, stage, (
                 SELECT string_agg(concat_ws(' ', r ->> 'code', r ->> 'column'), ', ' ORDER BY n)
                 FROM jsonb_array_elements(reasons) WITH ORDINALITY AS listed (r, n))
             FROM ferry.quarantine ORDER BY file_id, row_number",
        )
    }
}

/// Writes a job that has the name of its dataset, with these rules, targets and limits.
pub(crate) fn job_of(
    dataset: &str,
    source: &Source,
    server: &Server,
    database: &Database,
    rules: &str,
) -> PathBuf {
    let (database, server) = (&database.url, server.url());
    let text = format!(
        "name = \"{dataset}\"\n[database]\nurl = \"{database}\"\n\
         [source]\nurl = \"{server}\"\ndataset = \"{dataset}\"\n\
         [pii]\nkey_file = \"pii.key\"\n{rules}"
    );
    write_job(&source.path(""), &text)
}

const COLUMNS: [(&str, &str); 4] =
    [("uid", "integer"), ("born", "date"), ("price", "numeric(10,2)"), ("quantity", "integer")];
const FILE: &str = "\
uid,email,phone,card,country,born,joined,price,quantity,note
1, Ann@Canary.example ,(202) 555-0123,4111111111111111, us ,1990-02-03,2020-01-01,10.00,4,first
2,ANN@canary.example,+1 202 555 0123,4222222222222222,US,1990-02-03,n/a,0.30,3,second
3,bob@canary.example,202-555-0124,4111111111111111,US,1991-01-01,2020-01-02,5.00,0,third
4,no address,555,4111111111111111,FR,1800-01-01,2020-01-02,-1,1,fourth
5,,202-555-0125,4111111111111111,ZZ,1991-01-01,2020-01-02,-2,many,fifth
6,eve@canary.example,202-555-0126,4111111111111111,US,1991-01-01,1990-01-01,5.00,1,sixth
7,too@canary.example
1,joe@canary.example,202-555-0127,4111111111111111,US,1991-01-01,2020-01-02,5.00,1,eighth
9,ida@canary.example,202-555-0128,4111111111111111,CA,1991-01-01,2020-01-02,5.00,0,ninth
10,leo@canary.example,202-555-0129,unknown,US,1991-01-01,2020-01-02,5.00,1,tenth
";
const RULES: &str = r#"
[[column]]
name = "uid"
check = ["required", "unique"]

[[column]]
name = "email"
clean = ["email"]
check = ["required"]
pii = "hash"

[[column]]
name = "phone"
clean = [{ phone = { region = "US" } }]
pii = "mask"
keep_last = 2

[[column]]
name = "card"
pii = "drop"

[[column]]
name = "country"
clean = ["trim", "uppercase"]
check = [{ one_of = ["US", "CA"] }]

[[column]]
name = "born"
check = [{ min = 1900-01-01 }]

[[column]]
name = "joined"
type = "date"
clean = [{ null_words = ["n/a"] }]

[[column]]
name = "price"
check = [{ min = 0 }]

[[check]]
name = "dates_in_order"
expr = "born < joined"

[transform]
filter = "country <> 'CA'"
set.price = "price / quantity"
set.year = "date_part('year', born)"
rename.note = "remark"
drop = ["quantity", "born"]
derive_before_hash.mail_domain = "split_part(email, '@', 2)"
derive_before_hash.issuer = "CAST(left(card, 4) AS integer)"

[[target]]
table = "public.people"
create = true

[load]
max_rejects = 7
"#;

fn moved() -> (Trip, Outcome) {
    let trip = Trip::new(&COLUMNS, FILE);
    let outcome = trip.run(RULES).expect_code(0);
    (trip, outcome)
}

#[test]
fn rows_that_pass_every_stage_are_stored_as_the_job_says() {
    let (trip, _) = moved();

    let stored = trip.database.rows(
        "SELECT uid, octet_length(email), phone, country, joined, price, remark, mail_domain, \
         issuer, year FROM people ORDER BY uid",
    );
    let domain = "canary.example";
    let expected = [
        ["1", "32", "********23", "US", "2020-01-01", "2.500000", "first", domain, "4111", "1990"],
        ["2", "32", "********23", "US", NULL, "0.100000", "second", domain, "4222", "1990"],
    ];
    assert_eq!(stored, expected);
    let people = "SELECT count(DISTINCT email) FROM people";
    assert_eq!(trip.database.number(people), 1, "cleaned before the hash, both are one person");
    let columns = trip.database.columns("people");
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let expected = "uid email phone country joined price remark issuer mail_domain year";
    assert_eq!(names.join(" "), expected);
}

#[test]
fn a_refused_row_lists_every_reason_and_the_stage_that_refused_it() {
    let (trip, _) = moved();

    let checked = "not_listed country, below_min born, below_min price";
    let cleaned = format!("bad_email email, bad_phone phone, {checked}");
    let read = "bad_integer quantity, null_value email, not_listed country, below_min price";
    let expected = [
        ["3", "transform", "expression_failed price"],
        ["4", "clean", cleaned.as_str()],
        ["5", "read", read],
        ["6", "check", "dates_in_order"],
        ["7", "read", "too_few_fields"],
        ["8", "check", "duplicate uid"],
        ["10", "pseudonym", "expression_failed issuer"],
    ];
    assert_eq!(trip.refused(), expected);
    let first = "SELECT count(*) FROM ferry.quarantine WHERE code = reasons -> 0 ->> 'code' \
                 AND column_name IS NOT DISTINCT FROM reasons -> 0 ->> 'column'";
    assert_eq!(trip.database.number(first), 7, "the first reason has columns of its own");
}

#[test]
fn the_accounts_close_and_the_summary_counts_the_first_reasons() {
    let (trip, outcome) = moved();

    let summary = outcome.summary();
    let rows = json!({ "read": 10, "loaded": 2, "quarantined": 7, "filtered": 1 });
    assert_eq!(summary["rows"], rows);
    assert_eq!(summary["files"][0]["filtered"], 1);
    let splits = trip.database.rows(
        "SELECT next_row - start_row, loaded_rows, quarantined_rows, filtered_rows, done \
         FROM ferry.split",
    );
    assert_eq!(splits, [["10", "2", "7", "1", "t"]]);
    let rejects = summary["rejects"].as_array().unwrap();
    assert_eq!(rejects.len(), 7, "{rejects:?}");
    for (code, column) in [("bad_email", json!("email")), ("dates_in_order", json!(null))] {
        let reject = json!({ "code": code, "column": column, "count": 1 });
        assert!(rejects.contains(&reject), "{reject} in {rejects:?}");
    }
}

#[test]
fn quarantine_keeps_what_was_cleaned_and_nothing_of_a_person() {
    let (trip, outcome) = moved();

    let record = |row: u32, column: &str| {
        let sql =
            format!("SELECT record ->> '{column}' FROM ferry.quarantine WHERE row_number = {row}");
        trip.database.value(&sql)
    };
    assert_eq!(record(6, "phone"), "********26");
    assert_eq!(record(6, "joined"), "1990-01-01");
    assert_eq!(record(5, "quantity"), "many");
    assert_eq!(record(4, "email"), NULL, "what is no address cannot be hashed");
    assert_eq!(record(3, "email").len(), 64);
    assert_eq!(record(3, "card"), NULL, "a dropped column is kept nowhere");
    let (dump, said) = (trip.database.dump(), outcome.text());
    for raw in ["@canary.example", "202-555", "+1202555", "4111111111111111", "no address"] {
        assert!(!dump.to_lowercase().contains(raw), "{raw} is in the database");
        assert!(!said.to_lowercase().contains(raw), "{raw} is in the output");
    }
}

#[test]
fn a_row_that_the_source_refused_tells_of_values_that_are_parsed_after_cleaning_too() {
    let trip = Trip::new(&[("uid", "integer")], "uid,joined\n1,2020-01-01\nx,soon\n");

    trip.run(
        "[[column]]\nname = \"joined\"\ntype = \"date\"\nclean = [\"trim\"]\n\
         [[target]]\ntable = \"people\"\ncreate = true\n",
    )
    .expect_code(0);

    assert_eq!(trip.refused(), [["2", "read", "bad_integer uid, bad_date joined"]]);
}
