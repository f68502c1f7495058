//! Turns the fields of an error of PostgreSQL into the names among them that cannot be values.

use sqlx::postgres::PgDatabaseError;

/// Routine of PostgreSQL whose message names an object that exists.
const ACCESS_CHECK: &str = "aclcheck_error";
/// Routines of PostgreSQL whose messages quote the statement's names, and no
/// value unless a function put the statement together.
const ROUTINES_WITHOUT_VALUES: [&str; 5] = [
    "parserOpenTable",
    "RangeVarGetRelidExtended",
    "get_namespace_oid",
    "LookupExplicitNamespace",
    "CopyGetAttnums",
];

/// Routines of PostgreSQL that say in the catalogue's names what a row breaks.
///
/// Other names may be values: a trigger may `RAISE … USING CONSTRAINT =
/// NEW.email`, functions in other languages may do the same, and an extension
/// may hand on what another server said. PostgreSQL 13 to 18 have these.
const ROUTINES_THAT_NAME: [&str; 13] = [
    "_bt_check_unique",
    "comparetup_index_btree",
    "comparetup_index_btree_tiebreak",
    "check_exclusion_or_unique_constraint",
    "ri_ReportViolation",
    "ExecConstraints",
    "ReportNotNullViolationError",
    "ExecPartitionCheckEmitError",
    "ExecFindPartition",
    "ExecEvalConstraintCheck",
    "ExecEvalConstraintNotNull",
    "domain_check_input",
    "ATRewriteTable",
];
/// PostgreSQL has no longer names.
const NAME_BYTES_MAX: usize = 63;

/// What a row breaks, and where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Names<'a> {
    pub(super) constraint: Option<&'a str>,
    pub(super) schema: Option<&'a str>,
    pub(super) table: Option<&'a str>,
    pub(super) column: Option<&'a str>,
}

impl<'a> Names<'a> {
    /// The names in an error that cannot be values.
    pub(super) fn of(error: &'a PgDatabaseError) -> Self {
        let all = Self {
            constraint: error.constraint(),
            schema: error.schema(),
            table: error.table(),
            column: error.column(),
        };
        all.sent_by(error.routine())
    }

    /// Nothing is left of them unless a routine sent them that has them from the catalogue.
    pub(super) fn sent_by(self, routine: Option<&str>) -> Self {
        if !routine.is_some_and(|routine| ROUTINES_THAT_NAME.contains(&routine)) {
            return Self::default();
        }
        Self {
            constraint: self.constraint.map(cut),
            schema: self.schema.map(cut),
            table: self.table.map(cut),
            column: self.column.map(cut),
        }
    }
}

/// Whether a message can only hold names of objects; `is_nested` if a function ran into it.
pub(super) fn quotes_no_value(routine: Option<&str>, is_nested: bool) -> bool {
    // A statement that a function puts together may have a value for a name.
    routine.is_some_and(|routine| {
        routine == ACCESS_CHECK || (!is_nested && ROUTINES_WITHOUT_VALUES.contains(&routine))
    })
}

fn cut(name: &str) -> &str {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_trigger_sends_are_left_out() {
        let name = Some("ann@heron.example");
        let sent = Names { constraint: name, schema: name, table: name, column: name };
        for routine in [None, Some("exec_stmt_raise"), Some("PLy_elog_impl"), Some("croak_cstr")] {
            assert_eq!(sent.sent_by(routine), Names::default(), "{routine:?}");
        }
    }

    #[test]
    fn names_are_as_long_as_those_of_the_catalogue_at_most() {
        let long = "ü".repeat(40);
        let sent = Names { column: Some(&long), ..Names::default() };
        let names = sent.sent_by(Some("ExecConstraints"));
        assert_eq!(names.column, Some("ü".repeat(31).as_str()));
        let whole = "x".repeat(63);
        assert_eq!(cut(&whole), whole);
    }

    #[test]
    fn a_message_is_kept_if_no_function_put_the_statement_together() {
        assert!(quotes_no_value(Some("parserOpenTable"), false));
        assert!(!quotes_no_value(Some("parserOpenTable"), true));
        assert!(quotes_no_value(Some("aclcheck_error"), true));
        assert!(!quotes_no_value(Some("exec_stmt_raise"), false) && !quotes_no_value(None, false));
    }
}
