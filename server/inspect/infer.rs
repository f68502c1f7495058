//! Turns what the fields of a column have in common into its type, its format and its words for NULL.
//!
//! Invariant: a type is chosen only if every value but words for NULL is one of
//! it, so that whoever pastes it refuses no row that was read.

use ferry::schema::ColumnType;
use ferry::values::{FieldFormat, FormatWords};

use super::column::{Column, Probes};
use super::fit::Fit;
use super::numbers::NumberChoice;
use super::times::TimeChoice;

const GROUPED_BY_POINTS: &str =
    "if its points stand between thousands, declare an integer type with thousands = \".\"";

/// How a column is to be declared.
pub(super) struct Choice {
    pub(super) column_type: ColumnType,
    pub(super) words: FormatWords,
    pub(super) nulls: Vec<&'static str>,
    pub(super) smallest: Option<String>,
    pub(super) largest: Option<String>,
    /// What the type alone does not say.
    pub(super) remark: Option<String>,
}

impl Choice {
    fn text(remark: Option<String>) -> Self {
        Self::typed(ColumnType::Text, FormatWords::default(), remark)
    }

    fn typed(column_type: ColumnType, words: FormatWords, remark: Option<String>) -> Self {
        let nulls = Vec::new();
        Self { column_type, words, nulls, smallest: None, largest: None, remark }
    }
}

/// Chooses the type of a column.
pub(super) fn choose(column: &mut Column, probes: &Probes) -> Choice {
    let mut choice = if column.real_values() == 0 {
        Choice::text(Some("it has no value".to_owned()))
    } else {
        choose_typed(column, probes).unwrap_or_else(|| Choice::text(nearly(column, probes)))
    };
    if FieldFormat::new(choice.words.clone(), choice.column_type).is_err() {
        choice = Choice::text(Some("its values are written in a mixed way".to_owned()));
    }
    if choice.column_type != ColumnType::Text {
        choice.nulls = column.null_words_seen();
        if choice.column_type == ColumnType::DoublePrecision {
            choice.nulls.retain(|word| !word.eq_ignore_ascii_case("nan"));
        }
    }
    choice
}

fn choose_typed(column: &mut Column, probes: &Probes) -> Option<Choice> {
    if column.booleans.fit.is_whole()
        && let Some(words) = column.booleans.choose()
    {
        return Some(Choice::typed(ColumnType::Boolean, words, None));
    }
    if !column.times.is_compact(&probes.times)
        && column.numbers.fit.is_whole()
        && let Some(choice) = column.numbers.choose()
    {
        return Some(of_numbers(choice));
    }
    if let Some(choice) = column.times.choose(&probes.times) {
        return Some(of_times(choice));
    }
    let plain = |column_type| Some(Choice::typed(column_type, FormatWords::default(), None));
    if column.uuids.is_whole() {
        plain(ColumnType::Uuid)
    } else if column.documents.is_whole() {
        plain(ColumnType::Jsonb)
    } else if column.bytes.is_whole() {
        plain(ColumnType::Bytea)
    } else {
        None
    }
}

fn of_numbers(choice: NumberChoice) -> Choice {
    match choice {
        NumberChoice::Ambiguous => Choice::text(Some(
            "its commas may stand before a fraction or between thousands: declare a type with \
             decimal = \",\" or with thousands = \",\""
                .to_owned(),
        )),
        NumberChoice::Typed { column_type, words, smallest, largest, may_be_grouped } => {
            let remark = may_be_grouped.then(|| GROUPED_BY_POINTS.to_owned());
            Choice { smallest, largest, ..Choice::typed(column_type, *words, remark) }
        }
    }
}

fn of_times(choice: TimeChoice) -> Choice {
    match choice {
        TimeChoice::Ambiguous(one, other) => Choice::text(Some(format!(
            "the day may come before the month or behind it: declare a type with format = \
             \"{one}\" or with format = \"{other}\""
        ))),
        TimeChoice::Typed { column_type, format, earliest, latest } => {
            let words = FormatWords { format, ..FormatWords::default() };
            Choice {
                smallest: Some(earliest),
                largest: Some(latest),
                ..Choice::typed(column_type, words, None)
            }
        }
    }
}

/// A remark on the type that all values have but a few.
fn nearly(column: &Column, probes: &Probes) -> Option<String> {
    let (shown, fit) = nearest_type(column, probes)?;
    let (misfits, values) = (fit.misfits(), fit.fits() + fit.misfits());
    Some(format!(
        "all but {misfits} of {values} values are of {shown}: declare it, and rows with the others are refused"
    ))
}

