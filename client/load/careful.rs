//! Loads the rows of a transaction but for those that PostgreSQL refuses, and says which those are.
//!
//! All rows are staged first. Then ranges of them are taken into the tables,
//! each through all tables under a savepoint, and halved where PostgreSQL
//! refuses a row. Invariant: a row is in all tables or refused, never both,
//! never neither, and no row is refused for what another one holds, unless that
//! one is in a table.

use std::collections::BTreeMap;

use ferry::position::Place;
use sqlx::PgConnection;

use super::copy::tuple_ends;
use super::isolate::{Range, Ranges};
use super::send::{CopyError, copy_parts};
use super::staged::{self, say};
use super::table::{Pace, TableLoad};
use super::taken::Taken;
use crate::database::RowRefusal;

/// Stands before the first row, so that all can be tried anew.
const BEFORE_ROWS: &str = "SAVEPOINT ferry_rows";
const FORGET_ROWS: &str = "ROLLBACK TO SAVEPOINT ferry_rows";
/// Stands before each range.
const BEFORE_RANGE: &str = "SAVEPOINT ferry_range";
const KEEP_RANGE: &str = "RELEASE SAVEPOINT ferry_range; SAVEPOINT ferry_range";
const FORGET_RANGE: &str = "ROLLBACK TO SAVEPOINT ferry_range";
/// Judges now what constraints would judge at COMMIT.
const JUDGE: &str = "SET CONSTRAINTS ALL IMMEDIATE";
const JUDGE_RANGE: &str = "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED";

/// SQLSTATE of a row whose foreign key leads nowhere.
const REFERS_NOWHERE: &str = "23503";
/// Times that such rows are tried again, as long as some of them get on.
const SECOND_TRIES_MAX: usize = 16;

/// When constraints that can be deferred are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    /// After all rows, unless a constraint does not wait.
    AtTheEnd,
    /// After each range.
    EachRange,
}

/// What became of rows.
#[derive(Default)]
struct Outcome {
    /// For each table, how many rows were inserted or updated.
    written: Vec<u64>,
    /// Rows that PostgreSQL refused, by their indexes.
    refused: BTreeMap<usize, RowRefusal>,
}

impl Outcome {
    /// Rows that refer to others which are not there.
    fn waiting(&self) -> Vec<usize> {
        let is_waiting = |(_, refusal): &(&usize, &RowRefusal)| refusal.sqlstate == REFERS_NOWHERE;
        self.refused.iter().filter(is_waiting).map(|(row, _)| *row).collect()
    }

    /// Takes up what became of some rows when they were tried again.
    fn take_second(&mut self, rows: &[usize], second: Self) {
        self.refused.retain(|row, _| rows.binary_search(row).is_err());
        self.refused.extend(second.refused);
        for (sum, written) in self.written.iter_mut().zip(second.written) {
            *sum += written;
        }
    }
}

/// Loads what is kept in `taken`, where refused rows are moved to quarantine;
/// returns how many rows each table wrote.
pub(super) async fn load(
    connection: &mut PgConnection,
    tables: &[TableLoad],
    file: &str,
    taken: &mut Taken,
) -> Result<Vec<u64>, CopyError> {
    let Some(first_table) = tables.first() else {
        return Ok(Vec::new());
    };
    let kept = std::mem::take(&mut taken.kept);
    let mut careful = Careful { connection, tables, first_table, file, places: &taken.places };
    let unreadable = careful.stage(&kept).await?;
    drop(kept);
    let is_left = |row: &usize| !unreadable.contains_key(row);
    let rows: Vec<usize> = (0..taken.places.len()).filter(is_left).collect();
    let Outcome { written, refused } = careful.isolate(&rows).await?;
    staged::drop_indexes(careful.connection, tables).await?;
    for (row, refusal) in unreadable.into_iter().chain(refused) {
        taken.refuse(row, refusal);
    }
    Ok(written)
}

/// A transaction that tells rows apart.
struct Careful<'a> {
    connection: &'a mut PgConnection,
    tables: &'a [TableLoad],
    first_table: &'a TableLoad,
    /// Name of the file, for the log.
    file: &'a str,
    places: &'a [Place],
}

