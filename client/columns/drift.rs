//! Compares what the files of a source have with what a job has seen of it before. Pure: no I/O.
//!
//! Invariants: what comes out for one attempt at a run comes out again for the
//! next one, whose baseline it is; no name of a header that looks like a record
//! is told, noted or loaded.

mod words;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::RecordBatch;
use ferry::schema::{Column, ColumnType, arrow_schema};

use super::{ColumnError, rule_of};
use crate::job::{DriftPolicy, Job, Pii};
use crate::receive::Misfit;
use crate::suspect::{looks_like_value, suspects};

pub(crate) use words::Files;
use words::list;
pub(super) use words::shown;

/// Differences that an error tells.
const DIFFERENCES_MAX: usize = 100;

/// A file of which something is to be loaded, and its header.
#[derive(Debug, Clone)]
pub(crate) struct FileHeader {
    /// Name of the file.
    pub(crate) file: String,
    /// Its columns with the dataset's types; at least one.
    pub(crate) columns: Arc<[Column]>,
}

/// One way in which the source is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Files have a column that was not there.
    Appeared {
        /// The column as the source declares it.
        column: Column,
        /// Files that have it.
        files: Files,
    },
    /// Files lack a column.
    Vanished {
        /// The column as it was.
        column: Column,
        /// Files that lack it.
        files: Files,
    },
    /// The source declares another type.
    Changed {
        /// Name of the column.
        column: String,
        /// Its type before.
        before: ColumnType,
        /// Its type now.
        now: ColumnType,
    },
}

/// How a source differs from what a job has seen of it, and what it is taken for.
#[derive(Debug, Clone)]
pub(crate) struct Drift {
    /// Every difference: what changed, what vanished, what appeared.
    pub(crate) differences: Vec<Difference>,
    /// The dataset's columns, as the columns of the job are planned with them.
    pub(crate) columns: Vec<Column>,
    /// What the ledger notes of the source, which is the next baseline; `None` while
    /// no file was seen, of which the dataset may not know all columns, and no table made.
    pub(crate) offered: Option<Vec<Column>>,
    dataset: String,
    /// Files whose header may be a record; its names are not told.
    untold: Files,
    /// Why a new column cannot be loaded as it is.
    undeclared: Option<String>,
}

/// Compares the headers of files with the columns that the job's last run noted.
///
/// Without such a `baseline`, the columns of the `dataset` take its place.
pub(crate) fn drift(
    job: &Job,
    baseline: Option<&[Column]>,
    dataset: &[Column],
    headers: &[FileHeader],
) -> Drift {
    let base = baseline.unwrap_or(dataset);
    let (groups, untold) = Groups::of(headers, base);
    let watched = watched(job, base, &groups);
    let mut columns = watched.with_base(base);
    let mut differences = Vec::new();
    for column in columns.iter_mut().filter(|column| watched.names.contains(&column.name)) {
        let before = column.column_type;
        let now = groups.find(&column.name).map_or(before, |found| found.column_type);
        if now != before && depends_on_source(job, &column.name) {
            let column_name = column.name.clone();
            differences.push(Difference::Changed { column: column_name, before, now });
            if job.load.drift == DriftPolicy::Evolve {
                column.column_type = now;
            }
        }
    }
    for column in columns.iter().filter(|column| watched.names.contains(&column.name)) {
        let files = groups.files_without(&column.name);
        if files.count > 0 {
            differences.push(Difference::Vanished { column: column.clone(), files });
        }
    }
    let mut appeared = Vec::new();
    if job.source.columns.is_empty() {
        appeared = groups.columns_beside(&columns);
    }
    let undeclared = undeclared(job, &appeared);
    for column in appeared {
        let files = groups.files_with(&column.name);
        differences.push(Difference::Appeared { column: column.clone(), files });
        if job.load.drift == DriftPolicy::Evolve {
            columns.push(column);
        }
    }
    let is_seen = baseline.is_some() || !headers.is_empty();
    let offered = is_seen.then(|| columns.clone());
    let dataset = job.source.dataset.clone();
    Drift { differences, columns, offered, dataset, untold, undeclared }
}

impl Drift {
    /// Makes the next baseline of the columns that new tables get, also while no
    /// file was seen: what comes later is new to those tables.
    pub(crate) fn make_baseline(&mut self) {
        if self.offered.is_none() {
            self.offered = Some(self.columns.clone());
        }
    }

    /// Refuses what the policy does not allow.
    ///
    /// `freeze` allows no difference, `evolve` no new column that looks like
    /// undeclared personal data, and none a header that may be a record.
    pub(crate) fn judge(&self, policy: DriftPolicy) -> Result<(), ColumnError> {
        if self.untold.count > 0 {
            return Err(ColumnError::FilesWithoutHeader {
                dataset: self.dataset.clone(),
                files: self.untold.to_string(),
            });
        }
        match (policy, &self.undeclared) {
            (DriftPolicy::Freeze, _) if !self.differences.is_empty() => Err(ColumnError::Drifted {
                dataset: self.dataset.clone(),
                differences: list(&self.differences, DIFFERENCES_MAX),
            }),
            (DriftPolicy::Evolve, Some(undeclared)) => {
                Err(ColumnError::AppearedUndeclared(undeclared.clone()))
            }
            _ => Ok(()),
        }
    }

