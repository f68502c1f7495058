//! The files that a process could not read: which they are, and how it ends because of them.
//!
//! Splits of a file that is gone, or is not what it was, are left to a later
//! run; this process claims no more of them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::PgConnection;

use super::survey::replaces;
use crate::error::{ClientError, RunLeft, UnreadableFiles};
use crate::job::Job;
use crate::ledger::files::{self, FileProblem};
use crate::ledger::{FileId, LedgerError, RunId, runs};

/// What a process knows of files that cannot be read.
pub(super) struct Unreadable {
    /// Found when the run was planned.
    planned: Vec<FileProblem>,
    /// Files that wait for one of those, since files are loaded in their order.
    held_up: usize,
    /// Met since.
    left_out: Mutex<HashMap<FileId, FileProblem>>,
}

impl Unreadable {
    /// Begins with what the plan tells.
    pub(super) fn new(planned: Vec<FileProblem>, held_up: usize) -> Self {
        Self { planned, held_up, left_out: Mutex::default() }
    }

    /// Files that did not join the run because one before them cannot be read to its end.
    pub(super) fn held_up(&self) -> usize {
        self.held_up
    }

    /// Takes note that a file cannot be read any more.
    pub(super) fn leave_out(&self, file_id: FileId, problem: FileProblem) {
        let mut left_out = self.left_out();
        if let Entry::Vacant(place) = left_out.entry(file_id) {
            let FileProblem { file, reason, message } = place.insert(problem);
            tracing::warn!(
                file,
                reason,
                error = message,
                "the file cannot be read any more: it is left to a later run"
            );
        }
    }

    /// The files whose splits are left to a later run.
    pub(super) fn file_ids(&self) -> Vec<FileId> {
        self.left_out().keys().copied().collect()
    }

    /// What is wrong with each file, as the ledger and this process know it, by name.
    pub(super) async fn all(
        &self,
        job: &Job,
        connection: &mut PgConnection,
    ) -> Result<Vec<FileProblem>, LedgerError> {
        let known = files::problems(connection, &job.name, &job.source.dataset).await?;
        let met: Vec<FileProblem> = self.left_out().values().cloned().collect();
        Ok(self.latest(known, met))
    }

    /// The same once every split is done: another process has read what this one left out.
    pub(super) async fn all_of_finished(
        &self,
        job: &Job,
        connection: &mut PgConnection,
    ) -> Result<Vec<FileProblem>, LedgerError> {
        let known = files::problems(connection, &job.name, &job.source.dataset).await?;
        Ok(self.latest(known, Vec::new()))
    }

    /// The error of a process that may not load what comes after such a file.
    pub(super) fn error_in_order(&self, job: &Job, run_id: RunId) -> ClientError {
        let left = if replaces(job) { RunLeft::Unreplaced } else { RunLeft::InOrder };
        let met: Vec<FileProblem> = self.left_out().values().cloned().collect();
        let problems = self.latest(Vec::new(), met);
        let (left, held_up) = (left(run_id), self.held_up);
        ClientError::FilesUnreadable(UnreadableFiles { problems, left, held_up })
    }

    /// The error of a process for which nothing but splits of such files is left; `None` if there are others.
    pub(super) async fn error_at_end(
        &self,
        job: &Job,
        run_id: RunId,
        connection: &mut PgConnection,
    ) -> Result<Option<ClientError>, LedgerError> {
        let left_out = self.file_ids();
        if left_out.is_empty() || runs::has_undone_beside(connection, run_id, &left_out).await? {
            return Ok(None);
        }
        let left = if replaces(job) { RunLeft::Unreplaced } else { RunLeft::Open };
        let problems = self.all(job, connection).await?;
        let files = UnreadableFiles { problems, left: left(run_id), held_up: self.held_up };
        Ok(Some(ClientError::FilesUnreadable(files)))
    }

    /// The latest word on each file.
    fn latest(&self, known: Vec<FileProblem>, met: Vec<FileProblem>) -> Vec<FileProblem> {
        let all = known.into_iter().chain(self.planned.iter().cloned()).chain(met);
        let by_name: BTreeMap<String, FileProblem> =
            all.map(|problem| (problem.file.clone(), problem)).collect();
        by_name.into_values().collect()
    }

    fn left_out(&self) -> MutexGuard<'_, HashMap<FileId, FileProblem>> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(file: &str, reason: &str) -> FileProblem {
        let (file, message) = (file.to_owned(), String::new());
        FileProblem { file, reason: reason.to_owned(), message }
    }

    #[test]
    fn the_latest_word_on_a_file_counts() {
        let unreadable = Unreadable::new(vec![problem("b", "ARCHIVE_DAMAGED")], 0);
        let known = vec![problem("b", "BAD_HEADER"), problem("a", "BAD_HEADER")];
        let all = unreadable.latest(known.clone(), Vec::new());
        assert_eq!(all, [problem("a", "BAD_HEADER"), problem("b", "ARCHIVE_DAMAGED")]);
        let all = unreadable.latest(known, vec![problem("b", "FILE_NOT_FOUND")]);
        assert_eq!(all, [problem("a", "BAD_HEADER"), problem("b", "FILE_NOT_FOUND")]);
    }

    #[test]
    fn a_file_is_left_out_once() {
        let unreadable = Unreadable::new(Vec::new(), 0);
        for _ in 0..2 {
            unreadable.leave_out(FileId(7), problem("b", "FILE_NOT_FOUND"));
        }
        assert_eq!(unreadable.file_ids(), [FileId(7)]);
    }
}
