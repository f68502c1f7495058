//! A Redis that is full, that stood still, or that is shared by those who may read less: nothing old or wrong is served.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{UPSERT, cached, key_of, trip};
use crate::gate;
use crate::hosts::wait_for;
use crate::redis::Redis;
use crate::stages::Trip;
use crate::web::Web;

#[test]
fn what_a_redis_that_stood_still_does_late_is_not_served_longer() {
    const TTL: Duration = Duration::from_secs(3);
    let (trip, redis) = trip();
    let rules = redis.settings("3s") + UPSERT;
    trip.database.execute("CREATE TABLE people (uid integer PRIMARY KEY, name text)");
    gate::build(
        &trip.database,
        "CREATE CONSTRAINT TRIGGER held AFTER INSERT ON people DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW WHEN (NEW.uid = 4) EXECUTE FUNCTION public.hold_up()",
    );
    trip.source.write("people2.csv", "uid,name\n4,Dora\n");
    let load = trip.spawn(&rules);
    // The connection with Redis is there, and takes commands on their way.
    wait_for("the first entries", 30, || (redis.entries().len() == 3).then_some(()));
    gate::wait_there(&trip.database);
    redis.signal("STOP");
    gate::open(&trip.database);
    load.finish().expect_code(0);
    trip.database.execute("UPDATE people SET name = 'changed'");
    let changed_at = Instant::now();
    wait_for("the end of all that was read before", 30, || {
        (changed_at.elapsed() > TTL).then_some(())
    });

    redis.signal("CONT");

    let web = Web::start(&[trip.job(&rules)]);
    for _ in 0..20 {
        for uid in ["1", "4"] {
            let found = web.record("public.people", &[uid]).expect(200).json();
            assert_eq!(found["record"]["name"], "changed", "{found}");
        }
    }
}

#[test]
fn a_full_redis_is_read_and_keeps_nothing_that_was_changed() {
    let (trip, redis) = trip();
    let rules = cached(&redis, UPSERT);
    trip.run(&rules).expect_code(0);
    redis.command(&["DEL", &key_of(2)]);
    let web = Web::start(&[trip.job(&rules)]);
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);

    for _ in 0..3 {
        let found = web.record("public.people", &["2"]).expect(200).json();
        assert_eq!(found["found_in"], "database", "it cannot be put back");
        let found = web.record("public.people", &["1"]).expect(200).json();
        assert_eq!(found["found_in"], "cache", "it can be read");
    }

    trip.source.write("people2.csv", "uid,name\n1,Anna\n");
    let summary = trip.run(&rules).expect_code(0).summary();
    assert_eq!(summary["cache"]["removed"], 1, "{summary}");
    assert_eq!(redis.entries(), [key_of(3)]);
    let found = web.record("public.people", &["1"]).expect(200).json();
    assert_eq!(found["record"]["name"], "Anna");
}

#[test]
fn an_entry_of_another_make_stops_nobody_from_reading_the_others() {
    let (trip, redis) = trip();
    let rules = cached(&redis, UPSERT);
    trip.run(&rules).expect_code(0);
    redis.command(&["SET", &key_of(2), "no hash", "EX", "60"]);
    let web = Web::start(&[trip.job(&rules)]);

    for _ in 0..3 {
        let found = web.record("public.people", &["2"]).expect(200).json();
        assert_eq!(found["found_in"], "database");
        assert_eq!(found["record"]["name"], "Bob");
        let found = web.record("public.people", &["1"]).expect(200).json();
        assert_eq!(found["found_in"], "cache");
    }
}

#[test]
fn what_one_may_not_read_is_not_null_for_another() {
    let (trip, redis) = trip();
    let rules = cached(&redis, UPSERT);
    trip.run(&rules).expect_code(0);
    redis.command(&["FLUSHALL"]);
    let all = Web::start(&[trip.job(&rules)]);
    let few = Web::start(&[trip.job(&(rules + "serve_columns = [\"uid\"]\n"))]);

    few.record("public.people", &["1"]).expect(200);
    wait_for("the entry", 30, || (redis.entries() == [key_of(1)]).then_some(()));
    let found = all.record("public.people", &["1"]).expect(200).json();
    assert_eq!(found["record"]["name"], "Ann", "{found}");

    redis.command(&["FLUSHALL"]);
    for uid in ["1", "3"] {
        all.record("public.people", &[uid]).expect(200);
    }
    wait_for("both entries", 30, || (redis.entries().len() == 2).then_some(()));
    let found = few.record("public.people", &["1"]).expect(200).json();
    assert_eq!(found["found_in"], "cache");
    assert_eq!(found["record"], json!({ "uid": 1 }));
    let found = all.record("public.people", &["3"]).expect(200).json();
    assert_eq!(found["found_in"], "cache", "NULL is known to be NULL: {found}");
    assert!(found["record"]["name"].is_null(), "{found}");
}

#[test]
fn a_row_is_forgotten_by_its_key_however_the_database_writes_it() {
    let file = "uid,email\n1,ann@x.example\n2,bob@x.example\n";
    let trip = Trip::new(&[("uid", "integer")], file);
    let redis = Redis::start();
    trip.database.execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET bytea_output = ''escape''', \
         current_database()); END $$",
    );
    let hashed = "[[column]]\nname = \"email\"\npii = \"hash\"\n";
    let rules = cached(&redis, &UPSERT.replace("[\"uid\"]", "[\"email\"]")) + hashed;
    trip.run(&rules).expect_code(0);
    assert_eq!(redis.entries().len(), 2);
    let token = trip.database.value("SELECT encode(email, 'hex') FROM people WHERE uid = 1");

    trip.verb(&["pii", "forget", "--column", "email", "--token", &token], &rules).expect_code(0);

    let left = redis.entries();
    assert!(left.len() == 1 && !left[0].contains(&token), "{left:?}");
}
