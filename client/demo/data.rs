//! Turns a seed into the demo's customers: two CSV files of made-up people, with six bad rows.
//!
//! Invariants: the same files every time; nobody in them exists (e-mail under
//! `.example`, phone numbers from 555-0100 to 555-0199, which are never given out).

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use ferry::calendar::CivilDate;

/// Records of both files together, good and bad.
pub(crate) const ROWS: u64 = 2_000;
/// Records that cannot be loaded.
pub(crate) const BAD_ROWS: u64 = 6;
/// Records that [`append`] adds.
pub(crate) const APPENDED_ROWS: u64 = 3;
/// The file that [`append`] adds to.
pub(crate) const GROWING_FILE: &str = "customers-2.csv";

const FIRST_FILE: &str = "customers-1.csv";
const FIRST_FILE_ROWS: u64 = 1_200;
const SEED: u64 = 0x5eed_f0e2_2141_7302;

const HEADER: [&str; 14] = [
    "customer_id",
    "first_name",
    "last_name",
    "email",
    "phone",
    "city",
    "state",
    "signup_date",
    "international_plan",
    "total_day_minutes",
    "total_day_charge",
    "customer_service_calls",
    "churn",
    "note",
];

/// What is wrong with a record, by its customer.
const DEFECTS: [(u64, Defect); 6] = [
    (17, Defect::TooFewFields),
    (404, Defect::BadDate),
    (999, Defect::BadNumber),
    (1_333, Defect::OutOfRange),
    (1_500, Defect::NulByte),
    (1_777, Defect::BadUtf8),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    TooFewFields,
    BadDate,
    BadNumber,
    OutOfRange,
    NulByte,
    BadUtf8,
}

/// Each name as it is written and as it stands in an e-mail address.
const FIRST_NAMES: [(&str, &str); 12] = [
    ("Ada", "ada"),
    ("Zoë", "zoe"),
    ("Søren", "soren"),
    ("Łukasz", "lukasz"),
    ("José", "jose"),
    ("Amélie", "amelie"),
    ("Dmitri", "dmitri"),
    ("美咲", "misaki"),
    ("Ελένη", "eleni"),
    ("Noor", "noor"),
    ("Grace", "grace"),
    ("Çağla", "cagla"),
];
const LAST_NAMES: [(&str, &str); 12] = [
    ("Lovelace", "lovelace"),
    ("Nuñez", "nunez"),
    ("O'Brien", "obrien"),
    ("Björk", "bjork"),
    ("Kowalczyk", "kowalczyk"),
    ("Smith, Jr.", "smith.jr"),
    ("Παππάς", "pappas"),
    ("佐藤", "sato"),
    ("Dvořák", "dvorak"),
    ("Haddad", "haddad"),
    ("Müller", "muller"),
    ("Hopper", "hopper"),
];
const DOMAINS: [&str; 4] = ["mail.example", "post.example", "calls.example", "home.example"];
const AREA_CODES: [&str; 6] = ["202", "303", "408", "415", "510", "617"];
const PLACES: [(&str, &str); 6] = [
    ("Washington, D.C.", "DC"),
    ("Denver", "CO"),
    ("San José", "CA"),
    ("Española", "NM"),
    ("Oakland", "CA"),
    ("Boston", "MA"),
];
/// An empty note is NULL in the database.
const NOTES: [&str; 6] = [
    "",
    "",
    "",
    "calls back after 5 pm, not before",
    "said \"all fine\"",
    "moved twice:\nask for the address",
];

/// Writes both files into `folder`.
pub(crate) fn write(folder: &Path) -> io::Result<()> {
    let mut random = Random(SEED);
    let mut first = HEADER.join(",").into_bytes();
    first.push(b'\n');
    let mut second = HEADER.join(",").into_bytes();
    second.extend_from_slice(b"\r\n");
    for id in 1..=ROWS {
        let (file, line_end) = if id <= FIRST_FILE_ROWS {
            (&mut first, "\n")
        } else {
            // As a spreadsheet on Windows would have it.
            (&mut second, "\r\n")
        };
        file.extend_from_slice(&record(id, &mut random));
        file.extend_from_slice(line_end.as_bytes());
    }
    std::fs::write(folder.join(FIRST_FILE), first)?;
    std::fs::write(folder.join(GROWING_FILE), second)
}

