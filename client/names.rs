//! Turns names into SQL identifiers, and texts into names of tables.
//!
//! Names are always quoted, so that a name means itself: no folding of case, no keywords.

use std::fmt;
use std::str::FromStr;

/// PostgreSQL cuts longer names off.
const NAME_BYTES_MAX: usize = 63;

/// The name as an SQL identifier.
pub(crate) fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Name of a table, as PostgreSQL would read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName {
    /// Schema; `None` to follow the search path.
    pub(crate) schema: Option<String>,
    /// The table's own name.
    pub(crate) name: String,
}

impl TableName {
    /// The name as SQL, quoted.
    pub(crate) fn to_sql(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quote_ident(schema), quote_ident(&self.name)),
            None => quote_ident(&self.name),
        }
    }

    /// The name without the schema `public`, so that both spellings are one.
    pub(crate) fn without_public(&self) -> Self {
        let schema = self.schema.clone().filter(|schema| schema != "public");
        Self { schema, name: self.name.clone() }
    }
}

/// The name as a person writes it, quoted only where it must be.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", shown(schema))?;
        }
        f.write_str(&shown(&self.name))
    }
}

fn shown(part: &str) -> String {
    if is_plain(part) && !part.bytes().any(|byte| byte.is_ascii_uppercase()) {
        part.to_owned()
    } else {
        quote_ident(part)
    }
}

/// A text that does not name a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is not a table name: write table or schema.table, and put a part with capitals, spaces or dots in double quotes"
)]
pub(crate) struct InvalidTableName(pub(crate) String);

impl FromStr for TableName {
    type Err = InvalidTableName;

    /// Reads `table` or `schema.table`; parts outside quotes are folded to lower case.
    fn from_str(text: &str) -> Result<Self, InvalidTableName> {
        let invalid = || InvalidTableName(text.to_owned());
        let (first, rest) = take_part(text.trim()).ok_or_else(invalid)?;
        if rest.is_empty() {
            return Ok(Self { schema: None, name: first });
        }
        let rest = rest.strip_prefix('.').ok_or_else(invalid)?;
        match take_part(rest).ok_or_else(invalid)? {
            (name, "") => Ok(Self { schema: Some(first), name }),
            _ => Err(invalid()),
        }
    }
}

/// Splits one part, quoted or plain, from the front of a name.
fn take_part(text: &str) -> Option<(String, &str)> {
    let (part, rest) = if let Some(quoted) = text.strip_prefix('"') {
        take_quoted(quoted)?
    } else {
        let (part, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
        if !is_plain(part) {
            return None;
        }
        (part.to_ascii_lowercase(), rest)
    };
    is_name(&part).then_some((part, rest))
}

/// Reads up to the closing quote; a doubled quote stands for one.
fn take_quoted(text: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        part.push_str(before);
        let Some(after_second) = after.strip_prefix('"') else {
            return Some((part, after));
        };
        part.push('"');
        rest = after_second;
    }
}

/// A text that cannot be the name of a column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot name a column: a name has 1 to 63 bytes, and PostgreSQL cuts off what is longer"
)]
pub(crate) struct InvalidColumnName(pub(crate) String);

/// Refuses a name that PostgreSQL could not give to a column as it stands.
pub(crate) fn check_column_name(name: &str) -> Result<(), InvalidColumnName> {
    if is_name(name) { Ok(()) } else { Err(InvalidColumnName(name.to_owned())) }
}

/// Whether PostgreSQL keeps the text as a name, whole.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.contains('\0')
}

fn is_plain(part: &str) -> bool {
    let is_letter = |c: char| c == '_' || c.is_alphabetic();
    part.chars()
        .enumerate()
        .all(|(index, c)| is_letter(c) || (index > 0 && (c == '$' || c.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<(Option<String>, String)> {
        text.parse::<TableName>().ok().map(|table| (table.schema, table.name))
    }

    fn pair(schema: &str, name: &str) -> (Option<String>, String) {
        (Some(schema.to_owned()), name.to_owned())
    }

    #[test]
    fn names_are_read_as_postgresql_reads_them() {
        assert_eq!(parse("users"), Some((None, "users".to_owned())));
        assert_eq!(parse(" Public.Users "), Some(pair("public", "users")));
        assert_eq!(parse("\"Public\".\"my.table\""), Some(pair("Public", "my.table")));
        assert_eq!(parse("a.\"b\"\"c\""), Some(pair("a", "b\"c")));
        assert_eq!(parse("t$1.größe_2"), Some(pair("t$1", "größe_2")));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "x".repeat(64);
        for text in
            ["", ".", "a.", ".a", "a.b.c", "my-table", "1a", "a b", "\"\"", "\"a", "\"a\"b", &long]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_prints_so_that_it_reads_back() {
        for text in ["users", "public.users", "\"Public\".\"a b\"", "a.\"b\"\"c\""] {
            let table: TableName = text.parse().expect("a table name");
            assert_eq!(table.to_string(), text);
            assert_eq!(table.to_sql().parse(), Ok(table));
        }
    }

    #[test]
    fn both_spellings_of_a_public_table_are_one() {
        let plain = |text: &str| text.parse::<TableName>().map(|table| table.without_public());
        assert_eq!(plain("public.users"), plain("users"));
        assert_ne!(plain("crm.users"), plain("users"));
    }

    #[test]
    fn a_column_name_is_not_cut_off() {
        assert_eq!(check_column_name(&"x".repeat(63)), Ok(()));
        assert_eq!(check_column_name("Größe in cm"), Ok(()));
        for name in [String::new(), "x".repeat(64), "ü".repeat(32), "a\0b".to_owned()] {
            assert_eq!(check_column_name(&name), Err(InvalidColumnName(name)));
        }
    }

    #[test]
    fn a_name_is_quoted_whatever_it_holds() {
        assert_eq!(quote_ident("email"), "\"email\"");
        assert_eq!(quote_ident("Order Date"), "\"Order Date\"");
        assert_eq!(quote_ident("select"), "\"select\"");
        assert_eq!(quote_ident("a\"; DROP TABLE b; --"), "\"a\"\"; DROP TABLE b; --\"");
    }
}
