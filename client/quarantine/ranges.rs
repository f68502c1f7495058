//! Turns quarantined rows into ranges that are asked of the source again. Pure: no I/O.
//!
//! Invariant: each row is in one range; a range lies in one split, holds
//! nothing but its rows, and no two ranges could be one.

use ferry::position::{Position, Split};

use crate::ledger::SplitId;
use crate::ledger::quarantine::settle::OpenRow;

/// Rows that follow each other in one file, without anything between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    /// Split that the rows belong to.
    pub(super) split_id: SplitId,
    /// What is asked of the source: the bytes of the rows.
    pub(super) split: Split,
    /// Names of the file's columns, if they are known.
    pub(super) header: Option<Vec<String>>,
    /// Number of each row in its file and its id, in the order of the file.
    pub(super) ids: Vec<(u64, i64)>,
}

/// The first rows, up to the one with which they reach so many bytes of the source.
pub(super) fn first_bytes(mut rows: Vec<OpenRow>, bytes_max: u64) -> Vec<OpenRow> {
    let mut bytes: u64 = 0;
    let reaches = |row: &OpenRow| {
        bytes = bytes.saturating_add(row.place.byte_end.saturating_sub(row.place.byte_start));
        bytes >= bytes_max
    };
    if let Some(last) = rows.iter().position(reaches) {
        rows.truncate(last + 1);
    }
    rows
}

/// Puts neighbours together; the ranges of a split follow each other.
pub(super) fn ranges(mut rows: Vec<OpenRow>) -> Vec<Range> {
    rows.sort_unstable_by_key(|row| (row.split_id.0, row.place.row_number));
    let mut ranges: Vec<Range> = Vec::new();
    for row in rows {
        match ranges.last_mut() {
            Some(range) if follows(range, &row) => {
                range.split.end = end_of(&row);
                range.ids.push((row.place.row_number, row.id));
            }
            _ => ranges.push(range_of(row)),
        }
    }
    ranges
}

fn follows(range: &Range, row: &OpenRow) -> bool {
    range.split_id == row.split_id && range.split.end == start_of(row)
}

fn range_of(row: OpenRow) -> Range {
    let (start, end) = (start_of(&row), end_of(&row));
    let OpenRow { id, split_id, dataset, file, fingerprint, place, header } = row;
    let split = Split { dataset, file, fingerprint, start, end };
    Range { split_id, split, header, ids: vec![(place.row_number, id)] }
}

/// Place before the record: the number of a row counts the row itself.
fn start_of(row: &OpenRow) -> Position {
    Position {
        byte_offset: row.place.byte_start,
        row_number: row.place.row_number.saturating_sub(1),
    }
}

fn end_of(row: &OpenRow) -> Position {
    Position { byte_offset: row.place.byte_end, row_number: row.place.row_number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry::position::{Fingerprint, Place};
    use proptest::prelude::*;

    /// A row whose record has ten bytes, in a file without blank lines.
    fn row(split: i64, row_number: u64) -> OpenRow {
        let byte_end = 5 + row_number * 10;
        OpenRow {
            id: split * 1000 + i64::try_from(row_number).expect("a small number"),
            split_id: SplitId(split),
            dataset: "d".to_owned(),
            file: format!("{split}.csv"),
            fingerprint: Fingerprint {
                size_bytes: 10_000,
                content_hash: [7; 16],
                modified_unix_nanos: 1,
            },
            place: Place { row_number, byte_start: byte_end - 10, byte_end },
            header: None,
        }
    }

    fn numbers(ranges: &[Range]) -> Vec<Vec<u64>> {
        let of_range = |range: &Range| range.ids.iter().map(|(number, _)| *number).collect();
        ranges.iter().map(of_range).collect()
    }

    #[test]
    fn neighbours_are_read_at_once() {
        let ranges = ranges(vec![row(1, 4), row(1, 2), row(1, 3), row(1, 8)]);
        assert_eq!(numbers(&ranges), [vec![2, 3, 4], vec![8]]);
        assert_eq!(ranges[0].split.start, Position { byte_offset: 15, row_number: 1 });
        assert_eq!(ranges[0].split.end, Position { byte_offset: 45, row_number: 4 });
        assert_eq!(ranges[0].ids[1], (3, 1003));
    }

    #[test]
    fn a_blank_line_between_two_rows_keeps_them_apart() {
        let mut after_blank = row(1, 3);
        after_blank.place.byte_start += 1;
        assert_eq!(numbers(&ranges(vec![row(1, 2), after_blank])), [vec![2], vec![3]]);
    }

    #[test]
    fn rows_of_two_splits_are_kept_apart() {
        let ranges = ranges(vec![row(2, 4), row(1, 3)]);
        assert_eq!(numbers(&ranges), [vec![3], vec![4]]);
        assert_eq!(ranges[1].split.file, "2.csv");
    }

    #[test]
    fn a_page_ends_with_the_row_that_reaches_the_limit() {
        let rows = || (1..=4).map(|number| row(1, number)).collect::<Vec<_>>();
        assert_eq!(first_bytes(rows(), 1).len(), 1);
        assert_eq!(first_bytes(rows(), 20).len(), 2);
        assert_eq!(first_bytes(rows(), 21).len(), 3);
        assert_eq!(first_bytes(rows(), 1000).len(), 4);
        assert!(first_bytes(Vec::new(), 1).is_empty());
    }

    proptest! {
        #[test]
        fn each_row_is_in_one_range_and_no_two_ranges_could_be_one(
            wanted in prop::collection::btree_set((1_i64..4, 1_u64..30), 0..60),
        ) {
            let rows: Vec<OpenRow> =
                wanted.iter().rev().map(|(split, number)| row(*split, *number)).collect();
            let ranges = ranges(rows);
            let mut found = Vec::new();
            for range in &ranges {
                prop_assert_eq!(range.split.row_count(), range.ids.len() as u64);
                let bytes = range.split.end.byte_offset - range.split.start.byte_offset;
                prop_assert_eq!(bytes, range.split.row_count() * 10);
                found.extend(range.ids.iter().map(|(number, _)| (range.split_id.0, *number)));
            }
            prop_assert_eq!(found, wanted.into_iter().collect::<Vec<_>>());
            for pair in ranges.windows(2) {
                let is_same_split = pair[0].split_id == pair[1].split_id;
                prop_assert!(!is_same_split || pair[0].split.end != pair[1].split.start);
            }
        }
    }
}
