//! Wrong things give an exit code of their own, words that help, and nothing half-loaded.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::process::Command;

use crate::hosts::{
    Outcome, Process, Server, Source, client, finish, free_port, run, wait_for, write_job,
};
use crate::postgres::{Database, OwnCluster, try_psql};

fn people() -> (Source, Server) {
    let source = Source::with_dataset("people", &[("uid", "bigint")]);
    source.write("people.csv", "uid,email\n1,ada@example.org\n2,bob@example.org\n");
    let server = source.start();
    (source, server)
}

/// Runs with more flags and checks that no table was made.
#[track_caller]
fn assert_refused(source_url: &str, dataset: &str, flags: &[&str], code: i32) -> Outcome {
    let database = Database::create();
    let mut command = run(source_url, dataset, "public.people", &database.url);
    let outcome = finish(command.args(flags)).expect_code(code);
    let table = database.value("SELECT to_regclass('public.people') IS NULL");
    assert_eq!(table, "t", "a table was made");
    outcome
}

#[test]
fn no_server_there() {
    let address = format!("127.0.0.1:{}", free_port());
    let outcome = assert_refused(&format!("http://{address}"), "people", &["--create"], 3);
    assert_eq!(outcome.summary()["error"]["code"], "source_unreachable");
    outcome.expect_text(&address).expect_text("ferry-server");
}

#[test]
fn a_dataset_that_is_not_there() {
    let (_source, server) = people();
    let outcome = assert_refused(server.url(), "poeple", &["--create"], 7);
    outcome.expect_text("poeple").expect_text("\"people\"");
}

#[test]
fn a_column_that_is_not_there() {
    let (_source, server) = people();
    let flags = ["--create", "--columns", "uid,emial"];
    let outcome = assert_refused(server.url(), "people", &flags, 7);
    outcome.expect_text("emial").expect_text("\"email\"");
}

#[test]
fn a_table_that_is_not_there() {
    let (_source, server) = people();
    let outcome = assert_refused(server.url(), "people", &[], 8);
    outcome.expect_text("public.people").expect_text("create");
}

#[test]
fn a_table_that_lacks_a_column() {
    let (_source, server) = people();
    let database = Database::create();
    database.execute("CREATE TABLE people (uid bigint)");

    let mut command = run(server.url(), "people", "public.people", &database.url);
    let outcome = finish(&mut command).expect_code(8);

    outcome.expect_text("email").expect_text("public.people");
    assert_eq!(database.count("people"), 0);
}

#[test]
fn a_password_that_is_wrong() {
    let (_source, server) = people();
    let database = Database::create();
    let user = format!("guarded_{}", database.name);
    database.execute(&format!("CREATE ROLE {user} LOGIN SUPERUSER PASSWORD 'right'"));
    let rules = std::path::PathBuf::from(database.value("SHOW hba_file"));
    let line = format!("host all {user} 127.0.0.1/32 scram-sha-256\n");
    std::fs::write(&rules, line + std::fs::read_to_string(&rules).unwrap().as_str()).unwrap();
    database.execute("SELECT pg_reload_conf()");
    let url = |password: &str| {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{}", database.port, database.name)
    };
    wait_for("the new rule", 10, || try_psql(&url("wr0ng-canary"), "SELECT 1").err());

    let mut command = run(server.url(), "people", "public.people", &url("wr0ng-canary"));
    let outcome = finish(command.arg("--create")).expect_code(4).expect_text("password");

    assert!(!outcome.text().contains("wr0ng-canary"), "the password is shown");
    assert_eq!(database.count("people"), 0);
    let mut command = run(server.url(), "people", "public.people", &url("right"));
    finish(command.arg("--create")).expect_code(0);
    assert_eq!(database.count("people"), 2);
}

#[test]
fn no_database_there() {
    let (_source, server) = people();
    let port = free_port();
    let url = format!("postgres://postgres@127.0.0.1:{port}/x");
    let outcome = finish(run(server.url(), "people", "people", &url).arg("--create"));
    outcome.expect_code(4).expect_text(&port.to_string());
}

#[test]
fn no_database_named() {
    let (_source, server) = people();
    let mut command = client(["run", "--source", server.url(), "--dataset", "people"]);
    let outcome = finish(command.args(["--table", "people"])).expect_code(2);
    outcome.expect_text("DATABASE_URL");
}

#[test]
fn a_key_that_is_too_short_and_one_that_is_missing() {
    let (source, server) = people();
    source.write("pii.key", "0123456789012345678901234567890\n");
    let key_file = source.path("pii.key").display().to_string();
    let flags = ["--create", "--pii", "email", "--key-file", &key_file];
    let outcome = assert_refused(server.url(), "people", &flags, 2);
    let outcome = outcome.expect_text("32").expect_text("pii.key");
    assert!(!outcome.text().contains("0123456789012"), "the key is shown");

    let flags = ["--create", "--pii", "email"];
    assert_refused(server.url(), "people", &flags, 2).expect_text("key");
}

