//! A damaged row that was refused is loaded by a replay once the source is told how to read it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::letters::{Letters, Pack};
use crate::hosts::{Outcome, Server, Source, client, finish, write_job};
use crate::postgres::{Database, NULL};

const PACKS: [Pack; 3] = [Pack::Plain, Pack::Gzip, Pack::Zstd];
const REPAIRS: &str = "ragged = \"pad\"\nother_delimiters = [\";\"]\nstray_quotes = \"keep\"\n";

/// Refused rows of a dataset whose settings change.
struct Mended {
    source: Source,
    server: Server,
    database: Database,
}

impl Mended {
    /// Loads a file with each compression under these settings.
    fn after_a_run(settings: &str, content: &[u8]) -> Self {
        let source = Source::new(&dataset(settings));
        for pack in PACKS {
            source.write(&format!("orders-{pack:?}"), pack.pack(content));
        }
        let server = source.start();
        let mended = Self { source, server, database: Database::create() };
        finish(client(["run", "--json"]).arg(mended.job())).expect_code(0);
        mended
    }

    fn job(&self) -> PathBuf {
        let (database, server) = (&self.database.url, self.server.url());
        let text = format!(
            "name = \"orders\"\n[database]\nurl = \"{database}\"\n\
             [source]\nurl = \"{server}\"\ndataset = \"orders\"\n\
             [[target]]\ntable = \"orders\"\ncreate = true\n[load]\nmax_rejects = \"100%\"\n"
        );
        write_job(&self.source.path(""), &text)
    }

    /// Replays what was refused under other settings.
    fn replay(&mut self, settings: &str) -> Outcome {
        self.source.write("server.toml", dataset(settings));
        self.server = self.source.start();
        finish(client(["quarantine", "replay", "--json"]).arg(self.job()))
    }

    /// The rows of the table, which must be there once for each compression.
    #[track_caller]
    fn rows(&self) -> Vec<Vec<String>> {
        let unequal = "SELECT count(*) FROM (SELECT FROM orders GROUP BY id, name, note \
                       HAVING count(*) <> 3) AS unequal";
        assert_eq!(self.database.number(unequal), 0, "a row is missing in a file, or there twice");
        self.database.rows("SELECT DISTINCT id, name, note FROM orders ORDER BY id")
    }

    /// Row numbers and codes that are in this state, for each file the same.
    #[track_caller]
    fn refused(&self, state: &str) -> Vec<Vec<String>> {
        let rows = self.database.rows(&format!(
            "SELECT row_number, code, count(*) FROM ferry.quarantine \
             WHERE state = '{state}' GROUP BY row_number, code ORDER BY row_number"
        ));
        let of_each = |mut row: Vec<String>| {
            assert_eq!(row.pop().as_deref(), Some("3"), "row {} of the files", row[0]);
            row
        };
        rows.into_iter().map(of_each).collect()
    }

    #[track_caller]
    fn assert_accounts(&self, loaded: u64, quarantined: u64) {
        let stored = self.database.rows(
            "SELECT DISTINCT end_row - start_row, loaded_rows, quarantined_rows FROM ferry.split",
        );
        let expected = [loaded + quarantined, loaded, quarantined].map(|rows| rows.to_string());
        assert_eq!(stored, [expected]);
    }
}

fn dataset(settings: &str) -> String {
    format!(
        "[[dataset]]\nname = \"orders\"\nfiles = [\"orders-*\"]\nmin_age = \"0s\"\n{settings}\
         [dataset.columns]\nid = \"integer\"\n"
    )
}

/// What a replay says that became of the rows of three files.
fn counts(loaded: u64, still_refused: u64) -> [Value; 3] {
    [3 * (loaded + still_refused), 3 * loaded, 3 * still_refused].map(|rows| json!(rows))
}

fn counted(outcome: &Outcome) -> [Value; 3] {
    let report = outcome.summary();
    ["replayed", "loaded", "still_refused"].map(|name| report[name].clone())
}

