//! Evaluates an expression over a batch; rows for which it fails are found and left null.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, Schema};
use arrow_select::concat::concat;
use ferry::host::panic;
use ferry::values::text_of;

use super::{Expression, plan};

/// The values of a batch.
#[derive(Debug)]
pub(crate) struct Evaluated {
    /// One value a row, null where the expression failed.
    pub(crate) values: ArrayRef,
    /// Rows for which it failed, in ascending order.
    pub(crate) failed: Vec<usize>,
}

impl Expression {
    /// Evaluates every row.
    ///
    /// DataFusion fails for a whole batch: then halves are tried, and halves of
    /// halves, until the rows that fail are alone. What it says of them may
    /// hold values, so it is dropped.
    pub(crate) fn evaluate(&self, records: &RecordBatch) -> Result<Evaluated, ArrowError> {
        let records = &self.with_uuids_as_text(records)?;
        let rows = records.num_rows();
        if let Some(values) = self.try_evaluate(records) {
            return Ok(Evaluated { values, failed: Vec::new() });
        }
        let mut parts = Vec::new();
        let mut failed = Vec::new();
        // The half that comes next lies on top.
        let mut left = halves(0..rows);
        while let Some(range) = left.pop() {
            let values = self.try_evaluate(&records.slice(range.start, range.len()));
            match values {
                Some(values) => parts.push(values),
                None if range.len() == 1 => {
                    failed.push(range.start);
                    parts.push(new_null_array(&self.data_type, 1));
                }
                None => left.extend(halves(range)),
            }
        }
        let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
        Ok(Evaluated { values: concat(&parts)?, failed })
    }

    /// Whether it reads no column and fails, such as `1 / 0`.
    pub(super) fn fails_always(&self) -> bool {
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let row =
            RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options);
        self.column_indexes.is_empty() && row.is_ok_and(|row| self.try_evaluate(&row).is_none())
    }

    /// `None` if a row fails.
    fn try_evaluate(&self, records: &RecordBatch) -> Option<ArrayRef> {
        // A kernel that panics, such as on a text of more than 2 GiB, fails for the row.
        let outcome = panic::caught(|| self.plan.evaluate(records))?;
        let values = outcome.ok()?.into_array(records.num_rows()).ok()?;
        if values.data_type() == &self.data_type {
            return Some(values);
        }
        // Some functions give another scale than they announce.
        let options = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(&values, &self.data_type, &options).ok()
    }

    fn with_uuids_as_text(&self, records: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        if self.uuid_indexes.is_empty() {
            return Ok(records.clone());
        }
        let mut fields = records.schema_ref().fields().to_vec();
        let mut columns = records.columns().to_vec();
        for index in &self.uuid_indexes {
            let texts = (0..records.num_rows()).map(|row| text_of(&columns[*index], row));
            let texts: StringArray = texts.collect();
            columns[*index] = Arc::new(texts);
            fields[*index] = Arc::new(plan::seen(&fields[*index]));
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
    }
}

/// Both halves, the second one first.
fn halves(range: Range<usize>) -> Vec<Range<usize>> {
    let middle = range.start + range.len() / 2;
    if range.len() <= 1 {
        return vec![range];
    }
    vec![middle..range.end, range.start..middle]
}
