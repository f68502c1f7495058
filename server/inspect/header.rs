//! Turns the first records of a file into whether the first of them names the columns, and into names.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::trial::{RECORDS_MAX, Sample, reader};
use crate::delimited::{Dialect, Record};

/// Longer names are values.
const NAME_BYTES_MAX: usize = 128;
/// Fewer years are values, and so are those that lie farther apart.
const YEARS_MIN: usize = 2;
const YEARS_APART_MAX: u32 = 10;
/// In so many of ten fields of a column figures stand, if it is one of figures.
const FIGURES_OF_TEN_MIN: usize = 9;

/// Whether there is a header, and how the columns are called.
pub(super) struct FoundHeader {
    pub(super) is_there: bool,
    pub(super) names: Vec<String>,
    /// Whether the names are not those of the header, or there is none.
    pub(super) are_made_up: bool,
    pub(super) evidence: HeaderEvidence,
}

/// What speaks for a header or against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderEvidence {
    Given,
    /// So many columns hold figures below a word.
    Contrast(usize),
    /// Years, one after the other, above other figures.
    Years,
    /// Words that do not return below.
    Words,
    /// Figures, e-mail addresses or nothing in the first record.
    Values,
    /// The first record repeats below.
    Repeats,
}

impl fmt::Display for HeaderEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("as given"),
            Self::Contrast(1) => f.write_str("certain, 1 column has figures below its name"),
            Self::Contrast(columns) => {
                write!(f, "certain, {columns} columns have figures below their names")
            }
            Self::Years => f.write_str("likely, the first record counts years"),
            Self::Words => {
                f.write_str("guessed, the words of the first record do not return below: if they are values, say --no-header")
            }
            Self::Values => f.write_str("likely, the first record looks like values"),
            Self::Repeats => f.write_str("guessed, words of the first record return below"),
        }
    }
}

/// Whether the command line says that there is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderGiven {
    Unknown,
    Absent,
}

/// Looks for a header behind the lines that are skipped; `None` if there is no record.
pub(super) fn detect(
    sample: Sample<'_>,
    dialect: &Dialect,
    skip_rows: u32,
    given: HeaderGiven,
) -> Option<FoundHeader> {
    let mut records = reader(sample.text, dialect, None);
    if skip_rows > 0 && !records.skip_lines(skip_rows).ok()? {
        return None;
    }
    let first = fields(&records.next().ok()??);
    let mut columns: Vec<Below> = first.iter().map(|_| Below::default()).collect();
    let mut returns = false;
    for _ in 0..RECORDS_MAX {
        let Ok(Some(record)) = records.next() else {
            break;
        };
        if record.damage().is_some() || record.len() != first.len() {
            continue;
        }
        // Files that were put together have their header in the middle too.
        if first.iter().enumerate().all(|(index, field)| record.field(index) == field.as_slice()) {
            returns = true;
            continue;
        }
        for (index, column) in columns.iter_mut().enumerate() {
            column.take(record.field(index), &first[index]);
        }
    }
    let (is_there, evidence) = match given {
        HeaderGiven::Absent => (false, HeaderEvidence::Given),
        HeaderGiven::Unknown => judge(&first, &columns, returns),
    };
    let texts: Option<Vec<String>> =
        first.iter().cloned().map(|name| String::from_utf8(name).ok()).collect();
    let usable = texts.filter(|names| is_there && are_different(names));
    let are_made_up = usable.is_none();
    let names = usable.unwrap_or_else(|| made_up(&first, is_there));
    Some(FoundHeader { is_there, names, are_made_up, evidence })
}

/// What stands below a field of the first record.
#[derive(Default)]
struct Below {
    values: usize,
    figures: usize,
    years: usize,
    repeats_first: bool,
}

impl Below {
    fn take(&mut self, field: &[u8], first: &[u8]) {
        if field.is_empty() {
            return;
        }
        self.values += 1;
        self.figures += usize::from(is_figures(field));
        self.years += usize::from(year(field).is_some());
        self.repeats_first |= field == first;
    }

    fn is_of_figures(&self) -> bool {
        self.values > 0 && self.figures * 10 >= self.values * FIGURES_OF_TEN_MIN
    }
}

/// `returns` is whether all of the first record stands below again.
fn judge(first: &[Vec<u8>], columns: &[Below], returns: bool) -> (bool, HeaderEvidence) {
    if counts_years(first, columns) {
        return (true, HeaderEvidence::Years);
    }
    let is_value = |field: &Vec<u8>| {
        is_figures(field) || field.contains(&b'@') || field.len() > NAME_BYTES_MAX
    };
    // Exported tables often leave the first name empty, or the last.
    let empty = first.iter().filter(|field| field.is_empty()).count();
    if first.iter().any(is_value) || empty * 2 > first.len() || (empty > 0 && first.len() == 1) {
        return (false, HeaderEvidence::Values);
    }
    let contrast = columns.iter().filter(|column| column.is_of_figures()).count();
    if contrast > 0 {
        return (true, HeaderEvidence::Contrast(contrast));
    }
    if returns || columns.iter().any(|column| column.repeats_first) {
        return (false, HeaderEvidence::Repeats);
    }
    (true, HeaderEvidence::Words)
}

