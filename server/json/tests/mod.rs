//! Turns contents into rows by several ways that must agree.

mod agreement;
mod cuts;
mod generate;
mod rows;

use std::ops::Range;
use std::sync::Arc;

use ferry::position::{Place, Position};
use ferry::schema::Column;
use ferry::values::{FieldFormat, text_of};

use super::cut::cut_with_window;
use super::{Framing, JsonCuts, JsonError, JsonLayout, JsonReader, read_json_header};
use crate::chunk::Chunk;
use crate::cut::{CutRequest, LastRecord};
use crate::trickle::Trickle;
use crate::wanted::{NullWords, WantedColumn};

/// What is wrong with a row: codes and their columns.
type Reasons = Vec<(String, Option<String>)>;

/// A record: where it lies, and its values or what is wrong with it.
type Outcome = (Place, Result<Vec<Option<String>>, Reasons>);

/// How a content is read in a test.
#[derive(Debug, Clone)]
struct Reading {
    layout: JsonLayout,
    /// Names and types of the columns.
    columns: Vec<(&'static str, &'static str)>,
    /// Bytes of one read.
    step: usize,
    batch_bytes_max: usize,
}

impl Reading {
    fn new(framing: Framing, columns: &[(&'static str, &'static str)]) -> Self {
        Self {
            layout: JsonLayout { framing, ..JsonLayout::default() },
            columns: columns.to_vec(),
            step: usize::MAX,
            batch_bytes_max: 1024 * 1024,
        }
    }

    fn document(pointer: &str, columns: &[(&'static str, &'static str)]) -> Self {
        Self::new(Framing::Document { records: pointer.parse().unwrap() }, columns)
    }

    fn lines(columns: &[(&'static str, &'static str)]) -> Self {
        Self::new(Framing::Lines, columns)
    }

    fn wanted(&self) -> Vec<WantedColumn> {
        let wanted = |(name, type_name): &(&str, &str)| WantedColumn {
            column: Column { name: (*name).to_owned(), column_type: type_name.parse().unwrap() },
            format: Arc::new(FieldFormat::default()),
            nulls: Arc::new(NullWords::new(vec!["NA".to_owned()])),
        };
        self.columns.iter().map(wanted).collect()
    }

    fn input<'a>(&self, content: &'a [u8], start: Position) -> Trickle<'a> {
        let start = usize::try_from(start.byte_offset).unwrap();
        Trickle { bytes: &content[start..], step: self.step }
    }

    /// Place before the first record.
    fn start(&self, content: &[u8]) -> Option<Position> {
        read_json_header(content, &self.layout).unwrap().map(|header| header.start)
    }

    fn cut(&self, content: &[u8], from: Position, target: u64, last: LastRecord) -> JsonCuts {
        let start = self.start(content).expect("records");
        let request = CutRequest { start, from, target_split_bytes: target, last };
        cut_with_window(self.input(content, start), &self.layout, &request, 1)
    }

    /// All records as one range.
    fn whole(&self, content: &[u8]) -> Range<Position> {
        let start = self.start(content).expect("records");
        let cuts = self.cut(content, start, u64::MAX, LastRecord::Take);
        assert!(cuts.failure.is_none(), "{:?}", cuts.failure);
        cuts.ranges.into_iter().next().unwrap_or(start..start)
    }

    fn chunks(&self, content: &[u8], range: Range<Position>) -> Result<Vec<Chunk>, JsonError> {
        let input = self.input(content, range.start);
        let (layout, bytes_max) = (&self.layout, self.batch_bytes_max);
        let mut reader =
            JsonReader::with_window(input, layout, self.wanted(), range, bytes_max, 1)?;
        let mut chunks = Vec::new();
        while let Some(chunk) = reader.next_chunk()? {
            chunks.push(chunk);
        }
        Ok(chunks)
    }

    /// What becomes of the records of a range, in their order.
    fn read(&self, content: &[u8], range: Range<Position>) -> Vec<Outcome> {
        let start = range.start;
        outcomes(&self.chunks(content, range).unwrap(), start)
    }

    fn read_all(&self, content: &[u8]) -> Vec<Outcome> {
        self.read(content, self.whole(content))
    }

    /// What becomes of the records of a content, without their places.
    fn results(&self, content: &str) -> Vec<Result<Vec<Option<String>>, Reasons>> {
        let outcomes = self.read_all(content.as_bytes());
        outcomes.into_iter().map(|(_, result)| result).collect()
    }
}

/// What became of the records of some chunks, which must touch each other.
fn outcomes(chunks: &[Chunk], start: Position) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut reached = start;
    for chunk in chunks {
        if let Some(batch) = &chunk.batch {
            assert_eq!((batch.start, batch.end), (reached, chunk.end));
            for (row, place) in batch.places.iter().enumerate() {
                let columns = batch.records.columns().iter();
                let values = columns.map(|column| text_of(column, row)).collect();
                outcomes.push((*place, Ok(values)));
            }
        }
        for reject in &chunk.rejects {
            let reasons = reject.reasons.iter();
            let reasons =
                reasons.map(|reason| (reason.code.to_string(), reason.column.clone())).collect();
            outcomes.push((reject.place, Err(reasons)));
        }
        reached = chunk.end;
    }
    outcomes.sort_by_key(|(place, _)| place.row_number);
    for (index, (place, _)) in outcomes.iter().enumerate() {
        assert_eq!(place.row_number, start.row_number + index as u64 + 1);
    }
    outcomes
}

fn end_of(place: &Place) -> Position {
    Position { byte_offset: place.byte_end, row_number: place.row_number }
}
