//! Turns clean batches into checked ones; a row that fails a check becomes a reject with every reason it has.
//!
//! Invariant: which rows fail depends on the rows and on what the run has
//! claimed before, not on how rows are cut into batches nor on how often a
//! batch is checked. Where one value comes twice the first row wins.

mod bounds;
mod compile;
mod rejected;
mod rules;
#[cfg(test)]
mod tests;
mod unique;
mod values;

use std::collections::BTreeMap;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::nullif::nullif;
use ferry::batch::Batch as Rows;
use ferry::reject::{Code, Reason, Reject};
use ferry::schema::{Column, arrow_schema};
use ferry::values::text_of;

use crate::clean::Clean;
use crate::job::{CheckRule, OnFail, RowCheck};
use crate::key::DomainHash;
use crate::ledger::SplitId;
use crate::stage::{Batch, Claim, Origin, StagedReject};

pub(crate) use compile::CheckError;

use rules::{Check, Failure, Rule};
use unique::{UniqueColumn, UniqueValues};

/// Name of the stage in quarantine.
const STAGE: &str = "check";

/// Marks a batch whose rows have passed every check.
pub(crate) struct Checked(());

/// What the job demands of one column.
pub(crate) struct ColumnChecks {
    /// Rules, in the order of the job.
    pub(crate) rules: Vec<CheckRule>,
    /// What becomes of a row that fails one of them.
    pub(crate) on_fail: OnFail,
    /// Makes the digests by which `unique` tells values apart.
    pub(crate) claims: DomainHash,
}

/// Checking that ended the run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CheckFailure {
    /// A row failed a check with `on_fail = "fail"`.
    #[error(
        "row {row_number} of {file} fails check {code}{}, and on_fail = \"fail\" stops the run: to keep such rows aside, set on_fail = \"quarantine\" and run with --new-rules",
        of_column(.column.as_deref())
    )]
    Refused {
        /// Name of the file.
        file: String,
        /// Number of the row in it.
        row_number: u64,
        /// Column that failed; `None` if it was a check of the whole row.
        column: Option<String>,
        /// What is wrong.
        code: Code,
    },
    /// The values that `unique` must remember take too much memory.
    #[error(
        "check unique of column \"{column}\" cannot remember more than {values} values in {limit} bytes: raise load.unique_memory and run again, or give the target table a unique index instead, under another job name"
    )]
    UniqueMemory {
        /// Column whose value had no room.
        column: String,
        /// Values of all unique columns that are remembered.
        values: u64,
        /// Bytes that they may take.
        limit: u64,
    },
    /// A batch is not what the checks were made for.
    #[error("a batch does not fit the checks of its columns: this is a defect of ferry")]
    Arrow(#[from] ArrowError),
}

/// Checks the batches of a run.
pub(crate) struct Checker {
    columns: Vec<Column>,
    schema: SchemaRef,
    /// In the order in which a reject lists its reasons.
    checks: Vec<Check>,
    unique: UniqueValues,
}

/// What the checks say of the rows of a batch.
#[derive(Default)]
struct Verdict {
    /// The same rows with NULL in place of values; `None` if there are none such.
    records: Option<RecordBatch>,
    /// Which rows stay; `None` if all do.
    is_kept: Option<BooleanArray>,
    /// The rows that do not stay, in their order.
    rejects: Vec<StagedReject>,
    /// Values that the rows that stay claim.
    claims: Vec<Claim>,
}

impl Checker {
    /// Checks of columns as they are after cleaning, one entry of `checks` a
    /// column. What `unique` remembers may take about `unique_bytes_max` bytes.
    pub(crate) fn new(
        columns: &[Column],
        checks: Vec<ColumnChecks>,
        row_checks: &[RowCheck],
        unique_bytes_max: u64,
    ) -> Result<Self, CheckError> {
        let schema = arrow_schema(columns);
        let compiled = compile::compile(columns, &checks, row_checks, &schema)?;
        let hashes: Vec<DomainHash> = checks.into_iter().map(|checks| checks.claims).collect();
        let mut unique = Vec::new();
        for (index, check) in compiled.iter().enumerate() {
            if let (Rule::Unique, Some(column)) = (&check.rule, check.column) {
                let hash = hashes[column].clone();
                unique.push(UniqueColumn::new(index, column, &columns[column], hash));
            }
        }
        let unique = UniqueValues::new(unique, unique_bytes_max);
        Ok(Self { columns: columns.to_vec(), schema, checks: compiled, unique })
    }

    /// Names of the columns with check `unique`.
    pub(crate) fn unique_columns(&self) -> Vec<&str> {
        self.unique.names()
    }

    /// Forgets what was claimed: a value is unique within its run.
    pub(crate) fn forget_claims(&self) {
        self.unique.clear();
    }

    /// Takes up what earlier commits of the run claimed in a split: entries end to end.
    pub(crate) fn remember(
        &self,
        column: &str,
        split: SplitId,
        entries: &[u8],
    ) -> Result<(), CheckFailure> {
        self.unique.remember(column, split, entries)
    }

