//! `drift = "evolve"`: the table follows the source as far as no value is lost and nobody is exposed.

use super::{appear, assert_stops, declare, loaded, rules, vanish};
use crate::hosts::Source;
use crate::postgres::{Database, NULL};
use crate::stages::Trip;

/// Columns of the table, as `name type`.
fn columns(trip: &Trip) -> Vec<String> {
    let columns = trip.database.columns("people");
    columns.iter().map(|(name, column_type)| format!("{name} {column_type}")).collect()
}

fn people(trip: &Trip) -> Vec<Vec<String>> {
    trip.database.rows("SELECT * FROM people ORDER BY uid")
}

#[test]
fn a_column_that_appears_is_added_and_old_rows_have_none() {
    let mut trip = loaded();
    appear(&mut trip);

    trip.run(&rules("evolve")).expect_code(0);

    assert_eq!(columns(&trip), ["uid integer", "name text", "city text"]);
    let mut expected =
        vec![["1", "Ann", NULL], ["2", "Bob", NULL], ["3", "Cleo", "Oslo"], ["4", "Dora", NULL]];
    assert_eq!(people(&trip), expected);

    // The first file still lacks the column.
    trip.source.append("people.csv", "5,Eve\n");
    trip.run(&rules("evolve")).expect_code(0);
    expected.push(["5", "Eve", NULL]);
    assert_eq!(people(&trip), expected);
    assert_eq!(trip.run(&rules("evolve")).expect_code(0).summary()["state"], "nothing_new");

    // What was followed is no drift any more.
    trip.source.write("third.csv", "uid,name,city\n6,Ida,Bern\n");
    trip.run(&rules("freeze")).expect_code(0);
    expected.push(["6", "Ida", "Bern"]);
    assert_eq!(people(&trip), expected);
}

#[test]
fn a_column_that_appears_gets_the_name_that_the_job_gives_it() {
    let mut trip = loaded();
    appear(&mut trip);
    let renamed = "[transform]\nrename.city = \"town\"\n".to_owned() + rules("evolve").as_str();

    trip.run(&renamed).expect_code(0);

    assert_eq!(columns(&trip), ["uid integer", "name text", "town text"]);
    assert_eq!(people(&trip)[2], ["3", "Cleo", "Oslo"]);
}

#[test]
fn a_column_that_vanishes_stays_and_new_rows_have_none() {
    let mut trip = loaded();
    vanish(&mut trip);

    trip.run(&rules("evolve")).expect_code(0);

    assert_eq!(columns(&trip), ["uid integer", "name text"]);
    assert_eq!(people(&trip), [["1", "Ann"], ["2", "Bob"], ["3", NULL], ["4", NULL]]);
}

#[test]
fn a_type_is_widened_where_no_value_is_lost() {
    let before = [("a", "smallint"), ("b", "date"), ("c", "varchar(5)"), ("d", "numeric(6,2)")];
    let mut trip = Trip::new(&before, "a,b,c,d\n1,2024-01-02,five5,1234.56\n");
    trip.run(&rules("freeze")).expect_code(0);
    trip.source.write("second.csv", "a,b,c,d\n100000,2024-01-02 03:04:05,longer,123456.789\n");
    declare(
        &mut trip,
        &[("a", "integer"), ("b", "timestamp"), ("c", "text"), ("d", "numeric(9,3)")],
    );

    trip.run(&rules("evolve")).expect_code(0);

    let expected = ["a integer", "b timestamp without time zone", "c text", "d numeric(9,3)"];
    assert_eq!(columns(&trip), expected);
    let stored = trip.database.rows("SELECT a, b, c, d FROM people ORDER BY a");
    let first = ["1", "2024-01-02 00:00:00", "five5", "1234.560"];
    assert_eq!(stored, [first, ["100000", "2024-01-02 03:04:05", "longer", "123456.789"]]);
}

#[test]
fn a_type_that_cannot_be_widened_stops_the_run() {
    let mut trip = loaded();
    trip.source.append("people.csv", "3,Cleo\n");
    for column_type in ["date", "boolean", "text"] {
        declare(&mut trip, &[("uid", column_type)]);

        let outcome = assert_stops(&trip, &rules("evolve"));

        outcome.expect_text("uid").expect_text(column_type).expect_text("integer");
    }
    declare(&mut trip, &[("uid", "integer")]);
    trip.run(&rules("evolve")).expect_code(0);
    assert_eq!(trip.database.count("people"), 3);
}

#[test]
fn a_new_column_that_looks_personal_stops_the_run_until_it_is_declared() {
    let trip = loaded();
    trip.source.write("second.csv", "uid,name,phone\n3,Cleo,canary-0123\n");

    assert_stops(&trip, &rules("evolve")).expect_text("phone").expect_text("pii");
    assert!(!trip.database.dump().contains("canary"), "a raw value is in the database");

    let declared =
        "[[column]]\nname = \"phone\"\npii = \"hash\"\n".to_owned() + rules("evolve").as_str();
    trip.run(&declared).expect_code(0);
    assert_eq!(columns(&trip), ["uid integer", "name text", "phone bytea"]);
    let hashed = "SELECT uid, octet_length(phone) FROM people ORDER BY uid";
    assert_eq!(trip.database.rows(hashed), [["1", NULL], ["2", NULL], ["3", "32"]]);
    assert!(!trip.database.dump().contains("canary"), "a raw value is in the database");
}

#[test]
fn a_table_that_was_made_before_there_was_a_file_follows_the_first_one() {
    let source = Source::new(
        "[[dataset]]\nname = \"people\"\nkind = \"json\"\nfiles = [\"*.json\"]\n\
         [dataset.columns]\nuid = \"integer\"\n",
    );
    source.write("pii.key", "a key of more than thirty-two bytes for this test\n");
    let server = source.start();
    let trip = Trip { source, server, database: Database::create() };
    trip.run(&rules("evolve")).expect_code(0);
    trip.source.write("people.json", "[{\"uid\": 1, \"name\": \"Ann\"}]");

    trip.run(&rules("freeze")).expect_code(7).expect_text("is new in \"people.json\"");

    trip.run(&rules("evolve")).expect_code(0);
    assert_eq!(trip.database.rows("TABLE people"), [["1", "Ann"]]);
}
