//! A mended job replays what it refused: rows that pass now are loaded once, and the accounts move with them.

mod races;
mod refused;
mod unique;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::hosts::{Outcome, Server, Source, client, finish, write_job};
use crate::postgres::{Database, NULL};

const TARGET: &str = "[[target]]\ntable = \"public.orders\"\ncreate = true\n\
    [load]\nmax_rejects = \"100%\"\n";
/// Refuses all orders but new ones.
const ONLY_NEW: &str = "[[column]]\nname = \"status\"\ncheck = [{ one_of = [\"new\"] }]\n";
/// Rows 2, 3, 4 and 6 are not new, row 5 has no number.
const ORDERS: &str = "id,status,note\n1,new,a\n2,lost,b\n3,lost,c\n4,odd,d\nx,new,e\n5,lost,f\n";

/// Orders at the source, and the database that they are loaded into.
struct Orders {
    source: Source,
    server: Server,
    database: Database,
}

impl Orders {
    fn new(columns: &[(&str, &str)], file: &str) -> Self {
        let source = Source::with_dataset("orders", columns);
        source.write("a.csv", file);
        source.write("pii.key", "a key of more than thirty-two bytes for replays\n");
        let server = source.start();
        Self { source, server, database: Database::create() }
    }

    /// Writes a job with these rules, targets and limits.
    fn job(&self, rules: &str) -> PathBuf {
        let (database, server) = (&self.database.url, self.server.url());
        let text = format!(
            "name = \"orders\"\n[database]\nurl = \"{database}\"\n\
             [source]\nurl = \"{server}\"\ndataset = \"orders\"\n{rules}"
        );
        write_job(&self.source.path(""), &text)
    }

    /// Runs the job with these rules and the usual target.
    fn run(&self, rules: &str) -> Value {
        let job = self.job(&[rules, TARGET].concat());
        finish(client(["run", "--json"]).arg(job)).expect_code(0).summary()
    }

    /// A replay of the job with these rules and the usual target.
    fn command(&self, rules: &str, flags: &[&str]) -> Command {
        let mut command = client(["quarantine", "replay", "--json"]);
        command.arg(self.job(&[rules, TARGET].concat())).args(flags);
        command
    }

    fn replay(&self, rules: &str, flags: &[&str]) -> Outcome {
        finish(&mut self.command(rules, flags))
    }

    /// Checks what a replay says that became of the rows.
    #[track_caller]
    fn assert_replay(&self, rules: &str, loaded: u64, filtered: u64, still_refused: u64) {
        let report = self.replay(rules, &[]).expect_code(0).summary();
        let found = ["replayed", "loaded", "filtered", "still_refused"].map(|name| &report[name]);
        let sum = loaded + filtered + still_refused;
        assert_eq!(found, [&json!(sum), &json!(loaded), &json!(filtered), &json!(still_refused)]);
    }

    /// Checks the accounts in the ledger, and that `status` tells the same of the one run.
    #[track_caller]
    fn assert_accounts(&self, loaded: u64, quarantined: u64, filtered: u64) {
        let read = loaded + quarantined + filtered;
        let stored = self.database.rows(
            "SELECT sum(end_row - start_row), sum(loaded_rows), sum(quarantined_rows), \
             sum(filtered_rows) FROM ferry.split",
        );
        assert_eq!(stored, [[read, loaded, quarantined, filtered].map(|rows| rows.to_string())]);
        let waiting = "SELECT count(*) FROM ferry.quarantine WHERE state <> 'replayed'";
        assert_eq!(self.database.number(waiting), quarantined);
        let mut status = client(["status", "--json", "--name", "orders"]);
        let status = finish(status.args(["--database", &self.database.url])).expect_code(0);
        let rows = json!({
            "read": read, "loaded": loaded, "quarantined": quarantined, "filtered": filtered,
        });
        assert_eq!(status.summary()["runs"][0]["rows"], rows);
    }

    fn ids(&self) -> String {
        self.database
            .value("SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), '') FROM orders")
    }

    /// Every row that a replay can change, as text.
    fn standing(&self) -> Vec<Vec<String>> {
        self.database.rows(
            "SELECT o::text FROM orders AS o UNION ALL SELECT q::text FROM ferry.quarantine AS q \
             UNION ALL SELECT s::text FROM ferry.split AS s \
             UNION ALL SELECT c::text FROM ferry.claim AS c ORDER BY 1",
        )
    }

    /// Number of a refused row of `a.csv` in quarantine.
    fn quarantine_id(&self, row_number: u64) -> String {
        self.database.value(&format!(
            "SELECT quarantine_id FROM ferry.quarantine JOIN ferry.file USING (file_id) \
             WHERE name = 'a.csv' AND row_number = {row_number}"
        ))
    }

