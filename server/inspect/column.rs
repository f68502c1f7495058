//! Turns the fields of one column into what they have in common, and counts them on the way.
//!
//! Invariant: no field is kept but those at the ends of a range, and no memory
//! is taken per field.

use ferry::schema::ColumnType;
use ferry::values::ColumnBuilder;

use super::booleans::Booleans;
use super::distinct::Distinct;
use super::fit::Fit;
use super::mask::mask;
use super::numbers::Numbers;
use super::personal::is_of_days;
use super::times::{TimeForm, Times, time_forms};

/// Words that often stand where a value is missing.
pub(super) const NULL_WORDS: [&str; 16] = [
    "", "NA", "N/A", "n/a", "NULL", "null", "Null", "-", "--", "\\N", "None", "none", "NaN", "nan",
    "#N/A", "?",
];
const NULL_WORD_BYTES_MAX: usize = 4;
const SHAPES_MAX: usize = 3;
/// Values whose shapes are looked at.
const SHAPED_VALUES_MAX: u64 = 500;
/// A UUID with its hyphens; without them it may be any hash.
const UUID_BYTES: usize = 36;

/// Tries fields, of all columns.
pub(super) struct Probes {
    pub(super) times: Vec<TimeForm>,
    uuid: ColumnBuilder,
    jsonb: ColumnBuilder,
    bytea: ColumnBuilder,
}

impl Probes {
    pub(super) fn new() -> Self {
        Self {
            times: time_forms(),
            uuid: ColumnBuilder::new(ColumnType::Uuid),
            jsonb: ColumnBuilder::new(ColumnType::Jsonb),
            bytea: ColumnBuilder::new(ColumnType::Bytea),
        }
    }
}

/// What the fields of one column have in common.
pub(super) struct Column {
    /// Fields that are empty and not quoted.
    pub(super) nulls: u64,
    pub(super) values: u64,
    /// Characters of the longest value.
    pub(super) longest: usize,
    pub(super) distinct: Distinct,
    pub(super) shapes: Vec<String>,
    /// How often each of [`NULL_WORDS`] stands there.
    pub(super) null_words: [u64; NULL_WORDS.len()],
    pub(super) booleans: Booleans,
    pub(super) numbers: Numbers,
    pub(super) times: Times,
    pub(super) uuids: Fit,
    pub(super) documents: Fit,
    pub(super) bytes: Fit,
}

impl Column {
    pub(super) fn new(name: &str) -> Self {
        Self {
            nulls: 0,
            values: 0,
            longest: 0,
            distinct: Distinct::new(),
            shapes: Vec::new(),
            null_words: [0; NULL_WORDS.len()],
            booleans: Booleans::default(),
            numbers: Numbers::default(),
            times: Times::new(is_of_days(name)),
            uuids: Fit::default(),
            documents: Fit::default(),
            bytes: Fit::default(),
        }
    }

    /// Takes a field, `None` for one that is empty and not quoted.
    #[inline]
    pub(super) fn take(&mut self, value: Option<&[u8]>, probes: &mut Probes) {
        let Some(field) = value else {
            self.nulls += 1;
            return;
        };
        self.values += 1;
        self.distinct.add(field);
        // No text has more characters than bytes.
        if field.len() > self.longest {
            self.longest = self.longest.max(characters(field));
        }
        if let Some(word) = null_word(field) {
            self.null_words[word] += 1;
            return;
        }
        if self.shapes.len() < SHAPES_MAX && self.values <= SHAPED_VALUES_MAX {
            self.keep_shape(field);
        }
        self.numbers.take(field);
        self.booleans.take(field);
        self.times.take(field, &mut probes.times);
        let is_uuid = field.len() == UUID_BYTES;
        probe(&mut self.uuids, field, is_uuid, &mut probes.uuid);
        let is_document = matches!(field.first(), Some(b'{' | b'['));
        probe(&mut self.documents, field, is_document, &mut probes.jsonb);
        probe(&mut self.bytes, field, field.starts_with(b"\\x"), &mut probes.bytea);
    }

    /// Values that are no word for a missing one.
    pub(super) fn real_values(&self) -> u64 {
        self.values - self.null_words.iter().sum::<u64>()
    }

    /// The words for missing values that stand there.
    pub(super) fn null_words_seen(&self) -> Vec<&'static str> {
        let counted = NULL_WORDS.iter().zip(self.null_words);
        counted.filter(|(_, count)| *count > 0).map(|(word, _)| *word).collect()
    }

    fn keep_shape(&mut self, field: &[u8]) {
        let Ok(text) = std::str::from_utf8(field) else {
            return;
        };
        let shape = mask(text);
        if !self.shapes.contains(&shape) {
            self.shapes.push(shape);
        }
    }
}

#[inline]
fn probe(fit: &mut Fit, field: &[u8], may_fit: bool, builder: &mut ColumnBuilder) {
    if fit.is_out() {
        return;
    }
    let is_fitting = may_fit && builder.append(Some(field)).is_ok();
    builder.truncate(0);
    fit.note(is_fitting);
}

#[inline]
fn null_word(field: &[u8]) -> Option<usize> {
    let may_be = field.len() <= NULL_WORD_BYTES_MAX
        && field.first().is_none_or(|byte| !byte.is_ascii_digit());
    if may_be { NULL_WORDS.iter().position(|word| word.as_bytes() == field) } else { None }
}

/// Characters of UTF-8: all bytes but those that continue one.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}
