//! Turns the targets of a job into the statement that deletes the rows of one person in all of them.
//!
//! Invariant: a row is deleted only if it holds the pseudonym, or the key of a
//! row of another target that holds it.

use ferry::schema::ColumnType;

use super::PiiError;
use crate::job::{CachePolicy, Form, Target, Transform};
use crate::ledger::RunId;
use crate::load::catalogue::{TargetColumn, TargetTable};
use crate::names::{TableName, quote_ident};

/// Whose state a table holds: a key may have been another person's in an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    /// What the targets hold now.
    Target,
    /// What they held before a run, as far as it replaced and kept it.
    Old(RunId),
    /// What a run is to put in its place.
    Incoming(RunId),
}

/// A target, or a table beside it, as far as it matters where rows of a person lie.
#[derive(Debug, Clone)]
pub(super) struct Place {
    table: TableName,
    layer: Layer,
    /// Columns that tell its rows apart, if the job names them.
    key: Vec<String>,
    /// Columns that the job may load.
    columns: Vec<String>,
    /// How pseudonyms stand in it; `None` if it lacks their column.
    form: Option<Form>,
    /// Whether rows of it may be in the cache, by their key.
    cache: CachePolicy,
}

/// The statement that deletes in all places at once.
///
/// It takes the pseudonyms twice, as `bytea[]` and as `text[]`, and gives one
/// row: the counts, then the keys of deleted rows that may be in the cache, as
/// a JSON array of arrays of texts for each such table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Deletion {
    /// The statement, every name in it quoted.
    pub(super) sql: String,
    /// Table of each count.
    pub(super) tables: Vec<String>,
    /// Table of each list of keys.
    pub(super) cached: Vec<TableName>,
}

/// Name under which the pseudonyms of a column are loaded.
pub(super) fn loaded_name<'a>(
    transform: &'a Transform,
    column: &'a str,
) -> Result<&'a str, PiiError> {
    if transform.drop.iter().any(|dropped| dropped == column) {
        return Err(PiiError::NotLoaded { column: column.to_owned() });
    }
    let renamed = transform.rename.iter().find(|(before, _)| before == column);
    let name = renamed.map_or(column, |(_, after)| after.as_str());
    // A `set` works on the name of the source, before any renaming.
    if transform.set.iter().any(|(set, _)| set == column || set == name) {
        return Err(PiiError::Overwritten { column: name.to_owned() });
    }
    Ok(name)
}

impl Place {
    /// What a table of a target is for the search, or one whose target the job has no more.
    ///
    /// `column` is the name under which pseudonyms are loaded.
    pub(super) fn new(
        target: Option<&Target>,
        layer: Layer,
        table: &TargetTable,
        column: &str,
    ) -> Result<Self, PiiError> {
        let wanted = target.map(|target| target.columns.as_slice()).unwrap_or_default();
        let is_loaded =
            |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
        let loaded: Vec<&TargetColumn> =
            table.columns.iter().filter(|found| is_loaded(&found.name)).collect();
        let form = match loaded.iter().find(|found| found.name == column) {
            Some(found) => Some(form_of(found, &table.name)?),
            None => None,
        };
        Ok(Self {
            table: table.name.clone(),
            layer,
            key: target.map(|target| target.key.clone()).unwrap_or_default(),
            columns: loaded.iter().map(|found| found.name.clone()).collect(),
            form,
            // Only what the target holds now can be looked up.
            cache: target
                .filter(|_| layer == Layer::Target)
                .map_or(CachePolicy::Off, |target| target.cache),
        })
    }

    /// Whether the key of a row here leads from the rows of `holder` to it.
    fn is_reached_through(&self, holder: &Self) -> bool {
        let is_shared =
            |name: &String| self.columns.contains(name) && holder.columns.contains(name);
        !self.key.is_empty() && self.key.iter().all(is_shared)
    }
}

