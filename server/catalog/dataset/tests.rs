//! Datasets for tests, and what a dataset says of its columns.

use super::*;
use crate::catalog::files::FileSet;
use crate::delimited::Layout;
use crate::json::{Framing, JsonLayout};
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
        origin: files(&root, "*.csv"),
        format: Format::Delimited(Layout::default()),
        min_age: Duration::ZERO,
        expansion_max: EXPANSION_DEFAULT,
        declared: declared.iter().map(declare).collect(),
        nulls: nulls.clone(),
        names: NameCache::default(),
    }
}

fn files(root: &Path, pattern: &str) -> Origin {
    Origin::Files(FileSet::new(root, &[pattern.to_owned()]).expect("pattern is allowed"))
}

/// The dataset `customers` of all `*.json` in a folder, whose records a pointer names.
pub(crate) fn json_dataset(root: &Path, records: &str, declared: &[(&str, &str)]) -> Dataset {
    let framing = Framing::Document { records: records.parse().expect("a pointer") };
    json_dataset_of(root, framing, declared)
}

/// The same with records of another framing.
pub(crate) fn json_dataset_of(root: &Path, framing: Framing, declared: &[(&str, &str)]) -> Dataset {
    let real = root.canonicalize().expect("folder is there");
    let layout = JsonLayout { framing, ..JsonLayout::default() };
    Dataset {
        origin: files(&real, "*.json"),
        format: Format::Json(layout),
        ..dataset(root, declared)
    }
}

impl Dataset {
    /// The layout of delimited files.
    pub(crate) fn layout(&self) -> &Layout {
        match &self.format {
            Format::Delimited(layout) => layout,
            Format::Json(_) => panic!("dataset {} is not delimited", self.name),
        }
    }

    pub(crate) fn layout_mut(&mut self) -> &mut Layout {
        match &mut self.format {
            Format::Delimited(layout) => layout,
            Format::Json(_) => panic!("dataset {} is not delimited", self.name),
        }
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
    let columns = || dataset.columns(&dataset.sources().expect("files are listed"));
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
