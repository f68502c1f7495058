//! Several workers, in one process or in several, load one run together: each row once, and whoever leaves leaves the rest to the others.

mod strict;

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::hosts::{Process, Server, Source, client, finish, wait_for, write_job};
use crate::orders::Orders;
use crate::postgres::Database;

/// Orders, their server, and transactions that take long enough for a second process to come.
fn slow_orders() -> (Orders, Server) {
    let orders = Orders::new(Database::create(), 12, 3_000);
    orders.database.slow_inserts("orders", 500);
    let server = orders.source.start();
    (orders, server)
}

/// Lets the rows that are left come as fast as they can.
fn hurry(orders: &Orders) {
    orders.database.execute("DROP TRIGGER dawdle ON orders");
}

/// Waits until a process has committed something.
fn wait_for_commit_of(process: &Process, database: &Database) {
    let sql = format!(
        "SELECT count(*) FROM ferry.commit JOIN ferry.worker USING (worker_id)
         WHERE process_id = {}",
        process.id()
    );
    wait_for("a commit of the process", 60, || {
        let has_ledger = database.value("SELECT to_regclass('ferry.commit') IS NOT NULL") == "t";
        (has_ledger && database.number(&sql) > 0).then_some(())
    });
}

/// Starts the job in one process, which is killed in the middle; gives the number of its run.
fn kill_in_the_middle(orders: &Orders, server: &Server) -> u64 {
    let mut killed = Process::spawn(&mut orders.run(server.url()));
    orders.wait_for_commits(3);
    killed.kill();
    let loaded = orders.database.count("orders");
    assert!(loaded < orders.rows(), "killed after the end");
    hurry(orders);
    orders.database.number("SELECT run_id FROM ferry.run")
}

#[test]
fn four_workers_of_one_process_load_everything_once() {
    let (orders, server) = slow_orders();

    let outcome = finish(orders.run(server.url()).args(["--workers", "4"])).expect_code(0);

    let summary = outcome.summary();
    assert_eq!(summary["workers"], 4);
    assert_eq!(summary["rows"]["loaded"], orders.rows());
    orders.assert_loaded_once();
    assert_eq!(orders.database.count("ferry.worker"), 4);
    let busy = "SELECT count(DISTINCT worker_id) FROM ferry.commit";
    assert!(orders.database.number(busy) > 1, "one worker did it all");
    let there = "SELECT count(*) FROM ferry.worker WHERE left_at IS NULL";
    assert_eq!(orders.database.number(there), 0, "workers that never left");
}

#[test]
fn who_only_joins_and_finds_no_run_says_so() {
    let orders = Orders::new(Database::create(), 1, 10);
    let server = orders.source.start();
    let job = orders.source.path("job.toml");

    let mut command = client(["run", "--join-only", "--source", server.url()]);
    let _ = finish(command.arg(&job)).expect_code(0).expect_text("no unfinished run");
    let outcome = finish(orders.run(server.url()).arg("--join-only")).expect_code(0);

    assert!(outcome.summary()["run_id"].is_null());
    assert_eq!(orders.database.count("orders"), 0);
    assert_eq!(orders.database.count("ferry.run"), 0);
    let _ = finish(&mut orders.run(server.url())).expect_code(0);
    orders.assert_loaded_once();
    let _ = finish(orders.run(server.url()).arg("--join-only")).expect_code(0);
    assert_eq!(orders.database.count("ferry.run"), 1, "a finished run is not joined");
}

#[test]
fn who_only_joins_helps_with_a_run_that_is_running() {
    let (orders, server) = slow_orders();
    let first = Process::spawn(&mut orders.run(server.url()));
    orders.wait_for_commits(1);

    let second = Process::spawn(orders.run(server.url()).arg("--join-only"));
    wait_for_commit_of(&second, &orders.database);

    let (first, second) = (first.finish().expect_code(0), second.finish().expect_code(0));
    assert_eq!(second.summary()["run_id"], first.summary()["run_id"]);
    assert_eq!(second.summary()["rows"]["loaded"], orders.rows(), "rows of the whole run");
    orders.assert_loaded_once();
    assert_eq!(orders.states(), ["finished"]);
}

#[test]
fn an_unfinished_run_goes_on_if_the_current_one_is_wanted() {
    let (orders, server) = slow_orders();
    let killed = kill_in_the_middle(&orders, &server);

    let outcome = finish(orders.run(server.url()).args(["--run", "current"])).expect_code(0);

    assert_eq!(outcome.summary()["run_id"], killed);
    orders.assert_loaded_once();
    assert_eq!(orders.states(), ["finished"]);
}

#[test]
fn an_unfinished_run_is_stopped_if_a_new_one_is_wanted() {
    let (orders, server) = slow_orders();
    let killed = kill_in_the_middle(&orders, &server);

    let outcome = finish(orders.run(server.url()).args(["--run", "NEW"])).expect_code(0);

    assert_ne!(outcome.summary()["run_id"], killed);
    orders.assert_loaded_once();
    assert_eq!(orders.states(), ["stopped", "finished"]);
    let rows = outcome.summary()["rows"]["loaded"].as_u64().unwrap();
    assert!(rows > 0 && rows < orders.rows(), "what the first run has loaded is not its own");
}

