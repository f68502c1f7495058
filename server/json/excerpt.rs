//! Turns a document into the smallest one with the same records at the same place.
//!
//! What an API says around its records (counts, times, cursors) may differ from
//! answer to answer: documents with the same records, letter by letter, give
//! the same bytes.

use super::{Framing, JsonError, JsonLayout, Pointer, cut_json, read_json_header};
use crate::cut::{CutRequest, LastRecord};

/// The records of a whole document, and nothing else but the way to them; lines as they are.
///
/// A document without a record array gives an empty one.
pub(crate) fn excerpt(document: &[u8], layout: &JsonLayout) -> Result<Vec<u8>, JsonError> {
    let Framing::Document { records } = &layout.framing else {
        return Ok(document.to_vec());
    };
    let Some(header) = read_json_header(document, layout)? else {
        return Ok(around(records, b""));
    };
    let start = header.start;
    let request =
        CutRequest { start, from: start, target_split_bytes: u64::MAX, last: LastRecord::Take };
    let rest = document.get(offset(start.byte_offset)..).unwrap_or_default();
    let cuts = cut_json(rest, layout, &request);
    if let Some(failure) = cuts.failure {
        return Err(failure);
    }
    let end = cuts.ranges.last().map_or(start, |range| range.end);
    let text = document.get(offset(start.byte_offset)..offset(end.byte_offset));
    Ok(around(records, text.unwrap_or_default()))
}

/// A document that has these elements where the pointer points to.
fn around(pointer: &Pointer, elements: &[u8]) -> Vec<u8> {
    let mut document = Vec::with_capacity(elements.len() + 64);
    for part in pointer.parts() {
        document.push(b'{');
        // Not even an index need stand for an array: it names a member as well.
        document.extend_from_slice(serde_json::Value::from(part.as_str()).to_string().as_bytes());
        document.push(b':');
    }
    document.push(b'[');
    document.extend_from_slice(elements);
    document.push(b']');
    document.extend(std::iter::repeat_n(b'}', pointer.parts().len()));
    document
}

/// Where something lies in a document that is in memory.
fn offset(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::count_records;
    use super::*;

    fn excerpt_at(pointer: &str, document: &str) -> String {
        let records = pointer.parse().expect("a pointer");
        let layout = JsonLayout { framing: Framing::Document { records }, ..JsonLayout::default() };
        let excerpt = excerpt(document.as_bytes(), &layout).expect("a document");
        let count = |content: &[u8]| count_records(content, &layout).expect("records");
        assert_eq!(count(&excerpt), count(document.as_bytes()), "{document}");
        String::from_utf8(excerpt).expect("a text")
    }

    #[test]
    fn what_stands_around_the_records_does_not_matter() {
        let records = r#"{"id": 1}, {"id": 2, "tags": ["]"]} "#;
        let expected = format!(r#"{{"data":{{"a/b":[{records}]}}}}"#);
        for (before, after) in [
            (r#"{"data":{"a/b":["#, "]}}"),
            (r#" {"at": "12:00", "data": {"a/b": [ "#, r#"], "next": "x"}, "took": 3}  "#),
        ] {
            let document = format!("{before}{records}{after}");
            assert_eq!(excerpt_at("/data/a~1b", &document), expected, "{document}");
        }
    }

    #[test]
    fn an_array_on_the_way_becomes_an_object() {
        assert_eq!(excerpt_at("/1/items", r#"[7, {"items": [{}]}]"#), r#"{"1":{"items":[{}]}}"#);
        assert_eq!(excerpt_at("", "\u{feff}[1,2]"), "[1,2]");
    }

    #[test]
    fn without_records_there_is_an_empty_array() {
        assert_eq!(excerpt_at("/items", r#"{"items": [ ]}"#), r#"{"items":[]}"#);
        assert_eq!(excerpt_at("/items", r#"{"items": null}"#), r#"{"items":[]}"#);
    }

    #[test]
    fn lines_stay_as_they_are() {
        let layout = JsonLayout { framing: Framing::Lines, ..JsonLayout::default() };
        let lines = b"{\"id\":1}\n\n{\"id\":2}";
        assert_eq!(excerpt(lines, &layout).expect("lines"), lines);
    }
}
