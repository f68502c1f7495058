//! Whole runs over random files: pseudonyms do not depend on the way, and accounts close for any mixture of failures.
//!
//! The seed is printed; `FERRY_SEED` repeats it, `FERRY_SOAK=1` tries many more.

mod model;

use std::collections::{BTreeMap, HashSet};
use std::fmt::{Debug, Write as _};
use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::hosts::{Process, Random, Server, Source, client, finish, is_soak, wait_for, write_job};
use crate::postgres::Database;
use crate::stages::job_of;
use model::{Fate, HEADER, RULES, Row, TABLE};

/// Large enough for several splits of the smallest size.
const PEOPLE: u32 = 6_000;
/// Large enough that a client can be struck while it loads.
const PEOPLE_OF_KILLS: u32 = 20_000;
const PEOPLE_HEADER: &str = "id,email,phone,name\n";
const KEY: &str = "a key of more than thirty-two bytes for this test\n";

const PEOPLE_RULES: &str = r#"
[[column]]
name = "email"
clean = ["email"]
pii = "hash"
domain = "person"
[[column]]
name = "phone"
clean = [{ phone = { region = "US" } }]
pii = "hash"
form = "hex"
[[column]]
name = "name"
pii = "salted"
[[target]]
table = "public.people"
create = true
"#;

/// People of whom many have the same e-mail and phone, written in several ways.
fn people_records(ids: Range<u32>) -> String {
    let mut records = String::new();
    for id in ids {
        let who = id % 997;
        let email = match id % 4 {
            0 => format!("ann.{who}@mixture.example"),
            1 => format!(" Ann.{who}@Mixture.Example"),
            2 => format!("ANN.{who}@MIXTURE.EXAMPLE "),
            _ => String::new(),
        };
        let phone = match id % 3 {
            0 => format!("(415) 736-4{who:03}"),
            1 => format!("+1 4157364{who:03}"),
            _ => format!("415.736.4{who:03}"),
        };
        writeln!(records, "{id},{email},{phone},Ann {who} of the harbour").unwrap();
    }
    records
}

/// A source host with people in three datasets, and a job that loads them.
struct People {
    source: Source,
    _server: Server,
    database: Database,
    job: PathBuf,
}

impl People {
    fn new(count: u32) -> Self {
        let source = Source::new(
            "[[dataset]]\nname = \"one\"\nfiles = [\"one.csv\"]\n[dataset.columns]\nid = \"integer\"\n\
             [[dataset]]\nname = \"two\"\nfiles = [\"two-*.csv\"]\n[dataset.columns]\nid = \"integer\"\n\
             [[dataset]]\nname = \"grown\"\nfiles = [\"grown.csv\"]\n[dataset.columns]\nid = \"integer\"\n",
        );
        source.write("pii.key", KEY);
        source.write("one.csv", PEOPLE_HEADER.to_owned() + people_records(0..count).as_str());
        let server = source.start();
        let database = Database::create();
        let job = job_of("one", &source, &server, &database, PEOPLE_RULES);
        let people = Self { source, _server: server, database, job };
        finish(&mut people.load("baseline", "one", &[])).expect_code(0);
        assert_eq!(people.database.count("baseline"), u64::from(count));
        people
    }

    /// Loads a dataset into a table of its own.
    fn load(&self, table: &str, dataset: &str, flags: &[&str]) -> Command {
        let mut command = client(["run", "--json", "--name", table, "--table", table]);
        command.args(["--dataset", dataset]).args(flags).arg(&self.job);
        command
    }

    /// Checks that a table holds the pseudonyms of the first one, and other salted hashes.
    #[track_caller]
    fn assert_same_pseudonyms(&self, table: &str) {
        let hashed = |table| format!("SELECT id, email, phone FROM {table}");
        self.database.assert_same_rows(&hashed(table), &hashed("baseline"));
        let salted = format!("SELECT name FROM {table} INTERSECT SELECT name FROM baseline");
        assert_eq!(self.database.rows(&salted), Vec::<Vec<String>>::new());
    }
}

#[test]
fn pseudonyms_are_the_same_however_the_rows_are_cut_and_come() {
    let mut random = Random::from_environment("pseudonyms");
    let people = People::new(PEOPLE);
    let load = |table: &str, dataset: &str, flags: &[&str]| {
        finish(&mut people.load(table, dataset, flags)).expect_code(0);
    };

    for (index, split_bytes) in ["64KiB", "100kB", "1MiB"].into_iter().enumerate() {
        let commit_bytes = (1 + random.below(100_000)).to_string();
        let table = format!("way_{index}");
        load(&table, "one", &["--split-bytes", split_bytes, "--commit-bytes", &commit_bytes]);
        people.assert_same_pseudonyms(&table);
    }

    let cut = u32::try_from(random.below(u64::from(PEOPLE))).unwrap();
    people.source.write("grown.csv", PEOPLE_HEADER.to_owned() + people_records(0..cut).as_str());
    load("two_runs", "grown", &[]);
    people.source.append("grown.csv", &people_records(cut..PEOPLE));
    load("two_runs", "grown", &[]);
    people.assert_same_pseudonyms("two_runs");

    people
        .source
        .write("two-1.csv", PEOPLE_HEADER.to_owned() + people_records(cut..PEOPLE).as_str());
    people.source.write("two-2.csv", PEOPLE_HEADER.to_owned() + people_records(0..cut).as_str());
    load("two_files", "two", &[]);
    people.assert_same_pseudonyms("two_files");
}

