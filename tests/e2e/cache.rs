//! What is cached is what the table holds: written after COMMIT and never before, with its time to live, and gone when it is stale.

mod outages;
mod served;
mod strained;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::gate;
use crate::hosts::{client, finish, write_job};
use crate::postgres::Database;
use crate::proxy::{Commits, Fate, Loss, Proxy};
use crate::redis::{Redis, Reply};
use crate::stages::Trip;

const PEOPLE: &str = "uid,name\n1,Ann\n2,Bob\n3,\n";
const UPSERT: &str = "[[target]]\ntable = \"people\"\ncreate = true\nmode = \"upsert\"\n\
    key = [\"uid\"]\ncache = true\n";
const REPLACE: &str = "[[target]]\ntable = \"people\"\nmode = \"replace\"\n\
    key = [\"uid\"]\ncache = true\n";

/// A source with people, and a Redis.
fn trip() -> (Trip, Redis) {
    (Trip::new(&[("uid", "integer")], PEOPLE), Redis::start())
}

/// Rules of a job that caches for two minutes.
fn cached(redis: &Redis, target: &str) -> String {
    redis.settings("2m") + target
}

fn key_of(uid: u32) -> String {
    format!("ferry:people:public.people:{uid}")
}

/// Rows of the table as entries would hold them, by key.
fn table(database: &Database) -> BTreeMap<String, BTreeMap<String, String>> {
    let rows = database.rows(
        "SELECT uid, field.key, field.value FROM people AS p, jsonb_each_text(to_jsonb(p)) AS field \
         WHERE field.value IS NOT NULL",
    );
    let mut table: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for row in rows {
        let key = format!("ferry:people:public.people:{}", row[0]);
        table.entry(key).or_default().insert(row[1].clone(), row[2].clone());
    }
    table
}

/// Checks that no entry differs from its row, and that each passes away.
#[track_caller]
fn assert_fresh(redis: &Redis, database: &Database) {
    let table = table(database);
    for key in redis.entries() {
        assert_eq!(Some(&redis.entry(&key)), table.get(&key), "{key}");
        let left = redis.milliseconds_left(&key);
        assert!(left > 0 && left <= 120_000, "{key} has {left} ms left");
    }
}

/// The same, and that every row has an entry.
#[track_caller]
fn assert_all_cached(redis: &Redis, database: &Database) {
    let keys: Vec<String> = table(database).into_keys().collect();
    assert_eq!(redis.entries(), keys);
    assert_fresh(redis, database);
}

#[test]
fn a_run_leaves_an_entry_of_each_row_as_the_table_has_it() {
    let (trip, redis) = trip();
    trip.database.execute(
        "CREATE TABLE people (uid integer PRIMARY KEY, name text, note text DEFAULT 'by default'); \
         CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN NEW.name = upper(NEW.name); RETURN NEW; END $$; \
         CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON people \
         FOR EACH ROW EXECUTE FUNCTION shout()",
    );

    let summary = trip.run(&cached(&redis, UPSERT)).expect_code(0).summary();

    let report = ["written", "removed", "errors", "dropped"].map(|name| &summary["cache"][name]);
    assert_eq!(report, [3, 0, 0, 0].map(Value::from).each_ref(), "{summary}");
    assert_eq!(redis.entry(&key_of(1))["name"], "ANN", "not what was sent, but what is stored");
    assert!(!redis.entry(&key_of(3)).contains_key("name"), "NULL is no field");
    assert_all_cached(&redis, &trip.database);
}

#[test]
fn nothing_is_cached_before_the_commit() {
    let (trip, redis) = trip();
    trip.database.execute("CREATE TABLE people (uid integer PRIMARY KEY, name text)");
    gate::build(
        &trip.database,
        "CREATE CONSTRAINT TRIGGER held AFTER INSERT ON people DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION public.hold_up()",
    );
    let client = trip.spawn(&cached(&redis, UPSERT));
    gate::wait_there(&trip.database);

    assert_eq!(redis.keys(), [""; 0], "while the commit waits");
    let Reply::Text(commands) = redis.command(&["INFO", "commandstats"]) else {
        panic!("no statistics");
    };
    for word in ["cmdstat_hset", "cmdstat_hmset", "cmdstat_eval", "cmdstat_exec"] {
        assert!(!commands.contains(word), "{word} came before the commit:\n{commands}");
    }
    assert_eq!(trip.database.count("people"), 0);
    gate::open(&trip.database);
    client.finish().expect_code(0);

    assert_all_cached(&redis, &trip.database);
    assert_eq!(redis.entries().len(), 3);
}

