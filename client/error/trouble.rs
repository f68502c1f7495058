//! Tells errors that pass from those that last, in one place.

use super::ClientError;
use crate::database::StatementError;
use crate::ledger::LedgerError;
use crate::ledger::files::FileProblem;
use crate::load::catalogue::CatalogueError;
use crate::load::commit::{CopyError, LoadError};
use crate::load::replace::ReplaceError;
use crate::pipeline::PipelineError;
use crate::receive::SourceError;

/// What a worker can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// PostgreSQL refuses a row: load the same rows again, carefully.
    RowRefused,
    /// The file of a split is gone, or not what it was: go on with others.
    FileLost,
    /// It may pass: a host that is gone, a collision of transactions, a split
    /// that another worker has taken over.
    Passing,
    /// It will be the same next time.
    Lasting,
}

impl ClientError {
    /// What a worker can do about it.
    pub(crate) fn trouble(&self) -> Trouble {
        if let Self::Pipeline(error) = self
            && error.refuses_row()
        {
            return Trouble::RowRefused;
        }
        if let Self::Pipeline(PipelineError::Source(error)) = self
            && error.is_of_file()
        {
            return Trouble::FileLost;
        }
        let is_passing = match self {
            Self::Source(error) | Self::Pipeline(PipelineError::Source(error)) => is_passing(error),
            Self::Database(error) => error.is_retryable(),
            _ if self.ledger().is_some_and(is_overtaken) => true,
            _ => self.statement().is_some_and(StatementError::is_retryable),
        };
        if is_passing { Trouble::Passing } else { Trouble::Lasting }
    }

    /// What is wrong with the file of the split that was loaded, if only that one is to blame.
    pub(crate) fn problem_of(&self, file: &str) -> Option<FileProblem> {
        match self {
            Self::Pipeline(PipelineError::Source(error)) => error.problem_of(file),
            _ => None,
        }
    }

    /// Whether the source, or the way to it, is to blame.
    pub(crate) fn is_of_source(&self) -> bool {
        matches!(self, Self::Source(_) | Self::Pipeline(PipelineError::Source(_)))
    }

    /// Whether no worker can bring the run to its end.
    pub(crate) fn ends_run(&self) -> bool {
        match self {
            Self::RejectsOverLimit { .. }
            | Self::AccountsOpen { .. }
            | Self::CheckFailure(_)
            | Self::Pipeline(PipelineError::Check(_)) => true,
            Self::Replace(_) => self.trouble() == Trouble::Lasting,
            _ => false,
        }
    }

    fn ledger(&self) -> Option<&LedgerError> {
        match self {
            Self::Ledger(error) | Self::Pipeline(PipelineError::Load(LoadError::Ledger(error))) => {
                Some(error)
            }
            _ => None,
        }
    }

    /// The statement that failed, whoever ran it.
    fn statement(&self) -> Option<&StatementError> {
        if let Some(LedgerError::Database(error)) = self.ledger() {
            return Some(error);
        }
        match self {
            Self::Statement(error)
            | Self::Catalogue(CatalogueError::Database(error))
            | Self::Replace(ReplaceError::Database(error))
            | Self::Pipeline(
                PipelineError::Load(
                    LoadError::Database { error, .. }
                    | LoadError::Copy { error: CopyError::Database { error, .. }, .. },
                )
                | PipelineError::Copy(CopyError::Database { error, .. }),
            ) => Some(error),
            _ => None,
        }
    }
}

/// Whether another worker was faster: the ledger is asked where to go on.
fn is_overtaken(error: &LedgerError) -> bool {
    matches!(
        error,
        LedgerError::Fenced { .. }
            | LedgerError::Moved { .. }
            | LedgerError::RunEnded { .. }
            | LedgerError::PlanOutdated
    )
}

fn is_passing(error: &SourceError) -> bool {
    matches!(
        error,
        SourceError::Unreachable { .. }
            | SourceError::Unanswered(_)
            | SourceError::Lost(_)
            | SourceError::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{RunId, SplitId};
    use ferry::position::Position;

    #[test]
    fn a_host_that_is_gone_may_come_back() {
        let unreachable =
            SourceError::Unreachable { url: "http://h:1".to_owned(), reason: "refused".to_owned() };
        for error in [unreachable, SourceError::Lost("reset".to_owned()), SourceError::Interrupted]
        {
            let error = ClientError::from(error);
            assert_eq!(error.trouble(), Trouble::Passing, "{error}");
            assert!(error.is_of_source());
        }
        let refused =
            SourceError::Refused { reason: "FILE_CHANGED".to_owned(), message: String::new() };
        assert_eq!(ClientError::from(refused).trouble(), Trouble::Lasting);
    }

    #[test]
    fn a_file_that_is_gone_leaves_the_others() {
        let refused = |reason: &str| {
            let (reason, message) = (reason.to_owned(), "gone".to_owned());
            ClientError::from(PipelineError::from(SourceError::Refused { reason, message }))
        };
        let gone = refused("FILE_NOT_FOUND");
        assert_eq!(gone.trouble(), Trouble::FileLost);
        let problem = gone.problem_of("a.csv").expect("of one file");
        assert_eq!((problem.file.as_str(), problem.reason.as_str()), ("a.csv", "FILE_NOT_FOUND"));
        assert_eq!(refused("BAD_TOKEN").trouble(), Trouble::Lasting);
    }

    #[test]
    fn a_worker_that_was_overtaken_asks_the_ledger_again() {
        let fenced = LedgerError::Fenced { split: SplitId(3) };
        let error = ClientError::from(PipelineError::from(LoadError::from(fenced)));
        assert_eq!(error.trouble(), Trouble::Passing);
        assert_eq!(ClientError::from(LedgerError::PlanOutdated).trouble(), Trouble::Passing);
        let position = Position { byte_offset: 0, row_number: 0 };
        let moved = LedgerError::Moved { split: SplitId(3), found: position, expected: position };
        assert_eq!(ClientError::from(moved).trouble(), Trouble::Passing);
    }

    #[test]
    fn what_every_worker_would_meet_ends_the_run() {
        let over = ClientError::RejectsOverLimit {
            quarantined: 2,
            scope: "of 3 rows".to_owned(),
            limit: "1".to_owned(),
        };
        assert!(over.ends_run());
        assert_eq!(over.trouble(), Trouble::Lasting);
        assert!(!ClientError::Interrupted.ends_run());
        let gone = ClientError::from(LedgerError::RunEnded { run: RunId(1) });
        assert!(!gone.ends_run());
    }
}