/// Whether the figures of the first record are years in equal steps, its other
/// fields words, and other figures stand below: one column for each year.
fn counts_years(first: &[Vec<u8>], columns: &[Below]) -> bool {
    let mut years = Vec::new();
    for (field, column) in first.iter().zip(columns) {
        match year(field) {
            Some(year) if column.is_of_figures() && column.years < column.values => {
                years.push(year);
            }
            Some(_) => return false,
            None if is_figures(field) || field.contains(&b'@') => return false,
            None => {}
        }
    }
    let steps: Vec<i32> = years.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let are_steps = |step: &i32| (1..=YEARS_APART_MAX).contains(&step.unsigned_abs());
    let are_equal = steps.iter().all(|step| *step == steps[0]);
    (YEARS_MIN..first.len()).contains(&years.len()) && are_equal && steps.iter().all(are_steps)
}

/// A year of our time.
fn year(field: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(field).ok().filter(|text| text.len() == 4)?;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|year| is_plain && (1800..2200).contains(year))
}

/// Whether a field is a number, a day or a time: digits, and no letters but those of such.
fn is_figures(field: &[u8]) -> bool {
    let text = field.trim_ascii();
    let has_digit = text.iter().any(u8::is_ascii_digit);
    let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.,:/ %'()TZ".contains(byte);
    has_digit && text.iter().all(is_part)
}

fn fields(record: &Record<'_>) -> Vec<Vec<u8>> {
    (0..record.len()).map(|index| record.field(index).to_vec()).collect()
}

fn are_different(names: &[String]) -> bool {
    let mut seen = HashSet::with_capacity(names.len());
    names.iter().all(|name| !name.is_empty() && !name.contains('\0') && seen.insert(name.as_str()))
}

/// Names for columns without usable ones; what can be kept of a header is.
fn made_up(first: &[Vec<u8>], is_header: bool) -> Vec<String> {
    let mut taken = HashSet::with_capacity(first.len());
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut names = Vec::with_capacity(first.len());
    for (index, field) in first.iter().enumerate() {
        let known = std::str::from_utf8(field)
            .ok()
            .filter(|name| is_header && !name.is_empty() && !name.contains('\0'));
        let base = known.map_or_else(|| format!("column_{}", index + 1), str::to_owned);
        let mut name = base.clone();
        while !taken.insert(name.clone()) {
            let number = numbers.entry(base.clone()).or_insert(1);
            *number += 1;
            name = format!("{base}_{number}");
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> FoundHeader {
        let sample = Sample { text: text.as_bytes(), is_whole: true };
        detect(sample, &Dialect::default(), 0, HeaderGiven::Unknown).expect("there are records")
    }

    #[test]
    fn words_above_figures_are_a_header() {
        let header = found("id,born\n1,2024-01-31\n2,2024-02-01\n");
        assert!(header.is_there && !header.are_made_up);
        assert_eq!(header.names, ["id", "born"]);
        assert_eq!(header.evidence, HeaderEvidence::Contrast(2));
    }

    #[test]
    fn words_above_words_may_be_one() {
        assert_eq!(found("name,city\nAda,London\n").evidence, HeaderEvidence::Words);
        assert!(found("name,city\n").is_there);
        assert!(!found("Ada,London\nGrace,New York\nAda,Paris\n").is_there);
    }

    #[test]
    fn values_are_no_names() {
        let header = found("1,Ada\n2,Grace\n");
        assert!(!header.is_there && header.are_made_up);
        assert_eq!(header.names, ["column_1", "column_2"]);
        assert!(!found("ada@mail.example,x\nz@mail.example,y\n").is_there);
        assert!(!found("Ada,(202) 555-0123\nGrace,(202) 555-0124\n").is_there);
    }

    #[test]
    fn years_above_other_figures_are_names() {
        let header = found("country,1960,1961,1962\nFrance,1.5,,2.5\nSpain,3,4,1960\n");
        assert_eq!((header.is_there, header.evidence), (true, HeaderEvidence::Years));
        assert_eq!(header.names, ["country", "1960", "1961", "1962"]);
        for values in [
            "Ada,1815,1852\nGrace,1906,1992\n",
            "Ada,1815,1852\nGrace,190,199\n",
            "Ada,1815,1816,1852\nGrace,1,2,3\n",
            "2019,2020\n1,2\n",
            "Ada,2019,2020,7\nGrace,1,2,3\n",
        ] {
            assert!(!found(values).is_there, "{values}");
        }
    }

    #[test]
    fn a_header_may_return_in_the_middle() {
        let header = found("id,name\n1,Ada\n2,Grace\nid,name\n3,Noor\n");
        assert_eq!(header.evidence, HeaderEvidence::Contrast(1));
        assert!(!found("Ada,London\nGrace,Paris\nAda,London\n").is_there);
    }

    #[test]
    fn names_that_are_missing_or_written_twice_are_made_up() {
        let header = found(",a,a\n1,2,3\n4,5,6\n");
        assert!(header.is_there && header.are_made_up);
        assert_eq!(header.names, ["column_1", "a", "a_2"]);
        assert_eq!(found("a,a_2,a,a\n1,2,3,4\n").names, ["a", "a_2", "a_3", "a_4"]);
    }

    #[test]
    fn what_is_given_goes_first() {
        let sample = Sample { text: b"id,born\n1,2\n", is_whole: true };
        let header = detect(sample, &Dialect::default(), 0, HeaderGiven::Absent);
        assert!(!header.expect("there are records").is_there);
    }
}
