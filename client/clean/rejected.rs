//! Rows that left the way here, and those that left it at the source: what becomes of their texts.
//!
//! A refused row keeps the texts that a loaded one would have been made of, so
//! that both get the same pseudonyms.

use std::collections::BTreeMap;

use arrow_array::{ArrayRef, BooleanArray};
use ferry::position::Place;
use ferry::reject::{Code, Reason, Reject};
use ferry::schema::{Column, ColumnType};
use ferry::values::{ColumnBuilder, text_of};

use crate::stage::StagedReject;

use super::arrays::Failures;
use super::rules::{Step, clean_value};

/// Name of the stage in quarantine.
const STAGE: &str = "clean";

/// The rows of a batch that were refused, each with all its reasons.
#[derive(Default)]
pub(super) struct FailedRows {
    /// Indexes of columns, ascending, and what is wrong there.
    rows: BTreeMap<usize, Vec<(usize, Code)>>,
}

impl FailedRows {
    /// Takes up what one column refused; columns come in their order.
    pub(super) fn add(&mut self, column: usize, failures: Failures) {
        for (row, code) in failures {
            self.rows.entry(row).or_default().push((column, code));
        }
    }

    /// Whether no row was refused.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Which of so many rows stay.
    pub(super) fn kept(&self, row_count: usize) -> BooleanArray {
        let mut is_kept = vec![true; row_count];
        for row in self.rows.keys() {
            is_kept[*row] = false;
        }
        BooleanArray::from(is_kept)
    }

    /// The rows as rejects, with the texts of the columns before they were parsed.
    pub(super) fn rejects(
        self,
        columns: &[Column],
        texts: &[ArrayRef],
        places: &[Place],
    ) -> Vec<StagedReject> {
        let mut rejects = Vec::with_capacity(self.rows.len());
        for (row, failures) in self.rows {
            let fields = fields_of(row, &failures, texts);
            let mut reasons = Vec::with_capacity(failures.len());
            for (column, code) in failures {
                reasons.push(Reason::of_column(code, &columns[column].name));
            }
            let reject = Reject { place: places[row], reasons, fields };
            rejects.push(StagedReject { stage: STAGE, reject });
        }
        rejects
    }
}

/// The texts of a row; none where it was refused, because what cannot be read cannot be hidden.
fn fields_of(row: usize, failures: &[(usize, Code)], texts: &[ArrayRef]) -> Vec<Option<String>> {
    let field = |(index, column): (usize, &ArrayRef)| {
        let is_refused = failures.iter().any(|(refused, _)| *refused == index);
        if is_refused { None } else { text_of(column.as_ref(), row) }
    };
    texts.iter().enumerate().map(field).collect()
}

/// Cleans one field of a row that the source refused, and sees whether it parses
/// to the type that it would get here, if the source did not parse it.
pub(super) fn clean_field(
    steps: &[Step],
    parsed_as: Option<ColumnType>,
    column: &str,
    index: usize,
    reject: &mut Reject,
) {
    let is_refused = reject.reasons.iter().any(|reason| reason.column.as_deref() == Some(column));
    let Some(field) = reject.fields.get_mut(index) else {
        return;
    };
    if field.is_none() && is_refused {
        // It was unreadable, not null.
        return;
    }
    let cleaned = clean_value(steps, field.as_deref());
    let outcome = cleaned.and_then(|value| {
        if let Some(column_type) = parsed_as {
            ColumnBuilder::new(column_type).append(value.as_deref().map(str::as_bytes))?;
        }
        Ok(value)
    });
    match outcome {
        Ok(value) => *field = value,
        Err(code) => {
            *field = None;
            if !is_refused {
                reject.reasons.push(Reason::of_column(code, column));
            }
        }
    }
}
