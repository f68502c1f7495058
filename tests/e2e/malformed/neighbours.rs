//! Damaged rows next to each other, and next to rows that look as if they belonged to them.

use super::damage::{Damage, Fate, Kind, REFUSED, is_told_from_its_like, kind};
use super::files::Draft;
use super::letters::{Letters, LineEnds, UNDECODABLE};
use super::table::{BORN, NAME, NOTE, Row, TAG};
use super::{datasets, folder, kinds_of, load_and_check};
use crate::hosts::Source;

const OPEN: Fate = Fate::Refused(&["stray_quote", "unclosed_quote"]);
const FOOTER: &str = "Total,60\nprinted by night\n";

/// Loads a file for each list of places and kinds under each line end.
#[track_caller]
fn check_files(layout: &str, footer: &str, files: &[Vec<(usize, Kind)>]) {
    let source = Source::new(&datasets(layout));
    let mut written = Vec::new();
    for line_ends in LineEnds::ALL {
        for damage in files {
            let number = written.len();
            let name = format!("utf8/{}-{number}.csv", line_ends.name);
            let mut draft = Draft::new(name, number, Letters::Utf8, line_ends);
            draft.footer = footer;
            for (place, kind) in damage {
                draft.damage(&[kind], [*place]);
            }
            written.push(draft.write(&source));
        }
    }
    load_and_check(&source, "workers = 2\n", &[("utf8", written)]);
}

/// A row whose name is never closed, in front of a note of several lines or with quotes.
fn open_before_quotes(row: &Row, note: &str) -> Damage {
    let note = note.replace('\n', row.line_end);
    Damage { text: row.with(&[(NAME, "\"Ann"), (NOTE, note.as_str())]), fate: OPEN }
}

/// A right row whose first quote is that of a note with this value.
fn first_quote_in_note(row: &Row, note: &str) -> Damage {
    let note = note.replace('\n', row.line_end);
    let mut values = row.values_with(NOTE, note.as_str());
    (values[BORN], values[NAME]) = (Some("1990-02-03".to_owned()), Some("Bob".to_owned()));
    let quoted = format!("\"{note}\"");
    let words = [(BORN, "1990-02-03"), (NAME, "Bob"), (NOTE, quoted.as_str())];
    Damage { text: row.with(&words), fate: Fate::Loaded(values) }
}

#[test]
fn damaged_rows_side_by_side_are_refused_one_by_one() {
    let source = Source::new(&datasets("comment = \"#\"\n"));
    let mut datasets = Vec::new();
    for letters in Letters::ALL {
        let mut kinds = kinds_of(letters, &REFUSED);
        kinds.retain(|kind| !kind.0.starts_with("never_closed") && is_told_from_its_like(kind.0));
        let mut files = Vec::new();
        for line_ends in LineEnds::ALL {
            // Steps without a common factor: each kind stands before three others.
            for step in [1, 7, 11] {
                let turned = (0..kinds.len()).map(|index| kinds[index * step % kinds.len()]);
                let number = files.len();
                let name = format!("{}/beside-{}-{step}.csv", folder(letters), line_ends.name);
                let mut draft = Draft::new(name, number, letters, line_ends);
                draft.damage(&turned.collect::<Vec<_>>(), 2..58);
                files.push(draft.write(&source));
            }
        }
        datasets.push((folder(letters), files));
    }
    load_and_check(&source, "", &datasets);
}

#[test]
fn rows_of_several_lines_that_nothing_tells_apart_are_refused_together() {
    let twice: Kind = ("close_missing_twice", |row| {
        let note = format!("\"one, two{}three", row.line_end);
        let line = row.with(&[(NAME, "Bob"), (NOTE, note.as_str())]);
        Damage { text: format!("{line}{}{line}", row.line_end), fate: OPEN }
    });
    check_files("", "", &[vec![(0, twice)], vec![(30, twice)], vec![(59, twice)]]);
}

#[test]
fn blank_lines_and_comments_behind_an_open_quote_are_no_part_of_its_row() {
    let open = kind("never_closed");
    let files = [
        vec![(10, open), (11, kind("comment")), (12, kind("blank_line"))],
        vec![(20, open), (21, kind("blank_line")), (22, kind("comment")), (24, kind("comment"))],
        vec![(57, open), (58, kind("comment")), (59, kind("blank_line"))],
    ];
    check_files("comment = \"#\"\n", "", &files);
}

