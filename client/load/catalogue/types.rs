//! Turns a type of the catalogue into the type that ferry hands over, and how PostgreSQL takes it.
//!
//! Invariant: no way from ferry's value to the column cuts anything off in
//! silence. A cast to a type with a length would, so casts are to types
//! without one, and the length is applied where the value is assigned.

use ferry::schema::ColumnType;

/// Type in which a value waits that only PostgreSQL can read.
const STAGED_TEXT: &str = "pg_catalog.text";
/// PostgreSQL's type `name` holds so many bytes.
const NAME_LENGTH: u32 = 63;

/// How PostgreSQL takes the values of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Store {
    /// Type of the column in a staging table, as SQL: the base type without a
    /// length, but with the precision of a time and with a collation that is
    /// not the default; text for what is cast.
    pub(crate) staged_as: String,
    /// Type that the staged value must be cast to, as SQL; `None` if assignment is enough.
    pub(crate) cast: Option<String>,
    /// Whether a binary COPY into the table takes ferry's bytes as they are.
    pub(crate) is_direct: bool,
    /// Whether an `UPDATE` may set the column.
    pub(crate) is_updatable: bool,
}

impl Store {
    /// The type that a text is cast to before it is compared with values of
    /// the column: without a length, which would cut it off in silence.
    pub(crate) fn compared_as(&self) -> &str {
        self.cast.as_deref().unwrap_or(&self.staged_as)
    }

    /// How a column of a table that ferry makes takes its values.
    pub(crate) fn of(column_type: ColumnType) -> Self {
        let staged_as = match column_type {
            ColumnType::Varchar(_) => "varchar".to_owned(),
            ColumnType::Numeric(_) => "numeric".to_owned(),
            other => other.to_string(),
        };
        Self { staged_as, cast: None, is_direct: true, is_updatable: true }
    }
}

/// What the catalogue says of a type that is not a domain.
pub(super) struct BaseType {
    /// Whether it is one of PostgreSQL's own: others may have taken a name of those.
    pub(super) is_builtin: bool,
    /// Its name in `pg_type`.
    pub(super) name: String,
    /// As PostgreSQL writes it, with a length if the column has one.
    pub(super) words: String,
    /// Its full name as SQL, without a length.
    pub(super) sql: String,
    /// `typtype` of `pg_type`.
    pub(super) kind: String,
    /// Collation of the column as SQL, if it is not that of the type.
    pub(super) collation: Option<String>,
}

impl BaseType {
    /// The type in which ferry hands values over; `None` if there are none.
    pub(super) fn column_type(&self) -> Option<ColumnType> {
        let is_pseudo_type = self.kind == "p";
        (!is_pseudo_type).then(|| self.native().unwrap_or(ColumnType::Text))
    }

    /// How PostgreSQL takes the values.
    pub(super) fn store(&self) -> Store {
        let is_native = self.native().is_some();
        let mut staged_as = STAGED_TEXT.to_owned();
        if self.rounds_what_it_receives() {
            // Two keys can be one after rounding.
            staged_as.clone_from(&self.words);
        } else if is_native {
            staged_as.clone_from(&self.sql);
            if let Some(collation) = &self.collation {
                // Texts that differ can be one key in a collation.
                staged_as.push_str(" COLLATE ");
                staged_as.push_str(collation);
            }
        }
        Store {
            staged_as,
            cast: (!is_native).then(|| self.sql.clone()),
            is_direct: is_native || self.receives_text(),
            is_updatable: true,
        }
    }

    /// The type, if its binary form is the one that ferry writes.
    fn native(&self) -> Option<ColumnType> {
        if !self.is_builtin {
            // Text in all but comparison.
            return (self.name == "citext").then_some(ColumnType::Text);
        }
        match self.name.as_str() {
            "name" => Some(ColumnType::Varchar(NAME_LENGTH)),
            "bpchar" => Some(of_words(&self.words).unwrap_or(ColumnType::Text)),
            // A scale below zero or above the precision is PostgreSQL's to apply.
            "numeric" => Some(of_words(&self.words).unwrap_or(ColumnType::Numeric(None))),
            _ => of_words(&self.words),
        }
    }

    /// Whether it is a time with a precision, which neither refuses a value nor keeps it whole.
    fn rounds_what_it_receives(&self) -> bool {
        self.native().is_some() && without_time_precision(&self.words) != self.words
    }

    /// Whether the binary form is the text that PostgreSQL parses.
    fn receives_text(&self) -> bool {
        self.kind == "e" || (self.is_builtin && self.name == "json")
    }
}

/// The type that PostgreSQL calls so, if ferry has it.
fn of_words(words: &str) -> Option<ColumnType> {
    // `character(n)` takes texts of up to n characters, as `varchar(n)` does.
    let name = match words.strip_prefix("character(") {
        Some(rest) => format!("varchar({rest}"),
        None => without_time_precision(words),
    };
    name.parse().ok()
}

