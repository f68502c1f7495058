//! A run in the middle of what an API gave, and another answer: what is lost holds nothing up, and what a run must not mix it does not mix.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::api::{Api, Paging, Trouble};
use crate::gate;
use crate::hosts::{Outcome, Process, Server, Source, client, wait_for, write_job};
use crate::postgres::Database;

const COUNT: u64 = 20;
const PAGE: usize = 5;
const SINCE: &str = "[dataset.incremental]\nparameter = \"since\"\ncolumn = \"id\"\n";
const UNIQUE: &str = "[[column]]\nname = \"id\"\ncheck = [\"unique\"]\n";
const UPSERT: &str =
    "[[target]]\ntable = \"people\"\ncreate = true\nmode = \"upsert\"\nkey = [\"id\"]\n";
const REPLACE: &str = "[[target]]\ntable = \"people\"\ncreate = true\nmode = \"replace\"\n";
/// Whoever is called Cleo waits at the gate.
const BARRIER: &str = "ALTER TABLE people ADD CONSTRAINT waits CHECK (name <> 'Cleo' OR held_up())";

/// An API, both hosts, and the database.
struct Hosts {
    api: Api,
    source: Source,
    /// Ends with this.
    _server: Server,
    database: Database,
    job: PathBuf,
}

/// People who are all called the same.
fn people(name: &str) -> Vec<Value> {
    (1..=COUNT).map(|id| json!({"id": id, "name": name})).collect()
}

/// Makes each statement that inserts take so many seconds.
fn dawdling(seconds: u32) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$"
    )
}

/// Everybody is called Ann. More settings of the dataset, and the rules of the job.
fn hosts(dataset: &str, rules: &str) -> Hosts {
    let api = Api::start(Paging::Number, PAGE, people("Ann"));
    let source = Source::new(&format!(
        "[[dataset]]\nname = \"people\"\nkind = \"http_json\"\nurl = \"{}\"\nrecords = \"{}\"\n\
         [dataset.http]\nrequests_per_second = 1000.0\nretries = 0\n\
         [dataset.columns]\nid = \"bigint\"\nname = \"text\"\n{}{dataset}",
        api.url(),
        api.paging().records(),
        api.pages(),
    ));
    let (server, database) = (source.start(), Database::create());
    let text = format!(
        "name = \"people\"\n[database]\nurl = \"{}\"\n[source]\nurl = \"{}\"\ndataset = \"people\"\n{rules}",
        database.url,
        server.url(),
    );
    let job = write_job(&source.path(""), &text);
    Hosts { api, job, database, _server: server, source }
}

/// Everybody is loaded as Ann; a run that was to make it Bob was killed. A job with these rules.
fn killed(rules: &str) -> Hosts {
    let hosts = hosts("", &[rules, UPSERT].concat());
    hosts.run().expect_code(0);
    hosts.api.set_records(people("Bob"));
    hosts.database.slow_inserts("people", 1);
    hosts.database.execute(&dawdling(4));
    let mut process = hosts.spawn();
    wait_for("the run", 30, || {
        let running = "SELECT count(*) FROM ferry.run WHERE state = 'running'";
        (hosts.database.number(running) > 0).then_some(())
    });
    process.kill();
    hosts.database.execute(&dawdling(0));
    assert_eq!(hosts.names(), "Ann", "it was killed too late");
    hosts
}

/// The same, and the pages are gone too.
fn lost() -> Hosts {
    let killed = killed("");
    fs::remove_dir_all(killed.source.path(".ferry-spool")).unwrap();
    killed
}

/// One client is in the middle of loading everybody as Cleo, when another, which
/// asked before it and got everybody as `name`, enters its run. Both end well.
fn two_at_once(hosts: &Hosts, name: &str) {
    hosts.api.set_records(people(name));
    let _ = hosts.api.take_requests();
    hosts.api.trouble(1, Trouble::Held, 1);
    let second = hosts.spawn();
    wait_for("the page that is held", 30, || (!hosts.api.requests().is_empty()).then_some(()));
    hosts.api.set_records(people("Cleo"));
    let first = hosts.spawn();
    gate::wait_there(&hosts.database);
    hosts.api.set_records(people(name));
    hosts.api.mend();
    wait_for("the second client", 30, || second.stderr().contains("run opened").then_some(()));
    gate::open(&hosts.database);
    first.finish().expect_code(0);
    second.finish().expect_code(0);
}

