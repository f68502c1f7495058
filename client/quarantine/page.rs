//! Turns what the stages made of a page of quarantined rows into one transaction.
//!
//! Invariants: the rows are in the target if and only if quarantine calls them
//! replayed; nothing is locked while the source is asked, which may take long.

use std::collections::BTreeMap;

use ferry::position::Place;
use sqlx::{Connection as _, PgConnection};

use super::ranges::Range;
use crate::database::{self, RowRefusal, StatementError};
use crate::error::ClientError;
use crate::job::Job;
use crate::ledger::quarantine::QuarantinedRow;
use crate::ledger::quarantine::settle;
use crate::ledger::{SplitId, claims, runs};
use crate::load::commit::{Chunk, load_at_once};
use crate::load::keys::{self, TableKeys};
use crate::pipeline::PipelineError;
use crate::run::{APPLICATION_NAME, Workplace};
use crate::stage::Claim;

/// Name in quarantine of the stage that hands rows to PostgreSQL.
const LOAD_STAGE: &str = "load";

/// What the stages made of the rows of a page.
#[derive(Default)]
pub(super) struct Page {
    /// Ids of the rows that passed.
    pub(super) loaded: Vec<i64>,
    /// Ids of the rows that the job leaves out now.
    pub(super) filtered: Vec<i64>,
    /// Rows that were refused again, with their ids.
    pub(super) refused: Vec<(i64, QuarantinedRow)>,
    /// The row that passed and that PostgreSQL refused nevertheless, and what for.
    pub(super) withdrawn: Option<(i64, RowRefusal)>,
    /// Rows that stay as they were, since their bytes are no record of their
    /// own any more: file and number of each.
    pub(super) no_records: Vec<(String, u64)>,
    /// How many rows stay as they were, since their files cannot be read any more.
    pub(super) unread: u64,
    /// The rows that passed, for each target: tuples for careful loading.
    tuples: Vec<Vec<u8>>,
    /// Keys of the rows that passed, for targets whose rows are cached.
    cached_keys: Vec<TableKeys>,
    /// What changes in each split.
    shares: Vec<Share>,
}

/// What one split has of a page.
struct Share {
    split_id: SplitId,
    loaded: u64,
    filtered: u64,
    /// Values claimed for `unique` checks, by column.
    claims: Vec<(String, Vec<u8>)>,
}

/// How a transaction ended.
pub(super) enum Ending {
    /// What passed is in the targets, and the ledger says what became of each row.
    Committed,
    /// PostgreSQL refuses a row that passed: nothing is changed.
    Refused {
        /// What for.
        refusal: RowRefusal,
        /// What PostgreSQL said.
        error: ClientError,
    },
}

impl Page {
    /// Takes up what became of the rows of a range: each must be loaded, refused or filtered.
    pub(super) fn take(&mut self, range: &Range, chunks: Vec<Chunk>) -> Result<(), ClientError> {
        let of_row = |(place, id): &(Place, i64)| (place.row_number, *id);
        let mut left: BTreeMap<u64, i64> = range.rows.iter().map(of_row).collect();
        let (mut loaded, mut refused, mut filtered) = (0, 0, 0);
        let (loaded_before, refused_before) = (self.loaded.len(), self.refused.len());
        let mut claims = Vec::new();
        for chunk in chunks {
            loaded += chunk.rows;
            refused += chunk.quarantined.len() as u64;
            filtered += chunk.filtered;
            for place in &chunk.places {
                self.loaded.extend(left.remove(&place.row_number));
            }
            for row in chunk.quarantined {
                if let Some(id) = left.remove(&row.place.row_number) {
                    self.refused.push((id, row));
                }
            }
            self.append(&chunk.tuples);
            keys::add(&mut self.cached_keys, chunk.cached_keys);
            claims.extend(chunk.claims);
        }
        let is_closed = (self.loaded.len() - loaded_before) as u64 == loaded
            && (self.refused.len() - refused_before) as u64 == refused
            && left.len() as u64 == filtered;
        if !is_closed {
            return Err(ClientError::AccountsOpen {
                file: range.split.file.clone(),
                expected: range.rows.len() as u64,
                accounted: loaded + refused + filtered,
            });
        }
        self.filtered.extend(left.into_values());
        self.share(range.split_id).add(loaded, filtered, claims);
        Ok(())
    }

    /// Leaves rows as they are: their bytes are no records of their own any more.
    pub(super) fn leave_no_record(&mut self, range: &Range) {
        let file = &range.split.file;
        self.no_records
            .extend(range.rows.iter().map(|(place, _)| (file.clone(), place.row_number)));
    }

    /// Leaves rows as they are: their file cannot be read any more.
    pub(super) fn leave_unread(&mut self, range: &Range) {
        self.unread += range.rows.len() as u64;
    }

    /// Adds tuples, one list of them for each target.
    fn append(&mut self, tuples: &[Vec<u8>]) {
        let targets = self.tuples.len().max(tuples.len());
        self.tuples.resize_with(targets, Vec::new);
        for (all, more) in self.tuples.iter_mut().zip(tuples) {
            all.extend_from_slice(more);
        }
    }

