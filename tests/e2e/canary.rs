//! Canaries of personal data end nowhere but in the source file, whatever becomes of their rows.
//!
//! Every value of a personal column holds a canary. Rows are loaded, filtered,
//! and refused at every stage and by the database; every verb is used; both
//! programs log every step. Then the canaries are looked for in all of that.
//! The note of each row is not personal: it shows that the search finds what
//! is there.

mod cores;
mod evidence;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::hosts::{Outcome, Server, Source, client, finish, write_job};
use crate::postgres::{Database, shared_log};
use evidence::Evidence;

/// E-mails, phone numbers, names, cards, streets, and a column that no job asks for.
const CANARIES: [&str; 6] =
    ["Kestrelq", "2127364917", "Quillfeather", "455673758689", "Wimbleshank", "Thornbuckle"];
/// Stands in the notes, which are not personal.
const NOTE: &str = "decoyfinch";

const COLUMNS: [&str; 9] =
    ["id", "email", "phone", "name", "card", "street", "age", "note", "diary"];

const SETTINGS: &str = r#"
[[dataset]]
name = "people"
files = ["*.csv"]
min_age = "0s"
[dataset.columns]
id = "integer"
age = "smallint"
"#;

/// All modes of personal data, and something that can fail in every stage.
const JOB: &str = r#"
name = "people"
[database]
url = "DATABASE"
[source]
url = "SOURCE"
dataset = "people"
columns = ["id", "email", "phone", "name", "card", "street", "age", "note"]
[pii]
key_file = "pii.key"
[[column]]
name = "email"
clean = ["email"]
check = ["required", "unique", { expr = "CASE WHEN note = 'cast' THEN CAST(email AS integer) > 0 ELSE true END" }]
pii = "hash"
domain = "person"
[[column]]
name = "phone"
clean = [{ phone = { region = "US" } }]
pii = "hash"
form = "hex"
[[column]]
name = "name"
clean = ["trim"]
check = [{ length = { min = 1, max = 20 } }]
pii = "salted"
[[column]]
name = "card"
check = [{ regex = "^[0-9]+$" }]
pii = "mask"
keep_last = 2
[[column]]
name = "street"
check = [{ length = { max = 20 } }]
pii = "drop"
[[column]]
name = "age"
check = [{ max = 120 }]
[[check]]
name = "unwanted"
expr = "note <> 'unwanted'"
[transform]
filter = "note <> 'filtered'"
set.share = "100 / (age - 30)"
derive_before_hash.letters = "CASE WHEN note = 'derive' THEN CAST(name AS integer) ELSE 1 END"
[[target]]
table = "public.people"
create = true
[load]
max_rejects = "100%"
"#;

/// What is changed of a good row, and the stage, the code and the column that this leads to.
const FATES: [(&[(&str, &str)], &str); 17] = [
    (&[], ""),
    (&[("email", " KESTRELQ.2@Example.ORG "), ("phone", "+1 212.736.4917")], ""),
    (&[("age", "old")], "read bad_integer age"),
    (&[("age", "99999")], "read out_of_range age"),
    (&[("email", "kestrelq.5@exam\0ple.org")], "read nul_byte email"),
    (&[("phone", "212-736-4917 ext. 5")], "clean bad_phone phone"),
    (&[("email", "kestrelq.7 at example.org")], "clean bad_email email"),
    (&[("age", "200")], "check above_max age"),
    (&[("card", "4556737586891234 Kestrelq")], "check no_match card"),
    (&[("name", "Quillfeather of Quillfeather")], "check too_long name"),
    (&[("street", "Wimbleshank by Wimbleshank")], "check too_long street"),
    (&[("email", "Kestrelq.1@example.org")], "check duplicate email"),
    (&[("note", "cast")], "check expression_failed email"),
    (&[("note", "unwanted")], "check unwanted"),
    (&[("note", "derive")], "pseudonym expression_failed letters"),
    (&[("age", "30")], "transform expression_failed share"),
    (&[("note", "filtered")], ""),
];

