//! Where a transaction takes its chunks from, and when it takes no more.

use ferry::host::shutdown::Shutdown;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::commit::Chunk;
use super::taken::Taken;

/// The chunks of one transaction.
pub(super) struct Intake<'a> {
    pub(super) chunks: &'a mut mpsc::Receiver<Chunk>,
    pub(super) shutdown: &'a mut Shutdown,
    /// Hears of rows read and refused; says whether a limit is exceeded.
    pub(super) is_over: &'a mut (dyn FnMut(u64, u64) -> bool + Send),
    pub(super) deadline: Instant,
    pub(super) bytes_max: u64,
}

impl Intake<'_> {
    /// Whether the transaction ends with this chunk, which follows what is taken.
    pub(super) fn is_last(&mut self, chunk: &Chunk, taken: &Taken) -> bool {
        let read = chunk.end.row_number.saturating_sub(taken.end.row_number);
        let is_over = (self.is_over)(read, chunk.quarantined.len() as u64);
        is_over || taken.bytes + chunk.bytes() >= self.bytes_max
    }

    /// The next chunk, unless it is time to commit.
    pub(super) async fn next(&mut self) -> Option<Chunk> {
        tokio::select! {
            biased;
            () = self.shutdown.requested() => None,
            chunk = self.chunks.recv() => chunk,
            () = tokio::time::sleep_until(self.deadline) => None,
        }
    }

    /// Takes up `first` and all that follows it in this transaction.
    pub(super) async fn take_all(&mut self, first: Chunk, taken: &mut Taken) {
        let mut next = Some(first);
        while let Some(chunk) = next {
            let is_last = self.is_last(&chunk, taken);
            taken.keep(chunk);
            next = if is_last { None } else { self.next().await };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::taken::tests::{chunk, position};
    use super::*;

    #[test]
    fn a_transaction_ends_with_the_chunk_that_fills_it_or_is_over() {
        let (_sender, mut chunks) = mpsc::channel(1);
        let (_trigger, mut shutdown) = ferry::host::shutdown::channel();
        let mut heard = Vec::new();
        let mut is_over = |read: u64, quarantined: u64| {
            heard.push((read, quarantined));
            read > 3
        };
        let chunk_bytes = chunk(3, &[b"a"], &[]).bytes();
        let mut intake = Intake {
            chunks: &mut chunks,
            shutdown: &mut shutdown,
            is_over: &mut is_over,
            deadline: Instant::now(),
            bytes_max: 2 * chunk_bytes,
        };
        let mut taken = Taken::new(position(0), 1);
        assert!(!intake.is_last(&chunk(3, &[b"a"], &[]), &taken), "half full");
        assert!(intake.is_last(&chunk(4, &[b"a"], &[]), &taken), "over");
        taken.take(chunk(3, &[b"a"], &[]));
        assert!(intake.is_last(&chunk(6, &[b"a"], &[]), &taken), "full");
        assert_eq!(heard, [(3, 1), (4, 1), (3, 1)]);
    }
}
