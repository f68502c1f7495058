//! Turns arbitrary bytes into records by several ways that must agree.

mod batches;

use std::io::Read;
use std::ops::Range;

use ferry::position::{Place, Position};
use ferry::wire::RECORD_BYTES_MAX;
use proptest::prelude::*;

use super::records::RecordReader;
use super::{Cutter, DelimitedError, Dialect};

/// What files are made of: everything that the parser tells apart, and more of the quotes.
const PIECES: [&[u8]; 11] =
    [b"a", b"b", b",", b",", b"\"", b"\"", b"\r", b"\n", b" ", "é".as_bytes(), b"\0"];

/// A record: where it lies and what each field holds.
type Found = (Place, Vec<Option<Vec<u8>>>);

/// Gives at most `step` bytes a read, so that everything straddles something.
struct Trickle<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let step = self.step.min(buffer.len());
        self.bytes.read(&mut buffer[..step])
    }
}

fn files() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..48)
        .prop_map(|pieces| pieces.concat())
}

/// Every record after `start`, and the place where the reader then stands.
fn read(file: &[u8], start: Position, step: usize, buffer: usize) -> (Vec<Found>, Position) {
    let bytes = &file[usize::try_from(start.byte_offset).unwrap()..];
    let input = Trickle { bytes, step };
    let mut reader = RecordReader::with_buffer(input, Dialect::default(), start, buffer);
    let mut records = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        let values = (0..record.len()).map(|index| record.value(index).map(<[u8]>::to_vec));
        records.push((record.place(), values.collect()));
    }
    (records, reader.position())
}

fn read_whole(file: &[u8]) -> Vec<Found> {
    read(file, Position::default(), usize::MAX, 64).0
}

fn cut<'a>(file: &'a [u8], place: &Place) -> &'a [u8] {
    let offset = |offset: u64| usize::try_from(offset).unwrap();
    &file[offset(place.byte_start)..offset(place.byte_end)]
}

fn end_of(place: &Place) -> Position {
    Position { byte_offset: place.byte_end, row_number: place.row_number }
}

/// Whether each field of a record is quoted, told byte by byte.
fn quoted_fields(record: &[u8]) -> Vec<bool> {
    #[derive(Clone, Copy)]
    enum State {
        Start,
        Plain,
        Open,
        Closed,
    }
    let mut quoted = vec![false];
    let mut state = State::Start;
    for byte in record {
        state = match (state, byte) {
            (State::Start, b'"') => {
                *quoted.last_mut().unwrap() = true;
                State::Open
            }
            (State::Open, b'"') => State::Closed,
            (State::Open, _) | (State::Closed, b'"') => State::Open,
            (_, b',') => {
                quoted.push(false);
                State::Start
            }
            (_, b'\r' | b'\n') => break,
            _ => State::Plain,
        };
    }
    quoted
}

