//! Processes that race each other and the files: the table never lacks a row of the old files, and has those of all in the end.
//!
//! The moments are drawn from a seed that is printed (`FERRY_SEED` repeats a run).

use std::fs;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{COLUMNS, SMALL, USERS, people, target};
use crate::gate;
use crate::hosts::{Process, Random, client, finish, is_soak, wait_for};
use crate::postgres::try_psql;
use crate::stages::Trip;

const PROCESSES: u64 = 3;
const USERS_OF_FILE: u32 = 400;
/// About as long as a process takes from its start to the first row.
const PAUSE_MILLISECONDS_MAX: u64 = 300;
const WAITING: &str = "
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'ferry%' AND wait_event_type = 'Lock'";

/// A job that replaces a table, and what the table must have at least.
struct Race {
    trip: Trip,
    job: PathBuf,
    /// Files so far, each with users of its own.
    files: u32,
}

impl Race {
    /// One file, which is in the table, and in its oracle.
    fn start() -> Self {
        let trip = Trip::new(&COLUMNS, people(0..USERS_OF_FILE));
        trip.database.execute(USERS);
        trip.database.execute("CREATE TABLE oracle (LIKE users)");
        trip.database.copy("oracle", &trip.source.path("people.csv"));
        let job = trip.job(&(target("") + SMALL));
        let race = Self { trip, job, files: 1 };
        race.finish_and_compare();
        race
    }

    fn spawn(&self) -> Process {
        Process::spawn(client(["run", "--json"]).arg(&self.job))
    }

    /// Adds a file at one instant; gives where it lies.
    fn add_file(&mut self) -> PathBuf {
        let first = self.files * USERS_OF_FILE;
        let (source, name) = (&self.trip.source, format!("later_{:03}.csv", self.files));
        source.write("unfinished", people(first..first + USERS_OF_FILE));
        let path = source.path(&name);
        fs::rename(source.path("unfinished"), &path).unwrap();
        self.files += 1;
        path
    }

    /// Checks that no row of the old files is lacking.
    #[track_caller]
    fn assert_none_lost(&self) {
        let lost = "SELECT count(*) FROM (TABLE oracle EXCEPT ALL TABLE users) AS lost";
        assert_eq!(self.trip.database.number(lost), 0, "rows of the old files");
    }

    /// Waits for processes, and looks at the table meanwhile; one of them must have got through.
    #[track_caller]
    fn wait_for(&self, mut processes: Vec<Process>) {
        while processes.iter_mut().any(|process| process.ended().is_none()) {
            self.assert_none_lost();
        }
        self.assert_none_lost();
        let ended = processes.into_iter().map(Process::finish);
        let (well, other): (Vec<_>, Vec<_>) = ended.partition(|outcome| outcome.code == Some(0));
        let said: Vec<String> = other.iter().map(|outcome| outcome.stderr.clone()).collect();
        println!("{} of {PROCESSES} ended with 0: {said:?}", well.len());
        assert!(!well.is_empty(), "nobody got through: {said:?}");
    }

    /// Runs the job once more: then the table is what the files are.
    #[track_caller]
    fn finish_and_compare(&self) {
        let _ = finish(client(["run", "--json"]).arg(&self.job)).expect_code(0);
        self.trip.database.assert_same_rows("TABLE users", "TABLE oracle");
    }

    /// Lets the oracle have further files, and compares.
    #[track_caller]
    fn settle(&self, added: &[PathBuf]) {
        for path in added {
            self.trip.database.copy("oracle", path);
        }
        self.finish_and_compare();
    }
}

#[test]
fn a_table_that_several_processes_replace_has_the_rows_of_all_files() {
    let mut random = Random::from_environment("several_processes_replace");
    let mut race = Race::start();
    let rounds = if is_soak() { 60 } else { 6 };
    for _ in 0..rounds {
        let first = race.add_file();
        let processes = (0..PROCESSES).map(|_| race.spawn()).collect();
        // The moments themselves are what the test is about.
        thread::sleep(Duration::from_millis(random.below(PAUSE_MILLISECONDS_MAX)));
        let second = race.add_file();

        race.wait_for(processes);

        race.settle(&[first, second]);
    }
}

/// A session that lets nobody open a run, until the gate is open.
fn hold_runs(race: &Race) -> JoinHandle<Result<String, String>> {
    gate::build(&race.trip.database, "");
    let url = race.trip.database.url.clone();
    let sql = "BEGIN; LOCK TABLE ferry.run IN EXCLUSIVE MODE; SELECT held_up(); COMMIT";
    let session = thread::spawn(move || try_psql(&url, sql));
    gate::wait_for_lock(&race.trip.database, "ferry.run");
    session
}

#[test]
fn a_file_that_comes_between_survey_and_entry_is_not_lost() {
    // Whether the first one knows of a change already, or finds nothing new.
    for has_news in [true, false] {
        let mut race = Race::start();
        let mut added = Vec::new();
        if has_news {
            added.push(race.add_file());
        }
        let session = hold_runs(&race);
        let mut processes = Vec::new();
        for _ in 0..PROCESSES {
            // Each has seen one file more than the one before it, and enters later.
            processes.push(race.spawn());
            wait_for("processes that wait", 60, || {
                // Who finds nothing to do may end at once.
                let is_living = |process: &mut Process| u64::from(process.ended().is_none());
                let living: u64 = processes.iter_mut().map(is_living).sum();
                (race.trip.database.number(WAITING) == living).then_some(())
            });
            added.push(race.add_file());
        }

        gate::open(&race.trip.database);
        session.join().unwrap().unwrap();
        race.wait_for(processes);

        race.settle(&added);
    }
}
