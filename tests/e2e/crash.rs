//! Whatever dies, and whenever: no row is lost and none arrives twice.
//!
//! The moments are drawn from a seed that is printed (`FERRY_SEED` repeats a
//! run). The outcome is compared, as a multiset, with what `psql \copy` loads.

use std::time::Duration;

use crate::hosts::{Process, Random, Server, Source, free_port, is_soak, run};
use crate::orders::records;
use crate::postgres::{Database, OwnCluster};

const ROWS: u64 = 300_000;
const DEFINITION: &str =
    "(id bigint, name text, amount numeric(12,2), day date, at timestamptz, note text)";
/// Longest time between a start and the next blow; a program is up within a
/// quarter of it.
const PAUSE_MILLISECONDS_MAX: u64 = 110;

/// What dies.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Client,
    Server,
    Both,
    Backends,
}

/// The two hosts and the table between which the rows move.
struct Trip {
    source: Source,
    listen: String,
    server: Server,
    client: Process,
    database: Database,
    kills: u32,
    hits: u32,
}

impl Trip {
    fn start(database: Database) -> Self {
        let source = Source::with_dataset("orders", &[]);
        source.write("orders.csv", records(0..ROWS));
        database.execute(&format!("CREATE TABLE orders {DEFINITION}"));
        database.execute(&format!("CREATE TABLE oracle {DEFINITION}"));
        database.copy("oracle", &source.path("orders.csv"));
        let listen = format!("127.0.0.1:{}", free_port());
        let server = source.start_at(&listen);
        let client = start_client(&listen, &database);
        Self { source, listen, server, client, database, kills: 0, hits: 0 }
    }

    /// Starts again whatever does not run.
    fn revive(&mut self) {
        if self.server.process.ended().is_some() {
            self.server = self.source.start_at(&self.listen);
        }
        if self.client.ended().is_some() {
            self.client = start_client(&self.listen, &self.database);
        }
    }

    /// Starts what is down, and waits for a moment at which a client runs: one
    /// that was struck before may only now have found out.
    fn wait_for_moment(&mut self, random: &mut Random) {
        let attempts_max = 10;
        for _ in 0..attempts_max {
            self.revive();
            // The moments themselves are what the test is about.
            std::thread::sleep(Duration::from_millis(random.below(PAUSE_MILLISECONDS_MAX)));
            if self.client.ended().is_none() {
                return;
            }
        }
    }

    fn strike(&mut self, victim: Victim) {
        self.kills += 1;
        self.hits += u32::from(self.client.ended().is_none());
        if matches!(victim, Victim::Client | Victim::Both) {
            self.client.kill();
        }
        if matches!(victim, Victim::Server | Victim::Both) {
            self.server.process.kill();
        }
        if matches!(victim, Victim::Backends) {
            self.database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            );
        }
    }

    /// Runs until a client says that it is done, and compares.
    fn finish(mut self) {
        let attempts_max = 5;
        let mut attempts = 0;
        loop {
            attempts += 1;
            self.revive();
            let client = std::mem::replace(&mut self.client, idle());
            let outcome = client.finish();
            if outcome.code == Some(0) {
                break;
            }
            assert!(attempts < attempts_max, "nothing dies any more, but:\n{}", outcome.text());
        }
        println!("{} of {} blows fell while a client ran", self.hits, self.kills);
        assert!(self.hits * 10 >= self.kills * 9, "too many blows came after the end of the run");
        assert_eq!(self.database.count("orders"), ROWS);
        self.database.assert_same_rows("TABLE orders", "TABLE oracle");
        assert_eq!(self.database.count("ferry.quarantine"), 0, "quarantined rows");
        let again = start_client(&self.listen, &self.database).finish().expect_code(0);
        assert_eq!(again.summary()["state"], "nothing_new");
        assert_eq!(self.database.count("orders"), ROWS);
    }
}

/// A process that does nothing, in the place of one that is waited for.
fn idle() -> Process {
    Process::spawn(&mut std::process::Command::new("true"))
}

fn start_client(listen: &str, database: &Database) -> Process {
    let url = format!("http://{listen}");
    let mut command = run(&url, "orders", "public.orders", &database.url);
    command.args(["--commit-bytes", "128KiB", "--split-bytes", "4MiB"]);
    Process::spawn(&mut command)
}

/// Strikes `count` times, each at a random moment after the start before it.
fn strike_at_random(trip: &mut Trip, random: &mut Random, count: u64, victims: &[Victim]) {
    let victims_count = u64::try_from(victims.len()).unwrap();
    for number in 0..count {
        let victim = victims[usize::try_from(random.below(victims_count)).unwrap()];
        trip.wait_for_moment(random);
        trip.strike(victim);
        println!("blow {number}: {victim:?} at {} rows", trip.database.count("orders"));
    }
}

#[test]
fn killed_programs_lose_no_row_and_repeat_none() {
    let mut random = Random::from_environment("killed_programs");
    let count = if is_soak() { 50 } else { 8 };
    let mut trip = Trip::start(Database::create());
    let victims = [Victim::Client, Victim::Server, Victim::Both];
    strike_at_random(&mut trip, &mut random, count, &victims);
    trip.finish();
}

#[test]
fn terminated_backends_lose_no_row_and_repeat_none() {
    let mut random = Random::from_environment("terminated_backends");
    let count = if is_soak() { 20 } else { 3 };
    let mut trip = Trip::start(Database::create());
    strike_at_random(&mut trip, &mut random, count, &[Victim::Backends]);
    trip.finish();
}

#[test]
fn a_database_that_crashes_loses_no_row_and_repeats_none() {
    let mut random = Random::from_environment("database_crashes");
    let count = if is_soak() { 10 } else { 1 };
    let mut own = OwnCluster::start();
    let mut trip = Trip::start(own.database());
    for _ in 0..count {
        trip.wait_for_moment(&mut random);
        trip.kills += 1;
        trip.hits += u32::from(trip.client.ended().is_none());
        own.cluster.crash();
        own.cluster.restart().unwrap();
    }
    trip.finish();
}
