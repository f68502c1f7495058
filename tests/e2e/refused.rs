//! Rows that PostgreSQL refuses wait in quarantine, each alone and by its constraint; all others are loaded.

mod among;
mod pace;
mod referring;

use serde_json::json;

use crate::hosts::{Outcome, client, finish};
use crate::postgres::NULL;
use crate::stages::Trip;

const COLUMNS: [(&str, &str); 2] = [("uid", "integer"), ("amount", "integer")];
const HEADER: &str = "uid,email,amount,note\n";
const ROWS: usize = 1500;
/// Rows that are bad: neighbours, some alone, the last one.
const PLACES: [usize; 5] = [3, 700, 701, 1300, 1500];
const RULES: &str = "[[column]]\nname = \"email\"\npii = \"hash\"\n\
    [[target]]\ntable = \"public.users\"\n";

/// A record that no table here refuses.
fn good(row: usize) -> String {
    format!("{row},person.{row}@heron.example,{},fine\n", row % 100)
}

/// A record with this note.
fn noted(row: usize, note: &str) -> String {
    good(row).replace("fine", note)
}

/// A file whose rows at [`PLACES`] are bad.
fn records(bad: impl Fn(usize) -> String) -> Vec<String> {
    let record = |row| if PLACES.contains(&row) { bad(row) } else { good(row) };
    (1..=ROWS).map(record).collect()
}

/// What is in the file that a table takes.
fn trip(tables: &str, records: &[String]) -> Trip {
    let trip = Trip::new(&COLUMNS, format!("{HEADER}{}", records.concat()));
    trip.database.execute(tables);
    trip
}

/// Checks that the rows of the file are stored but for those at [`PLACES`].
#[track_caller]
fn assert_all_others_are_stored(trip: &Trip, records: &[String]) {
    let is_good = |(index, _): &(usize, &String)| !PLACES.contains(&(index + 1));
    let kept = records.iter().enumerate().filter(is_good);
    let kept: Vec<&str> = kept.map(|(_, record)| record.as_str()).collect();
    trip.source.write("good.txt", format!("{HEADER}{}", kept.concat()));
    let database = &trip.database;
    database.execute("CREATE TABLE oracle (uid integer, email text, amount integer, note text)");
    database.copy("oracle", &trip.source.path("good.txt"));
    database.assert_same_rows(
        "SELECT uid, amount, note FROM users",
        "SELECT uid, amount, note FROM oracle",
    );
    let hashes = "SELECT count(DISTINCT email) FROM users WHERE octet_length(email) = 32";
    assert_eq!(database.number(hashes), kept.len() as u64);
}

/// Checks what quarantine has of each bad row: reason, constraint, place and record.
#[track_caller]
fn assert_refused(trip: &Trip, records: &[String], reason: &[&str; 3]) {
    let found = trip.database.rows(
        "SELECT row_number, byte_start, byte_end, code, column_name, constraint_name, stage,
                record ->> 'uid', record ->> 'note', record ->> 'email' ~ '^[0-9a-f]{64}$'
         FROM ferry.quarantine ORDER BY row_number",
    );
    assert_eq!(found.len(), PLACES.len(), "{found:?}");
    let file = std::fs::read(trip.source.path("people.csv")).unwrap();
    for (found, place) in found.iter().zip(PLACES) {
        let record = &records[place - 1];
        assert_eq!(found[0], place.to_string());
        let (start, end): (usize, usize) = (found[1].parse().unwrap(), found[2].parse().unwrap());
        assert_eq!(&file[start..end], record.as_bytes(), "the bytes of row {place}");
        assert_eq!(&found[3..6], reason.as_slice(), "row {place}");
        let fields: Vec<&str> = record.trim_end().split(',').collect();
        let note = if fields[3].is_empty() { NULL } else { fields[3] };
        assert_eq!(&found[6..], ["load", fields[0], note, "t"], "row {place}");
    }
}

