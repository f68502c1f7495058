//! One table of a job: how its rows are encoded, and the statements that bring them there.
//!
//! Invariant: whatever the pace, the same rows leave the same table, but for
//! those that PostgreSQL refuses.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ferry::schema::Column;

use super::catalogue::Store;
use super::copy::{EncodeError, Tuples, Unfit};
use super::keys::TableKeys;
use super::merge::Statements;
use crate::database::RowRefusal;
use crate::names::TableName;
use crate::stage::Batch;
use crate::transform::Loadable;

pub(crate) use crate::stage::Pace;

/// More kinds of refusals than this the log is not told of.
const TOLD_MAX: usize = 100;

/// A column of a table that is loaded.
#[derive(Debug, Clone)]
pub(crate) struct LoadColumn {
    /// Name and type in the table.
    pub(crate) column: Column,
    /// The type as PostgreSQL writes it, if it is known.
    pub(crate) type_name: Option<String>,
    /// Index of the loadable column that goes into it.
    pub(crate) output: usize,
    /// How PostgreSQL takes its values.
    pub(crate) store: Store,
}

/// What becomes of rows that a table has already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Merge {
    /// Nobody looks: every row is added.
    Append,
    /// A row with the same key takes over what is new; the last one wins.
    Upsert {
        /// Columns of a unique index.
        key: Vec<String>,
        /// Columns that are taken over; with none of them the row stays as it is.
        update: Vec<String>,
        /// The column whose value must be greater than the one that is there, or NULL be there.
        only_if_newer: Option<String>,
    },
    /// A row that is there stays as it is.
    InsertNew {
        /// Columns of a unique index; none to ask all unique indexes of the table.
        key: Vec<String>,
    },
}

/// One table of a job, as rows are loaded into it.
#[derive(Debug)]
pub(crate) struct TableLoad {
    /// Place among the tables of the job.
    index: usize,
    /// Name as people read it.
    shown: String,
    /// Name as SQL of the table that is written.
    into: String,
    columns: Vec<LoadColumn>,
    /// Whether COPY into the table does it all.
    is_plain: bool,
    is_append: bool,
    statements: Statements,
    /// Whether keys come twice, so that PostgreSQL must be handed each of them once.
    repeats_keys: AtomicBool,
    /// Names of constraints as people know them, by those of the table that is written.
    constraint_names: HashMap<String, String>,
    /// What the log has said already of rows that PostgreSQL refuses.
    told: Mutex<BTreeSet<RowRefusal>>,
    /// Outputs of the columns by which its rows are cached, if they are.
    cached_key: Option<Vec<usize>>,
}

impl TableLoad {
    /// Loads these columns of a table, in this order; there is at least one.
    ///
    /// `index` numbers the tables of a job; `shown` is the table's name in
    /// messages, `into` the one that is written.
    pub(crate) fn new(
        index: usize,
        shown: &TableName,
        into: &TableName,
        columns: Vec<LoadColumn>,
        merge: Merge,
    ) -> Self {
        let is_append = merge == Merge::Append;
        Self {
            index,
            shown: shown.to_string(),
            into: into.to_sql(),
            is_plain: is_append && columns.iter().all(|column| column.store.is_direct),
            is_append,
            statements: Statements::new(index, into, &columns, merge),
            columns,
            repeats_keys: AtomicBool::new(false),
            constraint_names: HashMap::new(),
            told: Mutex::default(),
            cached_key: None,
        }
    }

    /// Hands out the keys of its rows, which are cached by these columns of it.
    pub(crate) fn with_cached_key(mut self, key: &[String]) -> Self {
        let output = |name: &String| {
            self.columns.iter().find(|column| column.column.name == *name).map(|found| found.output)
        };
        // A key is always loaded; the rows of a table without one are not cached.
        self.cached_key = key.iter().map(output).collect::<Option<_>>();
        self
    }

    /// Keys of the rows of a batch, if they are cached.
    pub(crate) fn cached_keys(&self, batch: &Batch<Loadable>) -> Option<TableKeys> {
        let outputs = self.cached_key.as_ref()?;
        Some(TableKeys::of(self.index, outputs, batch))
    }

    /// Calls constraints by other names than the table that is written does.
    pub(crate) fn with_constraint_names(mut self, names: HashMap<String, String>) -> Self {
        self.constraint_names = names;
        self
    }

    /// The table's name as people read it.
    pub(crate) fn table(&self) -> &str {
        &self.shown
    }

    /// Appends one tuple a row to `out`.
    ///
    /// `rows_before` is added to the number of each row: rows of several files
    /// that are loaded together must not have the same numbers.
    pub(crate) fn encode(
        &self,
        batch: &Batch<Loadable>,
        pace: Pace,
        rows_before: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let columns = self.columns.iter().map(|column| (column.column.column_type, column.output));
        let unfit = |Unfit(at): Unfit| self.mismatch(&self.columns[at].column);
        let tuples = Tuples::new(&batch.rows.records, columns).map_err(unfit)?;
        if self.is_direct(pace) {
            return tuples.write(out).map_err(unfit);
        }
        let numbers = batch.rows.places.iter().map(|place| rows_before + place.row_number);
        tuples.write_numbered(numbers, out).map_err(unfit)
    }

    fn mismatch(&self, column: &Column) -> EncodeError {
        EncodeError {
            table: self.shown.clone(),
            column: column.name.clone(),
            expected: column.column_type.to_string(),
        }
    }

    /// What rows were encoded for: the table that is written, as SQL, and the
    /// name and type of each of its columns whose type is known.
    pub(super) fn shape(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.columns.iter().filter_map(|column| {
            Some((self.into.as_str(), column.column.name.as_str(), column.type_name.as_deref()?))
        })
    }