    /// Checks a batch, and tells the rejects of earlier stages what else is wrong with them.
    pub(crate) fn check(
        &self,
        mut batch: Batch<Clean>,
        origin: &Origin,
    ) -> Result<Batch<Checked>, CheckFailure> {
        self.complete(&mut batch.rejects)?;
        let verdict = self.judge(&batch.rows, origin)?;
        if let Some(records) = verdict.records {
            batch.rows.records = records;
        }
        if let Some(is_kept) = &verdict.is_kept {
            batch.keep(is_kept)?;
        }
        batch.rejects.extend(verdict.rejects);
        batch.claims.extend(verdict.claims);
        Ok(batch.marked(Checked(())))
    }

    fn judge(&self, rows: &Rows, origin: &Origin) -> Result<Verdict, CheckFailure> {
        if self.checks.is_empty() || rows.places.is_empty() {
            return Ok(Verdict::default());
        }
        let mut failures = self.evaluate(&rows.records)?;
        let claims = self.unique.claim(rows, origin.split, &self.checks, &mut failures)?;
        if failures.is_empty() {
            return Ok(Verdict { claims, ..Verdict::default() });
        }
        failures.sort_by_key(|failure| (failure.row, failure.check));
        self.stop_at(&failures, rows, origin)?;
        let records = self.nulled(&failures, &rows.records)?;
        let (is_kept, rejects) = self.refuse(&failures, rows);
        Ok(Verdict { records, is_kept, rejects, claims })
    }

    /// Every failure but those of `unique`, check by check.
    fn evaluate(&self, records: &RecordBatch) -> Result<Vec<Failure>, ArrowError> {
        let mut failures = Vec::new();
        for (index, check) in self.checks.iter().enumerate() {
            let fail = &mut |row, code| failures.push(Failure { row, check: index, code });
            check.evaluate(records, fail)?;
        }
        Ok(failures)
    }

    /// Ends the run at the first row that a check with `on_fail = "fail"` refuses.
    fn stop_at(
        &self,
        failures: &[Failure],
        rows: &Rows,
        origin: &Origin,
    ) -> Result<(), CheckFailure> {
        let stops = |failure: &&Failure| self.checks[failure.check].on_fail == OnFail::Fail;
        let Some(failure) = failures.iter().find(stops) else {
            return Ok(());
        };
        let Reason { code, column } = self.reason(failure);
        let row_number = rows.places[failure.row].row_number;
        Err(CheckFailure::Refused { file: origin.file.clone(), row_number, column, code })
    }

    /// The records with NULL in place of the values whose check says so.
    fn nulled(
        &self,
        failures: &[Failure],
        records: &RecordBatch,
    ) -> Result<Option<RecordBatch>, ArrowError> {
        let mut masks: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
        for failure in failures {
            if let Some(column) = self.checks[failure.check].nulled_column() {
                let mask = masks.entry(column).or_insert_with(|| vec![false; records.num_rows()]);
                mask[failure.row] = true;
            }
        }
        if masks.is_empty() {
            return Ok(None);
        }
        let mut columns = records.columns().to_vec();
        for (column, mask) in masks {
            columns[column] = nullif(columns[column].as_ref(), &BooleanArray::from(mask))?;
        }
        RecordBatch::try_new(records.schema(), columns).map(Some)
    }

    /// Turns the rows that must not stay into rejects; `failures` are sorted by row.
    fn refuse(
        &self,
        failures: &[Failure],
        rows: &Rows,
    ) -> (Option<BooleanArray>, Vec<StagedReject>) {
        let is_refusing = |failure: &Failure| self.checks[failure.check].nulled_column().is_none();
        let mut is_kept = vec![true; rows.places.len()];
        let mut rejects = Vec::new();
        for of_row in failures.chunk_by(|one, other| one.row == other.row) {
            if of_row.iter().any(is_refusing) {
                is_kept[of_row[0].row] = false;
                rejects.push(self.reject(of_row, rows));
            }
        }
        let is_kept = (!rejects.is_empty()).then(|| BooleanArray::from(is_kept));
        (is_kept, rejects)
    }

    /// The reject of a row with all of its failures.
    fn reject(&self, failures: &[Failure], rows: &Rows) -> StagedReject {
        let row = failures[0].row;
        let mut reasons = Vec::new();
        for failure in failures {
            add(&mut reasons, self.reason(failure));
        }
        let columns = rows.records.columns();
        let fields = columns.iter().map(|column| text_of(column.as_ref(), row)).collect();
        StagedReject { stage: STAGE, reject: Reject { place: rows.places[row], reasons, fields } }
    }

    fn reason(&self, failure: &Failure) -> Reason {
        let column = self.checks[failure.check].column;
        let column = column.map(|column| self.columns[column].name.clone());
        Reason { code: failure.code.clone(), column }
    }
}

/// Adds a reason, unless it is there already.
fn add(reasons: &mut Vec<Reason>, reason: Reason) {
    if !reasons.contains(&reason) {
        reasons.push(reason);
    }
}

fn of_column(column: Option<&str>) -> String {
    column.map(|column| format!(" of column \"{column}\"")).unwrap_or_default()
}
