//! Random ways to write a file: the settings of a dataset, and good files that are written so.

use std::fmt::Write as _;

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

use super::random::Random;

/// Columns of every file.
const NAMES: [&str; 8] = ["id", "name", "day", "amount", "flag", "at", "data", "note"];
/// Types of the columns, in several ways.
const COLUMNS: [&str; 4] = [
    "",
    "id = \"bigint\"\nday = \"date\"\namount = \"numeric(12,2)\"\nflag = \"boolean\"\nat = \"timestamptz\"\ndata = \"bytea\"\nnote = \"jsonb\"\n",
    "id = \"integer\"\nday = { type = \"date\", format = \"%d.%m.%Y\" }\namount = { type = \"numeric\", decimal = \",\", thousands = \".\", currency = [\"€\"], null = [\"NA\"] }\nflag = { type = \"boolean\", true = [\"ja\"], false = [\"nein\"] }\nat = { type = \"timestamptz\", format = \"%Y-%m-%d %H:%M:%S\", time_zone = \"Europe/Berlin\" }\ndata = { type = \"bytea\", format = \"hex\" }\n",
    "id = \"smallint\"\nname = \"uuid\"\nday = \"timestamp\"\namount = { type = \"double precision\", percent = \"fraction\" }\nat = \"time\"\ndata = { type = \"bytea\", format = \"base64\" }\nnote = \"varchar(5)\"\n",
];
/// Fields that are right for some type, and fields that are right for none.
const FIELDS: [&str; 40] = [
    "",
    "1",
    "42",
    "-7",
    "99999999999999999999",
    "Ada",
    "Zoë",
    "日本",
    "ß😀",
    "1815-12-10",
    "10.12.1815",
    "31.02.2024",
    "1.5",
    "1.234,50 €",
    "12.5%",
    "1e308",
    "1e400",
    "NaN",
    "-Infinity",
    "true",
    "ja",
    "nein",
    "2024-03-31 02:30:00",
    "2024-01-01T00:00:00Z",
    "infinity",
    "0001-01-01 BC",
    "\\x00ff",
    "00ff",
    "AP8=",
    "{\"a\": [1, null]}",
    "[[[[",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "NA",
    " x ",
    "a\"b",
    "a,b;c|d",
    "line\nline",
    "line\r\nline",
    "#",
    "\\",
];
const ENCODINGS: [&str; 14] = [
    "utf-8",
    "utf-8",
    "utf-8",
    "utf-8",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "windows-1252",
    "iso-8859-2",
    "shift_jis",
    "euc-kr",
    "big5",
    "gb18030",
    "iso-2022-jp",
];
const LINE_ENDS: [(&str, &str); 5] =
    [("any", "\n"), ("any", "\r\n"), ("lf", "\n"), ("crlf", "\r\n"), ("cr", "\r")];

/// How a file is written.
pub(super) struct Shape {
    delimiter: &'static str,
    quote: &'static str,
    escape: &'static str,
    comment: &'static str,
    terminator: &'static str,
    line_end: &'static str,
    encoding: &'static str,
    header_rows: usize,
    skip_rows: usize,
    skip_footer: usize,
    has_trailing_delimiter: bool,
    columns: &'static str,
    /// Further keys of the dataset, in lines of their own.
    more: String,
}

impl Shape {
    pub(super) fn random(random: &mut Random) -> Self {
        let quote = random.pick(&["\"", "\"", "\"", "\"", "'", ""]);
        let escape = match random.below(4) {
            0 => "\\",
            1 => "",
            _ => quote,
        };
        let (terminator, line_end) = random.pick(&LINE_ENDS);
        Self {
            delimiter: random.pick(&[",", ",", ";", "\t", "|", "||", ", ", "§", "\u{1}"]),
            quote,
            escape,
            comment: random.pick(&["", "", "", "#", "//"]),
            terminator,
            line_end,
            encoding: random.pick(&ENCODINGS),
            header_rows: random.pick(&[1, 1, 1, 0, 2]),
            skip_rows: random.pick(&[0, 0, 0, 2]),
            skip_footer: random.pick(&[0, 0, 0, 0, 1, 3]),
            has_trailing_delimiter: random.is_one_in(6),
            columns: random.pick(&COLUMNS),
            more: more(random),
        }
    }