    /// Whether rows are copied into the table itself, and not into a staging table.
    pub(super) fn is_direct(&self, pace: Pace) -> bool {
        self.is_plain && pace == Pace::Swift
    }

    /// Whether every row must be in the table afterwards.
    pub(super) fn is_append(&self) -> bool {
        self.is_append
    }

    /// The statement that begins the COPY.
    pub(super) fn copy(&self, pace: Pace) -> &str {
        if self.is_direct(pace) { &self.statements.copy } else { &self.statements.copy_staged }
    }

    /// What is done with the staging table.
    pub(super) fn statements(&self) -> &Statements {
        &self.statements
    }

    /// Takes all staged rows into the table, supposing that no key comes twice;
    /// `None` if that is known to be wrong, or would make no difference.
    pub(super) fn merge_each(&self) -> Option<Arc<str>> {
        let is_known = self.repeats_keys.load(Ordering::Relaxed);
        self.statements.merge_each.as_ref().filter(|_| !is_known).map(Arc::clone)
    }

    /// Takes note that a key came twice: it probably will again.
    pub(super) fn expect_repeats(&self) {
        self.repeats_keys.store(true, Ordering::Relaxed);
    }

    /// The refusal with the name of its constraint as people know it.
    pub(super) fn in_known_names(&self, refusal: RowRefusal) -> RowRefusal {
        let known = refusal.constraint.as_ref().and_then(|name| self.constraint_names.get(name));
        RowRefusal { constraint: known.cloned().or(refusal.constraint), ..refusal }
    }

    /// Whether the log is to be told that rows are refused for this: nobody has yet.
    pub(super) fn is_news(&self, refusal: &RowRefusal) -> bool {
        // A panic elsewhere ends the run; what was told was told.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < TOLD_MAX && told.insert(refusal.clone())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A column whose values PostgreSQL takes as they are.
    pub(in crate::load) fn column(name: &str, column_type: &str, output: usize) -> LoadColumn {
        let column_type = column_type.parse().expect("a type");
        let store = Store::of(column_type);
        LoadColumn {
            column: Column { name: name.to_owned(), column_type },
            type_name: None,
            output,
            store,
        }
    }

    fn table(columns: Vec<LoadColumn>, merge: Merge) -> TableLoad {
        let shown: TableName = "public.users".parse().expect("a table name");
        let into: TableName = "ferry.incoming_12_0".parse().expect("a table name");
        TableLoad::new(0, &shown, &into, columns, merge)
    }

    #[test]
    fn only_a_swift_append_of_plain_types_goes_straight_into_the_table() {
        let columns = || vec![column("id", "integer", 0)];
        let append = table(columns(), Merge::Append);
        assert!(append.is_direct(Pace::Swift) && !append.is_direct(Pace::Careful));
        assert!(append.copy(Pace::Swift).starts_with(r#"COPY "ferry"."incoming_12_0""#));
        assert!(append.copy(Pace::Careful).starts_with("COPY pg_temp.ferry_staged_0 "));
        assert!(append.is_append() && append.merge_each().is_none());
        let mut moods = columns();
        moods[0].store.is_direct = false;
        assert!(!table(moods, Merge::Append).is_direct(Pace::Swift));
        let new = table(columns(), Merge::InsertNew { key: Vec::new() });
        assert!(!new.is_direct(Pace::Swift) && !new.is_append());
    }

    #[test]
    fn a_key_that_came_twice_is_expected_to_do_so_again() {
        let merge = Merge::Upsert {
            key: vec!["id".to_owned()],
            update: vec!["name".to_owned()],
            only_if_newer: None,
        };
        let users = table(vec![column("id", "integer", 0), column("name", "text", 1)], merge);
        assert!(users.merge_each().is_some());
        users.expect_repeats();
        assert!(users.merge_each().is_none());
    }

    #[test]
    fn a_refusal_is_told_once() {
        let users = table(vec![column("id", "integer", 0)], Merge::Append);
        let refusal = |constraint: &str| RowRefusal {
            sqlstate: "23505".to_owned(),
            constraint: Some(constraint.to_owned()),
            column: None,
        };
        assert!(users.is_news(&refusal("users_pkey")));
        assert!(!users.is_news(&refusal("users_pkey")));
        assert!(users.is_news(&refusal("users_email_key")));
    }

    #[test]
    fn the_log_is_not_told_without_end() {
        let users = table(vec![column("id", "integer", 0)], Merge::Append);
        let refusal = |number: usize| RowRefusal {
            sqlstate: format!("U{number:04}"),
            constraint: None,
            column: None,
        };
        let told = (0..300).filter(|number| users.is_news(&refusal(*number))).count();
        assert_eq!(told, TOLD_MAX);
    }

    #[test]
    fn a_constraint_is_called_by_the_name_that_people_know() {
        let names = [("incoming_12_0_77".to_owned(), "users_pkey".to_owned())];
        let users = table(vec![column("id", "integer", 0)], Merge::Append);
        let users = users.with_constraint_names(names.into());
        let known_name = |name: &str| {
            let constraint = Some(name.to_owned());
            let refusal = RowRefusal { sqlstate: "23505".to_owned(), constraint, column: None };
            users.in_known_names(refusal).constraint
        };
        assert_eq!(known_name("incoming_12_0_77").as_deref(), Some("users_pkey"));
        assert_eq!(known_name("users_age_check").as_deref(), Some("users_age_check"));
    }

    #[test]
    fn a_batch_that_does_not_fit_names_table_and_column() {
        let users = table(vec![column("id", "bigint", 0)], Merge::Append);
        let error = users.mismatch(&users.columns[0].column).to_string();
        assert!(error.contains("column \"id\" of public.users"), "{error}");
        assert!(error.contains("bigint"), "{error}");
    }
}
