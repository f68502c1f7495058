//! A program that a signal ends leaves no core file: that would be its memory, with raw values and the key in it.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

use tempfile::TempDir;

use super::evidence::Evidence;
use super::{COLUMNS, Watch, record, source_of, through_shell};
use crate::hosts::{Process, Server, client, wait_for};
use crate::postgres::Database;

/// Enough that both programs have rows in memory while the load waits.
const ROWS: usize = 20_000;
const SIGQUIT: i32 = 3;
const SIGABRT: i32 = 6;
/// The table of the job, which makes every load wait.
const SLOW_TABLE: [&str; 3] = [
    "CREATE TABLE people (id integer, email bytea, phone text, name bytea, name_salt bytea, \
     card text, age smallint, note text, letters bigint, share bigint)",
    "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ \
     BEGIN PERFORM pg_sleep(120); RETURN NULL; END $$",
    "CREATE TRIGGER wait BEFORE INSERT ON people FOR EACH STATEMENT EXECUTE FUNCTION wait()",
];
const WAITING: &str = "FROM pg_stat_activity WHERE datname = current_database() \
                       AND wait_event = 'PgSleep'";

/// The same command in this folder, allowed to write core files as far as the machine allows it.
fn with_core_files(command: &Command, folder: &Path) -> Command {
    let line = "cd \"$0\" && { ulimit -c unlimited 2>/dev/null; exec \"$@\"; }";
    through_shell(line, folder, command)
}

fn wait_for_end(process: &mut Process) -> ExitStatus {
    wait_for("a program to end by a signal", 30, || process.ended())
}

/// Whether a program that does not care would leave a core file here; says what that means.
fn writes_core_files(folder: &Path) -> bool {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    println!("core_pattern is {:?}", pattern.trim());
    if pattern.starts_with('|') {
        println!("core files go to another program: none can appear, only the limit is looked at");
        return false;
    }
    let mut command = Command::new("sleep");
    let mut process = Process::spawn(&mut with_core_files(command.arg("60"), folder));
    let name = format!("/proc/{}/comm", process.id());
    let is_sleep = || fs::read_to_string(&name).is_ok_and(|name| name.trim() == "sleep");
    wait_for("sleep to start", 10, || is_sleep().then_some(()));
    process.signal("QUIT");
    let is_written = wait_for_end(&mut process).core_dumped();
    if !is_written {
        println!("no core file can appear on this machine: only the limit is looked at");
    }
    is_written
}

/// Checks that the system is told to write no core file of a program.
#[track_caller]
fn assert_limit_is_nothing(name: &str, process: &Process) {
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{name}: {line}");
}

/// Checks that a program ended by a signal without leaving its memory behind.
#[track_caller]
fn assert_no_core_file(name: &str, signal: i32, status: ExitStatus, folder: &Path) {
    assert_eq!(status.signal(), Some(signal), "{name} ended otherwise: {status}");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let cores: Vec<_> = files.filter(|file| file.to_string_lossy().starts_with("core")).collect();
    assert!(cores.is_empty(), "{name} left its memory in {cores:?}");
}

#[test]
fn a_program_that_a_signal_ends_leaves_no_core_file() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [client_folder, server_folder, other_folder] = folders.each_ref().map(TempDir::path);
    let writes_core_files = writes_core_files(other_folder);
    let mut file = COLUMNS.join(",") + "\n";
    for id in 0..ROWS {
        file.push_str(&record(id, &[]));
    }
    let source = source_of(file);
    let mut command = source.command();
    command.args(["--listen", "127.0.0.1:0"]);
    let server = Server::start(&mut with_core_files(&command, server_folder));
    let (database, evidence) = (Database::create(), Evidence::default());
    for sql in SLOW_TABLE {
        database.execute(sql);
    }
    let mut watch = Watch { source, server, database, evidence };
    let job = watch.job(&[]);
    let mut loading = Process::spawn(&mut with_core_files(&client(["run", &job]), client_folder));
    let waiting = format!("SELECT count(*) {WAITING}");
    wait_for("a load that waits", 30, || (watch.database.number(&waiting) > 0).then_some(()));
    assert_limit_is_nothing("ferry-client", &loading);
    assert_limit_is_nothing("ferry-server", &watch.server.process);

    loading.signal("QUIT");
    watch.server.process.signal("ABRT");

    let client_status = wait_for_end(&mut loading);
    let server_status = wait_for_end(&mut watch.server.process);
    watch.database.execute(&format!("SELECT pg_terminate_backend(pid) {WAITING}"));
    assert_no_core_file("ferry-client", SIGQUIT, client_status, client_folder);
    assert_no_core_file("ferry-server", SIGABRT, server_status, server_folder);
    if writes_core_files {
        // Wherever the system would have put them.
        assert!(!client_status.core_dumped(), "ferry-client left its memory behind");
        assert!(!server_status.core_dumped(), "ferry-server left its memory behind");
    }
}
