//! What the program says to people and to machines; nothing else prints.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::ops::Range;
use std::sync::OnceLock;

use comfy_table::{CellAlignment, Table, presets};

/// Why a line of the answer was lost, such as a disk that is full.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Whom an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Tables for people.
    Table,
    /// One JSON object for machines.
    Json,
}

impl Style {
    /// What the flag `--json` asks for.
    pub(crate) fn of(is_json: bool) -> Self {
        if is_json { Self::Json } else { Self::Table }
    }
}

/// A table of the program's answer; the columns in `numbers` are aligned to the right.
pub(crate) fn table<const WIDTH: usize>(header: [&str; WIDTH], numbers: Range<usize>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY).set_header(header);
    for column in numbers {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// A line of the program's answer; [`lost`] tells whether all of them were written.
pub(crate) fn line(text: impl AsRef<str>) {
    match writeln!(io::stdout().lock(), "{}", text.as_ref()) {
        // A reader that went away, such as `head`, is not an error of ours.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => _ = LOST.set(error),
        Ok(()) | Err(_) => {}
    }
}

/// Why the answer is not complete, if it is not.
pub(crate) fn lost() -> Option<&'static io::Error> {
    LOST.get()
}

/// A text on one line, without what a terminal would take for a command.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            printable.extend(char.escape_default());
        } else {
            printable.push(char);
        }
    }
    printable
}

/// A line that begins a part of the answer.
pub(crate) fn heading(text: impl AsRef<str>) {
    let text = text.as_ref();
    if io::stdout().is_terminal() {
        line(format!("\n\x1b[1m{text}\x1b[0m"));
    } else {
        line(format!("\n== {text}"));
    }
}

/// Where an answer goes that is not made of lines.
pub(crate) fn stdout() -> impl io::Write {
    io::stdout()
}

/// A hint that is not part of the answer.
pub(crate) fn note(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// Why the program failed.
pub(crate) fn error(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "error: {}", text.as_ref());
}