/// Records that are no rows; the quote of the last one is never closed.
const NO_ROWS: [(&[u8], &str); 4] = [
    (b"18,kestrelq.18@example.org,2127364917,Quillfeather\n", "read too_few_fields"),
    (b"19,kestrelq.19@example.org,2127364917,Quillfeather 19,4556737586891019,Wimbleshank 19,40,\
       decoyfinch,Thornbuckle,Kestrelq,Quillfeather\n", "read too_many_fields"),
    (b"20,kestrelq.20@example.org,2127364917,Quillfeather \xff,4556737586891020,Wimbleshank 20,40,\
       decoyfinch,Thornbuckle\n", "read bad_utf8 name"),
    (b"21,\"kestrelq.21@example.org,2127364917,Quillfeather 21,Wimbleshank,Thornbuckle\n",
     "read unclosed_quote"),
];

/// A record with a canary in every personal column, but for what is changed.
fn record(id: usize, changes: &[(&str, &str)]) -> String {
    let good = |column: &str| match column {
        "id" => id.to_string(),
        "email" => format!("Kestrelq.{id}@example.org"),
        "phone" => "(212) 736-4917".to_owned(),
        "name" => format!("Quillfeather {id}"),
        "card" => format!("455673758689{:04}", id % 10_000),
        "street" => format!("Wimbleshank {id}"),
        "age" => "40".to_owned(),
        "note" => NOTE.to_owned(),
        _ => format!("Thornbuckle {id}"),
    };
    let field = |column: &str| {
        let change = changes.iter().find(|(changed, _)| *changed == column);
        change.map_or_else(|| good(column), |(_, value)| (*value).to_owned())
    };
    COLUMNS.map(field).join(",") + "\n"
}

/// The header, and the rows of [`FATES`].
fn rows_of_every_fate() -> String {
    let mut file = COLUMNS.join(",") + "\n";
    for (index, (changes, _)) in FATES.iter().enumerate() {
        file.push_str(&record(index + 1, changes));
    }
    file
}

/// A source host with one file.
fn source_of(file: impl AsRef<[u8]>) -> Source {
    let source = Source::new(SETTINGS);
    source.write("people.csv", file);
    source.write("pii.key", "a key of more than thirty-two bytes for the canaries\n");
    source
}

