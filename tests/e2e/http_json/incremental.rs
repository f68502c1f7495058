//! Only what is new is asked for, and loaded once: the greatest value so far is remembered when all of a run is there.

use serde_json::{Value, json};

use super::{APPEND, Fetching, HTTP, UPSERT, one, people, person, problems};
use crate::api::{Api, Asked, Paging, Trouble};
use crate::postgres::NULL;

const SIZE: usize = 5;
const SINCE: &str =
    "[dataset.incremental]\nparameter = \"updated_since\"\ncolumn = \"updated_at\"\n";

fn fetching(count: u64, more: &str) -> Fetching {
    let api = Api::start(Paging::Cursor, SIZE, people(1..=count));
    Fetching::new(api, "", &format!("{SINCE}{more}{HTTP}"))
}

/// What was asked for in each request of the last run.
#[track_caller]
fn since(asked: &[Asked]) -> Option<String> {
    let first = asked[0].parameter("updated_since").map(str::to_owned);
    let is_same = |asked: &Asked| asked.parameter("updated_since") == first.as_deref();
    assert!(asked.iter().all(is_same), "{asked:?}");
    first
}

fn updated_at(id: u64) -> Option<String> {
    person(id)["updated_at"].as_str().map(str::to_owned)
}

/// What the ledger remembers.
fn remembered(fetching: &Fetching) -> Option<String> {
    let value = fetching.database.value("SELECT max(value) FROM ferry.watermark");
    (value != NULL).then_some(value)
}

#[test]
fn each_run_asks_for_what_came_after_the_one_before() {
    let fetching = fetching(23, "");

    fetching.run(UPSERT).expect_code(0);
    assert_eq!(since(&fetching.asked()), None);
    assert_eq!(remembered(&fetching), updated_at(23));

    fetching.run(UPSERT).expect_code(0);
    assert_eq!(since(&fetching.asked()), updated_at(23));
    fetching.assert_holds(&people(1..=23));

    fetching.api.set_records(people(1..=31));
    let summary = fetching.run(UPSERT).expect_code(0).summary();
    let asked = fetching.asked();
    assert_eq!((since(&asked), asked.len()), (updated_at(23), 2));
    assert_eq!(summary["rows"]["read"], 9, "the last one again, and eight new ones");
    fetching.assert_holds(&people(1..=31));
    assert_eq!(remembered(&fetching), updated_at(31));

    let reload = fetching.run_with(&["--reload"], UPSERT).expect_code(0).summary();
    assert_eq!(since(&fetching.asked()), None, "a reload begins at the beginning");
    assert!(reload["rows"]["read"].as_u64().unwrap() >= 31, "{reload}");
    fetching.assert_holds(&people(1..=31));
}

#[test]
fn the_first_run_begins_where_the_settings_say() {
    let initial = updated_at(20).unwrap();
    let fetching = fetching(23, &format!("initial = \"{initial}\"\n"));

    fetching.run(UPSERT).expect_code(0);

    assert_eq!(since(&fetching.asked()), Some(initial));
    fetching.assert_holds(&people(20..=23));
}

#[test]
fn a_run_that_lacks_a_page_does_not_move_it() {
    let fetching = fetching(5, "");
    fetching.run(UPSERT).expect_code(0);
    assert_eq!(remembered(&fetching), updated_at(5));
    fetching.asked();
    fetching.api.set_records(people(1..=23));
    fetching.api.trouble(3, Trouble::Status(404), u32::MAX);

    let outcome = fetching.run(UPSERT).expect_code(7);

    assert_eq!(problems(&outcome.summary()), one("page-000003"));
    fetching.assert_holds(&people(1..=14));
    assert_eq!(remembered(&fetching), updated_at(5), "what lies between would be lost");
    fetching.api.mend();
    fetching.asked();
    fetching.run(UPSERT).expect_code(0);
    assert_eq!(since(&fetching.asked()), updated_at(5));
    fetching.assert_holds(&people(1..=23));
    assert_eq!(remembered(&fetching), updated_at(23));
}

