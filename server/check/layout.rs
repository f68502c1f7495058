//! Says in the words of `server.toml` what a dataset is, and how its layout differs from the usual one.

use crate::catalog::dataset::Dataset;
use crate::catalog::format::Format;
use crate::catalog::origin::Origin;
use crate::delimited::{Layout, Ragged};
use crate::inspect::dialect_text::special_dialect;
use crate::inspect::toml_text::{string, strings};
use crate::json::{Framing, JsonLayout};

/// The settings of a dataset that are not the usual ones, limits aside. Of an
/// address, only host and path are told.
pub(super) fn settings_of(dataset: &Dataset) -> Vec<String> {
    let layout = match &dataset.format {
        Format::Delimited(layout) => return special_settings(layout),
        Format::Json(layout) => layout,
    };
    let mut settings = match &dataset.origin {
        Origin::Files(_) => vec!["kind = \"json\"".to_owned()],
        Origin::Api(api) => {
            vec!["kind = \"http_json\"".to_owned(), format!("url = {}", string(api.shown()))]
        }
    };
    settings.extend(framing(layout));
    settings
}

fn framing(layout: &JsonLayout) -> Option<String> {
    match &layout.framing {
        Framing::Lines => Some("format = \"ndjson\"".to_owned()),
        Framing::Document { records } => {
            let records = records.to_string();
            (!records.is_empty()).then(|| format!("records = {}", string(&records)))
        }
    }
}

/// The settings of delimited files that are not the usual ones.
fn special_settings(layout: &Layout) -> Vec<String> {
    let usual = Layout::default();
    let mut settings = special_dialect(&layout.dialect);
    if layout.encoding != usual.encoding {
        settings.push(format!("encoding = {}", string(layout.encoding.name())));
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
        let others = strings(others.iter().map(String::as_str));
        settings.push(format!("other_delimiters = {others}"));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delimited::{BlankLines, Delimiter, Dialect, Escape, StrayQuotes, Terminator};

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
            other_delimiters: [";", "\u{1}"]
                .map(|text| text.parse::<Delimiter>().expect("a delimiter"))
                .into(),
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
            r#"other_delimiters = [";", "\u0001"]"#,
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