    /// What becomes of rows of a file that does not have what is wanted.
    pub(crate) fn misfit(&self, job: &Job) -> Misfit {
        match job.load.drift {
            DriftPolicy::Freeze => Misfit::Refuse,
            DriftPolicy::Evolve => Misfit::Fill,
            DriftPolicy::Quarantine => {
                // Of a job that names its columns, the others are no concern.
                let is_open = job.source.columns.is_empty();
                let names = || self.columns.iter().map(|column| column.name.clone()).collect();
                Misfit::Reject { expected: is_open.then(names) }
            }
        }
    }
}

/// The columns of which a difference matters.
struct Watched {
    names: HashSet<String>,
    /// Named by the job and not part of the base.
    new: Vec<Column>,
}

fn watched(job: &Job, base: &[Column], groups: &Groups<'_>) -> Watched {
    if job.source.columns.is_empty() {
        let names = base.iter().map(|column| column.name.clone()).collect();
        return Watched { names, new: Vec::new() };
    }
    let is_new = |name: &&String| base.iter().all(|column| column.name != **name);
    let new = job.source.columns.iter().filter(is_new);
    let new = new.filter_map(|name| groups.find(name).cloned()).collect();
    Watched { names: job.source.columns.iter().cloned().collect(), new }
}

impl Watched {
    fn with_base(&self, base: &[Column]) -> Vec<Column> {
        base.iter().chain(&self.new).cloned().collect()
    }
}

/// Whether the type that the source declares decides anything.
fn depends_on_source(job: &Job, name: &str) -> bool {
    rule_of(job, name).is_none_or(|rule| {
        // What is hashed or masked is the text as it stands in the file.
        let is_text =
            matches!(rule.pii, Some(Pii::Hash { .. } | Pii::Salted { .. } | Pii::Mask { .. }));
        rule.column_type.is_none() && !is_text
    })
}

/// What the first new column looks like that may be personal data, unless the job says what it is.
fn undeclared(job: &Job, appeared: &[Column]) -> Option<String> {
    let is_declared = |name: &str| {
        let has_rule = rule_of(job, name).is_some_and(|rule| rule.pii.is_some());
        has_rule || job.transform.drop.iter().any(|dropped| dropped == name)
    };
    // Only names are judged: nothing has been read yet.
    let nothing = RecordBatch::new_empty(arrow_schema(appeared));
    let mut suspect = suspects(&nothing, &is_declared).into_iter().next()?;
    suspect.column = shown(&suspect.column);
    Some(suspect.to_string())
}

/// Files by their headers: most files of a dataset have the same one.
struct Groups<'a>(Vec<Group<'a>>);

struct Group<'a> {
    columns: &'a Arc<[Column]>,
    by_name: HashMap<&'a str, &'a Column>,
    files: Vec<&'a str>,
}

impl<'a> Groups<'a> {
    /// Groups the files, and lists those whose header may be a record.
    fn of(headers: &'a [FileHeader], base: &[Column]) -> (Self, Files) {
        let mut groups: Vec<Group<'a>> = Vec::new();
        for FileHeader { file, columns } in headers {
            let is_same = |group: &&mut Group<'_>| {
                Arc::ptr_eq(group.columns, columns) || group.columns == columns
            };
            match groups.iter_mut().find(is_same) {
                Some(group) => group.files.push(file),
                None => groups.push(Group::new(columns, file)),
            }
        }
        let (untold, told): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| group.may_be_record(base));
        (Self(told), Files::of(untold.iter().flat_map(|group| &group.files).copied()))
    }

    /// The first column of this name.
    fn find(&self, name: &str) -> Option<&'a Column> {
        self.0.iter().find_map(|group| group.by_name.get(name).copied())
    }

    fn files_with(&self, name: &str) -> Files {
        let groups = self.0.iter().filter(|group| group.by_name.contains_key(name));
        Files::of(groups.flat_map(|group| &group.files).copied())
    }

    fn files_without(&self, name: &str) -> Files {
        let groups = self.0.iter().filter(|group| !group.by_name.contains_key(name));
        Files::of(groups.flat_map(|group| &group.files).copied())
    }

    /// Columns that are not among these, each once, in the order of files and headers.
    fn columns_beside(&self, columns: &[Column]) -> Vec<Column> {
        let mut known: HashSet<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let mut beside = Vec::new();
        for column in self.0.iter().flat_map(|group| group.columns.iter()) {
            if known.insert(&column.name) {
                beside.push(column.clone());
            }
        }
        beside
    }
}

impl<'a> Group<'a> {
    fn new(columns: &'a Arc<[Column]>, file: &'a str) -> Self {
        let by_name = columns.iter().map(|column| (column.name.as_str(), column)).collect();
        Self { columns, by_name, files: vec![file] }
    }

    /// Whether the file may begin with a record in place of a header: a name
    /// looks like personal data, or none is one that is expected.
    fn may_be_record(&self, base: &[Column]) -> bool {
        let is_expected = |column: &Column| self.by_name.contains_key(column.name.as_str());
        let fits = base.is_empty() || base.iter().any(is_expected);
        !fits || self.columns.iter().any(|column| looks_like_value(&column.name))
    }
}

#[cfg(test)]
pub(super) mod tests;
