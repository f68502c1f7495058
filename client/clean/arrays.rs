//! Carries steps out on whole columns, and parses what they give.
//!
//! Invariant: a step that changes no value of a column copies nothing of it,
//! and one that changes some gives each what it would give it alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_buffer::{ArrowNativeType as _, Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use ferry::reject::Code;
use ferry::schema::ColumnType;
use ferry::values::ColumnBuilder;

use super::rules::{Case, Step, Verdict};

/// Rows of a column whose value was refused, each with the first code.
pub(super) type Failures = BTreeMap<usize, Code>;

/// Carries the steps out in their order; a value that one of them refuses becomes null.
pub(super) fn clean(
    steps: &[Step],
    column: &ArrayRef,
    failures: &mut Failures,
) -> Result<ArrayRef, ArrowError> {
    let mut cleaned = Arc::clone(column);
    for step in steps {
        let changed = apply(step, strings(&cleaned)?, failures)?;
        if let Some(changed) = changed {
            cleaned = Arc::new(changed);
        }
    }
    Ok(cleaned)
}

/// Parses texts to a type; a value that cannot be read becomes null.
pub(super) fn parse(
    texts: &ArrayRef,
    column_type: ColumnType,
    failures: &mut Failures,
) -> Result<ArrayRef, ArrowError> {
    let values = strings(texts)?;
    if is_typed_already(values, column_type) {
        return Ok(Arc::clone(texts));
    }
    let mut builder = ColumnBuilder::new(column_type);
    for (row, value) in values.iter().enumerate() {
        if let Err(code) = builder.append(value.map(str::as_bytes)) {
            builder.truncate(row);
            failures.entry(row).or_insert(code);
            // A null is taken by every type.
            let _ = builder.append(None);
        }
    }
    builder.finish()
}

/// Whether the texts are what the parser would make of them.
fn is_typed_already(values: &StringArray, column_type: ColumnType) -> bool {
    match column_type {
        ColumnType::Text => true,
        // Characters have at least one byte each.
        ColumnType::Varchar(length_max) => {
            let is_short = |bytes: i32| u32::try_from(bytes).is_ok_and(|bytes| bytes <= length_max);
            values.value_offsets().windows(2).all(|ends| is_short(ends[1] - ends[0]))
        }
        _ => false,
    }
}

fn strings(column: &ArrayRef) -> Result<&StringArray, ArrowError> {
    let not_text = || ArrowError::SchemaError("a column to be cleaned must be text".to_owned());
    column.as_string_opt::<i32>().ok_or_else(not_text)
}

/// Carries one step out; `None` if that changes nothing.
fn apply(
    step: &Step,
    values: &StringArray,
    failures: &mut Failures,
) -> Result<Option<StringArray>, ArrowError> {
    if let Some(filler) = step.filler() {
        return fill(filler, values, failures);
    }
    if let Some(whole) = ascii_whole(values) {
        if step.leaves(whole) {
            return Ok(None);
        }
        if let Step::Case(case) = step {
            return recase(*case, whole, values).map(Some);
        }
    }
    match first_change(step, values) {
        None => Ok(None),
        Some(first) => rewrite(step, first, values, failures).map(Some),
    }
}

/// All values end to end, what lies under nulls included, if they are ASCII.
fn ascii_whole(values: &StringArray) -> Option<&str> {
    let offsets = values.value_offsets();
    let (start, end) = (offsets.first()?.as_usize(), offsets.last()?.as_usize());
    let bytes = values.value_data().get(start..end)?;
    if bytes.is_ascii() { std::str::from_utf8(bytes).ok() } else { None }
}

/// Letters of ASCII keep their length, so that the values stay where they are.
fn recase(case: Case, whole: &str, values: &StringArray) -> Result<StringArray, ArrowError> {
    let mut cased = whole.to_owned();
    case.make_ascii(&mut cased);
    let offsets = match values.value_offsets() {
        [0, ..] => values.offsets().clone(),
        offsets => {
            let start = offsets.first().copied().unwrap_or_default();
            let from_zero: Vec<i32> = offsets.iter().map(|offset| offset - start).collect();
            OffsetBuffer::new(ScalarBuffer::from(from_zero))
        }
    };
    StringArray::try_new(offsets, Buffer::from_vec(cased.into_bytes()), values.nulls().cloned())
}

/// The first row that does not stay as it is.
fn first_change(step: &Step, values: &StringArray) -> Option<usize> {
    let mut scratch = String::new();
    let mut changes = |row: usize| {
        values.is_valid(row) && step.clean(values.value(row), &mut scratch) != Verdict::Unchanged
    };
    (0..values.len()).find(|row| changes(*row))
}

/// Carries the step out on each value from row `first` on.
fn rewrite(
    step: &Step,
    first: usize,
    values: &StringArray,
    failures: &mut Failures,
) -> Result<StringArray, ArrowError> {
    let mut column = TextColumn::with_room_for(values);
    for (row, value) in values.iter().enumerate() {
        let Some(text) = value else {
            column.close(false)?;
            continue;
        };
        let verdict =
            if row < first { Verdict::Unchanged } else { step.clean(text, &mut column.texts) };
        match verdict {
            Verdict::Unchanged => {
                column.texts.push_str(text);
                column.close(true)?;
            }
            Verdict::Changed => column.close(true)?,
            Verdict::Null => column.close(false)?,
            Verdict::Bad(code) => {
                failures.entry(row).or_insert(code);
                column.close(false)?;
            }
        }
    }
    column.finish()
}

