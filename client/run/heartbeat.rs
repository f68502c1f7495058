//! Renews the leases of this process's workers while a transaction takes long, and hears when the run is over.
//!
//! Invariant: a lease is renewed only so often without a commit, so that a
//! worker that hangs loses its split in the end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

use super::prepare::APPLICATION_NAME;
use crate::database;
use crate::error::ClientError;
use crate::job::Job;
use crate::ledger::runs::{self, RunStanding};
use crate::ledger::splits;
use crate::ledger::workers::WorkerId;
use crate::ledger::{Epoch, RunId, SplitId};

/// Renewals of one lease between two commits.
const RENEWALS_MAX: u32 = 60;
/// Renewals in the time of one lease.
const RENEWALS_PER_LEASE: u32 = 3;

/// The splits that workers of this process have, and how often their leases were renewed.
#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<WorkerId, Lease>>);

#[derive(Clone, Copy)]
struct Lease {
    split_id: SplitId,
    epoch: Epoch,
    renewals: u32,
}

impl Leases {
    /// Takes note that a worker has claimed a split, or has committed to it.
    pub(super) fn take(&self, worker: WorkerId, split_id: SplitId, epoch: Epoch) {
        self.locked(|leases| leases.insert(worker, Lease { split_id, epoch, renewals: 0 }));
    }

    /// Takes note that a worker has no split.
    pub(super) fn give_up(&self, worker: WorkerId) {
        self.locked(|leases| leases.remove(&worker));
    }

    /// The leases that are to be renewed now.
    fn due(&self) -> Vec<Lease> {
        self.locked(|leases| {
            let mut due = Vec::with_capacity(leases.len());
            for lease in leases.values_mut().filter(|lease| lease.renewals < RENEWALS_MAX) {
                lease.renewals += 1;
                due.push(*lease);
            }
            due
        })
    }

    fn locked<T>(&self, work: impl FnOnce(&mut HashMap<WorkerId, Lease>) -> T) -> T {
        // Whoever panicked with it has left a map that is whole.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Renews leases until the run has ended; returns how another worker ended it.
pub(super) async fn beat(job: &Job, run_id: RunId, leases: &Leases) -> RunStanding {
    let interval = job.load.lease / RENEWALS_PER_LEASE;
    let mut pulse = Pulse { job, run_id, leases, connection: None };
    loop {
        tokio::time::sleep(interval).await;
        match pulse.once(job.load.lease).await {
            Ok(standing) if standing.has_failed_for_all() => return standing,
            Ok(_) => {}
            Err(error) => {
                // The workers meet the same trouble, and say what to do.
                tracing::debug!(%error, "leases could not be renewed");
                pulse.drop_connection().await;
            }
        }
    }
}

/// One connection beside those of the workers, which may be busy with a long statement.
struct Pulse<'a> {
    job: &'a Job,
    run_id: RunId,
    leases: &'a Leases,
    /// Made when it is needed first: most runs end before.
    connection: Option<PgConnection>,
}

impl Pulse<'_> {
    async fn once(&mut self, lease: Duration) -> Result<RunStanding, ClientError> {
        let connection = if let Some(connection) = &mut self.connection {
            connection
        } else {
            let url = &self.job.database_url;
            self.connection.insert(database::connect(url, APPLICATION_NAME).await?)
        };
        for Lease { split_id, epoch, .. } in self.leases.due() {
            splits::renew(connection, split_id, epoch, super::whole_seconds(lease)).await?;
        }
        Ok(runs::standing(connection, self.run_id).await?)
    }

    async fn drop_connection(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = connection.close_hard().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_renewed_only_so_often_without_a_commit() {
        let leases = Leases::default();
        let worker = WorkerId(1);
        leases.take(worker, SplitId(7), Epoch(2));
        for _ in 0..RENEWALS_MAX {
            assert_eq!(leases.due().len(), 1);
        }
        assert!(leases.due().is_empty(), "the worker hangs");
        leases.take(worker, SplitId(7), Epoch(2));
        assert_eq!(leases.due().len(), 1, "it has committed something");
        leases.give_up(worker);
        assert!(leases.due().is_empty());
    }
}