/// Adds new customers at the end of the second file.
pub(crate) fn append(folder: &Path) -> io::Result<()> {
    let mut file = File::options().append(true).open(folder.join(GROWING_FILE))?;
    let mut random = Random(SEED.rotate_left(1));
    for id in ROWS + 1..=ROWS + APPENDED_ROWS {
        let mut line = record(id, &mut random);
        line.extend_from_slice(b"\r\n");
        file.write_all(&line)?;
    }
    Ok(())
}

/// One line without its end.
fn record(id: u64, random: &mut Random) -> Vec<u8> {
    let (first_name, first_word) = random.pick(&FIRST_NAMES);
    let (last_name, last_word) = random.pick(&LAST_NAMES);
    let (city, state) = random.pick(&PLACES);
    let minutes = random.below(3_500);
    let charge = minutes * 17 / 10;
    let signup_date = CivilDate::from_unix_days(18_262 + i64::from(random.below(2_000)));
    let fields = [
        id.to_string(),
        first_name.to_owned(),
        last_name.to_owned(),
        format!("{first_word}.{last_word}.{id}@{}", random.pick(&DOMAINS)),
        format!("+1 {} 555 01{:02}", random.pick(&AREA_CODES), random.below(100)),
        city.to_owned(),
        state.to_owned(),
        signup_date.to_string(),
        random.pick(&["yes", "no", "no", "no"]).to_owned(),
        format!("{}.{}", minutes / 10, minutes % 10),
        format!("{}.{:02}", charge / 100, charge % 100),
        random.below(9).to_string(),
        random.pick(&["True", "False", "False", "False"]).to_owned(),
        random.pick(&NOTES).to_owned(),
    ];
    let mut fields = fields.map(|field| quoted(&field).into_bytes());
    let defect = DEFECTS.iter().find(|(customer, _)| *customer == id);
    match defect.map(|(_, defect)| defect) {
        None => {}
        Some(Defect::TooFewFields) => return fields[..9].join(&b','),
        Some(Defect::BadDate) => fields[7] = b"2023-02-30".to_vec(),
        Some(Defect::BadNumber) => fields[9] = b"n/a".to_vec(),
        Some(Defect::OutOfRange) => fields[11] = b"99999".to_vec(),
        Some(Defect::NulByte) => fields[13] = b"nul:\0".to_vec(),
        Some(Defect::BadUtf8) => fields[5] = b"San Jos\xe9".to_vec(),
    }
    fields.join(&b',')
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// Marsaglia's xorshift64: enough to make up customers, no more.
struct Random(u64);

impl Random {
    /// A number from 0 to `end` - 1.
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from((self.0 >> 32) % u64::from(end)).unwrap_or(0)
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let count = u32::try_from(choices.len()).unwrap_or(1);
        choices[self.below(count) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(path: &Path) -> Vec<csv::ByteRecord> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).expect("opens");
        reader.byte_records().map(|record| record.expect("reads")).collect()
    }

    #[test]
    fn the_files_hold_what_the_constants_say() {
        let folder = tempfile::tempdir().expect("temporary folder");
        write(folder.path()).expect("files are written");
        let first = records(&folder.path().join(FIRST_FILE));
        let second = records(&folder.path().join(GROWING_FILE));
        assert_eq!(count(&first) + count(&second), ROWS);
        assert_eq!(u64::try_from(DEFECTS.len()), Ok(BAD_ROWS));
        let short = first.iter().chain(&second).filter(|record| record.len() != HEADER.len());
        assert_eq!(short.count(), 1);

        append(folder.path()).expect("file is written");
        let grown = records(&folder.path().join(GROWING_FILE));
        assert_eq!(count(&grown), count(&second) + APPENDED_ROWS);
        assert_eq!(grown[..second.len()], second[..]);
    }

    fn count(records: &[csv::ByteRecord]) -> u64 {
        u64::try_from(records.len()).expect("a small number")
    }

    #[test]
    fn fields_with_commas_quotes_and_line_ends_are_quoted() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a, b"), "\"a, b\"");
        assert_eq!(quoted("said \"x\""), "\"said \"\"x\"\"\"");
    }
}
