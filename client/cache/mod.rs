//! Rows of targets in Redis, for a while: written after COMMIT, read by look-ups, never needed.
//!
//! Invariants: no entry is there without an end of its life, which is counted
//! from before its row was read; what Redis does or fails to do is never an
//! error of whoever asks. An entry is a hash: field = column, value =
//! PostgreSQL's text of it; the field without a name has the columns that are
//! NULL. Bounds: entries of 256 KiB, batches of 100 entries or 1 MiB, keys of 4 KiB.

mod batches;
mod filler;
mod key;
mod link;
mod moment;
mod refresh;
mod removal;
mod report;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use redis::{Client, Pipeline};

use crate::job::CacheSettings;
use crate::names::TableName;

use link::{Errand, Link, Refused};

pub(crate) use filler::{Filler, cache_of_targets};
pub(crate) use moment::Moment;
pub(crate) use report::CacheReport;

/// Longer keys are not cached.
const KEY_BYTES_MAX: usize = 4 << 10;
/// Puts an entry back unless it is there, or was removed since its row was looked for.
const REFILL: &str = "
if redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3]) > 0 then return 0 end
local evicted = redis.call('GET', KEYS[4])
if evicted and tonumber(evicted) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('PEXPIREAT', KEYS[1], ARGV[1])
return 1";

/// A cache that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    /// The URL cannot be read; it may hold a password, so it is not shown.
    #[error(
        "cache.url is not valid: write redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// for TLS, with %-escapes for special characters in the password"
    )]
    InvalidUrl,
}

/// The entries of one job. A clone shares the connection.
#[derive(Clone)]
pub(crate) struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    job: String,
    ttl: Duration,
    max_rows: usize,
    link: Link,
}

/// A row of a table, as it is written.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CachedRow {
    /// Texts of its key.
    pub(crate) key: Vec<String>,
    /// Names of its columns.
    pub(crate) columns: Arc<[String]>,
    /// PostgreSQL's texts of its values.
    pub(crate) values: Vec<Option<String>>,
}

/// What the cache has of a row.
pub(crate) enum Lookup {
    /// The row as it was.
    Hit {
        /// Values by column, NULL as none; a column that it does not know is left out.
        fields: HashMap<String, Option<String>>,
        /// How long the entry lives on.
        ttl: Duration,
    },
    /// It is not there.
    Miss {
        /// When it was not.
        at: Moment,
    },
    /// Redis does not answer, or such a row is never there.
    Unavailable,
}

/// What became of entries that were written or removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CacheOutcome {
    /// Entries that were written.
    pub(crate) written: u64,
    /// Entries that were removed, or were not there.
    pub(crate) removed: u64,
    /// Entries of which neither could be done.
    pub(crate) failed: u64,
}

impl CacheOutcome {
    /// Adds what became of others.
    pub(crate) fn add(&mut self, other: Self) {
        self.written += other.written;
        self.removed += other.removed;
        self.failed += other.failed;
    }

    /// What came of it if nothing of it could be done.
    fn undone(self) -> Self {
        // Of a command that concerns no row, too, it must be seen that it failed.
        Self { failed: (self.written + self.removed).max(1), ..Self::default() }
    }
}

/// What Redis tells of an entry: milliseconds that it has left, its fields, and
/// the time by its own clock in seconds and microseconds.
type Entry = (i64, HashMap<String, String>, (u64, u64));

/// Says nothing of the address.
impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("job", &self.inner.job).finish_non_exhaustive()
    }
}

