//! Turns results into lines for people and scripts: the only file that writes to standard output.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ferry::host::settings::ByteSize;
use ferry::schema::Column;

use crate::check::records::{Pass, RecordsReport, Refusal, RefusedPlace};
use crate::check::{DatasetReport, FileReport};
use crate::error::ServerError;

/// Most kinds of refused records that are told of a dataset.
const REFUSALS_SHOWN_MAX: usize = 20;
/// Shorter than this, nobody asks how far it is.
const QUIET_TIME: Duration = Duration::from_secs(1);

/// Says where the server listens; scripts wait for this line.
pub(crate) fn listening(scheme: &str, address: SocketAddr) -> Result<(), ServerError> {
    print(&format!("ferry-server listening on {scheme}://{address}\n"))
}

/// Lists datasets with their files and columns, and what is wrong with them.
pub(crate) fn check(reports: &[DatasetReport]) -> Result<(), ServerError> {
    print(&table(reports))
}

/// Prints what was found in a file: TOML for the settings.
pub(crate) fn inspection(text: &str) -> Result<(), ServerError> {
    print(text)
}

/// Says how much of a file's content is read, on one line of standard error.
fn progress(bytes: u64) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "\rread {:<12}", ByteSize(bytes).to_string()).and_then(|()| err.flush());
}

/// Ends the line of [`progress`].
fn progress_end() {
    let _ = writeln!(io::stderr().lock());
}

/// How far a long read is: told from time to time, if somebody watches.
pub(crate) struct Progress {
    is_watched: bool,
    /// Bytes that are read.
    bytes: u64,
    said_at: Instant,
    has_said: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let is_watched = io::stderr().is_terminal();
        Self { is_watched, bytes: 0, said_at: Instant::now(), has_said: false }
    }

    /// So many bytes more are read.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.tell(self.bytes + bytes);
    }

    /// So many bytes are read in all.
    pub(crate) fn tell(&mut self, bytes: u64) {
        self.bytes = bytes;
        if self.is_watched && self.said_at.elapsed() >= QUIET_TIME {
            progress(self.bytes);
            self.said_at = Instant::now();
            self.has_said = true;
        }
    }

    pub(crate) fn end(&self) {
        if self.has_said {
            progress_end();
        }
    }
}

/// Says why the program failed, on standard error.
pub(crate) fn failure(error: &ServerError) {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(io::stderr().lock(), "error: {error}");
}

fn print(text: &str) -> Result<(), ServerError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that closed the pipe has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(ServerError::Output),
    }
}

