//! Turns the words by which settings describe the fields of a column into the format that reads them.
//!
//! Invariant: words that do nothing for the type of their column are refused,
//! so that nobody believes that they do.

use std::sync::Arc;

use chrono_tz::Tz;

use crate::schema::ColumnType;

use super::directives;
use super::encoded::ByteEncoding;
use super::number_words::NumberWords;
use super::pattern::{DateForm, Pattern, ZoneForm};
use super::words::BooleanWords;

/// How the fields of a column are written, where that is not PostgreSQL's own way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldFormat {
    pub(super) pattern: Option<Arc<Pattern>>,
    pub(super) bytes: Option<ByteEncoding>,
    pub(super) time_zone: Option<Tz>,
    pub(super) number: Option<Arc<NumberWords>>,
    pub(super) boolean: Option<Arc<BooleanWords>>,
}

/// The words as they stand in settings; `None` for PostgreSQL's way.
#[derive(Debug, Clone, Default)]
pub struct FormatWords {
    /// Dates and times: directives of strptime. `bytea`: `hex` or `base64`.
    pub format: Option<String>,
    /// `timestamptz`: name of the zone of fields that say none.
    pub time_zone: Option<String>,
    /// Numbers: the one character before the fraction.
    pub decimal: Option<String>,
    /// Numbers: what may stand between groups of three digits.
    pub thousands: Option<String>,
    /// Numbers: signs that may stand before or behind.
    pub currency: Option<Vec<String>>,
    /// Numbers: what the sign of per cent behind each of them means.
    pub percent: Option<Percent>,
    /// `boolean`: words for true; they replace PostgreSQL's.
    pub true_words: Option<Vec<String>>,
    /// `boolean`: words for false; they replace PostgreSQL's.
    pub false_words: Option<Vec<String>>,
}

/// What `12.5%` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Percent {
    /// 0.125.
    Fraction,
    /// 12.5.
    Number,
}

impl FieldFormat {
    /// Checks the words against the type. Err: a text that says what to do.
    pub fn new(words: FormatWords, column_type: ColumnType) -> Result<Self, String> {
        let FormatWords {
            format,
            time_zone,
            decimal,
            thousands,
            currency,
            percent,
            true_words,
            false_words,
        } = words;
        let is_instant = column_type == ColumnType::Timestamptz;
        refuse_unless(is_instant || time_zone.is_none(), "time_zone", "timestamptz", column_type)?;
        let is_number = is_number(column_type);
        for (name, is_set) in [
            ("decimal", decimal.is_some()),
            ("thousands", thousands.is_some()),
            ("currency", currency.is_some()),
            ("percent", percent.is_some()),
        ] {
            refuse_unless(is_number || !is_set, name, "numbers", column_type)?;
        }
        let is_boolean = column_type == ColumnType::Boolean;
        for (name, is_set) in [("true", true_words.is_some()), ("false", false_words.is_some())] {
            refuse_unless(is_boolean || !is_set, name, "boolean", column_type)?;
        }
        if percent == Some(Percent::Fraction) && is_integer(column_type) {
            return Err(format!(
                "a fraction is no {column_type}: declare numeric, or set percent = \"number\""
            ));
        }
        let mut field_format = Self {
            time_zone: time_zone.as_deref().map(parse_time_zone).transpose()?,
            number: NumberWords::new(decimal, thousands, currency, percent)?.map(Arc::new),
            boolean: BooleanWords::new(true_words, false_words)?.map(Arc::new),
            ..Self::default()
        };
        match format {
            Some(name) if column_type == ColumnType::Bytea => {
                field_format.bytes = Some(ByteEncoding::named(&name)?);
            }
            Some(text) => {
                let pattern = directives::compile(&text, column_type)?;
                field_format.check_zones(&pattern)?;
                field_format.pattern = Some(Arc::new(pattern));
            }
            None => {}
        }
        Ok(field_format)
    }

    /// Whether fields are read as PostgreSQL reads them.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    fn check_zones(&self, pattern: &Pattern) -> Result<(), String> {
        let says_instant =
            pattern.zone == ZoneForm::Offset || pattern.date == DateForm::UnixSeconds;
        if says_instant && self.time_zone.is_some() {
            return Err("every field of this format has its zone: leave time_zone out".to_owned());
        }
        Ok(())
    }
}

pub(super) fn is_number(column_type: ColumnType) -> bool {
    let is_fractional = matches!(
        column_type,
        ColumnType::Real | ColumnType::DoublePrecision | ColumnType::Numeric(_)
    );
    is_fractional || is_integer(column_type)
}