/// Puts together the statement that deletes in all places; `column` as for [`Place::new`].
///
/// One statement, because its parts all see the rows as they were: rows that
/// are reached through others are found whatever is deleted first, and foreign
/// keys between the targets are checked only when all is done.
pub(super) fn deletion(places: &[Place], column: &str) -> Result<Deletion, PiiError> {
    let holders: Vec<&Place> = places.iter().filter(|place| place.form.is_some()).collect();
    if holders.is_empty() {
        return Err(PiiError::NotLoaded { column: column.to_owned() });
    }
    let mut parts = Vec::with_capacity(places.len());
    for place in places {
        parts.push(match place.form {
            Some(form) => delete_from_holder(place, form, column),
            None => delete_through_holders(place, &holders, column)?,
        });
    }
    let tables = places.iter().map(|place| place.table.to_string()).collect();
    let is_cached = |place: &&Place| place.cache == CachePolicy::On;
    let cached = places.iter().filter(is_cached).map(|place| place.table.clone()).collect();
    Ok(Deletion { sql: joined(places, &parts), tables, cached })
}

fn delete_from_holder(place: &Place, form: Form, column: &str) -> String {
    format!("DELETE FROM {} WHERE {}", place.table.to_sql(), condition(column, form))
}

/// Deletes the rows whose key stands in a row of the person elsewhere.
fn delete_through_holders(
    place: &Place,
    holders: &[&Place],
    column: &str,
) -> Result<String, PiiError> {
    let key: Vec<String> = place.key.iter().map(|name| quote_ident(name)).collect();
    let in_layer = |layer: Layer| -> Vec<String> {
        let mut keys_of_person = Vec::new();
        for holder in holders.iter().filter(|holder| holder.layer == layer) {
            let Some(form) = holder.form.filter(|_| place.is_reached_through(holder)) else {
                continue;
            };
            let (columns, table) = (key.join(", "), holder.table.to_sql());
            keys_of_person
                .push(format!("SELECT {columns} FROM {table} WHERE {}", condition(column, form)));
        }
        keys_of_person
    };
    let mut keys_of_person = in_layer(place.layer);
    if keys_of_person.is_empty() {
        // What no run replaces has no layers.
        keys_of_person = in_layer(Layer::Target);
    }
    if keys_of_person.is_empty() {
        return Err(PiiError::Unreachable {
            table: place.table.to_string(),
            column: column.to_owned(),
            holder: holders.first().map_or_else(String::new, |holder| holder.table.to_string()),
        });
    }
    let is_same: Vec<String> =
        key.iter().map(|name| format!("part.{name} = person.{name}")).collect();
    Ok(format!(
        "DELETE FROM {} AS part USING ({}) AS person WHERE {}",
        place.table.to_sql(),
        keys_of_person.join(" UNION "),
        is_same.join(" AND ")
    ))
}

fn condition(column: &str, form: Form) -> String {
    let pseudonyms = match form {
        Form::Bytea => "$1::bytea[]",
        Form::Hex => "$2::text[]",
    };
    format!("{} = ANY ({pseudonyms})", quote_ident(column))
}

/// All parts in one statement that counts the rows of each, and lists the keys
/// of those that may be in the cache.
fn joined(places: &[Place], parts: &[String]) -> String {
    let (mut named, mut counts, mut lists) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (place, part)) in places.iter().zip(parts).enumerate() {
        let returned = match place.cache {
            CachePolicy::Off => "1".to_owned(),
            CachePolicy::On => key_texts(place),
        };
        named.push(format!("deleted_{index} AS ({part} RETURNING {returned})"));
        counts.push(format!("(SELECT count(*) FROM deleted_{index})"));
        if place.cache == CachePolicy::On {
            lists.push(format!(
                "(SELECT coalesce(json_agg(cached_key), '[]')::text FROM deleted_{index})"
            ));
        }
    }
    counts.extend(lists);
    format!("WITH {} SELECT {}", named.join(", "), counts.join(", "))
}

