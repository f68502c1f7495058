//! Holds a row up inside PostgreSQL until the test lets it go, so that a program is killed at a known moment.

use crate::hosts::{Process, wait_for};
use crate::postgres::Database;

/// `held_up()` is true once the gate is open; as a trigger, `hold_up()` lets the row pass then.
const GATE: &str = "
CREATE TABLE public.gate (is_open boolean);
CREATE FUNCTION public.held_up() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    WHILE NOT EXISTS (SELECT FROM public.gate) LOOP PERFORM pg_sleep(0.005); END LOOP;
    RETURN true;
END $$;
CREATE FUNCTION public.hold_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.held_up();
    RETURN NEW;
END $$";

/// Builds a gate that is closed, and what hangs on it.
pub(crate) fn build(database: &Database, barrier: &str) {
    database.execute(GATE);
    database.execute(barrier);
}

/// Waits until a row of a client waits at the gate.
pub(crate) fn wait_there(database: &Database) {
    let _ = backend_there(database);
}

/// The process of the backend whose row waits at the gate, once there is one.
///
/// One question finds and names it: between two naps it is awake, and a second question may find nobody.
pub(crate) fn backend_there(database: &Database) -> u32 {
    let asleep = "SELECT min(pid) FROM pg_stat_activity WHERE datname = current_database() \
                  AND application_name LIKE 'ferry%' AND wait_event = 'PgSleep'";
    wait_for("a row to wait at the gate", 60, || database.value(asleep).parse().ok())
}

/// Waits until somebody holds a table against all who would write to it.
pub(crate) fn wait_for_lock(database: &Database, table: &str) {
    let sql = format!(
        "SELECT count(*) FROM pg_locks \
         WHERE relation = '{table}'::regclass AND mode = 'ExclusiveLock' AND granted"
    );
    wait_for("the lock", 20, || (database.number(&sql) > 0).then_some(()));
}

/// Opens the gate, for good.
pub(crate) fn open(database: &Database) {
    database.execute("INSERT INTO gate VALUES (true)");
}

/// Kills a client that waits at the gate, and opens the gate once it is dead.
pub(crate) fn kill_there(database: &Database, client: &mut Process) {
    wait_there(database);
    client.kill();
    open(database);
    let backends = "SELECT count(*) FROM pg_stat_activity \
                    WHERE datname = current_database() AND application_name LIKE 'ferry%'";
    wait_for("the backends of the dead client to go", 60, || {
        (database.number(backends) == 0).then_some(())
    });
}
