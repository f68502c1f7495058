//! Turns the start of a file into the names of its columns and the place of its first record.
//!
//! Invariant: the names differ from each other.

use std::collections::HashSet;
use std::io::Read;

use ferry::position::Position;
use ferry::wire::COLUMNS_MAX;

use super::records::{Record, RecordReader};
use super::{DelimitedError, Dialect};

/// Byte order mark that some programs write before UTF-8.
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// What the first record of a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// Names of the columns, in the order of the fields.
    pub(crate) names: Vec<String>,
    /// Place after the header, where the data begin.
    pub(crate) end: Position,
}

/// Reads the header from the start of a file; `None` if there is no record yet.
pub(crate) fn read_header<R: Read>(
    mut input: R,
    dialect: Dialect,
) -> Result<Option<Header>, DelimitedError> {
    let mut lead = Vec::with_capacity(BOM.len());
    input.by_ref().take(BOM.len() as u64).read_to_end(&mut lead)?;
    let text = lead.strip_prefix(BOM).unwrap_or(&lead);
    let byte_offset = (lead.len() - text.len()) as u64;

    let start = Position { byte_offset, row_number: 0 };
    let mut records = RecordReader::new(text.chain(input), dialect, start);
    let Some(record) = records.next()? else {
        return Ok(None);
    };
    let end = Position { byte_offset: record.place().byte_end, row_number: 0 };
    Ok(Some(Header { names: names(&record)?, end }))
}

fn names(record: &Record<'_>) -> Result<Vec<String>, DelimitedError> {
    if record.len() > COLUMNS_MAX {
        let count = record.len();
        return Err(bad(format!("it has {count} columns, but at most {COLUMNS_MAX} are read")));
    }
    let mut names = Vec::with_capacity(record.len());
    for index in 0..record.len() {
        let Ok(name) = std::str::from_utf8(record.field(index)) else {
            let number = index + 1;
            return Err(bad(format!("the name of column {number} is not UTF-8: convert the file")));
        };
        names.push(name.to_owned());
    }
    let mut seen = HashSet::with_capacity(names.len());
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(name) => Err(bad(format!("it names column \"{name}\" twice: rename one of them"))),
        None => Ok(names),
    }
}

fn bad(text: impl Into<String>) -> DelimitedError {
    DelimitedError::BadHeader(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(file: &[u8]) -> Result<Header, String> {
        let header = read_header(file, Dialect::default()).map_err(|error| error.to_string());
        header.map(|header| header.expect("a header"))
    }

    fn end(file: &[u8]) -> u64 {
        header(file).unwrap().end.byte_offset
    }

    #[test]
    fn names_and_end_are_found_under_every_line_end() {
        assert_eq!(header(b"a,\"b,c\"\r\n1,2\r\n").unwrap().names, ["a", "b,c"]);
        assert_eq!(end(b"a,b\r\n1,2\r\n"), 5);
        assert_eq!(end(b"a,b\n\n1,2"), 4);
        assert_eq!(end(b"a,b\r1,2"), 4);
        assert_eq!(end(b"a,b"), 3);
    }

    #[test]
    fn a_bom_and_blank_lines_are_skipped_but_counted() {
        let file = b"\xEF\xBB\xBF\r\n\"a\",b\n1,2\n";
        assert_eq!(header(file).unwrap().names, ["a", "b"]);
        assert_eq!(end(file), 11);
        assert_eq!(header(b"\xEF\xBB").unwrap_err(), header(b"\xFF").unwrap_err());
    }

    #[test]
    fn headers_without_use_are_refused() {
        for file in [&b""[..], b"\r\n\n", b"\xEF\xBB\xBF\n"] {
            assert_eq!(read_header(file, Dialect::default()).expect("no error"), None);
        }
        assert!(header(b"a,\xFF\n").unwrap_err().contains("column 2 is not UTF-8"));
        assert!(header(b"a,b,a\n").unwrap_err().contains("\"a\" twice"));
        assert!(header(&[b','; 1600]).unwrap_err().contains("1601 columns"));
    }
}
