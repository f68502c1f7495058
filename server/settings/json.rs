//! Turns the keys of a `[[dataset]]` that say how its JSON is laid out into a layout.

use crate::json::{Framing, JsonLayout, Pointer};
use crate::settings::dataset::RawDataset;
use crate::settings::dialect::record_bytes_max;
use crate::settings::words::one_of;

/// What stands in a file or in an answer of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// One document.
    Document,
    /// One document a line.
    Lines,
}

const WRITINGS: [(&str, Writing); 2] = [("json", Writing::Document), ("ndjson", Writing::Lines)];
const POINTER_BYTES_MAX: usize = 1024;

/// Reads `format`, `records` and `max_record`.
pub(super) fn json_layout(raw: &RawDataset) -> Result<JsonLayout, String> {
    let writing = match &raw.format {
        None => Writing::Document,
        Some(word) => one_of("format", word, &WRITINGS)?,
    };
    let framing = match (writing, &raw.records) {
        (Writing::Document, records) => {
            Framing::Document { records: pointer(records.as_deref().unwrap_or_default())? }
        }
        (Writing::Lines, None) => Framing::Lines,
        (Writing::Lines, Some(_)) => {
            return Err(
                "records goes with format = \"json\": of \"ndjson\" each line is a record, remove it"
                    .to_owned(),
            );
        }
    };
    let usual = JsonLayout::default();
    let record_bytes_max = record_bytes_max(raw.max_record)?.unwrap_or(usual.record_bytes_max);
    Ok(JsonLayout { framing, record_bytes_max, ..usual })
}

fn pointer(text: &str) -> Result<Pointer, String> {
    if text.len() > POINTER_BYTES_MAX {
        return Err(format!(
            "records is longer than {POINTER_BYTES_MAX} bytes: write a JSON pointer"
        ));
    }
    text.parse().map_err(|error: String| format!("records: {error}"))
}
