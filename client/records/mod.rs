//! Looks rows of served tables up: one by its key, in the cache or the database, or pages of them by their key.
//!
//! Invariant: no column leaves this room that the job does not allow, and no
//! table that it does not name. Bounds: 10 s a statement (by the pool), 1000
//! rows or 8 MiB a page.

mod error;
mod json;
mod look_up;
mod served;

use std::time::Duration;

use crate::cache::Cache;
use crate::names::TableName;

pub(crate) use error::RecordError;
pub(crate) use json::to_json;
pub(crate) use look_up::{look_up, page};
pub(crate) use served::served_tables;

/// What of a job's tables is served, and what is not.
#[derive(Debug)]
pub(crate) struct Served {
    /// Tables whose rows may be looked up.
    pub(crate) tables: Vec<ServedTable>,
    /// The others, each with the reason.
    pub(crate) skipped: Vec<SkippedTable>,
}

/// A table whose rows may be looked up.
#[derive(Debug, Clone)]
pub(crate) struct ServedTable {
    /// Name of the job.
    pub(crate) job: String,
    /// The table, with its schema.
    pub(crate) table: TableName,
    /// Columns that tell its rows apart; they are among `columns`.
    pub(crate) key: Vec<String>,
    /// Columns that are shown, in the order of the table.
    pub(crate) columns: Vec<ServedColumn>,
    /// Where its rows are cached, by `key`, if they are.
    pub(crate) cache: Option<Cache>,
    /// Number of its rows as the planner of PostgreSQL takes it, if it does.
    pub(crate) approximate_rows: Option<i64>,
}

/// A column that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServedColumn {
    /// Its name.
    pub(crate) name: String,
    /// Its type as PostgreSQL writes it.
    pub(crate) type_name: String,
    /// What its values are in JSON.
    pub(crate) kind: JsonKind,
    /// What was done to personal data in it: `hash`, `salted` or `mask`.
    pub(crate) pii: Option<&'static str>,
    /// Whether it is part of the key.
    pub(crate) is_key: bool,
    /// Whether it may be NULL.
    pub(crate) is_nullable: bool,
    /// Type that a text is cast to before it is compared with its values, as SQL.
    pub(crate) sql_type: String,
}

/// What the values of a column are in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonKind {
    /// Numbers; what is none, such as infinity, is a string.
    Number,
    /// True or false.
    Boolean,
    /// Themselves.
    Json,
    /// Strings: PostgreSQL's text of the value.
    Text,
}

/// A table that is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SkippedTable {
    /// Name of the job.
    pub(crate) job: String,
    /// The table, as the job names it.
    pub(crate) table: TableName,
    /// Why not, and what to do.
    pub(crate) reason: String,
}

/// The values of a row by column, as PostgreSQL's texts.
pub(crate) type Fields = Vec<(String, Option<String>)>;

/// A row that was looked up.
pub(crate) struct Found {
    /// Its values.
    pub(crate) fields: Fields,
    /// Where it was.
    pub(crate) found_in: FoundIn,
    /// How long its entry in the cache lives on, if it came from there.
    pub(crate) ttl: Option<Duration>,
}

/// Where a row was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoundIn {
    /// In Redis.
    Cache,
    /// In PostgreSQL.
    Database,
}

/// Rows in the order of their keys.
pub(crate) struct RecordPage {
    /// The rows.
    pub(crate) rows: Vec<Fields>,
    /// Key after which the next page begins; none if there is no more.
    pub(crate) next: Option<Vec<String>>,
}

impl ServedTable {
    /// The key of a row, in the order of `key`; none if a part of it is missing or NULL.
    pub(crate) fn key_of(&self, fields: &[(String, Option<String>)]) -> Option<Vec<String>> {
        let part = |name: &String| fields.iter().find(|(field, _)| field == name)?.1.clone();
        self.key.iter().map(part).collect()
    }

    /// The columns of the key, in its order.
    fn key_columns(&self) -> Vec<&ServedColumn> {
        let column = |name: &String| self.columns.iter().find(|column| column.name == *name);
        self.key.iter().filter_map(column).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table with the integer `uid`, the date `Day` and the nullable text `note`.
    pub(super) fn table(key: &[&str]) -> ServedTable {
        let column = |(name, kind, sql_type): (&str, JsonKind, &str)| ServedColumn {
            name: name.to_owned(),
            type_name: sql_type.to_owned(),
            kind,
            pii: None,
            is_key: key.contains(&name),
            is_nullable: name == "note",
            sql_type: sql_type.to_owned(),
        };
        let columns = [
            ("uid", JsonKind::Number, "integer"),
            ("Day", JsonKind::Text, "date"),
            ("note", JsonKind::Text, "text"),
        ];
        ServedTable {
            job: "people".to_owned(),
            table: "public.users".parse().expect("a table name"),
            key: key.iter().map(|name| (*name).to_owned()).collect(),
            columns: columns.map(column).to_vec(),
            cache: None,
            approximate_rows: None,
        }
    }

    #[test]
    fn a_row_tells_its_key() {
        let field = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let table = table(&["Day", "uid"]);
        let row = [field("uid", Some("7")), field("Day", Some("2026-01-31")), field("note", None)];
        assert_eq!(table.key_of(&row), Some(vec!["2026-01-31".to_owned(), "7".to_owned()]));
        assert_eq!(table.key_of(&row[..1]), None);
        let without = [field("uid", None), field("Day", Some("2026-01-31"))];
        assert_eq!(table.key_of(&without), None);
    }
}
