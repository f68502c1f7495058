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
    let asleep = "coalesce(bool_or(wait_event = 'PgSleep'), false)";
    wait_for_backends(database, "a row to wait at the gate", asleep);
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
    wait_for_backends(database, "the backends of the dead client to go", "count(*) = 0");
}

/// Waits until this holds of the backends that clients have.
fn wait_for_backends(database: &Database, what: &str, condition: &str) {
    let sql = format!(
        "SELECT {condition} FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name LIKE 'ferry%'"
    );
    wait_for(what, 60, || (database.value(&sql) == "t").then_some(()));
}