    /// Refused rows: row number, state, and every reason as `code column`.
    fn refused(&self) -> Vec<Vec<String>> {
        self.database.rows(
            "SELECT row_number, state, \
             (SELECT string_agg(concat_ws(' ', r ->> 'code', r ->> 'column'), ', ') \
             FROM jsonb_array_elements(reasons) AS r) \
             FROM ferry.quarantine ORDER BY file_id, row_number",
        )
    }
}

#[test]
fn rows_that_pass_now_are_loaded_and_the_accounts_close() {
    let orders = Orders::new(&[("id", "integer")], ORDERS);
    let rows = json!({ "read": 6, "loaded": 1, "quarantined": 5, "filtered": 0 });
    assert_eq!(orders.run(ONLY_NEW)["rows"], rows);
    let mended = ONLY_NEW.replace("\"new\"", "\"new\", \"lost\"");
    let mended = format!("{mended}[transform]\nfilter = \"note <> 'c'\"\n");

    orders.assert_replay(&mended, 2, 1, 2);

    let stored = orders.database.rows("SELECT id, status, note FROM orders ORDER BY id");
    assert_eq!(stored, [["1", "new", "a"], ["2", "lost", "b"], ["5", "lost", "f"]]);
    let states = [
        ["2", "replayed", "not_listed status"],
        ["3", "replayed", "not_listed status"],
        ["4", "open", "not_listed status"],
        ["5", "open", "bad_integer id"],
        ["6", "replayed", "not_listed status"],
    ];
    assert_eq!(orders.refused(), states);
    let settled = "SELECT bool_and((state = 'replayed') = (settled_at IS NOT NULL)) \
                   FROM ferry.quarantine";
    assert_eq!(orders.database.value(settled), "t");
    orders.assert_accounts(3, 2, 1);

    orders.assert_replay(&mended, 0, 0, 2);
    assert_eq!(orders.ids(), "1 2 5");
    assert_eq!(orders.refused(), states);
    orders.assert_accounts(3, 2, 1);
    let again = orders.run(&mended);
    assert_eq!(again["state"], "nothing_new", "what was replayed is not loaded by a run");
    assert_eq!(orders.ids(), "1 2 5");
}

#[test]
fn a_row_that_is_refused_again_stays_open_with_its_new_reasons() {
    let orders = Orders::new(&[("id", "integer")], ORDERS);
    orders.run(ONLY_NEW);
    let other = "[[column]]\nname = \"status\"\ncheck = [{ length = { max = 3 } }]\n\
                 [[column]]\nname = \"note\"\ncheck = [{ one_of = [\"a\", \"b\", \"d\"] }]\n";

    let report = orders.replay(other, &[]).expect_code(0).summary();

    let rejects = json!([
        { "code": "too_long", "column": "status", "count": 3 },
        { "code": "bad_integer", "column": "id", "count": 1 },
    ]);
    assert_eq!(report["rejects"], rejects);
    let states = [
        ["2", "open", "too_long status"],
        ["3", "open", "too_long status, not_listed note"],
        ["4", "replayed", "not_listed status"],
        ["5", "open", "bad_integer id, not_listed note"],
        ["6", "open", "too_long status, not_listed note"],
    ];
    assert_eq!(orders.refused(), states);
    let first = "SELECT stage, code, column_name, settled_at FROM ferry.quarantine \
                 WHERE row_number = 3";
    assert_eq!(orders.database.rows(first), [["check", "too_long", "status", NULL]]);
    orders.assert_accounts(2, 4, 0);
}

#[test]
fn a_clean_rule_that_was_missing_lets_rows_through() {
    let file = "id,day\n1,2024-01-01\n2,n/a\n3,2024-13-03\n";
    let orders = Orders::new(&[("id", "integer"), ("day", "date")], file);
    orders.run("");

    orders.assert_replay(
        "[[column]]\nname = \"day\"\nclean = [{ null_words = [\"n/a\"] }]\n",
        1,
        0,
        1,
    );

    let stored = orders.database.rows("SELECT id, day FROM orders ORDER BY id");
    assert_eq!(stored, [["1", "2024-01-01"], ["2", NULL]]);
    assert_eq!(orders.refused()[1], ["3", "open", "bad_date day"]);
    orders.assert_accounts(2, 1, 0);
}

