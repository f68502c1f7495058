//! Asks the source for quarantined rows again, and takes what it sends through the stages.
//!
//! Invariants: a row that the source cannot send keeps no other one from being
//! replayed; no stage sees a row before its whole range has come as it was asked for.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::page::Page;
use super::ranges::{Range, ranges};
use crate::error::ClientError;
use crate::ledger::SplitId;
use crate::ledger::files::FileProblem;
use crate::ledger::quarantine::settle::OpenRow;
use crate::load::commit::Chunk;
use crate::pipeline::{PipelineError, Stages};
use crate::receive::{Raw, SourceError};
use crate::run::Workplace;
use crate::stage::{Batch, Origin};

/// Reason of the source if a range does not hold the records that are asked of it.
const OTHER_RECORDS: &str = "POSITION_NOT_ON_BOUNDARY";
/// Files that the text of an error names; the report has them all.
const NAMED_MAX: usize = 20;

/// What the source says of a range.
enum Answer {
    /// Its records, which are the rows that were refused.
    Rows(Vec<Batch<Raw>>),
    /// Its bytes hold other records, as the source reads them now.
    OtherRecords,
    /// Its file cannot be read any more.
    FileLost(FileProblem),
}

/// What a replay knows of files that cannot be read any more.
#[derive(Default)]
pub(super) struct LostFiles {
    /// Splits of these files that were asked for.
    splits: HashSet<SplitId>,
    /// What is wrong with each file, by its name.
    problems: BTreeMap<String, FileProblem>,
}

/// Asks the source for rows again and takes them through the stages; writes nothing.
///
/// Where a range does not hold its rows any more, its halves are asked for,
/// down to the rows that are no records of their own.
pub(super) async fn read(
    workplace: &mut Workplace,
    rows: Vec<OpenRow>,
    lost: &mut LostFiles,
) -> Result<Page, ClientError> {
    let mut page = Page::default();
    // Rows of two files can have the same number; all are loaded in the order of their numbers.
    let mut rows_before = 0;
    // The next range comes last.
    let mut left = ranges(rows);
    left.reverse();
    while let Some(mut range) = left.pop() {
        if lost.has(range.split_id) {
            page.leave_unread(&range);
            continue;
        }
        match ask(workplace, &range).await? {
            Answer::Rows(batches) => {
                let chunks = process(&workplace.stages, &range, batches, rows_before).await?;
                page.take(&range, chunks)?;
                rows_before += range.split.end.row_number;
            }
            Answer::OtherRecords => match range.split_off_later_half() {
                Some(later) => left.extend([later, range]),
                None => page.leave_no_record(&range),
            },
            Answer::FileLost(problem) => {
                lost.note(range.split_id, problem);
                page.leave_unread(&range);
            }
        }
    }
    Ok(page)
}

async fn ask(workplace: &mut Workplace, range: &Range) -> Result<Answer, ClientError> {
    let error = match receive(workplace, range).await {
        Ok(batches) if batches.iter().all(|batch| is_of(range, batch)) => {
            return Ok(Answer::Rows(batches));
        }
        Ok(_) => return Ok(Answer::OtherRecords),
        Err(error) => error,
    };
    if matches!(&error, SourceError::Refused { reason, .. } if reason == OTHER_RECORDS) {
        return Ok(Answer::OtherRecords);
    }
    match error.problem_of(&range.split.file) {
        Some(problem) => Ok(Answer::FileLost(problem)),
        None => Err(error.into()),
    }
}

/// Receives a range to its end: only then it is known to hold its rows.
async fn receive(workplace: &mut Workplace, range: &Range) -> Result<Vec<Batch<Raw>>, SourceError> {
    let Range { split, header, .. } = range;
    let Stages { source_columns, misfit, .. } = &*workplace.stages;
    let header = header.as_deref();
    let reading = workplace.source.read(split, split.start, source_columns, header, misfit);
    let mut receiver = reading.await?;
    let mut batches = Vec::new();
    while let Some(batch) = receiver.next().await? {
        batches.push(batch);
    }
    Ok(batches)
}

