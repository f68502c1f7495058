//! What is special about the pages of an API: which are loaded again, and what they mean to the tables.
//!
//! A page is known by its number and its content. The API may give one content,
//! then another in its place, and then the first again: that is known, but the
//! rows of the other have been loaded since.

use std::collections::{HashMap, HashSet};

use ferry::wire::generated::FileState;

use super::survey::replaces;
use crate::error::ClientError;
use crate::job::{Job, JobError, Mode, Target};
use crate::ledger::FileId;
use crate::ledger::files::KnownFile;
use crate::receive::{FETCH_FAILED, Plan};

/// Known pages that the API gives again after it gave another content in their place.
pub(super) fn returned<'k>(plan: &Plan, known: &'k [KnownFile]) -> Vec<&'k KnownFile> {
    let pages = || known.iter().filter(|file| file.is_page);
    let mut latest: HashMap<&str, FileId> = HashMap::new();
    for page in pages() {
        let place = latest.entry(number(&page.name)).or_insert(page.file_id);
        // Whatever became known later has the greater one.
        place.0 = place.0.max(page.file_id.0);
    }
    let given = plan.files.iter().filter(|file| file.is_page && !file.is_earlier);
    let given: HashSet<&str> = given.map(|file| file.name.as_str()).collect();
    let is_returned = |page: &&KnownFile| {
        latest.get(number(&page.name)).is_some_and(|latest| *latest != page.file_id)
            && given.contains(page.name.as_str())
    };
    pages().filter(is_returned).collect()
}

/// Known pages that are not waited for once they are gone: what the API gives
/// now, which is all that it has, takes their place.
pub(super) fn outlived(plan: &Plan, known: &[KnownFile]) -> HashSet<FileId> {
    if plan.problems.iter().any(|problem| problem.reason == FETCH_FAILED) {
        // What is behind the failure may be what was on them.
        return HashSet::new();
    }
    known.iter().filter(|file| file.is_page).map(|file| file.file_id).collect()
}

/// Takes out of a plan what the ledger knows of pages that the source was not
/// told of, and so planned anew: a page of the same name is the same page.
pub(super) fn leave_known(plan: &mut Plan, known: &[KnownFile], told: &[KnownFile]) {
    if known.len() == told.len() {
        return;
    }
    let told: HashSet<FileId> = told.iter().map(|file| file.file_id).collect();
    let untold = known.iter().filter(|file| !told.contains(&file.file_id));
    let untold: HashSet<&str> = untold.map(|file| file.name.as_str()).collect();
    plan.splits.retain(|split| !untold.contains(split.file.as_str()));
    for file in plan.files.iter_mut().filter(|file| untold.contains(file.name.as_str())) {
        file.state = FileState::Unchanged;
    }
}

/// The name of a page without the hash of its content.
fn number(name: &str) -> &str {
    name.rsplit_once('-').map_or(name, |(number, _)| number)
}

/// A table that is replaced holds all that the source has, not what is new in it.
pub(crate) fn refuse_part_of_api(job: &Job, plan: &Plan) -> Result<(), ClientError> {
    if plan.watermark.is_some() && replaces(job) {
        return Err(JobError::REPLACE_WITH_INCREMENTAL.into());
    }
    Ok(())
}

/// Says that rows of a page whose content changes are added to those before.
pub(crate) fn warn_of_changing_pages(job: &Job, plan: &Plan) {
    let tables = tables_that_only_grow(job);
    if !tables.is_empty() && plan.files.iter().any(|file| file.is_page) {
        tracing::warn!(
            tables = tables.join(", "),
            "the source is an API: whenever a page of it changes, all rows of that page are added again; use mode = \"upsert\" with a key if that is not meant"
        );
    }
}

