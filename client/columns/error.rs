//! Why the columns of source, job and targets do not fit together.

use crate::expression::ExpressionError;

/// Columns that do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ColumnError {
    /// The dataset lacks a column that the job names.
    #[error("dataset {dataset} has no column \"{column}\"{hint}")]
    NotInDataset {
        /// Name of the dataset.
        dataset: String,
        /// Column that the job names.
        column: String,
        /// The nearest name, or the list of names.
        hint: String,
    },
    /// The source cannot tell the columns of a dataset.
    #[error("dataset {0} has no columns: none of its files is there, or none has a header yet")]
    EmptyDataset(String),
    /// A file begins with a record in place of a header.
    #[error(
        "the header of dataset {0} looks like a record with personal data: give its files a first line with the names of the columns"
    )]
    HeaderLooksLikeData(String),
    /// The job says something of a column that it does not load.
    #[error("column \"{0}\" is configured but not loaded: add it to source.columns")]
    NotLoaded(String),
    /// A setting names a column that is not there.
    #[error("{setting} names \"{column}\", which is not there{hint}")]
    Unknown {
        /// Setting that names it.
        setting: String,
        /// Column that it names.
        column: String,
        /// The nearest name, or the list of names.
        hint: String,
    },
    /// Two columns would have one name.
    #[error("{setting} makes a second column \"{column}\": choose another name")]
    Clash {
        /// Setting that makes the second one.
        setting: String,
        /// Name of both.
        column: String,
    },
    /// A personal value would be loaded under another name.
    #[error(
        "{0} is a column of personal data as it is: derive what you need of it, or leave it out"
    )]
    DerivedAsItIs(String),
    /// An expression gives something that no column holds.
    #[error("{0} gives a type that no column can hold: cast it")]
    NoColumnType(String),
    /// An expression does not compile.
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    /// Personal data is to be hashed, and there is no key to do it with.
    #[error(transparent)]
    NoKey(#[from] NoKey),
    /// A target takes no column.
    #[error("target table {0} takes no column: name some in target.columns, or drop fewer")]
    NoColumns(String),
    /// The table does not exist.
    #[error("table {0} does not exist: create it, or set create = true (--create)")]
    NoTable(String),
    /// The table lacks a column.
    #[error(
        "target table {table} lacks column \"{column}\": add it, or leave it out (source.columns, transform.drop or target.columns)"
    )]
    NotInTable {
        /// Name of the table.
        table: String,
        /// Column of the source.
        column: String,
    },
    /// The table has a column that cannot be left out.
    #[error(
        "target table {table} requires column \"{column}\", which the source does not give: give it a default, or set it in [transform]"
    )]
    RequiredByTable {
        /// Name of the table.
        table: String,
        /// Column of the table.
        column: String,
    },
    /// No unique index can tell which row a new one meets.
    #[error(
        "target table {table} has no unique index on exactly {key} that mode {mode} can use: run {statement}"
    )]
    NoUniqueIndex {
        /// Name of the table.
        table: String,
        /// Columns of the key, as people read them.
        key: String,
        /// Word of the mode.
        mode: &'static str,
        /// Statement that makes one.
        statement: String,
    },
    /// The role may not do what the mode needs.
    #[error("role {role} may not load {table} with mode {mode}: run {grants}")]
    MissingGrant {
        /// Name of the table.
        table: String,
        /// Role of the connection.
        role: String,
        /// Word of the mode.
        mode: &'static str,
        /// Statements that give it what it lacks.
        grants: String,
    },
    /// The column's type in the table cannot be loaded.
    #[error("column \"{column}\" of {table} is {found}: {hint}")]
    TypeMismatch {
        /// Name of the table.
        table: String,
        /// Name of the column.
        column: String,
        /// Type in the table.
        found: String,
        /// What to do.
        hint: String,
    },
    /// Files whose header may be a record, so that its names are not told.
    #[error(
        "the header of {files} looks like a record, or has no column of dataset {dataset}: give each file a first line with the names of its columns"
    )]
    FilesWithoutHeader {
        /// Name of the dataset.
        dataset: String,
        /// Files, as people read them.
        files: String,
    },
    /// The source is not what it was, and the job is to stop then.
    #[error(
        "the files of dataset {dataset} do not have the columns that were expected: {differences}: set load.drift (--drift) to \"evolve\" to follow them or to \"quarantine\" to refuse what does not fit, or name the columns to load in source.columns"
    )]
    Drifted {
        /// Name of the dataset.
        dataset: String,
        /// Every difference, as people read it.
        differences: String,
    },
    /// A new column may be personal data.
    #[error("a new column of the source is not added as it is: {0}")]
    AppearedUndeclared(String),
    /// A table cannot get a column of such a name.
    #[error(
        "target table {table} cannot get a column \"{column}\", which is new in the source: PostgreSQL takes names of 1 to 63 printable bytes: name it in transform.rename or transform.drop"
    )]
    CannotAdd {
        /// Name of the table.
        table: String,
        /// Column, as people read it.
        column: String,
    },
    /// A column of a table cannot follow the source without loss.
    #[error(
        "column \"{column}\" of {table} is {found}, and the source declares it as {now} now, which that type does not widen to: change the table, or give the column a type in [[column]]"
    )]
    CannotWiden {
        /// Name of the table.
        table: String,
        /// Name of the column.
        column: String,
        /// Type in the table.
        found: String,
        /// Type that the source declares.
        now: String,
    },
}

/// Personal data is to be hashed, and there is no key to do it with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("pii.key_file is missing: set it in the job file, or use --key-file")]
pub(crate) struct NoKey;