/// The ranges that a cutter must find, told from the records.
fn expected_ranges(file: &[u8], records: &[Found], target: u64) -> Vec<Range<Position>> {
    let mut ranges = Vec::new();
    let mut start = Position::default();
    for (index, (place, _)) in records.iter().enumerate() {
        let mut end = end_of(place);
        if index + 1 == records.len() {
            end.byte_offset = file.len() as u64;
        } else if end.byte_offset - start.byte_offset < target {
            continue;
        }
        ranges.push(start..end);
        start = end;
    }
    ranges
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn records_are_those_of_the_csv_crate(file in files(), step in 1..9_usize, buffer in 1..9_usize) {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .from_reader(file.as_slice());
        let expected: Vec<Vec<Vec<u8>>> = reader
            .byte_records()
            .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect())
            .collect();
        let (records, _) = read(&file, Position::default(), step, buffer);
        let found: Vec<Vec<Vec<u8>>> = records
            .into_iter()
            .map(|(_, values)| values.into_iter().map(Option::unwrap_or_default).collect())
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn places_cover_the_file_and_hold_their_records(file in files(), step in 1..9_usize) {
        let (records, end) = read(&file, Position::default(), step, 4);
        let mut reached = 0;
        for (index, (place, values)) in records.iter().enumerate() {
            prop_assert_eq!(place.row_number, index as u64 + 1);
            let gap = Place { byte_start: reached, byte_end: place.byte_start, ..*place };
            prop_assert!(cut(&file, &gap).iter().all(|byte| matches!(byte, b'\r' | b'\n')));
            let alone = read_whole(cut(&file, place));
            prop_assert_eq!(alone.len(), 1);
            prop_assert_eq!(&alone[0].1, values);
            reached = place.byte_end;
            let is_crlf_cut = cut(&file, place).ends_with(b"\r")
                && file.get(usize::try_from(reached).unwrap()) == Some(&b'\n');
            prop_assert!(!is_crlf_cut);
        }
        let row_number = records.len() as u64;
        prop_assert_eq!(end, Position { byte_offset: file.len() as u64, row_number });
    }

    #[test]
    fn only_fields_without_quotes_are_null(file in files(), step in 1..9_usize) {
        for (place, values) in read(&file, Position::default(), step, 4).0 {
            let is_value = |(value, quoted): (&Option<Vec<u8>>, &bool)| match value {
                None => !quoted,
                Some(bytes) => *quoted || !bytes.is_empty(),
            };
            let quoted = quoted_fields(cut(&file, &place));
            prop_assert_eq!(values.len(), quoted.len());
            prop_assert!(values.iter().zip(&quoted).all(is_value));
        }
    }

    #[test]
    fn every_boundary_resumes(file in files(), step in 1..9_usize) {
        let records = read_whole(&file);
        for (index, (place, _)) in records.iter().enumerate() {
            let (rest, _) = read(&file, end_of(place), step, 4);
            prop_assert_eq!(&rest, &records[index + 1..]);
        }
    }

    #[test]
    fn cuts_fall_between_records(file in files(), chunk in 1..9_usize, target in 0..24_u64) {
        let mut cutter = Cutter::new(Dialect::default(), Position::default(), target);
        for bytes in file.chunks(chunk) {
            cutter.feed(bytes);
        }
        let expected = expected_ranges(&file, &read_whole(&file), target);
        prop_assert_eq!(cutter.finish(), expected);
    }
}

#[test]
fn a_bom_in_the_middle_of_a_file_is_kept() {
    let records = read_whole(b"\xEF\xBB\xBFa,b\n");
    assert_eq!(records[0].1[0].as_deref(), Some(&b"\xEF\xBB\xBFa"[..]));
}

#[test]
fn other_dialects_are_read_alike() {
    let dialect = Dialect { delimiter: b';', quote: b'\'' };
    let mut reader = RecordReader::new(&b"'a;\n''b';\"c\"\n"[..], dialect, Position::default());
    let record = reader.next().unwrap().unwrap();
    assert_eq!(record.field(0), b"a;\n'b");
    assert_eq!(record.field(1), b"\"c\"");
    assert_eq!(record.place().byte_end, 13);
}

#[test]
fn records_up_to_the_limit_are_read_and_longer_ones_refused() {
    for (length, is_read) in [(RECORD_BYTES_MAX, true), (RECORD_BYTES_MAX + 1, false)] {
        for terminator in ["", "\n", "\r", "\r\n"] {
            let filling = "a".repeat(length - terminator.len());
            let file = format!("b\n{filling}{terminator}");
            let mut reader =
                RecordReader::new(file.as_bytes(), Dialect::default(), Position::default());
            assert!(reader.next().unwrap().is_some());
            match reader.next() {
                Ok(Some(record)) => assert!(is_read && record.field(0) == filling.as_bytes()),
                Err(DelimitedError::RecordTooLong { position }) => {
                    assert!(!is_read);
                    assert_eq!(position, Position { byte_offset: 2, row_number: 1 });
                }
                Ok(None) | Err(_) => panic!("neither read nor too long"),
            }
        }
    }
}