/// Runs a job whose tables refuse some rows for a reason: code, column, constraint.
#[track_caller]
fn assert_stand_alone(tables: &str, bad: impl Fn(usize) -> String, reason: [&str; 3]) -> Outcome {
    let records = records(bad);
    let trip = trip(tables, &records);

    let outcome = trip.run(RULES).expect_code(0);

    let summary = outcome.summary();
    let rows = json!({ "read": 1500, "loaded": 1495, "quarantined": 5, "filtered": 0 });
    assert_eq!(summary["rows"], rows);
    let (dump, said) = (trip.database.dump(), outcome.text());
    assert!(!dump.contains("heron.example"), "a raw e-mail is in the database");
    assert!(!said.contains("heron.example") && !said.contains("crooked"), "a value is in:\n{said}");
    assert_refused(&trip, &records, &reason);
    assert_all_others_are_stored(&trip, &records);
    let open = "SELECT count(*) FROM ferry.split WHERE NOT done \
                OR next_row - start_row <> loaded_rows + quarantined_rows";
    assert_eq!(trip.database.number(open), 0, "the accounts close");
    assert_eq!(trip.run(RULES).expect_code(0).summary()["state"], "nothing_new");
    outcome
}

/// The table, with more words on each of its columns.
fn users(uid: &str, amount: &str, note: &str) -> String {
    format!(
        "CREATE TABLE users (uid integer {uid}, email bytea, amount integer {amount}, note {note})"
    )
}

#[test]
fn keys_that_are_there_already() {
    let again = |row: usize| good(row).replacen(&row.to_string(), "2", 1);
    let reason = ["sqlstate_23505", NULL, "users_pkey"];
    assert_stand_alone(&users("PRIMARY KEY", "", "text"), again, reason).expect_text("users_pkey");
}

#[test]
fn references_to_nothing() {
    let tables = "CREATE TABLE notes (note text PRIMARY KEY); INSERT INTO notes VALUES ('fine'); "
        .to_owned()
        + users("", "", "text REFERENCES notes").as_str();
    let reason = ["sqlstate_23503", NULL, "users_note_fkey"];
    assert_stand_alone(&tables, |row| noted(row, "crooked"), reason);
}

#[test]
fn values_that_break_a_check() {
    let tables = users("", "CONSTRAINT affordable CHECK (amount < 5000)", "text");
    let dear = |row: usize| format!("{row},person.{row}@heron.example,5000,fine\n");
    assert_stand_alone(&tables, dear, ["sqlstate_23514", NULL, "affordable"]);
}

#[test]
fn values_that_a_domain_refuses() {
    let tables = "CREATE DOMAIN kind AS text CONSTRAINT kind_known CHECK (VALUE = 'fine'); "
        .to_owned()
        + users("", "", "kind").as_str();
    let reason = ["sqlstate_23514", NULL, "kind_known"];
    assert_stand_alone(&tables, |row| noted(row, "crooked"), reason);

    let tables = "CREATE DOMAIN filled AS text CONSTRAINT is_filled CHECK (VALUE IS NOT NULL); "
        .to_owned()
        + users("", "", "filled").as_str();
    let reason = ["sqlstate_23514", NULL, "is_filled"];
    assert_stand_alone(&tables, |row| noted(row, ""), reason);
}

#[test]
fn values_that_only_a_trigger_takes_away() {
    let tables = users("", "NOT NULL", "text")
        + "; CREATE FUNCTION take() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.note = 'crooked' THEN NEW.amount := NULL; END IF; RETURN NEW; END $$;
           CREATE TRIGGER takes BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION take()";
    let reason = ["sqlstate_23502", "amount", NULL];
    assert_stand_alone(&tables, |row| noted(row, "crooked"), reason);
}

#[test]
fn numbers_that_overflow_in_the_table() {
    let tables =
        users("", "", "text, cents smallint GENERATED ALWAYS AS ((amount * 100)::smallint) STORED");
    let dear = |row: usize| format!("{row},person.{row}@heron.example,400,fine\n");
    assert_stand_alone(&tables, dear, ["sqlstate_22003", NULL, NULL]);
}

/// A trigger that raises an exception for crooked notes.
fn raising(trigger: &str, how: &str) -> String {
    format!(
        "{}; CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.note = 'crooked' THEN RAISE EXCEPTION 'got %', NEW.note {how}; END IF;
            RETURN NEW; END $$;
           CREATE {trigger} FOR EACH ROW EXECUTE FUNCTION refuse()",
        users("", "", "text")
    )
}

