//! Turns refused rows into what quarantine may keep of them: the same pseudonyms that loaded rows get.
//!
//! Invariant: a column that is not kept as it is leaves no raw text, and no
//! text at all where its value is NULL or empty.

use arrow_schema::ArrowError;
use ferry::hex;
use serde_json::{Map, Value};

use super::{Treatment, digest, mask, salt_name};
use crate::ledger::quarantine::QuarantinedRow;
use crate::stage::StagedReject;

/// The row as it may be stored; `names` and `treatments` are those of the checked columns.
pub(super) fn quarantined(
    staged: StagedReject,
    names: &[String],
    treatments: &[Treatment],
) -> Result<QuarantinedRow, ArrowError> {
    let StagedReject { stage, reject } = staged;
    let mut record = Map::new();
    for ((name, treatment), field) in names.iter().zip(treatments).zip(reject.fields) {
        if let Some(text) = field {
            keep_safe_part(&mut record, name, treatment, text)?;
        }
    }
    let record = (!record.is_empty()).then_some(Value::Object(record));
    let (place, reasons) = (reject.place, reject.reasons);
    Ok(QuarantinedRow { place, stage, reasons, constraint: None, record })
}

fn keep_safe_part(
    record: &mut Map<String, Value>,
    name: &str,
    treatment: &Treatment,
    text: String,
) -> Result<(), ArrowError> {
    match treatment {
        Treatment::Keep => {
            record.insert(name.to_owned(), text.into());
        }
        Treatment::Drop => {}
        // The empty string is not a person.
        _ if text.is_empty() => {}
        Treatment::Hash(hash, _) => {
            let pseudonym = hash.pseudonym(text.as_bytes());
            record.insert(name.to_owned(), hex::encode(&pseudonym).into());
        }
        Treatment::Salted(hash, _) => {
            let salt = digest::draw_salt()?;
            let pseudonym = hash.salted(&salt, text.as_bytes());
            record.insert(name.to_owned(), hex::encode(&pseudonym).into());
            record.insert(salt_name(name), hex::encode(&salt).into());
        }
        Treatment::Mask { keep_last } => {
            record.insert(name.to_owned(), mask::masked(&text, *keep_last).into());
        }
    }
    Ok(())
}
