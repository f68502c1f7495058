//! Turns the generated messages into the types of this crate and back; what another host sent is checked here.

use super::generated as proto;
use crate::position::{Fingerprint, Place, Position, Split};
use crate::reject::{Code, Reason, Reject};
use crate::schema::Column;

/// A message of another host that does not say what it must.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidMessage(pub String);

fn invalid(text: impl Into<String>) -> InvalidMessage {
    InvalidMessage(text.into())
}

impl From<Position> for proto::Position {
    fn from(position: Position) -> Self {
        Self { byte_offset: position.byte_offset, row_number: position.row_number }
    }
}

impl From<proto::Position> for Position {
    fn from(position: proto::Position) -> Self {
        Self { byte_offset: position.byte_offset, row_number: position.row_number }
    }
}

/// Largest offset and row number: what the ledger, and a file, can hold.
const OFFSET_MAX: u64 = i64::MAX.unsigned_abs();

/// Reads a position that a message must have.
pub fn required_position(
    position: Option<proto::Position>,
    field: &str,
) -> Result<Position, InvalidMessage> {
    let position = position.ok_or_else(|| invalid(format!("field `{field}` is missing")))?;
    if position.byte_offset > OFFSET_MAX || position.row_number > OFFSET_MAX {
        return Err(invalid(format!("field `{field}` is larger than {OFFSET_MAX}")));
    }
    Ok(position.into())
}

impl From<&Fingerprint> for proto::Fingerprint {
    fn from(fingerprint: &Fingerprint) -> Self {
        Self {
            size_bytes: fingerprint.size_bytes,
            content_hash: fingerprint.content_hash.to_vec(),
            modified_unix_nanos: fingerprint.modified_unix_nanos,
        }
    }
}

impl TryFrom<proto::Fingerprint> for Fingerprint {
    type Error = InvalidMessage;

    fn try_from(fingerprint: proto::Fingerprint) -> Result<Self, InvalidMessage> {
        let content_hash = fingerprint
            .content_hash
            .try_into()
            .map_err(|_| invalid("field `fingerprint.content_hash` must have 16 bytes"))?;
        Ok(Self {
            size_bytes: fingerprint.size_bytes,
            content_hash,
            modified_unix_nanos: fingerprint.modified_unix_nanos,
        })
    }
}

impl From<&Split> for proto::Split {
    fn from(split: &Split) -> Self {
        Self {
            dataset: split.dataset.clone(),
            file: split.file.clone(),
            fingerprint: Some((&split.fingerprint).into()),
            start: Some(split.start.into()),
            end: Some(split.end.into()),
        }
    }
}

impl TryFrom<proto::Split> for Split {
    type Error = InvalidMessage;

    fn try_from(split: proto::Split) -> Result<Self, InvalidMessage> {
        let fingerprint =
            split.fingerprint.ok_or_else(|| invalid("field `split.fingerprint` is missing"))?;
        let start = required_position(split.start, "split.start")?;
        let end = required_position(split.end, "split.end")?;
        if end.byte_offset < start.byte_offset || end.row_number < start.row_number {
            return Err(invalid("field `split.end` lies before `split.start`"));
        }
        Ok(Self {
            dataset: split.dataset,
            file: split.file,
            fingerprint: fingerprint.try_into()?,
            start,
            end,
        })
    }
}

impl From<&Column> for proto::Column {
    fn from(column: &Column) -> Self {
        Self { name: column.name.clone(), r#type: column.column_type.to_string() }
    }
}

impl TryFrom<proto::Column> for Column {
    type Error = InvalidMessage;

    fn try_from(column: proto::Column) -> Result<Self, InvalidMessage> {
        let column_type = column
            .r#type
            .parse()
            .map_err(|error| invalid(format!("column \"{}\": {error}", column.name)))?;
        Ok(Self { name: column.name, column_type })
    }
}

impl From<Reject> for proto::Reject {
    fn from(reject: Reject) -> Self {
        let reason = |reason: Reason| proto::Reason {
            code: reason.code.as_str().to_owned(),
            column: reason.column.unwrap_or_default(),
        };
        Self {
            row_number: reject.place.row_number,
            byte_start: reject.place.byte_start,
            byte_end: reject.place.byte_end,
            reasons: reject.reasons.into_iter().map(reason).collect(),
            fields: reject.fields.into_iter().map(|text| proto::RejectField { text }).collect(),
        }
    }
}

impl TryFrom<proto::Reject> for Reject {
    type Error = InvalidMessage;

    fn try_from(reject: proto::Reject) -> Result<Self, InvalidMessage> {
        let mut reasons = Vec::with_capacity(reject.reasons.len());
        for reason in reject.reasons {
            let code = Code::from_wire(&reason.code)
                .ok_or_else(|| invalid("field `reason.code` is not a word in snake case"))?;
            let column = (!reason.column.is_empty()).then_some(reason.column);
            reasons.push(Reason { code, column });
        }
        if reasons.is_empty() {
            return Err(invalid("field `reject.reasons` is empty"));
        }
        Ok(Self {
            place: Place {
                row_number: reject.row_number,
                byte_start: reject.byte_start,
                byte_end: reject.byte_end,
            },
            reasons,
            fields: reject.fields.into_iter().map(|field| field.text).collect(),
        })
    }
}