/// `timestamp(3) without time zone` without `(3)`: PostgreSQL rounds what it receives.
fn without_time_precision(words: &str) -> String {
    let is_time = words.starts_with("time(") || words.starts_with("timestamp(");
    match (words.split_once('('), words.split_once(')')) {
        (Some((before, _)), Some((_, after))) if is_time => format!("{before}{after}"),
        _ => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry::schema::Precision;

    fn builtin(name: &str, words: &str) -> BaseType {
        BaseType {
            is_builtin: true,
            name: name.to_owned(),
            words: words.to_owned(),
            sql: format!("pg_catalog.{name}"),
            kind: "b".to_owned(),
            collation: None,
        }
    }

    fn own(name: &str, kind: &str) -> BaseType {
        BaseType {
            is_builtin: false,
            words: name.to_owned(),
            sql: format!("public.{name}"),
            kind: kind.to_owned(),
            ..builtin(name, name)
        }
    }

    fn array(element: &str, words: &str) -> BaseType {
        BaseType {
            sql: format!("pg_catalog.{element}[]"),
            ..builtin(&format!("_{element}"), words)
        }
    }

    #[track_caller]
    fn assert_is_cast(base: &BaseType, is_direct: bool) {
        assert_eq!(base.column_type(), Some(ColumnType::Text), "{}", base.sql);
        let expected = Store {
            staged_as: "pg_catalog.text".to_owned(),
            cast: Some(base.sql.clone()),
            is_direct,
            is_updatable: true,
        };
        assert_eq!(base.store(), expected);
    }

    #[test]
    fn types_of_the_catalogue_become_column_types() {
        let exact = ColumnType::Numeric(Some(Precision { precision: 15, scale: 2 }));
        let types = [
            ("varchar", "character varying(12)", ColumnType::Varchar(12)),
            ("varchar", "character varying", ColumnType::Text),
            ("bpchar", "character(5)", ColumnType::Varchar(5)),
            ("bpchar", "bpchar", ColumnType::Text),
            ("name", "name", ColumnType::Varchar(63)),
            ("numeric", "numeric(15,2)", exact),
            ("numeric", "numeric(3,-2)", ColumnType::Numeric(None)),
            ("timestamp", "timestamp without time zone", ColumnType::Timestamp),
            ("timestamptz", "timestamp(3) with time zone", ColumnType::Timestamptz),
            ("time", "time(0) without time zone", ColumnType::Time),
            ("jsonb", "jsonb", ColumnType::Jsonb),
        ];
        for (name, words, column_type) in types {
            let base = builtin(name, words);
            assert_eq!(base.column_type(), Some(column_type), "{words}");
            let store = base.store();
            let is_rounded = name.starts_with("time") && words.contains('(');
            let staged_as = if is_rounded { words.to_owned() } else { base.sql };
            assert_eq!((store.staged_as, store.cast), (staged_as, None), "{words}");
            assert!(store.is_direct, "{words}");
        }
    }

    #[test]
    fn other_types_are_handed_over_as_text_and_cast() {
        for name in ["inet", "interval", "timetz", "money", "bit", "int4range", "xml", "char"] {
            assert_is_cast(&builtin(name, name), false);
        }
        assert_is_cast(&builtin("timetz", "time(3) with time zone"), false);
        assert_is_cast(&builtin("interval", "interval(3)"), false);
        assert_is_cast(&own("hstore", "b"), false);
        assert_is_cast(&own("address", "c"), false);
    }

    #[test]
    fn an_array_is_none_of_its_elements() {
        for (element, words) in [
            ("int4", "integer[]"),
            ("varchar", "character varying(3)[]"),
            ("bpchar", "character(3)[]"),
            ("numeric", "numeric(5,2)[]"),
            ("timestamp", "timestamp(3) without time zone[]"),
        ] {
            assert_is_cast(&array(element, words), false);
        }
    }

    #[test]
    fn enums_and_json_take_text_also_by_copy() {
        assert_is_cast(&own("mood", "e"), true);
        assert_is_cast(&builtin("json", "json"), true);
    }

    #[test]
    fn text_without_case_is_staged_as_itself() {
        let base = own("citext", "b");
        assert_eq!(base.column_type(), Some(ColumnType::Text));
        let store = base.store();
        assert_eq!((store.staged_as.as_str(), store.cast), ("public.citext", None));
        assert!(store.is_direct);
    }

    #[test]
    fn a_type_that_borrows_a_name_is_not_taken_for_another() {
        assert_is_cast(&own("text", "b"), false);
        assert_is_cast(&own("json", "e"), true);
    }

    #[test]
    fn a_collation_goes_with_what_is_compared_in_staging() {
        let collation = Some("public.\"no case\"".to_owned());
        let text = BaseType { collation: collation.clone(), ..builtin("text", "text") };
        assert_eq!(text.store().staged_as, "pg_catalog.text COLLATE public.\"no case\"");
        let texts = BaseType { collation, ..array("text", "text[]") };
        assert_eq!(texts.store().staged_as, "pg_catalog.text");
    }

    #[test]
    fn a_pseudo_type_holds_no_value() {
        let base = BaseType { kind: "p".to_owned(), ..builtin("anyarray", "anyarray") };
        assert_eq!(base.column_type(), None);
    }

    #[test]
    fn a_table_that_is_made_takes_values_as_they_are() {
        let staged = |name: &str| Store::of(name.parse().expect("a type")).staged_as;
        assert_eq!(staged("varchar(5)"), "varchar");
        assert_eq!(staged("numeric(5,2)"), "numeric");
        assert_eq!(staged("timestamptz"), "timestamptz");
    }
}
