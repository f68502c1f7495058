//! The key of a job's pseudonyms: looking a person up with it, changing it, and deleting a person under every key.

mod forget;
mod rotate;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::hosts::{Outcome, Server, Source, client, finish, write_job};
use crate::postgres::Database;
use crate::stages::job_of;

const KEY: &str = "a key of more than thirty-two bytes for people\n";
const OTHER_KEY: &str = "another key of more than thirty-two bytes for people\n";
const EMAIL: &str =
    "[[column]]\nname = \"email\"\nclean = [\"trim\", \"lowercase\"]\npii = \"hash\"\n";
const ONLY_NEW: &str = "[[column]]\nname = \"status\"\ncheck = [{ one_of = [\"new\"] }]\n";
const TARGET: &str = "[[target]]\ntable = \"public.people\"\ncreate = true\n\
    [load]\nmax_rejects = \"100%\"\n";
const HEADER: &str = "id,email,city,status\n";
/// A value that no error may show.
const SECRET: &str = "hunter2";

/// People at the source, and the database that they are loaded into.
struct People {
    source: Source,
    server: Server,
    database: Database,
}

impl People {
    fn new(records: &str) -> Self {
        let source = Source::with_dataset("people", &[("id", "integer")]);
        source.write("people.csv", format!("{HEADER}{records}"));
        source.write("pii.key", KEY);
        let server = source.start();
        Self { source, server, database: Database::create() }
    }

    /// Writes a job with these columns, targets and limits.
    fn job(&self, rules: &str) -> PathBuf {
        job_of("people", &self.source, &self.server, &self.database, rules)
    }

    /// What `people` has for e-mails, by id.
    fn hashes(&self) -> Vec<String> {
        let rows = self.database.rows("SELECT encode(email, 'hex') FROM people ORDER BY id");
        rows.into_iter().map(|mut row| row.remove(0)).collect()
    }

    /// Key files beside the one of the job, which rotations have kept.
    fn kept_keys(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.source.path("")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let is_kept =
            |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("pii.key.");
        let mut paths: Vec<PathBuf> = paths.filter(is_kept).collect();
        paths.sort();
        paths
    }
}

/// Runs a command to its end with these bytes on its standard input.
fn fed(command: &Command, input: &[u8]) -> Outcome {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(input).unwrap();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "exec \"$@\" < \"$0\""]).arg(file.path());
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    finish(&mut shell)
}

fn run(job: &Path) -> Outcome {
    finish(client(["run", "--json"]).arg(job))
}

fn rotate_key(job: &Path) -> Outcome {
    finish(client(["pii", "rotate"]).arg(job))
}

fn token(job: &Path, column: &str, input: &[u8]) -> Outcome {
    let mut command = client(["pii", "token", "--column", column]);
    fed(command.arg(job), input)
}

/// The pseudonym of an e-mail under the job's key, or under the one in a file.
fn token_of(job: &Path, email: &str, key_file: Option<&Path>) -> String {
    let mut command = client(["pii", "token", "--column", "email"]);
    command.arg(job);
    if let Some(path) = key_file {
        command.arg("--key-file").arg(path);
    }
    let outcome = fed(&command, email.as_bytes()).expect_code(0);
    outcome.stdout.strip_suffix('\n').unwrap().to_owned()
}

#[test]
fn a_token_is_the_pseudonym_that_was_loaded() {
    for (kind, stored) in [("bytea", "encode(email, 'hex')"), ("text", "email")] {
        let people = People::new("1, Ann@x.example,Rome,new\n2,zoë@x.example,Oslo,new\n");
        people.database.execute(&format!(
            "CREATE TABLE people (id integer, email {kind}, city text, status text)"
        ));
        let job = people.job(&[EMAIL, TARGET].concat());
        run(&job).expect_code(0);

        let input = "ann@X.example \r\nZoë@x.example\nbob@x.example";
        let outcome = token(&job, "email", input.as_bytes()).expect_code(0);

        let tokens: Vec<&str> = outcome.stdout.lines().collect();
        assert_eq!(tokens.len(), 3, "a line each: {}", outcome.text());
        let rows = people.database.rows(&format!("SELECT {stored} FROM people ORDER BY id"));
        assert_eq!(rows, [[tokens[0]], [tokens[1]]], "{kind}");
        assert_eq!(token(&job, "email", b"").expect_code(0).stdout, "", "no value, no pseudonym");
    }
}

#[test]
fn a_token_needs_neither_the_source_nor_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let unset = "[database]\nurl = \"${NOWHERE}\"\n\
                 [source]\nurl = \"http://127.0.0.1:9\"\ndataset = \"people\"\n";
    let text = format!("{unset}[pii]\nkey_file = \"pii.key\"\n{EMAIL}{TARGET}");
    let job = write_job(folder.path(), &text);
    fs::write(folder.path().join("pii.key"), KEY).unwrap();
    let outcome = token(&job, "email", b"ann@x.example\n").expect_code(0);
    assert_eq!(outcome.stdout.trim_end().len(), 64);
}

#[test]
fn only_hashed_columns_have_tokens() {
    let people = People::new("");
    let column = |mode: &str| format!("[[column]]\nname = \"{mode}\"\npii = \"{mode}\"\n");
    let columns: Vec<String> = ["salted", "mask", "drop", "none"].map(column).into();
    let job = people.job(&[EMAIL, ONLY_NEW, &columns.concat(), TARGET].concat());
    let refused = [
        ("salted", "salted"),
        ("mask", "masked"),
        ("drop", "dropped"),
        ("none", "not personal"),
        ("status", "not hashed"),
        ("emial", "did you mean \"email\"?"),
        ("city", "no [[column]]"),
    ];
    for (column, reason) in refused {
        let outcome = token(&job, column, SECRET.as_bytes()).expect_code(2).expect_text(reason);
        assert_eq!(outcome.stdout, "", "{column}");
        assert!(!outcome.text().contains(SECRET), "{}", outcome.text());
    }
}

#[test]
fn a_line_without_a_pseudonym_is_named_by_its_number_and_never_shown() {
    let people = People::new("");
    let strict = EMAIL.replace("\"trim\", \"lowercase\"", "\"email\"");
    let job = people.job(&[strict.as_str(), TARGET].concat());
    let long = [SECRET.as_bytes(), &b"x".repeat(1 << 20)].concat();
    let wrong: [(&[u8], &str); 4] = [
        (b"", "empty value"),
        (b"hunter2", "bad_email"),
        (b"hunter2\xff@x.example", "UTF-8"),
        (&long, "longer than"),
    ];
    for (line, reason) in wrong {
        let input = [b"ann@x.example\n".as_slice(), line, b"\nhunter2@x.example\n"].concat();
        let outcome = token(&job, "email", &input).expect_code(2).expect_text(reason);
        let outcome = outcome.expect_text("line 2");
        assert_eq!(outcome.stdout.lines().count(), 1, "what stood before it was answered");
        assert!(!outcome.text().contains(SECRET), "{}", outcome.text());
    }
}
