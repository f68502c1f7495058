//! Damaged rows of every kind: each is refused with its place or repaired as configured, all others are loaded.
//!
//! Tables are made here, row by row, so that for every row of every file it is
//! known what must become of it, its number, and its bytes.

mod configured;
mod damage;
mod files;
mod letters;
mod neighbours;
mod replayed;
mod table;

use std::fmt::Write as _;

use self::damage::{Kind, LIMITS, REFUSED};
use self::files::{Draft, Written, check};
use self::letters::{Letters, LineEnds, UNDECODABLE};
use self::table::{Row, TYPES};
use crate::hosts::{Source, client, finish, write_job};
use crate::postgres::Database;

/// Settings of a dataset for each encoding, with more settings for all of them.
fn datasets(more: &str) -> String {
    let mut settings = String::new();
    for letters in Letters::ALL {
        let (name, label) = (folder(letters), letters.label());
        write!(
            settings,
            "[[dataset]]\nname = \"{name}\"\nfiles = [\"{name}/*\"]\nmin_age = \"0s\"\n\
             encoding = \"{label}\"\n{LIMITS}{more}[dataset.columns]\n{TYPES}"
        )
        .unwrap();
    }
    settings
}

/// Folder, dataset and table of an encoding.
fn folder(letters: Letters) -> &'static str {
    match letters {
        Letters::Utf8 => "utf8",
        Letters::Utf16 => "utf16",
        Letters::Windows1252 => "windows1252",
        Letters::ShiftJis => "shift_jis",
    }
}

/// The kinds of damage that an encoding can show.
fn kinds_of(letters: Letters, kinds: &[Kind]) -> Vec<&Kind> {
    let row = Row::new(0, 0, "", "\n", 0);
    let has_bytes = |kind: &&Kind| {
        letters.undecodable().is_some() || !(kind.1)(&row).text.contains(UNDECODABLE)
    };
    kinds.iter().filter(has_bytes).collect()
}

/// Loads datasets in one run each, and checks what became of each row of their files.
#[track_caller]
fn load_and_check(source: &Source, limits: &str, datasets: &[(&str, Vec<Written>)]) -> Database {
    let server = source.start();
    let database = Database::create();
    for (name, files) in datasets {
        let (database_url, server_url) = (&database.url, server.url());
        let text = format!(
            "name = \"{name}\"\n[database]\nurl = \"{database_url}\"\n\
             [source]\nurl = \"{server_url}\"\ndataset = \"{name}\"\n\
             [[target]]\ntable = \"{name}\"\ncreate = true\n\
             [load]\nmax_rejects = \"100%\"\n{limits}"
        );
        let job = write_job(&source.path(""), &text);
        finish(client(["run", "--json"]).arg(job)).expect_code(0);
        check(&database, source, name, files);
    }
    database
}

#[test]
fn each_kind_of_damage_costs_its_own_rows_alone() {
    const ROWS: usize = 60;
    let source = Source::new(&datasets("comment = \"#\"\n"));
    let letters = Letters::Utf8;
    let mut files = Vec::new();
    for kind in &REFUSED {
        for line_ends in LineEnds::ALL {
            let draft = |places: &str, number| {
                let name =
                    format!("{}/{}-{}-{places}.csv", folder(letters), kind.0, line_ends.name);
                Draft { rows: ROWS, ..Draft::new(name, number, letters, line_ends) }
            };
            let mut apart = draft("apart", files.len());
            apart.damage(&[kind], [0, ROWS / 2, ROWS - 1]);
            if damage::is_told_from_its_like(kind.0) {
                apart.damage(&[kind], [ROWS / 3, ROWS / 3 + 1]);
            }
            files.push(apart.write(&source));
            let mut spread = draft("spread", files.len());
            spread.damage(&[kind], (3..ROWS).step_by(5));
            files.push(spread.write(&source));
        }
    }
    load_and_check(&source, "workers = 4\n", &[(folder(letters), files)]);
}

/// Of one file in three, which is not compressed, there are several splits.
#[test]
fn all_kinds_of_damage_in_a_file_are_told_apart_in_every_encoding() {
    const ROWS: usize = 400;
    let source = Source::new(&datasets("comment = \"#\"\n"));
    let mut datasets = Vec::new();
    for letters in Letters::ALL {
        let kinds = kinds_of(letters, &REFUSED);
        let mut files = Vec::new();
        for (turn, line_ends) in LineEnds::ALL.into_iter().enumerate() {
            for cut_to in [None, Some(9), Some(20)] {
                let number = files.len();
                let name = format!("{}/all-{}-{number}.csv", folder(letters), line_ends.name);
                let mut draft = Draft::new(name, number, letters, line_ends);
                (draft.rows, draft.filling, draft.cut_to) = (ROWS, 800, cut_to);
                let mut turned = kinds.clone();
                turned.rotate_left((number * 2 + turn) % kinds.len());
                draft.damage(&turned, (number % 7..ROWS - 8).step_by(7));
                files.push(draft.write(&source));
            }
        }
        datasets.push((folder(letters), files));
    }
    let limits = "workers = 2\nsplit_bytes = \"64KiB\"\ncommit_bytes = \"64KiB\"\n";
    let database = load_and_check(&source, limits, &datasets);
    let splits = "SELECT min(n) FROM (SELECT count(*) AS n FROM ferry.split GROUP BY run_id) AS r";
    assert!(database.number(splits) > 24, "some files have several splits");
}

#[test]
fn the_same_rows_are_found_whether_a_file_is_one_split_or_many() {
    const ROWS: usize = 2000;
    let kinds = kinds_of(Letters::Utf8, &REFUSED);
    for split_bytes in ["64KiB", "256MiB"] {
        let source = Source::new(&datasets("comment = \"#\"\n"));
        let [_, _, _, mixed] = LineEnds::ALL;
        let mut draft = Draft::new("utf8/many.csv".to_owned(), 0, Letters::Utf8, mixed);
        (draft.rows, draft.filling) = (ROWS, 200);
        draft.damage(&kinds, (0..ROWS).step_by(5));
        let files = vec![draft.write(&source)];
        let limits = format!("workers = 2\nsplit_bytes = \"{split_bytes}\"\n");
        load_and_check(&source, &limits, &[("utf8", files)]);
    }
}
