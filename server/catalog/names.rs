//! Tells the columns of records that name their own fields: all that any file has, and all that are declared.
//!
//! Invariant: which fields a single file has makes no difference, so that one
//! which only some records have is not taken for a change of the source.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ferry::schema::{Column, ColumnType};
use ferry::wire::COLUMNS_MAX;

use crate::catalog::IsUnwanted;
use crate::catalog::dataset::Dataset;
use crate::catalog::files::SourceFile;
use crate::catalog::format::FileHeader;
use crate::catalog::open_file::{OpenFile, Stamp};
use crate::error::RequestError;
use crate::json::{JsonHeader, JsonKind};

/// Most headers that are remembered: two for each file of the largest dataset.
const HEADERS_MAX: usize = 20_000;
/// Bytes of all names in them.
const NAME_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What the first records of files name, so that a plan need not read them again.
#[derive(Debug, Default)]
pub(crate) struct NameCache(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    headers: HashMap<(PathBuf, Stamp), Arc<JsonHeader>>,
    name_bytes: usize,
}

impl NameCache {
    /// What was read of the file as it stood when it was opened.
    pub(super) fn recall(&self, file: &OpenFile) -> Option<Arc<JsonHeader>> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.headers.get(&(file.path.clone(), file.stamp)).cloned()
    }

    /// Whether a file that was listed need not be read to know its names.
    pub(super) fn knows(&self, source: &SourceFile) -> bool {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.headers.contains_key(&(source.path().to_owned(), source.stamp))
    }

    pub(super) fn remember(&self, file: &OpenFile, header: &Arc<JsonHeader>) {
        let name_bytes: usize = header.names.iter().map(|found| found.name.len()).sum();
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.headers.len() >= HEADERS_MAX || names.name_bytes + name_bytes > NAME_BYTES_MAX {
            // Forgetting costs another reading of the files in use, no more.
            *names = Remembered::default();
        }
        let key = (file.path.clone(), file.stamp);
        if names.headers.insert(key, Arc::clone(header)).is_none() {
            names.name_bytes += name_bytes;
        }
    }
}

