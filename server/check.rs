//! Turns the catalog into a report of every dataset's files and columns, and what is wrong with them.

mod layout;
pub(crate) mod records;
mod trial;

use std::collections::BTreeSet;
use std::sync::Arc;

use ferry::host::settings::nearest;
use ferry::schema::{Column, ColumnType};

use crate::catalog::Catalog;
use crate::catalog::archive::Compression;
use crate::catalog::dataset::{Dataset, DatasetName, DeclaredColumn};
use crate::catalog::files::SourceFile;
use crate::catalog::format::{FileHeader, Format};
use crate::catalog::origin::Origin;
use crate::check::layout::settings_of;
use crate::check::records::{RecordsReport, read_dataset};
use crate::check::trial::misfit;
use crate::error::RequestError;

/// Most names of columns in one warning.
const NAMES_SHOWN_MAX: usize = 5;

/// What one dataset has.
pub(crate) struct DatasetReport {
    pub(crate) name: String,
    /// Settings of the layout that are not the usual ones.
    pub(crate) layout: Vec<String>,
    /// Empty for an API, whose pages are fetched to read their records.
    pub(crate) files: Vec<FileReport>,
    pub(crate) is_api: bool,
    pub(crate) columns: Vec<Column>,
    /// What became of the records, if they were read.
    pub(crate) records: Option<RecordsReport>,
    /// What is odd, but may be meant.
    pub(crate) warnings: Vec<String>,
    /// What must be put right.
    pub(crate) problems: Vec<String>,
}

/// What one file has.
pub(crate) struct FileReport {
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
    /// What is not as in every file, such as its compression.
    pub(crate) notes: Vec<String>,
}

impl DatasetReport {
    /// Adds a problem, in the place of one that says the beginning of it.
    fn add_problem(&mut self, problem: String) {
        self.problems.retain(|known| !problem.starts_with(known.as_str()));
        self.problems.push(problem);
    }
}

/// The dataset of this name, or all if none is named.
pub(crate) fn choose(
    datasets: Vec<Dataset>,
    name: Option<&DatasetName>,
) -> Result<Vec<Dataset>, String> {
    let Some(name) = name else {
        return Ok(datasets);
    };
    let (chosen, others): (Vec<Dataset>, Vec<Dataset>) =
        datasets.into_iter().partition(|dataset| dataset.name == *name);
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    let hint = match nearest(name.as_str(), others.iter().map(|other| other.name.as_str())) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "without --dataset, all are checked".to_owned(),
    };
    Err(format!("the settings declare no dataset \"{name}\": {hint}"))
}

/// Reads the header and tries the first records of every file of every dataset.
pub(crate) fn check(catalog: &Catalog) -> Vec<DatasetReport> {
    catalog.datasets().map(|dataset| check_dataset(dataset)).collect()
}

/// Reads every record of every dataset too; `watch` is told how many bytes more are read.
///
/// The reports are those of the same catalog.
pub(crate) fn check_records(
    catalog: &Arc<Catalog>,
    reports: &mut [DatasetReport],
    watch: &mut dyn FnMut(u64),
) {
    for (dataset, report) in catalog.datasets().zip(reports) {
        read_dataset(catalog, dataset, report, watch);
    }
}

fn check_dataset(dataset: &Dataset) -> DatasetReport {
    let report = DatasetReport {
        name: dataset.name.to_string(),
        layout: settings_of(dataset),
        files: Vec::new(),
        is_api: matches!(dataset.origin, Origin::Api(_)),
        columns: Vec::new(),
        records: None,
        warnings: Vec::new(),
        problems: Vec::new(),
    };
    let mut check = Check { dataset, report, names: BTreeSet::new(), first: None };
    let checked = dataset.sources().and_then(|files| match &dataset.origin {
        Origin::Files(_) => check.files(&files),
        // What is kept of it says nothing of what it gives now.
        Origin::Api(_) => check.shared_columns(&files),
    });
    if let Err(error) = checked {
        check.report.problems.push(error.to_string());
    }
    check.report
}

/// The check of one dataset.
struct Check<'a> {
    dataset: &'a Dataset,
    report: DatasetReport,
    /// Names in all headers.
    names: BTreeSet<String>,
    /// The first file with a header, and the names in it.
    first: Option<(String, Vec<String>)>,
}

