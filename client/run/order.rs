//! Tells which files of a plan have their turn in a run that loads files in their order.
//!
//! Invariant: where the order is strict, nothing joins a run that comes before
//! a file of which it has loaded something, or after one of which something
//! cannot be read: it would come too late, or too early, to be the last word.
//! Pages of an API come in the order in which they became known.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;

use super::crew::claim_order;
use super::survey::Survey;
use crate::job::Job;
use crate::ledger::accounts::begun;
use crate::ledger::files::{self, KnownFile};
use crate::ledger::runs::OpenedRun;
use crate::ledger::splits::ClaimOrder;
use crate::ledger::{FileId, LedgerError};
use crate::receive::{FETCH_FAILED, Plan, PlannedFile};

/// Whether a file may join a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    /// Something of a file behind it is loaded.
    TooLate,
    /// A file before it cannot be read to its end.
    HeldUp,
}

/// The turns of the files of one plan.
pub(super) struct Turns<'a> {
    order: ClaimOrder,
    /// Files that the plan has splits of.
    with_splits: HashSet<&'a str>,
    /// The last file of which something is loaded.
    begun: Option<Place>,
    /// The first file of which something cannot be read.
    broken: Option<Place>,
}

impl<'a> Turns<'a> {
    /// Finds them; if the order of files does not matter, all have theirs now.
    pub(super) async fn find(
        job: &Job,
        survey: &'a Survey,
        opened: &OpenedRun,
        connection: &mut PgConnection,
    ) -> Result<Self, LedgerError> {
        let order = claim_order(job);
        let splits = survey.plan.splits.iter();
        let with_splits = splits.map(|split| split.file.as_str()).collect();
        let mut turns = Self { order, with_splits, begun: None, broken: None };
        if !order.is_strict() {
            return Ok(turns);
        }
        if opened.is_resumed {
            let files = begun(connection, opened.run_id).await?.into_iter();
            let places = files.map(|file| Place::new(order, file.modified_unix_nanos, &file.name));
            turns.begun = places.max();
        }
        let known = files::known(connection, &job.name, &job.source.dataset).await?;
        let superseded = survey.superseded.iter().map(|file| file.file_id);
        let settled: HashSet<FileId> = superseded.chain(survey.given_up.iter().copied()).collect();
        let is_left = |file: &KnownFile| !settled.contains(&file.file_id);
        let known: Vec<KnownFile> = known.into_iter().filter(is_left).collect();
        turns.broken = first_broken(order, &survey.plan, &known);
        Ok(turns)
    }

    pub(super) fn turn(&self, file: &PlannedFile) -> Turn {
        let is_news = self.with_splits.contains(file.name.as_str());
        if file.is_page {
            // It becomes known now, and so comes after all that is known.
            let is_held_up = is_news && self.broken.is_some();
            return if is_held_up { Turn::HeldUp } else { Turn::Now };
        }
        let place = Place::new(self.order, file.fingerprint.modified_unix_nanos, &file.name);
        if self.begun.as_ref().is_some_and(|begun| place < *begun) {
            return Turn::TooLate;
        }
        if is_news && self.broken.as_ref().is_some_and(|broken| place > *broken) {
            return Turn::HeldUp;
        }
        Turn::Now
    }
}

/// The place of a file among others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// The same for all files if their names alone decide.
    modified_unix_nanos: i64,
    name: String,
}

impl Place {
    fn new(order: ClaimOrder, modified_unix_nanos: i64, name: &str) -> Self {
        let is_by_time = order == ClaimOrder::ByTime;
        let modified_unix_nanos = if is_by_time { modified_unix_nanos } else { 0 };
        Self { modified_unix_nanos, name: name.to_owned() }
    }
}

