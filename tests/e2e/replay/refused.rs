//! A replay loads what PostgreSQL takes: a row that it refuses stays in quarantine alone, and nothing is doubled.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::json;

use super::unique::UNIQUE_ID;
use super::{ONLY_NEW, ORDERS, Orders};
use crate::hosts::{Random, client, finish};
use crate::postgres::NULL;

/// Orders 1 to `count`; [`ONLY_NEW`] refuses all but the first.
fn numbered(count: u64) -> String {
    let mut file = String::from("id,status,note\n1,new,note 1\n");
    for id in 2..=count {
        writeln!(file, "{id},lost,note {id}").unwrap();
    }
    file
}

/// Orders of which [`ONLY_NEW`] has refused some.
fn refused_orders(file: &str) -> Orders {
    let orders = Orders::new(&[("id", "integer")], file);
    orders.run(ONLY_NEW);
    orders
}

/// Raises an exception for each order with a note; `how` ends the statement.
fn raise_for(orders: &Orders, note: &str, how: &str) {
    orders.database.execute(&format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.note = '{note}' THEN RAISE EXCEPTION 'got %', NEW.status || '!' {how}; END IF; \
         RETURN NEW; END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION refuse()"
    ));
}

#[test]
fn one_row_among_many_that_repeats_a_key_stays_behind_alone() {
    let count = 700;
    let orders = refused_orders(&numbered(count).replace("\n300,lost", "\n1,lost"));
    orders.database.execute("CREATE UNIQUE INDEX orders_id ON orders (id)");
    let record = "SELECT record FROM ferry.quarantine WHERE row_number = 300";
    let before = orders.database.value(record);

    let outcome = orders.replay("", &[]).expect_code(0).expect_text("orders_id");

    let report = outcome.summary();
    assert_eq!((&report["loaded"], &report["still_refused"]), (&json!(698), &json!(1)));
    let reject = json!({ "code": "sqlstate_23505", "column": null, "count": 1 });
    assert_eq!(report["rejects"], json!([reject]));
    let row = "SELECT row_number, stage, code, column_name, settled_at \
               FROM ferry.quarantine WHERE state = 'open'";
    let expected = ["300", "load", "sqlstate_23505", NULL, NULL];
    assert_eq!(orders.database.rows(row), [expected]);
    assert_eq!(orders.refused()[298], ["300", "open", "sqlstate_23505"]);
    assert_eq!(orders.database.value(record), before, "the record stays as it was");
    orders.assert_accounts(count - 1, 1, 0);

    orders.database.execute("DROP INDEX orders_id");
    orders.assert_replay("", 1, 0, 0);
    orders.database.execute("CREATE TABLE oracle (id integer, status text, note text)");
    orders.database.copy("oracle", &orders.source.path("a.csv"));
    orders.database.assert_same_rows("TABLE orders", "TABLE oracle");
    orders.assert_accounts(count, 0, 0);
}

#[test]
fn rows_that_break_a_check_stay_beside_those_that_the_job_refuses_or_filters() {
    let orders = refused_orders(ORDERS);
    orders
        .database
        .execute("ALTER TABLE orders ADD CONSTRAINT fine CHECK (note NOT IN ('b', 'f'))");
    let without_c = "[transform]\nfilter = \"note <> 'c'\"\n";

    let outcome = orders.replay(without_c, &[]).expect_code(0).expect_text("fine");

    let said = outcome.stderr.matches("PostgreSQL refuses a row").count();
    assert_eq!(said, 1, "a constraint is named once:\n{}", outcome.stderr);
    let states = [
        ["2", "open", "sqlstate_23514"],
        ["3", "replayed", "not_listed status"],
        ["4", "replayed", "not_listed status"],
        ["5", "open", "bad_integer id"],
        ["6", "open", "sqlstate_23514"],
    ];
    assert_eq!(orders.refused(), states);
    assert_eq!(orders.ids(), "1 4");
    orders.assert_accounts(2, 3, 1);

    orders.assert_replay(without_c, 0, 0, 3);
    assert_eq!(orders.refused(), states);
    orders.assert_accounts(2, 3, 1);
    orders.database.execute("ALTER TABLE orders DROP CONSTRAINT fine");
    orders.assert_replay(without_c, 2, 0, 1);
    assert_eq!(orders.ids(), "1 2 4 5");
    orders.assert_accounts(4, 1, 1);
}