#[test]
fn rows_that_the_source_repairs_now_are_loaded() {
    let text = "id,name,note\n\
        1,Ann,first\n\
        2,Bob\n\
        3,Cleo,third\n\
        4,Dan,fourth,\n\
        5;Eve;\"fifth; row\"\n\
        6,6\" pipe,sixth\n\
        7,\"Gus\" Lee,\"seven\n\nth\"\n\
        8,Hal,eighth,surplus\n\
        9,Ida,\"one\ntwo\"\n";
    for letters in Letters::ALL {
        let encoding = format!("encoding = \"{}\"\n", letters.label());
        let mut mended = Mended::after_a_run(&encoding, &letters.bytes(text));
        let good = [["1", "Ann", "first"], ["3", "Cleo", "third"], ["9", "Ida", "one\ntwo"]];
        assert_eq!(mended.rows(), good);
        let refused = [
            ["2", "too_few_fields"],
            ["4", "too_many_fields"],
            ["5", "stray_quote"],
            ["6", "stray_quote"],
            ["7", "stray_quote"],
            ["8", "too_many_fields"],
        ];
        assert_eq!(mended.refused("open"), refused);
        mended.assert_accounts(3, 6);

        let replay = mended.replay(&[encoding.as_str(), REPAIRS].concat()).expect_code(0);

        assert_eq!(counted(&replay), counts(5, 1));
        let all = [
            ["1", "Ann", "first"],
            ["2", "Bob", NULL],
            ["3", "Cleo", "third"],
            ["4", "Dan", "fourth"],
            ["5", "Eve", "fifth; row"],
            ["6", "6\" pipe", "sixth"],
            ["7", "Gus Lee", "seven\n\nth"],
            ["9", "Ida", "one\ntwo"],
        ];
        assert_eq!(mended.rows(), all);
        assert_eq!(mended.refused("replayed"), refused[..5]);
        assert_eq!(mended.refused("open"), refused[5..]);
        mended.assert_accounts(8, 1);
    }
}

#[test]
fn rows_that_were_too_long_or_of_another_encoding_are_loaded() {
    let (long, lines) = ("y".repeat(1500), "yyyy yyyy\n".repeat(300));
    let mut content = b"id,name,note\n1,Zo\xe9,first\n2,Bob,second\n3,".to_vec();
    content.extend(format!("{long},third\n4,{long},{long}\n5,Eve,\"{lines}\"\n6,Fay,x\n").bytes());
    let limits = "max_field = \"1KiB\"\nmax_record = \"2KiB\"\n";
    let mut mended = Mended::after_a_run(limits, &content);
    let refused = [
        ["1", "bad_utf8"],
        ["3", "field_too_large"],
        ["4", "record_too_large"],
        ["5", "record_too_large"],
    ];
    assert_eq!(mended.refused("open"), refused);

    let replay = mended.replay("encoding = \"windows-1252\"\n").expect_code(0);

    assert_eq!(counted(&replay), counts(4, 0));
    let all = [
        ["1", "Zoé", "first"],
        ["2", "Bob", "second"],
        ["3", long.as_str(), "third"],
        ["4", long.as_str(), long.as_str()],
        ["5", "Eve", lines.as_str()],
        ["6", "Fay", "x"],
    ];
    assert_eq!(mended.rows(), all);
    mended.assert_accounts(6, 0);
}

/// Where stray quotes are text, a quote that is never closed runs on past its row.
#[test]
fn a_row_that_ends_elsewhere_under_the_new_settings_stays_and_the_others_are_loaded() {
    let good = "9,Ida,good\n".repeat(4);
    let text = format!("id,name,note\n1,1\" x,a\n{good}2,\"Bob,b\n{good}3,3\" x,c\n{good}");
    let mut mended = Mended::after_a_run("", text.as_bytes());
    let refused = [["1", "stray_quote"], ["6", "unclosed_quote"], ["11", "stray_quote"]];
    assert_eq!(mended.refused("open"), refused);

    let replay = mended.replay("stray_quotes = \"keep\"\n").expect_code(0);

    assert_eq!(counted(&replay), counts(2, 1));
    assert_eq!(replay.summary()["not_a_record"], 3);
    assert_eq!(replay.summary()["rejects"], json!([]), "what it was refused for stays");
    assert_eq!(mended.refused("open"), refused[1..2]);
    mended.assert_accounts(14, 1);
    let mut again = client(["quarantine", "replay"]);
    let told = "3 rows are not records of their own any more under the source's settings";
    finish(again.arg(mended.job())).expect_code(0).expect_text(told);
    mended.assert_accounts(14, 1);
}

