//! Turns raw batches into clean ones: each column's rules in their order, then its text becomes typed.
//!
//! Every pseudonym is made of what this stage gives, so the same rules must
//! always make the same of a text; see [`VERSION`].
//!
//! Invariant: every row that comes in goes out, as a row or as a reject.

mod arrays;
mod phone;
mod rejected;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};
use ferry::reject::Code;
use ferry::schema::{Column, ColumnType, arrow_schema};
use ferry::values::ColumnBuilder;

use crate::job::CleanRule;
use crate::receive::Raw;
use crate::stage::Batch;

use arrays::Failures;
use phone::{PhoneError, PhoneLibrary};
use rejected::FailedRows;
use rules::{Step, clean_value};

/// Version of what the rules mean, kept with each run.
///
/// Raise it when any rule makes another text of a value than before, because
/// that changes pseudonyms. The tables of Unicode and the numbering plans of
/// the phone library count: a release of them may move a value.
pub(crate) const VERSION: i32 = 1;

/// Marks a batch that is clean.
pub(crate) struct Clean(());

/// What becomes of one column of the source.
#[derive(Debug, Clone)]
pub(crate) struct ColumnCleaning {
    /// Rules for its text, in their order.
    pub(crate) rules: Vec<CleanRule>,
    /// Type after cleaning.
    pub(crate) column_type: ColumnType,
}

/// Rules that cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CleanError {
    /// A phone rule.
    #[error("column \"{column}\": {error}")]
    Phone {
        /// Name of the column.
        column: String,
        /// What is wrong with the rule.
        error: PhoneError,
    },
    /// A default that would refuse every row without a value.
    #[error(
        "column \"{column}\": what its rules make of the default is not a value of type {column_type} ({code}): give another default"
    )]
    BadDefault {
        /// Name of the column.
        column: String,
        /// Type after cleaning.
        column_type: ColumnType,
        /// Why it is refused.
        code: Code,
    },
    /// A column that should have been asked of the source as text.
    #[error("column \"{column}\" is to be cleaned but not read as text: this is a defect of ferry")]
    NotText {
        /// Name of the column.
        column: String,
    },
}

/// A single value that cannot be cleaned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CleanTextError {
    /// The rules cannot be carried out.
    #[error(transparent)]
    Rules(#[from] PhoneError),
    /// The rules refuse the value.
    #[error("the value is not {} after cleaning ({code})", expected(.code))]
    Refused {
        /// What is wrong with it.
        code: Code,
    },
}

/// Cleans one value with the rules of a column, as a loaded one would be; `None` is NULL.
pub(crate) fn clean_text(
    rules: &[CleanRule],
    value: Option<&str>,
) -> Result<Option<String>, CleanTextError> {
    let steps = Step::compile_all(rules, &mut PhoneLibrary::default())?;
    clean_value(&steps, value).map_err(|code| CleanTextError::Refused { code })
}

/// What a rule would have taken.
fn expected(code: &Code) -> &'static str {
    if *code == Code::BAD_EMAIL {
        "a valid e-mail address"
    } else if *code == Code::BAD_PHONE {
        "a valid phone number"
    } else {
        "usable"
    }
}

/// Cleans the batches of one stream.
pub(crate) struct Cleaner {
    columns: Vec<Column>,
    plans: Vec<ColumnPlan>,
    schema: SchemaRef,
}

impl Cleaner {
    /// Prepares what becomes of each column that is asked of the source, in the same order.
    pub(crate) fn new(columns: &[Column], steps: &[ColumnCleaning]) -> Result<Self, CleanError> {
        let mut phones = PhoneLibrary::default();
        let mut plans = Vec::with_capacity(columns.len());
        let mut outputs = Vec::with_capacity(columns.len());
        for (column, cleaning) in columns.iter().zip(steps) {
            plans.push(ColumnPlan::new(column, cleaning, &mut phones)?);
            let column_type = cleaning.column_type;
            outputs.push(Column { name: column.name.clone(), column_type });
        }
        let schema = arrow_schema(&outputs);
        Ok(Self { columns: outputs, plans, schema })
    }

    /// Cleans the rows of a batch, and the texts of the rows that the source refused.
    pub(crate) fn clean(&self, batch: Batch<Raw>) -> Result<Batch<Clean>, ArrowError> {
        self.cleaned(batch.marked(Clean(())))
    }

    /// Takes the mark that it gives, because no test can make a raw batch.
    fn cleaned(&self, mut batch: Batch<Clean>) -> Result<Batch<Clean>, ArrowError> {
        for staged in &mut batch.rejects {
            for (index, (column, plan)) in self.columns.iter().zip(&self.plans).enumerate() {
                let ColumnPlan { steps, parsed_as } = plan;
                let reject = &mut staged.reject;
                rejected::clean_field(steps, *parsed_as, &column.name, index, reject);
            }
        }
        let mut failed = FailedRows::default();
        let mut texts = Vec::with_capacity(self.plans.len());
        let mut values = Vec::with_capacity(self.plans.len());
        for (index, (column, plan)) in
            batch.rows.records.columns().iter().zip(&self.plans).enumerate()
        {
            let mut failures = Failures::new();
            let cleaned = arrays::clean(&plan.steps, column, &mut failures)?;
            values.push(plan.typed(&cleaned, &mut failures)?);
            texts.push(cleaned);
            failed.add(index, failures);
        }
        batch.rows.records = RecordBatch::try_new(Arc::clone(&self.schema), values)?;
        if !failed.is_empty() {
            let is_kept = failed.kept(batch.rows.places.len());
            batch.rejects.extend(failed.rejects(&self.columns, &texts, &batch.rows.places));
            batch.keep(&is_kept)?;
        }
        Ok(batch)
    }
}

/// What is done with one column.
struct ColumnPlan {
    steps: Vec<Step>,
    /// Type that its text is parsed to; `None` if it has its type already.
    parsed_as: Option<ColumnType>,
}

impl ColumnPlan {
    fn new(
        column: &Column,
        cleaning: &ColumnCleaning,
        phones: &mut PhoneLibrary,
    ) -> Result<Self, CleanError> {
        let column_type = cleaning.column_type;
        let name = || column.name.clone();
        let is_of_type = column.column_type == column_type;
        if cleaning.rules.is_empty() && is_of_type {
            return Ok(Self { steps: Vec::new(), parsed_as: None });
        }
        if column.column_type != ColumnType::Text {
            return Err(CleanError::NotText { column: name() });
        }
        let steps = Step::compile_all(&cleaning.rules, phones)
            .map_err(|error| CleanError::Phone { column: name(), error })?;
        check_defaults(&steps, column_type).map_err(|code| CleanError::BadDefault {
            column: name(),
            column_type,
            code,
        })?;
        Ok(Self { steps, parsed_as: (!is_of_type).then_some(column_type) })
    }

    /// The column in its type, made of its texts.
    fn typed(&self, texts: &ArrayRef, failures: &mut Failures) -> Result<ArrayRef, ArrowError> {
        match self.parsed_as {
            Some(column_type) => arrays::parse(texts, column_type, failures),
            None => Ok(Arc::clone(texts)),
        }
    }
}

/// Refuses a default that the steps after it, or the type, do not take.
fn check_defaults(steps: &[Step], column_type: ColumnType) -> Result<(), Code> {
    for (index, step) in steps.iter().enumerate() {
        let Some(filler) = step.filler() else { continue };
        let value = clean_value(&steps[index + 1..], Some(filler))?;
        ColumnBuilder::new(column_type).append(value.as_deref().map(str::as_bytes))?;
    }
    Ok(())
}
