//! Counters of hits and misses, and an end in order: requests are answered, runs stop between two batches.

use serde_json::Value;

use super::{RULES, Served};
use crate::gate;
use crate::hosts::wait_for;
use crate::redis::Redis;
use crate::stages::Trip;
use crate::web::Web;

/// Sum of a counter over all of its labels.
fn counted(web: &Web, name: &str) -> u64 {
    let text = web.ask("GET", "/metrics", &[], "").expect(200).body;
    let is_own =
        |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let values = text.lines().filter(is_own).map(|line| line.rsplit(' ').next().unwrap());
    values.map(|value| value.parse::<u64>().unwrap_or_else(|_| panic!("{value}:\n{text}"))).sum()
}

#[test]
fn hits_misses_and_errors_of_the_cache_are_counted() {
    let trip = Trip::new(&[("uid", "integer")], "uid,name\n1,Ann\n2,Bob\n");
    let mut redis = Redis::start();
    let target = "[[target]]\ntable = \"people\"\ncreate = true\nmode = \"upsert\"\n\
        key = [\"uid\"]\ncache = true\n";
    let rules = redis.settings("2m") + target;
    trip.run(&rules).expect_code(0);
    redis.command(&["DEL", "ferry:people:public.people:2"]);
    let web = Web::start(&[trip.job(&rules)]);

    for _ in 0..3 {
        web.record("public.people", &["1"]).expect(200);
    }
    web.record("public.people", &["2"]).expect(200);
    web.record("public.people", &["77"]).expect(404);

    assert_eq!(counted(&web, "ferry_cache_hits_total"), 3);
    assert_eq!(counted(&web, "ferry_cache_misses_total"), 2);
    assert_eq!(counted(&web, "ferry_cache_errors_total"), 0);
    let text = web.ask("GET", "/metrics", &[], "").expect(200).body;
    let labelled = text.lines().any(|line| {
        line.starts_with("ferry_cache_hits_total{")
            && line.contains("job=\"people\"")
            && line.contains("table=\"public.people\"")
    });
    assert!(labelled, "{text}");
    redis.kill();
    web.record("public.people", &["1"]).expect(200);
    assert!(counted(&web, "ferry_cache_errors_total") > 0);
    assert_eq!(counted(&web, "ferry_cache_hits_total"), 3);
}

#[test]
fn a_stop_ends_streams_and_a_run_in_order() {
    let served = Served::unloaded();
    let database = &served.trip.database;
    database
        .execute("CREATE TABLE users (uid integer PRIMARY KEY, email text, name text, note text)");
    gate::build(
        database,
        "CREATE TRIGGER held BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION public.hold_up()",
    );
    served.web.post("/jobs/people/runs", &Value::Null).expect(202);
    gate::wait_there(database);
    let run_id = served.wait_for_state("running")["run_id"].as_u64().unwrap();
    let mut events = served.web.events(&format!("/runs/{run_id}/events"));
    assert!(events.next().is_some());

    served.web.process.signal("TERM");
    gate::open(database);
    let Served { trip, web } = served;
    web.process.finish_within(30).expect_code(0);

    let stored = trip.database.count("users");
    assert!(stored == 0 || stored == 17, "a part of a batch: {stored}");
    let summary = trip.run(RULES).expect_code(0).summary();
    assert!(["finished", "nothing_new"].contains(&summary["state"].as_str().unwrap()));
    assert_eq!(trip.database.count("users"), 17);
    assert_eq!(trip.database.count("ferry.quarantine"), 3);
    let alive = "SELECT count(*) FROM ferry.worker WHERE left_at IS NULL";
    assert_eq!(trip.database.number(alive), 0, "nobody left without taking leave");
}

#[test]
fn an_interrupt_ends_it_at_once_if_nothing_is_under_way() {
    let served = Served::loaded();
    served.web.get("/jobs").expect(200);
    served.web.process.signal("INT");
    let Served { trip, web } = served;
    let address = web.address().to_owned();
    web.process.finish_within(20).expect_code(0);
    wait_for("the port to be free", 5, || std::net::TcpListener::bind(&address).ok());
    let backends = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name LIKE 'ferry%'";
    wait_for("its connections to go", 20, || (trip.database.number(backends) == 0).then_some(()));
}

#[test]
fn what_cannot_be_served_is_refused_at_the_start() {
    let trip = Trip::new(&[("uid", "integer")], "uid,name\n1,Ann\n");
    let finish = |arguments: &[&str]| {
        crate::hosts::finish(&mut crate::hosts::client([&["serve"][..], arguments].concat()))
    };
    finish(&["--listen", "127.0.0.1:0"]).expect_code(2).expect_text("job");
    let job = trip.job("[[target]]\ntable = \"people\"\ncreate = true\n");
    let job = job.to_str().unwrap();
    finish(&["--listen", "127.0.0.1:0", "nowhere.toml"]).expect_code(2).expect_text("nowhere.toml");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let outcome = finish(&["--listen", &address, job]);
    assert_ne!(outcome.code, Some(0));
    outcome.expect_text(&address);
    finish(&["--listen", "127.0.0.1:0", job, job]).expect_code(2).expect_text("people");
}