impl Careful<'_> {
    /// Puts all rows into the staging tables, but for those that have no value
    /// there, such as text that the database's encoding does not have.
    async fn stage(
        &mut self,
        kept: &[Vec<Vec<u8>>],
    ) -> Result<BTreeMap<usize, RowRefusal>, CopyError> {
        staged::make(self.connection, self.tables, Pace::Careful).await?;
        let mut unreadable = BTreeMap::new();
        for (table, parts) in self.tables.iter().zip(kept) {
            say(self.connection, table, BEFORE_RANGE).await?;
            let rows = self.places.len() as u64;
            match copy_parts(self.connection, table, Pace::Careful, parts, rows).await {
                Ok(()) => {}
                Err(error) if error.row_refusal().is_some() => {
                    say(self.connection, table, FORGET_RANGE).await?;
                    self.stage_in_ranges(table, &parts.concat(), &mut unreadable).await?;
                }
                Err(error) => return Err(error),
            }
            staged::index(self.connection, table).await?;
        }
        let number = |row: &usize| self.places[*row].row_number;
        let numbers: Vec<u64> = unreadable.keys().map(number).collect();
        staged::forget(self.connection, self.tables, &numbers).await?;
        Ok(unreadable)
    }

    /// Puts rows into one staging table that does not take them all.
    async fn stage_in_ranges(
        &mut self,
        table: &TableLoad,
        tuples: &[u8],
        unreadable: &mut BTreeMap<usize, RowRefusal>,
    ) -> Result<(), CopyError> {
        let ends = tuple_ends(tuples);
        let mut ranges = Ranges::of_refused(ends.len());
        while let Some(range) = ranges.pop() {
            let start = range.rows.start.checked_sub(1).map_or(0, |before| ends[before]);
            let part = &tuples[start..ends[range.rows.end - 1]];
            let rows = range.rows.len() as u64;
            match copy_parts(self.connection, table, Pace::Careful, &[part], rows).await {
                Ok(()) => {
                    say(self.connection, table, KEEP_RANGE).await?;
                    ranges.passed(&range);
                }
                Err(error) => {
                    let refusal = self.refusal(error, FORGET_RANGE).await?;
                    if let Some(row) = ranges.refused(range) {
                        self.tell(row, &refusal);
                        unreadable.entry(row).or_insert(refusal.reason);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes staged rows into the tables.
    async fn isolate(&mut self, rows: &[usize]) -> Result<Outcome, CopyError> {
        say(self.connection, self.first_table, BEFORE_ROWS).await?;
        let outcome = self.try_until_settled(rows, Judgement::AtTheEnd).await?;
        let Err(error) = say(self.connection, self.first_table, JUDGE).await else {
            return Ok(outcome);
        };
        // Nobody knows which row it was: ranges must be judged one by one.
        self.refusal(error, FORGET_ROWS).await?;
        self.try_until_settled(rows, Judgement::EachRange).await
    }

    /// Tries rows, and those that refer to nothing again: what they refer to may
    /// have come in a later range.
    async fn try_until_settled(
        &mut self,
        rows: &[usize],
        judgement: Judgement,
    ) -> Result<Outcome, CopyError> {
        let mut outcome = self.try_rows(rows, judgement).await?;
        // Of rows with one key the last one must stay the last.
        let may_come_later = self.tables.iter().all(TableLoad::is_append);
        for attempt in 0..SECOND_TRIES_MAX {
            let waiting = outcome.waiting();
            if waiting.is_empty() || !may_come_later {
                break;
            }
            let number = |row: &usize| self.places[*row].row_number;
            let numbers: Vec<u64> = waiting.iter().map(number).collect();
            staged::keep(self.connection, self.tables, &numbers).await?;
            // Backwards first: rows that each refer to the next one then come in one go.
            let order: Vec<usize> = match attempt % 2 {
                0 => waiting.iter().rev().copied().collect(),
                _ => waiting.clone(),
            };
            let again = self.try_rows(&order, judgement).await?;
            let has_got_on = again.refused.len() < waiting.len();
            outcome.take_second(&waiting, again);
            if !has_got_on {
                break;
            }
        }
        Ok(outcome)
    }

    async fn try_rows(
        &mut self,
        rows: &[usize],
        judgement: Judgement,
    ) -> Result<Outcome, CopyError> {
        let mut outcome = Outcome { written: vec![0; self.tables.len()], refused: BTreeMap::new() };
        say(self.connection, self.first_table, BEFORE_RANGE).await?;
        let mut ranges = Ranges::of(rows.len());
        while let Some(range) = ranges.pop() {
            match self.try_range(rows, &range, judgement).await {
                Ok(written) => {
                    say(self.connection, self.first_table, KEEP_RANGE).await?;
                    for (sum, rows) in outcome.written.iter_mut().zip(written) {
                        *sum += rows;
                    }
                    ranges.passed(&range);
                }
                Err(error) => {
                    let refusal = self.refusal(error, FORGET_RANGE).await?;
                    if let Some(index) = ranges.refused(range) {
                        self.tell(rows[index], &refusal);
                        outcome.refused.insert(rows[index], refusal.reason);
                    }
                }
            }
        }
        Ok(outcome)
    }

    /// Takes a range of `rows` into all tables, in the order of the job.
    async fn try_range(
        &mut self,
        rows: &[usize],
        range: &Range,
        judgement: Judgement,
    ) -> Result<Vec<u64>, CopyError> {
        let number = |index: usize| self.places[rows[index]].row_number;
        let (one, other) = (number(range.rows.start), number(range.rows.end - 1));
        let numbers = (one.min(other), one.max(other));
        let count = range.rows.len() as u64;
        let mut written = Vec::with_capacity(self.tables.len());
        for table in self.tables {
            written.push(staged::merge_range(self.connection, table, numbers, count).await?);
        }
        if judgement == Judgement::EachRange {
            say(self.connection, self.first_table, JUDGE_RANGE).await?;
        }
        Ok(written)
    }

    /// What a row was refused for, once all since a savepoint is undone; any other error is given back.
    async fn refusal(
        &mut self,
        error: CopyError,
        undo: &'static str,
    ) -> Result<Refusal, CopyError> {
        let Some(reason) = error.row_refusal() else {
            return Err(error);
        };
        say(self.connection, self.first_table, undo).await?;
        let reason = self.tables.iter().fold(reason, |reason, table| table.in_known_names(reason));
        Ok(Refusal { reason, error })
    }

    /// Says once for each constraint which row is the first to break it.
    fn tell(&self, row: usize, refusal: &Refusal) {
        // The first table remembers for all of them.
        if self.first_table.is_news(&refusal.reason) {
            let row = self.places[row].row_number;
            let error = &refusal.error;
            tracing::warn!(file = self.file, row, %error, "PostgreSQL refuses a row");
        }
    }
}

/// Why a row was refused, for quarantine and for the log.
struct Refusal {
    reason: RowRefusal,
    error: CopyError,
}