#[test]
fn a_wider_table_takes_what_did_not_fit() {
    let file = "id,amount,note\n1,1.50,abc\n3000000000,2.50,abc\n3,123.45,abc\n4,1.00,abcd\n";
    let orders = Orders::new(&[("id", "bigint")], file);
    orders
        .database
        .execute("CREATE TABLE orders (id integer, amount numeric(4,2), note varchar(3))");
    orders.run("");
    orders.assert_accounts(1, 3, 0);
    orders.database.execute("ALTER TABLE orders ALTER id TYPE bigint, ALTER note TYPE text");

    orders.assert_replay("", 2, 0, 1);

    let stored = orders.database.rows("SELECT id, amount, note FROM orders ORDER BY id");
    let expected = [["1", "1.50", "abc"], ["4", "1.00", "abcd"], ["3000000000", "2.50", "abc"]];
    assert_eq!(stored, expected);
    assert_eq!(orders.refused()[1], ["3", "open", "out_of_range amount"]);
    orders.assert_accounts(3, 1, 0);
}

#[test]
fn neighbours_and_single_rows_come_back_as_they_are() {
    let count: u32 = 1400;
    let header = "id,status,note\n";
    let (mut file, mut oracle) = (header.to_owned(), header.to_owned());
    for id in 1..=count {
        // Alone, in pairs, in long rows, at both ends; more than a step of a replay takes.
        let is_refused = id % 7 < 3 || id.is_multiple_of(11) || id == 1 || id > count - 100;
        let status = if is_refused { "lost" } else { "new" };
        let record = format!("{id},{status},\"line one\nline \"\"{id}\"\", Zoë\"\n");
        // Blank lines are no records.
        write!(file, "{}{record}", if id.is_multiple_of(5) { "\n" } else { "" }).unwrap();
        oracle.push_str(&record);
    }
    let orders = Orders::new(&[("id", "integer")], &file);
    orders.source.write("oracle.txt", oracle);
    let quarantined = orders.run(ONLY_NEW)["rows"]["quarantined"].as_u64().unwrap();
    assert!(quarantined > 500, "{quarantined} refused rows are one step");

    orders.assert_replay("", quarantined, 0, 0);

    orders.database.execute("CREATE TABLE oracle (id integer, status text, note text)");
    orders.database.copy("oracle", &orders.source.path("oracle.txt"));
    orders.database.assert_same_rows("TABLE orders", "TABLE oracle");
    orders.assert_accounts(u64::from(count), 0, 0);
}

#[test]
fn all_targets_get_the_row_or_none() {
    let orders =
        Orders::new(&[("id", "integer")], "id,name,city\n1,Ann,Rome\n2,Bob,n/a\n3,,Oslo\n");
    orders.database.execute("CREATE TABLE users (id integer, name text)");
    orders.database.execute("CREATE TABLE places (id integer, city text NOT NULL)");
    let targets = "[[target]]\ntable = \"public.users\"\ncolumns = [\"id\", \"name\"]\n\
                   [[target]]\ntable = \"public.places\"\ncolumns = [\"id\", \"city\"]\n\
                   [load]\nmax_rejects = \"100%\"\n";
    let only_rome = "[[column]]\nname = \"city\"\ncheck = [{ one_of = [\"Rome\"] }]\n";
    let no_city = "[[column]]\nname = \"city\"\nclean = [{ null_words = [\"n/a\"] }]\n";
    let job = |rules: &str| orders.job(&[rules, targets].concat());
    finish(client(["run"]).arg(job(only_rome))).expect_code(0);

    let mut command = client(["quarantine", "replay", "--json"]);
    let report = finish(command.arg(job(no_city))).expect_code(0).summary();

    assert_eq!((&report["loaded"], &report["still_refused"]), (&json!(1), &json!(1)));
    let rows = |table: &str| orders.database.rows(&format!("SELECT * FROM {table} ORDER BY id"));
    assert_eq!(rows("users"), [["1", "Ann"], ["3", NULL]]);
    assert_eq!(rows("places"), [["1", "Rome"], ["3", "Oslo"]]);
    assert_eq!(orders.refused()[0], ["2", "open", "null_value city"]);
    orders.assert_accounts(2, 1, 0);
}

#[test]
fn only_the_rows_that_are_named_are_replayed() {
    let orders = Orders::new(&[("id", "integer")], ORDERS);
    orders.source.write("b.csv", "id,status,note\n11,lost,g\n12,odd,h\n");
    orders.run(ONLY_NEW);
    let (two, four) = (orders.quarantine_id(2), orders.quarantine_id(4));
    let mut discard = client(["quarantine", "discard", "--ids", &four, "--database"]);
    finish(discard.arg(&orders.database.url)).expect_code(0);

    orders.replay("", &["--file", "b.csv"]).expect_code(0);
    assert_eq!(orders.ids(), "1 11 12");
    let ids = format!("{two},{four},99");
    let report = orders.replay("", &["--ids", &ids]).expect_code(0).summary();
    assert_eq!((&report["loaded"], &report["not_open"]), (&json!(1), &json!(2)));
    assert_eq!(orders.ids(), "1 2 11 12", "a discarded row is left alone");
    orders.replay("", &["--code", "bad_integer"]).expect_code(0);
    orders.replay("", &["--column", "id", "--run", "1"]).expect_code(0);
    orders.replay("", &["--run", "2"]).expect_code(0);
    assert_eq!(orders.ids(), "1 2 11 12");
    orders.replay("", &[]).expect_code(0);
    assert_eq!(orders.ids(), "1 2 3 5 11 12");
    assert_eq!(orders.refused()[2], ["4", "discarded", "not_listed status"]);
    orders.assert_accounts(6, 2, 0);
}

