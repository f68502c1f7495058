//! Each way to write a CSV file that docs/csv.md lists is read as it says there, and each broken row is refused alone.

mod feature;
mod page;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::feature::{Feature, features};
use crate::hosts::{Server, Source, finish, run};
use crate::postgres::Database;

/// Runs at a time.
const RUNS: usize = 4;
/// The file cannot be read, or not to its end.
const CODE_OF_PROBLEMS: i32 = 7;

/// A dataset for each feature, of one file.
fn source(features: &[Feature]) -> Source {
    let mut settings = String::new();
    for Feature { name, ferry, .. } in features {
        writeln!(
            settings,
            "[[dataset]]\nname = \"{name}\"\nfiles = [\"{name}.csv\"]\nmin_age = \"0s\"\n{ferry}"
        )
        .unwrap();
    }
    let source = Source::new(&settings);
    for feature in features {
        source.write(&format!("{}.csv", feature.name), feature.content());
    }
    source
}

/// What differs from what the feature says.
fn differences(feature: &Feature, server: &Server, database: &Database) -> Vec<String> {
    let name = feature.name.as_str();
    let outcome = finish(run(server.url(), name, name, &database.url).arg("--create"));
    let code = if feature.problem.is_some() { CODE_OF_PROBLEMS } else { 0 };
    if outcome.code != Some(code) {
        return vec![format!("{name}: exit code {:?}\n{}", outcome.code, outcome.text())];
    }
    let mut found = Vec::new();
    let rows = database.rows(&format!("SELECT * FROM {name} ORDER BY ctid"));
    if rows != feature.rows {
        found.push(format!("{name}: rows {rows:?}, not {:?}", feature.rows));
    }
    let rejects = refused(database, name);
    if rejects != feature.rejects {
        found.push(format!("{name}: refused {rejects:?}, not {:?}", feature.rejects));
    }
    let summary = outcome.summary();
    let problem = summary["problems"][0]["reason"].as_str();
    if problem != feature.problem.as_deref() {
        found.push(format!("{name}: problem {problem:?}, not {:?}", feature.problem));
    }
    found
}

/// Refused rows of a dataset: row number, and every reason as `code column`.
fn refused(database: &Database, name: &str) -> Vec<String> {
    let rows = database.rows(&format!(
        "SELECT concat_ws(' ', row_number, (
             SELECT string_agg(concat_ws(' ', r ->> 'code', r ->> 'column'), ', ' ORDER BY n)
             FROM jsonb_array_elements(reasons) WITH ORDINALITY AS listed (r, n)))
         FROM ferry.quarantine JOIN ferry.file USING (file_id)
         WHERE name = '{name}.csv' AND stage = 'read' ORDER BY row_number"
    ));
    rows.into_iter().map(|mut row| row.remove(0)).collect()
}

#[test]
fn every_dialect_is_read_as_it_is_written() {
    let features = features();
    let source = source(&features);
    let server = source.start();
    let database = Database::create();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some(feature) = features.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.extend(differences(feature, &server, &database));
        }
        found
    };

    let found: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..RUNS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });

    assert!(found.is_empty(), "{}", found.join("\n"));
}
