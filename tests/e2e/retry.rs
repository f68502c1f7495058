//! What passes is tried again by the same process; what does not pass is told at once.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::hosts::{Process, Random, finish, free_port, is_soak, run, wait_for};
use crate::orders::Orders;
use crate::postgres::{Database, OwnCluster, try_psql};
use crate::proxy::Proxy;

/// Enough rows, and slow enough, that there is a middle to strike in.
fn slow_orders(database: Database) -> Orders {
    let orders = Orders::new(database, 4, 6_000);
    orders.database.slow_inserts("orders", 300);
    orders
}

/// Waits until nothing has arrived for two seconds: the client has noticed that something is gone.
fn wait_for_standstill(database: &Database) {
    let mut before = (database.count("orders"), Instant::now());
    wait_for("a standstill", 60, || {
        let rows = database.count("orders");
        if rows != before.0 {
            before = (rows, Instant::now());
        }
        (before.1.elapsed() > Duration::from_secs(2)).then_some(())
    });
}

/// Checks that a client has loaded everything, not without trouble.
#[track_caller]
fn assert_done_after_retries(client: Process, orders: &Orders) {
    let summary = client.finish().expect_code(0).summary();
    assert_eq!(summary["state"], "finished");
    assert!(retries(&summary) > 0, "{summary}");
    orders.assert_loaded_once();
    assert_eq!(orders.states(), ["finished"]);
}

#[track_caller]
fn retries(summary: &Value) -> u64 {
    summary["retries"].as_u64().unwrap_or_else(|| panic!("no retries in {summary}"))
}

#[test]
fn a_client_goes_on_once_its_server_is_back() {
    let orders = slow_orders(Database::create());
    let listen = format!("127.0.0.1:{}", free_port());
    let mut server = orders.source.start_at(&listen);
    let client = Process::spawn(&mut orders.run(server.url()));
    orders.wait_for_commits(1);

    server.process.kill();
    wait_for_standstill(&orders.database);
    let stored = orders.database.count("orders");
    assert!(stored < orders.rows(), "the source was gone after the end");
    let _server = orders.source.start_at(&listen);

    assert_done_after_retries(client, &orders);
}

#[test]
fn a_client_goes_on_once_its_database_is_back() {
    let mut own = OwnCluster::start();
    let orders = slow_orders(own.database());
    let server = orders.source.start();
    let client = Process::spawn(&mut orders.run(server.url()));
    orders.wait_for_commits(1);

    own.cluster.restart().unwrap();
    orders.wait_for_commits(orders.database.count("ferry.commit") + 1);
    own.cluster.crash();
    own.cluster.restart().unwrap();

    assert_done_after_retries(client, &orders);
}

#[test]
fn a_client_goes_on_over_a_network_that_cuts_its_connections() {
    let mut random = Random::from_environment("cut_connections");
    let cuts = if is_soak() { 40 } else { 6 };
    let rows_per_file = if is_soak() { 30_000 } else { 6_000 };
    let orders = Orders::new(Database::create(), 4, rows_per_file);
    orders.database.slow_inserts("orders", 300);
    let Database { port, name, .. } = &orders.database;
    let server = orders.source.start();
    let to_source = Proxy::start(server.address());
    to_source.delay(2);
    let to_database = Proxy::start(&format!("127.0.0.1:{port}"));
    let url = format!("postgres://postgres@127.0.0.1:{}/{name}", to_database.port());
    orders.write_job(&url, "retries = 20\n");
    let mut client = Process::spawn(&mut orders.run(&to_source.url()));
    orders.wait_for_commits(1);

    let mut struck = 0;
    for _ in 0..cuts {
        // The moments themselves are what the test is about.
        std::thread::sleep(Duration::from_millis(random.below(700)));
        struck += u32::from(client.ended().is_none());
        let side = if random.below(2) == 0 { &to_source } else { &to_database };
        side.cut();
    }
    println!("{struck} of {cuts} cuts fell while the client ran");
    assert!(struck * 2 > cuts, "the run was over too soon");

    assert_done_after_retries(client, &orders);
}

#[test]
fn without_retries_a_source_that_is_gone_ends_the_run() {
    let orders = slow_orders(Database::create());
    let listen = format!("127.0.0.1:{}", free_port());
    let mut server = orders.source.start_at(&listen);
    let client = Process::spawn(orders.run(server.url()).args(["--retries", "0"]));
    orders.wait_for_commits(1);

    server.process.kill();
    let outcome = client.finish_within(20).expect_code(3);

    assert_eq!(retries(&outcome.summary()), 0);
    assert!(orders.database.count("orders") < orders.rows());
    let server = orders.source.start_at(&listen);
    let _ = finish(&mut orders.run(server.url())).expect_code(0);
    orders.assert_loaded_once();
}

#[test]
fn without_retries_a_database_that_is_gone_ends_the_run() {
    let mut own = OwnCluster::start();
    let orders = slow_orders(own.database());
    let server = orders.source.start();
    let client = Process::spawn(orders.run(server.url()).args(["--retries", "0"]));
    orders.wait_for_commits(1);

    own.cluster.crash();
    let outcome = client.finish_within(20).expect_code(4);

    assert_eq!(retries(&outcome.summary()), 0);
    own.cluster.restart().unwrap();
    assert!(orders.database.count("orders") < orders.rows());
    let _ = finish(&mut orders.run(server.url())).expect_code(0);
    orders.assert_loaded_once();
}

/// Runs an import that cannot succeed, three times, since a busy machine may hold
/// one up; gives the shortest time and the exit code.
fn time_to_fail(source_url: &str, table: &str, database_url: &str) -> (Duration, Option<i32>) {
    let attempts = (0..3).map(|_| {
        let began = Instant::now();
        let outcome = finish(&mut run(source_url, "orders", table, database_url));
        assert_eq!(retries(&outcome.summary()), 0, "{}", outcome.text());
        (began.elapsed(), outcome.code)
    });
    attempts.min().unwrap()
}

#[test]
fn what_does_not_pass_is_not_tried_again() {
    // Its own cluster, since its rules of access change.
    let own = OwnCluster::start();
    let orders = Orders::new(own.database(), 1, 10);
    let server = orders.source.start();
    let Database { url, port, name, .. } = &orders.database;
    orders.database.execute("CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'right'");
    let rules = orders.database.value("SHOW hba_file");
    let trust = std::fs::read_to_string(&rules).unwrap();
    let guard = "host all guarded 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(&rules, format!("{guard}{trust}")).unwrap();
    orders.database.execute("SELECT pg_reload_conf()");
    let wrong = format!("postgres://guarded:wrong@127.0.0.1:{port}/{name}");
    wait_for("the new rule", 10, || try_psql(&wrong, "SELECT 1").err());

    let (password, code) = time_to_fail(server.url(), "public.orders", &wrong);
    assert!(matches!(code, Some(4 | 8)), "a wrong password ends with {code:?}");
    let (table, code) = time_to_fail(server.url(), "public.nowhere", url);
    assert_eq!(code, Some(8), "a missing table");

    for (what, took) in [("a wrong password", password), ("a missing table", table)] {
        assert!(took < Duration::from_secs(2), "{what}: {took:?}");
    }
}
