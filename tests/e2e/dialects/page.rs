//! The table of docs/csv.md has a row for each feature, and says of ferry what the tests check.

use std::collections::BTreeSet;

use super::feature::features;

const PAGE: &str = include_str!("../../../docs/csv.md");
/// The least that the page promises to compare.
const FEATURES_MIN: usize = 30;
/// Title, file, ferry, and three other readers.
const CELLS: usize = 6;

/// Rows of the table, each with its cells.
fn table() -> Vec<Vec<&'static str>> {
    let (_, rest) = PAGE.split_once("<!-- made by bench/dialects -->").unwrap();
    let (table, _) = rest.split_once("<!-- end -->").unwrap();
    let lines = table.lines().filter(|line| line.starts_with("| "));
    // The first two are the titles, and the line below them.
    lines.skip(2).map(cells).collect()
}

fn cells(line: &'static str) -> Vec<&'static str> {
    let line = line.strip_prefix("| ").unwrap().strip_suffix(" |").unwrap();
    line.split(" | ").collect()
}

#[test]
fn the_page_says_of_each_feature_what_is_tested() {
    let features = features();
    assert!(features.len() >= FEATURES_MIN);
    let table = table();
    let listed: Vec<&str> = table.iter().map(|cells| cells[0]).collect();
    let titles: Vec<&str> = features.iter().map(|feature| feature.title.as_str()).collect();
    assert_eq!(listed, titles, "run bench/dialects --write");

    for (cells, feature) in table.iter().zip(&features) {
        assert_eq!(cells.len(), CELLS, "{}", feature.title);
        assert_eq!(cells[1], feature.shown(), "run bench/dialects --write");
        assert_eq!(cells[2], feature.told(), "run bench/dialects --write");
        assert!(cells[3..].iter().all(|cell| !cell.is_empty()), "{}", feature.title);
    }
}

#[test]
fn no_two_features_have_one_name() {
    let features = features();
    let names: BTreeSet<&str> = features.iter().map(|feature| feature.name.as_str()).collect();
    let titles: BTreeSet<&str> = features.iter().map(|feature| feature.title.as_str()).collect();
    assert_eq!((names.len(), titles.len()), (features.len(), features.len()));
}