fn nearest_type(column: &Column, probes: &Probes) -> Option<(String, Fit)> {
    let booleans = &column.booleans;
    if booleans.fit.is_nearly_whole() && booleans.choose().is_some() {
        return Some(("type boolean".to_owned(), booleans.fit));
    }
    if column.numbers.fit.is_nearly_whole()
        && let Some(NumberChoice::Typed { column_type, .. }) = column.numbers.choose()
    {
        return Some((format!("type {column_type}"), column.numbers.fit));
    }
    if let Some((column_type, format, fit)) = column.times.nearly(&probes.times) {
        let format = format.map(|format| format!(" with format \"{format}\"")).unwrap_or_default();
        return Some((format!("type {column_type}{format}"), fit));
    }
    let others = [
        (ColumnType::Uuid, column.uuids),
        (ColumnType::Jsonb, column.documents),
        (ColumnType::Bytea, column.bytes),
    ];
    let (column_type, fit) = others.into_iter().find(|(_, fit)| fit.is_nearly_whole())?;
    Some((format!("type {column_type}"), fit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(name: &str, fields: &[&str]) -> Choice {
        let mut probes = Probes::new();
        let mut column = Column::new(name);
        for field in fields {
            column.take(Some(field.as_bytes()), &mut probes);
        }
        choose(&mut column, &probes)
    }

    fn type_of(name: &str, fields: &[&str]) -> String {
        chosen(name, fields).column_type.to_string()
    }

    #[test]
    fn every_kind_of_value_gets_its_type() {
        assert_eq!(type_of("a", &["x", "y"]), "text");
        assert_eq!(type_of("a", &["yes", "no"]), "boolean");
        assert_eq!(type_of("a", &["0", "1"]), "smallint");
        assert_eq!(type_of("a", &["1.50"]), "numeric(3,2)");
        assert_eq!(type_of("a", &["2024-01-31"]), "date");
        assert_eq!(type_of("a", &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]), "uuid");
        assert_eq!(type_of("a", &["{\"a\": 1}", "[]"]), "jsonb");
        assert_eq!(type_of("a", &["\\x00ff"]), "bytea");
        assert_eq!(type_of("a", &["007"]), "text");
        assert_eq!(type_of("a", &["20240131"]), "integer");
        assert_eq!(type_of("order_date", &["20240131"]), "date");
        assert_eq!(type_of("a", &["d41d8cd98f00b204e9800998ecf8427e"]), "text");
    }

    #[test]
    fn words_for_null_are_found_among_typed_values_only() {
        let numbers = chosen("a", &["1", "NA", "-", "2", ""]);
        assert_eq!(numbers.column_type, ColumnType::Smallint);
        assert_eq!(numbers.nulls, ["", "NA", "-"]);
        let texts = chosen("a", &["x", "NA"]);
        assert!(texts.column_type == ColumnType::Text && texts.nulls.is_empty());
        assert_eq!(type_of("a", &["NA", "NA"]), "text");
        let floats = chosen("a", &["1e5", "NaN", "NA"]);
        assert_eq!(floats.nulls, ["NA"]);
    }

    #[test]
    fn what_is_ambiguous_stays_text_with_a_remark() {
        let days = chosen("a", &["01/02/2024"]);
        assert_eq!(days.column_type, ColumnType::Text);
        assert!(days.remark.expect("a remark").contains("%m/%d/%Y"));
        let commas = chosen("a", &["1,234"]);
        assert_eq!(commas.column_type, ColumnType::Text);
        assert!(commas.remark.expect("a remark").contains("thousands"));
    }

    #[test]
    fn points_that_may_stand_between_thousands_are_told() {
        let points = chosen("a", &["1.234", "56.789"]);
        assert_eq!(points.column_type.to_string(), "numeric(5,3)");
        assert!(points.remark.expect("a remark").contains("thousands"));
        assert!(chosen("a", &["1.234", "56.7"]).remark.is_none());
    }

    #[test]
    fn a_type_that_nearly_fits_is_a_remark() {
        let mut fields = vec!["2024-01-31"; 300];
        fields.push("2024-02-30");
        let choice = chosen("a", &fields);
        assert_eq!(choice.column_type, ColumnType::Text);
        let remark = choice.remark.expect("a remark");
        assert!(remark.contains("all but 1 of 301 values are of type date"), "{remark}");
    }
}
