//! Ten rows that PostgreSQL refuses cost little: a file of 100,000 rows takes at most three times of a clean one.

use std::fmt::Write as _;

use crate::postgres::Database;
use crate::stages::Trip;

const ROWS: u64 = 100_000;
const REFUSED: u64 = 10;
const RATIO_MAX: f64 = 3.0;
const ATTEMPTS: usize = 3;
const TARGET: &str = "[[target]]\ntable = \"public.sales\"\n";

/// Sales of which every ten-thousandth costs too much, if any.
fn sales(is_dear: impl Fn(u64) -> bool) -> Trip {
    let mut file = String::from("id,price,words\n");
    for id in 1..=ROWS {
        let price = if is_dear(id) { 9_999_999 } else { id };
        writeln!(file, "{id},{price},some words about sale {id}").unwrap();
    }
    Trip::new(&[("id", "bigint"), ("price", "bigint")], file)
}

/// Seconds that a run into a new database takes, as it says itself.
fn seconds(trip: &mut Trip, refused: u64) -> f64 {
    trip.database = Database::create();
    trip.database.execute(
        "CREATE TABLE sales (id bigint PRIMARY KEY, words text, \
         price bigint CONSTRAINT affordable CHECK (price < 9000000))",
    );
    let summary = trip.run(TARGET).expect_code(0).summary();
    assert_eq!(summary["rows"]["quarantined"], refused);
    assert_eq!(trip.database.count("sales"), ROWS - refused);
    summary["seconds"].as_f64().unwrap()
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

#[test]
fn ten_bad_rows_of_a_hundred_thousand_take_at_most_three_times_as_long() {
    let mut clean = sales(|_| false);
    let mut bad = sales(|id| id % (ROWS / REFUSED) == 5000);
    // In turns, so that whatever else the machine does falls on both alike.
    let (mut of_clean, mut of_bad) = (Vec::new(), Vec::new());
    for _ in 0..ATTEMPTS {
        of_clean.push(seconds(&mut clean, 0));
        of_bad.push(seconds(&mut bad, REFUSED));
    }

    let (of_clean, of_bad) = (median(of_clean), median(of_bad));
    let ratio = of_bad / of_clean;
    println!("clean {of_clean:.2} s, with {REFUSED} bad rows {of_bad:.2} s: ratio {ratio:.2}");
    assert!(ratio <= RATIO_MAX, "{of_clean:.2} s became {of_bad:.2} s, {ratio:.2} times as long");
}
