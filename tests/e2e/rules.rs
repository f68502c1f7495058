//! What a job's checks, expressions and limits decide about rows, and when its rules may change.

mod unique;

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::hosts::Outcome;
use crate::postgres::NULL;
use crate::stages::Trip;

const TARGET: &str = "[[target]]\ntable = \"people\"\ncreate = true\n";
/// Small steps, so that a run can be in the middle of its file.
const SMALL_STEPS: &str = "[load]\ncommit_bytes = \"64KiB\"\nsplit_bytes = \"64KiB\"\n";

/// Checks the accounts of a run: loaded, quarantined and filtered rows, and their sum.
#[track_caller]
fn assert_accounts(outcome: &Outcome, loaded: u64, quarantined: u64, filtered: u64) {
    let read = loaded + quarantined + filtered;
    let expected = json!({
        "read": read, "loaded": loaded, "quarantined": quarantined, "filtered": filtered,
    });
    assert_eq!(outcome.summary()["rows"], expected);
}

#[test]
fn a_value_that_fails_becomes_null_where_its_column_says_so() {
    let trip = Trip::new(
        &[("uid", "integer"), ("age", "integer")],
        "uid,status,age\n1,new,5\n2,odd,5\n3,odd,-1\n4,none,5\n5,,5\n",
    );

    let outcome = trip.run(&format!(
        "[[column]]\nname = \"status\"\ncheck = [{{ one_of = [\"new\"] }}]\non_fail = \"null\"\n\
         [[column]]\nname = \"age\"\ncheck = [{{ min = 0 }}, {{ expr = \"status <> 'none'\" }}]\n\
         {TARGET}"
    ));

    assert_accounts(&outcome.expect_code(0), 3, 2, 0);
    let stored = trip.database.rows("SELECT uid, status, age FROM people ORDER BY uid");
    assert_eq!(stored, [["1", "new", "5"], ["2", NULL, "5"], ["5", NULL, "5"]]);
    let expected = [
        ["3", "check", "not_listed status, below_min age"],
        ["4", "check", "not_listed status, check_failed age"],
    ];
    assert_eq!(trip.refused(), expected, "other rules see the value as it was");
    let kept = trip.database.rows("SELECT record ->> 'status' FROM ferry.quarantine ORDER BY 1");
    assert_eq!(kept, [["none"], ["odd"]]);
}

/// Rows `uid,name,phone` from 1 on; the one in the middle has a text for its uid.
fn people(rows: u32) -> String {
    let mut file = String::from("uid,name,phone\n");
    for uid in 1..=rows {
        let bad = if uid == rows / 2 { "x" } else { "" };
        writeln!(file, "{bad}{uid},name {uid},+1202555{uid:05}").unwrap();
    }
    file
}

#[test]
fn a_check_that_may_not_fail_stops_the_run_there_and_every_time() {
    let trip = Trip::new(&[], people(20_000));
    let rules = format!(
        "[[column]]\nname = \"uid\"\ncheck = [{{ regex = \"^[0-9]+$\" }}]\non_fail = \"fail\"\n\
         {TARGET}{SMALL_STEPS}"
    );

    let first = trip.run(&rules).expect_code(5);

    assert_eq!(first.summary()["error"]["code"], "check_failed");
    let loaded = trip.database.count("people");
    assert!(loaded > 0 && loaded < 10_000, "{loaded} rows before the one that fails");
    assert_accounts(&first, loaded, 0, 0);
    let first = first.expect_text("row 10000 of people.csv").expect_text("no_match");
    let first = first.expect_text("column \"uid\"");
    assert!(!first.text().contains("x10000"), "the value is in: {}", first.text());
    let second = trip.run(&rules).expect_code(5);
    assert_eq!(second.summary()["run_id"], first.summary()["run_id"]);
    assert_accounts(&second, loaded, 0, 0);
    assert_eq!(trip.database.count("people"), loaded);
    assert_eq!(trip.database.count("ferry.quarantine"), 0);
}

