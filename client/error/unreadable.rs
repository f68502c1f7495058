//! Turns what is wrong with single files into one error, which says what became of the run and what to do.

use std::fmt;

use crate::ledger::RunId;
use crate::ledger::files::FileProblem;
use crate::receive::FETCH_FAILED;

/// Files that the text names; the report has them all.
const NAMED_MAX: usize = 20;

/// Files that could not be read, or not to their end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnreadableFiles {
    /// What is wrong with each of them, by name.
    pub(crate) problems: Vec<FileProblem>,
    /// How they leave the run.
    pub(crate) left: RunLeft,
    /// Other files that wait for them, since files are loaded in their order.
    pub(crate) held_up: usize,
}

/// How files that cannot be read leave a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunLeft {
    /// Everything else is loaded, but what waits for them, and the run is finished.
    Finished,
    /// Everything else is loaded; the run waits for the rest of the files.
    Open(RunId),
    /// The run waits for them, since its files are loaded in their order.
    InOrder(RunId),
    /// The run waits for them, since its tables are replaced by all rows or by none.
    Unreplaced(RunId),
    /// There is none, for the same reason.
    NotBegun,
    /// There is none, since no file can be read.
    NothingToRead,
}

impl fmt::Display for UnreadableFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = counted(self.problems.len());
        match self.left {
            RunLeft::Finished if self.held_up > 0 => write!(
                f,
                "everything is loaded but the rest of {count}, which cannot be read, and {} behind, because files are loaded in their order: ",
                counted(self.held_up)
            )?,
            RunLeft::Finished => {
                write!(f, "everything is loaded but the rest of {count}, which cannot be read: ")?;
            }
            RunLeft::Open(run) => write!(
                f,
                "run {run} stays open, and everything is loaded but the rest of {count}, which cannot be read: "
            )?,
            RunLeft::InOrder(run) => write!(
                f,
                "run {run} stays open at {count} that cannot be read to the end, because files are loaded in their order: "
            )?,
            RunLeft::Unreplaced(run) => write!(
                f,
                "run {run} stays open, and no table is replaced, because of {count} that cannot be read to the end: "
            )?,
            RunLeft::NotBegun => write!(
                f,
                "a table is not replaced by a part of its rows, and {count} cannot be read to the end: "
            )?,
            RunLeft::NothingToRead => {
                write!(f, "there is nothing to load, and {count} cannot be read: ")?;
            }
        }
        self.list(f)?;
        // What a problem says may end with an advice too.
        write!(f, "; {}", self.advice())
    }
}

impl UnreadableFiles {
    fn list(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(NAMED_MAX).enumerate() {
            let between = if index == 0 { "" } else { "; " };
            write!(f, "{between}{problem}")?;
        }
        match self.problems.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }

    fn advice(&self) -> String {
        let has = |reason: &str| self.problems.iter().any(|problem| problem.reason == reason);
        let mut advice = Vec::new();
        match self.left {
            RunLeft::Unreplaced(_) => {
                advice.push("run the job again to begin with the files that are there then");
            }
            RunLeft::NotBegun => {
                advice.push("mend them, or take them out of the dataset, and run the job again");
            }
            _ => {
                if has("FILE_NOT_FOUND") {
                    advice.push("put a file that is gone back, or give up what is left of it with --give-up-missing");
                }
                if has("FILE_CHANGED") {
                    advice.push("run the job again to load what is left: of a file that was rewritten, as load.rewritten says");
                }
                if has(FETCH_FAILED) {
                    advice.push("run the job again once the API gives the page");
                }
                let is_broken = |problem: &FileProblem| {
                    let told = ["FILE_NOT_FOUND", "FILE_CHANGED", FETCH_FAILED];
                    !told.contains(&problem.reason.as_str())
                };
                if self.problems.iter().any(is_broken) {
                    advice.push("mend what is broken, and run the job again");
                }
            }
        }
        advice.join("; ")
    }
}

fn counted(files: usize) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{files} files") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(number: usize, reason: &str) -> FileProblem {
        let file = format!("{number}.csv");
        let message = format!("file \"{file}\" is no good");
        FileProblem { file, reason: reason.to_owned(), message }
    }

    fn text(reasons: &[&str], left: RunLeft) -> String {
        let numbered = reasons.iter().enumerate();
        let problems = numbered.map(|(number, reason)| problem(number, reason)).collect();
        UnreadableFiles { problems, left, held_up: 0 }.to_string()
    }

    #[test]
    fn each_file_is_named_with_what_to_do() {
        assert_eq!(
            text(&["ARCHIVE_DAMAGED"], RunLeft::Finished),
            "everything is loaded but the rest of 1 file, which cannot be read: \
             file \"0.csv\" is no good; mend what is broken, and run the job again"
        );
        let open = text(&["FILE_NOT_FOUND", "FILE_CHANGED"], RunLeft::Open(RunId(3)));
        for part in
            ["run 3 stays open", "2 files", "\"1.csv\"", "--give-up-missing", "load.rewritten"]
        {
            assert!(open.contains(part), "{part} is missing in: {open}");
        }
        assert!(!open.contains("mend"), "{open}");
        let fetched = text(&["FETCH_FAILED"], RunLeft::Finished);
        assert!(fetched.ends_with("run the job again once the API gives the page"), "{fetched}");
    }

    #[test]
    fn files_that_wait_for_others_are_counted() {
        let problems = vec![problem(0, "ARCHIVE_DAMAGED")];
        let files = UnreadableFiles { problems, left: RunLeft::Finished, held_up: 2 };
        assert_eq!(
            files.to_string(),
            "everything is loaded but the rest of 1 file, which cannot be read, and 2 files behind, \
             because files are loaded in their order: file \"0.csv\" is no good; \
             mend what is broken, and run the job again"
        );
    }

    #[test]
    fn what_cannot_be_given_up_is_not_offered() {
        let text = text(&["FILE_NOT_FOUND"], RunLeft::Unreplaced(RunId(3)));
        assert!(text.contains("no table is replaced") && !text.contains("--give-up"), "{text}");
    }

    #[test]
    fn many_files_are_counted() {
        let text = text(&["FILE_UNREADABLE"; NAMED_MAX + 2], RunLeft::NothingToRead);
        assert!(text.contains("22 files") && text.contains("; and 2 more"), "{text}");
        assert!(!text.contains("20.csv"), "{text}");
    }
}
