//! Turns pseudonymised batches into loadable ones: the filter, the expressions, the types of the targets.
//!
//! Invariant: a row that leaves this stage has a value of the right type in
//! every column of every target; the others are filtered or quarantined, and
//! what quarantine keeps of them is pseudonymised.

mod conversion;
mod instants;
mod output;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, SchemaRef};
use ferry::batch::Batch as Rows;
use ferry::reject::{Code, Reason};
use ferry::schema::{Column, arrow_schema};
use ferry::values::text_of;
use serde_json::{Map, Value as Json};

use crate::expression::Expression;
use crate::ledger::quarantine::QuarantinedRow;
use crate::pseudonym::Pseudonymised;
use crate::stage::{Batch, keep};

pub(crate) use output::{Output, Value};

/// Marks a batch whose rows may be written to the targets.
pub(crate) struct Loadable(());

/// Name of the stage in quarantine.
const STAGE: &str = "transform";

/// Makes the batches of one stream loadable.
pub(crate) struct Transformer {
    inputs: Vec<Input>,
    filter: Option<Expression>,
    outputs: Vec<Output>,
    schema: SchemaRef,
}

/// A column as the stage before left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    /// Its name.
    pub(crate) name: String,
    /// Whether it holds pseudonyms, which quarantine shows as bare hexadecimal digits.
    pub(crate) is_pseudonym: bool,
}

/// Everything that is wrong with some rows of a batch.
type Refused = BTreeMap<usize, Vec<Reason>>;

impl Transformer {
    /// `outputs` are the columns that the targets take, each of them once.
    pub(crate) fn new(
        inputs: Vec<Input>,
        filter: Option<Expression>,
        outputs: Vec<Output>,
    ) -> Self {
        let columns: Vec<Column> = outputs.iter().map(|output| output.column.clone()).collect();
        Self { inputs, filter, outputs, schema: arrow_schema(&columns) }
    }

    /// Makes a batch loadable.
    pub(crate) fn transform(
        &self,
        mut batch: Batch<Pseudonymised>,
    ) -> Result<Batch<Loadable>, ArrowError> {
        let Transformed { quarantined, filtered } = self.transform_rows(&mut batch.rows)?;
        batch.quarantined.extend(quarantined);
        batch.filtered += filtered;
        Ok(batch.marked(Loadable(())))
    }

    /// Turns `rows` into loadable ones, and says what became of the others.
    fn transform_rows(&self, rows: &mut Rows) -> Result<Transformed, ArrowError> {
        let mut outcome = Transformed::default();
        self.filter(rows, &mut outcome)?;
        let mut refused = Refused::new();
        let mut columns = Vec::with_capacity(self.outputs.len());
        for output in &self.outputs {
            columns.push(output.make(&rows.records, &mut refused)?);
        }
        let row_count = rows.records.num_rows();
        let options = RecordBatchOptions::new().with_row_count(Some(row_count));
        let loadable =
            RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        if refused.is_empty() {
            rows.records = loadable;
            return Ok(outcome);
        }
        let is_kept = self.quarantine(rows, refused, &mut outcome.quarantined);
        rows.records = loadable;
        keep(rows, &is_kept)?;
        Ok(outcome)
    }

    /// Takes out the rows for which the filter is not true.
    fn filter(&self, rows: &mut Rows, outcome: &mut Transformed) -> Result<(), ArrowError> {
        let Some(filter) = &self.filter else {
            return Ok(());
        };
        let evaluated = filter.evaluate(&rows.records)?;
        let is_true = evaluated.values.as_boolean();
        let out = is_true.len() - is_true.true_count() - evaluated.failed.len();
        outcome.filtered += out as u64;
        let failed = || vec![Reason::of_record(Code::EXPRESSION_FAILED)];
        let refused: Refused = evaluated.failed.iter().map(|row| (*row, failed())).collect();
        if !refused.is_empty() {
            self.quarantine(rows, refused, &mut outcome.quarantined);
        }
        keep(rows, is_true)
    }

    /// Puts refused rows into quarantine; returns which rows are left.
    fn quarantine(
        &self,
        rows: &Rows,
        refused: Refused,
        quarantined: &mut Vec<QuarantinedRow>,
    ) -> BooleanArray {
        let mut is_kept = BooleanBufferBuilder::new(rows.places.len());
        is_kept.append_n(rows.places.len(), true);
        for (row, reasons) in refused {
            is_kept.set_bit(row, false);
            quarantined.push(QuarantinedRow {
                place: rows.places[row],
                stage: STAGE,
                reasons,
                record: self.record_of(&rows.records, row),
            });
        }
        BooleanArray::new(is_kept.finish(), None)
    }

    /// What quarantine keeps of a row: it is pseudonymised by now.
    fn record_of(&self, records: &RecordBatch, row: usize) -> Option<Json> {
        let mut record = Map::new();
        for (input, column) in self.inputs.iter().zip(records.columns()) {
            let Some(text) = text_of(column, row) else { continue };
            let text = match text.strip_prefix("\\x") {
                Some(digits) if input.is_pseudonym => digits.to_owned(),
                _ => text,
            };
            record.insert(input.name.clone(), text.into());
        }
        (!record.is_empty()).then_some(Json::Object(record))
    }
}

/// What became of the rows that are not loaded.
#[derive(Debug, Default)]
struct Transformed {
    quarantined: Vec<QuarantinedRow>,
    filtered: u64,
}

/// Notes that a value is missing where a target requires one, once a column and row.
fn refuse_nulls(column: &ArrayRef, name: &str, refused: &mut Refused) {
    if column.null_count() == 0 {
        return;
    }
    for row in (0..column.len()).filter(|row| column.is_null(*row)) {
        let reasons = refused.entry(row).or_default();
        // What failed is null as well, and has its reason already.
        if !reasons.iter().any(|reason| reason.column.as_deref() == Some(name)) {
            reasons.push(Reason::of_column(Code::NULL_VALUE, name));
        }
    }
}
