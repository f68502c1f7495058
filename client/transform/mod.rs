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
use arrow_select::filter::filter_record_batch;
use ferry::batch::Batch as Rows;
use ferry::position::Place;
use ferry::reject::{Code, Reason};
use ferry::schema::{Column, arrow_schema};

use crate::expression::Expression;
use crate::ledger::quarantine::QuarantinedRow;
use crate::pseudonym::Pseudonymised;
use crate::stage::{Batch, Evidence, Pace, keep};

pub(crate) use crate::stage::Input;
pub(crate) use output::{Output, Value};

/// Marks a batch whose rows may be written to the targets.
pub(crate) struct Loadable(());

/// Name of the stage in quarantine.
const STAGE: &str = "transform";

/// Makes the batches of one stream loadable.
pub(crate) struct Transformer {
    inputs: Arc<[Input]>,
    filter: Option<Expression>,
    outputs: Vec<Output>,
    schema: SchemaRef,
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
        Self { inputs: inputs.into(), filter, outputs, schema: arrow_schema(&columns) }
    }

    /// Makes a batch loadable; with evidence of its rows if some may be refused later.
    pub(crate) fn transform(
        &self,
        mut batch: Batch<Pseudonymised>,
        pace: Pace,
    ) -> Result<Batch<Loadable>, ArrowError> {
        let outcome = self.transform_rows(&mut batch.rows, pace)?;
        batch.quarantined.extend(outcome.quarantined);
        batch.filtered += outcome.filtered;
        batch.evidence = outcome.evidence;
        Ok(batch.marked(Loadable(())))
    }

    /// Turns `rows` into loadable ones, and says what became of the others.
    fn transform_rows(&self, rows: &mut Rows, pace: Pace) -> Result<Transformed, ArrowError> {
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
        let inputs = std::mem::replace(&mut rows.records, loadable);
        let mut evidence = self.evidence(inputs);
        if !refused.is_empty() {
            let is_kept = quarantine(&rows.places, &evidence, refused, &mut outcome.quarantined);
            evidence.records = filter_record_batch(&evidence.records, &is_kept)?;
            keep(rows, &is_kept)?;
        }
        outcome.evidence = (pace == Pace::Careful).then_some(evidence);
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
            let evidence = self.evidence(rows.records.clone());
            quarantine(&rows.places, &evidence, refused, &mut outcome.quarantined);
        }
        keep(rows, is_true)
    }

    /// What may be stored of rows that came into this stage.
    fn evidence(&self, records: RecordBatch) -> Evidence {
        Evidence { records, inputs: Arc::clone(&self.inputs) }
    }
}

/// Puts refused rows into quarantine; returns which rows are left.
fn quarantine(
    places: &[Place],
    evidence: &Evidence,
    refused: Refused,
    quarantined: &mut Vec<QuarantinedRow>,
) -> BooleanArray {
    let mut is_kept = BooleanBufferBuilder::new(places.len());
    is_kept.append_n(places.len(), true);
    for (row, reasons) in refused {
        is_kept.set_bit(row, false);
        quarantined.push(QuarantinedRow {
            place: places[row],
            stage: STAGE,
            reasons,
            constraint: None,
            record: evidence.record_of(row),
        });
    }
    BooleanArray::new(is_kept.finish(), None)
}

/// What is left of a batch beside its loadable rows.
#[derive(Default)]
struct Transformed {
    quarantined: Vec<QuarantinedRow>,
    filtered: u64,
    /// Of the loadable rows, in their order.
    evidence: Option<Evidence>,
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