    /// The share of a split; the ranges of a split follow each other.
    fn share(&mut self, split_id: SplitId) -> &mut Share {
        let is_last = self.shares.last().is_some_and(|share| share.split_id == split_id);
        if !is_last {
            self.shares.push(Share { split_id, loaded: 0, filtered: 0, claims: Vec::new() });
        }
        let last = self.shares.len() - 1;
        &mut self.shares[last]
    }

    /// Takes back the one row of a page, if it passed: PostgreSQL has refused it.
    ///
    /// It holds its unique values, like a row that another late stage refuses.
    pub(super) fn withdraw(&mut self, refusal: RowRefusal) {
        debug_assert!(self.loaded.len() < 2, "nobody knows which row was refused");
        if let Some(id) = self.loaded.pop() {
            self.withdrawn = Some((id, refusal));
            self.tuples.clear();
            self.cached_keys.clear();
            for share in &mut self.shares {
                share.loaded = 0;
            }
        }
    }

    /// Hands out the keys of the rows that passed, for targets whose rows are cached.
    pub(super) fn take_cached_keys(&mut self) -> Vec<TableKeys> {
        std::mem::take(&mut self.cached_keys)
    }

    /// Ids of the rows of which the ledger must be told something.
    fn ids(&self) -> Vec<i64> {
        let refused = self.refused.iter().map(|(id, _)| *id);
        let withdrawn = self.withdrawn.iter().map(|(id, _)| *id);
        self.replayed().into_iter().chain(refused).chain(withdrawn).collect()
    }

    /// Ids of the rows that leave quarantine.
    fn replayed(&self) -> Vec<i64> {
        [self.loaded.as_slice(), self.filtered.as_slice()].concat()
    }
}

impl Share {
    fn add(&mut self, loaded: u64, filtered: u64, claims: Vec<Claim>) {
        self.loaded += loaded;
        self.filtered += filtered;
        for Claim { column, entries } in claims {
            match self.claims.iter_mut().find(|(known, _)| *known == column) {
                Some((_, all)) => all.extend_from_slice(&entries),
                None => self.claims.push((column, entries)),
            }
        }
    }
}

/// Loads the rows that passed, and writes to the ledger what became of each.
///
/// Unless it is committed nothing is known of the connection: it must be dropped.
pub(super) async fn commit(
    workplace: &mut Workplace,
    job: &Job,
    page: &Page,
) -> Result<Ending, ClientError> {
    let ids = page.ids();
    if ids.is_empty() {
        return Ok(Ending::Committed);
    }
    let Workplace { connection, stages, columns, key_id, .. } = workplace;
    let mut transaction = connection.begin().await?;
    if !page.loaded.is_empty() {
        runs::note_replay(&mut transaction, &job.name, columns, key_id.as_deref()).await?;
    }
    settle::lock_open(&mut transaction, &ids).await?;
    if !page.loaded.is_empty() {
        let rows = page.loaded.len() as u64;
        let loading = load_at_once(&mut transaction, &stages.tables, &page.tuples, rows);
        if let Err(error) = loading.await {
            let refusal = error.row_refusal();
            let error = ClientError::from(PipelineError::from(error));
            return match refusal {
                Some(refusal) => Ok(Ending::Refused { refusal, error }),
                None => Err(error),
            };
        }
    }
    record(&mut transaction, page).await?;
    let Err(error) = transaction.commit().await else {
        return Ok(Ending::Committed);
    };
    // A constraint may be deferred until now.
    let error = StatementError::from(error);
    match error.row_refusal() {
        Some(refusal) if !page.loaded.is_empty() => {
            Ok(Ending::Refused { refusal, error: error.into() })
        }
        _ => Err(explain(job, &page.replayed(), error).await),
    }
}

/// Writes to the ledger what became of the rows.
async fn record(connection: &mut PgConnection, page: &Page) -> Result<(), ClientError> {
    settle::replayed(connection, &page.replayed()).await?;
    settle::still_refused(connection, &page.refused).await?;
    if let Some((id, refusal)) = &page.withdrawn {
        let (reason, constraint) = (refusal.reason(), refusal.constraint.as_deref());
        settle::refused_after_all(connection, *id, LOAD_STAGE, &reason, constraint).await?;
    }
    // The splits come last: a run that loads one of them waits for its row.
    for share in &page.shares {
        let Share { split_id, loaded, filtered, claims } = share;
        if loaded + filtered > 0 {
            settle::move_accounts(connection, *split_id, *loaded, *filtered).await?;
        }
        if !claims.is_empty() {
            claims::insert(connection, *split_id, claims).await?;
        }
    }
    Ok(())
}

/// Why a COMMIT failed; if its answer was lost, the ledger says whether it took effect.
async fn explain(job: &Job, replayed: &[i64], error: StatementError) -> ClientError {
    if replayed.is_empty() || !error.is_connection_lost() {
        return error.into();
    }
    match count_open(job, replayed).await {
        Ok(open) => ClientError::ReplayCommitLost { rows: replayed.len(), open },
        // The first error says more than this one.
        Err(_) => error.into(),
    }
}

