//! Turns checked batches into pseudonymised ones: columns of personal data become keyed hashes.
//!
//! Invariant: after this stage neither the rows nor the quarantined records
//! hold a value of a column that the job declares as PII.

mod key;

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{ArrowError, SchemaRef};
use ferry::hex;
use ferry::schema::{Column, ColumnType, arrow_schema};

use crate::check::Checked;
use crate::ledger::quarantine::QuarantinedRow;
use crate::stage::{Batch, StagedReject};

pub(crate) use key::{DomainHash, KeyError, PseudonymKey};

/// Marks a batch without raw personal data.
pub(crate) struct Pseudonymised(());

/// What becomes of one column.
#[derive(Clone)]
pub(crate) enum Treatment {
    /// It passes as it is.
    Keep,
    /// It becomes a pseudonym, 32 bytes.
    HashToBytes(DomainHash),
    /// It becomes a pseudonym, 64 hexadecimal digits.
    HashToHex(DomainHash),
}

/// Pseudonymises the batches of one stream.
pub(crate) struct Pseudonymiser {
    treatments: Vec<Treatment>,
    names: Vec<String>,
    schema: SchemaRef,
}

impl Pseudonymiser {
    /// Treats each column of the source as said, in the same order.
    pub(crate) fn new(columns: &[Column], treatments: Vec<Treatment>) -> Self {
        let output = |(column, treatment): (&Column, &Treatment)| {
            let column_type = match treatment {
                Treatment::Keep => column.column_type,
                Treatment::HashToBytes(_) => ColumnType::Bytea,
                Treatment::HashToHex(_) => ColumnType::Text,
            };
            Column { name: column.name.clone(), column_type }
        };
        let outputs: Vec<Column> = columns.iter().zip(&treatments).map(output).collect();
        Self {
            treatments,
            names: columns.iter().map(|column| column.name.clone()).collect(),
            schema: arrow_schema(&outputs),
        }
    }

    /// Pseudonymises the rows and the rejects of a batch.
    pub(crate) fn pseudonymise(
        &self,
        mut batch: Batch<Checked>,
    ) -> Result<Batch<Pseudonymised>, ArrowError> {
        let records = &batch.rows.records;
        let mut columns = Vec::with_capacity(self.treatments.len());
        for (column, treatment) in records.columns().iter().zip(&self.treatments) {
            columns.push(treat(column, treatment)?);
        }
        batch.rows.records = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        for reject in std::mem::take(&mut batch.rejects) {
            batch.quarantined.push(self.quarantine(reject));
        }
        Ok(batch.marked(Pseudonymised(())))
    }

    /// What may be kept of a refused row: pseudonyms in place of personal data.
    fn quarantine(&self, staged: StagedReject) -> QuarantinedRow {
        let StagedReject { stage, reject } = staged;
        let mut record = serde_json::Map::new();
        for ((name, treatment), field) in self.names.iter().zip(&self.treatments).zip(reject.fields)
        {
            let Some(text) = field else { continue };
            let kept = match treatment {
                Treatment::Keep => text,
                Treatment::HashToBytes(_) | Treatment::HashToHex(_) if text.is_empty() => continue,
                Treatment::HashToBytes(hash) | Treatment::HashToHex(hash) => {
                    hex::encode(&hash.pseudonym(text.as_bytes()))
                }
            };
            record.insert(name.clone(), kept.into());
        }
        let record = (!record.is_empty()).then_some(serde_json::Value::Object(record));
        QuarantinedRow { place: reject.place, stage, reasons: reject.reasons, record }
    }
}

fn treat(column: &ArrayRef, treatment: &Treatment) -> Result<ArrayRef, ArrowError> {
    let hash = match treatment {
        Treatment::Keep => return Ok(Arc::clone(column)),
        Treatment::HashToBytes(hash) | Treatment::HashToHex(hash) => hash,
    };
    let values = column
        .as_string_opt::<i32>()
        .ok_or_else(|| ArrowError::SchemaError("a column to be hashed must be text".to_owned()))?;
    Ok(match treatment {
        Treatment::HashToHex(_) => hash_to_hex(values, hash),
        _ => hash_to_bytes(values, hash),
    })
}

fn hash_to_bytes(values: &StringArray, hash: &DomainHash) -> ArrayRef {
    let bytes_total = values.len() * key::PSEUDONYM_BYTES;
    let mut pseudonyms = BinaryBuilder::with_capacity(values.len(), bytes_total);
    for value in values {
        pseudonyms.append_option(person(value).map(|value| hash.pseudonym(value)));
    }
    Arc::new(pseudonyms.finish())
}

fn hash_to_hex(values: &StringArray, hash: &DomainHash) -> ArrayRef {
    let bytes_total = values.len() * key::PSEUDONYM_BYTES * 2;
    let mut pseudonyms = StringBuilder::with_capacity(values.len(), bytes_total);
    for value in values {
        pseudonyms.append_option(person(value).map(|value| hex::encode(&hash.pseudonym(value))));
    }
    Arc::new(pseudonyms.finish())
}

/// The bytes to hash: NULL stays NULL, and the empty string is not a person.
fn person(value: Option<&str>) -> Option<&[u8]> {
    value.filter(|value| !value.is_empty()).map(str::as_bytes)
}