/// The same command, started by a line of shell that knows `path` as `$0`.
fn through_shell(line: &str, path: &Path, command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", line]).arg(path).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Both hosts, and everything that they say.
struct Watch {
    source: Source,
    server: Server,
    database: Database,
    evidence: Evidence,
}

impl Watch {
    fn start(file: impl AsRef<[u8]>) -> Self {
        let source = source_of(file);
        let mut command = source.command();
        command.args(["--listen", "127.0.0.1:0"]).env("RUST_LOG", "trace");
        let server = Server::start(&mut command);
        Self { source, server, database: Database::create(), evidence: Evidence::default() }
    }

    /// Path of the job, with parts of its text replaced.
    fn job(&self, changes: &[(&str, &str)]) -> String {
        let mut text = JOB.replace("DATABASE", &self.database.url);
        text = text.replace("SOURCE", self.server.url());
        for (from, to) in changes {
            assert!(text.contains(from), "{from} is not in the job");
            text = text.replace(from, to);
        }
        write_job(&self.source.path(""), &text).display().to_string()
    }

    /// A verb of the client that logs every step.
    #[track_caller]
    fn client(&mut self, arguments: &[&str], code: i32) -> Outcome {
        self.client_with_input(arguments, b"", code)
    }

    /// The same, with something on standard input.
    #[track_caller]
    fn client_with_input(&mut self, arguments: &[&str], input: &[u8], code: i32) -> Outcome {
        self.source.write("input.txt", input);
        let mut command = client(arguments);
        command.env("RUST_LOG", "trace");
        let input = self.source.path("input.txt");
        let outcome = finish(&mut through_shell("exec \"$@\" <\"$0\"", &input, &command));
        let name = format!("output of ferry-client {}", arguments[..2].join(" "));
        self.evidence.keep(name, outcome.text());
        outcome.expect_code(code)
    }

    /// Looks for the canaries in everything.
    #[track_caller]
    fn assert_no_canary_escaped(mut self) {
        let file = fs::read(self.source.path("people.csv")).unwrap();
        let mut source = Evidence::default();
        source.keep("the source file", file);
        for canary in CANARIES {
            assert!(!source.find(canary).is_empty(), "{canary} is not even in the source file");
        }
        self.evidence.keep_remains(&self.server, &self.database);
        self.evidence.assert_holds("rows of every table", NOTE);
        self.evidence.assert_holds("pg_dump", NOTE);
        self.evidence.assert_free_of(&CANARIES);
    }
}

#[test]
fn rows_that_are_loaded_and_rows_that_every_stage_refuses_show_no_personal_data() {
    let mut file = rows_of_every_fate().into_bytes();
    for (record, _) in NO_ROWS {
        file.extend_from_slice(record);
    }
    let mut watch = Watch::start(file);
    let job = watch.job(&[]);
    let checked = watch.source.check().expect_code(0);
    watch.evidence.keep("output of ferry-server check", checked.text());

    watch.client(&["plan", &job], 0);
    let preview = watch.client(&["preview", &job, "--rows", "1000"], 0);
    preview.expect_text("(personal data)").expect_text(NOTE);
    watch.client(&["run", &job, "--json"], 0);
    watch.client(&["status", &job, "--json"], 0);

    let refused = watch.database.rows(
        "SELECT row_number, concat_ws(' ', stage, code, column_name) \
         FROM ferry.quarantine ORDER BY row_number",
    );
    assert_eq!(refused, expected_fates(), "every stage refuses rows");
    assert_eq!(watch.database.count("people"), 2);
    look_at_quarantine(&mut watch, &job);

    let masks = "SELECT card FROM people UNION ALL SELECT record->>'card' FROM ferry.quarantine";
    let unmasked = format!("SELECT count(*) FROM ({masks}) AS m WHERE card !~ '^[*]{{8}}..$'");
    assert_eq!(watch.database.number(&unmasked), 0, "a mask shows more than two characters");
    for place in ["quarantine show", "quarantine export", "file of quarantine export"] {
        watch.evidence.assert_holds(place, NOTE);
    }
    watch.evidence.keep("log of PostgreSQL", shared_log());
    watch.evidence.assert_holds("log of PostgreSQL", r#"note\":\"decoyfinch"#);
    watch.assert_no_canary_escaped();
}

/// Row numbers, and why those rows are refused.
fn expected_fates() -> Vec<Vec<String>> {
    let fates = FATES.iter().map(|(_, fate)| *fate).chain(NO_ROWS.iter().map(|(_, fate)| *fate));
    let refused = fates.enumerate().filter(|(_, fate)| !fate.is_empty());
    refused.map(|(index, fate)| vec![(index + 1).to_string(), fate.to_owned()]).collect()
}

/// Uses every verb on refused rows.
fn look_at_quarantine(watch: &mut Watch, job: &str) {
    let url = watch.database.url.clone();
    let path = watch.source.path("refused.txt").display().to_string();
    let first = "SELECT min(quarantine_id) FROM ferry.quarantine WHERE code = 'bad_integer'";
    let id = watch.database.value(first);
    let verbs: [&[&str]; 6] = [
        &["list"],
        &["list", "--json"],
        &["show", &id],
        &["show", &id, "--json"],
        &["export", "--csv"],
        &["export", "--csv", "--output", &path],
    ];
    for words in verbs {
        watch.client(&quarantine_verb(words, &url), 0);
    }
    watch.evidence.keep("file of quarantine export", fs::read(&path).unwrap());
    // Nothing is mended: every row is refused again.
    let replayed = watch.client(&["quarantine", "replay", job, "--json"], 0);
    assert_eq!(replayed.summary()["loaded"], 0);
    let mended = watch.job(&[("max = 120 }", "max = 1200 }"), ("\"unique\", ", "")]);
    let replayed = watch.client(&["quarantine", "replay", &mended, "--json"], 0);
    assert_eq!(replayed.summary()["loaded"], 2);
    watch.client(&quarantine_verb(&["discard", "--all"], &url), 0);
}

fn quarantine_verb<'a>(words: &[&'a str], database_url: &'a str) -> Vec<&'a str> {
    let mut verb = vec!["quarantine"];
    verb.extend_from_slice(words);
    verb.extend(["--name", "people", "--database", database_url]);
    verb
}

#[test]
fn a_row_that_the_database_refuses_shows_no_personal_data() {
    let mut watch = Watch::start(rows_of_every_fate());
    let job = watch.job(&[]);
    watch.client(&["run", &job, "--json"], 0);
    watch.database.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN RAISE EXCEPTION 'refused by a trigger: %', NEW USING DETAIL = NEW::text; END $$",
    );
    watch.database.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION refuse()",
    );

    let mended = watch.job(&[("max = 120 }", "max = 1200 }")]);
    let code = ["--code", "above_max"];
    watch.client(&["quarantine", "replay", &mended, code[0], code[1]], 0).expect_text("p0001");
    watch.client(&["quarantine", "replay", &mended, code[0], code[1], "--json"], 0);
    watch.job(&[]);
    watch.source.append("people.csv", &record(101, &[]));
    watch.client(&["run", &job], 0).expect_text("P0001");
    watch.database.execute("DROP TRIGGER refuse ON people");
    watch.source.append("people.csv", &record(102, &[]));
    watch.database.execute(
        "ALTER TABLE people ADD CONSTRAINT canary_note CHECK (note <> 'decoyfinch') NOT VALID",
    );
    watch.client(&["run", &job, "--json"], 0).expect_text("canary_note");
    watch.client(&["status", &job], 0);
    watch.client(&["runs", "show", "3", "--database", &watch.database.url.clone()], 0);

    watch.evidence.keep("log of PostgreSQL", shared_log());
    for word in ["refused by a trigger: (", "constraint \"canary_note\"", "Failing row contains ("]
    {
        watch.evidence.assert_holds("log of PostgreSQL", word);
    }
    watch.assert_no_canary_escaped();
}

