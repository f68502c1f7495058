//! Turns results into lines for people and scripts: the only file that writes to standard output.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;

use ferry::host::settings::ByteSize;

use crate::check::DatasetReport;
use crate::error::ServerError;

/// Says where the server listens; scripts wait for this line.
pub(crate) fn listening(scheme: &str, address: SocketAddr) {
    print(&format!("ferry-server listening on {scheme}://{address}\n"));
}

/// Lists datasets with their files and columns, and what is wrong with them.
pub(crate) fn check(reports: &[DatasetReport]) {
    print(&table(reports));
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
        let width = report.files.iter().map(|file| file.name.chars().count()).max().unwrap_or(0);
        for file in &report.files {
            line(&mut text, &format!("  {:<width$}  {}", file.name, ByteSize(file.size_bytes)));
        }
        let width = report.columns.iter().map(|column| column.name.chars().count()).max();
        for column in &report.columns {
            let width = width.unwrap_or(0);
            line(&mut text, &format!("    {:<width$}  {}", column.name, column.column_type));
        }
        for warning in &report.warnings {
            line(&mut text, &format!("  warning: {warning}"));
        }
        for problem in &report.problems {
            line(&mut text, &format!("  error: {problem}"));
        }
    }
    text
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
    use crate::check::FileReport;
    use ferry::schema::{Column, ColumnType};

    #[test]
    fn a_report_reads_as_a_table() {
        let report = DatasetReport {
            name: "customers".to_owned(),
            files: vec![
                FileReport { name: "a.csv".to_owned(), size_bytes: 12_000 },
                FileReport { name: "long.csv".to_owned(), size_bytes: 7 },
            ],
            columns: vec![
                Column { name: "uid".to_owned(), column_type: ColumnType::Bigint },
                Column { name: "email".to_owned(), column_type: ColumnType::Text },
            ],
            warnings: Vec::new(),
            problems: vec!["it is wrong".to_owned()],
        };
        let expected = "\
customers  2 files, 12.0 kB
  a.csv     12.0 kB
  long.csv  7 B
    uid    bigint
    email  text
  error: it is wrong
";
        assert_eq!(table(&[report]), expected);
    }
}
