//! Takes entries out of the cache: of rows that are gone, of rows that are newer by now, of a whole table.
//!
//! Invariant: nobody who read a row before can put it back afterwards; a Redis
//! that takes no marks, because it is full, takes no rows either. Bounds: 500
//! keys a batch, 10 s for a whole table.

use std::time::{Duration, Instant};

use super::batches::{self, Barring};
use super::link::{Errand, Refused};
use super::{Cache, CacheOutcome, Moment, key};
use crate::names::TableName;

/// Keys that one round of a search asks Redis to look at.
const SCAN_COUNT: usize = 1000;
/// So long a search for all entries of a table may take; what it misses ends with its TTL.
const SCAN_TIME_MAX: Duration = Duration::from_secs(10);

impl Cache {
    /// Removes rows; for a while nobody puts one back who read it before.
    pub(crate) async fn remove_all(&self, table: &TableName, keys: &[Vec<String>]) -> CacheOutcome {
        self.remove(table, keys, Barring::ForAWhile).await
    }

    /// Removes rows that are in the table nevertheless, and were changed before a moment.
    pub(super) async fn evict_all(
        &self,
        table: &TableName,
        keys: &[Vec<String>],
        changed_before: Moment,
    ) -> CacheOutcome {
        self.remove(table, keys, Barring::Before(changed_before)).await
    }

    async fn remove(
        &self,
        table: &TableName,
        keys: &[Vec<String>],
        barring: Barring,
    ) -> CacheOutcome {
        let mut outcome = CacheOutcome::default();
        for batch in keys.chunks(batches::KEYS_MAX) {
            let commands = batches::removals(&self.inner.job, table, batch, barring);
            let done = CacheOutcome { removed: batch.len() as u64, ..CacheOutcome::default() };
            let sent = self.send(&commands, Errand::Write, done, "remove", table).await;
            if matches!(sent, Err(refused) if refused.is_of_writing()) {
                outcome.add(self.unlink(table, batch).await);
            } else {
                outcome.add(sent.unwrap_or_else(|_| done.undone()));
            }
        }
        outcome
    }

    /// Removes rows from a Redis that takes no marks.
    pub(super) async fn unlink(&self, table: &TableName, keys: &[Vec<String>]) -> CacheOutcome {
        let mut commands = redis::pipe();
        batches::push_unlink(&mut commands, &self.inner.job, table, keys);
        let done = CacheOutcome { removed: keys.len() as u64, ..CacheOutcome::default() };
        let sent = self.send(&commands, Errand::Remove, done, "remove", table).await;
        sent.unwrap_or_else(|_| done.undone())
    }

    /// Removes all rows of a table.
    pub(crate) async fn remove_table(&self, table: &TableName) -> CacheOutcome {
        let job = &self.inner.job;
        let began = Instant::now();
        let mut outcome = CacheOutcome::default();
        let mut bar = redis::pipe();
        batches::push_bar(&mut bar, &key::table_gone(job, table), "");
        let barred = self.send(&bar, Errand::Write, outcome, "remove", table).await;
        if barred.is_err_and(|refused| !refused.is_of_writing()) {
            return outcome.undone();
        }
        let pattern = key::pattern(job, table);
        let mut cursor = 0_u64;
        while outcome.failed == 0 {
            let found = match self.scan(cursor, &pattern).await {
                Ok((next, found)) => {
                    cursor = next;
                    found
                }
                Err(refused) => {
                    self.count_error(refused, "remove", table);
                    outcome.failed += 1;
                    break;
                }
            };
            if !found.is_empty() {
                let mut commands = redis::pipe();
                commands.cmd("UNLINK").arg(&found).ignore();
                let removed = found.len() as u64;
                let done = CacheOutcome { removed, ..CacheOutcome::default() };
                let sent = self.send(&commands, Errand::Remove, done, "remove", table).await;
                outcome.add(sent.unwrap_or_else(|_| done.undone()));
            }
            if cursor == 0 {
                break;
            }
            if began.elapsed() > SCAN_TIME_MAX {
                outcome.failed += 1;
            }
        }
        outcome
    }

    async fn scan(&self, cursor: u64, pattern: &str) -> Result<(u64, Vec<Vec<u8>>), Refused> {
        let mut commands = redis::pipe();
        commands.cmd("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(SCAN_COUNT);
        let answer: ((u64, Vec<Vec<u8>>),) =
            self.inner.link.send(&commands, Errand::Remove, "remove").await?;
        Ok(answer.0)
    }
}