#[test]
fn a_row_that_the_database_refuses_at_its_commit_is_never_cached() {
    let (trip, redis) = trip();
    trip.database.execute(
        "CREATE TABLE people (uid integer PRIMARY KEY, name text); \
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN RAISE EXCEPTION 'no Bobs'; END $$; \
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON people DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW WHEN (NEW.name = 'Bob') EXECUTE FUNCTION refuse()",
    );

    let summary = trip.run(&cached(&redis, UPSERT)).expect_code(0).summary();

    assert_eq!(summary["rows"]["quarantined"], 1);
    assert_eq!(redis.entries(), [key_of(1), key_of(3)]);
    assert_all_cached(&redis, &trip.database);
}

#[test]
fn every_key_has_its_time_to_live_at_every_moment() {
    // Long names, so that there are several transactions.
    let name = "n".repeat(1000);
    let mut file = String::from("uid,name\n");
    for row in 0..6_000 {
        file.push_str(&[(row % 2_000).to_string().as_str(), ",", &name, "\n"].concat());
    }
    let trip = Trip::new(&[("uid", "integer")], file);
    let redis = Redis::start();
    trip.database.execute("CREATE TABLE people (uid integer PRIMARY KEY, name text)");
    trip.database.slow_inserts("people", 300);
    let rules = cached(&redis, UPSERT) + "[load]\ncommit_bytes = \"64KiB\"\n";
    let mut client = trip.spawn(&rules);

    let mut looks = 0_u64;
    while client.ended().is_none() {
        for key in redis.keys().iter().step_by(37) {
            let left = redis.milliseconds_left(key);
            assert!(left != -1 && left <= 120_000, "{key} has {left} ms left");
            looks += 1;
        }
    }
    client.finish().expect_code(0);

    assert!(looks > 20, "only {looks} looks while it ran");
    assert_eq!(redis.entries().len(), 2_000);
    for key in redis.keys() {
        let left = redis.milliseconds_left(&key);
        assert!((1..=120_000).contains(&left), "{key} has {left} ms left");
    }
}

#[test]
fn an_upsert_refreshes_the_entry() {
    let (trip, redis) = trip();
    let rules = cached(&redis, UPSERT);
    trip.run(&rules).expect_code(0);
    trip.source.append("people.csv", "1,Anna\n2,\n4,Dora\n");

    trip.run(&rules).expect_code(0);

    assert_all_cached(&redis, &trip.database);
    assert_eq!(redis.entry(&key_of(1))["name"], "Anna");
    assert!(!redis.entry(&key_of(2)).contains_key("name"), "a value that became NULL is gone");
}

#[test]
fn a_commit_whose_answer_is_lost_leaves_no_stale_entry() {
    for fate in [Fate::AnswerLost, Fate::CutAtOnce, Fate::Swallowed] {
        let (trip, redis) = trip();
        trip.run(&cached(&redis, UPSERT)).expect_code(0);
        trip.source.append("people.csv", "1,Anna\n2,Rob\n");
        let Database { port, name, .. } = &trip.database;
        let loss = Loss { of: Commits::WithRows, passes: 0, fate };
        let proxy = Proxy::losing_commits(&format!("127.0.0.1:{port}"), vec![loss]);
        let url = format!("postgres://postgres@127.0.0.1:{}/{name}?sslmode=disable", proxy.port());
        let job = trip.job(&cached(&redis, UPSERT));
        let text = std::fs::read_to_string(&job).unwrap().replace(&trip.database.url, &url);
        let job = write_job(&trip.source.path(""), &text);

        finish(client(["run", "--json"]).arg(job)).expect_code(0);

        assert_eq!(proxy.losses_left(), 0, "{fate:?}");
        assert_fresh(&redis, &trip.database);
        let names = "SELECT string_agg(name, ' ' ORDER BY uid) FROM people";
        assert_eq!(trip.database.value(names), "Anna Rob");
    }
}

