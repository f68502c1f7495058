//! A file that cannot be read, or not to its end, is named with its reason, and all others are loaded.

mod archive;
mod gone;
mod order;

use serde_json::{Value, json};

use crate::stages::Trip;

const APPEND: &str = "[[target]]\ntable = \"people\"\ncreate = true\n";
const REPLACE: &str = "[[target]]\ntable = \"people\"\nmode = \"replace\"\n";
/// A header that names one column twice.
const BAD_HEADER: &str = "uid,uid\n9,9\n";

/// Two people in a file that can be read, and another file that cannot.
fn trip() -> Trip {
    let trip = Trip::new(&[("uid", "integer")], "uid,name\n1,Ann\n2,Bob\n");
    trip.source.write("broken.csv", BAD_HEADER);
    trip
}

/// Files that could not be read, each with its reason.
fn problems(summary: &Value) -> Vec<(String, String)> {
    let word = |problem: &Value, name: &str| problem[name].as_str().unwrap().to_owned();
    let told = summary["problems"].as_array().unwrap().iter();
    told.map(|problem| (word(problem, "file"), word(problem, "reason"))).collect()
}

/// One such file.
fn one(file: &str, reason: &str) -> Vec<(String, String)> {
    vec![(file.to_owned(), reason.to_owned())]
}

#[test]
fn a_file_whose_header_cannot_be_used_leaves_the_others() {
    let trip = trip();

    let outcome = trip.run(APPEND).expect_code(7).expect_text("broken.csv");

    let summary = outcome.summary();
    assert_eq!(
        (&summary["state"], &summary["error"]["code"]),
        (&json!("finished"), &json!("files_unreadable"))
    );
    assert_eq!(problems(&summary), one("broken.csv", "BAD_HEADER"));
    assert_eq!(summary["rows"]["loaded"], 2);
    assert_eq!(trip.database.count("people"), 2);
    assert_eq!(trip.database.value("SELECT state FROM ferry.run"), "finished");

    let again = trip.run(APPEND).expect_code(7).summary();
    assert_eq!(again["state"], "nothing_new");
    assert_eq!(problems(&again), one("broken.csv", "BAD_HEADER"));
    let shown = trip.verb(&["run"], APPEND).expect_code(7);
    assert!(shown.stdout.contains("BAD_HEADER"), "{}", shown.text());
    trip.verb(&["plan"], APPEND).expect_code(0).expect_text("broken.csv");

    trip.source.write("broken.csv", "uid,name\n3,Cleo\n");
    let mended = trip.run(APPEND).expect_code(0).summary();
    assert_eq!((&mended["rows"]["loaded"], &mended["problems"]), (&json!(1), &json!([])));
    assert_eq!(trip.database.count("people"), 3);
}

#[test]
fn where_no_file_can_be_read_each_is_named_and_nothing_is_made() {
    let trip = Trip::new(&[("uid", "integer")], "");
    trip.source.write("broken.csv", BAD_HEADER);

    let summary = trip.run(APPEND).expect_code(7).summary();

    assert_eq!(problems(&summary), one("broken.csv", "BAD_HEADER"));
    assert_eq!(
        (&summary["run_id"], &summary["error"]["code"]),
        (&json!(null), &json!("files_unreadable"))
    );
    trip.verb(&["plan"], APPEND).expect_code(7).expect_text("broken.csv");
    assert_eq!(trip.database.value("SELECT to_regclass('people') IS NULL"), "t");

    trip.source.write("broken.csv", "uid,name\n3,Cleo\n");
    trip.run(APPEND).expect_code(0);
    assert_eq!(trip.database.rows("TABLE people"), [["3", "Cleo"]]);
}

#[test]
fn a_table_is_not_replaced_by_a_part_of_its_rows() {
    let trip = trip();
    trip.database.execute("CREATE TABLE people (uid integer, name text)");
    trip.database.execute("INSERT INTO people VALUES (7, 'old')");

    let outcome = trip.run(REPLACE).expect_code(7).expect_text("broken.csv");

    let summary = outcome.summary();
    assert_eq!(summary["error"]["code"], "files_unreadable");
    assert_eq!(problems(&summary), one("broken.csv", "BAD_HEADER"));
    assert_eq!(trip.database.rows("TABLE people"), [["7", "old"]]);
    assert_eq!(trip.database.value("SELECT to_regclass('ferry.run') IS NULL"), "t");
    trip.verb(&["plan"], REPLACE).expect_code(7).expect_text("broken.csv");

    trip.source.write("broken.csv", "uid,name\n3,Cleo\n");
    trip.run(REPLACE).expect_code(0);
    assert_eq!(trip.database.count("people"), 3);
}

#[test]
fn what_is_gone_is_not_given_up_where_that_means_nothing() {
    let trip = trip();
    trip.database.execute("CREATE TABLE people (uid integer, name text)");
    let give_up = |flags: &[&str], rules: &str| {
        let words = [&["run", "--json", "--give-up-missing"][..], flags].concat();
        trip.verb(&words, rules).expect_code(2).expect_text("--give-up-missing")
    };
    give_up(&[], REPLACE).expect_text("replace");
    give_up(&["--run", "current"], APPEND).expect_text("--run current");
    give_up(&["--join-only"], APPEND);
}
