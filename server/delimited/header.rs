//! Turns the start of a file into the names of its columns and the place of its first record.
//!
//! Invariants: the names differ from each other; no error shows one, because
//! the first line of a file without a header holds values.

use std::collections::{HashMap, HashSet};
use std::io::{self, ErrorKind, Read};

use encoding_rs::Encoding;
use ferry::position::Position;
use ferry::reject::Code;
use ferry::values::utf8;
use ferry::wire::COLUMNS_MAX;
use memchr::memchr2;

use super::decode::{BEGINNING_BYTES, MARK_BYTES};
use super::{BlankLines, DelimitedError, Layout, Record, RecordReader, TextInput, beginning};

/// What the beginning of a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// Names of the columns, in the order of the fields.
    pub(crate) names: Vec<String>,
    /// Place after the header, where the data begin.
    pub(crate) end: Position,
    /// Encoding of the file, as its byte order mark has it.
    pub(crate) encoding: &'static Encoding,
    /// Whether it has no line end yet, so that its last name may still grow.
    pub(crate) is_open: bool,
}

/// Reads the header of a file, at whose offset 0 `content` stands.
///
/// `None` if it is not there yet: too few records for it, or fewer lines than
/// are to be skipped.
pub(crate) fn read_header<R: Read>(
    mut content: R,
    layout: &Layout,
) -> Result<Option<Header>, DelimitedError> {
    let first = first_bytes(&mut content)?;
    let found = beginning(&first, layout.encoding).map_err(DelimitedError::BadHeader)?;
    let mark_bytes = usize::try_from(found.mark_bytes).unwrap_or(usize::MAX).min(first.len());
    let behind_mark = &first[mark_bytes..];
    let input = TextInput::new(behind_mark.chain(content), found.encoding, found.mark_bytes);

    let mut dialect = layout.dialect.clone();
    // Wherever blank lines are rows, those before the names are none.
    dialect.blank_lines = BlankLines::Skip;
    let start = Position { byte_offset: found.mark_bytes, row_number: 0 };
    let mut records = RecordReader::new(input, &dialect, None, start, u64::MAX);
    if layout.skip_rows > 0 && !records.skip_lines(layout.skip_rows)? {
        return Ok(None);
    }
    let mut byte_offset = records.position().byte_offset;
    let mut columns = ColumnParts::default();
    let mut is_open = false;
    for _ in 0..layout.header_rows {
        let Some(record) = records.next()? else {
            return Ok(None);
        };
        columns.add(&record, layout, found.encoding)?;
        byte_offset = record.place().byte_end;
        is_open = record.is_open();
    }
    let names = columns.names(layout)?;
    let end = Position { byte_offset, row_number: 0 };
    Ok(Some(Header { names, end, encoding: found.encoding, is_open }))
}

/// The first bytes of content, as many as it gives at once: behind them an
/// archive may break off.
fn first_bytes(content: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut first = vec![0; BEGINNING_BYTES];
    let mut length = 0;
    while length < MARK_BYTES {
        match content.read(&mut first[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    first.truncate(length);
    Ok(first)
}

/// For each column, the parts of its name in the rows of the header.
#[derive(Default)]
struct ColumnParts(Vec<Vec<String>>);

impl ColumnParts {
    /// Takes one more row of the header.
    fn add(
        &mut self,
        record: &Record<'_>,
        layout: &Layout,
        encoding: &'static Encoding,
    ) -> Result<(), DelimitedError> {
        if let Some(code) = record.damage() {
            return Err(bad(repair(&code)));
        }
        check_count(record.len())?;
        if self.0.len() < record.len() {
            self.0.resize_with(record.len(), Vec::new);
        }
        if layout.names.is_some() {
            return Ok(());
        }
        for (index, parts) in self.0.iter_mut().enumerate().take(record.len()) {
            if !record.is_quoted(index) && memchr2(b'\n', b'\r', record.field(index)).is_some() {
                let number = index + 1;
                return Err(bad(format!(
                    "the name of column {number} holds a line end: look at `terminator` and `encoding`"
                )));
            }
            let part = part(record.field(index), index + 1, encoding)?;
            if !part.is_empty() && !parts.iter().any(|known| known == part) {
                parts.push(part.to_owned());
            }
        }
        Ok(())
    }

    /// The names: those of the layout, or else the parts of each, joined.
    fn names(&self, layout: &Layout) -> Result<Vec<String>, DelimitedError> {
        let names = match &layout.names {
            Some(names) if layout.header_rows > 0 && names.len() != self.0.len() => {
                let (count, listed) = (self.0.len(), names.len());
                return Err(bad(format!(
                    "it has {count} columns, but `columns` names {listed}: name every one of them"
                )));
            }
            Some(names) => names.clone(),
            None if layout.header_rows == 0 => {
                return Err(bad("nothing names its columns: list them in `columns`"));
            }
            None => {
                let mut names: Vec<String> = self.0.iter().map(|parts| parts.join("_")).collect();
                name_the_nameless(&mut names);
                names
            }
        };
        check_count(names.len())?;
        check_unique(&names)?;
        Ok(names)
    }
}

/// The text of one field of a header.
fn part<'a>(
    field: &'a [u8],
    number: usize,
    encoding: &'static Encoding,
) -> Result<&'a str, DelimitedError> {
    utf8(field).map_err(|code| {
        bad(if code == Code::NUL_BYTE {
            format!(
                "the name of column {number} holds a NUL byte: if the file is UTF-16, set `encoding` to \"utf-16le\" or \"utf-16be\""
            )
        } else {
            let encoding = encoding.name();
            format!(
                "the name of column {number} is not {encoding}: set `encoding` to the encoding of the file"
            )
        })
    })
}

/// What to do about a header that is damaged.
fn repair(code: &Code) -> &'static str {
    if *code == Code::STRAY_QUOTE {
        "it has a quote inside a name, or behind the closing one: double it, or set `stray_quotes` to \"keep\""
    } else if *code == Code::UNCLOSED_QUOTE {
        "it has a quote that is never closed: close it, or switch quoting off with `quote = \"\"`"
    } else if *code == Code::FIELD_TOO_LARGE {
        "one of its names is longer than `max_field`: look for a quote that is never closed and check `delimiter`"
    } else {
        "its first record is longer than `max_record`: check `delimiter`, `terminator` and `encoding`"
    }
}

