//! Turns `columns` of a `[[dataset]]` into names, types and formats: a table by name, or a list in order.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use ferry::schema::{ColumnType, UnknownType};
use ferry::values::{FieldFormat, FormatWords, Percent};
use ferry::wire::COLUMNS_MAX;
use toml::{Table, Value};

use crate::catalog::dataset::DeclaredColumn;
use crate::settings::words::{guess, kind, one_of, some_texts, text, texts};
use crate::wanted::NullWords;

/// What may be said of a column; `name` in a list only.
const KEYS: [&str; 11] = [
    "name",
    "type",
    "format",
    "time_zone",
    "decimal",
    "thousands",
    "currency",
    "percent",
    "true",
    "false",
    "null",
];
const PERCENTS: [(&str, Percent); 2] =
    [("fraction", Percent::Fraction), ("number", Percent::Number)];

/// The columns of a dataset, as far as they are declared.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// Names in order, if `columns` is a list.
    pub(super) names: Option<Vec<String>>,
    pub(super) declared: BTreeMap<String, DeclaredColumn>,
}

/// Reads `columns`; `nulls` are the dataset's, for columns without their own.
pub(super) fn read_columns(
    value: Option<&Value>,
    nulls: &Arc<NullWords>,
) -> Result<Columns, String> {
    match value {
        None => Ok(Columns::default()),
        Some(Value::Table(table)) => by_name(table, nulls),
        Some(Value::Array(values)) => in_order(values, nulls),
        Some(value) => Err(format!(
            "columns is {}: write a table, such as {{ born = \"date\" }}, or a list of names in order",
            kind(value)
        )),
    }
}

fn by_name(table: &Table, nulls: &Arc<NullWords>) -> Result<Columns, String> {
    let mut declared = BTreeMap::new();
    for (name, value) in table {
        let column = match value {
            Value::String(type_name) => {
                RawColumn { type_name: Some(type_name.clone()), ..RawColumn::default() }
            }
            Value::Table(keys) => raw_column(keys).map_err(|text| of_column(name, &text))?,
            _ => {
                let text = format!(
                    "{} says nothing of a column: write a type, such as \"date\", or a table, such as {{ type = \"date\", format = \"%d.%m.%Y\" }}",
                    kind(value)
                );
                return Err(of_column(name, &text));
            }
        };
        if column.name.is_some() {
            return Err(of_column(
                name,
                "key \"name\" belongs to columns in a list, here the name stands before the table: remove it",
            ));
        }
        let column = declare(column, nulls).map_err(|text| of_column(name, &text))?;
        declared.insert(name.clone(), column);
    }
    Ok(Columns { names: None, declared })
}

fn in_order(values: &[Value], nulls: &Arc<NullWords>) -> Result<Columns, String> {
    if values.is_empty() {
        return Err("columns is an empty list: name every column, or leave it out".to_owned());
    }
    if values.len() > COLUMNS_MAX {
        return Err(format!(
            "columns has {} names, but at most {COLUMNS_MAX} are read",
            values.len()
        ));
    }
    let mut seen = HashSet::with_capacity(values.len());
    let mut names = Vec::with_capacity(values.len());
    let mut declared = BTreeMap::new();
    for (index, value) in values.iter().enumerate() {
        let number = index + 1;
        let (name, column) = list_item(value).map_err(|text| of_item(number, &text))?;
        if name.is_empty() || name.contains('\0') {
            return Err(of_item(number, "its name is empty or holds a NUL: write another"));
        }
        if !seen.insert(name.clone()) {
            return Err(format!("columns names \"{name}\" twice: rename one of them"));
        }
        if let Some(column) = column {
            let column = declare(column, nulls).map_err(|text| of_column(&name, &text))?;
            declared.insert(name.clone(), column);
        }
        names.push(name);
    }
    Ok(Columns { names: Some(names), declared })
}

/// A name by itself, or a table with a name.
fn list_item(value: &Value) -> Result<(String, Option<RawColumn>), String> {
    const EXAMPLE: &str = "write a name, or a table such as { name = \"born\", type = \"date\" }";
    match value {
        Value::String(name) => Ok((name.clone(), None)),
        Value::Table(keys) => {
            let mut column = raw_column(keys)?;
            match column.name.take() {
                Some(name) => Ok((name, Some(column))),
                None => Err(format!("it has no name: {EXAMPLE}")),
            }
        }
        _ => Err(format!("it is {}: {EXAMPLE}", kind(value))),
    }
}

/// A column as it is written.
#[derive(Default)]
struct RawColumn {
    name: Option<String>,
    type_name: Option<String>,
    words: FormatWords,
    nulls: Option<Vec<String>>,
}

fn raw_column(keys: &Table) -> Result<RawColumn, String> {
    let mut column = RawColumn::default();
    let mut words = FormatWords::default();
    for (key, value) in keys {
        match key.as_str() {
            "name" => column.name = Some(text(key, value)?),
            "type" => column.type_name = Some(text(key, value)?),
            "format" => words.format = Some(text(key, value)?),
            "time_zone" => words.time_zone = Some(text(key, value)?),
            "decimal" => words.decimal = Some(text(key, value)?),
            "thousands" => words.thousands = Some(text(key, value)?),
            "currency" => words.currency = Some(some_texts(key, value)?),
            "percent" => words.percent = Some(one_of(key, &text(key, value)?, &PERCENTS)?),
            "true" => words.true_words = Some(texts(key, value)?),
            "false" => words.false_words = Some(texts(key, value)?),
            "null" => column.nulls = Some(texts(key, value)?),
            _ => return Err(unknown_key(key)),
        }
    }
    column.words = words;
    Ok(column)
}