    /// The settings of a server with one dataset of this shape.
    pub(super) fn settings(&self, name: &str, min_age: &str) -> String {
        let Self { delimiter, quote, escape, comment, terminator, encoding, .. } = self;
        let mut text = format!(
            "[[dataset]]\nname = \"{name}\"\nfiles = [\"*.csv\"]\nmin_age = \"{min_age}\"\n\
             delimiter = {}\nquote = {quote:?}\nescape = {escape:?}\ncomment = {comment:?}\n\
             terminator = {terminator:?}\nencoding = {encoding:?}\nskip_rows = {}\n\
             skip_footer = {}\ntrailing_delimiter = {}\n{}",
            toml_text(delimiter),
            self.skip_rows,
            self.skip_footer,
            self.has_trailing_delimiter,
            self.more,
        );
        let header = match self.header_rows {
            0 => format!("header = false\ncolumns = {NAMES:?}\n"),
            1 => format!("[dataset.columns]\n{}", self.columns),
            rows => format!("header = {{ rows = {rows} }}\n[dataset.columns]\n{}", self.columns),
        };
        text.push_str(&header);
        text
    }

    /// A file of this shape, with so many records.
    pub(super) fn file(&self, records: usize, random: &mut Random) -> Vec<u8> {
        let mut text = String::new();
        if self.encoding.starts_with("utf") && random.is_one_in(3) {
            text.push('\u{feff}');
        }
        for _ in 0..self.skip_rows {
            text.push_str("a report");
            text.push_str(self.line_end);
        }
        for _ in 0..self.header_rows {
            self.write_record(&mut text, &NAMES, random);
        }
        for _ in 0..records {
            let fields: Vec<&str> = NAMES.iter().map(|_| random.pick(&FIELDS)).collect();
            if !self.comment.is_empty() && random.is_one_in(9) {
                write!(text, "{} a comment{}", self.comment, self.line_end)
                    .expect("a text takes more");
            }
            self.write_record(&mut text, &fields, random);
        }
        for _ in 0..self.skip_footer {
            self.write_record(&mut text, &["total", "7"], random);
        }
        if random.is_one_in(4) {
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
        }
        self.encode(&text)
    }

    fn write_record(&self, text: &mut String, fields: &[&str], random: &mut Random) {
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                text.push_str(self.delimiter);
            }
            let is_special = field.contains(self.delimiter) || field.contains(['\r', '\n', '"']);
            if self.quote.is_empty() {
                text.push_str(field);
            } else if is_special || random.is_one_in(5) {
                let quote = if self.escape.is_empty() { "" } else { self.quote };
                let escaped = field.replace(self.quote, &[self.escape, quote].concat());
                text.push_str(self.quote);
                text.push_str(&escaped);
                text.push_str(self.quote);
            } else {
                text.push_str(field);
            }
        }
        if self.has_trailing_delimiter {
            text.push_str(self.delimiter);
        }
        text.push_str(self.line_end);
    }

    fn encode(&self, text: &str) -> Vec<u8> {
        let encoding = Encoding::for_label(self.encoding.as_bytes()).expect("a known encoding");
        if encoding == UTF_16LE {
            text.encode_utf16().flat_map(u16::to_le_bytes).collect()
        } else if encoding == UTF_16BE {
            text.encode_utf16().flat_map(u16::to_be_bytes).collect()
        } else {
            encoding.encode(text).0.into_owned()
        }
    }
}

fn more(random: &mut Random) -> String {
    let mut text = String::new();
    for line in [
        "blank_lines = \"row\"\n",
        "stray_quotes = \"keep\"\n",
        "skip_initial_space = true\n",
        "ragged = \"pad\"\n",
        "other_delimiters = [\"^\", \"~~\"]\n",
        "null = [\"NA\", \"-\"]\n",
        "max_record = \"1KiB\"\nmax_field = \"64\"\n",
    ] {
        if random.is_one_in(4) {
            text.push_str(line);
        }
    }
    text
}

/// A text as TOML has it.
fn toml_text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        write!(quoted, "\\u{:04x}", u32::from(char)).expect("a text takes more");
    }
    quoted.push('"');
    quoted
}
