//! Writes one log line for each stream that was read: who, what, how much.
//!
//! Invariant: the line is written however the stream ends, a panic included.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use ferry::position::{Position, Split};

use crate::service::status::shortened_name;

/// What one caller reads of one split.
pub(super) struct StreamAudit {
    caller: Arc<str>,
    peer: Option<SocketAddr>,
    dataset: String,
    file: String,
    start: Position,
    began: Instant,
    /// Place after the last message.
    pub(super) end: Position,
    /// Good rows sent.
    pub(super) rows: u64,
    /// Rejects sent.
    pub(super) rejects: u64,
    /// How it ended.
    pub(super) outcome: &'static str,
}

impl StreamAudit {
    pub(super) fn begin(
        caller: Arc<str>,
        peer: Option<SocketAddr>,
        split: &Split,
        start: Position,
    ) -> Self {
        Self {
            caller,
            peer,
            dataset: split.dataset.clone(),
            file: shortened_name(&split.file).into_owned(),
            start,
            began: Instant::now(),
            end: start,
            rows: 0,
            rejects: 0,
            outcome: "PANIC",
        }
    }
}

impl Drop for StreamAudit {
    fn drop(&mut self) {
        tracing::info!(
            caller = &*self.caller,
            peer = self.peer.map(tracing::field::display),
            dataset = self.dataset,
            file = self.file,
            start = %self.start,
            end = %self.end,
            rows = self.rows,
            rejects = self.rejects,
            seconds = self.began.elapsed().as_secs_f64(),
            outcome = self.outcome,
            "stream read"
        );
    }
}
