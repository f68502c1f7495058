//! Cuts a page of rows that PostgreSQL refuses into ever smaller parts, until the rows to blame stand alone. Pure: no I/O.
//!
//! Invariants: parts come in the order of the file, since of two rows with the
//! same unique value the later one is refused; a page of n rows gives less than
//! 3 * n of them, whatever is refused.

use crate::database::RowRefusal;
use crate::ledger::quarantine::settle::OpenRow;

/// Rows that are replayed in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// The rows, in the order of the file.
    pub(super) rows: Vec<OpenRow>,
    /// What PostgreSQL said of the row, if it stood alone and was refused.
    pub(super) refusal: Option<RowRefusal>,
}

/// What is left of a page; the next part comes last.
#[derive(Debug)]
pub(super) struct Parts(Vec<Part>);

impl Parts {
    /// A whole page, which is one part at first.
    pub(super) fn of(rows: Vec<OpenRow>) -> Self {
        Self(vec![Part { rows, refusal: None }])
    }

    /// The next part, if any is left.
    pub(super) fn pop(&mut self) -> Option<Part> {
        self.0.pop()
    }

    /// Takes back a part that PostgreSQL refused: in halves, or as the row that is to blame.
    pub(super) fn take_back(&mut self, part: Part, refusal: RowRefusal) {
        let Part { mut rows, .. } = part;
        if rows.len() < 2 {
            self.0.push(Part { rows, refusal: Some(refusal) });
            return;
        }
        let later = rows.split_off(rows.len() / 2);
        self.0.push(Part { rows: later, refusal: None });
        self.0.push(Part { rows, refusal: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::SplitId;
    use ferry::position::{Fingerprint, Place};
    use proptest::prelude::*;

    fn row(id: i64) -> OpenRow {
        let row_number = id.cast_unsigned();
        OpenRow {
            id,
            split_id: SplitId(1),
            dataset: "d".to_owned(),
            file: "a.csv".to_owned(),
            fingerprint: Fingerprint {
                size_bytes: 10_000,
                content_hash: [7; 16],
                modified_unix_nanos: 1,
            },
            header: None,
            place: Place {
                row_number,
                byte_start: row_number * 10,
                byte_end: row_number * 10 + 10,
            },
        }
    }

    fn refusal() -> RowRefusal {
        RowRefusal {
            sqlstate: "23505".to_owned(),
            constraint: Some("users_pkey".to_owned()),
            column: None,
        }
    }

    /// What became of a page.
    #[derive(Default)]
    struct Replayed {
        loaded: Vec<i64>,
        refused: Vec<i64>,
        transactions: usize,
    }

    /// Replays rows 1 to `count` where a part with a row of `bad` is refused.
    fn replay(count: i64, bad: &[i64]) -> Replayed {
        let mut parts = Parts::of((1..=count).map(row).collect());
        let mut replayed = Replayed::default();
        while let Some(part) = parts.pop() {
            replayed.transactions += 1;
            let ids: Vec<i64> = part.rows.iter().map(|row| row.id).collect();
            if part.refusal.is_some() {
                replayed.refused.extend(ids);
            } else if ids.iter().any(|id| bad.contains(id)) {
                parts.take_back(part, refusal());
            } else {
                replayed.loaded.extend(ids);
            }
        }
        replayed
    }

    #[test]
    fn a_page_without_bad_rows_is_one_part() {
        let replayed = replay(500, &[]);
        assert_eq!((replayed.loaded.len(), replayed.transactions), (500, 1));
    }

    #[test]
    fn one_bad_row_costs_two_transactions_a_halving() {
        for bad in [1, 250, 251, 500] {
            let replayed = replay(500, &[bad]);
            assert_eq!((replayed.loaded.len(), replayed.refused), (499, vec![bad]));
            // The page, 9 times two halves at most, and the word on the row.
            assert!(replayed.transactions <= 20, "{} for row {bad}", replayed.transactions);
        }
    }

    #[test]
    fn a_row_that_is_refused_alone_comes_back_with_its_refusal() {
        let mut parts = Parts::of(vec![row(7)]);
        let part = parts.pop().expect("the page");
        parts.take_back(part, refusal());
        assert_eq!(parts.pop(), Some(Part { rows: vec![row(7)], refusal: Some(refusal()) }));
        assert_eq!(parts.pop(), None);
    }

    proptest! {
        #[test]
        fn each_row_is_settled_once_in_its_order(
            count in 1_i64..80,
            bad in prop::collection::btree_set(1_i64..80, 0..80),
        ) {
            let bad: Vec<i64> = bad.into_iter().filter(|id| *id <= count).collect();
            let good: Vec<i64> = (1..=count).filter(|id| !bad.contains(id)).collect();
            let replayed = replay(count, &bad);
            prop_assert_eq!(replayed.loaded, good);
            prop_assert_eq!(replayed.refused, bad);
            let transactions = i64::try_from(replayed.transactions).expect("a small number");
            prop_assert!(transactions < 3 * count);
        }
    }
}
