//! What a replay did, for people and for machines.

use std::collections::BTreeMap;

use ferry::reject::Code;
use serde::Serialize;

use super::page::Page;
use super::{WHOLE_RECORD, printable};
use crate::cache::CacheReport;
use crate::error::ClientError;
use crate::ledger::files::FileProblem;
use crate::output::{self, Style};
use crate::report::{ErrorReport, RejectReport};

/// How many rows went where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplayCounts {
    /// Rows that are in the targets now.
    pub(crate) loaded: u64,
    /// Rows that the job leaves out now.
    pub(crate) filtered: u64,
    /// Rows that stay in quarantine.
    pub(crate) refused: u64,
    /// Those of them whose bytes are no record of their own any more.
    pub(crate) not_a_record: u64,
    /// Rows that stay in quarantine too, since their files cannot be read any more.
    pub(crate) unread: u64,
}

/// What a replay did. Its JSON form is what `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct ReplayReport {
    /// Name of the job.
    job: String,
    /// Rows that were read again, and whose transaction is committed.
    replayed: u64,
    /// Those that are in the target now.
    loaded: u64,
    /// Those that the job leaves out now.
    filtered: u64,
    /// Those that stay in quarantine.
    still_refused: u64,
    /// Those of them whose bytes are no record of their own any more.
    not_a_record: u64,
    /// Why the others stay there, the most frequent reason first.
    rejects: Vec<RejectReport>,
    /// Rows that stay in quarantine too, since their files cannot be read any more.
    unread: u64,
    /// What is wrong with each of these files, by name.
    problems: Vec<FileProblem>,
    /// Given ids that are not open rows of this job and its dataset.
    not_open: u64,
    /// What became of the cache; none if no row is cached.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<CacheReport>,
    /// Why it stopped early.
    error: Option<ErrorReport>,
    /// Whether every row that was meant was asked for.
    #[serde(skip)]
    is_whole: bool,
    #[serde(skip)]
    counts: BTreeMap<(String, Option<String>), u64>,
}

impl ReplayReport {
    /// A report of a replay that has not begun.
    pub(super) fn new(job: &str) -> Self {
        Self {
            job: job.to_owned(),
            replayed: 0,
            loaded: 0,
            filtered: 0,
            still_refused: 0,
            not_a_record: 0,
            rejects: Vec::new(),
            unread: 0,
            problems: Vec::new(),
            not_open: 0,
            cache: None,
            error: None,
            is_whole: false,
            counts: BTreeMap::new(),
        }
    }

    /// Takes note of a page that was committed.
    pub(super) fn take(&mut self, page: &Page) {
        self.loaded += page.loaded.len() as u64;
        self.filtered += page.filtered.len() as u64;
        let not_a_record = page.no_records.len() as u64;
        self.not_a_record += not_a_record;
        self.still_refused +=
            page.refused.len() as u64 + u64::from(page.withdrawn.is_some()) + not_a_record;
        self.unread += page.unread;
        self.replayed = self.loaded + self.filtered + self.still_refused;
        for first in page.refused.iter().filter_map(|(_, row)| row.reasons.first()) {
            self.count(&first.code, first.column.clone());
        }
        if let Some((_, refusal)) = &page.withdrawn {
            let reason = refusal.reason();
            self.count(&reason.code, reason.column);
        }
    }

    fn count(&mut self, code: &Code, column: Option<String>) {
        *self.counts.entry((code.as_str().to_owned(), column)).or_default() += 1;
    }

    /// Takes note that so many ids were given, and that all pages are done with.
    pub(super) fn take_ids(&mut self, given: u64) {
        self.not_open = given.saturating_sub(self.replayed + self.unread);
        self.is_whole = true;
    }

    /// Takes note of what became of the cache.
    pub(super) fn take_cache(&mut self, cache: CacheReport) {
        self.cache = Some(cache);
    }

    /// Takes note of files that could not be read.
    pub(super) fn take_problems(&mut self, problems: Vec<FileProblem>) {
        self.problems = problems;
    }

    /// Whether the replay came to its end, and left open only what cannot be read any more.
    pub(super) fn has_only_unread(&self) -> bool {
        self.is_whole && !self.problems.is_empty()
    }

    /// How many rows went where.
    pub(super) fn counts(&self) -> ReplayCounts {
        ReplayCounts {
            loaded: self.loaded,
            filtered: self.filtered,
            refused: self.still_refused,
            not_a_record: self.not_a_record,
            unread: self.unread,
        }
    }

    /// Says how the replay ended, and prints it.
    pub(super) fn finish(mut self, error: Option<&ClientError>, style: Style) {
        self.error =
            error.map(|error| ErrorReport { code: error.code(), message: error.to_string() });
        self.rejects = most_frequent_first(std::mem::take(&mut self.counts));
        match style {
            Style::Json => self.print_json(),
            // Without a page there is nothing but the error, which is told apart.
            Style::Table if self.error.is_some() && self.replayed == 0 => {}
            Style::Table => self.print(),
        }
    }

    fn print_json(&self) {
        match serde_json::to_string(self) {
            Ok(json) => output::line(json),
            Err(error) => tracing::error!(%error, "the report cannot be written as JSON"),
        }
    }

