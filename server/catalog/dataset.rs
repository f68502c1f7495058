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

use crate::catalog::files::{FileSet, SourceFile};
use crate::catalog::open_file::Stamp;
use crate::delimited::{Header, Layout, NullWords, WantedColumn};
use crate::error::{RequestError, hint};

/// Content may be so many times the size of its archive, unless the settings say otherwise.
pub(crate) const EXPANSION_DEFAULT: u64 = 200;

const NAME_BYTES_MAX: usize = 128;

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

/// A named table that lies in one or more files.
#[derive(Debug)]
pub(crate) struct Dataset {
    pub(crate) name: DatasetName,
    pub(crate) description: String,
    pub(crate) files: FileSet,
    pub(crate) layout: Layout,
    /// While a file has changed less than so long ago, its last record may
    /// still be written.
    pub(crate) min_age: Duration,
    /// Content may be so many times the size of its archive.
    pub(crate) expansion_max: u64,
    /// Columns by their names; one that is not here is text.
    pub(crate) declared: BTreeMap<String, DeclaredColumn>,
    /// Words that mean NULL in columns that are not declared.
    pub(crate) nulls: Arc<NullWords>,
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

    /// The dataset's columns: those of the first file with a usable header.
    ///
    /// A file without one does not hide the columns of the others.
    pub(crate) fn columns(&self, files: &[SourceFile]) -> Result<Vec<Column>, RequestError> {
        for source in files {
            let header =
                source.open().and_then(|file| file.read_header(&self.layout, self.expansion_max));
            match header {
                // The last name of an open header may still be written.
                Ok(Some(header)) if !header.is_open || self.is_settled(source.stamp) => {
                    return Ok(self.declare(&header.names));
                }
                Ok(_) => {}
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

/// Refuses wanted columns that the header of a file does not have.
pub(crate) fn check_header(
    file: &str,
    header: &Header,
    wanted: &[Column],
) -> Result<(), RequestError> {
    let names: Vec<&str> = header.names.iter().map(String::as_str).collect();
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
pub(crate) mod tests {
    use super::*;
    use std::path::Path;

    /// The dataset `customers` of all `*.csv` in a folder.
    pub(crate) fn dataset(root: &Path, declared: &[(&str, &str)]) -> Dataset {
        let root = root.canonicalize().expect("folder is there");
        let nulls = Arc::new(NullWords::new(Vec::new()));
        let declare = |(name, column_type): &(&str, &str)| {
            let column_type = column_type.parse().expect("type is known");
            let format = Arc::new(FieldFormat::default());
            ((*name).to_owned(), DeclaredColumn { column_type, format, nulls: nulls.clone() })
        };
        Dataset {
            name: "customers".parse().expect("name is allowed"),
            description: String::new(),
            files: FileSet::new(&root, &["*.csv".to_owned()]).expect("pattern is allowed"),
            layout: Layout::default(),
            min_age: Duration::ZERO,
            expansion_max: EXPANSION_DEFAULT,
            declared: declared.iter().map(declare).collect(),
            nulls: nulls.clone(),
        }
    }

    fn asked(name: &str, column_type: &str) -> proto::Column {
        proto::Column { name: name.to_owned(), r#type: column_type.to_owned() }
    }

    #[test]
    fn names_are_checked() {
        for name in ["customers", "a-1_b.c"] {
            assert!(name.parse::<DatasetName>().is_ok(), "{name}");
        }
        for name in ["", "Customers", "a/b", "ä", &"a".repeat(129)] {
            assert!(name.parse::<DatasetName>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_type_that_is_left_out_is_the_declared_one() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let dataset = dataset(folder.path(), &[("uid", "bigint")]);
        let wanted = dataset.wanted(vec![asked("uid", ""), asked("x", ""), asked("y", "date")]);
        let types: Vec<_> =
            wanted.expect("all is known").iter().map(|column| column.column_type).collect();
        assert_eq!(types, [ColumnType::Bigint, ColumnType::Text, ColumnType::Date]);
    }

    #[test]
    fn a_file_without_a_usable_header_does_not_hide_the_columns() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let write = |name: &str, content: &str| {
            std::fs::write(folder.path().join(name), content).expect("file is written");
        };
        let dataset = dataset(folder.path(), &[("uid", "bigint")]);
        let columns = || dataset.columns(&dataset.files.list().expect("files are listed"));
        assert!(columns().expect("no file").is_empty());
        write("a.csv", "");
        assert!(columns().expect("an empty file").is_empty());
        write("b.csv", "uid,uid\n");
        assert!(columns().expect("a bad header").is_empty());
        write("c.csv", "uid\n");
        let uid = Column { name: "uid".to_owned(), column_type: ColumnType::Bigint };
        assert_eq!(columns().expect("a header"), [uid]);
    }

    #[test]
    fn a_column_is_read_as_it_is_declared_whatever_type_is_asked() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut dataset = dataset(folder.path(), &[("uid", "bigint")]);
        dataset.nulls = Arc::new(NullWords::new(vec!["NA".to_owned()]));
        let asked = ["uid", "other"]
            .map(|name| Column { name: name.to_owned(), column_type: ColumnType::Text });
        let reading = dataset.reading(&asked);
        let columns: Vec<_> = reading.iter().map(|wanted| wanted.column.clone()).collect();
        assert_eq!(columns, asked);
        assert!(!reading[0].nulls.is_null(b"NA") && reading[1].nulls.is_null(b"NA"));
        assert!(reading.iter().all(|wanted| wanted.format.is_plain()));
    }

    #[test]
    fn columns_are_refused_with_a_reason() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let dataset = dataset(folder.path(), &[]);
        let refusal = |columns| dataset.wanted(columns).expect_err("it is refused").to_string();
        assert!(refusal(vec![asked("a", ""), asked("a", "")]).contains("\"a\" twice"));
        assert!(refusal(vec![asked("a", "int3")]).contains("unknown type \"int3\""));
        let many = (0..=COLUMNS_MAX).map(|index| asked(&index.to_string(), "")).collect();
        assert!(refusal(many).contains("more than 1600"));

        let wanted = dataset.wanted(vec![asked("emial", "")]).expect("types are known");
        let available = dataset.declare(&["uid".to_owned(), "email".to_owned()]);
        let error = dataset.check_wanted(&wanted, &available).expect_err("it is not there");
        assert_eq!(
            error.to_string(),
            "dataset \"customers\" has no column \"emial\": did you mean \"email\"?"
        );
    }
}