#[test]
fn values_on_standard_input_are_never_repeated() {
    let mut watch = Watch::start(rows_of_every_fate());
    let job = watch.job(&[]);
    watch.client(&["run", &job, "--json"], 0);

    let ask = ["pii", "token", &job, "--column"];
    let verb = |column: &'static str| [&ask[..], &[column]].concat();
    let token = watch.client_with_input(&verb("email"), b"Kestrelq.1@example.org\n", 0);
    assert!(token.stdout.lines().any(|line| line.len() == 64), "{}", token.stdout);
    let refused: [(&str, &[u8]); 5] = [
        ("email", b"Kestrelq.1@example.org\nKestrelq.2 at example.org\n"),
        ("phone", b"2127364917 ext. 5\n"),
        ("phone", b"2127364917 \xff\n"),
        ("name", b"Quillfeather 1\n"),
        ("street", b"Wimbleshank 1\n"),
    ];
    for (column, input) in refused {
        watch.client_with_input(&verb(column), input, 2);
    }

    let ask = ["pii", "forget", &job, "--column", "email"];
    watch.client_with_input(&ask, b"Kestrelq.1 at example.org\n", 2);
    watch.client_with_input(&ask, b"Kestrelq.1@example.org\nKestrelq.2@example.org\n", 2);
    let dry_run = [&ask[..], &["--dry-run"]].concat();
    watch.client_with_input(&dry_run, b"Kestrelq.1@example.org\n", 0);
    assert_eq!(watch.database.count("people"), 2);
    watch.client_with_input(&ask, b"kestrelq.1@EXAMPLE.org\n", 0);
    assert_eq!(watch.database.count("people"), 1);
    watch.client(&["pii", "rotate", &job], 0);
    watch.client_with_input(&ask, b"Kestrelq.2@example.org\n", 0);
    assert_eq!(watch.database.count("people"), 0);

    watch.assert_no_canary_escaped();
}
