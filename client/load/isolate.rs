//! Cuts rows that PostgreSQL may refuse into ever smaller ranges, until those to blame stand alone. Pure: no I/O.
//!
//! Invariants: each row is settled once, by the one range that passes with it or
//! by being refused alone; ranges come in the order of the rows, since of two
//! rows with the same unique value the later one is refused. Of n rows in a
//! range one that is refused costs at most 2 * log2(n) further tries.

use std::ops;

/// Ranges that rows are tried in at first, if there are enough of them.
const RANGES: usize = 32;
/// Below this many rows a range is not worth the statements that it costs.
const RANGE_ROWS_MIN: usize = 512;

/// Rows that are tried together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    /// Indexes of the rows; at least one.
    pub(super) rows: ops::Range<usize>,
    suspicion: Suspicion,
}

/// What is known of a range before it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suspicion {
    /// Nothing.
    None,
    /// A row of this range or of the next one is refused.
    ThisOrNext,
    /// A row of this range is refused: to try it whole would be in vain.
    This,
}

/// What is left to try; the next range comes last.
#[derive(Debug)]
pub(super) struct Ranges(Vec<Range>);

impl Ranges {
    /// So many rows, of which PostgreSQL refuses a few.
    pub(super) fn of(rows: usize) -> Self {
        let range_rows = rows.div_ceil(RANGES).max(RANGE_ROWS_MIN);
        let starts = (0..rows).step_by(range_rows).rev();
        let range = |start: usize| Range {
            rows: start..rows.min(start + range_rows),
            suspicion: Suspicion::None,
        };
        Self(starts.map(range).collect())
    }

    /// So many rows that were refused when they were tried at once.
    pub(super) fn of_refused(rows: usize) -> Self {
        if rows == 0 {
            return Self(Vec::new());
        }
        Self(vec![Range { rows: 0..rows, suspicion: Suspicion::This }])
    }

    /// The next range to try, if any is left.
    pub(super) fn pop(&mut self) -> Option<Range> {
        let mut range = self.0.pop()?;
        while range.suspicion == Suspicion::This && range.rows.len() > 1 {
            let middle = range.rows.start + range.rows.len() / 2;
            self.0.push(Range { rows: middle..range.rows.end, suspicion: Suspicion::None });
            let rows = range.rows.start..middle;
            range = Range { rows, suspicion: Suspicion::ThisOrNext };
        }
        Some(range)
    }

    /// Takes note that the rows of a range are where they belong.
    pub(super) fn passed(&mut self, range: &Range) {
        if let (Suspicion::ThisOrNext, Some(next)) = (range.suspicion, self.0.last_mut()) {
            next.suspicion = Suspicion::This;
        }
    }

    /// Takes back a range that was refused: to be halved, or the row that is to blame.
    pub(super) fn refused(&mut self, range: Range) -> Option<usize> {
        if range.rows.len() < 2 {
            return Some(range.rows.start);
        }
        self.0.push(Range { suspicion: Suspicion::This, ..range });
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What became of rows.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Settled {
        passed: Vec<usize>,
        refused: Vec<usize>,
        tries: usize,
    }

    /// Tries ranges that are refused with a row of `bad`.
    fn settle(mut ranges: Ranges, bad: &[usize]) -> Settled {
        let mut settled = Settled::default();
        while let Some(range) = ranges.pop() {
            settled.tries += 1;
            if range.rows.clone().any(|row| bad.contains(&row)) {
                settled.refused.extend(ranges.refused(range));
            } else {
                settled.passed.extend(range.rows.clone());
                ranges.passed(&range);
            }
        }
        settled
    }

    #[test]
    fn good_rows_take_a_few_large_ranges() {
        for (rows, tries) in [(0, 0), (1, 1), (512, 1), (513, 2), (16_384, 32), (100_000, 32)] {
            let settled = settle(Ranges::of(rows), &[]);
            assert_eq!((settled.passed.len(), settled.tries), (rows, tries));
        }
    }

    #[test]
    fn one_bad_row_costs_two_tries_a_halving() {
        for bad in [0, 1, 1561, 1562, 3124, 50_000, 99_999] {
            let settled = settle(Ranges::of(100_000), &[bad]);
            assert_eq!((settled.passed.len(), settled.refused), (99_999, vec![bad]));
            // A range has 3125 rows, which are halved 12 times at most.
            assert!(settled.tries <= 32 + 2 * 12, "{} for row {bad}", settled.tries);
        }
    }

    #[test]
    fn the_second_half_is_not_tried_whole_if_the_first_one_passed() {
        let mut ranges = Ranges::of_refused(8);
        let first = ranges.pop().expect("the first half");
        assert_eq!(first.rows, 0..4);
        ranges.passed(&first);
        assert_eq!(ranges.pop().map(|range| range.rows), Some(4..6), "half of the second half");
    }

    #[test]
    fn rows_that_are_refused_only_together_are_all_settled() {
        // Rows 0 and 1 are refused in one range, and pass in two.
        let mut ranges = Ranges::of_refused(2);
        let mut passed = Vec::new();
        while let Some(range) = ranges.pop() {
            passed.extend(range.rows.clone());
            ranges.passed(&range);
        }
        assert_eq!(passed, [0, 1]);
    }

    proptest! {
        #[test]
        fn each_row_is_settled_once_in_its_order(
            rows in 0_usize..3000,
            bad in prop::collection::btree_set(0_usize..3000, 0..40),
            is_known_bad in any::<bool>(),
        ) {
            let bad: Vec<usize> = bad.into_iter().filter(|row| *row < rows).collect();
            let good: Vec<usize> = (0..rows).filter(|row| !bad.contains(row)).collect();
            let ranges = if is_known_bad { Ranges::of_refused(rows) } else { Ranges::of(rows) };
            let settled = settle(ranges, &bad);
            prop_assert_eq!(settled.passed, good);
            // A row is halved out of at most 4096.
            prop_assert!(settled.tries <= RANGES + bad.len() * 2 * 12, "{}", settled.tries);
            prop_assert_eq!(settled.refused, bad);
            prop_assert!(settled.tries <= RANGES + 2 * rows);
        }
    }
}
