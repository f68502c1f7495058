//! `file_order = "time"`: files are loaded in the order of their last changes, whatever they are called.

use std::fs::File;
use std::time::{Duration, SystemTime};

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
