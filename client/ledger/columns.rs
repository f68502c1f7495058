//! Turns typed columns into the JSON that the ledger keeps of them, and back.

use ferry::schema::Column;
use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::ledger::{LedgerError, without_nul};

/// What the documents are called where one cannot be read.
const WHAT: &str = "list of columns";

/// Columns as a JSON array of `{"name", "type"}`.
pub(crate) fn encode_columns(columns: &[Column]) -> String {
    let document = |column: &Column| {
        json!({
            "name": without_nul(&column.name),
            "type": column.column_type.to_string(),
        })
    };
    columns.iter().map(document).collect::<Value>().to_string()
}

/// The columns of such an array.
pub(super) fn decode_columns(text: &str) -> Result<Vec<Column>, LedgerError> {
    let invalid = || LedgerError::Invalid { what: WHAT };
    let document: Value = serde_json::from_str(text).map_err(|_| invalid())?;
    let members = document.as_array().ok_or_else(invalid)?;
    members.iter().map(|member| decode_column(member).ok_or_else(invalid)).collect()
}

fn decode_column(member: &Value) -> Option<Column> {
    Some(Column {
        name: member.get("name")?.as_str()?.to_owned(),
        column_type: member.get("type")?.as_str()?.parse().ok()?,
    })
}

/// Columns that are stored as text in the result's column `columns`.
pub(super) fn read_columns(row: &PgRow) -> Result<Option<Vec<Column>>, LedgerError> {
    let text: Option<&str> = row.try_get("columns")?;
    text.map(decode_columns).transpose()
}

/// The names of such columns.
pub(super) fn read_names(row: &PgRow) -> Result<Option<Vec<String>>, LedgerError> {
    let names = |columns: Vec<Column>| columns.into_iter().map(|column| column.name).collect();
    Ok(read_columns(row)?.map(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, type_name: &str) -> Column {
        Column { name: name.to_owned(), column_type: type_name.parse().expect("a type") }
    }

    #[test]
    fn columns_read_back_in_their_order() {
        let columns = [
            column("uid", "bigint"),
            column("a \"b\"", "numeric(15,2)"),
            column("", "varchar(12)"),
            column("at", "timestamptz"),
        ];
        let text = encode_columns(&columns);
        assert_eq!(decode_columns(&text).expect("columns"), columns);
        assert_eq!(decode_columns(&encode_columns(&[])).expect("columns"), []);
    }

    #[test]
    fn a_name_is_stored_without_nul() {
        let text = encode_columns(&[column("a\0b", "text")]);
        assert_eq!(text, "[{\"name\":\"a\u{FFFD}b\",\"type\":\"text\"}]");
    }

    #[test]
    fn what_no_program_writes_is_refused() {
        for text in ["", "{}", "[1]", r#"[{"name":"a"}]"#, r#"[{"name":"a","type":"int3"}]"#] {
            let refused = decode_columns(text);
            assert!(matches!(refused, Err(LedgerError::Invalid { .. })), "{text}: {refused:?}");
        }
    }
}
