//! Writes tables with damaged rows at known places, and checks what became of every row of them.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;

use super::damage::{Damage, Fate, Kind, NOT_TEXT};
use super::letters::{Letters, LineEnds, Pack};
use super::table::{HEADER, Row, oracle_line};
use crate::hosts::Source;
use crate::postgres::Database;

/// A file that is to be written.
pub(super) struct Draft<'a> {
    pub(super) name: String,
    /// Its number in the dataset, which stands in each of its rows.
    pub(super) number: usize,
    pub(super) letters: Letters,
    pub(super) line_ends: LineEnds,
    pub(super) rows: usize,
    /// Bytes that each row is longer than it need be.
    pub(super) filling: usize,
    pub(super) damage: BTreeMap<usize, &'a Kind>,
    /// So many characters are left of the last row, which has no line end then.
    pub(super) cut_to: Option<usize>,
    /// Lines before the header and behind the last row.
    pub(super) preamble: &'a str,
    pub(super) footer: &'a str,
}

/// A file, and what must become of its rows.
pub(super) struct Written {
    name: String,
    content: Vec<u8>,
    good_rows: u64,
    /// The good rows as `COPY` reads them.
    oracle: String,
    refused: Vec<Refused>,
}

/// A row that must be refused.
struct Refused {
    row_number: u64,
    codes: Vec<&'static str>,
    bytes: Range<usize>,
    /// The row with its line end.
    text: Vec<u8>,
}

impl<'a> Draft<'a> {
    /// A draft of a table without damage.
    pub(super) fn new(name: String, number: usize, letters: Letters, line_ends: LineEnds) -> Self {
        Self {
            name,
            number,
            letters,
            line_ends,
            rows: 60,
            filling: 0,
            damage: BTreeMap::new(),
            cut_to: None,
            preamble: "",
            footer: "",
        }
    }

    /// Damages rows: one kind after the other, from the `first` on, as often as there are places.
    pub(super) fn damage(&mut self, kinds: &[&'a Kind], places: impl IntoIterator<Item = usize>) {
        for (place, kind) in places.into_iter().zip(kinds.iter().cycle()) {
            self.damage.insert(place, *kind);
        }
    }

    /// Makes the file in the folder of a source.
    pub(super) fn write(&self, source: &Source) -> Written {
        let mut written = Written {
            name: self.name.clone(),
            content: Vec::new(),
            good_rows: 0,
            oracle: String::new(),
            refused: Vec::new(),
        };
        let end = self.line_ends.of(0);
        let first_lines = format!("{}{HEADER}\n", self.preamble).replace('\n', end);
        written.content.extend(self.letters.bytes(&first_lines));
        for index in 0..self.rows {
            self.write_row(index, &mut written);
        }
        written.content.extend(self.letters.bytes(&self.footer.replace('\n', end)));
        let path = source.path(&self.name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, Pack::of(self.number).pack(&written.content)).unwrap();
        written
    }

    fn write_row(&self, index: usize, written: &mut Written) {
        let end = self.line_ends.of(index);
        let row = Row::new(self.number, index, self.letters.word(), end, self.filling);
        let cut_to = self.cut_to.filter(|_| index + 1 == self.rows);
        let Damage { mut text, mut fate } = match self.damage.get(&index) {
            Some((_, damage)) => damage(&row),
            None => Damage { text: row.text(), fate: Fate::Loaded(row.values) },
        };
        if let Some(length) = cut_to {
            text = text.chars().take(length).collect();
            fate = Fate::Refused(&["too_few_fields", "unclosed_quote"]);
        } else {
            text.push_str(end);
        }
        let text = self.letters.bytes(&text);
        let start = written.content.len();
        written.content.extend(&text);
        match fate {
            Fate::Loaded(values) => {
                written.good_rows += 1;
                written.oracle.push_str(&oracle_line(&values));
            }
            Fate::Refused(codes) => {
                let code = |code: &&'static str| match *code {
                    NOT_TEXT => self.letters.code_of_undecodable(),
                    code => code,
                };
                written.refused.push(Refused {
                    row_number: written.good_rows + written.refused.len() as u64 + 1,
                    codes: codes.iter().map(code).collect(),
                    bytes: start..written.content.len(),
                    text,
                });
            }
            Fate::Skipped => {}
        }
    }
}

/// Checks that all good rows of these files are in the table and all others
/// in quarantine, each where it lies, and that the accounts close.
#[track_caller]
pub(super) fn check(database: &Database, source: &Source, table: &str, files: &[Written]) {
    let oracle: String = files.iter().map(|file| file.oracle.as_str()).collect();
    source.write("oracle.txt", format!("{HEADER}\n{oracle}"));
    database.execute(&format!("CREATE TABLE {table}_oracle (LIKE {table})"));
    database.copy(&format!("{table}_oracle"), &source.path("oracle.txt"));
    database.assert_same_rows(&format!("TABLE {table}"), &format!("TABLE {table}_oracle"));

    let found = quarantine(database, table);
    for file in files {
        let rows = found.get(&file.name).map(Vec::as_slice).unwrap_or_default();
        check_quarantine(file, rows);
    }

    let good: u64 = files.iter().map(|file| file.good_rows).sum();
    let refused: u64 = files.iter().map(|file| file.refused.len() as u64).sum();
    let accounts = database.rows(&format!(
        "SELECT sum(end_row - start_row), sum(loaded_rows), sum(quarantined_rows), bool_and(done) \
         FROM ferry.split JOIN ferry.file USING (file_id) WHERE name LIKE '{table}/%'"
    ));
    let expected =
        [(good + refused).to_string(), good.to_string(), refused.to_string(), "t".into()];
    assert_eq!(accounts, [expected], "the accounts of {table}");
}

/// A row of the quarantine.
struct Found {
    row_number: u64,
    code: String,
    bytes: Range<usize>,
}

/// Refused rows of the files in a folder, by file.
fn quarantine(database: &Database, folder: &str) -> BTreeMap<String, Vec<Found>> {
    let rows = database.rows(&format!(
        "SELECT name, row_number, code, byte_start, byte_end \
         FROM ferry.quarantine JOIN ferry.file USING (file_id) \
         WHERE name LIKE '{folder}/%' ORDER BY name, row_number"
    ));
    let mut files: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for row in rows {
        let [name, row_number, code, start, end] = <[String; 5]>::try_from(row).unwrap();
        files.entry(name).or_default().push(Found {
            row_number: row_number.parse().unwrap(),
            code,
            bytes: start.parse().unwrap()..end.parse().unwrap(),
        });
    }
    files
}

/// Checks row numbers, ranges and codes of the refused rows of one file.
#[track_caller]
fn check_quarantine(file: &Written, found: &[Found]) {
    for (expected, found) in file.refused.iter().zip(found) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let cut = &file.content[found.bytes.clone()];
        assert_eq!(text(cut), text(&expected.text), "a refused row of {}", file.name);
        assert_eq!(cut, expected.text, "the bytes of a refused row of {}", file.name);
        assert_eq!(
            (found.row_number, &found.bytes),
            (expected.row_number, &expected.bytes),
            "the place of a refused row of {}",
            file.name
        );
        assert!(
            expected.codes.contains(&found.code.as_str()),
            "row {} of {} is {}, not {:?}",
            found.row_number,
            file.name,
            found.code,
            expected.codes
        );
    }
    assert_eq!(found.len(), file.refused.len(), "refused rows of {}", file.name);
}