impl Cache {
    /// The cache of a job; nothing is connected yet.
    pub(crate) fn open(job: &str, settings: &CacheSettings) -> Result<Self, CacheError> {
        let client = Client::open(settings.url.expose()).map_err(|_| CacheError::InvalidUrl)?;
        let CacheSettings { ttl, max_rows, .. } = *settings;
        let inner = Inner { job: job.to_owned(), ttl, max_rows, link: Link::new(client) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How long an entry lives.
    pub(crate) fn ttl(&self) -> Duration {
        self.inner.ttl
    }

    /// Looks a row up by its key.
    pub(crate) async fn get(&self, table: &TableName, key: &[String]) -> Lookup {
        let Inner { job, link, .. } = &*self.inner;
        if !is_cacheable(key) {
            return Lookup::Unavailable;
        }
        let entry = key::entry(job, table, key);
        let mut commands = redis::pipe();
        // Not as a transaction, which a full Redis refuses. An entry that is written
        // anew in between lives longer than is told, and none less long.
        commands.cmd("PTTL").arg(&entry).cmd("HGETALL").arg(&entry).cmd("TIME");
        let answer = link.send::<Entry>(&commands, Errand::LookUp, "look_up").await;
        let (millis, fields, time) = match answer {
            Ok(answer) => answer,
            Err(refused) => {
                self.count_error(refused, "look_up", table);
                return Lookup::Unavailable;
            }
        };
        // What never ends was not written by us, and might be of any age.
        let ttl = u64::try_from(millis).ok().map(Duration::from_millis);
        let (job, table) = (job.clone(), table.to_string());
        if let Some(ttl) = ttl.filter(|_| !fields.is_empty()) {
            counter!("ferry_cache_hits_total", "job" => job, "table" => table).increment(1);
            Lookup::Hit { fields: batches::from_fields(fields), ttl }
        } else {
            counter!("ferry_cache_misses_total", "job" => job, "table" => table).increment(1);
            Lookup::Miss { at: Moment::of(time) }
        }
    }

    /// Puts back a row that was read from the database after it was missed at a
    /// moment, unless somebody has written or removed its entry meanwhile.
    pub(crate) async fn refill(
        &self,
        table: &TableName,
        key: &[String],
        values: &[(String, Option<String>)],
        missed_at: Moment,
    ) {
        let Inner { job, link, ttl, .. } = &*self.inner;
        let values = || values.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        let bytes: usize = values().map(|(name, value)| field_bytes(name, value)).sum();
        if !is_cacheable(key) || !batches::is_small(bytes) {
            return;
        }
        let fields = batches::to_fields(values());
        if fields.is_empty() {
            return;
        }
        let mut commands = redis::pipe();
        commands.cmd("EVAL").arg(REFILL).arg(4);
        commands.arg(key::entry(job, table, key)).arg(key::gone(job, table, key));
        commands.arg(key::table_gone(job, table)).arg(key::evicted(job, table));
        commands.arg(missed_at.end(*ttl)).arg(missed_at.micros());
        for (name, value) in &fields {
            commands.arg(*name).arg(&**value);
        }
        match link.send::<(u64,)>(&commands, Errand::Refill, "refill").await {
            Ok((written,)) => {
                self.count(CacheOutcome { written, ..CacheOutcome::default() }, table);
            }
            Err(refused) => self.count_error(refused, "refill", table),
        }
    }

    /// The moment by the clock of Redis; none if it does not answer.
    async fn now(&self, table: &TableName) -> Option<Moment> {
        let mut commands = redis::pipe();
        commands.cmd("TIME");
        match self.inner.link.send::<((u64, u64),)>(&commands, Errand::Remove, "write").await {
            Ok((time,)) => Some(Moment::of(time)),
            Err(refused) => {
                self.count_error(refused, "write", table);
                None
            }
        }
    }

    /// Writes rows, which were read after a moment, over whatever the cache has of them.
    async fn put_all(
        &self,
        table: &TableName,
        rows: &[CachedRow],
        read_at: Moment,
    ) -> CacheOutcome {
        let Inner { job, ttl, .. } = &*self.inner;
        let mut outcome = CacheOutcome::default();
        for batch in batches::of_rows(rows) {
            let commands = batches::writes(job, table, batch, read_at.end(*ttl));
            let written = batch.iter().filter(|row| batches::is_written(row)).count() as u64;
            let removed = batch.len() as u64 - written;
            let done = CacheOutcome { written, removed, failed: 0 };
            let sent = self.send(&commands, Errand::Write, done, "write", table).await;
            if matches!(sent, Err(refused) if refused.is_of_writing()) {
                // What is there is older than the table now.
                let keys: Vec<Vec<String>> = batch.iter().map(|row| row.key.clone()).collect();
                outcome.add(self.unlink(table, &keys).await);
            } else {
                outcome.add(sent.unwrap_or_else(|_| done.undone()));
            }
        }
        outcome
    }

    /// Sends what gives no answer; `done` is what came of it if it succeeds.
    async fn send(
        &self,
        commands: &Pipeline,
        errand: Errand,
        done: CacheOutcome,
        operation: &'static str,
        table: &TableName,
    ) -> Result<CacheOutcome, Refused> {
        match self.inner.link.send::<()>(commands, errand, operation).await {
            Ok(()) => {
                self.count(done, table);
                Ok(done)
            }
            Err(refused) => {
                self.count_error(refused, operation, table);
                Err(refused)
            }
        }
    }

    fn count(&self, done: CacheOutcome, table: &TableName) {
        let labels = || [("job", self.inner.job.clone()), ("table", table.to_string())];
        if done.written > 0 {
            counter!("ferry_cache_written_total", &labels()).increment(done.written);
        }
        if done.removed > 0 {
            counter!("ferry_cache_removed_total", &labels()).increment(done.removed);
        }
    }

    /// Counts what Redis failed to do; what it was not asked is no error of it.
    fn count_error(&self, refused: Refused, operation: &'static str, table: &TableName) {
        if refused.was_asked() {
            let job = self.inner.job.clone();
            counter!(
                "ferry_cache_errors_total",
                "operation" => operation, "job" => job, "table" => table.to_string()
            )
            .increment(1);
        }
    }
}

/// Whether a row with this key is cached at all.
fn is_cacheable(key: &[String]) -> bool {
    key.iter().map(String::len).sum::<usize>() <= KEY_BYTES_MAX
}

fn field_bytes(name: &str, value: Option<&str>) -> usize {
    value.map_or(0, |value| name.len() + value.len())
}
