//! Takes the keys of rows out of loadable batches, for tables whose rows are cached.
//!
//! Costs nothing where no table says so. Keys count towards the bytes of a
//! transaction, so that they are bounded as its rows are.

use arrow_array::{Array as _, ArrayRef};
use ferry::values::text_of;

use crate::stage::Batch;
use crate::transform::Loadable;

/// Keys of rows of one table, column by column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TableKeys {
    /// Index of the table among those of the job.
    pub(crate) table: usize,
    /// Texts of each column of the key, as PostgreSQL reads them; all are as long.
    pub(crate) columns: Vec<Vec<String>>,
}

impl TableKeys {
    /// Reads the keys of a batch from the columns `outputs`; a row with NULL
    /// in its key cannot be found by it, and is left out.
    pub(super) fn of(table: usize, outputs: &[usize], batch: &Batch<Loadable>) -> Self {
        let records = &batch.rows.records;
        let arrays: Vec<&ArrayRef> =
            outputs.iter().filter_map(|index| records.columns().get(*index)).collect();
        let mut columns: Vec<Vec<String>> = vec![Vec::new(); arrays.len()];
        if arrays.len() < outputs.len() {
            // The encoder refuses such a batch.
            return Self { table, columns };
        }
        for row in 0..records.num_rows() {
            if arrays.iter().any(|array| array.is_null(row)) {
                continue;
            }
            for (column, array) in columns.iter_mut().zip(&arrays) {
                column.push(text_of(*array, row).unwrap_or_default());
            }
        }
        Self { table, columns }
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// The key of a row.
    pub(crate) fn key(&self, row: usize) -> Vec<String> {
        self.columns.iter().filter_map(|column| column.get(row).cloned()).collect()
    }

    /// About how many bytes they take.
    pub(super) fn bytes(&self) -> u64 {
        let texts = self.columns.iter().flatten();
        texts.map(|text| (size_of::<String>() + text.len()) as u64).sum()
    }
}

/// Adds keys to those of the same tables.
pub(crate) fn add(all: &mut Vec<TableKeys>, more: Vec<TableKeys>) {
    for keys in more {
        let Some(known) = all.iter_mut().find(|known| known.table == keys.table) else {
            all.push(keys);
            continue;
        };
        for (known, column) in known.columns.iter_mut().zip(keys.columns) {
            known.extend(column);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(table: usize, columns: &[&[&str]]) -> TableKeys {
        let owned = |column: &&[&str]| column.iter().map(|text| (*text).to_owned()).collect();
        TableKeys { table, columns: columns.iter().map(owned).collect() }
    }

    #[test]
    fn keys_are_joined_by_table() {
        let mut all = vec![keys(0, &[&["1"]])];
        add(&mut all, vec![keys(1, &[&["a"], &["b"]]), keys(0, &[&["2", "3"]])]);
        assert_eq!(all, [keys(0, &[&["1", "2", "3"]]), keys(1, &[&["a"], &["b"]])]);
        assert_eq!(all[0].len(), 3);
        assert_eq!(all[0].key(2), ["3"]);
        assert_eq!(all[1].key(0), ["a", "b"]);
    }

    #[test]
    fn keys_have_their_weight() {
        assert_eq!(TableKeys::default().bytes(), 0);
        let weight = keys(0, &[&["1234"], &["12"]]).bytes();
        assert_eq!(weight, 2 * size_of::<String>() as u64 + 6);
    }
}
