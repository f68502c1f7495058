//! Turns raw batches into clean ones.
//!
//! No cleaning rule exists yet, so values pass as the source typed them; the
//! stage stands here because every pseudonym depends on what it will do.

use crate::receive::Raw;
use crate::stage::Batch;

/// Marks a batch that is clean.
pub(crate) struct Clean(());

/// Cleans a batch.
pub(crate) fn clean(batch: Batch<Raw>) -> Batch<Clean> {
    batch.marked(Clean(()))
}
