//! What becomes of the members of a record: columns with types, documents, and refusals by index and column.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{APPEND, Fetching, HTTP, STORED, people};
use crate::api::{Api, Paging, Trouble};
use crate::hosts::{client, finish};
use crate::postgres::NULL;

const KINDS: &str = r#"[
 {"id": 1, "name": "tab\tand \u00e9 \ud83d\ude00", "address": {"city": "Rome",
   "coordinates": {"lat": 1.5e0}}, "tags": {"b": 1, "a": [1, 2]}},
 {"id": 2, "name": null, "address": null, "tags": null},
 {"id":3},
 {"address":{"city":false},"tags":"word","name":true,"id":"4"},
 {"id": 5, "name": 12.50, "tags": 0.10, "updated_at": "2024-02-03T04:05:06+02:00"},
 {"id": 9223372036854775807, "name": ""}
]"#;
/// The first and the last are good.
const REFUSED: &str = r#"[ {"id": 1, "name": "good", "address": {"city": "Rome"}} ,
 {"id": "one", "address": {"coordinates": {"lat": "north"}}},
 "no object", {"id": 4, "name": ["a"]} ,{"id": 5, "id": 6},
 {"id": 7, "name": "a\u0000b"}, {"id": 8.5, "tags": [1]},
 {"id": 9, "name": "]}, {\"id\": 10"} ]"#;
const ALL_MAY_BE_REFUSED: &str = "[load]\nmax_rejects = \"100%\"\n";

fn of_document(document: &'static str) -> Fetching {
    let api = Api::start(Paging::Once, 1, Vec::new());
    api.trouble(1, Trouble::Body(document), u32::MAX);
    Fetching::new(api, "", HTTP)
}

#[test]
fn members_become_columns_of_their_types() {
    let fetching = of_document(KINDS);

    fetching.run(APPEND).expect_code(0);

    let stored = fetching.database.rows(&format!("{STORED} ORDER BY id"));
    let tags = r#"{"a": [1, 2], "b": 1}"#;
    let expected = [
        ["1", "tab\tand é 😀", "Rome", "1.5", tags, NULL],
        ["2", NULL, NULL, NULL, NULL, NULL],
        ["3", NULL, NULL, NULL, NULL, NULL],
        ["4", "true", "false", NULL, "\"word\"", NULL],
        ["5", "12.50", NULL, NULL, "0.10", "2024-02-03 02:05:06+00"],
        ["9223372036854775807", "", NULL, NULL, NULL, NULL],
    ];
    assert_eq!(stored, expected);
}