#[test]
fn a_run_that_is_not_finished_does_not_move_it() {
    let fetching = fetching(5, "");
    let strict = [UPSERT, "[load]\nmax_rejects = \"0\"\n"].concat();
    fetching.run(&strict).expect_code(0);
    let mut records = people(1..=9);
    records[7]["address"]["coordinates"]["lat"] = json!("north");
    fetching.api.set_records(records.clone());

    fetching.run(&strict).expect_code(5);

    assert_eq!(remembered(&fetching), updated_at(5));
    let tolerant = [UPSERT, "[load]\nmax_rejects = \"100%\"\n"].concat();
    fetching.run(&tolerant).expect_code(0);
    records.remove(7);
    fetching.assert_holds(&records);
    assert_eq!(remembered(&fetching), updated_at(9));
}

#[test]
fn the_greatest_value_counts_wherever_it_stands_and_nothing_that_is_none() {
    let mut records = people(1..=9);
    records.reverse();
    records[3]["updated_at"] = Value::Null;
    records[4]["updated_at"] = json!("soon");
    let api = Api::start(Paging::Number, SIZE, records);
    let fetching = Fetching::new(api, "", &format!("{SINCE}{HTTP}"));

    fetching.run(UPSERT).expect_code(0);

    assert_eq!(remembered(&fetching), updated_at(9));
    assert_eq!(fetching.database.count("people"), 8, "\"soon\" is no time");
}

#[test]
fn the_same_answer_again_loads_nothing() {
    for rules in [APPEND, UPSERT] {
        let fetching = Fetching::of(Paging::Offset, SIZE, 23);
        fetching.run(rules).expect_code(0);
        fetching.asked();

        let summary = fetching.run(rules).expect_code(0).summary();

        assert_eq!(summary["state"], "nothing_new");
        assert_eq!(fetching.asked().len(), 5, "it did ask");
        fetching.assert_holds(&people(1..=23));
        assert_eq!(fetching.database.count("ferry.file"), 5);
    }
}

#[test]
fn a_page_that_changed_updates_rows_where_there_is_a_key() {
    let fetching = Fetching::of(Paging::Cursor, SIZE, 23);
    fetching.run(UPSERT).expect_code(0);
    let mut records = people(1..=25);
    records[6]["name"] = json!("renamed");
    fetching.api.set_records(records.clone());

    let summary = fetching.run(UPSERT).expect_code(0).summary();

    assert_eq!(summary["rows"]["read"], 10, "the second page and the last");
    fetching.assert_holds(&records);
    assert_eq!(fetching.run(UPSERT).expect_code(0).summary()["state"], "nothing_new");
}

#[test]
fn without_a_key_a_changed_page_adds_its_rows_and_a_warning_says_so() {
    let fetching = Fetching::of(Paging::Cursor, SIZE, 8);
    fetching.run(APPEND).expect_code(0).expect_text("again");
    fetching.api.set_records(people(1..=9));

    fetching.run(APPEND).expect_code(0);

    let all = [people(1..=8), people(6..=9)].concat();
    fetching.assert_holds(&all);
}

#[test]
fn a_part_of_the_rows_replaces_no_table() {
    let fetching = fetching(8, "");
    fetching.database.execute(
        "CREATE TABLE people (id bigint, name text, address_city text, \
         address_coordinates_lat double precision, tags jsonb, updated_at timestamptz); \
         INSERT INTO people (id) VALUES (7)",
    );

    let outcome = fetching.run("[[target]]\ntable = \"people\"\nmode = \"replace\"\n");

    assert!(matches!(outcome.code, Some(2 | 7)), "{}", outcome.text());
    outcome.expect_text("replace").expect_text("incremental");
    assert_eq!(fetching.database.rows("SELECT id FROM people"), [["7"]]);
}