#[test]
fn a_file_that_was_rewritten_or_is_gone_is_named_and_nothing_changes() {
    let orders = Orders::new(&[("id", "integer")], ORDERS);
    orders.run(ONLY_NEW);
    let before = orders.standing();
    let assert_refused = || {
        let outcome = orders.replay("", &[]).expect_code(7).expect_text("a.csv");
        assert_eq!(outcome.summary()["replayed"], 0);
        assert_eq!(orders.standing(), before);
    };

    orders.source.write("a.csv", ORDERS.replace("1,new", "1,NEW"));
    assert_refused();
    orders.source.write("b.csv", "id,status,note\n");
    std::fs::remove_file(orders.source.path("a.csv")).unwrap();
    assert_refused();

    orders.source.write("a.csv", format!("{ORDERS}6,new,later\n"));
    orders.assert_replay("", 4, 0, 1);
    assert_eq!(orders.ids(), "1 2 3 4 5", "what was added is left to the next run");
}

#[test]
fn a_dataset_without_any_file_is_an_error_of_the_source() {
    let orders = Orders::new(&[("id", "integer")], ORDERS);
    orders.run(ONLY_NEW);
    std::fs::remove_file(orders.source.path("a.csv")).unwrap();
    orders.replay("", &[]).expect_code(7);
    orders.assert_accounts(1, 5, 0);
}

#[test]
fn a_check_that_stops_a_run_stops_a_replay() {
    let orders = Orders::new(&[("id", "integer")], ORDERS);
    orders.run(ONLY_NEW);
    let before = orders.standing();
    let strict = format!("{ONLY_NEW}on_fail = \"fail\"\n");
    orders.replay(&strict, &[]).expect_code(5).expect_text("row 2 of a.csv");
    assert_eq!(orders.standing(), before);
}

const PEOPLE: &str = "id,email,status\n1,ann@x.example,new\n2,ann@x.example,lost\n";
const KEY_FILE: &str = "[pii]\nkey_file = \"pii.key\"\n";
const HASHED: &str = "[[column]]\nname = \"email\"\npii = \"hash\"\n";

#[test]
fn a_job_that_no_longer_hashes_a_column_or_has_another_key_is_refused() {
    let orders = Orders::new(&[("id", "integer")], PEOPLE);
    orders.database.execute("CREATE TABLE orders (id integer, email text, status text)");
    orders.run(&[KEY_FILE, HASHED, ONLY_NEW].concat());
    let before = orders.database.dump();

    let declared = HASHED.replace("hash", "none");
    for unhashed in ["", KEY_FILE, &[KEY_FILE, &declared].concat()] {
        orders.replay(unhashed, &[]).expect_code(2).expect_text("email");
    }
    let key = std::fs::read(orders.source.path("pii.key")).unwrap();
    orders.source.write("pii.key", "another key of more than thirty-two bytes for replays\n");
    let hashed = [KEY_FILE, HASHED].concat();
    orders.replay(&hashed, &[]).expect_code(2).expect_text("another key");
    assert!(orders.database.dump() == before, "something changed");

    orders.source.write("pii.key", key);
    orders.assert_replay(&hashed, 1, 0, 0);
    let people = "SELECT count(*), count(DISTINCT email), min(length(email)) FROM orders";
    assert_eq!(orders.database.rows(people), [["2", "1", "64"]]);
    assert!(!orders.database.dump().contains("x.example"), "a raw e-mail is in the database");
}

/// More streams than a connection forgives if each is dropped before its end.
#[test]
fn thousands_of_scattered_rows_are_replayed_over_one_connection() {
    let mut file = "id,status,note\n".to_owned();
    for id in 0..2400 {
        let status = if id % 2 == 0 { "new" } else { "lost" };
        let _ = writeln!(file, "{id},{status},x");
    }
    let orders = Orders::new(&[("id", "integer")], &file);
    orders.run(ONLY_NEW);
    orders.assert_replay("", 1200, 0, 0);
    assert_eq!(orders.database.count("orders"), 2400);
}
