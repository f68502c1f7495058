//! Tells which files of a plan have their turn in a run that loads files in their order.
//!
//! Invariant: where the order is strict, nothing joins a run that comes before
//! a file of which it has loaded something, or after one of which something
//! cannot be read: it would come too late, or too early, to be the last word.
//! Pages of an API come in the order in which they became known. Where values
//! must be unique, or a table is replaced, a run has pages of one answer only:
//! another answer gives the same records again.

use std::collections::{HashMap, HashSet};

use ferry::position::{Position, Split};
use sqlx::PgConnection;

use super::crew::claim_order;
use super::survey::{Survey, replaces};
use crate::job::{CheckRule, Job};
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
    /// The run has pages of another answer, and is to have those of one.
    OtherAnswer,
}

/// The turns of the files of one plan.
pub(super) struct Turns<'a> {
    order: ClaimOrder,
    /// Files of which the plan has splits that the ledger does not know.
    with_splits: HashSet<&'a str>,
    /// The last file of which something is loaded.
    begun: Option<Place>,
    /// The first file of which something cannot be read.
    broken: Option<Place>,
    /// Whether pages that are new wait for a run of their own.
    is_answer_under_way: bool,
}

impl<'a> Turns<'a> {
    /// Finds them; if neither the order of files nor the answer that pages are
    /// of matters, all have theirs now.
    pub(super) async fn find(
        job: &Job,
        survey: &'a Survey,
        opened: &OpenedRun,
        connection: &mut PgConnection,
    ) -> Result<Self, LedgerError> {
        let order = claim_order(job);
        let mut turns = Self {
            order,
            with_splits: HashSet::new(),
            begun: None,
            broken: None,
            is_answer_under_way: false,
        };
        let has_one_answer = has_unique(job) || replaces(job);
        if !order.is_strict() && !has_one_answer {
            return Ok(turns);
        }
        if order.is_strict() && opened.is_resumed {
            let files = begun(connection, opened.run_id).await?.into_iter();
            let places = files.map(|file| Place::new(order, file.modified_unix_nanos, &file.name));
            turns.begun = places.max();
        }
        let known = files::known(connection, &job.name, &job.source.dataset).await?;
        let superseded = survey.superseded.iter().map(|file| file.file_id);
        let settled: HashSet<FileId> = superseded.chain(survey.given_up.iter().copied()).collect();
        let is_left = |file: &KnownFile| !settled.contains(&file.file_id);
        let known: Vec<KnownFile> = known.into_iter().filter(is_left).collect();
        turns.with_splits = with_news(&survey.plan.splits, &known);
        let is_waiting = |file: &KnownFile| file.is_page && !file.is_done;
        let is_under_way = opened.is_resumed || known.iter().any(is_waiting);
        turns.is_answer_under_way = has_one_answer && is_under_way;
        if order.is_strict() {
            turns.broken = first_broken(order, &survey.plan, &known);
        }
        Ok(turns)
    }

    pub(super) fn turn(&self, file: &PlannedFile) -> Turn {
        let is_news = self.with_splits.contains(file.name.as_str());
        if file.is_page {
            // It becomes known now, and so comes after all that is known.
            if is_news && self.broken.is_some() {
                return Turn::HeldUp;
            }
            let is_other = is_news && self.is_answer_under_way;
            return if is_other { Turn::OtherAnswer } else { Turn::Now };
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

/// The files of splits that are not in the ledger yet: another worker may have
/// written the same ones since this one was told of them.
fn with_news<'s>(splits: &'s [Split], known: &[KnownFile]) -> HashSet<&'s str> {
    let planned_to: HashMap<&str, Position> =
        known.iter().map(|file| (file.name.as_str(), file.planned_to)).collect();
    let is_news = |split: &&Split| {
        planned_to.get(split.file.as_str()).is_none_or(|planned_to| split.start >= *planned_to)
    };
    splits.iter().filter(is_news).map(|split| split.file.as_str()).collect()
}

/// Whether a run may have each value of some column once only.
fn has_unique(job: &Job) -> bool {
    job.columns.iter().any(|rule| rule.checks.contains(&CheckRule::Unique))
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

    use ferry::position::Fingerprint;
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
            let order = ClaimOrder::ByName;
            Turns { order, with_splits, begun, broken, is_answer_under_way: false }
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
    fn values_are_unique_among_the_pages_of_one_answer() {
        let turns = Turns {
            order: ClaimOrder::Any,
            with_splits: HashSet::from(["page-000001-b", "day-1.ndjson"]),
            begun: None,
            broken: None,
            is_answer_under_way: true,
        };
        let page = |name| PlannedFile { is_page: true, ..planned(name, 3, FileState::New) };
        assert_eq!(turns.turn(&page("page-000001-b")), Turn::OtherAnswer);
        assert_eq!(turns.turn(&page("page-000002-a")), Turn::Now, "nothing of it is new");
        let file = planned("day-1.ndjson", 3, FileState::New);
        assert_eq!(turns.turn(&file), Turn::Now, "files are no answers");
    }

    #[test]
    fn what_another_worker_wrote_meanwhile_is_no_news() {
        let at = |row_number| Position { byte_offset: 10 * row_number, row_number };
        let split = |file: &str, start, end| Split {
            dataset: "people".to_owned(),
            file: file.to_owned(),
            fingerprint: fingerprint(3),
            start: at(start),
            end: at(end),
        };
        let planned_to = |name, row| KnownFile { planned_to: at(row), ..known(name, 3) };
        let known = [planned_to("a", 5), planned_to("b", 2)];
        let splits = [split("a", 0, 5), split("b", 0, 2), split("b", 2, 4), split("c", 0, 1)];
        assert_eq!(with_news(&splits, &known), HashSet::from(["b", "c"]));
        assert_eq!(with_news(&splits, &[]), HashSet::from(["a", "b", "c"]));
    }

    #[test]
    fn what_the_ledger_knows_counts_for_a_file_that_is_gone() {
        let known = [known("b", 7)];
        let found = |files| first(ClaimOrder::ByName, &plan(files, &[]), &known);
        assert_eq!(found(Vec::new()), Some((0, "b".to_owned())));
        assert_eq!(found(vec![planned("b", 7, FileState::Unchanged)]), None, "it has passed");
    }
}