/// The place of the first file that cannot be read to its end.
///
/// Also of one that is gone, of which something is left, as the ledger knows. A
/// file that could never be read has no time that is known: it may come before
/// all others.
fn first_broken(order: ClaimOrder, plan: &Plan, known: &[KnownFile]) -> Option<Place> {
    let there: HashSet<&str> = plan.files.iter().map(|file| file.name.as_str()).collect();
    let times: HashMap<&str, i64> = known
        .iter()
        .map(|file| (file.name.as_str(), &file.fingerprint))
        .chain(plan.files.iter().map(|file| (file.name.as_str(), &file.fingerprint)))
        .map(|(name, fingerprint)| (name, fingerprint.modified_unix_nanos))
        .collect();
    let is_gone = |file: &&KnownFile| file.problem.is_some() && !there.contains(file.name.as_str());
    let remembered = known.iter().filter(is_gone).map(|file| file.name.as_str());
    // No page comes after one that could not be fetched.
    let told = plan.problems.iter().filter(|problem| problem.reason != FETCH_FAILED);
    let told = told.map(|problem| problem.file.as_str());
    let place = |name: &str| Place::new(order, times.get(name).copied().unwrap_or(i64::MIN), name);
    told.chain(remembered).map(place).min()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ferry::position::{Fingerprint, Position};
    use ferry::wire::generated::FileState;

    use super::*;
    use crate::ledger::files::FileProblem;

    fn fingerprint(modified_unix_nanos: i64) -> Fingerprint {
        Fingerprint { size_bytes: 9, content_hash: [0; 16], modified_unix_nanos }
    }

    fn planned(name: &str, time: i64, state: FileState) -> PlannedFile {
        PlannedFile {
            name: name.to_owned(),
            fingerprint: fingerprint(time),
            state,
            unfinished_bytes: 0,
            columns: Arc::default(),
            is_page: false,
            is_earlier: false,
        }
    }

    fn problem(file: &str) -> FileProblem {
        let (reason, message) = ("ARCHIVE_DAMAGED".to_owned(), String::new());
        FileProblem { file: file.to_owned(), reason, message }
    }

    fn known(name: &str, time: i64) -> KnownFile {
        KnownFile {
            file_id: FileId(1),
            name: name.to_owned(),
            fingerprint: fingerprint(time),
            planned_to: Position::default(),
            columns: None,
            problem: Some(problem(name)),
            is_begun: true,
            is_done: false,
            is_page: false,
        }
    }

    fn plan(files: Vec<PlannedFile>, problems: &[&str]) -> Plan {
        let problems = problems.iter().map(|file| problem(file)).collect();
        Plan { files, problems, ..Plan::default() }
    }

    fn first(order: ClaimOrder, plan: &Plan, known: &[KnownFile]) -> Option<(i64, String)> {
        let place = first_broken(order, plan, known)?;
        Some((place.modified_unix_nanos, place.name))
    }

    #[test]
    fn the_first_by_name_or_by_time_counts() {
        let files = vec![planned("a", 9, FileState::New), planned("b", 5, FileState::Grown)];
        let both = plan(files, &["a", "b"]);
        assert_eq!(first(ClaimOrder::ByName, &both, &[]), Some((0, "a".to_owned())));
        assert_eq!(first(ClaimOrder::ByTime, &both, &[]), Some((5, "b".to_owned())));
    }

    #[test]
    fn a_file_without_a_known_time_may_come_before_all() {
        let unread = plan(Vec::new(), &["b"]);
        assert_eq!(first(ClaimOrder::ByName, &unread, &[]), Some((0, "b".to_owned())));
        let never = Some((i64::MIN, "b".to_owned()));
        assert_eq!(first(ClaimOrder::ByTime, &unread, &[]), never);
        let before = Some((7, "b".to_owned()));
        assert_eq!(first(ClaimOrder::ByTime, &unread, &[known("b", 7)]), before);
    }

    #[test]
    fn nothing_waits_for_a_page_that_could_not_be_fetched() {
        let mut failed = plan(Vec::new(), &["page-000002"]);
        failed.problems[0].reason = FETCH_FAILED.to_owned();
        assert_eq!(first(ClaimOrder::ByName, &failed, &[]), None);
        assert_eq!(first(ClaimOrder::ByTime, &failed, &[]), None);
    }

    #[test]
    fn a_new_page_comes_after_all_that_is_known() {
        let turns = |begun, broken| {
            let with_splits = HashSet::from(["page-000001-b"]);
            Turns { order: ClaimOrder::ByName, with_splits, begun, broken }
        };
        let place = || Some(Place::new(ClaimOrder::ByName, 0, "page-000009-a"));
        let file = planned("page-000001-b", 3, FileState::New);
        assert_eq!(turns(place(), None).turn(&file), Turn::TooLate);
        let page = PlannedFile { is_page: true, ..file };
        assert_eq!(turns(place(), None).turn(&page), Turn::Now);
        assert_eq!(turns(None, place()).turn(&page), Turn::HeldUp);
        let known = planned("page-000002-a", 3, FileState::Unchanged);
        let known = PlannedFile { is_page: true, ..known };
        assert_eq!(turns(place(), place()).turn(&known), Turn::Now, "nothing of it is new");
    }

    #[test]
    fn what_the_ledger_knows_counts_for_a_file_that_is_gone() {
        let known = [known("b", 7)];
        let found = |files| first(ClaimOrder::ByName, &plan(files, &[]), &known);
        assert_eq!(found(Vec::new()), Some((0, "b".to_owned())));
        assert_eq!(found(vec![planned("b", 7, FileState::Unchanged)]), None, "it has passed");
    }
}
