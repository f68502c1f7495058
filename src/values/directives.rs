//! Turns the text of a format (`%d.%m.%Y`), in the words of strptime, into the pattern that reads fields.
//!
//! Invariant: a format that compiles says each part once, and can be read in
//! one way only: a number with no fixed length is not followed by another, with
//! nothing between or with white space that a field may leave out.

use std::fmt;

use crate::schema::ColumnType;

use super::pattern::{ClockForm, DateForm, Digits, Item, Part, Pattern, ZoneForm};

/// Told where a directive is not known.
const KNOWN: &str = "%Y %y %m %b %d %e %j %H %I %p %M %S %f %.f %z %Z %s %a %F %D %T %R %n %t %%";

const YEAR: Item = Item::Number(Part::Year, Digits { least: 4, most: 7, packed: 4 });
const YEAR_OF_CENTURY: Item =
    Item::Number(Part::YearOfCentury, Digits { least: 2, most: 2, packed: 2 });
const MONTH: Item = Item::Number(Part::Month, ONE_OR_TWO);
const DAY: Item = Item::Number(Part::Day, ONE_OR_TWO);
const HOUR: Item = Item::Number(Part::Hour, ONE_OR_TWO);
const MINUTE: Item = Item::Number(Part::Minute, ONE_OR_TWO);
const SECOND: Item = Item::Number(Part::Second, ONE_OR_TWO);
/// One or two digits, two where another digit follows at once.
const ONE_OR_TWO: Digits = Digits { least: 1, most: 2, packed: 2 };
/// One or two digits, which no other may follow at once.
const UNPADDED: Digits = Digits { least: 1, most: 2, packed: 0 };

/// Compiles a format and checks it against the type. Err: what to do.
pub(super) fn compile(format: &str, column_type: ColumnType) -> Result<Pattern, String> {
    let items = part_numbers(pack(items_of(format)?)?);
    let says = Says::of(&items)?;
    says.check_whole()?;
    says.check_type(column_type)?;
    let date = if says.has(Noun::UnixSeconds) {
        DateForm::UnixSeconds
    } else if says.has(Noun::DayOfYear) {
        DateForm::DayOfYear
    } else if says.has(Noun::Day) {
        DateForm::MonthAndDay
    } else {
        DateForm::None
    };
    let clock = if says.has(Noun::HourOfHalf) {
        ClockForm::Hours12
    } else if says.has(Noun::Hour) {
        ClockForm::Hours24
    } else {
        ClockForm::None
    };
    let zone = if says.has(Noun::Zone) { ZoneForm::Offset } else { ZoneForm::None };
    Ok(Pattern { items, date, clock, zone })
}

fn items_of(format: &str) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    let mut rest = format;
    while let Some(character) = rest.chars().next() {
        if character == '%' {
            let (directive, behind) = split_directive(&rest[1..])?;
            let known = items_of_directive(directive)
                .ok_or_else(|| format!("%{directive} is not known in a format: use {KNOWN}"))?;
            items.extend_from_slice(known);
            rest = behind;
            continue;
        }
        let (literal, behind) = rest.split_at(character.len_utf8());
        if character.is_ascii_whitespace() {
            items.push(Item::Space);
        } else {
            items.extend(literal.bytes().map(Item::Byte));
        }
        rest = behind;
    }
    Ok(items)
}

/// The letter behind `%`, with the mark before it, and what follows.
fn split_directive(text: &str) -> Result<(&str, &str), String> {
    let marked = text.starts_with(['-', '.']);
    let length: usize = text.chars().take(1 + usize::from(marked)).map(char::len_utf8).sum();
    let has_letter = text.chars().count() > usize::from(marked);
    if has_letter {
        Ok(text.split_at(length))
    } else {
        Err("a format ends within a directive: write %% for a percent sign".to_owned())
    }
}

