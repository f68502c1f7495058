//! Turns raw values into derived columns before they are hashed; a row for which that fails becomes a reject.

use std::collections::BTreeMap;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::ArrowError;
use ferry::batch::Batch as Rows;
use ferry::reject::{Code, Reason, Reject};
use ferry::schema::Column;
use ferry::values::text_of;

use super::STAGE;
use crate::expression::Expression;
use crate::stage::StagedReject;

/// A column of `transform.derive_before_hash`.
#[derive(Debug, Clone)]
pub(crate) struct Derived {
    /// The new column; the expression gives the Arrow type of its type.
    pub(crate) column: Column,
    /// What it is made of, over the checked columns.
    pub(crate) expression: Expression,
}

/// What the expressions make of one batch.
pub(super) struct DerivedValues {
    /// One array for each derived column, with one value for each row.
    pub(super) arrays: Vec<ArrayRef>,
    /// Why rows failed, by row.
    pub(super) failures: BTreeMap<usize, Vec<Reason>>,
}

impl DerivedValues {
    /// For each of so many rows, whether every expression gave a value.
    pub(super) fn is_kept(&self, row_count: usize) -> BooleanArray {
        let is_kept = |row| !self.failures.contains_key(&row);
        BooleanArray::from((0..row_count).map(is_kept).collect::<Vec<bool>>())
    }
}

/// Evaluates every expression for every row.
pub(super) fn evaluate(
    derived: &[Derived],
    records: &RecordBatch,
) -> Result<DerivedValues, ArrowError> {
    let mut arrays = Vec::with_capacity(derived.len());
    let mut failures: BTreeMap<usize, Vec<Reason>> = BTreeMap::new();
    for Derived { column, expression } in derived {
        let evaluated = expression.evaluate(records)?;
        arrays.push(evaluated.values);
        for row in evaluated.failed {
            let reason = Reason::of_column(Code::EXPRESSION_FAILED, &column.name);
            failures.entry(row).or_default().push(reason);
        }
    }
    Ok(DerivedValues { arrays, failures })
}

/// The rows that failed, with the texts of their checked columns.
pub(super) fn rejects(rows: &Rows, failures: BTreeMap<usize, Vec<Reason>>) -> Vec<StagedReject> {
    let mut rejects = Vec::with_capacity(failures.len());
    for (row, reasons) in failures {
        let columns = rows.records.columns().iter();
        let fields = columns.map(|column| text_of(column.as_ref(), row)).collect();
        let reject = Reject { place: rows.places[row], reasons, fields };
        rejects.push(StagedReject { stage: STAGE, reject });
    }
    rejects
}