fn table(reports: &[DatasetReport]) -> String {
    let mut text = String::new();
    for report in reports {
        let total: u64 = report.files.iter().map(|file| file.size_bytes).sum();
        let origin = if report.is_api {
            "pages of an API".to_owned()
        } else {
            format!("{}, {}", files(report.files.len()), ByteSize(total))
        };
        line(&mut text, &format!("{}  {origin}", report.name));
        if !report.layout.is_empty() {
            line(&mut text, &format!("  layout: {}", report.layout.join(", ")));
        }
        file_lines(&mut text, &report.files);
        column_lines(&mut text, &report.columns);
        if let Some(records) = &report.records {
            record_lines(&mut text, records);
        }
        for warning in &report.warnings {
            line(&mut text, &format!("  warning: {}", in_one_line(warning)));
        }
        if let Some(records) = &report.records {
            refusal_lines(&mut text, records);
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

fn record_lines(text: &mut String, records: &RecordsReport) {
    let (all, rows, refused) = (records.record_count(), records.rows, records.refused);
    line(text, &format!("  records: {all}, of them {rows} rows and {refused} refused"));
    line(text, &format!("  planned: {}", speed(&records.planned)));
    line(text, &format!("  read: {}", speed(&records.read)));
}

fn refusal_lines(text: &mut String, records: &RecordsReport) {
    let (all, refused) = (records.record_count(), records.refused);
    if refused == 0 {
        return;
    }
    let are = if refused == 1 { "is" } else { "are" };
    line(text, &format!("  warning: {refused} of {all} records {are} refused:"));
    for refusal in records.refusals.iter().take(REFUSALS_SHOWN_MAX) {
        line(text, &format!("    {}", in_one_line(&refusal_text(refusal))));
    }
    let more = records.refusals.len().saturating_sub(REFUSALS_SHOWN_MAX);
    if more > 0 {
        line(text, &format!("    and for {more} reasons more"));
    }
}

/// A reason, how many records have it, and the first of them.
fn refusal_text(refusal: &Refusal) -> String {
    let Refusal { code, column, count, places } = refusal;
    let column = column.as_ref().map(|name| format!(" of \"{name}\"")).unwrap_or_default();
    let places: Vec<String> = places.iter().map(place).collect();
    let first = if places.len() as u64 == *count { "" } else { "first " };
    format!("{code}{column}: {count}, {first}{}", places.join(", "))
}

fn place(place: &RefusedPlace) -> String {
    let RefusedPlace { file, row_number, byte_offset } = place;
    format!("\"{file}\" row {row_number} (byte {byte_offset})")
}

/// How long a pass took, and how much it read in a second.
fn speed(pass: &Pass) -> String {
    // A byte in a microsecond is a megabyte in a second.
    let tenths = u128::from(pass.bytes) * 10 / pass.time.as_micros().max(1);
    let seconds = pass.time.as_secs_f64();
    format!("{seconds:.3} s, {}.{} MB/s", tenths / 10, tenths % 10)
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
    use ferry::reject::Code;
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
            is_api: false,
            columns: vec![
                Column { name: "uid".to_owned(), column_type: ColumnType::Bigint },
                Column { name: "e\nmail".to_owned(), column_type: ColumnType::Text },
            ],
            records: None,
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

    fn refusal(code: Code, column: Option<&str>, count: u64) -> Refusal {
        let place = |row_number: u64| RefusedPlace {
            file: "a.csv".to_owned(),
            row_number,
            byte_offset: row_number * 10,
        };
        let places = (1..=count.min(3)).map(place).collect();
        Refusal { code, column: column.map(str::to_owned), count, places }
    }

    #[test]
    fn records_are_told_with_what_is_refused() {
        let pass = |millis: u64| Pass { bytes: 150_000_000, time: Duration::from_millis(millis) };
        let report = DatasetReport {
            name: "customers".to_owned(),
            layout: Vec::new(),
            files: Vec::new(),
            is_api: false,
            columns: Vec::new(),
            records: Some(RecordsReport {
                rows: 995,
                refused: 5,
                refusals: vec![
                    refusal(Code::BAD_DATE, Some("sign\nup"), 4),
                    refusal(Code::TOO_FEW_FIELDS, None, 1),
                ],
                planned: pass(100),
                read: pass(1024),
            }),
            warnings: vec!["it is odd".to_owned()],
            problems: Vec::new(),
        };
        let expected = "\
customers  0 files, 0 B
  records: 1000, of them 995 rows and 5 refused
  planned: 0.100 s, 1500.0 MB/s
  read: 1.024 s, 146.4 MB/s
  warning: it is odd
  warning: 5 of 1000 records are refused:
    bad_date of \"sign\\nup\": 4, first \"a.csv\" row 1 (byte 10), \"a.csv\" row 2 (byte 20), \"a.csv\" row 3 (byte 30)
    too_few_fields: 1, \"a.csv\" row 1 (byte 10)
";
        assert_eq!(table(&[report]), expected);
    }

    #[test]
    fn reasons_are_told_up_to_a_number() {
        let of_column = |index: u32| {
            let name = format!("column_{index}");
            refusal(Code::BAD_INTEGER, Some(name.as_str()), 1)
        };
        let records = RecordsReport {
            rows: 0,
            refused: 1,
            refusals: (0..25).map(of_column).collect(),
            planned: Pass::default(),
            read: Pass::default(),
        };
        let mut text = String::new();
        refusal_lines(&mut text, &records);
        assert!(text.starts_with("  warning: 1 of 1 records is refused:\n"), "{text}");
        assert!(text.ends_with("    and for 5 reasons more\n"), "{text}");
        assert_eq!(text.lines().count(), 1 + REFUSALS_SHOWN_MAX + 1);
    }
}
