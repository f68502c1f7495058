//! An answer that cannot be written is an error, and what was done is done.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::hosts::{Source, client, run};
use crate::postgres::Database;

/// Where every write fails, as on a disk that is full.
const FULL: &str = "/dev/full";

fn source() -> Source {
    let source = Source::with_dataset("people", &[("uid", "bigint")]);
    source.write("people.csv", "uid,name\n1,Ada\n2,Bob\n");
    source
}

/// Runs it with an answer that fits nowhere.
#[track_caller]
fn assert_untold(command: &mut Command) {
    let full = File::options().write(true).open(FULL).unwrap();
    let output = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("error: cannot write the answer to standard output"), "{told}");
}

#[test]
fn a_run_that_cannot_tell_its_summary_has_loaded_its_rows() {
    let (source, database) = (source(), Database::create());
    let server = source.start();
    let mut run = run(server.url(), "people", "public.people", &database.url);
    assert_untold(run.arg("--create"));
    assert_eq!(database.count("public.people"), 2);
    assert_untold(client(["runs", "--json", "--database"]).arg(&database.url));
}

#[test]
fn a_source_host_that_cannot_say_where_it_listens_does_not_stay() {
    assert_untold(source().command().args(["--listen", "127.0.0.1:0"]));
}
