//! Turns text into records by several ways that must agree.

mod agreement;
mod batches;
mod broken;
mod dialects;

use std::ops::Range;

use encoding_rs::{Encoding, UTF_8};
use ferry::position::{Place, Position};
use ferry::reject::Code;

use super::split::cut_with_window;
use super::{Cuts, Dialect, RecordReader, TextInput};
use crate::cut::{CutRequest, LastRecord};
use crate::trickle::Trickle;

/// A record: where it lies, what each field holds, and what is wrong with it.
type Found = (Place, Vec<Option<Vec<u8>>>, Option<Code>);

/// How a file is read in a test.
#[derive(Debug, Clone)]
struct Reading {
    dialect: Dialect,
    encoding: &'static Encoding,
    field_count: Option<usize>,
    step: usize,
}

impl Reading {
    fn of(dialect: Dialect) -> Self {
        Self { dialect, encoding: UTF_8, field_count: None, step: usize::MAX }
    }

    fn plain() -> Self {
        Self::of(Dialect::default())
    }

    fn with_fields(self, field_count: usize) -> Self {
        Self { field_count: Some(field_count), ..self }
    }

    fn input<'a>(&self, file: &'a [u8], start: Position) -> TextInput<Trickle<'a>> {
        let input = Trickle { bytes: &file[offset(start.byte_offset)..], step: self.step };
        TextInput::new(input, self.encoding, start.byte_offset)
    }

    /// Every record of a range, and the place where the reader then stands.
    fn read(&self, file: &[u8], start: Position, end: u64) -> (Vec<Found>, Position) {
        let input = self.input(file, start);
        let mut reader =
            RecordReader::with_window(input, &self.dialect, self.field_count, start, end, 1);
        let mut records = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            let values = (0..record.len()).map(|index| record.value(index).map(<[u8]>::to_vec));
            records.push((record.place(), values.collect(), record.damage()));
        }
        (records, reader.position())
    }

    fn read_all(&self, file: &[u8]) -> Vec<Found> {
        self.read(file, Position::default(), u64::MAX).0
    }

    fn cut(&self, file: &[u8], from: Position, target: u64, last: LastRecord) -> Cuts {
        let start = Position::default();
        let request = CutRequest { start, from, target_split_bytes: target, last };
        let count = self.field_count.unwrap_or(1);
        cut_with_window(self.input(file, start), &self.dialect, count, &request, 1)
    }
}

fn offset(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

fn part<'a>(file: &'a [u8], place: &Place) -> &'a [u8] {
    &file[offset(place.byte_start)..offset(place.byte_end)]
}

fn end_of(place: &Place) -> Position {
    Position { byte_offset: place.byte_end, row_number: place.row_number }
}

/// Fields of an undamaged record as text; NULL is `None`.
fn texts(found: &Found) -> Vec<Option<String>> {
    let text = |value: &Option<Vec<u8>>| {
        value.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    found.1.iter().map(text).collect()
}

/// The ranges that must be found, told from the records.
fn expected_ranges(records: &[Found], end: u64, target: u64) -> Vec<Range<Position>> {
    let mut ranges = Vec::new();
    let mut start = Position::default();
    for (index, (place, ..)) in records.iter().enumerate() {
        let mut record_end = end_of(place);
        if index + 1 == records.len() {
            record_end.byte_offset = end;
        } else if record_end.byte_offset - start.byte_offset < target {
            continue;
        }
        ranges.push(start..record_end);
        start = record_end;
    }
    ranges
}
