//! Rows that refer to others of their file are loaded although another one is bad, wherever it stands.

use std::fmt::Write as _;

use crate::stages::Trip;

const ROWS: u32 = 300;
const TARGET: &str = "[[target]]\ntable = \"public.nodes\"\n";

/// Rows of which each refers to the next one, and one that refers to nothing.
fn chain(bad_comes_first: bool) -> String {
    let bad = "9000,9999\n";
    let mut file = String::from("id,parent\n");
    if bad_comes_first {
        file.push_str(bad);
    }
    for id in 1..ROWS {
        writeln!(file, "{id},{}", id + 1).unwrap();
    }
    writeln!(file, "{ROWS},").unwrap();
    if !bad_comes_first {
        file.push_str(bad);
    }
    file
}

#[test]
fn only_the_row_that_refers_to_nothing_is_refused() {
    for bad_comes_first in [false, true] {
        for deferral in ["", "DEFERRABLE INITIALLY DEFERRED"] {
            let file = chain(bad_comes_first);
            let trip = Trip::new(&[("id", "integer"), ("parent", "integer")], file);
            trip.database.execute(&format!(
                "CREATE TABLE nodes (id integer PRIMARY KEY,
                     parent integer CONSTRAINT leads REFERENCES nodes {deferral})"
            ));

            trip.run(TARGET).expect_code(0);

            let row_number = if bad_comes_first { "1" } else { "301" };
            assert_eq!(trip.refused(), [[row_number, "load", "sqlstate_23503"]], "{deferral}");
            assert_eq!(trip.database.count("nodes"), u64::from(ROWS));
        }
    }
}
