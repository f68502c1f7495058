//! A Redis that is killed, absent or deaf costs entries and nothing else: no load fails, and no request.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{UPSERT, cached, trip};
use crate::hosts::{client, wait_for};
use crate::redis::Redis;
use crate::stages::Trip;
use crate::web::Web;

const LIMITS: &str = "[limits]\nrequests_per_minute = 1000000\n";
const SMALL_COMMITS: &str = "[load]\ncommit_bytes = \"64KiB\"\n";

/// Ends the questions, also if a check fails while they are asked.
struct Asking<'a>(&'a AtomicBool);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Asks for one row until it is told to stop; gives how often, and how often the cache answered.
fn ask_on(web: &Web, is_over: &AtomicBool) -> (u64, u64) {
    let (mut asked, mut cached) = (0, 0);
    while !is_over.load(Ordering::SeqCst) {
        let found = web.record("public.people", &["1"]).expect(200).json();
        assert_eq!(found["record"]["name"], "Ann");
        asked += 1;
        cached += u64::from(found["found_in"] == "cache");
    }
    (asked, cached)
}

#[test]
fn a_cache_that_is_killed_and_comes_back_fails_no_load_and_no_request() {
    let (trip, mut redis) = trip();
    let rules = cached(&redis, UPSERT) + SMALL_COMMITS;
    trip.run(&rules).expect_code(0);
    let mut more = String::new();
    let name = "n".repeat(1000);
    for uid in 4..=6_000 {
        more.push_str(&[uid.to_string().as_str(), ",", &name, "\n"].concat());
    }
    trip.source.append("people.csv", &more);
    trip.database.slow_inserts("people", 400);
    let job = trip.job(&rules);
    trip.source.write("serve.toml", LIMITS);
    let mut command = client(["serve", "--listen", "127.0.0.1:0", "--config"]);
    let web = Web::start_with(command.arg(trip.source.path("serve.toml")).arg(&job));
    let is_over = AtomicBool::new(false);

    let (asked, from_cache) = thread::scope(|scope| {
        let asking = Asking(&is_over);
        let answers = scope.spawn(|| ask_on(&web, &is_over));
        let mut load = trip.spawn(&rules);
        wait_for("entries of the load", 60, || (redis.entries().len() > 100).then_some(()));
        redis.kill();
        assert!(load.ended().is_none(), "it was killed too late");
        let before = trip.database.count("people");
        wait_for("rows without a cache", 60, || {
            (trip.database.count("people") > before).then_some(())
        });
        assert!(load.ended().is_none(), "the load was over too soon");
        redis.restart();
        wait_for("the entry that is asked for", 60, || {
            redis.entries().contains(&super::key_of(1)).then_some(())
        });
        let summary = load.finish().expect_code(0).summary();
        assert!(summary["cache"]["errors"].as_u64().unwrap() > 0, "{summary}");
        assert_eq!(summary["rows"]["loaded"], 5_997);
        drop(asking);
        answers.join().unwrap()
    });

    assert!(from_cache > 0 && asked > from_cache, "{from_cache} of {asked} from the cache");
    assert_eq!(trip.database.count("people"), 6_000);
    super::assert_fresh(&redis, &trip.database);
}

#[test]
fn a_cache_that_was_never_there_is_used_once_it_is() {
    let (trip, _) = trip();
    let mut redis = Redis::absent();
    let rules = cached(&redis, UPSERT);

    let summary = trip.run(&rules).expect_code(0).summary();

    let missed = ["errors", "dropped"].map(|name| summary["cache"][name].as_u64().unwrap());
    assert_eq!(missed.iter().sum::<u64>(), 3, "{summary}");
    assert_eq!(trip.database.count("people"), 3);
    let web = Web::start(&[trip.job(&rules)]);
    let found = web.record("public.people", &["2"]).expect(200).json();
    assert_eq!((&found["found_in"], &found["ttl_seconds"]), (&"database".into(), &().into()));

    redis.restart();
    let found = wait_for("the cache to be found", 30, || {
        let found = web.record("public.people", &["2"]).expect(200).json();
        (found["found_in"] == "cache").then_some(found)
    });
    assert_eq!(found["record"]["name"], "Bob");
}

#[test]
fn a_cache_that_never_answers_holds_nobody_up() {
    let trip = Trip::new(&[("uid", "integer")], super::PEOPLE);
    // Connections are made by the system; nobody takes them.
    let deaf = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("redis://{}/", deaf.local_addr().unwrap());
    let rules = format!("[cache]\nurl = \"{url}\"\nttl = \"2m\"\n{UPSERT}");
    let begun = Instant::now();

    trip.run(&rules).expect_code(0);

    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(trip.database.count("people"), 3);
    let web = Web::start(&[trip.job(&rules)]);
    for _ in 0..3 {
        let begun = Instant::now();
        let found = web.record("public.people", &["1"]).expect(200).json();
        assert_eq!(found["found_in"], "database");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}
