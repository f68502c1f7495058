//! The rules of the house, read from its files: what each folder may know, and how a file looks.
//!
//! `cargo tree` proves the same of whole crates; see `scripts/test`.

use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 400;
/// Stages of the client in the order of the way, each with the type that marks its output.
const STAGES: [(&str, &str); 6] = [
    ("receive", "Raw"),
    ("clean", "Clean"),
    ("check", "Checked"),
    ("pseudonym", "Pseudonymised"),
    ("transform", "Loadable"),
    ("load", "Loaded"),
];
/// What stands below the stages, and may be used by all of them.
const BELOW_THE_STAGES: [&str; 8] =
    ["stage", "job", "ledger", "database", "names", "key", "address", "expression"];
/// Rooms of the client that never talk to the database.
const WITHOUT_DATABASE: [&str; 14] = [
    "receive",
    "clean",
    "check",
    "pseudonym",
    "transform",
    "job",
    "stage",
    "report",
    "output",
    "key",
    "address",
    "expression",
    "suspect",
    "columns",
];
/// Names that say nothing of what lies behind them.
const EMPTY_NAMES: [&str; 6] = ["util", "utils", "helpers", "common", "misc", "manager"];

/// One file of the house.
struct Source {
    /// Path below the package, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// Lines with their numbers, without those that are only a comment.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines.map(|(index, line)| (index + 1, line)).filter(|(_, line)| {
            let line = line.trim_start();
            !line.starts_with("//")
        })
    }

    /// Whether the file belongs to a room: `client/load.rs` and `client/load/…` are `client/load`.
    fn is_in(&self, room: &str) -> bool {
        let rest = self.path.strip_prefix(room);
        rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![root.join("build.rs")];
    for folder in ["src", "server", "client", "tests", "bench"] {
        collect(&root.join(folder), &mut paths);
    }
    paths.sort();
    let read = |path: PathBuf| {
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        Source { path, text }
    };
    let sources: Vec<Source> = paths.into_iter().map(read).collect();
    assert!(sources.len() > 20, "the house was not found at {}", root.display());
    sources
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

#[track_caller]
fn assert_none(violations: &[String], rule: &str) {
    assert!(violations.is_empty(), "{rule}:\n{}", violations.join("\n"));
}

/// Whether `word` stands in the line, not as the end of a longer name.
fn mentions(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || before == '_')
    })
}

/// Lines of a room that mention one of the words.
fn mentions_in(sources: &[Source], room: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is_in(room)) {
        for (number, line) in source.code() {
            if words.iter().any(|word| mentions(line, word)) {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    found
}

#[test]
fn every_file_opens_with_its_sentence_and_stays_short() {
    let mut violations = Vec::new();
    for source in sources() {
        let first = source.text.lines().next().unwrap_or_default();
        if !(first.starts_with("//! ") && first.trim_end().ends_with('.')) {
            violations.push(format!("{}: does not open with a sentence after //!", source.path));
        }
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            violations.push(format!("{}: {lines} lines", source.path));
        }
    }
    assert_none(&violations, "a file opens with //! and has at most 400 lines");
}

#[test]
fn names_say_what_is_there() {
    let is_empty_name = |source: &Source| {
        let mut parts = source.path.trim_end_matches(".rs").split('/');
        parts.any(|part| EMPTY_NAMES.contains(&part))
    };
    let violations: Vec<String> =
        sources().into_iter().filter(is_empty_name).map(|source| source.path).collect();
    assert_none(&violations, "a file or folder is named after what it is about");
}

#[test]
fn each_house_knows_only_what_its_floor_allows() {
    let sources = sources();
    let mut violations = Vec::new();
    let of_files = ["csv::", "csv_core", "globset"];
    let of_databases = ["sqlx", "datafusion"];
    violations.extend(mentions_in(&sources, "src", &of_files));
    violations.extend(mentions_in(&sources, "src", &of_databases));
    violations.extend(mentions_in(&sources, "server", &of_databases));
    violations.extend(mentions_in(&sources, "client", &["csv_core", "globset"]));
    assert_none(
        &violations,
        "src knows neither files nor databases, server no database, client no file",
    );
}

#[test]
fn rooms_without_a_database_stay_without_one() {
    let sources = sources();
    let mut violations = Vec::new();
    for room in WITHOUT_DATABASE {
        violations.extend(mentions_in(&sources, &format!("client/{room}"), &["sqlx"]));
    }
    assert_none(&violations, "only the ledger and the load talk to the database");
}

/// What is wrong with the `crate::` paths in a line of a stage.
fn wrong_path(line: &str, own: usize) -> bool {
    line.split("crate::").skip(1).any(|path| {
        let name: &str =
            path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
        if name == STAGES[own].0 || BELOW_THE_STAGES.contains(&name) {
            return false;
        }
        // A stage takes what the one before it made, and knows nothing else of it.
        let Some((before, marker)) = own.checked_sub(1).map(|before| STAGES[before]) else {
            return true;
        };
        let rest = path.strip_prefix(before).and_then(|rest| rest.strip_prefix("::"));
        let after = rest.and_then(|rest| rest.strip_prefix(marker));
        after.is_none_or(|after| after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

#[test]
fn no_stage_knows_another() {
    let mut violations = Vec::new();
    for source in sources() {
        let stage = STAGES.iter().position(|(name, _)| source.is_in(&format!("client/{name}")));
        let Some(stage) = stage else { continue };
        for (number, line) in source.code() {
            if wrong_path(line, stage) {
                violations.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    assert_none(
        &violations,
        "a stage uses stage, job, ledger, and the marker of the stage before it",
    );
}

#[test]
fn a_stage_that_knows_too_much_is_found() {
    let clean = 1;
    assert!(!wrong_path("use crate::receive::Raw;", clean));
    assert!(!wrong_path("use crate::stage::{Batch, StagedReject};", clean));
    assert!(wrong_path("use crate::receive::Source;", clean));
    assert!(wrong_path("use crate::receive::RawBatch;", clean));
    assert!(wrong_path("use crate::pipeline::run;", clean));
    assert!(wrong_path("let key = crate::pseudonym::read();", clean));
}

#[test]
fn nothing_is_left_unfinished() {
    // Written in two parts, so that this file does not find itself.
    let words = [["todo", "!("], ["unimplemented", "!("], ["dbg", "!("], ["#[ig", "nore"]];
    let words = words.map(|parts| parts.concat());
    let mut violations = Vec::new();
    for source in sources() {
        for (number, line) in source.code() {
            if words.iter().any(|word| line.contains(word.as_str())) {
                violations.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    assert_none(&violations, "no placeholder and no test that is left out");
}
