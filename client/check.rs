//! Turns clean batches into checked ones; a row without a required value becomes a reject.
//!
//! Required is what the target table declares NOT NULL: PostgreSQL would refuse
//! the whole COPY for one such row.

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::cast::AsArray as _;
use arrow_array::{Array, BooleanArray};
use arrow_schema::ArrowError;
use arrow_select::filter::filter_record_batch;
use ferry::reject::{Code, Reason, Reject};

use crate::clean::Clean;
use crate::stage::{Batch, StagedReject};

/// Marks a batch whose rows have passed every check.
pub(crate) struct Checked(());

/// Name of the stage in quarantine.
const STAGE: &str = "check";

/// What a batch is checked against.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checks {
    /// Indexes of the columns that must not be null.
    pub(crate) required: Vec<usize>,
}

/// Checks a batch.
pub(crate) fn check(batch: Batch<Clean>, checks: &Checks) -> Result<Batch<Checked>, ArrowError> {
    let is_violated = |column: &usize| batch.rows.records.column(*column).null_count() > 0;
    let violated: Vec<usize> = checks.required.iter().copied().filter(is_violated).collect();
    if violated.is_empty() {
        return Ok(batch.marked(Checked(())));
    }
    Ok(reject_nulls(batch, &violated)?.marked(Checked(())))
}

/// Moves the rows that are null in one of the columns to the rejects.
fn reject_nulls(mut batch: Batch<Clean>, required: &[usize]) -> Result<Batch<Clean>, ArrowError> {
    let row_count = batch.rows.records.num_rows();
    let mut is_good = BooleanBufferBuilder::new(row_count);
    let mut good_places = Vec::with_capacity(row_count);
    for row in 0..row_count {
        let reasons = reasons_of(&batch, required, row);
        is_good.append(reasons.is_empty());
        let place = batch.rows.places[row];
        if reasons.is_empty() {
            good_places.push(place);
            continue;
        }
        let fields = texts_of(&batch, row);
        let reject = Reject { place, reasons, fields };
        batch.rejects.push(StagedReject { stage: STAGE, reject });
    }
    let is_good = BooleanArray::new(is_good.finish(), None);
    batch.rows.records = filter_record_batch(&batch.rows.records, &is_good)?;
    batch.rows.places = good_places;
    Ok(batch)
}

fn reasons_of(batch: &Batch<Clean>, required: &[usize], row: usize) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for column in required {
        if batch.rows.records.column(*column).is_null(row) {
            let name = batch.rows.records.schema_ref().field(*column).name();
            reasons.push(Reason::of_column(Code::NULL_VALUE, name));
        }
    }
    reasons
}

/// The row's fields as text, as far as they are text.
fn texts_of(batch: &Batch<Clean>, row: usize) -> Vec<Option<String>> {
    let text = |column: &arrow_array::ArrayRef| {
        let strings = column.as_string_opt::<i32>()?;
        strings.is_valid(row).then(|| strings.value(row).to_owned())
    };
    batch.rows.records.columns().iter().map(text).collect()
}