/// Versions of prices, in files whose names say in which order they came; each
/// file has each price several times.
fn price_files(source: &Source) -> Vec<Vec<String>> {
    let (prices, rounds) = (500, 6);
    let mut last = vec![String::new(); prices];
    for file in ["2024-01", "2024-02", "2024-03", "2024-04"] {
        let mut text = String::from("id,version,note\n");
        for round in 0..rounds {
            for (id, version) in last.iter_mut().enumerate() {
                // Not every file has the last word on every price.
                if file == "2024-04" && id % 3 == 0 {
                    continue;
                }
                *version = format!("{file} {round}");
                writeln!(text, "{id},{version},a note that makes the record longer").unwrap();
            }
        }
        source.write(&format!("{file}.csv"), text);
    }
    let row = |(id, version): (usize, String)| vec![id.to_string(), version];
    last.into_iter().enumerate().map(row).collect()
}

#[test]
fn workers_of_several_processes_keep_an_upsert_in_the_order_of_the_files() {
    let source = Source::with_dataset("prices", &[("id", "bigint")]);
    let expected = price_files(&source);
    let server = source.start();
    let database = Database::create();
    database.execute("CREATE TABLE prices (id bigint PRIMARY KEY, version text, note text)");
    database.slow_inserts("prices", 50);
    let job = write_job(
        &source.path(""),
        &format!(
            "name = \"prices\"\n[database]\nurl = \"{}\"\n\
             [source]\nurl = \"{}\"\ndataset = \"prices\"\n\
             [[target]]\ntable = \"public.prices\"\nmode = \"upsert\"\nkey = [\"id\"]\n\
             [load]\nworkers = 4\nfile_order = \"name\"\n\
             commit_bytes = \"64KiB\"\nsplit_bytes = \"64KiB\"\n",
            database.url,
            server.url()
        ),
    );

    let start = |_| Process::spawn(client(["run", "--json"]).arg(&job));
    let processes: Vec<Process> = (0..4).map(start).collect();
    for process in processes {
        let _ = process.finish().expect_code(0);
    }

    let splits = database.count("ferry.split");
    assert!(splits > 4, "{splits} splits: too few to get out of order");
    assert_eq!(database.rows("SELECT id, version FROM prices ORDER BY id"), expected);
}

/// Numbers in several files; the last one has more bad ones than the job allows.
fn numbers_with_bad_ones(database: &Database) -> (Source, Server, PathBuf) {
    let source = Source::with_dataset("numbers", &[("n", "bigint")]);
    for file in 0..8 {
        let mut text = String::from("n,note\n");
        for n in 0..5_000 {
            let bad = if file == 7 && n < 20 { "x" } else { "" };
            writeln!(text, "{bad}{n},{}", "words that make the row longer ".repeat(6)).unwrap();
        }
        source.write(&format!("numbers_{file}.csv"), text);
    }
    database.execute("CREATE TABLE numbers (n bigint, note text)");
    database.slow_inserts("numbers", 600);
    let server = source.start();
    let job = write_job(
        &source.path(""),
        &format!(
            "name = \"numbers\"\n[database]\nurl = \"{}\"\n\
             [source]\nurl = \"{}\"\ndataset = \"numbers\"\n[[target]]\ntable = \"numbers\"\n\
             [load]\ncommit_bytes = \"64KiB\"\nmax_rejects = 10\n",
            database.url,
            server.url()
        ),
    );
    (source, server, job)
}

#[test]
fn too_many_rejects_of_one_process_end_the_run_for_the_others() {
    let database = Database::create();
    let (_source, _server, job) = numbers_with_bad_ones(&database);
    let first = Process::spawn(client(["run", "--json"]).arg(&job));
    wait_for_commit_of(&first, &database);
    let second = Process::spawn(client(["run", "--json"]).arg(&job));
    wait_for_commit_of(&second, &database);

    let outcomes = [first.finish(), second.finish()];

    // Both know how many rows were refused, whoever of them met these.
    let ended_by_itself = outcomes.iter().filter(|outcome| outcome.code == Some(5)).count();
    assert!(ended_by_itself > 0, "nobody ended with 5");
    for outcome in outcomes {
        assert_ne!(outcome.code, Some(0), "{}", outcome.text());
        let outcome = outcome.expect_text("max_rejects");
        assert_eq!(outcome.summary()["state"], "failed");
        if outcome.code != Some(5) {
            let _ = outcome.expect_text("ended by another worker");
        }
    }
    assert_eq!(database.rows("SELECT state FROM ferry.run"), [["failed"]]);
    let code = database.value("SELECT error_code FROM ferry.run");
    assert_eq!(code, "rejects_over_limit");
}

#[test]
fn who_is_interrupted_leaves_the_run_to_the_others() {
    let (orders, server) = slow_orders();
    let first = Process::spawn(&mut orders.run(server.url()));
    wait_for_commit_of(&first, &orders.database);
    let second = Process::spawn(&mut orders.run(server.url()));
    wait_for_commit_of(&second, &orders.database);

    first.signal("INT");
    let outcome = first.finish_within(20).expect_code(130);

    assert_eq!(outcome.summary()["state"], "stopped");
    assert_eq!(orders.database.value("SELECT state FROM ferry.run"), "running");
    hurry(&orders);
    let second = second.finish().expect_code(0);
    assert_eq!(second.summary()["run_id"], outcome.summary()["run_id"]);
    orders.assert_loaded_once();
    assert_eq!(orders.states(), ["finished"]);
}
