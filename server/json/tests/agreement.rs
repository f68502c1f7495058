//! Random records in random styles, whole and damaged: all ways to read them agree.

use ferry::position::Position;
use proptest::prelude::*;

use super::generate::{
    COLUMNS, POINTER, Style, as_texts, as_values, document, expected, lines, records, styles,
};
use super::{Outcome, Reading, end_of};
use crate::cut::LastRecord;
use crate::json::{JsonError, compare_as, count_records, greatest, read_json_header, scalar_at};

/// A content, and how it is read.
fn contents() -> impl Strategy<Value = (String, Vec<serde_json::Value>, Reading)> {
    let sizes = (1..9_usize, prop::sample::select(vec![1, 8, 1000]));
    (records(), styles(), any::<bool>(), sizes).prop_map(
        |(records, style, is_document, (step, batch_bytes_max))| {
            let (content, reading) = write(&records, &style, is_document);
            (content, records, Reading { step, batch_bytes_max, ..reading })
        },
    )
}

fn write(records: &[serde_json::Value], style: &Style, is_document: bool) -> (String, Reading) {
    if is_document {
        (document(records, style), Reading::document(POINTER, &COLUMNS))
    } else {
        (lines(records, style), Reading::lines(&COLUMNS))
    }
}

/// A change of some bytes: where, how many go, and what comes.
fn damages() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, Vec<u8>)>> {
    let bytes = prop::sample::select(b"\"\\{}[],: \n1anu\x00\xFF".to_vec());
    let damage = (any::<prop::sample::Index>(), 0..3_usize, prop::collection::vec(bytes, 0..3));
    prop::collection::vec(damage, 1..4)
}