/// The columns of all these files together: names in the order in which they
/// are met, then what else is declared. A file that cannot be read adds none.
pub(super) fn columns_of<'a>(
    dataset: &Dataset,
    sources: impl Iterator<Item = &'a SourceFile>,
    is_unwanted: IsUnwanted<'_>,
) -> Result<Vec<Column>, RequestError> {
    let mut columns = Union::new(dataset);
    for source in sources {
        let header = source.open().and_then(|file| {
            let disk_bytes = file.stamp.size_bytes;
            dataset.header(&file, disk_bytes, is_unwanted)
        });
        match header {
            Ok(Some(FileHeader::Json { header, .. })) => columns.add(&header),
            Ok(_) => {}
            // The plan tells of it where it tells of the file.
            Err(error) if error.is_of_one_file() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(columns.finish())
}

/// Columns in the making.
struct Union<'a> {
    dataset: &'a Dataset,
    columns: Vec<Column>,
    /// Where each name is among them.
    places: HashMap<String, usize>,
    /// How many declared names were not met yet.
    unmet: usize,
    has_overflowed: bool,
}

impl<'a> Union<'a> {
    fn new(dataset: &'a Dataset) -> Self {
        let unmet = dataset.declared.len();
        Self { dataset, columns: Vec::new(), places: HashMap::new(), unmet, has_overflowed: false }
    }

    fn add(&mut self, header: &JsonHeader) {
        for found in &header.names {
            let declared = self.dataset.declared.get(&found.name);
            let is_nested = found.kind == JsonKind::Nested;
            if let Some(place) = self.places.get(&found.name) {
                if is_nested && declared.is_none() {
                    self.columns[*place].column_type = ColumnType::Jsonb;
                }
                continue;
            }
            // What is declared has its place whatever else is met.
            if declared.is_none() && self.columns.len() + self.unmet >= COLUMNS_MAX {
                self.has_overflowed = true;
                continue;
            }
            self.unmet -= usize::from(declared.is_some()).min(self.unmet);
            let column_type = match declared {
                Some(declared) => declared.column_type,
                None if is_nested => ColumnType::Jsonb,
                None => ColumnType::Text,
            };
            self.places.insert(found.name.clone(), self.columns.len());
            self.columns.push(Column { name: found.name.clone(), column_type });
        }
    }

    fn finish(mut self) -> Vec<Column> {
        if self.has_overflowed {
            tracing::warn!(
                dataset = %self.dataset.name,
                columns_max = COLUMNS_MAX,
                "the records have more fields than columns can be: declare those that are wanted, or the objects that hold the others as jsonb"
            );
        }
        let met: HashSet<&str> = self.places.keys().map(String::as_str).collect();
        for (name, declared) in &self.dataset.declared {
            if !met.contains(name.as_str()) {
                let column_type = declared.column_type;
                self.columns.push(Column { name: name.clone(), column_type });
            }
        }
        self.columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::dataset::tests::json_dataset;
    use std::path::Path;

    /// Names and types of all files of a folder.
    fn columns(folder: &Path, declared: &[(&str, &str)]) -> Vec<String> {
        let dataset = json_dataset(folder, "", declared);
        let sources = dataset.sources().expect("files are listed");
        let columns = columns_of(&dataset, sources.iter(), &|| false).expect("they are readable");
        columns.iter().map(|column| format!("{} {}", column.name, column.column_type)).collect()
    }

    fn write(folder: &Path, name: &str, content: &str) {
        std::fs::write(folder.join(name), content).expect("file is written");
    }

    #[test]
    fn all_names_of_all_files_are_told() {
        let folder = tempfile::tempdir().expect("temporary folder");
        write(folder.path(), "a.json", r#"[{"id":1,"home":{"city":"x"}},{"id":2,"tags":["a"]}]"#);
        write(folder.path(), "b.json", r#"[{"mail":"m","id":3}]"#);
        write(folder.path(), "c.json", "no JSON at all");
        assert_eq!(
            columns(folder.path(), &[("id", "bigint"), ("born", "date")]),
            ["id bigint", "home_city text", "tags jsonb", "mail text", "born date"]
        );
    }

    #[test]
    fn a_name_that_is_nested_once_is_jsonb() {
        let folder = tempfile::tempdir().expect("temporary folder");
        write(folder.path(), "a.json", r#"[{"tags":"a"}]"#);
        write(folder.path(), "b.json", r#"[{"tags":["a"]}]"#);
        assert_eq!(columns(folder.path(), &[]), ["tags jsonb"]);
        assert_eq!(columns(folder.path(), &[("tags", "text")]), ["tags text"]);
    }

    #[test]
    fn without_a_file_the_declared_columns_are_told() {
        let folder = tempfile::tempdir().expect("temporary folder");
        assert_eq!(columns(folder.path(), &[("id", "bigint")]), ["id bigint"]);
    }

    #[test]
    fn what_is_declared_is_told_however_many_fields_there_are() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let fields: Vec<String> =
            (0..COLUMNS_MAX + 5).map(|number| format!("\"f{number}\":0")).collect();
        write(folder.path(), "a.json", &format!("[{{{}}}]", fields.join(",")));
        let columns = columns(folder.path(), &[("zz", "date")]);
        assert_eq!(columns.len(), COLUMNS_MAX);
        assert_eq!(columns.last().map(String::as_str), Some("zz date"));
    }

    #[test]
    fn what_was_read_is_remembered_until_the_file_changes() {
        let folder = tempfile::tempdir().expect("temporary folder");
        write(folder.path(), "a.json", r#"[{"id":1}]"#);
        let dataset = json_dataset(folder.path(), "", &[]);
        let open = || {
            let source = dataset.find("a.json").expect("no error").expect("it is there");
            source.open().expect("it opens")
        };
        let first = open();
        assert!(dataset.names.recall(&first).is_none());
        dataset.header(&first, first.stamp.size_bytes, &|| false).expect("it is readable");
        assert!(dataset.names.recall(&open()).is_some());
        write(folder.path(), "a.json", r#"[{"id":1,"more":2}]"#);
        assert!(dataset.names.recall(&open()).is_none());
    }
}