#[test]
fn rows_side_by_side_with_a_quote_that_is_never_closed_are_told_apart() {
    let first: Kind = ("never_closed", |row| open_before_quotes(row, "plain"));
    let last: Kind = ("never_closed_last", |row| {
        // The delimiters inside the quotes are none of the line's.
        let text = row.with(&[(NAME, "\"Ann, Bob\""), (NOTE, "plain"), (TAG, "\"Ann")]);
        Damage { text, fate: OPEN }
    });
    let files = [
        vec![(0, first), (1, first), (2, first), (58, first), (59, first)],
        vec![(0, last), (1, last), (30, last), (31, last), (58, last), (59, last)],
        vec![(10, first), (11, last), (30, last), (31, first)],
    ];
    check_files("", "", &files);
}

/// The quotes of such a line are even: it seems to be damaged in place.
#[test]
fn an_open_quote_before_a_field_of_several_lines_costs_one_row() {
    let kinds: [Kind; 3] = [
        ("lines", |row| open_before_quotes(row, "\"one\ntwo, three\"")),
        ("blank_lines", |row| open_before_quotes(row, "\"one\n\n\ntwo\"")),
        ("doubled_quotes", |row| open_before_quotes(row, "\"four\n\"\"five\"\", six\"")),
    ];
    check_files("", "", &kinds.map(|kind| vec![(10, kind), (30, kind), (59, kind)]));
}

#[test]
fn good_rows_between_an_open_quote_and_other_damage_are_loaded() {
    let mut files = Vec::new();
    for open in ["never_closed", "never_closed_last", "close_missing"] {
        for next in ["too_few", "garbage", "long_record", "close_missing"] {
            files.push((2..=4).map(|gap| (gap * 12, kind(open))).collect::<Vec<_>>());
            let behind = (2..=4).map(|gap| (gap * 12 + gap, kind(next)));
            files.last_mut().unwrap().extend(behind);
        }
    }
    check_files("", "", &files);
}

#[test]
fn a_damaged_row_right_behind_an_open_quote_is_a_row_of_its_own() {
    let mut files = Vec::new();
    for next in ["too_few", "too_many", "empty_surplus", "garbage", "other_delimiter"] {
        files.push(vec![(20, kind("never_closed")), (21, kind(next))]);
    }
    check_files("", "", &files);
}

/// The first quote of such a row closes the one that is open before it.
#[test]
fn a_good_row_behind_an_open_quote_is_loaded_whatever_its_first_quote_stands_before() {
    let behind: [Kind; 4] = [
        ("line_end", |row| first_quote_in_note(row, "\nseven")),
        ("delimiter", |row| first_quote_in_note(row, ",eight")),
        ("both", |row| first_quote_in_note(row, ",\nnine")),
        ("alone", |row| first_quote_in_note(row, ",")),
    ];
    let mut files = Vec::new();
    for open in ["never_closed", "never_closed_last"] {
        for next in behind {
            // Together these two are a sound record of the right shape.
            if (open, next.0) != ("never_closed_last", "line_end") {
                files.push(vec![(20, kind(open)), (21, next)]);
            }
        }
    }
    check_files("", "", &files);
}

/// Neither a good row nor a damaged one may be taken for a part of the footer.
#[test]
fn an_open_quote_in_front_of_a_footer_costs_its_row_alone() {
    let mut files = Vec::new();
    for place in 56..60 {
        files.push(vec![(place, kind("never_closed"))]);
        files.push(vec![(place, kind("close_missing"))]);
    }
    check_files("skip_footer = 2\n", FOOTER, &files);
}

#[test]
fn half_a_letter_before_a_line_end_or_a_quote_takes_nothing_of_it() {
    let source = Source::new(&datasets(""));
    let kinds: [Kind; 3] = [
        ("before_line_end", |row| not_text(row.with(&[(TAG, UNDECODABLE.to_string().as_str())]))),
        ("before_delimiter", |row| not_text(row.with(&[(NAME, UNDECODABLE.to_string().as_str())]))),
        ("before_quote", |row| {
            not_text(row.with(&[(NOTE, format!("\"{UNDECODABLE}\"").as_str())]))
        }),
    ];
    let mut datasets = Vec::new();
    for letters in Letters::ALL {
        let kinds = kinds_of(letters, &kinds);
        let mut files = Vec::new();
        for line_ends in LineEnds::ALL {
            let number = files.len();
            let name = format!("{}/half-{}.csv", folder(letters), line_ends.name);
            let mut draft = Draft::new(name, number, letters, line_ends);
            // Of an encoding in which every byte has a meaning, all rows are good.
            draft.damage(&kinds, (0..60).step_by(2));
            files.push(draft.write(&source));
        }
        datasets.push((folder(letters), files));
    }
    load_and_check(&source, "", &datasets);
}

fn not_text(text: String) -> Damage {
    Damage { text, fate: Fate::Refused(&[super::damage::NOT_TEXT]) }
}
