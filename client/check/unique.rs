//! Turns values that come twice within a run into failures, and the others into claims.
//!
//! Invariant: of all rows that pass the checks, at most one holds a value; a
//! row that is checked again meets its own claim and no other. What is kept of
//! a value is a keyed digest of 16 bytes, here and in the ledger.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, RecordBatch};
use ferry::batch::Batch as Rows;
use ferry::reject::Code;
use ferry::schema::{Column, ColumnType};

use crate::key::DomainHash;
use crate::ledger::SplitId;
use crate::ledger::claims::ENTRY_BYTES as CLAIM_ENTRY_BYTES;
use crate::stage::Claim;

use super::CheckFailure;
use super::rules::{Check, Failure};
use super::values::{identity, is_text};

/// Bytes of a digest: enough that two of 2^40 values collide once in 2^49 runs.
const DIGEST_BYTES: usize = 16;
/// Bytes that a value takes in memory: digest, place, and room in the table.
const ENTRY_BYTES: u64 = 64;

/// The start of a keyed hash, by which values are told apart.
type Digest = [u8; DIGEST_BYTES];

/// A column without equal values.
pub(super) struct UniqueColumn {
    /// Index of its check.
    check: usize,
    /// Index of the column.
    column: usize,
    name: String,
    column_type: ColumnType,
    hash: DomainHash,
}

/// What the run has claimed so far.
pub(super) struct UniqueValues {
    columns: Vec<UniqueColumn>,
    bytes_max: u64,
    seen: Mutex<Seen>,
}

/// Who claimed which value.
struct Seen {
    /// One table for each unique column.
    claimants: Vec<HashMap<Digest, Claimant>>,
    /// Values in all tables.
    values: u64,
}

/// The row that holds a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claimant {
    split: SplitId,
    /// Number of the row in its file.
    row_number: u64,
    /// Whether the ledger says so: then it holds the value whatever is read again.
    is_committed: bool,
}

/// What the other checks say of the rows of a batch.
struct Standing {
    is_refused: Vec<bool>,
    /// Rows and columns whose value becomes NULL.
    nulled: HashSet<(usize, usize)>,
}

impl UniqueColumn {
    /// A column at `index`, whose check is the one at `check`.
    pub(super) fn new(check: usize, index: usize, column: &Column, hash: DomainHash) -> Self {
        let Column { name, column_type } = column.clone();
        Self { check, column: index, name, column_type, hash }
    }

    fn digests(&self, records: &RecordBatch) -> Vec<Option<Digest>> {
        let values = records.column(self.column);
        let texts = values.as_string_opt::<i32>().filter(|_| is_text(self.column_type));
        if let Some(texts) = texts {
            return texts.iter().map(|text| text.map(|text| self.digest(text))).collect();
        }
        let digest = |row| {
            let text = identity(self.column_type, values.as_ref(), row);
            text.map(|text| self.digest(&text))
        };
        (0..values.len()).map(digest).collect()
    }

    fn digest(&self, text: &str) -> Digest {
        let mut digest = [0; DIGEST_BYTES];
        digest.copy_from_slice(&self.hash.pseudonym(text.as_bytes())[..DIGEST_BYTES]);
        digest
    }
}

impl UniqueValues {
    /// Nothing is claimed yet; the claims may take about `bytes_max` bytes.
    pub(super) fn new(columns: Vec<UniqueColumn>, bytes_max: u64) -> Self {
        let claimants = columns.iter().map(|_| HashMap::new()).collect();
        Self { columns, bytes_max, seen: Mutex::new(Seen { claimants, values: 0 }) }
    }

