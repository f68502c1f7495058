//! Turns the columns of a job into the statement that makes its target table.

use crate::names::{TableName, quote_ident};

/// The statement that makes a table unless it is there.
///
/// `columns` are pairs of a name, any text, and the SQL of a type. Two workers
/// that run the statement at once can collide inside PostgreSQL, so that it
/// must run under the lock of the job.
pub(crate) fn create_table(table: &TableName, columns: &[(String, String)]) -> String {
    let lines: Vec<String> = columns
        .iter()
        .map(|(name, type_sql)| format!("    {} {type_sql}", quote_ident(name)))
        .collect();
    format!("CREATE TABLE IF NOT EXISTS {} (\n{}\n)", table.to_sql(), lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_types_stand_as_they_are() {
        let table: TableName = "public.users".parse().expect("a table name");
        let columns = [
            ("uid".to_owned(), "bigint".to_owned()),
            ("Full \"Name\"".to_owned(), "text".to_owned()),
            ("email".to_owned(), "bytea".to_owned()),
        ];
        let expected = r#"CREATE TABLE IF NOT EXISTS "public"."users" (
    "uid" bigint,
    "Full ""Name""" text,
    "email" bytea
)"#;
        assert_eq!(create_table(&table, &columns), expected);
    }

    #[test]
    fn a_name_without_schema_follows_the_search_path() {
        let table: TableName = "users".parse().expect("a table name");
        let sql = create_table(&table, &[("uid".to_owned(), "uuid".to_owned())]);
        assert_eq!(sql, "CREATE TABLE IF NOT EXISTS \"users\" (\n    \"uid\" uuid\n)");
    }
}
