//! A worker that stands still in the middle of COPY holds keys that its successor needs: its session is ended, not waited for.

use crate::gate;
use crate::hosts::{Process, wait_for};
use crate::orders::Orders;
use crate::postgres::Database;

/// More than a lease takes, and less than PostgreSQL's own patience with an idle transaction.
const SUCCESSOR_SECONDS_MAX: u64 = 40;

#[test]
fn keys_that_a_worker_holds_while_it_stands_still_are_free_for_its_successor() {
    let orders = Orders::new(Database::create(), 2, 2_000);
    let database = &orders.database;
    orders.write_job(&database.url, "lease = \"3s\"\n");
    gate::build(
        database,
        "CREATE TRIGGER waits BEFORE INSERT ON orders FOR EACH ROW \
         WHEN (NEW.id = 500) EXECUTE FUNCTION hold_up()",
    );
    let server = orders.source.start();
    let frozen = Process::spawn(&mut orders.run(server.url()));
    let backend = gate::backend_there(database);
    frozen.signal("STOP");
    gate::open(database);
    let of_backend = |condition: &str| {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {backend}{condition}");
        database.number(&sql)
    };
    // With five hundred keys and more, and nobody who says how it goes on.
    wait_for("the transaction to wait for its client", 20, || {
        let is_waiting = " AND backend_xid IS NOT NULL AND wait_event = 'ClientRead'";
        (of_backend(is_waiting) == 1).then_some(())
    });

    let successor = Process::spawn(&mut orders.run(server.url()));
    let _ = successor.finish_within(SUCCESSOR_SECONDS_MAX).expect_code(0);

    orders.assert_loaded_once();
    wait_for("the session of the worker to end", 5, || (of_backend("") == 0).then_some(()));
    frozen.signal("CONT");
    let _ = frozen.finish_within(60).expect_code(0);
    orders.assert_loaded_once();
    assert_eq!(orders.states(), ["finished"]);
}
