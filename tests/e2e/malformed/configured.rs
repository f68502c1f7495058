//! What is wrong with a row can be declared: then it is loaded, or stands outside the table.

use super::damage::{BLANK_ROW, Kind, REFUSED, REPAIRED};
use super::files::Draft;
use super::letters::{Letters, LineEnds};
use super::{datasets, folder, kinds_of, load_and_check};
use crate::hosts::Source;

const ROWS: usize = 120;
/// A quote that is never closed, and a line that is a right row but for its words.
const PREAMBLE: &str = "Orders \"of the day\n1,2,3,4,5,6,7\n";
const FOOTER: &str = "Total,\"120\"\nprinted by \"night shift\n";

#[test]
fn rows_are_loaded_as_the_settings_repair_them() {
    let repairs = "ragged = \"pad\"\nother_delimiters = [\"|\", \";\"]\nstray_quotes = \"keep\"\n";
    let source = Source::new(&datasets(repairs));
    let mut datasets = Vec::new();
    for letters in Letters::ALL {
        let kinds: Vec<&Kind> = REPAIRED.iter().collect();
        let mut files = Vec::new();
        for line_ends in LineEnds::ALL {
            // A row behind the other: nothing that is repaired moves the next one.
            for (step, first) in [(1, 0), (3, 2)] {
                let number = files.len();
                let name = format!("{}/step{step}-{}.csv", folder(letters), line_ends.name);
                let mut draft = Draft::new(name, number, letters, line_ends);
                draft.rows = ROWS;
                draft.damage(&kinds, (first..ROWS).step_by(step));
                files.push(draft.write(&source));
            }
        }
        datasets.push((folder(letters), files));
    }
    load_and_check(&source, "", &datasets);
}

#[test]
fn what_stands_around_the_table_is_no_part_of_it_and_blank_lines_are_rows() {
    let layout = "skip_rows = 2\nskip_footer = 2\nblank_lines = \"row\"\ncomment = \"#\"\n";
    let source = Source::new(&datasets(layout));
    let mut datasets = Vec::new();
    for letters in Letters::ALL {
        let mut kinds = kinds_of(letters, &REFUSED);
        kinds.retain(|kind| kind.0 != "blank_line");
        kinds.push(&BLANK_ROW);
        let mut files = Vec::new();
        for line_ends in LineEnds::ALL {
            for footer in [FOOTER, FOOTER.trim_end()] {
                let number = files.len();
                let name = format!("{}/around-{}-{number}.csv", folder(letters), line_ends.name);
                let mut draft = Draft::new(name, number, letters, line_ends);
                (draft.preamble, draft.footer, draft.rows) = (PREAMBLE, footer, ROWS);
                kinds.rotate_left(5);
                draft.damage(&kinds, (number % 5..ROWS - 5).step_by(5));
                files.push(draft.write(&source));
            }
        }
        datasets.push((folder(letters), files));
    }
    load_and_check(&source, "", &datasets);
}