fn is_integer(column_type: ColumnType) -> bool {
    matches!(column_type, ColumnType::Smallint | ColumnType::Integer | ColumnType::Bigint)
}

fn refuse_unless(
    does_something: bool,
    word: &str,
    types: &str,
    column_type: ColumnType,
) -> Result<(), String> {
    if does_something {
        return Ok(());
    }
    Err(format!("{word} concerns {types}, not {column_type}: leave it out or change the type"))
}

fn parse_time_zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        format!("time zone \"{name}\" is not known: use a name such as Europe/Berlin or UTC")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> FormatWords {
        FormatWords::default()
    }

    fn refused(words: FormatWords, column_type: &str) -> String {
        let column_type = column_type.parse().expect("a type");
        FieldFormat::new(words, column_type).expect_err("refused")
    }

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn no_words_are_plain() {
        for column_type in ["text", "boolean", "numeric", "date", "timestamptz", "bytea"] {
            let column_type = column_type.parse().expect("a type");
            let format = FieldFormat::new(words(), column_type).expect("a format");
            assert!(format.is_plain());
        }
        let point = FormatWords { decimal: Some(".".to_owned()), ..words() };
        assert!(FieldFormat::new(point, ColumnType::Real).expect("a format").is_plain());
        let comma = FormatWords { decimal: Some(",".to_owned()), ..words() };
        assert!(!FieldFormat::new(comma, ColumnType::Real).expect("a format").is_plain());
    }

    #[test]
    fn words_that_do_nothing_for_the_type_are_refused() {
        let format = FormatWords { format: Some("%F".to_owned()), ..words() };
        assert!(refused(format, "text").contains("date"));
        let zone = FormatWords { time_zone: Some("UTC".to_owned()), ..words() };
        assert!(refused(zone, "timestamp").contains("time_zone concerns timestamptz"));
        let decimal = FormatWords { decimal: Some(",".to_owned()), ..words() };
        assert!(refused(decimal, "date").contains("decimal concerns numbers"));
        let currency = FormatWords { currency: Some(owned(&["€"])), ..words() };
        assert!(refused(currency, "text").contains("currency"));
        let boolean = FormatWords { true_words: Some(owned(&["x"])), ..words() };
        assert!(refused(boolean, "integer").contains("true concerns boolean"));
        let percent = FormatWords { percent: Some(Percent::Fraction), ..words() };
        assert!(refused(percent, "integer").contains("percent = \"number\""));
    }

    #[test]
    fn zones_are_names_and_are_said_once() {
        let zone = |format: Option<&str>, time_zone: &str| FormatWords {
            format: format.map(str::to_owned),
            time_zone: Some(time_zone.to_owned()),
            ..words()
        };
        assert!(refused(zone(None, "Europe/Atlantis"), "timestamptz").contains("not known"));
        assert!(refused(zone(Some("%F %T%z"), "UTC"), "timestamptz").contains("time_zone"));
        assert!(refused(zone(Some("%s"), "UTC"), "timestamptz").contains("time_zone"));
        assert!(FieldFormat::new(zone(Some("%F %T"), "UTC"), ColumnType::Timestamptz).is_ok());
    }

    #[test]
    fn numbers_cannot_be_read_in_two_ways() {
        let parted = |decimal: Option<&str>, thousands: &str| FormatWords {
            decimal: decimal.map(str::to_owned),
            thousands: Some(thousands.to_owned()),
            ..words()
        };
        assert!(refused(parted(None, "."), "numeric").contains("set decimal"));
        assert!(refused(parted(Some(","), ","), "numeric").contains("set decimal"));
        assert!(refused(parted(None, "x"), "numeric").contains("thousands is one of"));
        for decimal in ["", ",,", "5", "-", "%", " ", "e"] {
            let words = FormatWords { decimal: Some(decimal.to_owned()), ..words() };
            assert!(refused(words, "numeric").contains("one character"), "{decimal}");
        }
        for sign in ["", " €", "1", "-"] {
            let words = FormatWords { currency: Some(owned(&[sign])), ..words() };
            assert!(refused(words, "numeric").contains("currency lists signs"), "{sign}");
        }
        let both = FormatWords {
            currency: Some(owned(&["€"])),
            percent: Some(Percent::Number),
            ..words()
        };
        assert!(refused(both, "numeric").contains("exclude"));
    }

    #[test]
    fn bytes_have_two_formats() {
        let format = |name: &str| FormatWords { format: Some(name.to_owned()), ..words() };
        assert!(FieldFormat::new(format("base64"), ColumnType::Bytea).is_ok());
        assert!(FieldFormat::new(format("hex"), ColumnType::Bytea).is_ok());
        assert!(refused(format("%F"), "bytea").contains("base64"));
    }
}
