//! Says in the words of `server.toml` how a layout differs from the usual one.

use crate::delimited::{BlankLines, Dialect, Escape, Layout, Ragged, StrayQuotes, Terminator};

/// The settings that are not the usual ones, limits aside.
pub(super) fn special_settings(layout: &Layout) -> Vec<String> {
    let usual = Layout::default();
    let mut settings = special_dialect(&layout.dialect);
    if layout.encoding != usual.encoding {
        settings.push(format!("encoding = \"{}\"", layout.encoding.name()));
    }
    if layout.skip_rows != usual.skip_rows {
        settings.push(format!("skip_rows = {}", layout.skip_rows));
    }
    match layout.header_rows {
        0 => settings.push("header = false".to_owned()),
        1 => {}
        rows => settings.push(format!("header = {{ rows = {rows} }}")),
    }
    if layout.skip_footer != usual.skip_footer {
        settings.push(format!("skip_footer = {}", layout.skip_footer));
    }
    match layout.ragged {
        Ragged::Refuse => {}
        Ragged::Pad => settings.push("ragged = \"pad\"".to_owned()),
    }
    if !layout.other_delimiters.is_empty() {
        let others: Vec<String> = layout.other_delimiters.iter().map(ToString::to_string).collect();
        settings.push(format!("other_delimiters = {others:?}"));
    }
    settings
}

fn special_dialect(dialect: &Dialect) -> Vec<String> {
    let usual = Dialect::default();
    let mut settings = Vec::new();
    if dialect.delimiter != usual.delimiter {
        settings.push(format!("delimiter = {:?}", dialect.delimiter.to_string()));
    }
    if dialect.quote != usual.quote {
        settings.push(format!("quote = {:?}", text_of(dialect.quote)));
    }
    match dialect.escape {
        Escape::Byte(byte) => settings.push(format!("escape = {:?}", text_of(Some(byte)))),
        Escape::None if dialect.quote.is_some() => settings.push("escape = \"\"".to_owned()),
        Escape::Doubled | Escape::None => {}
    }
    if dialect.comment != usual.comment {
        settings.push(format!("comment = {:?}", dialect.comment));
    }
    match dialect.terminator {
        Terminator::Any => {}
        Terminator::Lf => settings.push("terminator = \"lf\"".to_owned()),
        Terminator::Crlf => settings.push("terminator = \"crlf\"".to_owned()),
        Terminator::Cr => settings.push("terminator = \"cr\"".to_owned()),
    }
    match dialect.blank_lines {
        BlankLines::Skip => {}
        BlankLines::Row => settings.push("blank_lines = \"row\"".to_owned()),
    }
    match dialect.stray_quotes {
        StrayQuotes::Refuse => {}
        StrayQuotes::Keep => settings.push("stray_quotes = \"keep\"".to_owned()),
    }
    if dialect.skips_spaces {
        settings.push("skip_initial_space = true".to_owned());
    }
    if dialect.has_trailing_delimiter {
        settings.push("trailing_delimiter = true".to_owned());
    }
    settings
}

/// An ASCII byte as text, nothing as the empty one.
fn text_of(byte: Option<u8>) -> String {
    byte.map(char::from).map(String::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_layout_is_not_special() {
        assert!(special_settings(&Layout::default()).is_empty());
    }

    #[test]
    fn what_is_special_is_said_as_it_is_written() {
        let dialect = Dialect {
            delimiter: "\t".parse().expect("a delimiter"),
            quote: Some(b'\''),
            escape: Escape::Byte(b'\\'),
            comment: "#".to_owned(),
            terminator: Terminator::Lf,
            blank_lines: BlankLines::Row,
            stray_quotes: StrayQuotes::Keep,
            skips_spaces: true,
            has_trailing_delimiter: true,
            ..Dialect::default()
        };
        let layout = Layout {
            dialect,
            encoding: encoding_rs::WINDOWS_1252,
            skip_rows: 2,
            header_rows: 2,
            skip_footer: 1,
            ragged: Ragged::Pad,
            other_delimiters: vec![";".parse().expect("a delimiter")],
            ..Layout::default()
        };
        let expected = [
            r#"delimiter = "\t""#,
            r#"quote = "'""#,
            r#"escape = "\\""#,
            r##"comment = "#""##,
            r#"terminator = "lf""#,
            r#"blank_lines = "row""#,
            r#"stray_quotes = "keep""#,
            "skip_initial_space = true",
            "trailing_delimiter = true",
            r#"encoding = "windows-1252""#,
            "skip_rows = 2",
            "header = { rows = 2 }",
            "skip_footer = 1",
            r#"ragged = "pad""#,
            r#"other_delimiters = [";"]"#,
        ];
        assert_eq!(special_settings(&layout), expected);
    }

    #[test]
    fn quoting_that_is_off_has_no_escape() {
        let dialect = Dialect { quote: None, escape: Escape::None, ..Dialect::default() };
        let layout = Layout { dialect, header_rows: 0, ..Layout::default() };
        assert_eq!(special_settings(&layout), [r#"quote = """#, "header = false"]);
    }
}
