//! A declared table: its name, its files, how they are laid out, and how its columns are typed.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ferry::host::settings::nearest;
use ferry::schema::{Column, ColumnType};
use ferry::values::FieldFormat;
use ferry::wire::COLUMNS_MAX;
use ferry::wire::generated as proto;

use crate::catalog::IsUnwanted;
use crate::catalog::files::SourceFile;
use crate::catalog::format::{FileHeader, Format};
use crate::catalog::names::{NameCache, columns_of};
use crate::catalog::open_file::{OpenFile, Stamp};
use crate::catalog::origin::Origin;
use crate::catalog::unwanted::WhileWanted;
use crate::error::{RequestError, hint};
use crate::json::count_records;
use crate::wanted::{NullWords, WantedColumn};

/// Content may be so many times the size of its archive, unless the settings say otherwise.
pub(crate) const EXPANSION_DEFAULT: u64 = 200;

const NAME_BYTES_MAX: usize = 128;
/// Files whose records are asked for their names where no plan asks for all.
const NAMING_FILES_MAX: usize = 1000;

/// Name under which a dataset is declared and asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DatasetName(String);

impl FromStr for DatasetName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_allowed) {
            return Err(format!(
                "\"{name}\" cannot name a dataset: use 1 to {NAME_BYTES_MAX} of a-z, 0-9, \"_\", \".\" and \"-\""
            ));
        }
        Ok(Self(name.to_owned()))
    }
}

impl DatasetName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lets a map be searched by the text of a request.
impl Borrow<str> for DatasetName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A named table that lies in one or more files, or pages of an API.
#[derive(Debug)]
pub(crate) struct Dataset {
    pub(crate) name: DatasetName,
    pub(crate) description: String,
    pub(crate) origin: Origin,
    pub(crate) format: Format,
    /// While a file has changed less than so long ago, its last record may
    /// still be written.
    pub(crate) min_age: Duration,
    /// Content may be so many times the size of its archive.
    pub(crate) expansion_max: u64,
    /// Columns by their names; one that is not here is text.
    pub(crate) declared: BTreeMap<String, DeclaredColumn>,
    /// Words that mean NULL in columns that are not declared.
    pub(crate) nulls: Arc<NullWords>,
    /// What the records of its files are known to name.
    pub(crate) names: NameCache,
}

/// How the fields of a column are read.
#[derive(Debug, Clone)]
pub(crate) struct DeclaredColumn {
    pub(crate) column_type: ColumnType,
    pub(crate) format: Arc<FieldFormat>,
    pub(crate) nulls: Arc<NullWords>,
}

impl Dataset {
    /// The columns of a header, with their declared types.
    pub(crate) fn declare(&self, names: &[String]) -> Vec<Column> {
        names.iter().map(|name| self.column(name.clone())).collect()
    }

    fn column(&self, name: String) -> Column {
        let declared = self.declared.get(&name);
        let column_type = declared.map_or(ColumnType::Text, |declared| declared.column_type);
        Column { name, column_type }
    }

    /// What lies here now, ordered by name: files, or the pages that are kept.
    pub(crate) fn sources(&self) -> Result<Vec<SourceFile>, RequestError> {
        self.origin.list(&self.name)
    }

    /// The file or page of this name, if it is one of the dataset's.
    pub(crate) fn find(&self, name: &str) -> Result<Option<SourceFile>, RequestError> {
        self.origin.find(&self.name, name)
    }

