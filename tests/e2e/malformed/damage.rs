//! Turns a good row into a damaged one, for each kind of damage, and tells what must become of it.

use super::letters::UNDECODABLE;
use super::table::{HEADER, NAME, NOTE, Row, TAG, Values};

/// Stands for the code of bytes that are not of their encoding.
pub(super) const NOT_TEXT: &str = "not text";
/// Which of the two it is depends on the quotes that follow.
const OPEN: &[&str] = &["stray_quote", "unclosed_quote"];

/// Limits that rows of the kinds `long_…` do not keep to, and all others do.
pub(super) const LIMITS: &str = "max_field = \"2KiB\"\nmax_record = \"8KiB\"\n";

/// A damaged row.
pub(super) struct Damage {
    /// Without the line end behind it.
    pub(super) text: String,
    pub(super) fate: Fate,
}

/// What must become of a row.
pub(super) enum Fate {
    Loaded(Values),
    /// It has one of these codes.
    Refused(&'static [&'static str]),
    /// It is no record.
    Skipped,
}

/// A kind of damage: its name, and what it makes of a row.
pub(super) type Kind = (&'static str, fn(&Row) -> Damage);

/// Every kind, for a source that refuses what is damaged.
pub(super) const REFUSED: [Kind; 25] = [
    ("too_few", |row| refused(row.first(5), &["too_few_fields"])),
    ("too_many", |row| refused(row.text() + ",surplus", &["too_many_fields"])),
    ("empty_surplus", |row| refused(row.text() + ",", &["too_many_fields"])),
    ("stray_quotes", |row| stray(row, "the \"Boss\" of it")),
    ("stray_quote", |row| stray(row, "6\" pipe")),
    ("behind_quotes", |row| stray(row, "\"Ann\" Lee")),
    ("never_closed", |row| refused(row.with(&[(NAME, "\"Ann"), (NOTE, "plain")]), OPEN)),
    ("never_closed_last", |row| refused(row.with(&[(NAME, "Ann"), (TAG, "\"Ann")]), OPEN)),
    ("close_missing", |row| {
        refused(row.with(&[(NOTE, format!("\"one, two{}three", row.line_end).as_str())]), OPEN)
    }),
    ("quotes_in_lines", |row| {
        let end = row.line_end;
        let note = format!("\"one{end}two \"three\", four{end}five\"");
        refused(row.with(&[(NOTE, note.as_str())]), OPEN)
    }),
    ("quote_in_lines", |row| {
        let end = row.line_end;
        refused(row.with(&[(NOTE, format!("\"one{end}two 6\" wide{end}five\"").as_str())]), OPEN)
    }),
    ("nul", |row| refused(row.with(&[(NAME, "a\0b")]), &["nul_byte"])),
    ("undecodable", |row| {
        refused(row.with(&[(NAME, format!("a{UNDECODABLE} b").as_str())]), &[NOT_TEXT])
    }),
    ("undecodable_at_end", |row| {
        refused(row.with(&[(TAG, format!("a{UNDECODABLE}").as_str())]), &[NOT_TEXT])
    }),
    ("undecodable_in_lines", |row| {
        let note = format!("\"a{UNDECODABLE}{}b{UNDECODABLE}\"", row.line_end);
        refused(row.with(&[(NOTE, note.as_str())]), &[NOT_TEXT])
    }),
    ("long_field", |row| {
        refused(row.with(&[(NOTE, "y".repeat(2049).as_str())]), &["field_too_large"])
    }),
    ("long_field_of_lines", |row| {
        refused(row.with(&[(NOTE, lines(row, 42).as_str())]), &["field_too_large"])
    }),
    ("long_record", |row| {
        refused(row.with(&[(NOTE, "y".repeat(9000).as_str())]), &["record_too_large"])
    }),
    ("long_record_of_lines", |row| {
        refused(row.with(&[(NOTE, lines(row, 200).as_str())]), &["record_too_large"])
    }),
    ("other_delimiter", |row| refused(with_semicolons(row, "x", "x").0, &["too_few_fields"])),
    ("other_delimiter_in_quotes", |row| {
        refused(with_semicolons(row, "\"x; y, z\"", "").0, &["stray_quote"])
    }),
    ("blank_line", |_| Damage { text: String::new(), fate: Fate::Skipped }),
    ("garbage", |_| refused("%%% ### ???".to_owned(), &["too_few_fields"])),
    ("header_again", |_| refused(HEADER.to_owned(), &["bad_integer"])),
    ("comment", |_| Damage { text: "# it\"s a, \"comment".to_owned(), fate: Fate::Skipped }),
];

/// Kinds for a source that pads ragged rows, tries `;`, and keeps stray quotes.
pub(super) const REPAIRED: [Kind; 12] = [
    ("too_few", |row| {
        let mut values = row.values.clone();
        values[5..].fill(None);
        Damage { text: row.first(5), fate: Fate::Loaded(values) }
    }),
    ("one_field", |row| {
        let mut values = row.values.clone();
        values[1..].fill(None);
        Damage { text: row.first(1), fate: Fate::Loaded(values) }
    }),
    ("empty_surplus", |row| Damage {
        text: row.text() + ",",
        fate: Fate::Loaded(row.values.clone()),
    }),
    ("empty_surpluses", |row| Damage {
        text: row.text() + ",,\"\",",
        fate: Fate::Loaded(row.values.clone()),
    }),
    ("too_many", |row| refused(row.text() + ",surplus", &["too_many_fields"])),
    ("other_delimiter", |row| {
        let (text, values) = with_semicolons(row, "x", "x");
        Damage { text, fate: Fate::Loaded(values) }
    }),
    ("other_delimiter_in_quotes", |row| {
        let (text, values) = with_semicolons(row, "\"x; y, z\"", "x; y, z");
        Damage { text, fate: Fate::Loaded(values) }
    }),
    ("stray_quotes", |row| kept(row, "the \"Boss\" of it", "the \"Boss\" of it")),
    ("stray_quote", |row| kept(row, "6\" pipe", "6\" pipe")),
    ("behind_quotes", |row| kept(row, "\"Ann\" Lee", "Ann Lee")),
    ("garbage", |_| refused("%%% ### ???".to_owned(), &["bad_integer"])),
    ("nul", |row| refused(row.with(&[(NAME, "a\0b")]), &["nul_byte"])),
];

/// A blank line where blank lines are rows.
pub(super) const BLANK_ROW: Kind = ("blank_row", |_| refused(String::new(), &["too_few_fields"]));

/// A kind of [`REFUSED`] by its name.
pub(super) fn kind(name: &str) -> Kind {
    *REFUSED.iter().find(|kind| kind.0 == name).unwrap()
}

/// Whether two such rows side by side are two: where lines inside a field
/// could be rows as well, nothing tells them apart.
pub(super) fn is_told_from_its_like(kind: &str) -> bool {
    !["close_missing", "quotes_in_lines", "quote_in_lines"].contains(&kind)
}

fn refused(text: String, codes: &'static [&'static str]) -> Damage {
    Damage { text, fate: Fate::Refused(codes) }
}

fn stray(row: &Row, name: &str) -> Damage {
    refused(row.with(&[(NAME, name)]), &["stray_quote"])
}

/// A name with stray quotes, and what it says if they are kept.
fn kept(row: &Row, name: &str, value: &str) -> Damage {
    Damage { text: row.with(&[(NAME, name)]), fate: Fate::Loaded(row.values_with(NAME, value)) }
}

/// A quoted field of so many lines.
fn lines(row: &Row, count: usize) -> String {
    let line = "y".repeat(50) + row.line_end;
    format!("\"{}\"", line.repeat(count))
}

/// A row with semicolons and this note, and what it says.
fn with_semicolons(row: &Row, note: &str, value: &str) -> (String, Values) {
    let text = format!("{};1990-01-01;Bob;{note};1.50;", row.first(2).replace(',', ";"));
    let mut values = row.values[..2].to_vec();
    let rest = [Some("1990-01-01"), Some("Bob"), Some(value), Some("1.50"), None];
    values.extend(rest.map(|value| value.map(str::to_owned)));
    (text, values)
}
