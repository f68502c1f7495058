//! Rows that were refused are replayed into a table that was replaced, and not before it is.

use super::{COLUMNS, SMALL, USERS, people, target, users};
use crate::gate;
use crate::stages::Trip;

/// Refuses one name of the file.
const SHORT_NAMES: &str = "[[column]]\nname = \"name\"\ncheck = [{ length = { max = 100 } }]\n";

#[test]
fn a_replay_waits_for_the_end_of_the_run() {
    let long = format!("uid,name\n7,{}\n", "long ".repeat(30));
    let trip = Trip::new(&COLUMNS, people(11..5011).replacen("uid,name\n", &long, 1));
    let database = &trip.database;
    database.execute(USERS);
    database.execute("INSERT INTO users VALUES (1, 'old'), (2, 'old')");
    gate::build(database, "ALTER TABLE users ADD CHECK (uid <> 3000 OR held_up())");
    let mended = target("") + SMALL;
    let rules = SHORT_NAMES.to_owned() + mended.as_str();
    let mut client = trip.spawn(&rules);
    gate::kill_there(database, &mut client);
    let standing = || database.rows("SELECT state, row_number FROM ferry.quarantine");
    assert_eq!(standing(), [["open", "1"]], "refused by what the run has done so far");
    let replay = ["quarantine", "replay", "--json"];

    let outcome = trip.verb(&replay, &mended);

    assert_ne!(outcome.code, Some(0), "{}", outcome.text());
    let outcome = outcome.expect_text("finish the run first");
    assert_eq!(outcome.summary()["loaded"], 0);
    assert_eq!(standing(), [["open", "1"]]);
    assert_eq!(users(database), "1 old, 2 old");

    let summary = trip.run(&rules).expect_code(0).summary();
    assert_eq!(summary["rows"]["loaded"], 5000);
    assert_eq!(database.count("users"), 5000);
    let replayed = trip.verb(&replay, &mended).expect_code(0).summary();
    assert_eq!(replayed["loaded"], 1);
    assert_eq!(standing(), [["replayed", "1"]]);
    assert_eq!(database.value("SELECT left(name, 9) FROM users WHERE uid = 7"), "long long");
    assert_eq!(database.count("users"), 5001);
}
