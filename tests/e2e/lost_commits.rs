//! An error from COMMIT may mean that it committed: whatever becomes of COMMITs and of their answers, no row is lost and none arrives twice.
//!
//! A proxy stands between the client and PostgreSQL. The moments are drawn from
//! a seed that is printed (`FERRY_SEED` repeats a run).

use crate::hosts::{Random, finish, is_soak};
use crate::orders::Orders;
use crate::postgres::Database;
use crate::proxy::{Commits, Fate, Loss, Proxy};

const FATES: [Fate; 3] = [Fate::Swallowed, Fate::CutAtOnce, Fate::AnswerLost];
/// Enough that the run is not over before all COMMITs are lost: a transaction
/// ends with a batch, which is at most 512 KiB, and every second one may pass.
const ROWS_PER_LOSS: u64 = 5_000;

/// A proxy before the database of the orders, which their job then goes through.
fn lose_commits(orders: &Orders, losses: Vec<Loss>) -> Proxy {
    let Database { port, name, .. } = &orders.database;
    let proxy = Proxy::losing_commits(&format!("127.0.0.1:{port}"), losses);
    let url = format!("postgres://postgres@127.0.0.1:{}/{name}?sslmode=disable", proxy.port());
    orders.write_job(&url, "");
    proxy
}

#[test]
fn rows_whose_commit_is_lost_arrive_once() {
    let mut random = Random::from_environment("lost_commits");
    let count: u64 = if is_soak() { 50 } else { 8 };
    let losses = (0..count).map(|_| {
        let fate = FATES[usize::try_from(random.below(3)).unwrap()];
        Loss { of: Commits::WithRows, passes: random.below(2), fate }
    });
    let losses: Vec<Loss> = losses.collect();
    for fate in FATES {
        println!("{fate:?}: {} times", losses.iter().filter(|loss| loss.fate == fate).count());
    }
    let orders = Orders::new(Database::create(), 4, count * ROWS_PER_LOSS / 4);
    let server = orders.source.start();
    let proxy = lose_commits(&orders, losses);

    // One process: it goes on by itself.
    let outcome = finish(orders.run(server.url()).args(["--retries", "50"])).expect_code(0);

    assert_eq!(proxy.losses_left(), 0, "the run was over too soon");
    let summary = outcome.summary();
    assert_eq!(summary["state"], "finished");
    assert_eq!(summary["rows"]["loaded"], orders.rows());
    assert!(summary["retries"].as_u64().unwrap() > 0, "{summary}");
    orders.assert_loaded_once();
    assert_eq!(orders.states(), ["finished"]);
}

/// Loses one COMMIT of the ledger, after so many others; `false` if there are no more.
fn lose_commit_of_ledger(passes: u64, fate: Fate) -> bool {
    let orders = Orders::new(Database::create(), 1, 50);
    let server = orders.source.start();
    let loss = Loss { of: Commits::WithoutRows, passes, fate };
    let proxy = lose_commits(&orders, vec![loss]);

    let first = finish(&mut orders.run(server.url()));

    if proxy.losses_left() > 0 {
        let _ = first.expect_code(0);
        return false;
    }
    // Before a run is open, a client may give up; it says that it was the database.
    assert!(matches!(first.code, Some(0 | 4)), "{fate:?} {passes}: {}", first.text());
    let _ = finish(&mut orders.run(server.url())).expect_code(0);
    orders.assert_loaded_once();
    assert_eq!(orders.states(), ["finished"], "{fate:?} {passes}");
    let unfinished = "SELECT count(*) FROM ferry.run WHERE state <> 'finished'";
    assert_eq!(orders.database.number(unfinished), 0, "{fate:?} {passes}");
    true
}

#[test]
fn a_commit_of_the_ledger_that_is_lost_leaves_a_job_that_goes_on() {
    for fate in [Fate::Swallowed, Fate::AnswerLost] {
        let lost = (0..20).take_while(|passes| lose_commit_of_ledger(*passes, fate)).count();
        println!("{fate:?}: {lost} commits of the ledger, each lost once");
        assert!((2..20).contains(&lost), "a run begins and ends with one: {lost}");
    }
}