#[test]
fn garbage_in_the_middle_of_a_file_stops_the_run_although_it_is_little_of_the_whole() {
    let good = "7,good,+12025550123\n".repeat(50_000);
    let garbage = "garbage,bad,+12025550123\n".repeat(5_000);
    let trip =
        Trip::new(&[("uid", "integer")], ["uid,name,phone\n", &good, &garbage, &good].concat());
    let rules =
        |window: u32| format!("{TARGET}[load]\nmax_rejects = \"10%\"\nreject_window = {window}\n");

    let stopped = trip.run(&rules(5_000)).expect_code(5);

    let summary = stopped.summary();
    assert_eq!(summary["error"]["code"], "rejects_over_limit");
    let account = |name: &str| summary["rows"][name].as_u64().unwrap();
    assert!(account("read") < 55_000, "it was read on: {summary}");
    assert_eq!(account("loaded"), trip.database.count("people"));
    assert_eq!(account("quarantined"), trip.database.count("ferry.quarantine"));
    stopped.expect_text("of the last").expect_text("max_rejects");
    let whole = trip.run(&rules(0)).expect_code(0);
    assert_accounts(&whole, 100_000, 5_000, 0);
}

#[test]
fn a_mistake_in_an_expression_is_marked_before_anything_is_moved() {
    let trip = Trip::new(&[("age", "integer")], "status,age\nnew,1\n");
    let mistakes = [
        ("upper(statos)", "did you mean status?", "  upper(statos)\n        ^^^^^^\n"),
        ("uper(status)", "did you mean upper?", "  uper(status)\n  ^^^^"),
        ("upper(status", "expected", "  upper(status\n              ^\n"),
        ("age = 'x'", "cannot cast", "  age = 'x'\n  ^^^^^^^^^\n"),
    ];
    for (expression, words, mark) in mistakes {
        let rules = format!("[transform]\nset.made = \"{expression}\"\n{TARGET}");
        for verb in ["run", "plan", "preview"] {
            let outcome = trip.verb(&[verb], &rules).expect_code(2);
            let outcome = outcome.expect_text("transform.set.made: ").expect_text(words);
            assert!(outcome.stderr.contains(mark), "{verb}:\n{}", outcome.stderr);
        }
    }
    let outcome = trip.run(&format!("[transform]\nfilter = \"age + 1\"\n{TARGET}")).expect_code(2);
    assert_eq!(outcome.summary()["error"]["code"], "configuration");
    let made = trip.database.rows(
        "SELECT nspname, relname FROM pg_namespace AS n LEFT JOIN pg_class ON relnamespace = n.oid \
         WHERE nspname = 'ferry' OR relname = 'people'",
    );
    assert!(made.is_empty(), "{made:?}");
}

#[test]
fn a_row_whose_expression_fails_is_refused_alone_and_a_filtered_one_is_no_reject() {
    let trip = Trip::new(
        &[("uid", "integer"), ("a", "integer"), ("b", "integer")],
        "uid,a,b,c\n1,10,3,5\n2,10,0,5\n3,10,5,five\n4,1,0,none\n5,2147483647,1,1\n6,10,0,six\n\
         7,,,\n8,0,,7\n",
    );

    let outcome = trip.run(&format!(
        "[transform]\nfilter = \"a <> 1\"\nset.c = \"CAST(c AS integer)\"\nset.ratio = \"a / b\"\n\
         set.twice = \"a + a\"\nset.safe = \"CASE WHEN b = 0 THEN NULL ELSE a / b END\"\n\
         {TARGET}[load]\nmax_rejects = 4\n"
    ));

    // Of row 4 the filter is false, of row 7 it is null.
    assert_accounts(&outcome.expect_code(0), 2, 4, 2);
    let stored = trip.database.rows("SELECT uid, c, ratio, safe, twice FROM people ORDER BY uid");
    assert_eq!(stored, [["1", "5", "3", "3", "20"], ["8", "7", NULL, NULL, "0"]]);
    let failed = |row: &str, columns: &[&str]| {
        let reasons: Vec<String> =
            columns.iter().map(|column| format!("expression_failed {column}")).collect();
        vec![row.to_owned(), "transform".to_owned(), reasons.join(", ")]
    };
    let expected = [
        failed("2", &["ratio"]),
        failed("3", &["c"]),
        failed("5", &["twice"]),
        failed("6", &["c", "ratio"]),
    ];
    assert_eq!(trip.refused(), expected);
}