#[test]
fn any_rows_may_be_bad_and_all_others_are_loaded_once() {
    let mut random = Random::from_environment("any_rows_may_be_bad");
    let count = 120;
    let bad: BTreeSet<u64> = (0..8).map(|_| 2 + random.below(count - 1)).collect();
    let listed: Vec<String> = bad.iter().map(u64::to_string).collect();
    let orders = refused_orders(&numbered(count));
    let check = format!("CHECK (id NOT IN ({}))", listed.join(", "));
    orders.database.execute(&format!("ALTER TABLE orders ADD {check}"));
    let refused = bad.len() as u64;

    orders.assert_replay("", count - 1 - refused, 0, refused);

    let good = (1..=count).filter(|id| !bad.contains(id));
    let good: Vec<String> = good.map(|id| id.to_string()).collect();
    assert_eq!(orders.ids(), good.join(" "));
    let open = "SELECT string_agg(row_number::text, ', ' ORDER BY row_number) \
                FROM ferry.quarantine WHERE state = 'open' AND code = 'sqlstate_23514'";
    assert_eq!(orders.database.value(open), listed.join(", "));
    orders.assert_accounts(count - refused, refused, 0);
}

#[test]
fn a_step_without_any_good_row_comes_to_its_end() {
    let orders = refused_orders(ORDERS);
    orders.database.execute("ALTER TABLE orders ADD CHECK (status = 'new')");
    orders.assert_replay("", 0, 0, 5);
    let codes = "SELECT code, count(*) FROM ferry.quarantine GROUP BY 1 ORDER BY 1";
    assert_eq!(orders.database.rows(codes), [["bad_integer", "1"], ["sqlstate_23514", "4"]]);
    orders.assert_accounts(1, 5, 0);
}

#[test]
fn of_two_replayed_rows_with_one_key_the_first_is_loaded() {
    let orders = refused_orders(&ORDERS.replace("5,lost", "2,lost"));
    orders.database.execute("CREATE UNIQUE INDEX ON orders (id)");
    orders.assert_replay("", 3, 0, 2);
    let stored = orders.database.rows("SELECT id, note FROM orders ORDER BY id");
    assert_eq!(stored, [["1", "a"], ["2", "b"], ["3", "c"], ["4", "d"]]);
    assert_eq!(orders.refused()[4], ["6", "open", "sqlstate_23505"]);
    orders.assert_accounts(4, 2, 0);
}

#[test]
fn a_row_for_which_a_trigger_raises_stays_behind_and_its_message_is_not_shown() {
    let orders = refused_orders(ORDERS);
    raise_for(&orders, "d", "");

    let outcome = orders.replay("", &["--log-level", "debug"]).expect_code(0).expect_text("P0001");

    assert!(!outcome.text().contains("odd!"), "it shows a value:\n{}", outcome.text());
    assert_eq!(orders.ids(), "1 2 3 5");
    assert_eq!(orders.refused()[2], ["4", "open", "sqlstate_p0001"]);
    orders.assert_accounts(4, 2, 0);
    orders.database.execute("DROP TRIGGER refuse ON orders");
    orders.replay("", &["--code", "sqlstate_p0001"]).expect_code(0);
    assert_eq!(orders.ids(), "1 2 3 4 5");
    orders.assert_accounts(5, 1, 0);
}

#[test]
fn trouble_that_is_not_of_a_row_stops_the_replay_and_changes_nothing() {
    let orders = refused_orders(ORDERS);
    raise_for(&orders, "d", "USING ERRCODE = 'disk_full'");
    let before = orders.standing();
    let outcome = orders.replay("", &[]).expect_code(8).expect_text("53100");
    let report = outcome.summary();
    assert_eq!(report["error"]["code"], "database_refused");
    assert_eq!(report["replayed"], 0);
    assert_eq!(orders.standing(), before);
}

