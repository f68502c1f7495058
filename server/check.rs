//! Turns the catalog into a report of every dataset's files and columns, and what is wrong with them.

use std::collections::BTreeSet;

use ferry::host::settings::nearest;
use ferry::schema::Column;

use crate::catalog::Catalog;
use crate::catalog::dataset::Dataset;
use crate::error::RequestError;

/// What one dataset has.
pub(crate) struct DatasetReport {
    pub(crate) name: String,
    pub(crate) files: Vec<FileReport>,
    pub(crate) columns: Vec<Column>,
    /// What is odd, but may be meant.
    pub(crate) warnings: Vec<String>,
    /// What must be put right.
    pub(crate) problems: Vec<String>,
}

/// What one file has.
pub(crate) struct FileReport {
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
}

/// Reads the header of every file of every dataset.
pub(crate) fn check(catalog: &Catalog) -> Vec<DatasetReport> {
    catalog.datasets().map(|dataset| check_dataset(dataset)).collect()
}

fn check_dataset(dataset: &Dataset) -> DatasetReport {
    let mut report = DatasetReport {
        name: dataset.name.to_string(),
        files: Vec::new(),
        columns: Vec::new(),
        warnings: Vec::new(),
        problems: Vec::new(),
    };
    if let Err(error) = check_files(dataset, &mut report) {
        report.problems.push(error.to_string());
    }
    report
}

fn check_files(dataset: &Dataset, report: &mut DatasetReport) -> Result<(), RequestError> {
    let files = dataset.files.list()?;
    if files.is_empty() {
        report.warnings.push("no file matches yet".to_owned());
        return Ok(());
    }
    let mut names = BTreeSet::new();
    for source in &files {
        let size_bytes = source.stamp.size_bytes;
        report.files.push(FileReport { name: source.name.clone(), size_bytes });
        match source.open().and_then(|file| file.read_header(dataset.dialect)) {
            Ok(None) => report.warnings.push(format!("file \"{}\" is empty", source.name)),
            Ok(Some(header)) => {
                if report.columns.is_empty() {
                    report.columns = dataset.declare(&header.names);
                }
                for column in &report.columns {
                    if !header.names.contains(&column.name) {
                        report.warnings.push(format!(
                            "file \"{}\" lacks column \"{}\"",
                            source.name, column.name
                        ));
                    }
                }
                names.extend(header.names);
            }
            Err(error) => report.problems.push(error.to_string()),
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    for declared in dataset.declared.keys().filter(|declared| !names.contains(*declared)) {
        let hint = match nearest(declared, names.iter().map(String::as_str)) {
            Some(name) => format!("did you mean \"{name}\"?"),
            None => "remove it, or add it to a file".to_owned(),
        };
        report.problems.push(format!("no header has the declared column \"{declared}\": {hint}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::dataset::tests::dataset;

    fn report(files: &[(&str, &str)], declared: &[(&str, &str)]) -> DatasetReport {
        let folder = tempfile::tempdir().expect("temporary folder");
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).expect("file is written");
        }
        check_dataset(&dataset(folder.path(), declared))
    }

    #[test]
    fn a_sound_dataset_has_typed_columns() {
        let report = report(&[("a.csv", "uid,email\n1,x\n")], &[("uid", "bigint")]);
        let columns: Vec<_> =
            report.columns.iter().map(|c| format!("{} {}", c.name, c.column_type)).collect();
        assert_eq!(columns, ["uid bigint", "email text"]);
        assert!(report.problems.is_empty() && report.warnings.is_empty());
    }

    #[test]
    fn a_declared_column_that_no_header_has_is_a_problem() {
        let report = report(&[("a.csv", "uid,email\n")], &[("emial", "text")]);
        assert_eq!(
            report.problems,
            ["no header has the declared column \"emial\": did you mean \"email\"?"]
        );
    }

    #[test]
    fn empty_and_missing_files_are_warnings() {
        assert_eq!(report(&[], &[]).warnings, ["no file matches yet"]);
        assert_eq!(report(&[("a.csv", "")], &[]).warnings, ["file \"a.csv\" is empty"]);
    }
}