#[test]
fn documents_of_a_column_can_be_queried_and_broken_ones_are_refused() {
    let trip = Trip::new(
        &[("uid", "integer")],
        "uid,doc,list\n1,\"{\"\"a\"\": {\"\"b\"\": [1, \"\"two\"\"]}}\",\"[10, 20]\"\n\
         2,{broken},[]\n3,{},\"[1, 2\"\n4,,\n",
    );
    trip.database.execute("CREATE TABLE people (uid integer, doc jsonb, list jsonb, made jsonb)");

    let outcome = trip.run(
        "[[column]]\nname = \"list\"\nclean = [\"trim\"]\n\
         [transform]\nset.made = \"concat('{\\\"uid\\\": ', uid, '}')\"\n\
         [[target]]\ntable = \"people\"\n",
    );

    assert_accounts(&outcome.expect_code(0), 2, 2, 0);
    let stored = trip.database.rows(
        "SELECT uid, doc -> 'a' -> 'b' ->> 1, list -> 1, made ->> 'uid', jsonb_typeof(doc) \
         FROM people ORDER BY uid",
    );
    assert_eq!(stored, [["1", "two", "20", "1", "object"], ["4", NULL, NULL, "4", NULL]]);
    let expected = [["2", "read", "bad_json doc"], ["3", "clean", "bad_json list"]];
    assert_eq!(trip.refused(), expected);
}

#[test]
fn a_null_is_judged_by_the_table_after_the_expressions() {
    let trip =
        Trip::new(&[("uid", "integer")], "uid,name,city\n1,Ann,Rome\n2,,Oslo\n3,Bob,\n,Eve,Bonn\n");
    trip.database.execute(
        "CREATE TABLE people (uid integer NOT NULL, name text NOT NULL, city text NOT NULL)",
    );

    let outcome = trip.run(
        "[transform]\nset.name = \"COALESCE(name, 'unknown')\"\n\
         set.city = \"nullif(city, 'Oslo')\"\nset.uid = \"COALESCE(uid, 99)\"\n\
         [[target]]\ntable = \"people\"\n",
    );

    assert_accounts(&outcome.expect_code(0), 2, 2, 0);
    let stored = trip.database.rows("SELECT uid, name, city FROM people ORDER BY uid");
    assert_eq!(stored, [["1", "Ann", "Rome"], ["99", "Eve", "Bonn"]]);
    let expected = [["2", "transform", "null_value city"], ["3", "transform", "null_value city"]];
    assert_eq!(trip.refused(), expected);
}

#[test]
fn columns_are_renamed_dropped_replaced_and_converted_to_those_of_the_table() {
    let trip = Trip::new(
        &[("uid", "integer"), ("number", "integer"), ("small", "integer"), ("day", "date")],
        "uid,number,small,day,old,gone,kept\n1,007,5,2024-02-29,a,b,c\n\
         2,3000000000,5,2024-02-29,d,e,f\n3,1,40000,2024-02-29,g,h,i\n4,1,5,2024-02-29,j,k,lll\n",
    );
    trip.database.execute(
        "CREATE TABLE people (uid bigint, number text, small smallint, day timestamp, new text, \
         kept varchar(3), extra text DEFAULT 'made')",
    );

    let outcome = trip.run(
        "[[column]]\nname = \"number\"\ntype = \"bigint\"\n\
         [[column]]\nname = \"small\"\ntype = \"bigint\"\n\
         [[column]]\nname = \"day\"\ntype = \"date\"\n\
         [transform]\nrename.old = \"new\"\ndrop = [\"gone\"]\n\
         set.kept = \"upper(kept) || gone\"\n[[target]]\ntable = \"people\"\n",
    );

    assert_accounts(&outcome.expect_code(0), 2, 2, 0);
    let stored = trip.database.rows("TABLE people ORDER BY uid");
    let day = "2024-02-29 00:00:00";
    let first = ["1", "7", "5", day, "a", "Cb", "made"];
    assert_eq!(stored, [first, ["2", "3000000000", "5", day, "d", "Fe", "made"]]);
    let expected = [["3", "transform", "out_of_range small"], ["4", "transform", "too_long kept"]];
    assert_eq!(trip.refused(), expected);
}

