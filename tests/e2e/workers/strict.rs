//! In strict order one split is loaded at a time, whoever joins; a file that comes too late for its place waits.

use crate::hosts::Process;
use crate::orders::Orders;
use crate::postgres::Database;

/// Sorts before all other files.
const EARLIER: &str = "earlier.csv";
const LEASED: &str = "
SELECT count(*) FROM ferry.split JOIN ferry.living_worker ON worker_id = lease_owner
WHERE NOT done";

#[test]
fn one_split_at_a_time_is_leased_and_an_earlier_file_waits_for_the_next_run() {
    let mut orders = Orders::new(Database::create(), 12, 1_500);
    orders.write_job(&orders.database.url, "file_order = \"name\"\n");
    orders.database.slow_inserts("orders", 600);
    let server = orders.source.start();
    let mut processes: Vec<Process> =
        (0..2).map(|_| Process::spawn(&mut orders.run(server.url()))).collect();
    orders.wait_for_commits(1);
    orders.add(EARLIER, 1_500);
    processes.push(Process::spawn(&mut orders.run(server.url())));

    let mut looks = [0, 0];
    while processes.iter_mut().any(|process| process.ended().is_none()) {
        let leased = usize::try_from(orders.database.number(LEASED)).unwrap();
        assert!(leased < looks.len(), "{leased} splits are loaded at once");
        looks[leased] += 1;
    }

    assert!(looks[1] > 10, "nothing was seen: {looks:?}");
    for process in processes {
        let _ = process.finish().expect_code(0);
    }
    let names = orders.database.rows(
        "SELECT DISTINCT name FROM ferry.split JOIN ferry.file USING (file_id) WHERE run_id = 1",
    );
    assert!(names.len() == 12 && !names.concat().contains(&EARLIER.to_owned()), "{names:?}");

    let _ = Process::spawn(&mut orders.run(server.url())).finish().expect_code(0);
    orders.assert_loaded_once();
    assert_eq!(orders.states(), ["finished", "finished"]);
}