/// Whether each record of a batch is the row of its number: a range can hold as
/// many records as before, and others.
fn is_of(range: &Range, batch: &Batch<Raw>) -> bool {
    batch.rows.places.iter().all(|place| range.has(place))
        && batch.rejects.iter().all(|refused| range.has(&refused.reject.place))
}

async fn process(
    stages: &Arc<Stages>,
    range: &Range,
    batches: Vec<Batch<Raw>>,
    rows_before: u64,
) -> Result<Vec<Chunk>, ClientError> {
    let mut chunks = Vec::with_capacity(batches.len());
    for batch in batches {
        let stages = Arc::clone(stages);
        let origin = Origin { file: range.split.file.clone(), split: range.split_id };
        let processing =
            tokio::task::spawn_blocking(move || stages.process(batch, &origin, rows_before));
        chunks.push(processing.await.map_err(PipelineError::from)??);
    }
    Ok(chunks)
}

impl LostFiles {
    /// Whether the file of a split is among them: nobody asks for it again.
    fn has(&self, split_id: SplitId) -> bool {
        self.splits.contains(&split_id)
    }

    /// Takes note that the file of a split cannot be read any more.
    fn note(&mut self, split_id: SplitId, problem: FileProblem) {
        self.splits.insert(split_id);
        let FileProblem { file, reason, message } = &problem;
        if !self.problems.contains_key(file) {
            tracing::warn!(
                file,
                reason,
                error = message,
                "the file cannot be read any more: its rows stay open"
            );
        }
        self.problems.insert(file.clone(), problem);
    }

    /// What is wrong with each of them, by name.
    pub(super) fn problems(&self) -> Vec<FileProblem> {
        self.problems.values().cloned().collect()
    }

    /// The error of a replay that has left rows of such files open; `None` if there are none.
    pub(super) fn error(&self) -> Option<ClientError> {
        let reason = self.problems.values().next()?.reason.clone();
        let texts = self.problems.values().take(NAMED_MAX).map(FileProblem::to_string);
        let mut message = texts.collect::<Vec<_>>().join("; ");
        let more = self.problems.len().saturating_sub(NAMED_MAX);
        if more > 0 {
            message = format!("{message}; and {more} more");
        }
        let what = if self.problems.len() == 1 { "the file" } else { "these files" };
        message = format!("{message}: rows of {what} stay open in quarantine");
        Some(SourceError::Refused { reason, message }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(file: &str, reason: &str) -> FileProblem {
        let message = format!("\"{file}\" is not there");
        FileProblem { file: file.to_owned(), reason: reason.to_owned(), message }
    }

    #[test]
    fn a_file_is_told_once_whatever_splits_it_has() {
        let mut lost = LostFiles::default();
        assert!(lost.error().is_none());
        lost.note(SplitId(4), problem("b.csv", "FILE_CHANGED"));
        lost.note(SplitId(5), problem("b.csv", "FILE_CHANGED"));
        assert!(lost.has(SplitId(4)) && lost.has(SplitId(5)) && !lost.has(SplitId(6)));
        let error = lost.error().expect("a file is lost");
        assert_eq!(
            error.to_string(),
            "the source refused: \"b.csv\" is not there: rows of the file stay open in quarantine"
        );
        assert_eq!(error.exit_code(), 7);

        lost.note(SplitId(6), problem("a.csv", "FILE_NOT_FOUND"));
        assert_eq!(
            lost.problems(),
            [problem("a.csv", "FILE_NOT_FOUND"), problem("b.csv", "FILE_CHANGED")]
        );
        assert_eq!(
            lost.error().expect("two files are lost").to_string(),
            "the source refused: \"a.csv\" is not there; \"b.csv\" is not there: \
             rows of these files stay open in quarantine"
        );
    }

    #[test]
    fn an_error_does_not_name_thousands_of_files() {
        let mut lost = LostFiles::default();
        for number in 0..30 {
            lost.note(SplitId(number), problem(&format!("{number:02}.csv"), "FILE_NOT_FOUND"));
        }
        let text = lost.error().expect("files are lost").to_string();
        assert!(text.contains("\"19.csv\" is not there; and 10 more"), "{text}");
        assert!(!text.contains("20.csv"), "{text}");
    }
}
