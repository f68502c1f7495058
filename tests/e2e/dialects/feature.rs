//! Turns `features.toml` into ways to write a CSV file, each with what must become of it.

use std::fmt::Write as _;

use serde::Deserialize;

/// A way to write a CSV file; what other readers need of it is left to `bench/dialects`.
#[derive(Debug, Deserialize)]
pub(super) struct Feature {
    /// Of the dataset, the file and the table.
    pub(super) name: String,
    /// In docs/csv.md.
    pub(super) title: String,
    file: Option<String>,
    hex: Option<String>,
    shown: Option<String>,
    /// Keys of the dataset.
    #[serde(default)]
    pub(super) ferry: String,
    /// What is stored, as PostgreSQL shows it.
    pub(super) rows: Vec<Vec<String>>,
    /// What is refused: number of the row, code, column.
    #[serde(default)]
    pub(super) rejects: Vec<String>,
    /// Reason of the file, if it cannot be read, or not to its end.
    pub(super) problem: Option<String>,
}

#[derive(Deserialize)]
struct Features {
    feature: Vec<Feature>,
}

/// All features, in the order of the page.
pub(super) fn features() -> Vec<Feature> {
    let features: Features = toml::from_str(include_str!("features.toml")).unwrap();
    features.feature
}

impl Feature {
    /// Bytes of the file.
    pub(super) fn content(&self) -> Vec<u8> {
        match (&self.file, &self.hex) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(digits)) => bytes(digits),
            _ => panic!("{}: either file or hex", self.name),
        }
    }

    /// What stands for the file in the page.
    pub(super) fn shown(&self) -> String {
        match (&self.shown, &self.file) {
            (Some(shown), _) => shown.clone(),
            (None, Some(text)) => code(&escaped(text)),
            (None, None) => panic!("{}: a file of bytes needs shown", self.name),
        }
    }

    /// What becomes of it, as the page tells.
    pub(super) fn told(&self) -> String {
        let mut results = vec![rows(&self.rows)];
        for reject in &self.rejects {
            let mut words = reject.split(' ');
            let (row, word) = (words.next().unwrap(), code(words.next().unwrap()));
            let column = words.next().map(|column| format!(" in {}", code(column)));
            results.push(format!("row {row} {word}{}", column.unwrap_or_default()));
        }
        results.extend(self.problem.as_deref().map(|word| format!("the file {}", code(word))));
        let settings = self.ferry.lines().filter(|line| !line.is_empty()).map(code);
        let settings: Vec<String> = settings.collect();
        let results = results.join(", ");
        if settings.is_empty() { results } else { format!("{}: {results}", settings.join(" ")) }
    }
}

fn bytes(digits: &str) -> Vec<u8> {
    let pairs = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn rows(rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return "no rows".to_owned();
    }
    let line = |row: &Vec<String>| {
        let fields: Vec<String> = row.iter().map(|value| field(value)).collect();
        code(&escaped(&fields.join(",")))
    };
    rows.iter().map(line).collect::<Vec<String>>().join(" ")
}

/// A field of canonical CSV, and NULL as a word.
fn field(value: &str) -> String {
    if value == crate::postgres::NULL {
        return "NULL".to_owned();
    }
    let is_bare = !value.is_empty()
        && !value.starts_with(' ')
        && !value.ends_with(' ')
        && !value.contains([',', '"', '\r', '\n']);
    if is_bare { value.to_owned() } else { format!("\"{}\"", value.replace('"', "\"\"")) }
}

/// Text on one line.
fn escaped(text: &str) -> String {
    let mut line = String::new();
    for sign in text.chars() {
        match sign {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            '\\' => line.push_str("\\\\"),
            '\u{feff}' => line.push_str("\\ufeff"),
            sign if u32::from(sign) < 32 => write!(line, "\\x{:02x}", u32::from(sign)).unwrap(),
            sign => line.push(sign),
        }
    }
    line
}

/// A span of code in a cell of a table.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}