/// Puts a text in the place of each null but those of refused values.
fn fill(
    filler: &str,
    values: &StringArray,
    failures: &Failures,
) -> Result<Option<StringArray>, ArrowError> {
    if values.null_count() == 0 {
        return Ok(None);
    }
    let mut column = TextColumn::with_room_for(values);
    for (row, value) in values.iter().enumerate() {
        let is_refused = value.is_none() && failures.contains_key(&row);
        if !is_refused {
            column.texts.push_str(value.unwrap_or(filler));
        }
        column.close(!is_refused)?;
    }
    column.finish().map(Some)
}

/// A column of texts under construction.
struct TextColumn {
    /// The values end to end; the last one may be unfinished.
    texts: String,
    /// Where each value begins; the last entry is where the last one ends.
    offsets: Vec<i32>,
    validity: NullBufferBuilder,
}

impl TextColumn {
    fn with_room_for(values: &StringArray) -> Self {
        let offsets = values.value_offsets();
        let byte_count = match (offsets.first(), offsets.last()) {
            (Some(start), Some(end)) => (end - start).as_usize(),
            _ => 0,
        };
        let mut offsets = Vec::with_capacity(values.len() + 1);
        offsets.push(0);
        Self {
            texts: String::with_capacity(byte_count),
            offsets,
            validity: NullBufferBuilder::new(values.len()),
        }
    }

    /// Ends a value whose text is there; none must be there if it is null.
    fn close(&mut self, is_valid: bool) -> Result<(), ArrowError> {
        let bytes = self.texts.len();
        let end = i32::try_from(bytes).map_err(|_| ArrowError::OffsetOverflowError(bytes))?;
        self.offsets.push(end);
        self.validity.append(is_valid);
        Ok(())
    }

    fn finish(mut self) -> Result<StringArray, ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let texts = Buffer::from_vec(self.texts.into_bytes());
        StringArray::try_new(offsets, texts, self.validity.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::super::phone::PhoneLibrary;
    use super::*;
    use crate::job::CleanRule;

    fn steps(rules: &[CleanRule]) -> Vec<Step> {
        Step::compile_all(rules, &mut PhoneLibrary::default()).expect("usable rules")
    }

    fn column(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[track_caller]
    fn assert_untouched(rule: CleanRule, values: &[Option<&str>]) {
        let before = column(values);
        let after = clean(&steps(&[rule]), &before, &mut Failures::new()).expect("it cleans");
        assert!(Arc::ptr_eq(&before, &after));
    }

    #[test]
    fn a_column_that_stays_as_it_is_is_not_copied() {
        assert_untouched(CleanRule::Trim, &[Some("a b"), None, Some("é"), Some("")]);
        assert_untouched(CleanRule::CollapseSpaces, &[Some("a "), Some(" b"), Some("é")]);
        assert_untouched(CleanRule::Lowercase, &[Some("a1"), None]);
        assert_untouched(CleanRule::Lowercase, &[Some("é")]);
        assert_untouched(CleanRule::Uppercase, &[Some("A1")]);
        assert_untouched(CleanRule::Nfc, &[Some("a"), Some("é")]);
        assert_untouched(CleanRule::Digits, &[Some("12"), Some("")]);
        assert_untouched(CleanRule::NullWords(vec!["n/a".to_owned()]), &[Some("n"), None]);
        assert_untouched(CleanRule::Default("x".to_owned()), &[Some("a")]);
        assert_untouched(CleanRule::Email, &[Some("ann@example.org"), None]);
    }

    #[test]
    fn ascii_letters_change_in_a_slice_too() {
        let whole = column(&[Some("ABC"), Some("DE"), None, Some("F"), Some("é")]);
        let slice = whole.slice(1, 3);
        let steps = steps(&[CleanRule::Lowercase]);
        let lower = clean(&steps, &slice, &mut Failures::new()).expect("it cleans");
        assert_eq!(&lower, &column(&[Some("de"), None, Some("f")]));
    }

    #[test]
    fn a_refused_value_is_null_and_no_default_fills_it() {
        let mut failures = Failures::new();
        let steps = steps(&[CleanRule::Email, CleanRule::Default("x@y.example".to_owned())]);
        let values = column(&[Some("ann"), None, Some("Ann@Example.org")]);
        let cleaned = clean(&steps, &values, &mut failures).expect("it cleans");
        assert_eq!(&cleaned, &column(&[None, Some("x@y.example"), Some("ann@example.org")]));
        assert_eq!(failures, Failures::from([(0, Code::BAD_EMAIL)]));
    }

    #[test]
    fn what_does_not_parse_is_null_with_its_code() {
        let mut failures = Failures::from([(0, Code::BAD_EMAIL)]);
        let texts = column(&[None, Some("12"), Some("x"), Some("7")]);
        let parsed = parse(&texts, ColumnType::Integer, &mut failures).expect("it parses");
        let expected: ArrayRef =
            Arc::new(arrow_array::Int32Array::from(vec![None, Some(12), None, Some(7)]));
        assert_eq!(&parsed, &expected);
        let codes = Failures::from([(0, Code::BAD_EMAIL), (2, Code::BAD_INTEGER)]);
        assert_eq!(failures, codes);
    }

    #[test]
    fn short_texts_are_varchars_as_they_are() {
        let texts = column(&[Some("äb"), None]);
        let parse_to = |length: u32| {
            let mut failures = Failures::new();
            let parsed = parse(&texts, ColumnType::Varchar(length), &mut failures);
            (parsed.expect("it parses"), failures)
        };
        assert!(Arc::ptr_eq(&parse_to(3).0, &texts));
        assert_eq!(&parse_to(2).0, &texts);
        assert_eq!(parse_to(1).1, Failures::from([(0, Code::TOO_LONG)]));
    }
}
