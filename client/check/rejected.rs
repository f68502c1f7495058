//! Turns rejects of earlier stages into rejects with every reason: what can be read of them is checked too.
//!
//! Invariant: a column that already has a reason, or whose field cannot be
//! read, gets no further one, and no expression that reads it is asked.

use std::sync::Arc;

use arrow_array::{Array as _, RecordBatch};
use arrow_schema::ArrowError;
use ferry::reject::Reject;
use ferry::schema::Column;

use crate::stage::StagedReject;

use super::values::parse_or_null;
use super::{Checker, add};

/// Whether a column of a reject can be checked, by row.
type Soundness = Vec<bool>;

impl Checker {
    /// Adds what the checks find in rejects whose fields could be told apart.
    ///
    /// They claim no value, and `on_fail` does not matter: they stay rejects.
    pub(super) fn complete(&self, rejects: &mut [StagedReject]) -> Result<(), ArrowError> {
        if self.checks.is_empty() {
            return Ok(());
        }
        let mut rejects: Vec<&mut Reject> = rejects
            .iter_mut()
            .map(|staged| &mut staged.reject)
            .filter(|reject| !reject.fields.is_empty() && reject.fields.len() == self.columns.len())
            .collect();
        if rejects.is_empty() {
            return Ok(());
        }
        let (records, soundness) = self.read(&rejects)?;
        // Check by check, so that the reasons of each reject are in their order.
        for failure in self.evaluate(&records)? {
            let mut reads = self.checks[failure.check].reads.iter();
            if reads.all(|column| soundness[*column][failure.row]) {
                add(&mut rejects[failure.row].reasons, self.reason(&failure));
            }
        }
        Ok(())
    }

    /// The fields as typed columns, null where they cannot be read.
    fn read(&self, rejects: &[&mut Reject]) -> Result<(RecordBatch, Vec<Soundness>), ArrowError> {
        let mut arrays = Vec::with_capacity(self.columns.len());
        let mut soundness = Vec::with_capacity(self.columns.len());
        for (index, column) in self.columns.iter().enumerate() {
            let fields = rejects.iter().map(|reject| reject.fields[index].as_deref());
            let values = parse_or_null(column.column_type, fields)?;
            let is_sound = |(row, reject): (usize, &&mut Reject)| {
                let is_read = reject.fields[index].is_none() || values.is_valid(row);
                is_read && !has_reason(reject, column)
            };
            soundness.push(rejects.iter().enumerate().map(is_sound).collect());
            arrays.push(values);
        }
        Ok((RecordBatch::try_new(Arc::clone(&self.schema), arrays)?, soundness))
    }
}

fn has_reason(reject: &Reject, column: &Column) -> bool {
    reject.reasons.iter().any(|reason| reason.column.as_deref() == Some(column.name.as_str()))
}