async fn count_open(job: &Job, ids: &[i64]) -> Result<usize, ClientError> {
    let mut connection = database::connect(&job.database_url, APPLICATION_NAME).await?;
    let open = settle::count_open(&mut connection, ids).await?;
    let _ = connection.close().await;
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry::position::{Fingerprint, Position, Split};
    use ferry::reject::{Code, Reason};

    fn place(row_number: u64) -> Place {
        Place { row_number, byte_start: row_number * 10, byte_end: row_number * 10 + 10 }
    }

    /// Rows 1 to 4 of a file, with the ids 11 to 14.
    fn range() -> Range {
        let fingerprint =
            Fingerprint { size_bytes: 100, content_hash: [7; 16], modified_unix_nanos: 1 };
        let split = Split {
            dataset: "d".to_owned(),
            file: "a.csv".to_owned(),
            fingerprint,
            start: Position { byte_offset: 10, row_number: 0 },
            end: Position { byte_offset: 50, row_number: 4 },
        };
        let row = |number: u64| (place(number), 10 + number.cast_signed());
        Range { split_id: SplitId(3), split, header: None, rows: (1..=4).map(row).collect() }
    }

    fn loaded_texts(loaded: &[u64]) -> Vec<String> {
        loaded.iter().map(u64::to_string).collect()
    }

    fn chunk(loaded: &[u64], refused: &[u64], filtered: u64) -> Chunk {
        let refuse = |number: &u64| QuarantinedRow {
            place: place(*number),
            stage: "check",
            reasons: vec![Reason::of_column(Code::NULL_VALUE, "uid")],
            constraint: None,
            record: None,
        };
        Chunk {
            tuples: vec![vec![1; loaded.len()], vec![2; loaded.len()]],
            rows: loaded.len() as u64,
            filtered,
            quarantined: refused.iter().map(refuse).collect(),
            claims: vec![Claim { column: "uid".to_owned(), entries: vec![9; loaded.len()] }],
            places: loaded.iter().map(|number| place(*number)).collect(),
            evidence: None,
            cached_keys: vec![TableKeys { table: 1, columns: vec![loaded_texts(loaded)] }],
            end: Position { byte_offset: 50, row_number: 4 },
        }
    }

    #[test]
    fn each_row_is_loaded_refused_or_filtered() {
        let mut page = Page::default();
        let chunks = vec![chunk(&[1], &[2], 0), chunk(&[4], &[], 1)];
        page.take(&range(), chunks).expect("closed accounts");
        assert_eq!(page.loaded, [11, 14]);
        assert_eq!(page.filtered, [13]);
        assert_eq!(page.refused.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [12]);
        assert_eq!(page.replayed(), [11, 14, 13]);
        assert_eq!(page.tuples, [vec![1, 1], vec![2, 2]]);
        let columns = vec![loaded_texts(&[1, 4])];
        assert_eq!(page.take_cached_keys(), [TableKeys { table: 1, columns }]);
        assert!(page.take_cached_keys().is_empty());
        assert_eq!(page.shares.len(), 1);
        assert_eq!((page.shares[0].loaded, page.shares[0].filtered), (2, 1));
        assert_eq!(page.shares[0].claims, [("uid".to_owned(), vec![9, 9])]);
    }

    #[test]
    fn a_row_that_is_withdrawn_is_not_loaded_and_holds_its_values() {
        let mut only_first = range();
        only_first.rows.truncate(1);
        let mut page = Page::default();
        page.take(&only_first, vec![chunk(&[1], &[], 0)]).expect("closed accounts");
        let refusal = RowRefusal { sqlstate: "23505".to_owned(), constraint: None, column: None };
        page.withdraw(refusal.clone());
        assert_eq!(page.withdrawn, Some((11, refusal)));
        assert_eq!(page.ids(), [11]);
        assert!(page.replayed().is_empty() && page.tuples.is_empty());
        assert!(page.take_cached_keys().is_empty());
        assert_eq!(page.shares[0].loaded, 0);
        assert_eq!(page.shares[0].claims, [("uid".to_owned(), vec![9])]);
    }

    #[test]
    fn rows_that_are_left_as_they_are_are_not_written() {
        let mut page = Page::default();
        page.leave_no_record(&range());
        page.leave_unread(&range());
        assert_eq!(page.no_records.len(), 4);
        assert_eq!(page.no_records[1], ("a.csv".to_owned(), 2));
        assert_eq!(page.unread, 4);
        assert!(page.ids().is_empty() && page.shares.is_empty());
    }

    #[test]
    fn a_row_that_is_nowhere_or_twice_is_an_error() {
        let wrong = [
            chunk(&[1, 2], &[3], 0),
            chunk(&[1, 2], &[2, 3], 0),
            chunk(&[1, 2, 5], &[3], 0),
            chunk(&[1, 2, 3], &[4], 1),
        ];
        for chunk in wrong {
            let outcome = Page::default().take(&range(), vec![chunk]);
            assert!(matches!(outcome, Err(ClientError::AccountsOpen { .. })), "{outcome:?}");
        }
    }
}
