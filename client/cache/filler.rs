//! Brings rows into the cache once they are committed: reads them back from the tables, and writes them.
//!
//! Invariants: a row is read after its COMMIT, never before; whatever goes
//! wrong here is counted, and no error of the load. Bounds: 8 transactions
//! wait, a load waits 1 s for a place among them, the end of a run 5 s.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ferry::host::settings::Secret;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::refresh::CachedTable;
use super::report::{CacheReport, Counts};
use super::{Cache, CacheError};
use crate::database;
use crate::error::ClientError;
use crate::job::{CachePolicy, Job, Target};
use crate::load::keys::TableKeys;
use crate::names::TableName;

/// Transactions whose keys wait.
const QUEUE_COMMITS: usize = 8;
/// So long a load waits to hand over keys.
const HAND_OVER_TIME: Duration = Duration::from_secs(1);
/// So long the end of a run waits for what is left.
const FINISH_TIME: Duration = Duration::from_secs(5);
/// So long the database is left alone after it could not be reached.
const REST: Duration = Duration::from_secs(2);
/// Name of the session in PostgreSQL's own views.
const APPLICATION_NAME: &str = "ferry-client cache";

/// Takes keys of committed rows, and brings the rows into the cache beside the load.
pub(crate) struct Filler {
    cache: Cache,
    counts: Arc<Counts>,
    /// Gone when nothing more is taken.
    sender: Mutex<Option<mpsc::Sender<Vec<TableKeys>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Filler {
    /// Begins, if rows of a target of the job are cached.
    pub(crate) fn start(job: &Job) -> Result<Option<Self>, CacheError> {
        let Some(cache) = cache_of_targets(job)? else {
            return Ok(None);
        };
        let counts = Arc::new(Counts::default());
        let (sender, receiver) = mpsc::channel(QUEUE_COMMITS);
        let work = Work {
            cache: cache.clone(),
            counts: Arc::clone(&counts),
            url: job.database_url.clone(),
            targets: job.targets.clone(),
            tables: vec![None; job.targets.len()],
            connection: None,
            resting_until: None,
        };
        let task = Mutex::new(Some(tokio::spawn(work.run(receiver))));
        Ok(Some(Self { cache, counts, sender: Mutex::new(Some(sender)), task }))
    }

    /// Takes the keys of a transaction whose COMMIT was sent.
    pub(crate) async fn hand_over(&self, keys: Vec<TableKeys>) {
        let count = count_of(&keys);
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sent = match sender {
            Some(sender) => sender.send_timeout(keys, HAND_OVER_TIME).await.is_ok(),
            None => false,
        };
        if sent {
            self.counts.take_handed(count);
        } else {
            self.counts.take_dropped(count);
        }
    }

    /// Removes all entries of a table: its rows were replaced.
    pub(crate) async fn forget_table(&self, table: &TableName) {
        self.counts.take(self.cache.remove_table(table).await);
    }

    /// Ends, with what could be done in a while.
    pub(crate) async fn finish(&self) -> CacheReport {
        drop(self.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut task) = task
            && timeout(FINISH_TIME, &mut task).await.is_err()
        {
            task.abort();
        }
        self.counts.report()
    }
}

/// A load that ends early leaves nobody behind.
impl Drop for Filler {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

/// The cache of a job, if rows of one of its targets go there.
pub(crate) fn cache_of_targets(job: &Job) -> Result<Option<Cache>, CacheError> {
    let is_used = job.targets.iter().any(|target| target.cache == CachePolicy::On);
    let settings = job.cache.as_ref().filter(|_| is_used);
    settings.map(|settings| Cache::open(&job.name, settings)).transpose()
}

fn count_of(keys: &[TableKeys]) -> u64 {
    keys.iter().map(|keys| keys.len() as u64).sum()
}

/// What is known of a target.
#[derive(Clone)]
enum Known {
    Cached(Arc<CachedTable>),
    /// Its rows cannot be cached; that was told.
    Uncacheable,
}

/// The work beside the load.
struct Work {
    cache: Cache,
    counts: Arc<Counts>,
    url: Secret,
    targets: Vec<Target>,
    tables: Vec<Option<Known>>,
    connection: Option<PgConnection>,
    resting_until: Option<Instant>,
}

impl Work {
    async fn run(mut self, mut commits: mpsc::Receiver<Vec<TableKeys>>) {
        while let Some(commit) = commits.recv().await {
            for keys in commit {
                let count = keys.len() as u64;
                if let Err(error) = self.take(&keys).await {
                    self.fail(count, &error).await;
                }
                self.counts.take_settled(count);
            }
        }
        if let Some(connection) = self.connection.take() {
            let _ = connection.close().await;
        }
    }