    fn print(&self) {
        if !self.rejects.is_empty() {
            let mut table = output::table(["reason", "column", "rows"], 2..3);
            for RejectReport { code, column, count } in &self.rejects {
                let column = column.as_deref().map_or_else(|| WHOLE_RECORD.to_owned(), printable);
                table.add_row([code.clone(), column, count.to_string()]);
            }
            output::line(table.to_string());
        }
        for line in self.left_open() {
            output::line(line);
        }
        if self.not_open > 0 {
            output::line(format!(
                "{} of the given ids are not open rows of this job and its dataset",
                self.not_open
            ));
        }
        let Self { job, replayed, loaded, filtered, still_refused, .. } = self;
        output::line(format!(
            "{job}: replayed {replayed}: loaded {loaded}, filtered {filtered}, still refused {still_refused}"
        ));
    }

    /// What is said of rows that stay open, and of which no stage has seen anything.
    fn left_open(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match self.not_a_record {
            0 => {}
            1 => lines.push(
                "1 row is not a record of its own any more under the source's settings: it stays open"
                    .to_owned(),
            ),
            count => lines.push(format!(
                "{count} rows are not records of their own any more under the source's settings: they stay open"
            )),
        }
        match self.unread {
            0 => {}
            1 => lines
                .push("1 row is of a file that cannot be read any more: it stays open".to_owned()),
            count => lines.push(format!(
                "{count} rows are of files that cannot be read any more: they stay open"
            )),
        }
        lines
    }
}

fn most_frequent_first(counts: BTreeMap<(String, Option<String>), u64>) -> Vec<RejectReport> {
    let reported = |((code, column), count)| RejectReport { code, column, count };
    let mut rejects: Vec<RejectReport> = counts.into_iter().map(reported).collect();
    // Stable: reasons of the same count stay in the order of their names.
    rejects.sort_by_key(|reject| std::cmp::Reverse(reject.count));
    rejects
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::RowRefusal;
    use crate::ledger::quarantine::QuarantinedRow;
    use ferry::position::Place;
    use ferry::reject::Reason;

    fn refused(id: i64, code: Code) -> (i64, QuarantinedRow) {
        let row = QuarantinedRow {
            place: Place { row_number: 1, byte_start: 0, byte_end: 1 },
            stage: "check",
            reasons: vec![Reason::of_column(code, "uid")],
            constraint: None,
            record: None,
        };
        (id, row)
    }

    #[test]
    fn pages_add_up() {
        let mut report = ReplayReport::new("orders");
        let mut page = Page::default();
        page.loaded.extend([1, 2]);
        page.filtered.push(3);
        page.refused.push(refused(4, Code::BAD_UUID));
        report.take(&page);
        page.refused.push(refused(5, Code::NULL_VALUE));
        page.refused.push(refused(6, Code::NULL_VALUE));
        report.take(&page);
        report.take_ids(12);
        assert_eq!((report.replayed, report.loaded, report.filtered), (10, 4, 2));
        assert_eq!((report.still_refused, report.not_open), (4, 2));
    }

    #[test]
    fn a_row_that_postgresql_refused_counts_as_still_refused() {
        let mut report = ReplayReport::new("orders");
        let mut page = Page::default();
        let sqlstate = "23505".to_owned();
        page.withdrawn = Some((7, RowRefusal { sqlstate, constraint: None, column: None }));
        report.take(&page);
        report.take(&page);
        assert_eq!((report.replayed, report.still_refused), (2, 2));
        assert_eq!(report.counts[&("sqlstate_23505".to_owned(), None)], 2);
    }

    #[test]
    fn rows_that_no_stage_has_seen_are_told_apart() {
        let mut report = ReplayReport::new("orders");
        assert!(report.left_open().is_empty());
        let mut page = Page::default();
        page.loaded.push(1);
        page.no_records.push(("a.csv".to_owned(), 7));
        page.unread = 1;
        report.take(&page);
        assert_eq!((report.replayed, report.still_refused), (2, 1));
        assert_eq!((report.not_a_record, report.unread), (1, 1));
        let lines = [
            "1 row is not a record of its own any more under the source's settings: it stays open",
            "1 row is of a file that cannot be read any more: it stays open",
        ];
        assert_eq!(report.left_open(), lines);
        report.take(&page);
        let lines = [
            "2 rows are not records of their own any more under the source's settings: they stay open",
            "2 rows are of files that cannot be read any more: they stay open",
        ];
        assert_eq!(report.left_open(), lines);
        report.take_ids(9);
        assert_eq!(report.not_open, 3, "what was not read is open");
    }

    #[test]
    fn only_a_replay_that_came_to_its_end_is_whole() {
        let mut report = ReplayReport::new("orders");
        let mut page = Page::default();
        page.loaded.push(1);
        page.unread = 2;
        report.take(&page);
        let (file, reason) = ("a.csv".to_owned(), "FILE_NOT_FOUND".to_owned());
        let message = "it is not there".to_owned();
        report.take_problems(vec![FileProblem { file, reason, message }]);
        assert!(!report.has_only_unread(), "another error ended it");
        report.take_ids(3);
        assert!(report.has_only_unread());
        let counts = report.counts();
        assert_eq!((counts.loaded, counts.refused, counts.unread), (1, 0, 2));
    }

    #[test]
    fn the_most_frequent_reason_comes_first() {
        let reason = |code: &str| (code.to_owned(), None);
        let counts = [(reason("a"), 1), (reason("b"), 3), (reason("c"), 1)];
        let rejects = most_frequent_first(counts.into_iter().collect());
        let codes: Vec<&str> = rejects.iter().map(|reject| reject.code.as_str()).collect();
        assert_eq!(codes, ["b", "a", "c"]);
    }
}
