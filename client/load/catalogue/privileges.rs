//! Turns what a load does to a table into the statements that grant what its role lacks.

use sqlx::{PgConnection, Row as _};

use super::{CatalogueError, ClosedSequence, TargetColumn, TargetTable};
use crate::names::quote_ident;

/// Something that a load does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need<'a> {
    /// Insert into a column.
    Insert(&'a str),
    /// Read a column.
    Select(&'a str),
    /// Update a column.
    Update(&'a str),
    /// Read every column.
    SelectAll,
    /// Delete rows.
    Delete,
    /// Let a column take its default.
    Default(&'a str),
    /// Make temporary tables.
    Stage,
    /// Make a table in the schema of this one.
    MakeBeside,
}

/// A default depends on the table too, which is no sequence: the test must come first.
const CLOSED_SEQUENCES: &str = "
SELECT a.attname::text AS column, quote_ident(n.nspname) || '.' || quote_ident(s.relname) AS sequence
FROM pg_catalog.pg_attrdef AS d
JOIN pg_catalog.pg_depend AS p ON p.objid = d.oid
 AND p.classid = 'pg_catalog.pg_attrdef'::regclass AND p.refclassid = 'pg_catalog.pg_class'::regclass
JOIN pg_catalog.pg_class AS s ON s.oid = p.refobjid
JOIN pg_catalog.pg_namespace AS n ON n.oid = s.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
WHERE d.adrelid = $1::oid
  AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE, UPDATE')
           ELSE false END
ORDER BY a.attnum, s.oid";

/// Lists the sequences behind defaults that the role may not use.
pub(super) async fn closed_sequences(
    conn: &mut PgConnection,
    oid: i64,
) -> Result<Vec<ClosedSequence>, CatalogueError> {
    let rows = sqlx::query(CLOSED_SEQUENCES).bind(oid).fetch_all(conn).await?;
    let mut sequences = Vec::with_capacity(rows.len());
    for row in rows {
        let (column, sequence) = (row.try_get("column")?, row.try_get("sequence")?);
        sequences.push(ClosedSequence { column, sequence });
    }
    Ok(sequences)
}

impl TargetTable {
    /// The statements that give the role what it lacks of `needs`; none if it lacks nothing.
    pub(crate) fn missing_grants(&self, needs: &[Need<'_>]) -> Vec<String> {
        let role = quote_ident(&self.role);
        let mut grants = Vec::new();
        let privileges = self.missing_privileges(needs);
        if !privileges.is_empty() {
            let table = self.name.to_sql();
            grants.push(format!("GRANT {} ON {table} TO {role}", privileges.join(", ")));
        }
        let defaulted = |column: &str| needs.contains(&Need::Default(column));
        for closed in self.closed_sequences.iter().filter(|closed| defaulted(&closed.column)) {
            grants.push(format!("GRANT USAGE ON SEQUENCE {} TO {role}", closed.sequence));
        }
        if needs.contains(&Need::Stage) && !self.may_stage {
            let database = quote_ident(&self.database);
            grants.push(format!("GRANT TEMPORARY ON DATABASE {database} TO {role}"));
        }
        if needs.contains(&Need::MakeBeside) && !self.may_make_beside {
            let schema = self.name.schema.as_deref().map(quote_ident).unwrap_or_default();
            grants.push(format!("GRANT CREATE ON SCHEMA {schema} TO {role}"));
        }
        grants
    }

    /// What a GRANT on the table must list.
    fn missing_privileges(&self, needs: &[Need<'_>]) -> Vec<String> {
        let mut privileges = Vec::new();
        let needs_all = needs.contains(&Need::SelectAll) && !self.may_select;
        if needs_all {
            privileges.push("SELECT".to_owned());
        } else {
            let lacks = |column: &TargetColumn| {
                !column.may_select && needs.contains(&Need::Select(&column.name))
            };
            privileges.extend(self.on_columns("SELECT", lacks));
        }
        let lacks_insert = |column: &TargetColumn| {
            !column.may_insert && needs.contains(&Need::Insert(&column.name))
        };
        privileges.extend(self.on_columns("INSERT", lacks_insert));
        let lacks_update = |column: &TargetColumn| {
            !column.may_update && needs.contains(&Need::Update(&column.name))
        };
        privileges.extend(self.on_columns("UPDATE", lacks_update));
        if needs.contains(&Need::Delete) && !self.may_delete {
            privileges.push("DELETE".to_owned());
        }
        privileges
    }

    /// A privilege on the columns that lack it; on the table if that is every one of them.
    fn on_columns(&self, privilege: &str, lacks: impl Fn(&TargetColumn) -> bool) -> Option<String> {
        let lacking: Vec<String> = self
            .columns
            .iter()
            .filter(|column| lacks(column))
            .map(|column| quote_ident(&column.name))
            .collect();
        match lacking.len() {
            0 => None,
            all if all == self.columns.len() => Some(privilege.to_owned()),
            _ => Some(format!("{privilege} ({})", lacking.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str) -> TargetColumn {
        TargetColumn {
            may_insert: false,
            may_select: false,
            may_update: false,
            ..TargetColumn::sample(name, "text")
        }
    }

    /// A table of which the role may do nothing.
    fn closed_table() -> TargetTable {
        let columns = vec![column("id"), column("Full \"Name\""), column("city")];
        TargetTable {
            closed_sequences: vec![ClosedSequence {
                column: "id".to_owned(),
                sequence: "public.users_id_seq".to_owned(),
            }],
            may_select: false,
            may_delete: false,
            may_stage: false,
            may_make_beside: false,
            ..TargetTable::sample("public.\"Users\"", columns)
        }
    }

    const ALL: [Need<'static>; 8] = [
        Need::Insert("id"),
        Need::Select("id"),
        Need::Update("city"),
        Need::SelectAll,
        Need::Delete,
        Need::Default("id"),
        Need::Stage,
        Need::MakeBeside,
    ];

    #[test]
    fn columns_are_named_unless_it_is_all_of_them() {
        let needs = [Need::Insert("city"), Need::Insert("Full \"Name\""), Need::Select("id")];
        let expected = r#"GRANT SELECT ("id"), INSERT ("Full ""Name""", "city") ON "public"."Users" TO "loader""#;
        assert_eq!(closed_table().missing_grants(&needs), [expected]);
        let needs = [Need::Insert("id"), Need::Insert("city"), Need::Insert("Full \"Name\"")];
        let expected = r#"GRANT INSERT ON "public"."Users" TO "loader""#;
        assert_eq!(closed_table().missing_grants(&needs), [expected]);
    }

    #[test]
    fn every_kind_of_object_has_its_own_grant() {
        let expected = [
            r#"GRANT SELECT, INSERT ("id"), UPDATE ("city"), DELETE ON "public"."Users" TO "loader""#,
            r#"GRANT USAGE ON SEQUENCE public.users_id_seq TO "loader""#,
            r#"GRANT TEMPORARY ON DATABASE "shop" TO "loader""#,
            r#"GRANT CREATE ON SCHEMA "public" TO "loader""#,
        ];
        assert_eq!(closed_table().missing_grants(&ALL), expected);
    }

    #[test]
    fn what_is_granted_or_not_needed_is_not_asked_for() {
        assert!(closed_table().missing_grants(&[]).is_empty());
        assert!(closed_table().missing_grants(&[Need::Default("city")]).is_empty());
        let names = ["id", "city"];
        let columns = names.map(|name| TargetColumn::sample(name, "text"));
        let open = TargetTable::sample("public.users", columns.to_vec());
        assert!(open.missing_grants(&ALL).is_empty());
    }
}