impl Hosts {
    fn spawn(&self) -> Process {
        Process::spawn(client(["run", "--json"]).arg(&self.job))
    }

    fn run(&self) -> Outcome {
        self.spawn().finish()
    }

    fn names(&self) -> String {
        self.database.value("SELECT string_agg(DISTINCT name, ' ' ORDER BY name) FROM people")
    }
}

#[test]
fn pages_that_are_gone_give_way_to_what_the_api_gives_now() {
    let lost = lost();
    lost.api.set_records(people("Cleo"));

    let summary = lost.run().expect_code(0).summary();

    assert_eq!(lost.names(), "Cleo");
    assert_eq!(summary["problems"], json!([]));
    let states = lost.database.rows("SELECT DISTINCT state FROM ferry.run");
    assert_eq!(states, [["finished"]]);
    let left = "SELECT count(*) FROM ferry.split WHERE NOT done";
    assert_eq!(lost.database.number(left), 0);
}

#[test]
fn pages_that_are_gone_are_waited_for_while_the_api_does_not_give_everything() {
    let lost = lost();
    lost.api.set_records(people("Cleo"));
    lost.api.trouble(2, Trouble::Status(404), u32::MAX);

    lost.run().expect_code(7).expect_text("FETCH_FAILED");

    let left = "SELECT count(*) FROM ferry.split WHERE NOT done";
    assert!(lost.database.number(left) > 0, "nothing is given up");
    lost.api.mend();
    lost.run().expect_code(0);
    assert_eq!(lost.names(), "Cleo");
}

#[test]
fn records_of_another_answer_are_no_duplicates() {
    let killed = killed(UNIQUE);
    killed.api.set_records(people("Cleo"));

    for name in ["Bob", "Cleo"] {
        // The run that was killed goes on with what it had; what is new has a run of its own.
        killed.run().expect_code(0);
        assert_eq!(killed.names(), name);
        assert_eq!(killed.database.count("ferry.quarantine"), 0);
    }
}

#[test]
fn who_comes_second_with_the_same_answer_takes_nothing_back() {
    let hosts = hosts(SINCE, &[UNIQUE, UPSERT].concat());
    hosts.database.execute("CREATE TABLE people (id bigint PRIMARY KEY, name text)");
    gate::build(&hosts.database, BARRIER);

    two_at_once(&hosts, "Cleo");

    assert_eq!(hosts.database.count("people"), COUNT);
    let watermark = hosts.database.value("SELECT max(value) FROM ferry.watermark");
    assert_eq!(watermark, COUNT.to_string(), "all of it was loaded");
}

#[test]
fn a_table_is_replaced_by_one_answer() {
    let hosts = hosts("", REPLACE);
    hosts.run().expect_code(0);
    gate::build(&hosts.database, BARRIER);

    two_at_once(&hosts, "Bob");

    assert_eq!(hosts.names(), "Cleo");
    assert_eq!(hosts.database.count("people"), COUNT);
    hosts.api.set_records(people("Dora"));
    hosts.run().expect_code(0);
    assert_eq!(hosts.names(), "Dora");
    assert_eq!(hosts.database.count("people"), COUNT);
}

#[test]
fn what_a_reload_did_not_reach_is_asked_for_again() {
    let hosts = hosts(SINCE, UPSERT);
    hosts.run().expect_code(0);
    hosts.database.execute("TRUNCATE people");
    hosts.api.trouble(3, Trouble::Status(404), u32::MAX);
    let reload = Process::spawn(client(["run", "--reload"]).arg(&hosts.job));
    reload.finish().expect_code(7).expect_text("FETCH_FAILED");
    hosts.api.mend();
    let _ = hosts.api.take_requests();

    hosts.run().expect_code(0);

    let asked = hosts.api.take_requests();
    assert!(asked.iter().all(|asked| asked.parameter("since").is_none()), "{asked:?}");
    assert_eq!(hosts.database.count("people"), COUNT);
    let watermark = hosts.database.value("SELECT max(value) FROM ferry.watermark");
    assert_eq!(watermark, COUNT.to_string(), "all of it was loaded");
}
