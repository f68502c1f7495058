//! Turns the columns of a job into the statements that make its target table, or change it.

use crate::names::{TableName, quote_ident};

/// The statement that makes a table unless it is there.
///
/// `columns` are pairs of a name, any text, and the SQL of a type; `key` are
/// the names of its primary key, none for a table without one. Two workers
/// that run the statement at once can collide inside PostgreSQL, so that it
/// must run under the lock of the job.
pub(crate) fn create_table(
    table: &TableName,
    columns: &[(String, String)],
    key: &[String],
) -> String {
    let mut lines: Vec<String> = columns
        .iter()
        .map(|(name, type_sql)| format!("    {} {type_sql}", quote_ident(name)))
        .collect();
    if !key.is_empty() {
        let key: Vec<String> = key.iter().map(|name| quote_ident(name)).collect();
        lines.push(format!("    PRIMARY KEY ({})", key.join(", ")));
    }
    format!("CREATE TABLE IF NOT EXISTS {} (\n{}\n)", table.to_sql(), lines.join(",\n"))
}

/// The statement that adds a nullable column unless it is there.
pub(crate) fn add_column(table: &TableName, name: &str, type_sql: &str) -> String {
    let column = quote_ident(name);
    format!("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {column} {type_sql}", table.to_sql())
}

/// The statement that gives a column a type that holds all that the old one held.
pub(crate) fn widen_column(table: &TableName, name: &str, type_sql: &str) -> String {
    let column = quote_ident(name);
    format!("ALTER TABLE {} ALTER COLUMN {column} TYPE {type_sql}", table.to_sql())
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
        assert_eq!(create_table(&table, &columns, &[]), expected);
    }

    #[test]
    fn a_name_without_schema_follows_the_search_path() {
        let table: TableName = "users".parse().expect("a table name");
        let sql = create_table(&table, &[("uid".to_owned(), "uuid".to_owned())], &[]);
        assert_eq!(sql, "CREATE TABLE IF NOT EXISTS \"users\" (\n    \"uid\" uuid\n)");
    }

    #[test]
    fn a_key_becomes_the_primary_key() {
        let table: TableName = "users".parse().expect("a table name");
        let column = |name: &str| (name.to_owned(), "bigint".to_owned());
        let key = ["Day".to_owned(), "uid".to_owned()];
        let sql = create_table(&table, &[column("uid"), column("Day")], &key);
        let expected = r#"CREATE TABLE IF NOT EXISTS "users" (
    "uid" bigint,
    "Day" bigint,
    PRIMARY KEY ("Day", "uid")
)"#;
        assert_eq!(sql, expected);
    }

    #[test]
    fn a_table_is_changed_one_column_at_a_time() {
        let table: TableName = "crm.\"Users\"".parse().expect("a table name");
        assert_eq!(
            add_column(&table, "Full \"Name\"", "varchar(40)"),
            r#"ALTER TABLE "crm"."Users" ADD COLUMN IF NOT EXISTS "Full ""Name""" varchar(40)"#
        );
        assert_eq!(
            widen_column(&table, "uid", "bigint"),
            r#"ALTER TABLE "crm"."Users" ALTER COLUMN "uid" TYPE bigint"#
        );
    }
}
