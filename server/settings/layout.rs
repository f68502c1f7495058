//! Turns the keys of a `[[dataset]]` that say how its files are laid out into a layout.

use encoding_rs::{Encoding, REPLACEMENT, X_USER_DEFINED};
use ferry::host::settings::nearest;
use toml::Value;

use crate::delimited::{Delimiter, Dialect, Layout, Ragged};
use crate::settings::dataset::RawDataset;
use crate::settings::dialect::{check_delimiter, delimiter, dialect};
use crate::settings::words::{guess, kind, one_of, within};

const RAGGED: [(&str, Ragged); 2] = [("quarantine", Ragged::Refuse), ("pad", Ragged::Pad)];
const HEADER_ROWS_MAX: i64 = 100;
/// Records that may be the footer are held while the file is read.
const FOOTER_MAX: u32 = 1000;
const OTHER_DELIMITERS_MAX: usize = 8;

/// Labels that are offered in place of one that is not known.
///
/// Without code pages whose names differ from others in a digit alone: a wrong
/// guess would be readable, and wrong.
const LABELS: [&str; 37] = [
    "utf-8",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "ascii",
    "latin1",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "windows-1258",
    "cp1250",
    "cp1251",
    "cp1252",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-5",
    "iso-8859-7",
    "iso-8859-8",
    "iso-8859-9",
    "iso-8859-15",
    "iso-8859-16",
    "macintosh",
    "koi8-r",
    "koi8-u",
    "ibm866",
    "shift_jis",
    "euc-jp",
    "iso-2022-jp",
    "euc-kr",
    "big5",
    "gbk",
    "gb18030",
];

/// Reads the layout of a dataset; `names` are those of a list in `columns`.
pub(super) fn layout(raw: &RawDataset, names: Option<Vec<String>>) -> Result<Layout, String> {
    let usual = Layout::default();
    let dialect = dialect(raw)?;
    let header_rows = header_rows(raw.header.as_ref())?;
    if header_rows == 0 && names.is_none() {
        return Err(
            "header = false, but nothing names the columns: write columns as a list, such as columns = [\"id\", { name = \"born\", type = \"date\" }]"
                .to_owned(),
        );
    }
    Ok(Layout {
        other_delimiters: other_delimiters(raw, &dialect)?,
        dialect,
        encoding: match &raw.encoding {
            None => usual.encoding,
            Some(label) => encoding(label)?,
        },
        skip_rows: raw.skip_rows,
        header_rows,
        names,
        skip_footer: within("skip_footer", raw.skip_footer, &(0..=FOOTER_MAX))?,
        ragged: match &raw.ragged {
            None => usual.ragged,
            Some(word) => one_of("ragged", word, &RAGGED)?,
        },
    })
}

fn header_rows(header: Option<&Value>) -> Result<u32, String> {
    let table = match header {
        None | Some(Value::Boolean(true)) => return Ok(1),
        Some(Value::Boolean(false)) => return Ok(0),
        Some(Value::Table(table)) => table,
        Some(value) => {
            return Err(format!("header is {}: write true, false or {{ rows = 2 }}", kind(value)));
        }
    };
    if let Some(key) = table.keys().find(|key| *key != "rows") {
        return Err(format!("header has no key \"{key}\": {}", guess(key, &["rows"])));
    }
    let Some(Value::Integer(rows)) = table.get("rows") else {
        return Err("header.rows must be a number: write { rows = 2 }".to_owned());
    };
    if *rows == 0 {
        return Err(
            "header.rows = 0: write header = false, and name the columns in a list".to_owned()
        );
    }
    let rows = within("header.rows", *rows, &(1..=HEADER_ROWS_MAX))?;
    u32::try_from(rows).map_err(|error| format!("header.rows = {rows}: {error}"))
}

fn other_delimiters(raw: &RawDataset, dialect: &Dialect) -> Result<Vec<Delimiter>, String> {
    const KEY: &str = "other_delimiters";
    let texts = raw.other_delimiters.as_deref().unwrap_or_default();
    if texts.len() > OTHER_DELIMITERS_MAX {
        return Err(format!("{KEY} has {} delimiters: write at most 8", texts.len()));
    }
    let mut others = Vec::with_capacity(texts.len());
    for text in texts {
        let other = delimiter(KEY, text)?;
        check_delimiter(KEY, &other, dialect)?;
        if other == dialect.delimiter {
            return Err(format!("{KEY} has {text:?}, which is the delimiter: remove it there"));
        }
        if others.contains(&other) {
            return Err(format!("{KEY} has {text:?} twice: remove one of them"));
        }
        others.push(other);
    }
    Ok(others)
}

fn encoding(label: &str) -> Result<&'static Encoding, String> {
    match Encoding::for_label(label.as_bytes()) {
        Some(found) if found != REPLACEMENT && found != X_USER_DEFINED => Ok(found),
        Some(_) => Err(format!(
            "encoding = {label:?} cannot be read: convert the files, to UTF-8 if you can"
        )),
        None => Err(format!("encoding = {label:?} is not known: {}", label_hint(label))),
    }
}

fn label_hint(label: &str) -> String {
    let digits = |label: &str| -> String { label.chars().filter(char::is_ascii_digit).collect() };
    let label = label.to_ascii_lowercase();
    let candidates = LABELS.into_iter().filter(|known| digits(known) == digits(&label));
    match nearest(&label, candidates) {
        Some(known) => format!("did you mean \"{known}\"?"),
        None => "write one of https://encoding.spec.whatwg.org/#names-and-labels, such as \"windows-1252\", or convert the files to UTF-8"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_that_is_offered_is_known() {
        for label in LABELS {
            assert!(encoding(label).is_ok(), "{label}");
        }
    }

    #[test]
    fn encodings_are_found_by_their_labels() {
        let name = |label| encoding(label).map(Encoding::name);
        assert_eq!(name("UTF-8"), Ok("UTF-8"));
        assert_eq!(name("latin1"), Ok("windows-1252"));
        assert_eq!(name("utf-16"), Ok("UTF-16LE"));
        assert_eq!(name("shift-jis"), Ok("Shift_JIS"));
    }

    #[test]
    fn a_label_that_is_not_known_gets_the_nearest_with_the_same_digits() {
        let refusal = |label| encoding(label).expect_err("it is refused");
        for (label, meant) in [
            ("latin-1", "latin1"),
            ("utf-8-sig", "utf-8"),
            ("Windows1252", "windows-1252"),
            ("shift jis", "shift_jis"),
        ] {
            let refusal = refusal(label);
            assert!(refusal.ends_with(&format!("did you mean \"{meant}\"?")), "{refusal}");
        }
        for label in ["cp850", "ibm850", "utf-32", "ebcdic", "utf-7", ""] {
            let refusal = refusal(label);
            assert!(refusal.contains("convert the files"), "{refusal}");
        }
    }

    #[test]
    fn encodings_that_decode_nothing_are_refused() {
        for label in ["replacement", "iso-2022-kr", "x-user-defined"] {
            let refusal = encoding(label).expect_err("it is refused");
            assert!(refusal.contains("cannot be read"), "{refusal}");
        }
    }
}
