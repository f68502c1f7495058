//! Turns quarantined rows into ranges that are asked of the source again. Pure: no I/O.
//!
//! Invariant: each row is in one range; a range lies in one split, holds
//! nothing but its rows, and no two ranges could be one.

use ferry::position::{Place, Position, Split};

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
    /// Place of each row and its id, in the order of the file.
    pub(super) rows: Vec<(Place, i64)>,
}

impl Range {
    /// Keeps the earlier half of the rows and gives the later one; `None` if there is one row only.
    pub(super) fn split_off_later_half(&mut self) -> Option<Self> {
        if self.rows.len() < 2 {
            return None;
        }
        let rows = self.rows.split_off(self.rows.len() / 2);
        let (first, _) = rows.first()?;
        let mut split = self.split.clone();
        split.start = start_of(first);
        self.split.end = split.start;
        Some(Self { split_id: self.split_id, split, header: self.header.clone(), rows })
    }

    /// Whether a record that was read lies in the row of its number.
    pub(super) fn has(&self, record: &Place) -> bool {
        let found =
            self.rows.binary_search_by_key(&record.row_number, |(place, _)| place.row_number);
        found.is_ok_and(|index| {
            let (place, _) = &self.rows[index];
            place.byte_start <= record.byte_start && record.byte_end <= place.byte_end
        })
    }
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
                range.split.end = end_of(&row.place);
                range.rows.push((row.place, row.id));
            }
            _ => ranges.push(range_of(row)),
        }
    }
    ranges
}

fn follows(range: &Range, row: &OpenRow) -> bool {
    range.split_id == row.split_id && range.split.end == start_of(&row.place)
}

fn range_of(row: OpenRow) -> Range {
    let (start, end) = (start_of(&row.place), end_of(&row.place));
    let OpenRow { id, split_id, dataset, file, fingerprint, place, header } = row;
    let split = Split { dataset, file, fingerprint, start, end };
    Range { split_id, split, header, rows: vec![(place, id)] }
}

/// Place before the record: the number of a row counts the row itself.
fn start_of(row: &Place) -> Position {
    Position { byte_offset: row.byte_start, row_number: row.row_number.saturating_sub(1) }
}

fn end_of(row: &Place) -> Position {
    Position { byte_offset: row.byte_end, row_number: row.row_number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry::position::Fingerprint;
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
        let of_range = |range: &Range| range.rows.iter().map(|(row, _)| row.row_number).collect();
        ranges.iter().map(of_range).collect()
    }

    #[test]
    fn neighbours_are_read_at_once() {
        let ranges = ranges(vec![row(1, 4), row(1, 2), row(1, 3), row(1, 8)]);
        assert_eq!(numbers(&ranges), [vec![2, 3, 4], vec![8]]);
        assert_eq!(ranges[0].split.start, Position { byte_offset: 15, row_number: 1 });
        assert_eq!(ranges[0].split.end, Position { byte_offset: 45, row_number: 4 });
        assert_eq!(ranges[0].rows[1], (row(1, 3).place, 1003));
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
    fn a_range_is_halved_down_to_single_rows() {
        let mut earlier = ranges((2..=4).map(|number| row(1, number)).collect()).remove(0);
        let mut later = earlier.split_off_later_half().expect("three rows");
        assert_eq!(earlier, ranges(vec![row(1, 2)]).remove(0));
        assert_eq!(later, ranges(vec![row(1, 3), row(1, 4)]).remove(0));
        let last = later.split_off_later_half().expect("two rows");
        assert_eq!(later, ranges(vec![row(1, 3)]).remove(0));
        assert_eq!(last, ranges(vec![row(1, 4)]).remove(0));
        assert_eq!(earlier.split_off_later_half(), None);
    }

    #[test]
    fn a_record_must_lie_in_the_row_of_its_number() {
        let range = ranges(vec![row(1, 2), row(1, 3)]).remove(0);
        let record = |row_number, byte_start, byte_end| Place { row_number, byte_start, byte_end };
        assert!(range.has(&record(2, 15, 25)) && range.has(&record(3, 25, 35)));
        assert!(range.has(&record(2, 16, 24)), "blank lines around it are skipped now");
        let others = [record(2, 15, 26), record(3, 24, 35), record(1, 15, 25), record(4, 25, 35)];
        for other in others {
            assert!(!range.has(&other), "{other:?}");
        }
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
                prop_assert_eq!(range.split.row_count(), range.rows.len() as u64);
                let bytes = range.split.end.byte_offset - range.split.start.byte_offset;
                prop_assert_eq!(bytes, range.split.row_count() * 10);
                found.extend(range.rows.iter().map(|(row, _)| (range.split_id.0, row.row_number)));
            }
            prop_assert_eq!(found, wanted.into_iter().collect::<Vec<_>>());
            for pair in ranges.windows(2) {
                let is_same_split = pair[0].split_id == pair[1].split_id;
                prop_assert!(!is_same_split || pair[0].split.end != pair[1].split.start);
            }
        }
    }
}
