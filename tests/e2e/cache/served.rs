//! What the cache answers through REST: never older than its time to live, whatever the key, and refilled from the table.

use std::time::{Duration, Instant};

use super::{UPSERT, cached, trip};
use crate::hosts::wait_for;
use crate::redis::Redis;
use crate::stages::Trip;
use crate::web::{Web, record_path};

/// Texts that mean something to a path, to Redis, to a pattern or to a list.
const ODD: [&str; 19] = [
    "plain",
    "a:b",
    "a%3Ab",
    "a%253Ab",
    "a b",
    "a+b",
    "ü/é",
    "a,b",
    "a%2Cb",
    "*",
    "[x]?",
    "\"quoted\"",
    "line\nbreak",
    "..",
    "tab\there",
    "back\\slash",
    "😀",
    "#?&=;",
    "' OR 1=1 --",
];

fn serve(trip: &Trip, rules: &str) -> Web {
    Web::start(&[trip.job(rules)])
}

#[test]
fn an_entry_is_never_served_longer_than_its_time_to_live() {
    const TTL: Duration = Duration::from_secs(2);
    let (trip, redis) = trip();
    let rules = redis.settings("2s") + UPSERT;
    trip.run(&rules).expect_code(0);
    let web = serve(&trip, &rules);
    // Behind the back of the job, and when all entries are written.
    let changed_at = Instant::now();
    trip.database.execute("UPDATE people SET name = 'changed'");

    let new = wait_for("the new value", 30, || {
        let asked_at = Instant::now();
        let found = web.record("public.people", &["1"]).expect(200).json();
        let is_new = found["record"]["name"] == "changed";
        // Looking at an entry must not make it live longer. A database that was
        // changed while it was asked may have answered with the old value too.
        let may_be_old = asked_at < changed_at + TTL;
        assert!(is_new || may_be_old, "{:?} after the change: {found}", asked_at - changed_at);
        let ttl = found["ttl_seconds"].as_f64();
        assert!(ttl.is_none_or(|ttl| ttl <= 2.0), "{found}");
        is_new.then_some(found)
    });
    assert_eq!(new["record"]["uid"], 1);
}

#[test]
fn a_miss_is_answered_by_the_table_and_refilled() {
    let (trip, redis) = trip();
    let rules = cached(&redis, UPSERT);
    trip.run(&rules).expect_code(0);
    redis.command(&["FLUSHALL"]);
    let web = serve(&trip, &rules);

    let found = web.record("public.people", &["2"]).expect(200).json();
    assert_eq!((&found["found_in"], &found["record"]["name"]), (&"database".into(), &"Bob".into()));
    let again = wait_for("the cache", 10, || {
        let found = web.record("public.people", &["2"]).expect(200).json();
        (found["found_in"] == "cache").then_some(found)
    });

    assert_eq!(again["record"], found["record"]);
    assert_eq!(redis.entries(), ["ferry:people:public.people:2"]);
    super::assert_fresh(&redis, &trip.database);
    web.record("public.people", &["77"]).expect_problem(404, "record_not_found");
    web.record("public.people", &["two"]).expect_problem(404, "record_not_found");
    assert_eq!(redis.entries().len(), 1, "what is not there is not cached");
}

#[test]
fn rows_of_a_target_that_is_not_cached_stay_out_of_it() {
    let (trip, redis) = trip();
    let rules = cached(&redis, &UPSERT.replace("cache = true\n", ""));
    trip.run(&rules).expect_code(0);
    let web = serve(&trip, &rules);
    for _ in 0..3 {
        let found = web.record("public.people", &["1"]).expect(200).json();
        assert_eq!(found["found_in"], "database");
        assert!(found["ttl_seconds"].is_null());
    }
    assert_eq!(redis.keys(), [""; 0]);
}

#[test]
fn keys_of_odd_characters_find_their_rows_and_no_others() {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut file = String::from("uid,part,name\n");
    for uid in ODD {
        for part in ["c", "b,c"] {
            let name = [uid, "|", part].concat();
            file.push_str(
                &[quoted(uid).as_str(), ",", part_of(part), ",", &quoted(&name), "\n"].concat(),
            );
        }
    }
    let trip = Trip::new(&[], file);
    let redis = Redis::start();
    let rules = cached(&redis, &UPSERT.replace("[\"uid\"]", "[\"uid\", \"part\"]"));
    trip.run(&rules).expect_code(0);

    assert_eq!(redis.entries().len(), 2 * ODD.len(), "no two rows share a key");
    for key in [
        "ferry:people:public.people:plain,c",
        "ferry:people:public.people:a%3Ab,c",
        "ferry:people:public.people:a%253Ab,c",
        "ferry:people:public.people:a%20b,b%2Cc",
        "ferry:people:public.people:a%2Cb,c",
    ] {
        assert_eq!(redis.entry(key).len(), 3, "{key} in {:?}", redis.entries());
    }
    let web = serve(&trip, &rules);
    for source in ["cache", "database"] {
        for uid in ODD {
            for part in ["c", "b,c"] {
                let path = record_path("public.people", &[uid, part]);
                let found = web.get(&path).expect(200).json();
                assert_eq!(found["found_in"], source, "{path}");
                assert_eq!(found["record"]["name"], [uid, "|", part].concat(), "{path}");
                let shown = found["key"].as_str().unwrap();
                let again = web.json(&format!("/tables/public.people/records/{shown}"));
                assert_eq!(again["record"], found["record"], "the key that was shown: {shown}");
            }
        }
        redis.command(&["FLUSHALL"]);
    }
}

/// A field of a file as it must be written.
fn part_of(part: &str) -> &'static str {
    if part.contains(',') { "\"b,c\"" } else { "c" }
}

#[test]
fn a_column_that_is_shown_must_be_there() {
    let (trip, redis) = trip();
    let rules = cached(&redis, UPSERT);
    let mistyped = format!("{rules}serve_columns = [\"uid\", \"nmae\"]\n");
    for verb in ["plan", "run"] {
        let refused = trip.verb(&[verb], &mistyped).expect_code(2);
        refused.expect_text("\"nmae\", which is not there: did you mean \"name\"?");
    }
    assert_eq!(trip.database.count("people"), 0, "nothing was made or loaded");

    trip.run(&format!("{rules}serve_columns = [\"uid\"]\n")).expect_code(0);
    // A column of the table that the job does not load may be shown as well.
    trip.database.execute("ALTER TABLE people ADD COLUMN note text");
    trip.run(&format!("{rules}serve_columns = [\"uid\", \"note\"]\n")).expect_code(0);
}
