//! Says in the words of `server.toml` how a dialect differs from the usual one.
//!
//! Invariant: every line is TOML; limits aside, nothing is left out.

use super::toml_text::string;
use crate::delimited::{BlankLines, Dialect, Escape, StrayQuotes, Terminator};

/// The settings that are not the usual ones, limits aside.
pub(crate) fn special_dialect(dialect: &Dialect) -> Vec<String> {
    let usual = Dialect::default();
    let mut settings = Vec::new();
    if dialect.delimiter != usual.delimiter {
        settings.push(format!("delimiter = {}", string(&dialect.delimiter.to_string())));
    }
    if dialect.quote != usual.quote {
        settings.push(format!("quote = {}", string(&text_of(dialect.quote))));
    }
    match dialect.escape {
        Escape::Byte(byte) => settings.push(format!("escape = {}", string(&text_of(Some(byte))))),
        Escape::None if dialect.quote.is_some() => settings.push("escape = \"\"".to_owned()),
        Escape::Doubled | Escape::None => {}
    }
    if dialect.comment != usual.comment {
        settings.push(format!("comment = {}", string(&dialect.comment)));
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
pub(super) fn text_of(byte: Option<u8>) -> String {
    byte.map(char::from).map(String::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_toml() {
        let dialect = Dialect {
            delimiter: "\u{1}".parse().expect("a delimiter"),
            quote: Some(b'\''),
            escape: Escape::None,
            comment: "\"\\".to_owned(),
            ..Dialect::default()
        };
        let lines = special_dialect(&dialect);
        let table: toml::Table = toml::from_str(&lines.join("\n")).expect("it is TOML");
        let said = |key: &str| table[key].as_str().expect("a text").to_owned();
        assert_eq!([said("delimiter"), said("quote")], ["\u{1}", "'"]);
        assert_eq!([said("escape"), said("comment")], ["", "\"\\"]);
        assert_eq!(table.len(), 4);
    }
}