fn check_count(count: usize) -> Result<(), DelimitedError> {
    if count > COLUMNS_MAX {
        return Err(bad(format!("it has {count} columns, but at most {COLUMNS_MAX} are read")));
    }
    Ok(())
}

fn check_unique(names: &[String]) -> Result<(), DelimitedError> {
    let mut numbers = HashMap::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let number = index + 1;
        if let Some(earlier) = numbers.insert(name.as_str(), number) {
            return Err(bad(format!(
                "columns {earlier} and {number} have the same name: rename one of them, or name all columns in `columns`"
            )));
        }
    }
    Ok(())
}

/// Names columns without a name after their numbers.
fn name_the_nameless(names: &mut [String]) {
    let mut taken: HashSet<String> = names.iter().cloned().collect();
    for (index, name) in names.iter_mut().enumerate() {
        if name.is_empty() {
            *name = free_name(index + 1, &taken);
            taken.insert(name.clone());
        }
    }
}

fn free_name(number: usize, taken: &HashSet<String>) -> String {
    let plain = format!("column_{number}");
    let mut name = plain.clone();
    let mut attempt = 1;
    while taken.contains(&name) {
        attempt += 1;
        name = format!("{plain}_{attempt}");
    }
    name
}

fn bad(text: impl Into<String>) -> DelimitedError {
    DelimitedError::BadHeader(text.into())
}

#[cfg(test)]
mod tests {
    use super::super::StrayQuotes;
    use super::*;

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn find(file: &[u8], layout: &Layout) -> Result<Option<Header>, String> {
        read_header(file, layout).map_err(|error| error.to_string())
    }

    fn header(file: &[u8]) -> Result<Header, String> {
        find(file, &Layout::default()).map(|header| header.expect("a header"))
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

        let mut layout = Layout::default();
        layout.dialect.blank_lines = BlankLines::Row;
        assert_eq!(find(file, &layout).unwrap().expect("a header").end.byte_offset, 11);
    }

    #[test]
    fn a_mark_says_which_utf_16_it_is() {
        let layout = Layout { encoding: encoding_rs::UTF_16LE, ..Layout::default() };
        let file = b"\xFF\xFEa\0,\0\xE9\0\r\0\n\x001\0";
        let header = find(file, &layout).unwrap().expect("a header");
        assert_eq!(header.names, ["a", "é"]);
        assert_eq!((header.end.byte_offset, header.encoding), (12, encoding_rs::UTF_16LE));
        assert!(find(file, &Layout::default()).is_err());
    }

    #[test]
    fn a_file_in_another_encoding_than_declared_is_no_header() {
        for names in [None, Some(named(&["a", "b"]))] {
            let layout = Layout { encoding: encoding_rs::UTF_16LE, names, ..Layout::default() };
            let error = find(b"id,name\n1,x\n", &layout).unwrap_err();
            assert!(error.contains("set encoding = \"utf-8\""), "{error}");
        }
        assert!(header(b"PK\x03\x04\x14\0").unwrap_err().contains("a zip archive"));
    }

