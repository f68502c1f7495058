//! A fleet that replaces a table: whatever befalls it, the table has the old rows until it has the new ones.

use super::{Blow, Fleet, strike_at_random};
use crate::hosts::{Random, is_soak};
use crate::orders::Orders;
use crate::postgres::Database;

const FILES: u64 = 20;
const OLD_ROWS: u64 = 100;
/// Makes the rows dawdle on their way in, but not when they take the place of the old ones.
const SLOW: &str = "
CREATE FUNCTION linger() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF current_query() LIKE 'COPY%' THEN PERFORM pg_sleep(random() * 0.6); END IF;
    RETURN true;
END $$;
ALTER TABLE orders ADD CONSTRAINT slow CHECK (id % 500 <> 0 OR linger())";
/// In one snapshot: whether the run is finished, and what is in the table.
const STANDING: &str = "
SELECT coalesce((SELECT bool_or(state = 'finished') FROM ferry.run), false),
       count(*), count(*) FILTER (WHERE name = 'old')
FROM orders";

fn replaced(database: Database) -> Orders {
    let rows_per_file = if is_soak() { 25_000 } else { 5_000 };
    let orders = Orders::replacing(database, FILES, rows_per_file, OLD_ROWS);
    orders.database.execute(SLOW);
    orders
}

/// Checks that the old rows are there until the run is finished, and then no one of them.
#[track_caller]
fn assert_old_or_new(orders: &Orders) {
    let (old, new) = (OLD_ROWS.to_string(), orders.rows().to_string());
    let (old, new) = (old.as_str(), new.as_str());
    let found = orders.database.rows(STANDING);
    let is_right = found == [["f", old, old]] || found == [["t", new, "0"]];
    assert!(is_right, "finished, rows, old rows: {found:?}");
}

/// Checks that the table is what the files are, and that the ledger tells the same story.
#[track_caller]
fn assert_replaced(orders: &Orders) {
    let database = &orders.database;
    database.assert_same_rows("TABLE orders", "TABLE oracle");
    let accounts = database.rows(
        "SELECT sum(s.loaded_rows), bool_and(s.done), count(DISTINCT s.run_id)
         FROM ferry.split AS s JOIN ferry.file AS f USING (file_id)
         WHERE f.superseded_at IS NULL",
    );
    assert_eq!(accounts, [[orders.rows().to_string().as_str(), "t", "1"]]);
    assert_eq!(database.count("ferry.quarantine"), 0);
    let last = "SELECT state FROM ferry.run ORDER BY run_id DESC LIMIT 1";
    assert_eq!(database.value(last), "finished");
}

#[test]
fn four_processes_replace_a_table_at_one_instant_whatever_befalls_them() {
    let mut random = Random::from_environment("four_processes_replace");
    let mut fleet = Fleet::start(None, replaced, assert_old_or_new);

    strike_at_random(&mut fleet, &mut random, &[Blow::Kill, Blow::Stop], 8);

    assert_old_or_new(&fleet.orders);
    assert_replaced(&fleet.orders);
    let again = fleet.orders.database.number("SELECT count(*) FROM ferry.split WHERE epoch > 1");
    assert!(again > 0, "nobody ever took over what another had");
}
