//! `file_order`: files are loaded in the order of their names or last changes, and what comes after a broken one waits.

use std::fs::File;
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::archive::{ROWS, SETTINGS, archive};
use super::{BAD_HEADER, one, problems};
use crate::hosts::{Process, Source, finish};
use crate::orders::Orders;
use crate::postgres::Database;
use crate::stages::Trip;

const UPSERT: &str =
    "[[target]]\ntable = \"people\"\ncreate = true\nmode = \"upsert\"\nkey = [\"uid\"]\n";

/// Dates a file back.
fn date_back(source: &Source, name: &str, hours: u64) {
    let modified = SystemTime::now().checked_sub(Duration::from_hours(hours)).unwrap();
    let file = File::options().append(true).open(source.path(name)).unwrap();
    file.set_modified(modified).unwrap();
}

#[test]
fn the_file_that_changed_last_wins() {
    for (order, name) in [("name", "of zoo"), ("time", "of alpha")] {
        let trip = Trip::new(&[("uid", "integer")], "uid,name\n1,of people\n2,Bob\n");
        trip.source.write("alpha.csv", "uid,name\n1,of alpha\n");
        trip.source.write("zoo.csv", "uid,name\n1,of zoo\n");
        for (file, hours) in [("alpha.csv", 1), ("people.csv", 2), ("zoo.csv", 3)] {
            date_back(&trip.source, file, hours);
        }

        let rules = format!("{UPSERT}[load]\nfile_order = \"{order}\"\nworkers = 3\n");
        trip.run(&rules).expect_code(0);

        let stored = trip.database.rows("SELECT uid, name FROM people ORDER BY uid");
        assert_eq!(stored, [["1", name], ["2", "Bob"]], "{order}");
    }
}

#[test]
fn a_file_that_comes_too_late_for_its_place_waits_for_the_next_run() {
    let mut orders = Orders::new(Database::create(), 2, 3_000);
    // The last by name is the first by time.
    for (file, hours) in [("part_01.csv", 3), ("part_00.csv", 2)] {
        date_back(&orders.source, file, hours);
    }
    orders.write_job(&orders.database.url, "file_order = \"time\"\n");
    orders.database.slow_inserts("orders", 400);
    let server = orders.source.start();
    let run = |orders: &Orders| {
        let mut command = orders.run(server.url());
        command.args(["--split-bytes", "64KiB"]);
        command
    };
    let mut killed = Process::spawn(&mut run(&orders));
    orders.wait_for_commits(1);
    killed.kill();
    let begun = "SELECT DISTINCT name FROM ferry.split JOIN ferry.file USING (file_id) \
                 WHERE next_byte > start_byte";
    assert_eq!(orders.database.rows(begun), [["part_01.csv"]]);
    orders.database.execute("DROP TRIGGER dawdle ON orders");
    orders.add("later.csv", 100);
    orders.add("earlier.csv", 100);
    date_back(&orders.source, "earlier.csv", 4);

    let _ = finish(&mut run(&orders)).expect_code(0);

    let of_first = "SELECT DISTINCT name FROM ferry.split JOIN ferry.file USING (file_id) \
                    WHERE run_id = 1 ORDER BY name";
    let expected = [["later.csv"], ["part_00.csv"], ["part_01.csv"]];
    assert_eq!(orders.database.rows(of_first), expected);
    let _ = finish(&mut run(&orders)).expect_code(0);
    orders.assert_loaded_once();
    assert_eq!(orders.states(), ["finished", "finished"]);
}

#[test]
fn what_comes_after_a_truncated_archive_waits_for_the_rest_of_it() {
    let source = Source::new(SETTINGS);
    let whole = archive();
    source.write("day-0.csv", "uid,name\n0,Ann\n");
    source.write("day-1.csv.gz", &whole[..whole.len() / 2]);
    source.write("day-2.csv", format!("uid,name\n1,new\n{ROWS},new\n"));
    source.write("pii.key", "a key of more than thirty-two bytes for this test\n");
    let server = source.start();
    let trip = Trip { source, server, database: Database::create() };
    let of_day_2 = "SELECT count(*) FROM people WHERE name = 'new'";

    let first = trip.run(UPSERT).expect_code(7).expect_text("in their order").summary();

    assert_eq!(
        (&first["state"], &first["error"]["code"]),
        (&json!("finished"), &json!("files_unreadable"))
    );
    assert_eq!(problems(&first), one("day-1.csv.gz", "ARCHIVE_DAMAGED"));
    let loaded = trip.database.count("people");
    assert!(loaded > ROWS / 4 && loaded < ROWS, "{loaded} rows of half an archive");
    assert_eq!(trip.database.number(of_day_2), 0);
    let again = trip.run(UPSERT).expect_code(7).expect_text("in their order").summary();
    assert_eq!(again["state"], "nothing_new");
    assert_eq!(trip.database.number(of_day_2), 0);

    trip.source.write("day-1.csv.gz", whole);
    trip.run(UPSERT).expect_code(0);

    assert_eq!(trip.database.number(of_day_2), 2, "the later file has the last word");
    assert_eq!(trip.database.count("people"), ROWS + 1);
}

#[test]
fn files_wait_for_one_that_cannot_be_read_where_their_order_matters() {
    // Nobody knows the time of a file that could never be read: all others wait.
    let cases = [("any", 2, "of broken"), ("name", 1, "of people"), ("time", 0, "of broken")];
    for (order, loaded, last_word) in cases {
        let trip = Trip::new(&[("uid", "integer")], "uid,name\n1,of people\n");
        trip.source.write("alpha.csv", "uid,name\n2,of alpha\n");
        trip.source.write("broken.csv", BAD_HEADER);
        let rules = format!("{UPSERT}[load]\nfile_order = \"{order}\"\n");

        let told = trip.run(&rules).expect_code(7);

        assert_eq!(problems(&told.summary()), one("broken.csv", "BAD_HEADER"), "{order}");
        assert_eq!(told.text().contains("in their order"), order != "any", "{order}");
        assert_eq!(trip.database.count("people"), loaded, "{order}");

        trip.source.write("broken.csv", "uid,name\n1,of broken\n");
        trip.run(&rules).expect_code(0);
        let stored = trip.database.rows("SELECT uid, name FROM people ORDER BY uid");
        assert_eq!(stored, [["1", last_word], ["2", "of alpha"]], "{order}");

        trip.source.write("aardvark.csv", BAD_HEADER);
        let told = trip.run(&rules).expect_code(7);
        assert_eq!(told.summary()["state"], "nothing_new", "{order}");
        assert!(!told.text().contains("in their order"), "what is loaded does not wait: {order}");
    }
}
