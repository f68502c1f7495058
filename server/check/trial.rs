//! Tries the first records of a file, and says if none of them has a field for each column.

use crate::catalog::open_file::{Content, OpenFile};
use crate::delimited::{Dialect, Header, Layout, RecordReader, TextInput};
use crate::error::RequestError;

/// Most records that are tried.
const RECORDS_MAX: usize = 100;
/// Bytes of content behind which no record is tried.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A warning, if no delimiter of the dataset gives a right record among the first.
///
/// An archive may hold `expansion_max` times its size.
pub(super) fn misfit(
    layout: &Layout,
    expansion_max: u64,
    file: &OpenFile,
    header: &Header,
) -> Result<Option<String>, RequestError> {
    let mut tried = 0;
    for delimiter in std::iter::once(&layout.dialect.delimiter).chain(&layout.other_delimiters) {
        let dialect = Dialect { delimiter: delimiter.clone(), ..layout.dialect.clone() };
        let start = header.end.byte_offset;
        let content = file.content(start, file.stamp.size_bytes, expansion_max)?;
        let input = TextInput::new(content, header.encoding, start).without_footer(layout);
        match try_records(input, &dialect, file, header)? {
            Trial::Fits => return Ok(None),
            Trial::DoesNotFit { records } => tried = tried.max(records),
        }
    }
    if tried == 0 {
        return Ok(None);
    }
    let (name, fields) = (&file.name, header.names.len());
    let noun = if fields == 1 { "field" } else { "fields" };
    Ok(Some(format!(
        "file \"{name}\": no record of the first {tried} has {fields} {noun}: look at delimiter and quote, or run ferry-server inspect FILE"
    )))
}

/// What became of a trial.
enum Trial {
    /// A record has a field for each column.
    Fits,
    /// None of so many records has.
    DoesNotFit { records: usize },
}

/// `input` stands behind the header.
fn try_records(
    input: TextInput<Content>,
    dialect: &Dialect,
    file: &OpenFile,
    header: &Header,
) -> Result<Trial, RequestError> {
    let (start, fields) = (header.end, header.names.len());
    let end = start.byte_offset.saturating_add(BYTES_MAX);
    let mut reader = RecordReader::new(input, dialect, Some(fields), start, end);
    let mut records = 0;
    while records < RECORDS_MAX {
        let record = reader.next().map_err(|error| RequestError::of_file(&file.name, error))?;
        let Some(record) = record else {
            break;
        };
        if record.damage().is_none() && record.len() == fields {
            return Ok(Trial::Fits);
        }
        records += 1;
    }
    Ok(Trial::DoesNotFit { records })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::dataset::tests::dataset;
    use crate::catalog::format::FileHeader;
    use crate::delimited::Delimiter;

    /// The warning about a file with this content.
    fn warning(content: &str, layout: Layout) -> Option<String> {
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::write(folder.path().join("a.csv"), content).expect("file is written");
        let mut dataset = dataset(folder.path(), &[]);
        *dataset.layout_mut() = layout;
        let source = dataset.find("a.csv").expect("no error").expect("a file");
        let file = source.open().expect("file is there");
        let header = dataset.header(&file, file.stamp.size_bytes, &|| false).expect("readable");
        let Some(FileHeader::Delimited { layout, header }) = header else {
            panic!("no header");
        };
        misfit(layout, dataset.expansion_max, &file, &header).expect("readable")
    }

    fn delimiter(text: &str) -> Delimiter {
        text.parse().expect("a delimiter")
    }

    #[test]
    fn one_right_record_is_enough() {
        for content in ["a,b\n1\n2,3,4\n5,6\n", "a,b\n", "a,b", "a\n1\n"] {
            assert_eq!(warning(content, Layout::default()), None, "{content}");
        }
    }

    #[test]
    fn a_file_without_a_right_record_is_told() {
        let expected = |records: usize| {
            format!(
                "file \"a.csv\": no record of the first {records} has 2 fields: look at delimiter and quote, or run ferry-server inspect FILE"
            )
        };
        let default = Layout::default;
        assert_eq!(warning("a,b\n1;2\n", default()), Some(expected(1)));
        assert_eq!(warning("a,b\n1;2\n\n3,4,5\n", default()), Some(expected(2)));
        let long = format!("a,b\n{}1,2\n", "1;2\n".repeat(100));
        assert_eq!(warning(&long, default()), Some(expected(100)));
    }

    #[test]
    fn no_value_is_told() {
        let warning = warning("a,b\nsecret\n", Layout::default()).expect("a warning");
        assert!(!warning.contains("secret"), "{warning}");
    }

    #[test]
    fn another_delimiter_of_the_dataset_will_do() {
        let layout = Layout { other_delimiters: vec![delimiter(";")], ..Layout::default() };
        assert_eq!(warning("a,b\n1;2\n", layout.clone()), None);
        assert!(warning("a,b\n1|2\n", layout).is_some());
    }

    #[test]
    fn a_footer_is_no_record() {
        let layout = Layout { skip_footer: 1, ..Layout::default() };
        assert_eq!(warning("a,b\ntotal 0\n", layout.clone()), None);
        assert!(warning("a,b\n1;2\ntotal 1\n", layout).is_some());
    }
}
