//! Writes refused rows as CSV, page by page, to standard output or to a file.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use csv::Writer;
use sqlx::PgConnection;

use super::{PAGE_ROWS, Selection, open};
use crate::error::ClientError;
use crate::ledger::quarantine::{self, Entry, Filter};
use crate::output;
use crate::status::Scope;

const HEADER: [&str; 15] = [
    "quarantine_id",
    "run_id",
    "job",
    "file",
    "row_number",
    "byte_start",
    "byte_end",
    "stage",
    "code",
    "column",
    "reasons",
    "state",
    "created_at",
    "record",
    "constraint",
];

/// A file that is written.
#[derive(Debug, Clone)]
pub(crate) struct ExportFile {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Whether a file that is there is replaced: `--force`.
    pub(crate) replaces: bool,
}

/// Writes a selection to a file, or to standard output if there is none.
pub(crate) async fn export(
    scope: &Scope,
    selection: &Selection,
    file: Option<&ExportFile>,
) -> Result<(), ClientError> {
    let mut connection = open(scope).await?;
    let filter = selection.filter(scope.job.as_deref());
    match (write_rows(&mut connection, &filter, file).await, file) {
        (Ok(_), None) => Ok(()),
        (Ok(rows), Some(file)) => {
            output::line(format!("wrote {rows} rows to {}", file.path.display()));
            Ok(())
        }
        // A reader that went away, such as `head`, is not an error of ours.
        (Err(ClientError::Export { source, .. }), None)
            if source.kind() == ErrorKind::BrokenPipe =>
        {
            Ok(())
        }
        (Err(error), _) => Err(error),
    }
}

/// Writes the header and all rows of a filter; returns how many rows there were.
async fn write_rows(
    connection: &mut PgConnection,
    filter: &Filter,
    file: Option<&ExportFile>,
) -> Result<u64, ClientError> {
    let failed = |source: io::Error| ClientError::Export { path: shown(file), source };
    let mut writer = Writer::from_writer(sink(file)?);
    writer.write_record(HEADER).map_err(|error| failed(cause(error)))?;
    let (mut after_id, mut rows) = (0, 0);
    loop {
        let page = quarantine::list(connection, filter, after_id, PAGE_ROWS).await?;
        let Some(last) = page.last() else {
            break;
        };
        after_id = last.id;
        rows += page.len() as u64;
        for entry in &page {
            writer.write_record(fields(entry)).map_err(|error| failed(cause(error)))?;
        }
    }
    writer.flush().map_err(failed)?;
    Ok(rows)
}

fn fields(entry: &Entry) -> [String; 15] {
    [
        entry.id.to_string(),
        entry.run_id.to_string(),
        entry.job.clone(),
        entry.file.clone(),
        entry.row_number.to_string(),
        entry.byte_start.to_string(),
        entry.byte_end.to_string(),
        entry.stage.clone(),
        entry.code.clone(),
        entry.column.clone().unwrap_or_default(),
        entry.reasons.to_string(),
        entry.state.as_str().to_owned(),
        entry.created_at.clone(),
        entry.record.as_ref().map(ToString::to_string).unwrap_or_default(),
        entry.constraint.clone().unwrap_or_default(),
    ]
}

fn sink(file: Option<&ExportFile>) -> Result<Box<dyn Write>, ClientError> {
    let Some(file) = file else {
        return Ok(Box::new(output::stdout()));
    };
    let mut options = OpenOptions::new();
    options.write(true);
    if file.replaces {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    match options.open(&file.path) {
        Ok(opened) => Ok(Box::new(opened)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(ClientError::ExportExists { path: file.path.display().to_string() })
        }
        Err(source) => Err(ClientError::Export { path: shown(Some(file)), source }),
    }
}

fn shown(file: Option<&ExportFile>) -> String {
    file.map_or_else(|| "standard output".to_owned(), |file| file.path.display().to_string())
}

/// What the system said; the only other error of a writer is a defect of ours.
fn cause(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        _ => io::Error::other("a row has another number of fields than the header"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::RunId;
    use crate::ledger::quarantine::State;
    use serde_json::json;

    #[test]
    fn a_row_reads_back_from_its_csv() {
        let entry = Entry {
            id: 7,
            run_id: RunId(1),
            job: "orders".to_owned(),
            file: "a,b.csv".to_owned(),
            is_page: false,
            row_number: 3,
            byte_start: 20,
            byte_end: 31,
            stage: "read".to_owned(),
            code: "too_few_fields".to_owned(),
            column: None,
            reasons: json!([{ "code": "too_few_fields", "column": null }]),
            constraint: Some("orders_pkey".to_owned()),
            record: Some(json!({ "note": "two\n\"lines\"" })),
            state: State::Open,
            created_at: "2026-01-31 23:59:59 UTC".to_owned(),
            settled_at: None,
        };
        let mut writer = Writer::from_writer(Vec::new());
        writer.write_record(HEADER).expect("a header");
        writer.write_record(fields(&entry)).expect("a row");
        let bytes = writer.into_inner().expect("a flushed writer");

        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let header: Vec<&str> = reader.headers().expect("a header").iter().collect();
        assert_eq!(header, HEADER);
        let row = reader.records().next().expect("one row").expect("as long as the header");
        assert_eq!(&row[3], "a,b.csv");
        assert_eq!(&row[9], "");
        assert_eq!(&row[14], "orders_pkey");
        let record: serde_json::Value = serde_json::from_str(&row[13]).expect("JSON");
        assert_eq!(Some(record), entry.record);
    }

    #[test]
    fn a_file_that_is_there_is_kept_unless_it_is_to_be_replaced() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("rows.csv");
        std::fs::write(&path, "mine").expect("file is written");
        let file = ExportFile { path: path.clone(), replaces: false };
        assert!(matches!(sink(Some(&file)), Err(ClientError::ExportExists { .. })));
        assert_eq!(std::fs::read_to_string(&path).expect("file is there"), "mine");
        assert!(sink(Some(&ExportFile { replaces: true, ..file })).is_ok());
        assert_eq!(std::fs::read_to_string(&path).expect("file is there"), "");
    }
}
