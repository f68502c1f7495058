//! Replays that meet each other, or die: each row is loaded once, and the accounts close at every moment.

use std::fmt::Write as _;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::json;

use super::{ONLY_NEW, ORDERS, Orders};
use crate::hosts::{Process, Random, is_soak, wait_for};
use crate::postgres::{Database, try_psql};

/// Rows of the file for each blow, more than a replay loads until it falls.
const ROWS_A_BLOW: u64 = 2500;
/// Longest time between the first step of a replay and the blow.
const PAUSE_MILLISECONDS_MAX: u64 = 60;

/// A session that keeps everybody from writing to the table `orders`.
pub(super) struct Holder<'a> {
    database: &'a Database,
    session: JoinHandle<Result<String, String>>,
}

impl<'a> Holder<'a> {
    pub(super) fn of_orders(database: &'a Database) -> Self {
        let url = database.url.clone();
        // Longer than the test takes: it is ended from outside.
        let sql = "BEGIN; LOCK TABLE orders IN SHARE MODE; SELECT pg_sleep(600)";
        let session = thread::spawn(move || try_psql(&url, sql));
        let held = "SELECT count(*) FROM pg_locks \
                    WHERE relation = 'orders'::regclass AND mode = 'ShareLock' AND granted";
        wait_for("the lock", 20, || (database.number(held) == 1).then_some(()));
        Self { database, session }
    }

    /// Lets go once both processes wait for somebody, or one of them has given up.
    pub(super) fn release_when_both_wait(self, first: &mut Process, second: &mut Process) {
        let waiting = "SELECT count(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND application_name = 'ferry-client' \
                       AND wait_event_type = 'Lock'";
        // Whoever must not even begin asks again and again, and has said so.
        let asks = |process: &Process| process.stderr().contains("waiting for the other one");
        wait_for("two replays that wait", 60, || {
            let has_ended = first.ended().is_some() || second.ended().is_some();
            let asking = u64::from(asks(first)) + u64::from(asks(second));
            (has_ended || self.database.number(waiting) + asking == 2).then_some(())
        });
        self.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND query LIKE '%pg_sleep(600)%' \
             AND pid <> pg_backend_pid()",
        );
        assert!(self.session.join().unwrap().is_err(), "the session was to be ended");
    }
}

#[test]
fn two_replays_at_once_load_each_row_once() {
    let orders = Orders::new(&[("id", "integer")], ORDERS);
    orders.run(ONLY_NEW);
    let mut commands = [orders.command("", &[]), orders.command("", &[])];
    let holder = Holder::of_orders(&orders.database);

    let [mut first, mut second] = commands.each_mut().map(Process::spawn);
    holder.release_when_both_wait(&mut first, &mut second);
    let mut outcomes = [first.finish(), second.finish()];

    outcomes.sort_by_key(|outcome| outcome.code);
    assert_eq!(outcomes.each_ref().map(|outcome| outcome.code), [Some(0), Some(8)]);
    assert_eq!(outcomes[0].summary()["loaded"], 4);
    let late = outcomes[1].summary();
    assert_eq!((&late["loaded"], &late["error"]["code"]), (&json!(0), &json!("ledger")));
    assert_eq!(orders.ids(), "1 2 3 4 5");
    orders.assert_accounts(5, 1, 0);
    orders.assert_replay("", 0, 0, 1);
}

/// Long rows of refused records between others.
fn file_for(blows: u64) -> String {
    let mut file = String::from("id,status,note\n");
    for id in 0..(blows + 1) * ROWS_A_BLOW {
        let status = if id % 400 < 100 { "new" } else { "lost" };
        writeln!(file, "{id},{status},note {id}").unwrap();
    }
    file
}

/// Checks in one snapshot that a row has left quarantine if and only if it is in the table.
#[track_caller]
fn assert_accounts_close(database: &Database) {
    let closed = "SELECT (SELECT count(*) FROM orders) = sum(loaded_rows) \
                  AND (SELECT count(*) FROM ferry.quarantine WHERE state = 'open') \
                  = sum(quarantined_rows) FROM ferry.split";
    assert_eq!(database.value(closed), "t");
}

#[test]
fn killed_replays_load_each_row_once() {
    let mut random = Random::from_environment("killed_replays");
    let blows = if is_soak() { 30 } else { 3 };
    let orders = Orders::new(&[("id", "integer")], &file_for(blows));
    orders.run(ONLY_NEW);
    let database = &orders.database;
    let open = || database.number("SELECT count(*) FROM ferry.quarantine WHERE state = 'open'");
    let mut hits = 0;
    for number in 0..blows {
        let before = open();
        let mut replay = Process::spawn(&mut orders.command("", &[]));
        wait_for("the first step of a replay", 60, || {
            (open() < before || replay.ended().is_some()).then_some(())
        });
        // The moments themselves are what the test is about.
        thread::sleep(Duration::from_millis(random.below(PAUSE_MILLISECONDS_MAX)));
        hits += u64::from(replay.ended().is_none());
        replay.kill();
        assert_accounts_close(database);
        println!("blow {number}: {} of {before} rows are left", open());
    }
    println!("{hits} of {blows} blows fell while a replay ran");
    assert!(hits * 2 >= blows, "too many blows came after the end of a replay");

    // The last blow may have fallen during a COMMIT, which then ends the next attempt.
    let attempts_max = 5;
    let is_done = (0..attempts_max).any(|_| orders.replay("", &[]).code == Some(0));
    assert!(is_done, "nothing dies any more, but no replay comes to its end");
    orders.assert_replay("", 0, 0, 0);
    database.execute("CREATE TABLE oracle (id integer, status text, note text)");
    database.copy("oracle", &orders.source.path("a.csv"));
    database.assert_same_rows("TABLE orders", "TABLE oracle");
    orders.assert_accounts((blows + 1) * ROWS_A_BLOW, 0, 0);
}