/// The rows are neighbours, so that they are asked for at once; read so, the
/// second runs on over those behind it.
#[test]
fn neighbours_of_a_row_that_ends_elsewhere_are_replayed_each_by_itself() {
    let good = "9,Ida,good\n".repeat(4);
    let text = format!("id,name,note\n1,1\" x,a\n2,\"Bob,b\nx,Cleo,c\n4,4\" x,d\n{good}");
    let mut mended = Mended::after_a_run("", text.as_bytes());
    let refused =
        [["1", "stray_quote"], ["2", "unclosed_quote"], ["3", "bad_integer"], ["4", "stray_quote"]];
    assert_eq!(mended.refused("open"), refused);

    let replay = mended.replay("stray_quotes = \"keep\"\n").expect_code(0);

    assert_eq!(counted(&replay), counts(2, 2));
    assert_eq!(replay.summary()["not_a_record"], 3);
    let rejects = json!([{ "code": "bad_integer", "column": "id", "count": 3 }]);
    assert_eq!(replay.summary()["rejects"], rejects);
    assert_eq!(mended.refused("open"), refused[1..3]);
    mended.assert_accounts(6, 2);
    let loaded = "SELECT DISTINCT id, name, note FROM orders WHERE id < 9 ORDER BY id";
    assert_eq!(mended.database.rows(loaded), [["1", "1\" x", "a"], ["4", "4\" x", "d"]]);
}

#[test]
fn rows_of_files_that_are_gone_or_changed_stay_and_those_of_others_are_loaded() {
    let content = "id,name,note\n1,1\" x,a\n9,Ida,good\n3,3\" x,c\n";
    let mut mended = Mended::after_a_run("", content.as_bytes());
    mended.source.write("orders-Plain", content.replace("Ida", "Eve"));
    std::fs::remove_file(mended.source.path("orders-Zstd")).unwrap();

    let replay = mended.replay("stray_quotes = \"keep\"\n").expect_code(7);

    let report = replay.summary();
    assert_eq!(counted(&replay), [json!(2), json!(2), json!(0)]);
    assert_eq!(report["unread"], 4);
    let problem = |index: usize| {
        let problem = &report["problems"][index];
        [&problem["file"], &problem["reason"]].map(|text| text.as_str().unwrap().to_owned())
    };
    assert_eq!(problem(0), ["orders-Plain", "FILE_CHANGED"]);
    assert_eq!(problem(1), ["orders-Zstd", "FILE_NOT_FOUND"]);
    assert_eq!(report["error"]["code"], "source_refused");
    let replay = replay.expect_text("orders-Plain").expect_text("orders-Zstd");
    assert!(!replay.stderr.contains("Ida"), "a value is told:\n{}", replay.stderr);
    let settled = "SELECT name, state, count(*) FROM ferry.quarantine \
                   JOIN ferry.file USING (file_id) GROUP BY name, state ORDER BY name";
    let of_files = [
        ["orders-Gzip", "replayed", "2"],
        ["orders-Plain", "open", "2"],
        ["orders-Zstd", "open", "2"],
    ];
    assert_eq!(mended.database.rows(settled), of_files);

    mended.source.write("orders-Plain", content);
    mended.source.write("orders-Zstd", Pack::Zstd.pack(content.as_bytes()));
    let replay = mended.replay("stray_quotes = \"keep\"\n").expect_code(0);
    assert_eq!(counted(&replay), [json!(4), json!(4), json!(0)]);
    assert_eq!(mended.rows(), [["1", "1\" x", "a"], ["3", "3\" x", "c"], ["9", "Ida", "good"]]);
    mended.assert_accounts(3, 0);
}

#[test]
fn what_show_says_to_type_at_the_source_prints_the_refused_row() {
    let row = "2,\"Bob\n";
    let mended = Mended::after_a_run("", format!("id,name,note\n1,Ann,a\n{row}").as_bytes());
    for pack in [Pack::Plain, Pack::Gzip] {
        let id = mended.database.value(&format!(
            "SELECT quarantine_id FROM ferry.quarantine JOIN ferry.file USING (file_id) \
             WHERE name = 'orders-{pack:?}'"
        ));
        let mut show = client(["quarantine", "show", &id, "--database"]);
        let shown = finish(show.arg(&mended.database.url)).expect_code(0).stdout;
        let line = shown.lines().rfind(|line| !line.trim().is_empty()).unwrap();
        let mut shell = Command::new("/bin/sh");
        let printed =
            shell.args(["-c", line]).current_dir(mended.source.path("")).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&printed.stdout), row, "{pack:?}: {line}");
    }
}