#[test]
fn rows_that_are_replayed_are_cached_too() {
    let (trip, redis) = trip();
    let strict = "[[column]]\nname = \"name\"\ncheck = [{ one_of = [\"Ann\"] }]\n";
    let rules = cached(&redis, UPSERT);
    trip.run(&[rules.as_str(), strict].concat()).expect_code(0);
    assert_eq!(redis.entries(), [key_of(1), key_of(3)], "Bob is refused, and NULL is not");

    trip.verb(&["quarantine", "replay"], &rules).expect_code(0);

    assert_all_cached(&redis, &trip.database);
    assert_eq!(redis.entries().len(), 3);
}

#[test]
fn who_is_forgotten_is_forgotten_by_the_cache_too() {
    let file = "uid,email\n1,ann@x.example\n2,bob@x.example\n3,ann@x.example\n";
    let trip = Trip::new(&[("uid", "integer")], file);
    let mut redis = Redis::start();
    let hashed = "[[column]]\nname = \"email\"\npii = \"hash\"\n";
    let rules = cached(&redis, UPSERT) + hashed;
    trip.run(&rules).expect_code(0);
    assert_eq!(redis.entries().len(), 3);
    let token = |uid: u32| {
        let sql = format!("SELECT encode(email, 'hex') FROM people WHERE uid = {uid}");
        trip.database.value(&sql)
    };
    let forget = |token: &str| {
        trip.verb(&["pii", "forget", "--column", "email", "--token", token], &rules).expect_code(0)
    };
    let (ann, bob) = (token(1), token(2));

    forget(&ann);

    assert_eq!(redis.entries(), [key_of(2)]);
    assert!(!redis.dump().contains(&ann), "{}", redis.dump());
    assert_all_cached(&redis, &trip.database);

    redis.kill();
    let told = forget(&bob).expect_text("redis");
    let has_ttl = told.text().contains("2m") || told.text().contains("120");
    assert!(has_ttl, "for how long it may still be served:\n{}", told.text());
    assert_eq!(trip.database.count("people"), 0, "all the same");
}

#[test]
fn a_table_that_is_replaced_leaves_nothing_of_the_old_one_and_all_of_others() {
    let trip = Trip::new(&[("uid", "integer")], PEOPLE);
    let redis = Redis::start();
    // Characters that mean something in a pattern of keys.
    let table = |target: &str| target.replace("\"people\"", "'public.\"peo*[e]?\"'");
    trip.run(&cached(&redis, &table(UPSERT))).expect_code(0);
    let old = redis.entries();
    assert_eq!(old.len(), 3, "{old:?}");
    let others: Vec<String> = old.iter().map(|key| key.replace("peo*[e]?", "peoxxex")).collect();
    assert_ne!(old, others);
    for key in &others {
        redis.command(&["HSET", key, "name", "of another table"]);
    }
    trip.source.write("people.csv", "uid,name\n1,Anna\n4,Dora\n");

    trip.run(&cached(&redis, &table(REPLACE))).expect_code(0);

    assert_eq!(trip.database.count("\"peo*[e]?\""), 2);
    for key in &old {
        let entry = redis.entry(key);
        let is_new = key.ends_with(":1") && entry.get("name").is_some_and(|name| name == "Anna");
        assert!(entry.is_empty() || is_new, "{key}: {entry:?}");
    }
    for key in &others {
        assert_eq!(redis.entry(key).len(), 1, "{key}");
    }
}

#[test]
fn a_cache_that_cannot_work_is_refused_before_a_row_moves() {
    let (trip, redis) = trip();
    let keyless = "[[target]]\ntable = \"people\"\ncreate = true\ncache = true\n";
    let ttl = |ttl: &str| redis.settings(ttl) + UPSERT;
    let refused = [
        (cached(&redis, keyless), "key"),
        (UPSERT.to_owned(), "[cache]"),
        (ttl("0s"), "ttl"),
        (ttl("31d"), "ttl"),
        (format!("[cache]\nurl = \"http://127.0.0.1\"\nttl = \"2m\"\n{UPSERT}"), "redis://"),
    ];
    for (rules, word) in refused {
        trip.run(&rules).expect_code(2).expect_text(word);
        assert_eq!(trip.database.count("people"), 0);
    }
    assert_eq!(redis.keys(), [""; 0]);
}