fn unknown_key(key: &str) -> String {
    format!(
        "there is no key \"{key}\": {}; a name with a dot in it is written in quotes",
        guess(key, &KEYS)
    )
}

fn declare(column: RawColumn, nulls: &Arc<NullWords>) -> Result<DeclaredColumn, String> {
    let column_type = match &column.type_name {
        None => ColumnType::Text,
        Some(name) => name.parse().map_err(|error: UnknownType| error.to_string())?,
    };
    let format = FieldFormat::new(column.words, column_type)?;
    let nulls = match column.nulls {
        None => nulls.clone(),
        Some(words) => Arc::new(NullWords::new(words)),
    };
    Ok(DeclaredColumn { column_type, format: Arc::new(format), nulls })
}

fn of_column(name: &str, text: &str) -> String {
    format!("column \"{name}\": {text}")
}

fn of_item(number: usize, text: &str) -> String {
    format!("column {number} of columns: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Columns, String> {
        let table: Table = toml::from_str(text).expect("well-formed TOML");
        let nulls = Arc::new(NullWords::new(vec!["NA".to_owned()]));
        read_columns(table.get("columns"), &nulls)
    }

    #[track_caller]
    fn assert_refused(text: &str, expected: &str) {
        let refusal = read(text).expect_err("it is refused");
        assert!(refusal.contains(expected), "{expected:?} is not in {refusal:?}");
    }

    #[test]
    fn a_table_gives_types_by_name() {
        let columns = read(
            "[columns]\nborn = 'date'\nprice = { type = 'numeric', decimal = ',', null = ['-'] }\n\
             note = { null = [] }\n",
        )
        .expect("it is valid");
        assert_eq!(columns.names, None);
        let column = |name: &str| &columns.declared[name];
        assert_eq!(column("born").column_type, ColumnType::Date);
        assert!(column("born").format.is_plain() && column("born").nulls.is_null(b"NA"));
        assert_eq!(column("price").column_type, ColumnType::Numeric(None));
        assert!(!column("price").format.is_plain());
        assert!(column("price").nulls.is_null(b"-") && !column("price").nulls.is_null(b"NA"));
        assert_eq!(column("note").column_type, ColumnType::Text);
        assert_eq!(*column("note").nulls, NullWords::default());
    }

    #[test]
    fn a_file_may_lack_a_word_for_true_or_for_false() {
        for words in ["true = ['x'], false = []", "true = [], false = ['-']"] {
            let columns = read(&format!("columns.a = {{ type = 'boolean', {words} }}"));
            assert!(!columns.expect("it is valid").declared["a"].format.is_plain(), "{words}");
        }
    }

    #[test]
    fn a_list_gives_names_in_order() {
        let columns = read("columns = ['id', { name = 'born', type = 'date' }, 'note']");
        let columns = columns.expect("it is valid");
        assert_eq!(columns.names.expect("names"), ["id", "born", "note"]);
        let declared: Vec<_> = columns.declared.keys().collect();
        assert_eq!(declared, ["born"]);
    }

    #[test]
    fn without_columns_nothing_is_declared() {
        let columns = read("").expect("it is valid");
        assert!(columns.names.is_none() && columns.declared.is_empty());
    }

    #[test]
    fn a_column_that_is_written_wrongly_is_named() {
        assert_refused("columns.a = 'int3'", "column \"a\": unknown type \"int3\"");
        assert_refused("columns.a = 7", "column \"a\": a number says nothing");
        assert_refused(
            "columns.a = { typ = 'date' }",
            "column \"a\": there is no key \"typ\": did you mean \"type\"?",
        );
        assert_refused("columns.a.b = 'date'", "written in quotes");
        assert_refused("columns.a = { name = 'b' }", "column \"a\": key \"name\" belongs");
        assert_refused("columns.a = { decimal = 1 }", "column \"a\": decimal is a number");
        assert_refused("columns.a = { null = '-' }", "column \"a\": null is a text");
        assert_refused(
            "columns.a = { type = 'numeric', currency = [] }",
            "column \"a\": currency is empty",
        );
        assert_refused(
            "columns.a = { type = 'boolean', true = [], false = [] }",
            "column \"a\": true and false have no words",
        );
        assert_refused(
            "columns.a = { type = 'boolean', true = ['x'] }",
            "column \"a\": true and false are set together",
        );
        assert_refused(
            "columns.a = { type = 'numeric', percent = 'fractions' }",
            "column \"a\": percent = \"fractions\": did you mean \"fraction\"?",
        );
        assert_refused(
            "columns.a = { type = 'timestamptz', time_zone = 'Mars/Base' }",
            "column \"a\": ",
        );
        assert_refused("columns = 'id'", "columns is a text: write a table");
    }

    #[test]
    fn a_list_that_names_no_columns_is_refused() {
        assert_refused("columns = []", "empty list");
        assert_refused("columns = ['a', '']", "column 2 of columns: its name is empty");
        assert_refused("columns = ['a', 'b', 'a']", "columns names \"a\" twice");
        assert_refused("columns = ['a', { type = 'date' }]", "column 2 of columns: it has no name");
        assert_refused(
            "columns = ['a', { nmae = 'b' }]",
            "column 2 of columns: there is no key \"nmae\"",
        );
        assert_refused("columns = ['a', 7]", "column 2 of columns: it is a number");
        assert_refused("columns = [{ name = 'a', type = 'int3' }]", "column \"a\": unknown type");
        let names: Vec<String> = (0..=COLUMNS_MAX).map(|number| format!("'{number}'")).collect();
        assert_refused(&format!("columns = [{}]", names.join(",")), "at most 1600");
    }
}