fn tables_that_only_grow(job: &Job) -> Vec<String> {
    let only_grows = |target: &&Target| target.mode == Mode::Append;
    job.targets.iter().filter(only_grows).map(|target| target.table.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ferry::position::{Fingerprint, Position, Split};

    use super::*;
    use crate::ledger::files::FileProblem;
    use crate::receive::PlannedFile;

    fn fingerprint() -> Fingerprint {
        Fingerprint { size_bytes: 9, content_hash: [0; 16], modified_unix_nanos: 1 }
    }

    fn known(file_id: i64, name: &str) -> KnownFile {
        KnownFile {
            file_id: FileId(file_id),
            name: name.to_owned(),
            fingerprint: fingerprint(),
            planned_to: Position::default(),
            columns: None,
            problem: None,
            is_begun: true,
            is_done: true,
            is_page: true,
        }
    }

    fn plan(pages: &[(&str, bool)]) -> Plan {
        let page = |(name, is_earlier): &(&str, bool)| PlannedFile {
            name: (*name).to_owned(),
            fingerprint: fingerprint(),
            state: FileState::Unchanged,
            unfinished_bytes: 0,
            columns: Arc::default(),
            is_page: true,
            is_earlier: *is_earlier,
        };
        Plan { files: pages.iter().map(page).collect(), ..Plan::default() }
    }

    fn names(plan: &Plan, known: &[KnownFile]) -> Vec<String> {
        returned(plan, known).into_iter().map(|page| page.name.clone()).collect()
    }

    #[test]
    fn a_content_that_comes_back_is_loaded_again() {
        let known =
            [known(7, "page-000001-a"), known(9, "page-000001-b"), known(8, "page-000002-a")];
        let back = plan(&[("page-000001-a", false), ("page-000002-a", false)]);
        assert_eq!(names(&back, &known), ["page-000001-a"]);
        let same = plan(&[("page-000001-b", false), ("page-000001-a", true)]);
        assert!(names(&same, &known).is_empty(), "the latest one, and one that is only kept");
        let other = plan(&[("page-000001-c", false)]);
        assert!(names(&other, &known).is_empty(), "nobody knows it");
    }

    #[test]
    fn a_page_that_the_source_was_not_told_of_is_known_all_the_same() {
        let known = [known(7, "page-000001-a"), known(9, "page-000002-a")];
        let mut plan = plan(&[("page-000001-a", false), ("page-000002-b", false)]);
        for file in &mut plan.files {
            file.state = FileState::New;
            plan.splits.push(Split {
                dataset: "users".to_owned(),
                file: file.name.clone(),
                fingerprint: fingerprint(),
                start: Position::default(),
                end: Position { byte_offset: 9, row_number: 1 },
            });
        }
        leave_known(&mut plan, &known, &known[1..]);
        let states: Vec<FileState> = plan.files.iter().map(|file| file.state).collect();
        assert_eq!(states, [FileState::Unchanged, FileState::New]);
        let left: Vec<&str> = plan.splits.iter().map(|split| split.file.as_str()).collect();
        assert_eq!(left, ["page-000002-b"]);
    }

    #[test]
    fn a_page_that_is_gone_is_waited_for_until_the_api_gave_everything() {
        let file = KnownFile { is_page: false, ..known(7, "day-1.csv") };
        let known = [file, known(8, "page-000001-a")];
        let mut plan = plan(&[("page-000001-b", false)]);
        assert_eq!(outlived(&plan, &known), HashSet::from([FileId(8)]), "a file may come back");
        plan.problems.push(FileProblem {
            file: "page-000002".to_owned(),
            reason: FETCH_FAILED.to_owned(),
            message: String::new(),
        });
        assert!(outlived(&plan, &known).is_empty());
    }

    #[test]
    fn files_are_no_pages() {
        let file = |file_id, name| KnownFile { is_page: false, ..known(file_id, name) };
        let known = [file(7, "day-1.csv"), file(8, "day-2.csv")];
        assert!(names(&plan(&[("day-1.csv", false)]), &known).is_empty());
    }
}