#[test]
fn a_job_file_with_a_key_that_nobody_knows() {
    let (source, server) = people();
    let database = Database::create();
    let job = write_job(
        &source.path(""),
        &format!(
            "[database]\nurl = \"{}\"\n[source]\nurl = \"{}\"\ndataset = \"people\"\n\
             [[target]]\ntable = \"people\"\ncreate = true\n[load]\ncomit_bytes = \"1MiB\"\n",
            database.url,
            server.url()
        ),
    );
    let outcome = finish(client(["run"]).arg(&job)).expect_code(2);
    outcome.expect_text("comit_bytes").expect_text("`commit_bytes`").expect_text("job.toml");
    assert_eq!(database.count("people"), 0);
}

#[test]
fn a_job_file_that_is_not_there() {
    finish(&mut client(["run", "nowhere.toml"])).expect_code(2).expect_text("nowhere.toml");
}

#[test]
fn settings_of_the_server_that_are_wrong() {
    let source = Source::new("[[dataset]]\nname = \"a\"\nflies = [\"*.csv\"]\n");
    source.check().expect_code(2).expect_text("flies").expect_text("`files`");
    finish(&mut source.command()).expect_code(2).expect_text("flies");

    let source = Source::new("[[dataset]]\nname = \"a\"\nfiles = [\"../*.csv\"]\n");
    source.check().expect_code(2).expect_text("..");

    let source = Source::with_dataset("a", &[("n", "intger")]);
    source.write("a.csv", "n\n1\n");
    source.check().expect_code(2).expect_text("intger").expect_text("integer");
}

#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let source = Source::with_dataset("a", &[]);
    source.write("a.csv", "n\n1\n");
    let outcome = finish(source.command().args(["--listen", &address]));
    outcome.expect_code(3).expect_text(&address);
}

#[test]
fn a_listener_for_the_world_without_tls() {
    let source = Source::with_dataset("a", &[]);
    source.write("a.csv", "n\n1\n");
    let outcome = finish(source.command().args(["--listen", "0.0.0.0:0"]));
    outcome.expect_code(2).expect_text("insecure").expect_text("tls");
}

/// A file large enough that something can happen while it is loaded.
fn numbers(rows: u64) -> (Source, Server) {
    let source = Source::with_dataset("numbers", &[("n", "bigint")]);
    let mut file = String::from("n,word\n");
    for n in 0..rows {
        writeln!(file, "{n},a word that takes some room on the disk: number {n}").unwrap();
    }
    source.write("numbers.csv", file);
    let server = source.start();
    (source, server)
}

fn load_numbers(server: &Server, database: &Database) -> Command {
    let mut command = run(server.url(), "numbers", "public.numbers", &database.url);
    command.args(["--commit-bytes", "256KiB", "--retries", "0"]);
    command
}

fn assert_complete(source: &Source, database: &Database) {
    database.execute("CREATE TABLE oracle (n bigint, word text)");
    database.copy("oracle", &source.path("numbers.csv"));
    database.assert_same_rows("TABLE numbers", "TABLE oracle");
}

#[test]
fn a_database_that_goes_away_in_the_middle() {
    let (source, server) = numbers(300_000);
    let mut own = OwnCluster::start();
    let database = own.database();
    database.execute("CREATE TABLE numbers (n bigint, word text)");
    let running = Process::spawn(&mut load_numbers(&server, &database));
    wait_for("the first rows", 60, || (database.count("numbers") > 0).then_some(()));

    own.cluster.crash();
    let outcome = running.finish().expect_code(4);

    outcome.expect_text("database");
    own.cluster.restart().unwrap();
    finish(&mut load_numbers(&server, &database)).expect_code(0);
    assert_complete(&source, &database);
}

/// A small disk of its own; unmounted when dropped.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts a disk that PostgreSQL may write to; gives the reason if that is not possible here.
    fn mount() -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        system("mount", &["-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", &path])?;
        let disk = Self { folder };
        system("chown", &["postgres", &path])?;
        Ok(disk)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let path = self.folder.path().display().to_string();
        if let Err(error) = system("umount", &["-l", &path]) {
            eprintln!("{path} stays mounted: {error}");
        }
    }
}

fn system(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim_end()))
}

#[test]
fn a_disk_of_the_database_that_is_full() {
    let disk = match SmallDisk::mount() {
        Ok(disk) => disk,
        Err(reason) => {
            println!("skipped: a small disk needs root and the right to mount ({reason})");
            return;
        }
    };
    let (source, server) = numbers(200_000);
    let own = OwnCluster::start();
    let database = own.database();
    database
        .execute(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.folder.path().display()));
    database.execute("CREATE TABLE numbers (n bigint, word text) TABLESPACE small");

    let outcome = finish(&mut load_numbers(&server, &database)).expect_code(8);

    let loaded = outcome.summary()["rows"]["loaded"].as_u64().unwrap();
    outcome.expect_text("disk");
    assert!(loaded > 0, "the disk holds a part of the rows");
    assert_eq!(database.count("numbers"), loaded, "the ledger tells what is in the table");
    database.execute("ALTER TABLE numbers SET TABLESPACE pg_default");
    finish(&mut load_numbers(&server, &database)).expect_code(0);
    assert_complete(&source, &database);
}
