//! Turns PostgreSQL's texts into the JSON of a record.
//!
//! Only what JSON holds without loss of what people expect becomes a number:
//! `numeric` stays text, since its digits would be lost.

use serde_json::{Map, Number, Value};

use super::{JsonKind, ServedColumn};

/// The record of a row: each column that is shown, NULL as null.
pub(crate) fn to_json(
    columns: &[ServedColumn],
    fields: &[(String, Option<String>)],
) -> Map<String, Value> {
    let mut record = Map::new();
    for column in columns {
        let field = fields.iter().find(|(name, _)| *name == column.name);
        let text = field.and_then(|(_, text)| text.as_deref());
        record
            .insert(column.name.clone(), text.map_or(Value::Null, |text| value(column.kind, text)));
    }
    record
}

fn value(kind: JsonKind, text: &str) -> Value {
    let as_text = || Value::from(text);
    match kind {
        JsonKind::Text => as_text(),
        JsonKind::Boolean => match text {
            "true" | "t" => Value::Bool(true),
            "false" | "f" => Value::Bool(false),
            _ => as_text(),
        },
        // Infinity and NaN are no numbers of JSON.
        JsonKind::Number => {
            serde_json::from_str::<Number>(text).map_or_else(|_| as_text(), Value::Number)
        }
        JsonKind::Json => serde_json::from_str(text).unwrap_or_else(|_| as_text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_has_the_form_of_its_type() {
        for (kind, text, expected) in [
            (JsonKind::Number, "-7", json!(-7)),
            (JsonKind::Number, "9223372036854775807", json!(i64::MAX)),
            (JsonKind::Number, "0.1", json!(0.1)),
            (JsonKind::Number, "1e+20", json!(1e20)),
            (JsonKind::Number, "NaN", json!("NaN")),
            (JsonKind::Number, "-Infinity", json!("-Infinity")),
            (JsonKind::Boolean, "true", json!(true)),
            (JsonKind::Boolean, "false", json!(false)),
            (JsonKind::Json, r#"{"a": [1, null]}"#, json!({ "a": [1, null] })),
            (JsonKind::Json, "null", Value::Null),
            (JsonKind::Text, "12.50", json!("12.50")),
            (JsonKind::Text, "", json!("")),
        ] {
            assert_eq!(value(kind, text), expected, "{text}");
        }
    }

    #[test]
    fn a_record_has_the_columns_that_are_shown_and_no_other() {
        let columns = super::super::tests::table(&["uid"]).columns;
        let field = |name: &str, text: Option<&str>| (name.to_owned(), text.map(str::to_owned));
        let fields = [field("secret", Some("x")), field("uid", Some("7")), field("note", None)];
        let record = Value::Object(to_json(&columns, &fields));
        assert_eq!(record, json!({ "uid": 7, "Day": null, "note": null }));
    }
}
