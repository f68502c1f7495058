//! Turns text and a dialect into how well its records fit that dialect.

use std::collections::BTreeMap;

use encoding_rs::UTF_8;
use ferry::position::Position;
use ferry::wire::COLUMNS_MAX;

use crate::delimited::{Dialect, Record, RecordReader, TextInput};

/// Records that a dialect is judged by.
pub(super) const RECORDS_MAX: usize = 1000;
/// Records whose fields are looked into.
const JUDGED_RECORDS_MAX: usize = 200;
/// Delimiters that mostly stand for themselves, the strongest first.
const STRONG: [u8; 4] = [b';', b'\t', b'|', b','];
/// A field with a foreign delimiter in it costs so much of its thousandth.
const FOREIGN_COST: u64 = 300;

/// The beginning of a file, decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample<'a> {
    pub(super) text: &'a [u8],
    /// Whether the file ends here too.
    pub(super) is_whole: bool,
}

/// How records fit a dialect.
pub(super) struct Trial {
    pub(super) records: Vec<Seen>,
    /// Fields that most records have; 1 if no number above is frequent.
    pub(super) field_count: usize,
    /// Records with so many fields and without damage.
    pub(super) matching: u64,
    cells: u64,
    foreign_cells: u64,
    /// Fields behind a delimiter, and those of them that begin with a space.
    followers: u64,
    spaced: u64,
}

/// One record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) fields: usize,
    pub(super) byte_start: usize,
    pub(super) is_damaged: bool,
    pub(super) begins_with_hash: bool,
    pub(super) ends_with_empty: bool,
}

impl Trial {
    /// Reads the first records.
    pub(super) fn run(sample: Sample<'_>, dialect: &Dialect) -> Self {
        let mut trial = Self {
            records: Vec::new(),
            field_count: 1,
            matching: 0,
            cells: 0,
            foreign_cells: 0,
            followers: 0,
            spaced: 0,
        };
        let mut reader = reader(sample.text, dialect, None);
        while trial.records.len() < RECORDS_MAX {
            let Ok(Some(record)) = reader.next() else {
                break;
            };
            let place = record.place();
            let is_cut_off = place.byte_end >= sample.text.len() as u64 && !sample.is_whole;
            if is_cut_off && !trial.records.is_empty() {
                break;
            }
            if trial.records.len() < JUDGED_RECORDS_MAX {
                trial.judge(&record, dialect);
            }
            trial.records.push(see(&record));
        }
        trial.count();
        trial
    }

    /// How well the records fit, in thousandths.
    pub(super) fn score(&self) -> u64 {
        let share = self.matching * 1000 / (self.records.len() as u64).max(1);
        let foreign = self.foreign_cells * FOREIGN_COST / self.cells.max(1);
        share * (1000 - foreign) / 1000
    }

    pub(super) fn is_spaced(&self) -> bool {
        self.followers > 0 && self.spaced * 10 >= self.followers * 9
    }

    /// Whether a record is one of those that speak for the dialect.
    pub(super) fn is_matching(&self, record: &Seen) -> bool {
        !record.is_damaged && record.fields == self.field_count
    }

    /// Whether a record is damaged, all of them looked at.
    pub(super) fn has_damage(&self) -> bool {
        self.records.iter().any(|record| record.is_damaged)
    }

    fn judge(&mut self, record: &Record<'_>, dialect: &Dialect) {
        for index in 0..record.len() {
            let field = record.field(index);
            self.cells += 1;
            self.foreign_cells += u64::from(is_foreign(field, dialect));
            if index > 0 {
                self.followers += 1;
                self.spaced += u64::from(field.first() == Some(&b' '));
            }
        }
    }

    fn count(&mut self) {
        let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
        let may_be_row = |record: &&Seen| !record.is_damaged && record.fields > 1;
        for record in self.records.iter().filter(may_be_row) {
            *counts.entry(record.fields).or_default() += 1;
        }
        // The words of one long line are no columns.
        counts.retain(|fields, count| *fields <= COLUMNS_MAX || *count > 1);
        if let Some((fields, count)) = counts.into_iter().max_by_key(|(_, count)| *count) {
            self.field_count = fields;
            self.matching = count;
        }
    }
}

/// A reader of the records of decoded text.
pub(super) fn reader<'a>(
    text: &'a [u8],
    dialect: &Dialect,
    field_count: Option<usize>,
) -> RecordReader<&'a [u8]> {
    let input = TextInput::new(text, UTF_8, 0);
    RecordReader::new(input, dialect, field_count, Position::default(), u64::MAX)
}

fn see(record: &Record<'_>) -> Seen {
    let fields = record.len();
    Seen {
        fields,
        byte_start: usize::try_from(record.place().byte_start).unwrap_or(usize::MAX),
        is_damaged: record.damage().is_some(),
        begins_with_hash: record.content().starts_with(b"#"),
        ends_with_empty: fields.checked_sub(1).is_some_and(|last| record.value(last).is_none()),
    }
}

/// Whether a field looks as if another dialect would take it apart.
fn is_foreign(field: &[u8], dialect: &Dialect) -> bool {
    let delimiter = dialect.delimiter.as_bytes();
    let is_wrapped =
        |quote: u8| matches!(field, [first, .., last] if *first == quote && *last == quote);
    let has_foreign_quote = dialect.quote != Some(b'"') && field.contains(&b'"');
    if has_foreign_quote || is_wrapped(b'\'') {
        return true;
    }
    let is_foreign_byte = |byte: &u8| STRONG.contains(byte) && !delimiter.contains(byte);
    if !field.iter().any(is_foreign_byte) {
        return false;
    }
    // A field in quotes may hold what it likes, and a number its comma.
    let is_figure = |byte: &u8| byte.is_ascii_digit() || b"+-., '%".contains(byte);
    let only_commas = field.iter().filter(|byte| is_foreign_byte(byte)).all(|byte| *byte == b',');
    !(only_commas && field.iter().all(is_figure))
}