/// Rules of every kind, for a table that could take the columns of other rules too.
const CHANGING: &str = r#"
[[column]]
name = "name"
clean = ["trim"]
check = [{ length = { max = 40 } }]
on_fail = "null"
[[column]]
name = "uid"
type = "integer"
[[column]]
name = "phone"
pii = "mask"
keep_last = 4
[[check]]
name = "counted"
expr = "uid > 0"
[transform]
filter = "uid <> 3"
set.made = "upper(name)"
rename.name = "called"
[[target]]
table = "people"
columns = ["uid", "called", "phone", "made"]
[load]
commit_bytes = "64KiB"
split_bytes = "64KiB"
"#;

/// A run of these rules that stopped in the middle because of one bad row.
fn unfinished() -> (Trip, Outcome) {
    let trip = Trip::new(&[], people(20_000));
    trip.database.execute(
        "CREATE TABLE people (uid integer, called text, phone text, made text, other text)",
    );
    let outcome = trip.run(&(CHANGING.to_owned() + "max_rejects = 0\n")).expect_code(5);
    let stored = trip.database.count("people");
    assert!(stored > 0 && stored < 19_998, "{stored} rows before the bad one stopped the run");
    (trip, outcome)
}

/// Checks that a run with other rules is refused and changes nothing.
#[track_caller]
fn assert_change_is_refused(trip: &Trip, before: &str, now: &str) {
    let stored = trip.database.count("people");
    let changed = CHANGING.replace(before, now);
    assert_ne!(changed, CHANGING);
    let outcome = trip.run(&(changed + "max_rejects = 1\n"));
    assert_eq!(outcome.code, Some(2), "{before} became {now}:\n{}", outcome.text());
    outcome.expect_text("is not finished");
    assert_eq!(trip.database.count("people"), stored);
}

#[test]
fn rules_that_change_in_the_middle_of_a_run_are_refused_and_later_they_are_taken() {
    let (trip, first) = unfinished();
    let changes = [
        ("\"trim\"", "\"uppercase\""),
        ("max = 40", "max = 50"),
        ("on_fail = \"null\"\n", ""),
        ("pii = \"mask\"\nkeep_last = 4", "pii = \"hash\""),
        ("uid > 0", "uid >= 0"),
        ("\"counted\"", "\"numbered\""),
        ("uid <> 3", "uid <> 4"),
        ("upper(name)", "lower(name)"),
        ("\"called\"", "\"other\""),
        (", \"made\"]", "]"),
    ];
    for (before, now) in changes {
        assert_change_is_refused(&trip, before, now);
    }

    let finished = trip.run(&(CHANGING.to_owned() + "max_rejects = 1\n")).expect_code(0);
    assert_eq!(finished.summary()["run_id"], first.summary()["run_id"], "limits may change");
    assert_accounts(&finished, 19_998, 1, 1);

    trip.source.append("people.csv", "3,three,12\n4,four,12\n");
    let mended = CHANGING.replace("uid <> 3", "uid <> 4").replace("upper(", "lower(");
    assert_accounts(&trip.run(&mended).expect_code(0), 1, 0, 1);
    let made = trip.database.rows("SELECT uid, made FROM people WHERE uid <= 4 ORDER BY uid");
    assert_eq!(made, [["1", "NAME 1"], ["2", "NAME 2"], ["3", "three"], ["4", "NAME 4"]]);
}

#[test]
fn how_much_a_mask_shows_cannot_change_in_the_middle_of_a_run() {
    let (trip, _) = unfinished();
    assert_change_is_refused(&trip, "keep_last = 4", "keep_last = 1");
}

#[test]
fn a_pseudonym_whose_form_does_not_fit_the_table_is_refused_before_a_row_moves() {
    for (form, column_type) in [("hex", "bytea"), ("hex", "varchar(63)"), ("bytea", "text")] {
        let trip = Trip::new(&[], people(4));
        trip.database.execute(&format!("CREATE TABLE people (uid text, phone {column_type})"));
        let outcome = trip.run(&format!(
            "[[column]]\nname = \"phone\"\npii = \"hash\"\nform = \"{form}\"\n\
             [[target]]\ntable = \"people\"\ncolumns = [\"uid\", \"phone\"]\n"
        ));

        assert_eq!(outcome.code, Some(8), "{form} to {column_type}:\n{}", outcome.text());
        assert_eq!(outcome.summary()["run_id"], Value::Null, "a run was begun");
        outcome.expect_text("\"phone\"").expect_text("form");
    }
}