    /// Names of the columns.
    pub(super) fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }

    /// Forgets every claim.
    pub(super) fn clear(&self) {
        let mut seen = self.lock();
        seen.values = 0;
        seen.claimants.iter_mut().for_each(HashMap::clear);
    }

    /// Takes up what committed rows of a split claim, entry by entry.
    ///
    /// That goes before what this process has claimed itself: another worker
    /// may have loaded the value meanwhile.
    pub(super) fn remember(
        &self,
        column: &str,
        split: SplitId,
        entries: &[u8],
    ) -> Result<(), CheckFailure> {
        let Some(index) = self.columns.iter().position(|unique| unique.name == column) else {
            return Ok(());
        };
        let mut seen = self.lock();
        let (entries, _) = entries.as_chunks::<CLAIM_ENTRY_BYTES>();
        for entry in entries {
            let (digest, row_number) = read_entry(entry);
            let claimant = Claimant { split, row_number, is_committed: true };
            self.take(&mut seen, index, digest, claimant)?;
        }
        Ok(())
    }

    /// Adds a failure for each value that another row holds, and claims the
    /// values of the rows that pass everything.
    pub(super) fn claim(
        &self,
        rows: &Rows,
        split: SplitId,
        checks: &[Check],
        failures: &mut Vec<Failure>,
    ) -> Result<Vec<Claim>, CheckFailure> {
        if self.columns.is_empty() {
            return Ok(Vec::new());
        }
        let standing = Standing::new(rows.places.len(), checks, failures);
        let digests: Vec<Vec<Option<Digest>>> =
            self.columns.iter().map(|column| column.digests(&rows.records)).collect();
        let mut claimed: Vec<Vec<u8>> = vec![Vec::new(); self.columns.len()];
        // Values that the row at hand claims, if it is not refused.
        let mut free = Vec::new();
        let mut seen = self.lock();
        for (row, place) in rows.places.iter().enumerate() {
            let here = Claimant { split, row_number: place.row_number, is_committed: false };
            let mut is_refused = standing.is_refused[row];
            free.clear();
            for (index, column) in self.columns.iter().enumerate() {
                let Some(digest) = digests[index][row] else { continue };
                if seen.is_taken(index, &digest, here) {
                    failures.push(Failure { row, check: column.check, code: Code::DUPLICATE });
                    is_refused |= checks[column.check].nulled_column().is_none();
                } else if !standing.nulled.contains(&(row, column.column)) {
                    free.push((index, digest));
                }
            }
            if is_refused {
                continue;
            }
            for (index, digest) in free.drain(..) {
                if seen.is_committed(index, &digest) {
                    // By this row, in an earlier transaction.
                    continue;
                }
                self.take(&mut seen, index, digest, here)?;
                claimed[index].extend_from_slice(&digest);
                claimed[index].extend_from_slice(&place.row_number.to_be_bytes());
            }
        }
        Ok(self.claims(claimed))
    }

    /// Claims a value; refuses what would take too much memory.
    fn take(
        &self,
        seen: &mut Seen,
        index: usize,
        digest: Digest,
        claimant: Claimant,
    ) -> Result<(), CheckFailure> {
        match seen.claimants[index].entry(digest) {
            Entry::Occupied(mut entry) => {
                // What is committed stays so when its row is read again.
                if claimant.is_committed || !entry.get().is_committed {
                    entry.insert(claimant);
                }
            }
            Entry::Vacant(entry) => {
                if (seen.values + 1).saturating_mul(ENTRY_BYTES) > self.bytes_max {
                    return Err(CheckFailure::UniqueMemory {
                        column: self.columns[index].name.clone(),
                        values: seen.values,
                        limit: self.bytes_max,
                    });
                }
                entry.insert(claimant);
                seen.values += 1;
            }
        }
        Ok(())
    }

    fn claims(&self, claimed: Vec<Vec<u8>>) -> Vec<Claim> {
        let of_column = |(column, entries): (&UniqueColumn, Vec<u8>)| {
            (!entries.is_empty()).then(|| Claim { column: column.name.clone(), entries })
        };
        self.columns.iter().zip(claimed).filter_map(of_column).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // A panic elsewhere ends the run; what is claimed stays true.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Whether the ledger knows who holds the value.
    fn is_committed(&self, index: usize, digest: &Digest) -> bool {
        self.claimants[index].get(digest).is_some_and(|claimant| claimant.is_committed)
    }

    /// Whether another row that comes before holds the value.
    fn is_taken(&self, index: usize, digest: &Digest, here: Claimant) -> bool {
        self.claimants[index].get(digest).is_some_and(|claimant| claimant.is_before(here))
    }
}

impl Claimant {
    /// Whether this is another row, and was there first. What is committed was
    /// there. In one split the order of the rows decides otherwise, so that a
    /// batch that is checked again has the same failures.
    fn is_before(self, other: Self) -> bool {
        if self.split != other.split {
            return true;
        }
        let is_committed_elsewhere = self.is_committed && self.row_number != other.row_number;
        is_committed_elsewhere || self.row_number < other.row_number
    }
}

/// A digest, and the number of the row that holds its value.
fn read_entry(entry: &[u8; CLAIM_ENTRY_BYTES]) -> (Digest, u64) {
    let mut digest = [0; DIGEST_BYTES];
    let mut row_number = [0; size_of::<u64>()];
    digest.copy_from_slice(&entry[..DIGEST_BYTES]);
    row_number.copy_from_slice(&entry[DIGEST_BYTES..]);
    (digest, u64::from_be_bytes(row_number))
}

impl Standing {
    fn new(rows: usize, checks: &[Check], failures: &[Failure]) -> Self {
        let mut standing = Self { is_refused: vec![false; rows], nulled: HashSet::new() };
        for failure in failures {
            match checks[failure.check].nulled_column() {
                Some(column) => {
                    standing.nulled.insert((failure.row, column));
                }
                None => standing.is_refused[failure.row] = true,
            }
        }
        standing
    }
}