    /// Brings the rows of one table into the cache, the newest of a transaction first.
    async fn take(&mut self, keys: &TableKeys) -> Result<(), ClientError> {
        if self.resting_until.is_some_and(|until| Instant::now() < until) {
            self.evict(keys).await;
            return Ok(());
        }
        let Some(table) = self.table(keys.table).await? else {
            return Ok(());
        };
        let (fresh, older) = newest(keys, self.cache.inner.max_rows);
        let older: Vec<Vec<String>> = older.into_iter().map(|row| keys.key(row)).collect();
        // After the COMMIT: who misses a row from now on reads what was committed.
        let Some(now) = self.cache.now(&table.name).await else {
            self.counts.take_errors((fresh.len() + older.len()) as u64);
            return Ok(());
        };
        self.counts.take(self.cache.evict_all(&table.name, &older, now).await);
        let refreshed = match connected(&self.url, &mut self.connection).await {
            Ok(connection) => {
                let read = table.refresh(connection, &self.cache, keys, &fresh).await;
                read.map_err(ClientError::from)
            }
            Err(error) => Err(error),
        };
        match refreshed {
            Ok(outcome) => self.counts.take(outcome),
            Err(error) => {
                self.fail(0, &error).await;
                self.evict(keys).await;
            }
        }
        Ok(())
    }

    /// Removes what the cache has of rows that cannot be read back now: the table has newer ones.
    async fn evict(&mut self, keys: &TableKeys) {
        let (rows, _) = newest(keys, usize::MAX);
        let rows: Vec<Vec<String>> = rows.into_iter().map(|row| keys.key(row)).collect();
        let known = self.tables.get(keys.table).and_then(Option::as_ref);
        if let Some(Known::Cached(table)) = known
            && let Some(now) = self.cache.now(&table.name).await
        {
            self.counts.take(self.cache.evict_all(&table.name, &rows, now).await);
        } else {
            self.counts.take_errors(rows.len() as u64);
        }
    }

    async fn table(&mut self, index: usize) -> Result<Option<Arc<CachedTable>>, ClientError> {
        let Some(target) = self.targets.get(index) else {
            return Ok(None);
        };
        match &self.tables[index] {
            Some(Known::Cached(table)) => return Ok(Some(Arc::clone(table))),
            Some(Known::Uncacheable) => return Ok(None),
            None => {}
        }
        let connection = connected(&self.url, &mut self.connection).await?;
        let (known, table) = match CachedTable::look_up(connection, target).await? {
            Ok(table) => {
                let table = Arc::new(table);
                (Known::Cached(Arc::clone(&table)), Some(table))
            }
            Err(reason) => {
                let (table, reason) = (&target.table, reason.words());
                tracing::warn!(%table, reason, "rows of the table are not cached");
                (Known::Uncacheable, None)
            }
        };
        self.tables[index] = Some(known);
        Ok(table)
    }

    /// Counts what could not be done; nothing is known of the connection any more.
    async fn fail(&mut self, keys: u64, error: &ClientError) {
        self.counts.take_errors(keys);
        if let Some(connection) = self.connection.take() {
            let _ = connection.close_hard().await;
        }
        self.resting_until = Some(Instant::now() + REST);
        tracing::debug!(%error, "committed rows could not be read back for the cache");
    }
}

/// The session for reading rows back, made when it is needed first.
async fn connected<'c>(
    url: &Secret,
    connection: &'c mut Option<PgConnection>,
) -> Result<&'c mut PgConnection, ClientError> {
    if let Some(connection) = connection {
        return Ok(connection);
    }
    let mut fresh = database::connect(url, APPLICATION_NAME).await?;
    database::set_up_look_ups(&mut fresh).await?;
    Ok(connection.insert(fresh))
}

/// Places of the newest different keys, at most so many, and of all others.
fn newest(keys: &TableKeys, rows_max: usize) -> (Vec<usize>, Vec<usize>) {
    let (mut fresh, mut older) = (Vec::new(), Vec::new());
    let mut seen: HashSet<Vec<&str>> = HashSet::with_capacity(keys.len());
    for row in (0..keys.len()).rev() {
        let key = keys.columns.iter().filter_map(|column| column.get(row)).map(String::as_str);
        if !seen.insert(key.collect()) {
            continue;
        }
        let rows = if fresh.len() < rows_max { &mut fresh } else { &mut older };
        rows.push(row);
    }
    (fresh, older)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_rows_of_a_transaction_are_written_and_each_key_once() {
        let column = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let keys = TableKeys {
            table: 0,
            columns: vec![column(&["1", "2", "1", "3"]), column(&["a", "a", "a", "a"])],
        };
        assert_eq!(newest(&keys, 2), (vec![3, 2], vec![1]));
        assert_eq!(newest(&keys, 10), (vec![3, 2, 1], vec![]));
        assert_eq!(newest(&TableKeys::default(), 10), (vec![], vec![]));
    }

    #[tokio::test]
    async fn a_load_does_not_wait_for_ever() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let settings = crate::job::CacheSettings {
            url: Secret::new(format!("redis://{address}")),
            ttl: Duration::from_secs(1),
            max_rows: 1,
        };
        let (sender, _receiver) = mpsc::channel(1);
        let filler = Filler {
            cache: Cache::open("people", &settings).expect("a valid URL"),
            counts: Arc::default(),
            sender: Mutex::new(Some(sender)),
            task: Mutex::new(None),
        };
        let keys = || vec![TableKeys { table: 0, columns: vec![vec!["1".to_owned()]] }];
        filler.hand_over(keys()).await;
        let began = Instant::now();
        filler.hand_over(keys()).await;
        assert!(began.elapsed() < HAND_OVER_TIME * 5);
        // One was never taken up, the other found no place.
        assert_eq!(filler.finish().await.dropped, 2);
    }
}