fn items_of_directive(directive: &str) -> Option<&'static [Item]> {
    Some(match directive {
        "Y" => &[YEAR],
        "y" => &[YEAR_OF_CENTURY],
        "m" => &[MONTH],
        "-m" => &[Item::Number(Part::Month, UNPADDED)],
        "b" | "B" | "h" => &[Item::MonthName],
        "d" => &[DAY],
        "-d" => &[Item::Number(Part::Day, UNPADDED)],
        "e" => &[Item::Space, Item::Number(Part::Day, UNPADDED)],
        "j" => &[Item::Number(Part::DayOfYear, Digits { least: 1, most: 3, packed: 3 })],
        "-j" => &[Item::Number(Part::DayOfYear, Digits { least: 1, most: 3, packed: 0 })],
        "a" | "A" => &[Item::WeekdayName],
        "H" => &[HOUR],
        "-H" => &[Item::Number(Part::Hour, UNPADDED)],
        "I" => &[Item::Number(Part::HourOfHalf, ONE_OR_TWO)],
        "-I" => &[Item::Number(Part::HourOfHalf, UNPADDED)],
        "p" | "P" => &[Item::HalfOfDay],
        "M" => &[MINUTE],
        "-M" => &[Item::Number(Part::Minute, UNPADDED)],
        "S" => &[SECOND],
        "-S" => &[Item::Number(Part::Second, UNPADDED)],
        "f" => &[Item::Fraction],
        ".f" => &[Item::PointAndFraction],
        "z" => &[Item::Offset],
        "Z" => &[Item::ZoneName],
        "s" => &[Item::UnixSeconds],
        "n" | "t" => &[Item::Space],
        "%" => &[Item::Byte(b'%')],
        "F" => &[YEAR, Item::Byte(b'-'), MONTH, Item::Byte(b'-'), DAY],
        "D" => &[MONTH, Item::Byte(b'/'), DAY, Item::Byte(b'/'), YEAR_OF_CENTURY],
        "T" => &[HOUR, Item::Byte(b':'), MINUTE, Item::Byte(b':'), SECOND],
        "R" => &[HOUR, Item::Byte(b':'), MINUTE],
        _ => return None,
    })
}

/// Gives numbers between which nothing stands the one length that they have there.
fn pack(mut items: Vec<Item>) -> Result<Vec<Item>, String> {
    for index in 1..items.len() {
        if !begins_with_digit(items[index]) {
            continue;
        }
        match items[index - 1] {
            Item::Number(part, Digits { packed: packed @ 1.., .. }) => {
                let digits = Digits { least: packed, most: packed, packed };
                items[index - 1] = Item::Number(part, digits);
                if let Item::Number(part, Digits { packed: packed @ 1.., .. }) = items[index] {
                    let digits = Digits { least: packed, most: packed, packed };
                    items[index] = Item::Number(part, digits);
                }
            }
            Item::Number(..)
            | Item::Fraction
            | Item::PointAndFraction
            | Item::UnixSeconds
            | Item::Offset => {
                return Err("in the format a number follows another that has no fixed length: \
                            put something between them"
                    .to_owned());
            }
            _ => {}
        }
    }
    Ok(items)
}

/// Asks for the white space between numbers.
fn part_numbers(mut items: Vec<Item>) -> Vec<Item> {
    for index in 1..items.len() {
        let next = items[index..].iter().find(|item| **item != Item::Space);
        let is_between =
            ends_with_digit(items[index - 1]) && next.copied().is_some_and(begins_with_digit);
        if items[index] == Item::Space && is_between {
            items[index] = Item::Gap;
        }
    }
    items
}

/// Whether what an item reads may end with a digit.
fn ends_with_digit(item: Item) -> bool {
    match item {
        Item::Number(..)
        | Item::Fraction
        | Item::PointAndFraction
        | Item::Offset
        | Item::UnixSeconds => true,
        Item::Byte(byte) => byte.is_ascii_digit(),
        _ => false,
    }
}

fn begins_with_digit(item: Item) -> bool {
    match item {
        Item::Number(..) | Item::Fraction | Item::UnixSeconds => true,
        Item::Byte(byte) => byte.is_ascii_digit(),
        _ => false,
    }
}

/// What a directive says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noun {
    Year,
    Month,
    Day,
    DayOfYear,
    Weekday,
    Hour,
    HourOfHalf,
    HalfOfDay,
    Minute,
    Second,
    Fraction,
    Zone,
    UnixSeconds,
}

impl Noun {
    fn of(item: Item) -> Option<Self> {
        Some(match item {
            Item::Byte(_) | Item::Space | Item::Gap => return None,
            Item::Number(Part::Year | Part::YearOfCentury, _) => Self::Year,
            Item::Number(Part::Month, _) | Item::MonthName => Self::Month,
            Item::Number(Part::Day, _) => Self::Day,
            Item::Number(Part::DayOfYear, _) => Self::DayOfYear,
            Item::Number(Part::Hour, _) => Self::Hour,
            Item::Number(Part::HourOfHalf, _) => Self::HourOfHalf,
            Item::Number(Part::Minute, _) => Self::Minute,
            Item::Number(Part::Second, _) => Self::Second,
            Item::WeekdayName => Self::Weekday,
            Item::HalfOfDay => Self::HalfOfDay,
            Item::Fraction | Item::PointAndFraction => Self::Fraction,
            Item::Offset | Item::ZoneName => Self::Zone,
            Item::UnixSeconds => Self::UnixSeconds,
        })
    }
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::DayOfYear => "day of the year",
            Self::Weekday => "weekday",
            Self::Hour | Self::HourOfHalf => "hour",
            Self::HalfOfDay => "half of the day",
            Self::Minute => "minute",
            Self::Second => "second",
            Self::Fraction => "fraction",
            Self::Zone => "zone",
            Self::UnixSeconds => "seconds since 1970",
        })
    }
}