#[test]
fn a_constraint_that_waits_for_the_commit_refuses_its_row_alone() {
    let orders = refused_orders(ORDERS);
    orders.database.execute(
        "CREATE TABLE notes (note text PRIMARY KEY); \
         INSERT INTO notes VALUES ('a'), ('b'), ('c'), ('f'); \
         ALTER TABLE orders ADD FOREIGN KEY (note) REFERENCES notes DEFERRABLE INITIALLY DEFERRED",
    );
    orders.assert_replay("", 3, 0, 2);
    assert_eq!(orders.ids(), "1 2 3 5");
    assert_eq!(orders.refused()[2], ["4", "open", "sqlstate_23503"]);
    orders.assert_accounts(4, 2, 0);
    orders.database.execute("INSERT INTO notes VALUES ('d')");
    orders.assert_replay("", 1, 0, 1);
    orders.assert_accounts(5, 1, 0);
}

#[test]
fn a_row_that_one_target_refuses_is_in_none() {
    let file = "id,name,city\n1,Ann,Rome\n2,Bob,Oslo\n3,Cat,Bonn\n4,Dan,Kyiv\n";
    let orders = Orders::new(&[("id", "integer")], file);
    orders.database.execute(
        "CREATE TABLE users (id integer, name text); \
         CREATE TABLE places (id integer, city text CHECK (city <> 'Bonn'))",
    );
    let targets = "[[target]]\ntable = \"public.users\"\ncolumns = [\"id\", \"name\"]\n\
                   [[target]]\ntable = \"public.places\"\ncolumns = [\"id\", \"city\"]\n\
                   [load]\nmax_rejects = \"100%\"\n";
    let only_rome = "[[column]]\nname = \"city\"\ncheck = [{ one_of = [\"Rome\"] }]\n";
    finish(client(["run"]).arg(orders.job(&[only_rome, targets].concat()))).expect_code(0);

    let mut command = client(["quarantine", "replay", "--json"]);
    let report = finish(command.arg(orders.job(targets))).expect_code(0).summary();

    assert_eq!((&report["loaded"], &report["still_refused"]), (&json!(2), &json!(1)));
    let rows = |table: &str| orders.database.rows(&format!("SELECT * FROM {table} ORDER BY id"));
    assert_eq!(rows("users"), [["1", "Ann"], ["2", "Bob"], ["4", "Dan"]]);
    assert_eq!(rows("places"), [["1", "Rome"], ["2", "Oslo"], ["4", "Kyiv"]]);
    assert_eq!(orders.refused()[1], ["3", "open", "sqlstate_23514"]);
    orders.assert_accounts(3, 1, 0);
}

#[test]
fn a_row_that_postgresql_refuses_holds_its_unique_value() {
    let file = "id,status,note\n1,new,a\n7,lost,bad\n8,lost,c\n7,lost,d\n9,lost,e\n";
    let orders = Orders::new(&[("id", "integer")], file);
    orders.run(&[UNIQUE_ID, ONLY_NEW].concat());
    orders.database.execute("ALTER TABLE orders ADD CONSTRAINT fine CHECK (note <> 'bad')");
    let claimed =
        || orders.database.value("SELECT sum(octet_length(entries)) / 24 FROM ferry.claim");

    orders.assert_replay(UNIQUE_ID, 2, 0, 2);

    assert_eq!(orders.ids(), "1 8 9");
    assert_eq!(orders.refused()[0], ["2", "open", "sqlstate_23514"]);
    assert_eq!(orders.refused()[2], ["4", "open", "duplicate id"]);
    assert_eq!(claimed(), "4");
    orders.assert_replay(UNIQUE_ID, 0, 0, 2);
    orders.database.execute("ALTER TABLE orders DROP CONSTRAINT fine");
    orders.assert_replay(UNIQUE_ID, 1, 0, 1);
    assert_eq!(orders.database.value("SELECT note FROM orders WHERE id = 7"), "bad");
    assert_eq!(orders.ids(), "1 7 8 9");
    assert_eq!(claimed(), "4", "a value is claimed once");
    orders.assert_accounts(4, 1, 0);
}