    /// Reads the header from the first `disk_bytes` bytes of a file; `None` if there is none yet.
    pub(crate) fn header(
        &self,
        file: &OpenFile,
        disk_bytes: u64,
        is_unwanted: IsUnwanted<'_>,
    ) -> Result<Option<FileHeader<'_>>, RequestError> {
        if let Format::Json(layout) = &self.format
            && let Some(header) = self.names.recall(file)
        {
            return Ok(Some(FileHeader::Json { layout, header }));
        }
        let content = file.content(0, disk_bytes, self.expansion_max)?;
        let content = WhileWanted::new(content, is_unwanted);
        let header = self.format.read_header(&file.name, content)?;
        if let Some(FileHeader::Json { header, .. }) = &header
            && disk_bytes == file.stamp.size_bytes
        {
            self.names.remember(file, header);
        }
        Ok(header)
    }

    /// Refuses a document that breaks off before its records; a delimited file may
    /// end before its header.
    pub(crate) fn check_whole(
        &self,
        file: &OpenFile,
        is_unwanted: IsUnwanted<'_>,
    ) -> Result<(), RequestError> {
        let (Format::Json(layout), 1..) = (&self.format, file.stamp.size_bytes) else {
            return Ok(());
        };
        let content = file.content(0, file.stamp.size_bytes, self.expansion_max)?;
        let counted = count_records(WhileWanted::new(content, is_unwanted), layout);
        counted.map(|_| ()).map_err(|error| RequestError::of_json(&file.name, error))
    }

    /// The dataset's columns: those of the first file with a usable header, or
    /// all that records of its files name and its owner declares.
    pub(crate) fn columns(&self, sources: &[SourceFile]) -> Result<Vec<Column>, RequestError> {
        match &self.format {
            Format::Delimited(_) => self.columns_of_first(sources),
            Format::Json(_) => {
                let since = newest_since(sources);
                let is_asked = |source: &&SourceFile| {
                    source.stamp.modified_unix_nanos >= since || self.names.knows(source)
                };
                columns_of(self, sources.iter().filter(is_asked), &|| false)
            }
        }
    }

    /// A file without a usable header does not hide the columns of the others.
    fn columns_of_first(&self, sources: &[SourceFile]) -> Result<Vec<Column>, RequestError> {
        for source in sources {
            let header = source.open().and_then(|file| {
                let header = self.header(&file, file.stamp.size_bytes, &|| false)?;
                Ok(header.filter(|header| !header.is_open() || self.is_settled(source.stamp)))
            });
            match header {
                Ok(Some(header)) => {
                    return Ok(self.declare(header.fixed_names().unwrap_or_default()));
                }
                // The last name of an open header may still be written.
                Ok(None) => {}
                Err(error) if error.is_of_one_file() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Vec::new())
    }

    /// Whether a file has not changed for as long as its end may still be written.
    fn is_settled(&self, stamp: Stamp) -> bool {
        stamp.modified_unix_nanos <= settled_nanos(SystemTime::now(), self.min_age)
    }

    /// How the fields of these columns are read.
    pub(crate) fn reading(&self, columns: &[Column]) -> Vec<WantedColumn> {
        let plain = Arc::new(FieldFormat::default());
        let wanted = |column: &Column| {
            let (format, nulls) = match self.declared.get(&column.name) {
                Some(declared) => (&declared.format, &declared.nulls),
                None => (&plain, &self.nulls),
            };
            WantedColumn { column: column.clone(), format: format.clone(), nulls: nulls.clone() }
        };
        columns.iter().map(wanted).collect()
    }

    /// Reads the columns that a request wants; a type it leaves out is the declared one.
    pub(crate) fn wanted(&self, columns: Vec<proto::Column>) -> Result<Vec<Column>, RequestError> {
        if columns.len() > COLUMNS_MAX {
            return Err(RequestError::InvalidRequest(format!(
                "field `columns` names more than {COLUMNS_MAX} columns"
            )));
        }
        let mut seen = HashSet::with_capacity(columns.len());
        let mut wanted = Vec::with_capacity(columns.len());
        for column in columns {
            if !seen.insert(column.name.clone()) {
                return Err(RequestError::InvalidRequest(format!(
                    "field `columns` names \"{}\" twice",
                    column.name
                )));
            }
            wanted.push(match column.r#type.as_str() {
                "" => self.column(column.name),
                _ => Column::try_from(column)?,
            });
        }
        Ok(wanted)
    }

    /// Refuses wanted columns that the dataset does not have.
    pub(crate) fn check_wanted(
        &self,
        wanted: &[Column],
        available: &[Column],
    ) -> Result<(), RequestError> {
        let names: Vec<&str> = available.iter().map(|column| column.name.as_str()).collect();
        match missing(wanted, &names) {
            None => Ok(()),
            Some((column, hint)) => {
                let dataset = self.name.to_string();
                Err(RequestError::ColumnNotInDataset { dataset, column, hint })
            }
        }
    }
}

/// When a file must have changed last, in nanoseconds since 1970, to be as old as `min_age`.
pub(crate) fn settled_nanos(now: SystemTime, min_age: Duration) -> i64 {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.saturating_sub(min_age).as_nanos()).unwrap_or(i64::MAX)
}

/// When the newest of some files changed last, as many as are asked for their names.
fn newest_since(sources: &[SourceFile]) -> i64 {
    let mut times: Vec<i64> =
        sources.iter().map(|source| source.stamp.modified_unix_nanos).collect();
    times.sort_unstable_by(|one, other| other.cmp(one));
    times.get(NAMING_FILES_MAX - 1).copied().unwrap_or(i64::MIN)
}

/// Refuses wanted columns that the header of a file does not have.
pub(crate) fn check_header(
    file: &str,
    names: &[String],
    wanted: &[Column],
) -> Result<(), RequestError> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match missing(wanted, &names) {
        None => Ok(()),
        Some((column, hint)) => {
            Err(RequestError::ColumnNotInFile { file: file.to_owned(), column, hint })
        }
    }
}

/// The first wanted column that is not among the names, and what may have been meant.
fn missing(wanted: &[Column], names: &[&str]) -> Option<(String, String)> {
    let known: HashSet<&str> = names.iter().copied().collect();
    let column = wanted.iter().find(|column| !known.contains(column.name.as_str()))?;
    let nearest = nearest(&column.name, names.iter().copied());
    Some((column.name.clone(), hint(nearest)))
}

#[cfg(test)]
pub(crate) mod tests;