/// Everything that a format says.
struct Says(Vec<Noun>);

impl Says {
    fn of(items: &[Item]) -> Result<Self, String> {
        let mut nouns = Vec::new();
        for noun in items.iter().filter_map(|item| Noun::of(*item)) {
            if nouns.contains(&noun) {
                return Err(format!("the format says the {noun} twice: leave one out"));
            }
            nouns.push(noun);
        }
        Ok(Self(nouns))
    }

    fn has(&self, noun: Noun) -> bool {
        self.0.contains(&noun)
    }

    fn has_any(&self, nouns: &[Noun]) -> bool {
        nouns.iter().any(|noun| self.has(*noun))
    }

    /// Whether the parts go together, whatever the type.
    fn check_whole(&self) -> Result<(), String> {
        let is_beside_seconds =
            |noun: &Noun| !matches!(noun, Noun::UnixSeconds | Noun::Fraction | Noun::Weekday);
        let problem = if self.has(Noun::UnixSeconds) && self.0.iter().any(is_beside_seconds) {
            "%s says the date and the time alone: leave the other directives out"
        } else if self.has(Noun::DayOfYear) && self.has_any(&[Noun::Month, Noun::Day]) {
            "%j says the month and the day: leave one or the other out"
        } else if self.has(Noun::Hour) && self.has_any(&[Noun::HourOfHalf, Noun::HalfOfDay]) {
            "%H counts to 24: use %I with %p, or %H without"
        } else if self.has(Noun::HourOfHalf) != self.has(Noun::HalfOfDay) {
            "%I and %p belong together: use both, or %H"
        } else if self.has(Noun::Fraction) && !self.has_any(&[Noun::Second, Noun::UnixSeconds]) {
            "a fraction belongs to seconds: put %S before it"
        } else {
            return Ok(());
        };
        Err(problem.to_owned())
    }

    fn check_type(&self, column_type: ColumnType) -> Result<(), String> {
        let problem = match column_type {
            ColumnType::Date if self.has_time_part() || self.has(Noun::Zone) => {
                "the format has a time, which a date has not: declare the column as timestamp"
            }
            ColumnType::Time if self.has_date_part() || self.has(Noun::Zone) => {
                "the format has more than a time: declare the column as timestamp or timestamptz"
            }
            ColumnType::Timestamp if self.has(Noun::Zone) => {
                "the format has a zone: declare the column as timestamptz"
            }
            ColumnType::Date | ColumnType::Timestamp | ColumnType::Timestamptz
                if !self.has_whole_date() =>
            {
                "the format needs a whole date: year, month and day, or %Y and %j, or %s"
            }
            ColumnType::Time if !self.has_whole_time() => {
                "the format needs hour and minute: %H:%M, or %I:%M %p"
            }
            ColumnType::Timestamp | ColumnType::Timestamptz
                if self.has_time_part() && !self.has_whole_time() =>
            {
                "the format has a part of a time: it needs hour and minute, or a date alone"
            }
            ColumnType::Date
            | ColumnType::Time
            | ColumnType::Timestamp
            | ColumnType::Timestamptz => {
                return Ok(());
            }
            _ => "a format concerns date, time, timestamp, timestamptz and bytea: leave it out",
        };
        Err(problem.to_owned())
    }

    fn has_date_part(&self) -> bool {
        self.has_any(&[Noun::Year, Noun::Month, Noun::Day, Noun::DayOfYear, Noun::UnixSeconds])
    }

    fn has_whole_date(&self) -> bool {
        let has_day = self.has(Noun::DayOfYear) || (self.has(Noun::Month) && self.has(Noun::Day));
        self.has(Noun::UnixSeconds) || (self.has(Noun::Year) && has_day)
    }

    fn has_time_part(&self) -> bool {
        self.has_any(&[Noun::Hour, Noun::HourOfHalf, Noun::Minute, Noun::Second])
    }

    fn has_whole_time(&self) -> bool {
        self.has_any(&[Noun::Hour, Noun::HourOfHalf]) && self.has(Noun::Minute)
    }
}

#[cfg(test)]
mod tests;