/// The key of a deleted row as a JSON array of texts.
fn key_texts(place: &Place) -> String {
    // A row that is reached through others is called so.
    let row = if place.form.is_some() { place.table.to_sql() } else { "part".to_owned() };
    let texts: Vec<String> =
        place.key.iter().map(|name| format!("{row}.{}::text", quote_ident(name))).collect();
    format!("json_build_array({}) AS cached_key", texts.join(", "))
}

fn form_of(column: &TargetColumn, table: &TableName) -> Result<Form, PiiError> {
    match column.column_type {
        Some(ColumnType::Bytea) => Ok(Form::Bytea),
        // Enums, arrays and the like are handed over as text too, and hold no pseudonym.
        Some(ColumnType::Text | ColumnType::Varchar(_)) if column.store.cast.is_none() => {
            Ok(Form::Hex)
        }
        _ => Err(PiiError::WrongType {
            table: table.to_string(),
            column: column.name.clone(),
            found: column.type_name.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(table: &str, key: &[&str], columns: &[&str], form: Option<Form>) -> Place {
        let owned = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        Place {
            table: table.parse().expect("a table name"),
            layer: Layer::Target,
            key: owned(key),
            columns: owned(columns),
            form,
            cache: CachePolicy::Off,
        }
    }

    #[test]
    fn keys_of_rows_that_may_be_cached_are_given_back() {
        let cached = |place: Place| Place { cache: CachePolicy::On, ..place };
        let users =
            cached(place("users", &["uid", "day"], &["uid", "day", "email"], Some(Form::Hex)));
        let address = cached(place("address", &["uid"], &["uid"], None));
        let log = place("log", &[], &["email"], Some(Form::Hex));
        let deletion = deletion(&[users, log, address], "email").expect("reachable");
        assert_eq!(
            deletion.cached.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["users", "address"]
        );
        for part in [
            r#"RETURNING json_build_array("users"."uid"::text, "users"."day"::text) AS cached_key), "#,
            "= ANY ($2::text[]) RETURNING 1), ",
            r#"RETURNING json_build_array(part."uid"::text) AS cached_key) SELECT "#,
        ] {
            assert!(deletion.sql.contains(part), "{}", deletion.sql);
        }
        let lists = "(SELECT count(*) FROM deleted_2), (SELECT coalesce(json_agg(cached_key), '[]')::text FROM deleted_0), (SELECT coalesce(json_agg(cached_key), '[]')::text FROM deleted_2)";
        assert!(deletion.sql.ends_with(lists), "{}", deletion.sql);
    }

    #[test]
    fn rows_are_found_by_the_pseudonym_in_the_form_of_their_column() {
        let bytes = place("public.users", &["uid"], &["uid", "e mail"], Some(Form::Bytea));
        let digits = place("public.log", &[], &["e mail"], Some(Form::Hex));
        let deletion = deletion(&[bytes, digits], "e mail").expect("two holders");
        assert_eq!(
            deletion.sql,
            r#"WITH deleted_0 AS (DELETE FROM "public"."users" WHERE "e mail" = ANY ($1::bytea[]) RETURNING 1), deleted_1 AS (DELETE FROM "public"."log" WHERE "e mail" = ANY ($2::text[]) RETURNING 1) SELECT (SELECT count(*) FROM deleted_0), (SELECT count(*) FROM deleted_1)"#
        );
        assert_eq!(deletion.tables, ["public.users", "public.log"]);
    }

    #[test]
    fn rows_without_the_pseudonym_are_found_by_their_key() {
        let users = place("users", &["uid"], &["uid", "day", "email"], Some(Form::Bytea));
        let address = place("address", &["uid", "day"], &["uid", "day", "street"], None);
        let deletion = deletion(&[address, users], "email").expect("a key leads to it");
        let expected = r#"deleted_0 AS (DELETE FROM "address" AS part USING (SELECT "uid", "day" FROM "users" WHERE "email" = ANY ($1::bytea[])) AS person WHERE part."uid" = person."uid" AND part."day" = person."day" RETURNING 1)"#;
        assert!(deletion.sql.contains(expected), "{}", deletion.sql);
    }

    #[test]
    fn every_holder_leads_to_rows_without_the_pseudonym() {
        let users = place("users", &[], &["uid", "email"], Some(Form::Bytea));
        let calls = place("calls", &[], &["uid", "email"], Some(Form::Hex));
        let other = place("other", &[], &["email"], Some(Form::Hex));
        let address = place("address", &["uid"], &["uid"], None);
        let deletion = deletion(&[users, calls, other, address], "email").expect("reachable");
        let expected = r#"(SELECT "uid" FROM "users" WHERE "email" = ANY ($1::bytea[]) UNION SELECT "uid" FROM "calls" WHERE "email" = ANY ($2::text[])) AS person"#;
        assert!(deletion.sql.contains(expected), "{}", deletion.sql);
    }

    #[test]
    fn kept_rows_are_found_by_the_keys_of_their_time() {
        let old = |place: Place, run| Place { layer: Layer::Old(RunId(run)), ..place };
        let users = place("users", &["uid"], &["uid", "email"], Some(Form::Bytea));
        let users_12 = place("users_before_12", &["uid"], &["uid", "email"], Some(Form::Bytea));
        let address = |table: &str| place(table, &["uid"], &["uid"], None);
        let places = [
            users,
            address("address"),
            old(users_12, 12),
            old(address("address_before_12"), 12),
            old(address("address_before_9"), 9),
        ];
        let deletion = deletion(&places, "email").expect("reachable");
        for (part, holder) in [
            ("address", "users"),
            ("address_before_12", "users_before_12"),
            ("address_before_9", "users"),
        ] {
            let expected = format!(
                r#"DELETE FROM "{part}" AS part USING (SELECT "uid" FROM "{holder}" WHERE "email" = ANY ($1::bytea[])) AS person"#
            );
            assert!(deletion.sql.contains(&expected), "{}", deletion.sql);
        }
        assert!(deletion.sql.contains(r#"DELETE FROM "users_before_12" WHERE "email""#));
        assert_eq!(deletion.tables.len(), 5);
    }

    #[test]
    fn a_target_that_no_key_leads_to_is_named() {
        let users = || place("users", &["uid"], &["uid", "email"], Some(Form::Bytea));
        let without_key = place("address", &[], &["uid"], None);
        let other_key = place("address", &["id"], &["id", "uid"], None);
        for unreachable in [without_key, other_key] {
            let error = deletion(&[users(), unreachable], "email").expect_err("no way to it");
            assert_eq!(
                error.to_string(),
                "table address has no column \"email\" and no key that leads to it: add key = [...] to its [[target]], columns that users has too"
            );
        }
        let error = deletion(&[place("log", &[], &["id"], None)], "email").expect_err("no holder");
        assert!(matches!(error, PiiError::NotLoaded { .. }));
    }

    #[test]
    fn a_column_is_followed_through_the_transformation() {
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        let transform = Transform {
            rename: vec![pair("email", "mail"), pair("phone", "tel"), pair("fax", "fax_number")],
            set: vec![pair("tel", "'x'"), pair("fax", "'x'")],
            drop: vec!["note".to_owned()],
            ..Transform::default()
        };
        let name = |column| loaded_name(&transform, column);
        assert_eq!(name("email").ok(), Some("mail"));
        assert_eq!(name("uid").ok(), Some("uid"));
        assert!(matches!(name("phone"), Err(PiiError::Overwritten { .. })));
        assert!(matches!(name("fax"), Err(PiiError::Overwritten { .. })));
        assert!(matches!(name("note"), Err(PiiError::NotLoaded { .. })));
    }
}