impl Check<'_> {
    fn files(&mut self, files: &[SourceFile]) -> Result<(), RequestError> {
        if files.is_empty() {
            self.report.warnings.push("no file matches yet".to_owned());
        }
        for source in files {
            self.report.files.push(FileReport {
                name: source.name.clone(),
                size_bytes: source.stamp.size_bytes,
                notes: Vec::new(),
            });
            if let Err(error) = self.file(source) {
                self.report.problems.push(error.to_string());
            }
        }
        if matches!(self.dataset.format, Format::Json(_)) {
            self.shared_columns(files)?;
        }
        self.declared_columns();
        Ok(())
    }

    /// The columns of all files together, where records name their own fields.
    fn shared_columns(&mut self, files: &[SourceFile]) -> Result<(), RequestError> {
        self.report.columns = self.dataset.columns(files)?;
        Ok(())
    }

    fn file(&mut self, source: &SourceFile) -> Result<(), RequestError> {
        let name = &source.name;
        let file = source.open()?;
        if !matches!(file.compression(), Compression::None) {
            self.note(file.compression().to_string());
        }
        let disk_bytes = file.stamp.size_bytes;
        let Some(header) = self.dataset.header(&file, disk_bytes, &|| false)? else {
            self.report.warnings.push(if source.stamp.size_bytes == 0 {
                format!("file \"{name}\" is empty")
            } else {
                format!("file \"{name}\" has no header yet")
            });
            return Ok(());
        };
        match header {
            FileHeader::Delimited { layout, header } => {
                if header.encoding != layout.encoding {
                    self.note(header.encoding.name().to_owned());
                }
                self.compare(name, &header.names);
                let expansion_max = self.dataset.expansion_max;
                self.report.warnings.extend(misfit(layout, expansion_max, &file, &header)?);
            }
            FileHeader::Json { header, .. } => {
                self.names.extend(header.names.iter().map(|found| found.name.clone()));
            }
        }
        Ok(())
    }

    /// Notes something of the file that is looked at.
    fn note(&mut self, note: String) {
        if let Some(file) = self.report.files.last_mut() {
            file.notes.push(note);
        }
    }

    fn compare(&mut self, file: &str, names: &[String]) {
        match &self.first {
            None => {
                self.report.columns = self.dataset.declare(names);
                self.first = Some((file.to_owned(), names.to_vec()));
            }
            Some((first, first_names)) => {
                if let Some(difference) = difference(first_names, names) {
                    self.report.warnings.push(format!(
                        "the header of file \"{file}\" differs from that of \"{first}\": {difference}"
                    ));
                }
            }
        }
        self.names.extend(names.iter().cloned());
    }

    fn declared_columns(&mut self) {
        if self.names.is_empty() {
            return;
        }
        for (declared, column) in &self.dataset.declared {
            if self.names.contains(declared) || self.holds_members(declared, column) {
                continue;
            }
            let hint = match nearest(declared, self.names.iter().map(String::as_str)) {
                Some(name) => format!("did you mean \"{name}\"?"),
                None => "remove it, or add it to a file".to_owned(),
            };
            match self.dataset.format {
                Format::Delimited(_) => self
                    .report
                    .problems
                    .push(format!("no header has the declared column \"{declared}\": {hint}")),
                // A member that no record must have may be rare.
                Format::Json(_) => self.report.warnings.push(format!(
                    "none of the first records has the declared column \"{declared}\": {hint}"
                )),
            }
        }
    }

    /// Whether a declared column is an object, whose members alone are among the names.
    fn holds_members(&self, declared: &str, column: &DeclaredColumn) -> bool {
        let is_member =
            |name: &String| name.strip_prefix(declared).is_some_and(|rest| rest.starts_with('_'));
        matches!(self.dataset.format, Format::Json(_))
            && column.column_type == ColumnType::Jsonb
            && self.names.iter().any(is_member)
    }
}

/// What names are missing or added, in whatever order they stand.
fn difference(first: &[String], names: &[String]) -> Option<String> {
    let among = |names: &[String]| names.iter().cloned().collect::<BTreeSet<String>>();
    let (known, found) = (among(first), among(names));
    let lacking: Vec<&String> = first.iter().filter(|name| !found.contains(*name)).collect();
    let added: Vec<&String> = names.iter().filter(|name| !known.contains(*name)).collect();
    match (lacking.is_empty(), added.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("it lacks {}", quoted(&lacking))),
        (true, false) => Some(format!("it adds {}", quoted(&added))),
        (false, false) => {
            Some(format!("it lacks {}, and adds {}", quoted(&lacking), quoted(&added)))
        }
    }
}

/// The first names in quotes, and how many there are besides.
fn quoted(names: &[&String]) -> String {
    let shown: Vec<String> =
        names.iter().take(NAMES_SHOWN_MAX).map(|name| format!("\"{name}\"")).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(NAMES_SHOWN_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests;
