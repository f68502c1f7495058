//! Cuts contents that are whole, still written, or broken, and looks at the ranges.

use ferry::position::Position;

use super::Reading;
use crate::cut::LastRecord;
use crate::json::{JsonCuts, JsonError};

fn place(byte_offset: u64, row_number: u64) -> Position {
    Position { byte_offset, row_number }
}

fn cut(reading: &Reading, content: &str, target: u64, last: LastRecord) -> JsonCuts {
    let start = reading.start(content.as_bytes()).expect("records");
    reading.cut(content.as_bytes(), start, target, last)
}

fn document() -> Reading {
    Reading::document("/d", &[("a", "text")])
}

fn lines() -> Reading {
    Reading::lines(&[("a", "text")])
}

#[test]
fn ranges_touch_each_other_between_records() {
    let content = "{\"d\" : [ {\"a\":1} , {\"a\":2}, {\"a\":3} ] }";
    let cuts = cut(&document(), content, 1, LastRecord::Take);
    let expected =
        [place(9, 0)..place(19, 1), place(19, 1)..place(28, 2), place(28, 2)..place(36, 3)];
    assert_eq!(cuts.ranges, expected);
    assert!(cuts.failure.is_none());
    assert_eq!(&content[36..37], "]");
    let cuts = cut(&document(), content, 11, LastRecord::Take);
    assert_eq!(cuts.ranges, [place(9, 0)..place(28, 2), place(28, 2)..place(36, 3)]);

    let content = "\n{\"a\":1}\r\n\r\n{\"a\":2}\n x\n \n";
    let cuts = cut(&lines(), content, 1, LastRecord::Take);
    let expected =
        [place(0, 0)..place(10, 1), place(10, 1)..place(20, 2), place(20, 2)..place(25, 3)];
    assert_eq!(cuts.ranges, expected);
}

#[test]
fn without_records_there_are_no_ranges() {
    for content in ["{\"d\":[]}", "{\"d\":[ ] , \"e\":1}"] {
        let cuts = cut(&document(), content, 1, LastRecord::Take);
        assert!(cuts.ranges.is_empty() && cuts.failure.is_none() && cuts.is_known_boundary);
    }
}

#[test]
fn the_end_of_a_young_content_is_left() {
    let whole = "{\"d\":[1, 2,3],\"e\":{}}";
    for (length, rows, reached) in [
        (6, 0, 6),
        (7, 0, 6),
        (8, 0, 6),
        (9, 0, 6),
        (10, 1, 9),
        (11, 1, 9),
        (12, 2, 11),
        (13, 3, 12),
    ] {
        let cuts = cut(&document(), &whole[..length], 1, LastRecord::LeaveOpen);
        assert!(cuts.failure.is_none(), "{length}");
        let end = cuts.ranges.last().map_or(place(6, 0), |range| range.end);
        assert_eq!(end, place(reached, rows), "{length}");
        assert_eq!(cuts.unfinished_bytes, length as u64 - reached, "{length}");
        let cuts = cut(&document(), &whole[..length], 1, LastRecord::Take);
        assert!(matches!(cuts.failure, Some(JsonError::EndsEarly { .. })), "{length}");
        assert_eq!(cuts.ranges.len() as u64, rows, "{length}");
    }
    let cuts = cut(&document(), whole, 1, LastRecord::LeaveOpen);
    assert_eq!((cuts.ranges.len(), cuts.unfinished_bytes), (3, 0));

    let content = "{\"a\":1}\n\n  {\"a\":2}";
    let cuts = cut(&lines(), content, 1, LastRecord::LeaveOpen);
    assert_eq!(cuts.ranges, [place(0, 0)..place(9, 1)]);
    assert_eq!(cuts.unfinished_bytes, 9);
    let cuts = cut(&lines(), content, 1, LastRecord::Take);
    assert_eq!(cuts.ranges, [place(0, 0)..place(8, 1), place(8, 1)..place(18, 2)]);
    assert_eq!(cuts.unfinished_bytes, 0);
}

#[test]
fn a_line_that_was_planned_without_its_end_is_known() {
    let content = b"{\"a\":1} \r\n{\"a\":2}\n";
    for byte_offset in 7..=10 {
        let cuts = lines().cut(content, place(byte_offset, 1), 1, LastRecord::Take);
        assert!(cuts.is_known_boundary, "{byte_offset}");
        assert_eq!(cuts.ranges, [place(byte_offset, 1)..place(18, 2)]);
        assert_eq!(lines().read(content, cuts.ranges[0].clone()).len(), 1);
    }
    for from in [place(6, 1), place(11, 1), place(10, 2), place(10, 0), place(99, 2)] {
        let cuts = lines().cut(content, from, 1, LastRecord::Take);
        assert!(!cuts.is_known_boundary && cuts.ranges.is_empty(), "{from}");
    }
}

#[test]
fn what_breaks_a_document_leaves_the_records_before() {
    for (content, rows, fault) in [
        ("{\"d\":[1,2 3]}", 1, 10),
        ("{\"d\":[1,2,,3]}", 2, 10),
        ("{\"d\":[1,2}", 1, 9),
        ("{\"d\":[1,2],\"e\"}", 2, 14),
        ("{\"d\":[1,2]]", 2, 10),
        ("{\"d\":[1,2]} {}", 2, 12),
        ("{\"d\":[{},[}], 2]}", 2, 14),
    ] {
        let cuts = cut(&document(), content, 1, LastRecord::LeaveOpen);
        let Some(JsonError::Broken { byte_offset }) = cuts.failure else {
            panic!("{content}: {:?}", cuts.failure);
        };
        assert_eq!((cuts.ranges.len(), byte_offset), (rows, fault), "{content}");
    }
    // A comma too many hurts nobody.
    let cuts = cut(&document(), "{\"d\":[1,2,]}", 1, LastRecord::Take);
    assert!(cuts.failure.is_none());
    assert_eq!(cuts.ranges.len(), 2);
}
