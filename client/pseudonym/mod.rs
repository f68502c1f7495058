//! Turns checked batches into pseudonymised ones: personal data becomes a keyed hash, a mask, or nothing.
//!
//! Invariant: after this stage neither the rows nor the quarantined records
//! hold a value of a column that the job declares as PII, except for what the
//! job itself derives from it with `transform.derive_before_hash`.

mod derive;
mod digest;
mod mask;
mod refused;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::filter::filter;
use ferry::schema::{Column, ColumnType, arrow_schema};

use crate::check::Checked;
use crate::job::Form;
use crate::key::DomainHash;
use crate::stage::Batch;

pub(crate) use derive::Derived;

/// Marks a batch without raw personal data.
pub(crate) struct Pseudonymised(());

/// Name of the stage in quarantine.
const STAGE: &str = "pseudonym";

/// What becomes of one column.
#[derive(Debug, Clone)]
pub(crate) enum Treatment {
    /// It passes as it is.
    Keep,
    /// It becomes a pseudonym: equal values of a domain stay equal.
    Hash(DomainHash, Form),
    /// It becomes a hash over a random salt and the value, and a column with
    /// the salts follows it: equal values differ.
    Salted(DomainHash, Form),
    /// Only its last characters stay.
    Mask {
        /// How many characters, of a long value; of a short one, half of it.
        keep_last: usize,
    },
    /// It goes no further.
    Drop,
}

/// The columns that come of `columns`, treated one by one, without derived ones.
pub(crate) fn treated_columns(columns: &[Column], treatments: &[Treatment]) -> Vec<Column> {
    let mut treated = Vec::with_capacity(columns.len());
    for (column, treatment) in columns.iter().zip(treatments) {
        let name = column.name.clone();
        match treatment {
            Treatment::Keep => treated.push(column.clone()),
            Treatment::Hash(_, form) => treated.push(Column { name, column_type: type_of(*form) }),
            Treatment::Salted(_, form) => {
                let salt = Column { name: salt_name(&name), column_type: type_of(*form) };
                treated.push(Column { name, column_type: type_of(*form) });
                treated.push(salt);
            }
            Treatment::Mask { .. } => treated.push(Column { name, column_type: ColumnType::Text }),
            Treatment::Drop => {}
        }
    }
    treated
}

/// Pseudonymises the batches of one stream.
pub(crate) struct Pseudonymiser {
    names: Vec<String>,
    treatments: Vec<Treatment>,
    derived: Vec<Derived>,
    columns: Vec<Column>,
    schema: SchemaRef,
}

impl Pseudonymiser {
    /// Treats each checked column as said, in the same order, and adds the derived ones.
    ///
    /// Columns that are hashed or masked must be text.
    pub(crate) fn new(
        columns: &[Column],
        treatments: Vec<Treatment>,
        derived: Vec<Derived>,
    ) -> Self {
        let mut outputs = treated_columns(columns, &treatments);
        outputs.extend(derived.iter().map(|derived| derived.column.clone()));
        Self {
            names: columns.iter().map(|column| column.name.clone()).collect(),
            treatments,
            derived,
            schema: arrow_schema(&outputs),
            columns: outputs,
        }
    }

    /// Pseudonymises the rows and the rejects of a batch.
    pub(crate) fn pseudonymise(
        &self,
        mut batch: Batch<Checked>,
    ) -> Result<Batch<Pseudonymised>, ArrowError> {
        self.protect(&mut batch)?;
        Ok(batch.marked(Pseudonymised(())))
    }

    /// All that the stage does to a batch, whatever its mark says.
    fn protect<S>(&self, batch: &mut Batch<S>) -> Result<(), ArrowError> {
        let mut values = derive::evaluate(&self.derived, &batch.rows.records)?;
        if !values.failures.is_empty() {
            let is_kept = values.is_kept(batch.rows.records.num_rows());
            batch.rejects.extend(derive::rejects(&batch.rows, values.failures));
            batch.keep(&is_kept)?;
            for array in &mut values.arrays {
                *array = filter(array.as_ref(), &is_kept)?;
            }
        }
        batch.rows.records = self.treat(&batch.rows.records, values.arrays)?;
        for reject in std::mem::take(&mut batch.rejects) {
            batch.quarantined.push(refused::quarantined(reject, &self.names, &self.treatments)?);
        }
        Ok(())
    }

    /// The records with every column treated, and the derived columns after them.
    fn treat(
        &self,
        records: &RecordBatch,
        derived: Vec<ArrayRef>,
    ) -> Result<RecordBatch, ArrowError> {
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (array, treatment) in records.columns().iter().zip(&self.treatments) {
            match treatment {
                Treatment::Keep => arrays.push(Arc::clone(array)),
                Treatment::Hash(hash, form) => {
                    arrays.push(digest::hashed(text(array)?, hash, *form)?);
                }
                Treatment::Salted(hash, form) => {
                    let values = text(array)?;
                    let salts = digest::draw_salts(values.len())?;
                    let salted = digest::salted(values, &salts, hash, *form)?;
                    arrays.extend([salted.pseudonyms, salted.salts]);
                }
                Treatment::Mask { keep_last } => {
                    arrays.push(mask::masked_column(text(array)?, *keep_last));
                }
                Treatment::Drop => {}
            }
        }
        arrays.extend(derived);
        // A batch without columns still has its rows.
        let options = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
    }
}

fn type_of(form: Form) -> ColumnType {
    match form {
        Form::Bytea => ColumnType::Bytea,
        Form::Hex => ColumnType::Text,
    }
}

/// Name of the column that holds the salts of another.
pub(crate) fn salt_name(column: &str) -> String {
    format!("{column}_salt")
}

fn text(array: &ArrayRef) -> Result<&StringArray, ArrowError> {
    array.as_string_opt::<i32>().ok_or_else(|| {
        ArrowError::SchemaError("a column to be hashed or masked must be text".to_owned())
    })
}

/// What is said of a person: NULL stays NULL, and the empty string is not a person.
fn person(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}
