//! Makes contents of random records, and says what must become of them.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::Reasons;

/// Columns whose names can be had in several ways.
pub(super) const COLUMNS: [(&str, &str); 6] = [
    ("a", "text"),
    ("a_b", "text"),
    ("b", "jsonb"),
    ("a_a", "jsonb"),
    ("_a", "text"),
    ("é_", "text"),
];

/// Where the records of a document are.
pub(super) const POINTER: &str = "/data/1/items";

const KEYS: [&str; 6] = ["a", "b", "a_b", "", "é", "a_a"];
const TEXTS: [&str; 8] = ["", "x", "NA", "a\"\\/b", "\n\t", "😀é", "],}{[", "\u{FEFF}:,"];
const SPACES: [&str; 5] = ["", "", " ", "\t \r", "\n"];

/// How a content is written.
#[derive(Debug, Clone)]
pub(super) struct Style {
    /// White space, of which the next is taken at each place where it may be.
    spaces: Vec<&'static str>,
    /// Whether every character is an escape.
    escapes: bool,
    has_mark: bool,
}

pub(super) fn styles() -> impl Strategy<Value = Style> {
    let spaces = prop::collection::vec(prop::sample::select(SPACES.to_vec()), 0..7);
    (spaces, any::<bool>(), any::<bool>()).prop_map(|(spaces, escapes, has_mark)| Style {
        spaces,
        escapes,
        has_mark,
    })
}

pub(super) fn records() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(values(), 0..8)
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(TEXTS.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        let keys = prop::sample::select(KEYS.to_vec()).prop_map(str::to_owned);
        let members = prop::collection::vec((keys, inner.clone()), 0..5);
        let object = members.prop_map(|members| Value::Object(members.into_iter().collect()));
        prop_oneof![1 => prop::collection::vec(inner, 0..3).prop_map(Value::Array), 4 => object]
    })
}

/// A document with the records at [`POINTER`], and more around them.
pub(super) fn document(records: &[Value], style: &Style) -> String {
    let mut writer = Writer::new(style, "");
    writer.text.push_str(r#"{"x":[{"data":"]}"}],"data":["#);
    writer.space();
    writer.text.push_str(r#"{"items":[0]},{"items":"#);
    writer.space();
    writer.value(&Value::Array(records.to_vec()));
    writer.space();
    writer.text.push_str(r#","more":[7]}],"y":{}}"#);
    writer.space();
    writer.text
}

/// A record a line, and blank lines between them.
pub(super) fn lines(records: &[Value], style: &Style) -> String {
    let mut writer = Writer::new(style, "\n");
    for record in records {
        writer.blank_line();
        writer.value(record);
        writer.space();
        writer.text.push('\n');
    }
    writer.blank_line();
    writer.text
}

struct Writer<'a> {
    text: String,
    style: &'a Style,
    /// How many pieces of white space were taken.
    taken: usize,
    /// White space that is left out between the parts of a record.
    forbidden: &'static str,
}

impl<'a> Writer<'a> {
    fn new(style: &'a Style, forbidden: &'static str) -> Self {
        let text = if style.has_mark { "\u{FEFF}".to_owned() } else { String::new() };
        Self { text, style, taken: 0, forbidden }
    }

    fn next_space(&mut self) -> &'static str {
        let spaces = &self.style.spaces;
        self.taken += 1;
        if spaces.is_empty() { "" } else { spaces[self.taken % spaces.len()] }
    }

    fn space(&mut self) {
        let space = self.next_space();
        if space != self.forbidden {
            self.text.push_str(space);
        }
    }

    fn blank_line(&mut self) {
        let space = self.next_space();
        self.text.push_str(space);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Array(elements) => {
                self.text.push('[');
                self.space();
                for (index, element) in elements.iter().enumerate() {
                    self.comma(index);
                    self.value(element);
                    self.space();
                }
                self.text.push(']');
            }
            Value::Object(members) => {
                self.text.push('{');
                self.space();
                for (index, (key, member)) in members.iter().enumerate() {
                    self.comma(index);
                    self.string(key);
                    self.space();
                    self.text.push(':');
                    self.space();
                    self.value(member);
                    self.space();
                }
                self.text.push('}');
            }
            Value::String(text) => self.string(text),
            word => self.text.push_str(&word.to_string()),
        }
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.text.push(',');
            self.space();
        }
    }

    fn string(&mut self, text: &str) {
        if self.style.escapes {
            let units: Vec<String> =
                text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            self.text.push('"');
            self.text.push_str(&units.concat());
            self.text.push('"');
        } else {
            self.text.push_str(&Value::from(text).to_string());
        }
    }
}

/// What must become of a record in [`COLUMNS`], told from its value alone.
pub(super) fn expected(record: &Value) -> Result<Vec<Option<Value>>, Reasons> {
    let Value::Object(members) = record else {
        return Err(vec![("not_an_object".to_owned(), None)]);
    };
    let mut flat = Vec::new();
    flatten("", members, &mut flat);
    let mut values = Vec::new();
    let mut reasons = Vec::new();
    for (column, type_name) in COLUMNS {
        let mut found = flat.iter().filter(|(name, _)| name == column).map(|(_, value)| *value);
        let (first, second) = (found.next(), found.next());
        let is_nested = matches!(first, Some(Value::Array(_) | Value::Object(_)));
        let code = match second {
            Some(_) => Some("duplicate_field"),
            None if is_nested && type_name == "text" => Some("not_a_scalar"),
            None => None,
        };
        reasons.extend(code.map(|code| (code.to_owned(), Some(column.to_owned()))));
        let is_null = |value: &&Value| value.is_null() || value.as_str() == Some("NA");
        values.push(first.filter(|value| !is_null(value)).cloned());
    }
    if reasons.is_empty() { Ok(values) } else { Err(reasons) }
}

/// A row as it was read, in the terms of [`expected`].
pub(super) fn as_values(row: &[Option<String>]) -> Vec<Option<Value>> {
    let as_value = |(text, (_, type_name)): (&Option<String>, (&str, &str))| {
        let text = text.as_ref()?;
        let is_json = type_name == "jsonb";
        Some(if is_json { serde_json::from_str(text).unwrap() } else { Value::from(text.as_str()) })
    };
    row.iter().zip(COLUMNS).map(as_value).collect()
}

/// Values of text columns as the texts that columns hold.
pub(super) fn as_texts(values: Vec<Option<Value>>) -> Vec<Option<Value>> {
    let as_text = |(value, (_, type_name)): (Option<Value>, (&str, &str))| match value {
        Some(value @ (Value::Bool(_) | Value::Number(_))) if type_name == "text" => {
            Some(Value::from(value.to_string()))
        }
        value => value,
    };
    values.into_iter().zip(COLUMNS).map(as_text).collect()
}

fn flatten<'a>(prefix: &str, members: &'a Map<String, Value>, flat: &mut Vec<(String, &'a Value)>) {
    for (key, value) in members {
        let name = format!("{prefix}{key}");
        if let Value::Object(inner) = value {
            flatten(&format!("{name}_"), inner, flat);
        }
        flat.push((name, value));
    }
}
