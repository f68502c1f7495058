//! Turns a whole content into the number of its records, and finds out whether it is valid.

use std::io::Read;

use super::records::open;
use super::text::is_valid;
use super::{Framing, JsonError, JsonLayout};

/// Counts the records of a content that stands at its beginning.
///
/// A document must be whole and valid JSON, in which the pointer names an array,
/// or `null` in place of an empty one; of records that are too large, only
/// where they end is looked at. Lines may hold anything.
pub(crate) fn count_records(content: impl Read, layout: &JsonLayout) -> Result<u64, JsonError> {
    let Some((mut records, enclosing)) = open(content, layout)? else {
        return Ok(0);
    };
    let is_document = matches!(layout.framing, Framing::Document { .. });
    while let Some(record) = records.next()? {
        if is_document && record.text.is_some_and(|text| !is_valid(text)) {
            return Err(JsonError::Broken { byte_offset: record.place.byte_start });
        }
    }
    let end = records.position();
    if records.has_comma() {
        return Err(JsonError::Broken { byte_offset: end.byte_offset });
    }
    if is_document {
        records.finish(&enclosing)?;
    }
    Ok(end.row_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(content: &str, pointer: &str) -> Result<u64, JsonError> {
        let records = pointer.parse().expect("a pointer");
        let layout = JsonLayout {
            framing: Framing::Document { records },
            record_bytes_max: 40,
            ..JsonLayout::default()
        };
        count_records(content.as_bytes(), &layout)
    }

    #[test]
    fn records_of_documents_are_counted() {
        for (content, pointer, expected) in [
            ("[]", "", 0),
            ("\u{FEFF} [ ] ", "", 0),
            ("[1, {} , \"]\"]", "", 3),
            (r#"{"data":[{"a":1},{"a":2}],"next":null}"#, "/data", 2),
            (r#"[0,{"x":[{}]}]"#, "/1/x", 1),
            (r#"{"data":null}"#, "/data", 0),
            ("null", "", 0),
        ] {
            assert_eq!(count(content, pointer).expect("it is valid"), expected, "{content}");
        }
        let long = format!("[{{\"a\":\"{}\"}}, 2]", "x".repeat(1000));
        assert_eq!(count(&long, "").expect("it is valid"), 2);
    }

    #[test]
    fn a_document_must_be_whole_and_valid() {
        for content in ["", " ", "[", "[1", "[1,", "[1]x", "[1,]", "[1 2]", "[,1]", "[nul]", "nul"]
        {
            assert!(count(content, "").is_err(), "{content}");
        }
        let whole = r#"{"data":[{"a":1}],"next":null}"#;
        for length in 0..whole.len() {
            let outcome = count(&whole[..length], "/data");
            assert!(matches!(outcome, Err(JsonError::EndsEarly { .. })), "{length}: {outcome:?}");
        }
    }

    #[test]
    fn the_pointer_must_name_an_array() {
        for (content, pointer) in
            [("{}", ""), (r#"{"data":{}}"#, "/data"), (r#"{"data":[]}"#, "/items"), ("[]", "/0")]
        {
            let outcome = count(content, pointer);
            assert!(matches!(outcome, Err(JsonError::NoArray { .. })), "{content}: {outcome:?}");
        }
    }

    #[test]
    fn every_line_is_a_record() {
        let layout = JsonLayout { framing: Framing::Lines, ..JsonLayout::default() };
        let count = |content: &str| count_records(content.as_bytes(), &layout).expect("lines");
        assert_eq!(count(""), 0);
        assert_eq!(count(" \r\n\n"), 0);
        assert_eq!(count("{}\n\n[\r\nx"), 3);
        assert_eq!(count("\u{FEFF}{}\n"), 1);
    }
}