#[test]
fn pseudonyms_are_the_same_when_the_client_is_killed_on_the_way() {
    let kills_max = if is_soak() { 20 } else { 3 };
    let people = People::new(PEOPLE_OF_KILLS);
    let loaded = || people.database.count("killed");
    let mut kills = 0;
    loop {
        let flags = ["--split-bytes", "64KiB", "--commit-bytes", "64KiB"];
        let mut running = Process::spawn(&mut people.load("killed", "one", &flags));
        let before = loaded();
        let is_over = wait_for("rows or the end", 60, || {
            let has_ended = running.ended().is_some();
            (has_ended || loaded() > before).then_some(has_ended)
        });
        if is_over || kills == kills_max {
            running.finish().expect_code(0);
            break;
        }
        running.kill();
        kills += 1;
    }
    println!("the client was killed {kills} times");
    assert!(kills > 0, "the load was over before the client could be killed");
    people.assert_same_pseudonyms("killed");
}

/// A job with the rules of the model, and how much it cuts off at a time.
fn mixture_job(
    database: &Database,
    server: &Server,
    split_bytes: &str,
    commit_bytes: u64,
) -> String {
    format!(
        "name = \"mixture\"\n[database]\nurl = \"{}\"\n\
         [source]\nurl = \"{}\"\ndataset = \"mixture\"\ncolumns = [\"id\", \"email\", \"phone\", \
         \"low\", \"high\", \"divisor\", \"word\", \"status\", \"place\"]\n\
         [pii]\nkey_file = \"pii.key\"\n{RULES}\
         [[target]]\ntable = \"public.people\"\ncolumns = [\"id\", \"email\", \"phone\", \"low\", \
         \"high\", \"word\", \"status\", \"code\", \"share\", \"label\"]\n\
         [[target]]\ntable = \"public.contacts\"\ncreate = true\n\
         columns = [\"id\", \"email\", \"phone\", \"place\"]\n\
         [[target]]\ntable = \"public.words\"\ncreate = true\ncolumns = [\"id\", \"word\"]\n\
         [load]\nmax_rejects = \"100%\"\nsplit_bytes = \"{split_bytes}\"\n\
         commit_bytes = \"{commit_bytes}\"\n",
        database.url,
        server.url()
    )
}

/// Files of random rows, by their names.
fn random_files(random: &mut Random) -> BTreeMap<&'static str, Vec<Row>> {
    let mut files = BTreeMap::new();
    let (mut id, mut emails) = (0, Vec::new());
    for name in ["a.csv", "b.csv"] {
        let count = 100 + random.below(200);
        let mut rows = Vec::new();
        for _ in 0..count {
            id += 1;
            let row = Row::random(id, random, &emails);
            emails.push(row.email().to_owned());
            rows.push(row);
        }
        files.insert(name, rows);
    }
    files
}

/// What must be in the tables, in quarantine and in the accounts.
#[derive(Default)]
struct Expected {
    people: Vec<Vec<String>>,
    contacts: Vec<Vec<String>>,
    words: Vec<Vec<String>>,
    /// File, row, stage, reasons.
    quarantine: Vec<Vec<String>>,
    /// Of each file: name, read, loaded, quarantined, filtered.
    accounts: Vec<(String, [u64; 4])>,
}

impl Expected {
    /// Files are loaded in the order of their names, which decides between duplicates.
    fn of(files: &BTreeMap<&'static str, Vec<Row>>) -> Self {
        let mut expected = Self::default();
        let mut seen = HashSet::new();
        for (name, rows) in files {
            let mut account = [u64::try_from(rows.len()).unwrap(), 0, 0, 0];
            for (index, row) in rows.iter().enumerate() {
                let id = row.id.to_string();
                match row.fate(&mut seen) {
                    Fate::Loaded(mut texts) => {
                        account[1] += 1;
                        let place = texts.pop().unwrap();
                        expected.contacts.push(vec![id.clone(), place]);
                        expected.words.push(vec![id.clone(), texts[2].clone()]);
                        texts.insert(0, id);
                        expected.people.push(texts);
                    }
                    Fate::Refused(stage, reasons) => {
                        account[2] += 1;
                        let (row, stage) = ((index + 1).to_string(), stage.to_owned());
                        let reasons = reasons.join(", ");
                        expected.quarantine.push(vec![(*name).to_owned(), row, stage, reasons]);
                    }
                    Fate::Filtered => account[3] += 1,
                }
            }
            expected.accounts.push(((*name).to_owned(), account));
        }
        expected
    }
}