#[test]
fn rows_for_which_a_trigger_raises_an_exception() {
    let tables = raising("TRIGGER refuses BEFORE INSERT ON users", "");
    let reason = ["sqlstate_p0001", NULL, NULL];
    assert_stand_alone(&tables, |row| noted(row, "crooked"), reason);
}

#[test]
fn constraints_that_are_checked_at_the_end() {
    let again = |row: usize| good(row).replacen(&row.to_string(), "2", 1);
    let tables = users("CONSTRAINT once UNIQUE DEFERRABLE INITIALLY DEFERRED", "", "text");
    assert_stand_alone(&tables, again, ["sqlstate_23505", NULL, "once"]);

    let tables = raising(
        "CONSTRAINT TRIGGER late AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED",
        "USING ERRCODE = 'check_violation', CONSTRAINT = 'late'",
    );
    let reason = ["sqlstate_23514", NULL, NULL];
    assert_stand_alone(&tables, |row| noted(row, "crooked"), reason);
}

#[test]
fn values_that_a_trigger_gives_for_names_are_kept_nowhere() {
    // Backwards, so that it stands in no record either.
    let (value, made) = ("dekoorc", "reverse(NEW.note)");
    let names = ["CONSTRAINT", "COLUMN", "TABLE", "SCHEMA", "DATATYPE", "DETAIL", "HINT"];
    let names = names.map(|name| format!("{name} = {made}")).join(", ");
    for (condition, code) in
        [("raise_exception", "sqlstate_p0001"), ("check_violation", "sqlstate_23514")]
    {
        let how = format!("USING ERRCODE = '{condition}', {names}");
        let records = records(|row| noted(row, "crooked"));
        let trip = trip(&raising("TRIGGER refuses BEFORE INSERT ON users", &how), &records);
        let job = trip.job(RULES);
        let mut traced = client(["run", "--json"]);
        let outcome = finish(traced.arg(&job).env("RUST_LOG", "trace")).expect_code(0);
        assert_refused(&trip, &records, &[code, NULL, NULL]);
        let mut said = outcome.expect_text("TRACE").text();
        let id = trip.database.value("SELECT min(quarantine_id) FROM ferry.quarantine");
        for words in [&["list"][..], &["list", "--json"], &["export"], &["replay"]] {
            let verb = [&["quarantine"][..], words].concat();
            said += &trip.verb(&verb, RULES).expect_code(0).text();
        }
        let mut show = client(["quarantine", "show", &id, "--database", &trip.database.url]);
        said += &finish(&mut show).expect_code(0).text();
        said += &finish(client(["status"]).arg(&job)).expect_code(0).text();

        assert!(said.contains("sqlstate_"), "the rows are listed:\n{said}");
        for (place, text) in [("the output", said), ("a table", trip.database.dump())] {
            assert!(!text.to_lowercase().contains(value), "{value} is in {place}:\n{text}");
        }
        let refused = "SELECT count(*) FROM ferry.quarantine WHERE state = 'open'";
        assert_eq!(trip.database.number(refused), PLACES.len() as u64);
    }
}

#[test]
fn what_was_refused_is_loaded_once_the_table_takes_it() {
    let records = records(|row| noted(row, "crooked"));
    let tables = users("", "", "text CONSTRAINT tidy CHECK (note = 'fine')");
    let trip = trip(&tables, &records);
    trip.run(RULES).expect_code(0);
    let list = ["quarantine", "list", "--json", "--code", "sqlstate_23514"];
    let listed = trip.verb(&list, RULES).expect_code(0).expect_text("tidy");
    assert_eq!(listed.stdout.lines().count(), PLACES.len());
    trip.database.execute("ALTER TABLE users DROP CONSTRAINT tidy");

    let replay = trip.verb(&["quarantine", "replay", "--json"], RULES).expect_code(0).summary();

    assert_eq!((&replay["loaded"], &replay["still_refused"]), (&json!(5), &json!(0)));
    assert_eq!(trip.database.count("users"), 1500);
    let crooked =
        "SELECT string_agg(uid::text, ' ' ORDER BY uid) FROM users WHERE note = 'crooked'";
    assert_eq!(trip.database.value(crooked), "3 700 701 1300 1500");
}
