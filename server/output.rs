//! Turns results into lines for people and scripts: the only file that writes to standard output.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;

use ferry::host::settings::ByteSize;
use ferry::schema::Column;

use crate::check::{DatasetReport, FileReport};
use crate::error::ServerError;

/// Says where the server listens; scripts wait for this line.
pub(crate) fn listening(scheme: &str, address: SocketAddr) {
    print(&format!("ferry-server listening on {scheme}://{address}\n"));
}

/// Lists datasets with their files and columns, and what is wrong with them.
pub(crate) fn check(reports: &[DatasetReport]) {
    print(&table(reports));
}

/// Prints what was found in a file: TOML for the settings.
pub(crate) fn inspection(text: &str) {
    print(text);
}

/// Says how much of a file's content is read, on one line of standard error.
pub(crate) fn progress(bytes: u64) {
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "\rread {:<12}", ByteSize(bytes).to_string()).and_then(|()| err.flush());
}

/// Ends the line of [`progress`].
pub(crate) fn progress_end() {
    let _ = writeln!(std::io::stderr().lock());
}

/// Says why the program failed, on standard error.
pub(crate) fn failure(error: &ServerError) {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(std::io::stderr().lock(), "error: {error}");
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that closed the pipe has seen enough.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn table(reports: &[DatasetReport]) -> String {
    let mut text = String::new();
    for report in reports {
        let total: u64 = report.files.iter().map(|file| file.size_bytes).sum();
        line(
            &mut text,
            &format!("{}  {}, {}", report.name, files(report.files.len()), ByteSize(total)),
        );
        if !report.layout.is_empty() {
            line(&mut text, &format!("  layout: {}", report.layout.join(", ")));
        }
        file_lines(&mut text, &report.files);
        column_lines(&mut text, &report.columns);
        for warning in &report.warnings {
            line(&mut text, &format!("  warning: {}", in_one_line(warning)));
        }
        for problem in &report.problems {
            line(&mut text, &format!("  error: {}", in_one_line(problem)));
        }
    }
    text
}

fn file_lines(text: &mut String, files: &[FileReport]) {
    let width = files.iter().map(|file| file.name.chars().count()).max().unwrap_or(0);
    let sizes: Vec<String> =
        files.iter().map(|file| ByteSize(file.size_bytes).to_string()).collect();
    let size_width = sizes.iter().map(String::len).max().unwrap_or(0);
    for (file, size) in files.iter().zip(&sizes) {
        let (name, notes) = (&file.name, file.notes.join(", "));
        let shown = format!("  {name:<width$}  {size:<size_width$}  {notes}");
        line(text, shown.trim_end());
    }
}

fn column_lines(text: &mut String, columns: &[Column]) {
    let names: Vec<String> = columns.iter().map(|column| in_one_line(&column.name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (column, name) in columns.iter().zip(&names) {
        line(text, &format!("    {name:<width$}  {}", column.column_type));
    }
}

/// A text with names from a header, which may hold line ends.
fn in_one_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    shown
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry::schema::ColumnType;

    #[test]
    fn a_report_reads_as_a_table() {
        let report = DatasetReport {
            name: "customers".to_owned(),
            layout: vec!["delimiter = \";\"".to_owned(), "skip_rows = 2".to_owned()],
            files: vec![
                FileReport { name: "a.csv".to_owned(), size_bytes: 12_000, notes: Vec::new() },
                FileReport {
                    name: "long.csv".to_owned(),
                    size_bytes: 7,
                    notes: vec!["gzip".to_owned(), "UTF-16BE".to_owned()],
                },
            ],
            columns: vec![
                Column { name: "uid".to_owned(), column_type: ColumnType::Bigint },
                Column { name: "e\nmail".to_owned(), column_type: ColumnType::Text },
            ],
            warnings: vec!["it lacks \"e\nmail\"".to_owned()],
            problems: vec!["it is wrong".to_owned()],
        };
        let expected = "\
customers  2 files, 12.0 kB
  layout: delimiter = \";\", skip_rows = 2
  a.csv     12.0 kB
  long.csv  7 B      gzip, UTF-16BE
    uid      bigint
    e\\nmail  text
  warning: it lacks \"e\\nmail\"
  error: it is wrong
";
        assert_eq!(table(&[report]), expected);
    }
}