/// Compares rows one by one, and shows the first that differ.
#[track_caller]
fn assert_rows<T: PartialEq + Debug>(what: &str, actual: &[T], expected: &[T]) {
    for (actual, expected) in actual.iter().zip(expected) {
        assert_eq!(actual, expected, "{what}: ferry and the model differ");
    }
    assert_eq!(actual.len(), expected.len(), "rows of {what}");
}

/// Compares the accounts in the ledger and in the summary with those of the model.
fn assert_accounts(database: &Database, summary: &Value, expected: &Expected) {
    let ledger = database.rows(
        "SELECT f.name, sum(s.next_row - s.start_row), sum(s.loaded_rows), \
         sum(s.quarantined_rows), sum(s.filtered_rows) \
         FROM ferry.split AS s JOIN ferry.file AS f USING (file_id) GROUP BY f.name ORDER BY f.name",
    );
    let ledger: Vec<(String, [u64; 4])> = ledger
        .iter()
        .map(|row| (row[0].clone(), [1, 2, 3, 4].map(|at| row[at].parse().unwrap())))
        .collect();
    assert_rows("accounts in the ledger", &ledger, &expected.accounts);

    let names = ["read", "loaded", "quarantined", "filtered"];
    let of = |value: &Value| names.map(|name| value[name].as_u64().unwrap());
    let files: Vec<(String, [u64; 4])> = summary["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (file["name"].as_str().unwrap().to_owned(), of(file)))
        .collect();
    assert_rows("accounts of files in the summary", &files, &expected.accounts);
    let mut all = [0; 4];
    for (name, account) in &expected.accounts {
        assert_eq!(account[0], account[1..].iter().sum::<u64>(), "the model's account of {name}");
        for (sum, count) in all.iter_mut().zip(account) {
            *sum += count;
        }
    }
    assert_eq!(of(&summary["rows"]), all, "accounts of the run in the summary");
    let rejects = summary["rejects"].as_array().unwrap();
    let rejects: u64 = rejects.iter().map(|reject| reject["count"].as_u64().unwrap()).sum();
    assert_eq!(json!(rejects), summary["rows"]["quarantined"]);
}

/// Loads one random mixture and compares every row with the model.
fn try_one_mixture(random: &mut Random) {
    let source = Source::with_dataset("mixture", &[]);
    source.write("pii.key", KEY);
    let files = random_files(random);
    for (name, rows) in &files {
        let records: String = rows.iter().map(Row::record).collect();
        source.write(name, HEADER.to_owned() + records.as_str());
    }
    let server = source.start();
    let database = Database::create();
    database.execute(TABLE);
    let split_bytes = ["64KiB", "256MiB"][usize::from(random.below(3) == 0)];
    let job = mixture_job(&database, &server, split_bytes, 1 + random.below(100_000));

    let mut command = client(["run", "--json"]);
    let outcome = finish(command.arg(write_job(&source.path(""), &job))).expect_code(0);

    let expected = Expected::of(&files);
    let quarantine = database.rows(
        "SELECT f.name, q.row_number, q.stage, (SELECT string_agg(r.reason, ', ' ORDER BY r.reason) \
         FROM (SELECT concat_ws(' ', e->>'code', e->>'column') COLLATE \"C\" AS reason \
         FROM jsonb_array_elements(q.reasons) AS e) AS r) \
         FROM ferry.quarantine AS q JOIN ferry.file AS f USING (file_id) ORDER BY 1, 2",
    );
    assert_rows("quarantine", &quarantine, &expected.quarantine);
    let people = "SELECT id, low, high, word, status, code, share, label FROM people ORDER BY id";
    assert_rows("people", &database.rows(people), &expected.people);
    let contacts = "SELECT id, place FROM contacts ORDER BY id";
    assert_rows("contacts", &database.rows(contacts), &expected.contacts);
    assert_rows("words", &database.rows("SELECT id, word FROM words ORDER BY id"), &expected.words);
    let pseudonyms = "FROM people AS p JOIN contacts AS c USING (id) \
                      WHERE p.email = c.email AND p.phone = c.phone";
    let count = database.number(&format!("SELECT count(DISTINCT p.email) {pseudonyms}"));
    assert_eq!(count, database.count("people"), "equal in both tables, and each e-mail once");
    assert_accounts(&database, &outcome.summary(), &expected);
}

#[test]
fn accounts_close_and_reasons_are_as_predicted_for_any_mixture_of_failures() {
    let mut random = Random::from_environment("mixtures");
    let rounds = if is_soak() { 60 } else { 3 };
    for round in 0..rounds {
        println!("round {round}");
        try_one_mixture(&mut random);
    }
}