fn damaged(content: &str, damages: &[(prop::sample::Index, usize, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = content.as_bytes().to_vec();
    for (place, gone, come) in damages {
        let start = place.index(bytes.len() + 1);
        let end = (start + gone).min(bytes.len());
        drop(bytes.splice(start..end, come.iter().copied()));
    }
    bytes
}

fn ends(outcomes: &[Outcome]) -> Vec<Position> {
    outcomes.iter().map(|(place, _)| end_of(place)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn rows_are_what_the_records_say((content, records, reading) in contents()) {
        let content = content.as_bytes();
        prop_assert_eq!(count_records(content, &reading.layout).unwrap(), records.len() as u64);
        if reading.start(content).is_none() {
            prop_assert!(records.is_empty());
            return Ok(());
        }
        let outcomes = reading.read_all(content);
        prop_assert_eq!(outcomes.len(), records.len());
        for ((place, result), record) in outcomes.iter().zip(&records) {
            let found = result.as_ref().map(|row| as_values(row)).map_err(Clone::clone);
            prop_assert_eq!(found, expected(record).map(as_texts), "{:?}", place);
        }
    }

    #[test]
    fn every_boundary_is_one_to_go_on_from((content, _, reading) in contents()) {
        let content = content.as_bytes();
        let Some(start) = reading.start(content) else {
            return Ok(());
        };
        let whole = reading.whole(content);
        let outcomes = reading.read(content, whole.clone());
        let mut boundaries = vec![start];
        boundaries.extend(ends(&outcomes));
        for (index, boundary) in boundaries.iter().enumerate() {
            let rest = reading.read(content, *boundary..whole.end);
            prop_assert_eq!(&rest, &outcomes[index..]);
            let cuts = reading.cut(content, *boundary, 1, LastRecord::Take);
            prop_assert!(cuts.is_known_boundary && cuts.failure.is_none());
            prop_assert_eq!(cuts.ranges.len(), outcomes.len() - index);
            let mut reached = *boundary;
            for range in &cuts.ranges {
                prop_assert_eq!(range.start, reached);
                prop_assert_eq!(range.end.row_number, reached.row_number + 1);
                reached = range.end;
            }
            if let Some(last) = cuts.ranges.last() {
                prop_assert_eq!(last.end, whole.end);
            }
            for inside in [boundary.byte_offset + 1, boundary.byte_offset + 2] {
                let from = Position { byte_offset: inside, ..*boundary };
                let is_known = reading.cut(content, from, 1, LastRecord::Take).is_known_boundary;
                // Only white space may lie between.
                let last = usize::try_from(inside).unwrap().min(content.len());
                let first = usize::try_from(boundary.byte_offset).unwrap();
                let is_blank = content[first..last].iter().all(u8::is_ascii_whitespace);
                prop_assert!(!is_known || is_blank);
            }
        }
    }

    #[test]
    fn a_content_that_grows_gives_the_same_rows(
        (content, _, reading) in contents(),
        cut_at in any::<prop::sample::Index>(),
    ) {
        let content = content.as_bytes();
        let Some(start) = reading.start(content) else {
            return Ok(());
        };
        let all = reading.read_all(content);
        let young = &content[..cut_at.index(content.len() + 1)];
        if reading.start(young) != Some(start) {
            return Ok(());
        }
        let cuts = reading.cut(young, start, u64::MAX, LastRecord::LeaveOpen);
        prop_assert!(cuts.failure.is_none() && cuts.is_known_boundary);
        let reached = cuts.ranges.last().map_or(start, |range| range.end);
        let before = reading.read(young, start..reached);
        let end = young.len() as u64;
        let is_whole_document = cuts.unfinished_bytes == 0;
        prop_assert!(is_whole_document || reached.byte_offset + cuts.unfinished_bytes <= end);
        let rest = reading.cut(content, reached, u64::MAX, LastRecord::Take);
        prop_assert!(rest.is_known_boundary && rest.failure.is_none());
        let behind = match rest.ranges.last() {
            Some(range) => reading.read(content, range.clone()),
            None => Vec::new(),
        };
        prop_assert_eq!([before, behind].concat(), all);
    }

    #[test]
    fn damage_is_told_and_every_record_is_counted_once(
        (content, _, reading) in contents(),
        damages in damages(),
        last in prop::sample::select(vec![LastRecord::Take, LastRecord::LeaveOpen]),
        target in prop::sample::select(vec![1, 20, u64::MAX]),
    ) {
        let content = damaged(&content, &damages);
        let pointer = "/data/1/items/0/a".parse().unwrap();
        let _ = scalar_at(&content, &pointer);
        let column = &reading.wanted()[0];
        if let Ok(Some(value)) = greatest(content.as_slice(), &reading.layout, column) {
            prop_assert!(compare_as(column.column.column_type, &value, &value).is_eq());
        }
        let counted = count_records(content.as_slice(), &reading.layout);
        let header = match read_json_header(content.as_slice(), &reading.layout) {
            Ok(Some(header)) => header,
            Ok(None) => {
                let is_empty = matches!(counted, Ok(0) | Err(JsonError::EndsEarly { .. }));
                prop_assert!(is_empty);
                return Ok(());
            }
            Err(_) => {
                prop_assert!(counted.is_err());
                return Ok(());
            }
        };
        let cuts = reading.cut(&content, header.start, target, last);
        prop_assert!(cuts.is_known_boundary);
        let mut reached = header.start;
        for range in &cuts.ranges {
            prop_assert_eq!(range.start, reached);
            let whole_reads = Reading { step: usize::MAX, ..reading.clone() };
            let outcomes = reading.read(&content, range.clone());
            prop_assert_eq!(&outcomes, &whole_reads.read(&content, range.clone()));
            let records = range.end.row_number - range.start.row_number;
            prop_assert_eq!(outcomes.len() as u64, records);
            reached = range.end;
        }
        if let (Ok(counted), LastRecord::Take) = (counted, last) {
            prop_assert!(cuts.failure.is_none());
            prop_assert_eq!(reached.row_number, counted);
        }
    }

    #[test]
    fn bytes_of_any_kind_end_in_an_error_or_in_records(
        content in prop::collection::vec(any::<u8>(), 0..200),
        is_document in any::<bool>(),
    ) {
        let reading = if is_document {
            Reading::document("", &COLUMNS)
        } else {
            Reading::lines(&COLUMNS)
        };
        let header = read_json_header(content.as_slice(), &reading.layout);
        if let Ok(Some(header)) = header {
            let cuts = reading.cut(&content, header.start, 1, LastRecord::Take);
            for range in cuts.ranges {
                let records = range.end.row_number - range.start.row_number;
                prop_assert_eq!(reading.read(&content, range).len() as u64, records);
            }
        }
    }
}