#[test]
fn an_array_that_nobody_declared_is_a_document_and_an_object_becomes_columns() {
    let api = Api::start(Paging::Once, 1, Vec::new());
    let document = r#"[{"id":1,"a":{"b":{"c":"deep"}},"list":[{"d":1}]},{"id":2,"more":"x"}]"#;
    api.trouble(1, Trouble::Body(document), u32::MAX);
    let mut fetching = Fetching::new(api, "", HTTP);
    // Without any declaration.
    let undeclared = format!(
        "[[dataset]]\nname = \"people\"\nkind = \"http_json\"\nurl = \"{}\"\n",
        fetching.api.url()
    );
    fetching.source.write("server.toml", undeclared);
    fetching.server = super::start_at(&fetching.source, "127.0.0.1:0");

    fetching.run(APPEND).expect_code(0);

    let columns = fetching.database.columns("people");
    let expected = [("id", "text"), ("a_b_c", "text"), ("list", "jsonb"), ("more", "text")];
    assert_eq!(columns, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
    let stored = fetching.database.rows("SELECT * FROM people ORDER BY id");
    assert_eq!(stored, [["1", "deep", r#"[{"d": 1}]"#, NULL], ["2", NULL, NULL, "x"]]);
}

#[test]
fn a_refused_record_is_named_by_its_index_its_place_and_every_column() {
    let fetching = of_document(REFUSED);

    let rules = [APPEND, ALL_MAY_BE_REFUSED].concat();
    let summary = fetching.run(&rules).expect_code(0).summary();

    assert_eq!((&summary["rows"]["loaded"], &summary["rows"]["read"]), (&2.into(), &8.into()));
    let refused = fetching.database.rows(
        "SELECT row_number, stage, (
             SELECT string_agg(concat_ws(' ', r ->> 'code', r ->> 'column'), ', ' ORDER BY n)
             FROM jsonb_array_elements(reasons) WITH ORDINALITY AS listed (r, n))
         FROM ferry.quarantine ORDER BY row_number",
    );
    let expected = [
        ["2", "read", "bad_integer id, bad_number address_coordinates_lat"],
        ["3", "read", "not_an_object"],
        ["4", "read", "not_a_scalar name"],
        ["5", "read", "duplicate_field id"],
        ["6", "read", "nul_byte name"],
        ["7", "read", "bad_integer id"],
    ];
    assert_eq!(refused, expected);
    assert_eq!(
        fetching.database.value("SELECT string_agg(id::text, ' ' ORDER BY id) FROM people"),
        "1 9"
    );
    let page = fs::read(&fetching.spooled()[0]).unwrap();
    let records: Vec<Value> = serde_json::from_str(REFUSED).unwrap();
    for row in
        fetching.database.rows("SELECT row_number, byte_start, byte_end FROM ferry.quarantine")
    {
        let [number, start, end] = [0, 1, 2].map(|place| row[place].parse::<usize>().unwrap());
        let text = String::from_utf8(page[start..end].to_vec()).unwrap();
        let text = text.trim_end_matches([',', ' ', '\n']);
        let record: Value =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(record, records[number - 1]);
    }
}

#[test]
fn a_record_that_is_nested_too_deep_is_refused_alone() {
    let mut records = people(1..=12);
    // The record itself is the first level.
    records[3]["tags"] = nested(127);
    records[6]["tags"] = nested(128);
    records[9]["name"] = nested(300);
    let api = Api::start(Paging::Number, 5, records.clone());
    let fetching = Fetching::new(api, "", HTTP);

    let rules = [APPEND, ALL_MAY_BE_REFUSED].concat();
    let summary = fetching.run(&rules).expect_code(0).summary();

    assert_eq!((&summary["rows"]["loaded"], &summary["rows"]["read"]), (&10.into(), &12.into()));
    let refused = fetching.database.rows(
        "SELECT substr(name, 1, 11), row_number, reasons -> 0 ->> 'code'
         FROM ferry.quarantine JOIN ferry.file USING (file_id) ORDER BY 1, 2",
    );
    assert_eq!(refused, [["page-000002", "2", "too_deep"], ["page-000002", "5", "too_deep"]]);
    records.remove(9);
    records.remove(6);
    fetching.assert_holds(&records);
}

/// So many arrays, one in the other.
fn nested(depth: u32) -> Value {
    (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]))
}

#[test]
fn a_refused_record_is_replayed_from_its_page_after_the_settings_were_mended() {
    let mut fetching = of_document(REFUSED);
    let rules = [APPEND, ALL_MAY_BE_REFUSED].concat();
    fetching.run(&rules).expect_code(0);
    // The API has forgotten them; the page is still there.
    fetching.api.mend();
    fetching.api.set_records(people(20..=21));

    fetching.mend("null = [\"north\", \"one\"]\n", HTTP);
    let mut command = client(["quarantine", "replay", "--json"]);
    let report = finish(command.arg(fetching.job(&rules))).expect_code(0).summary();

    assert_eq!(report["loaded"], 1, "{report}");
    let stored = "SELECT count(*) FROM people WHERE id IS NULL AND address_coordinates_lat IS NULL";
    assert_eq!(fetching.database.number(stored), 1);
    let settled = "SELECT row_number FROM ferry.quarantine WHERE state = 'replayed'";
    assert_eq!(fetching.database.value(settled), "2");
}

#[test]
fn a_column_that_no_record_has_is_refused_with_its_name() {
    let fetching = Fetching::of(Paging::Number, 5, 7);
    let rules = format!("columns = [\"id\", \"nmae\"]\n{APPEND}");

    let outcome = fetching.run(&rules);

    assert_ne!(outcome.code, Some(0), "{}", outcome.text());
    outcome.expect_text("nmae").expect_text("name");
    assert_eq!(fetching.database.count("people"), 0);
}

#[test]
fn what_show_says_to_type_in_the_spool_prints_the_refused_record() {
    let fetching = of_document(REFUSED);
    fetching.run(&[APPEND, ALL_MAY_BE_REFUSED].concat()).expect_code(0);
    let number = "SELECT quarantine_id FROM ferry.quarantine WHERE row_number = 3";
    let id = fetching.database.value(number);
    let mut show = client(["quarantine", "show", &id, "--database", &fetching.database.url]);

    let shown = finish(&mut show).expect_code(0).expect_text("the source's spool").stdout;

    let line = shown.lines().rfind(|line| !line.trim().is_empty()).unwrap();
    let page = &fetching.spooled()[0];
    let mut shell = Command::new("/bin/sh");
    let printed = shell.args(["-c", line]).current_dir(page.parent().unwrap()).output().unwrap();
    let text = String::from_utf8(printed.stdout).unwrap();
    let record: Value = serde_json::from_str(text.trim_end_matches([',', ' ', '\n'])).unwrap();
    let records: Vec<Value> = serde_json::from_str(REFUSED).unwrap();
    assert_eq!(record, records[2], "{line}");
}
