//! A file that vanishes while it is loaded: the others are loaded, and it goes on once it is back, or is given up.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::{one, problems};
use crate::hosts::{Outcome, Process, Server, finish};
use crate::orders::Orders;
use crate::postgres::Database;

const FILE: &str = "part_00.csv";
/// Where the file is while it is gone: no name of the dataset.
const AWAY: &str = "part_00.away";
/// Files of which splits are left to do.
const UNDONE: &str = "
SELECT DISTINCT name FROM ferry.split JOIN ferry.file USING (file_id) WHERE NOT done";

/// Orders in three files of several splits each, and transactions that take their time.
fn slow_orders(load: &str) -> (Orders, Server) {
    let orders = Orders::new(Database::create(), 3, 3_000);
    orders.write_job(&orders.database.url, load);
    orders.database.slow_inserts("orders", 400);
    let server = orders.source.start();
    (orders, server)
}

fn command(orders: &Orders, server: &Server) -> Command {
    let mut command = orders.run(server.url());
    command.args(["--split-bytes", "64KiB"]);
    command
}

/// Takes the first file away once something of it is committed, and lets the rest come fast.
fn take_away(orders: &Orders) {
    orders.wait_for_commits(1);
    fs::rename(orders.source.path(FILE), orders.source.path(AWAY)).unwrap();
    orders.database.execute("DROP TRIGGER dawdle ON orders");
}

fn put_back(orders: &Orders) {
    fs::rename(orders.source.path(AWAY), orders.source.path(FILE)).unwrap();
}

/// Runs the job, whose first file vanishes in the middle.
fn run_and_lose_it(orders: &Orders, server: &Server) -> Outcome {
    let running = Process::spawn(&mut command(orders, server));
    take_away(orders);
    let outcome = running.finish().expect_code(7).expect_text(FILE);
    let summary = outcome.summary();
    assert_eq!(summary["error"]["code"], "files_unreadable", "{summary}");
    assert_eq!(problems(&summary), one(FILE, "FILE_NOT_FOUND"));
    assert_eq!(orders.database.rows(UNDONE), [[FILE]], "only of that file something is left");
    outcome
}

#[test]
fn a_file_that_vanishes_leaves_the_others_and_goes_on_once_it_is_back() {
    let (orders, server) = slow_orders("");
    let first = run_and_lose_it(&orders, &server).expect_text("--give-up-missing");
    assert_eq!(first.summary()["state"], "failed");
    let loaded = orders.database.count("orders");
    assert!(loaded > 6_000 && loaded < 9_000, "{loaded} rows: two files and a part of one");

    let again = finish(&mut command(&orders, &server)).expect_code(7).summary();
    assert_eq!(problems(&again), one(FILE, "FILE_NOT_FOUND"), "it is still not there");

    put_back(&orders);
    let last = finish(&mut command(&orders, &server)).expect_code(0).summary();
    assert_eq!(last["run_id"], first.summary()["run_id"], "the same run goes on");
    assert_eq!((&last["state"], &last["problems"]), (&json!("finished"), &json!([])));
    orders.assert_loaded_once();
    assert_eq!(orders.states(), ["finished"]);
}

#[test]
fn what_is_left_of_a_file_that_is_gone_can_be_given_up() {
    let (orders, server) = slow_orders("");
    run_and_lose_it(&orders, &server);
    let loaded = orders.database.count("orders");
    let left = "SELECT sum(end_row - next_row) FROM ferry.split WHERE NOT done";
    let left = orders.database.number(left);
    assert_eq!(loaded + left, orders.rows());

    let outcome = finish(command(&orders, &server).arg("--give-up-missing")).expect_code(0);

    let outcome = outcome.expect_text("given up").expect_text(&left.to_string());
    let rows = json!({ "read": loaded, "loaded": loaded, "quarantined": 0, "filtered": 0 });
    assert_eq!(outcome.summary()["rows"], rows);
    assert_eq!(orders.states(), ["finished"]);
    assert_eq!(orders.database.count("orders"), loaded);
    let next = finish(&mut command(&orders, &server)).expect_code(0).summary();
    assert_eq!(next["state"], "nothing_new");
    put_back(&orders);
    let next = finish(&mut command(&orders, &server)).expect_code(0).summary();
    assert_eq!(next["state"], "nothing_new", "given up for good");
    assert_eq!(orders.database.count("orders"), loaded);
}

#[test]
fn several_workers_and_processes_do_not_wait_for_what_nobody_can_read() {
    let (orders, server) = slow_orders("workers = 2\n");
    let spawn = || Process::spawn(&mut command(&orders, &server));
    let processes = [spawn(), spawn()];
    take_away(&orders);

    for process in processes {
        let summary = process.finish_within(120).expect_code(7).summary();
        assert_eq!(problems(&summary), one(FILE, "FILE_NOT_FOUND"));
    }

    assert_eq!(orders.database.rows(UNDONE), [[FILE]]);
    put_back(&orders);
    let _ = finish(&mut command(&orders, &server)).expect_code(0);
    orders.assert_loaded_once();
}

#[test]
fn nothing_comes_before_a_file_that_vanished_where_files_are_loaded_in_order() {
    let (orders, server) = slow_orders("file_order = \"name\"\n");
    let running = Process::spawn(&mut command(&orders, &server));
    take_away(&orders);

    let summary = running.finish().expect_code(7).expect_text("in their order").summary();

    assert_eq!(summary["error"]["code"], "files_unreadable");
    assert_eq!(problems(&summary), one(FILE, "FILE_NOT_FOUND"));
    let begun = "SELECT DISTINCT name FROM ferry.split JOIN ferry.file USING (file_id) \
                 WHERE next_byte > start_byte";
    assert_eq!(orders.database.rows(begun), [[FILE]]);
    put_back(&orders);
    let _ = finish(&mut command(&orders, &server)).expect_code(0);
    orders.assert_loaded_once();
}

#[test]
fn a_file_that_is_rewritten_while_it_is_loaded_leaves_the_others() {
    let (orders, server) = slow_orders("");
    let running = Process::spawn(&mut command(&orders, &server));
    orders.wait_for_commits(1);
    // The old content keeps its time, and there is a file of that name at every moment.
    fs::hard_link(orders.source.path(FILE), orders.source.path(AWAY)).unwrap();
    orders.source.write("other", "id,name,amount,day,at,note\n1,x,1.00,2024-01-01,,\n");
    fs::rename(orders.source.path("other"), orders.source.path(FILE)).unwrap();
    orders.database.execute("DROP TRIGGER dawdle ON orders");

    let summary = running.finish().expect_code(7).expect_text("load.rewritten").summary();

    assert_eq!(problems(&summary), one(FILE, "FILE_CHANGED"));
    assert_eq!(orders.database.rows(UNDONE), [[FILE]]);
    let refused = finish(&mut command(&orders, &server)).expect_code(7).summary();
    assert_eq!(refused["error"]["code"], "file_rewritten", "as the job says");
    put_back(&orders);
    let _ = finish(&mut command(&orders, &server)).expect_code(0);
    orders.assert_loaded_once();
}