    #[test]
    fn headers_without_use_are_refused() {
        for file in [&b""[..], b"\r\n\n", b"\xEF\xBB\xBF\n"] {
            assert_eq!(find(file, &Layout::default()), Ok(None));
        }
        assert!(header(b"a,\xFF\n").unwrap_err().contains("column 2 is not UTF-8: set `encoding`"));
        assert!(header(b"a,b\0\n").unwrap_err().contains("column 2 holds a NUL"));
        assert!(header(&[b','; 1600]).unwrap_err().contains("1601 columns"));
        assert!(header(b"a,b\"c\n").unwrap_err().contains("`stray_quotes`"));
        assert!(header(b"a,\"b").unwrap_err().contains("never closed"));
    }

    #[test]
    fn equal_names_are_told_by_number_alone() {
        let error = header(b"4711,b,4711\n").unwrap_err();
        assert!(error.contains("columns 1 and 3"), "{error}");
        assert!(!error.contains("4711"), "{error}");
    }

    #[test]
    fn nameless_columns_are_named_after_their_numbers() {
        let names = |file: &[u8]| header(file).unwrap().names;
        assert_eq!(names(b"a,,\"\"\n"), ["a", "column_2", "column_3"]);
        assert_eq!(names(b",column_1,column_1_2\n"), ["column_1_3", "column_1", "column_1_2"]);
    }

    #[test]
    fn quotes_in_names_may_be_kept() {
        let mut layout = Layout::default();
        layout.dialect.stray_quotes = StrayQuotes::Keep;
        assert_eq!(find(b"a\"b\n", &layout).unwrap().expect("a header").names, ["a\"b"]);
    }

    #[test]
    fn the_rows_of_a_header_are_joined() {
        let layout = Layout { skip_rows: 1, header_rows: 2, ..Layout::default() };
        let file = b"report, of \"may\na,name,name,\n\nid,first,last,id,note\n1,2,3,4,5\n";
        let header = find(file, &layout).unwrap().expect("a header");
        assert_eq!(header.names, ["a_id", "name_first", "name_last", "id", "note"]);
        assert_eq!(&file[usize::try_from(header.end.byte_offset).unwrap()..], b"1,2,3,4,5\n");

        let header = find(b"x\nid,a\nid,\n", &layout).unwrap().expect("a header");
        assert_eq!(header.names, ["id", "a"]);
        for file in [&b""[..], b"x\n", b"x\na,b\n"] {
            assert_eq!(find(file, &layout), Ok(None));
        }
    }

    #[test]
    fn without_a_header_the_data_begin_behind_what_is_skipped() {
        let names = Some(named(&["a", "b"]));
        let layout = Layout { header_rows: 0, names, ..Layout::default() };
        for (file, end) in [(&b""[..], 0), (b"1,2\n", 0), (b"\xEF\xBB\xBF1,2\n", 3)] {
            let header = find(file, &layout).unwrap().expect("a header");
            assert_eq!(header.names, ["a", "b"]);
            assert_eq!(header.end.byte_offset, end);
        }
        let skipping = Layout { skip_rows: 2, ..layout.clone() };
        assert_eq!(find(b"x\n", &skipping), Ok(None));
        let header = find(b"x\n\r\n1,2\n", &skipping).unwrap().expect("a header");
        assert_eq!(header.end, Position { byte_offset: 4, row_number: 0 });
        assert!(find(b"1\n", &Layout { names: None, ..layout }).unwrap_err().contains("`columns`"));
    }

    #[test]
    fn names_of_the_layout_replace_those_of_the_file() {
        let layout = Layout { names: Some(named(&["a", "b"])), ..Layout::default() };
        let header = find(b"x,\xFF\n1,2\n", &layout).unwrap().expect("a header");
        assert_eq!(header.names, ["a", "b"]);
        assert_eq!(header.end.byte_offset, 4);
        let error = find(b"x,y,z\n", &layout).unwrap_err();
        assert!(error.contains("it has 3 columns, but `columns` names 2"), "{error}");
        let twice = Layout { names: Some(named(&["a", "a"])), ..Layout::default() };
        assert!(find(b"x,y\n", &twice).unwrap_err().contains("columns 1 and 2"));
    }

    #[test]
    fn a_line_end_inside_a_bare_name_is_told() {
        let mut layout = Layout::default();
        layout.dialect.terminator = super::super::Terminator::Lf;
        let refused = find(b"id,mail\r1,a\r", &layout).expect_err("it is refused");
        assert!(refused.contains("column 2 holds a line end: look at `terminator`"), "{refused}");
        assert!(find(b"id,\"e\nmail\"\n", &layout).is_ok());
    }
}
