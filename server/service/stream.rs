//! Turns the chunks of a split into the messages of one stream.
//!
//! Invariant: an end message is sent only after every row of the split was
//! sent, as a row or as a reject, and nothing follows it.

use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use ferry::batch::Batch;
use ferry::host::shutdown::Shutdown;
use ferry::reject::Reject;
use ferry::schema::{Column, arrow_schema};
use ferry::wire::codec::Encoder;
use ferry::wire::generated::read_batches_response::Step;
use ferry::wire::generated::{self as proto, Encoding, ReadBatchesResponse};
use ferry::wire::{BATCH_BYTES_DEFAULT, BATCH_BYTES_MAX, BATCH_BYTES_MIN, rows};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::Status;

use crate::catalog::Catalog;
use crate::catalog::dataset::Dataset;
use crate::chunk::Chunk;
use crate::error::RequestError;
use crate::service::audit::StreamAudit;
use crate::service::status::{kind, refuse};
use crate::source::{ReadRequest, SplitReader};

/// Largest batch of rows in bytes of column data: a small integer takes up to
/// seven times its size as a typed value, and the message must stay in bounds.
const ROWS_BATCH_BYTES_MAX: u64 = 512 * 1024;
/// Messages that a stream may be ahead of its receiver.
const MESSAGES_AHEAD_MAX: usize = 4;
/// Column data in them.
const BYTES_AHEAD_MAX: usize = 4 * 1024 * 1024;
/// Most rejects of one message.
const REJECTS_MAX: usize = 1000;
/// A message of rejects ends with the one that would take it over this size.
const REJECTS_BYTES_MAX: usize = 1024 * 1024;

/// A stream ends if its reader takes nothing for so long; a commit may wait two
/// minutes for somebody's lock.
const READER_PATIENCE: Duration = Duration::from_mins(5);
/// How long the reason for an early end is offered.
const REASON_PATIENCE: Duration = Duration::from_secs(10);

/// What goes to the receiver.
pub(super) type Message = Result<ReadBatchesResponse, Status>;

/// The size of batches in bytes of column data, for the size that was asked for.
pub(super) fn batch_bytes_max(asked: u64, encoding: Encoding) -> usize {
    let largest = match encoding {
        Encoding::ArrowIpc => BATCH_BYTES_MAX,
        Encoding::Rows | Encoding::Unspecified => ROWS_BATCH_BYTES_MAX,
    };
    let bytes = match asked {
        0 => BATCH_BYTES_DEFAULT.min(largest),
        _ => asked.clamp(BATCH_BYTES_MIN, largest),
    };
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// How many messages a stream may be ahead of its receiver; each stream that nobody
/// reads holds so many.
pub(super) fn messages_ahead(batch_bytes_max: usize, encoding: Encoding) -> usize {
    match encoding {
        Encoding::ArrowIpc => (BYTES_AHEAD_MAX / batch_bytes_max).clamp(1, MESSAGES_AHEAD_MAX),
        // A boolean takes one byte in a column, and thirty-two as a typed value.
        Encoding::Rows | Encoding::Unspecified => 1,
    }
}

/// Sends the batches of one split; runs on a thread that may block.
pub(super) struct BatchStream {
    pub(super) catalog: Arc<Catalog>,
    pub(super) dataset: Arc<Dataset>,
    pub(super) encoding: Encoding,
    pub(super) sender: mpsc::Sender<Message>,
    /// Where waiting for the receiver is timed.
    pub(super) runtime: Handle,
    pub(super) shutdown: Shutdown,
    pub(super) audit: StreamAudit,
}

/// Why a stream ended before its split did.
enum Ended {
    Refused(RequestError),
    ReceiverGone,
}

impl From<RequestError> for Ended {
    fn from(error: RequestError) -> Self {
        Self::Refused(error)
    }
}

impl BatchStream {
    /// Reads and sends until the split ends, the receiver goes, or the host stops.
    pub(super) fn run(mut self, request: ReadRequest) {
        self.audit.outcome = match self.send_split(request) {
            Ok(()) => "END",
            Err(Ended::Refused(error)) if !self.sender.is_closed() => {
                let (_, reason) = kind(&error);
                // A receiver that goes now does not miss the reason, and one
                // that takes nothing must not hold the thread.
                let refusal = Err(refuse(&error));
                let _ = self
                    .runtime
                    .block_on(async { timeout(REASON_PATIENCE, self.sender.send(refusal)).await });
                reason
            }
            Err(Ended::Refused(_) | Ended::ReceiverGone) => "CANCELLED",
        };
    }

    fn send_split(&mut self, request: ReadRequest) -> Result<(), Ended> {
        let (sender, shutdown) = (self.sender.clone(), self.shutdown.clone());
        let is_unwanted = move || sender.is_closed() || shutdown.is_requested();
        let catalog = self.catalog.clone();
        let mut reader = SplitReader::open(catalog, &self.dataset, request, &is_unwanted)?;
        let mut encoder = BatchEncoder::new(self.encoding, reader.columns())?;
        while let Some(chunk) = reader.next_chunk(&is_unwanted)? {
            if self.shutdown.is_requested() {
                return Err(RequestError::Stopping.into());
            }
            self.send_chunk(chunk, &mut encoder)?;
        }
        let end = proto::End {
            end: Some(reader.reached().into()),
            row_count: self.audit.rows,
            reject_count: self.audit.rejects,
        };
        self.send(Step::End(end))
    }

    fn send_chunk(&mut self, chunk: Chunk, encoder: &mut BatchEncoder) -> Result<(), Ended> {
        let rejects = chunk.rejects.len() as u64;
        self.send_rejects(chunk.rejects)?;
        match chunk.batch {
            Some(batch) => {
                self.send(Step::Batch(encoder.encode(&batch)?))?;
                self.audit.rows += batch.records.num_rows() as u64;
            }
            None => self.send(Step::Progress(proto::Progress { end: Some(chunk.end.into()) }))?,
        }
        self.audit.rejects += rejects;
        self.audit.end = chunk.end;
        Ok(())
    }

    fn send_rejects(&mut self, rejects: Vec<Reject>) -> Result<(), Ended> {
        let mut message = Vec::new();
        let mut message_bytes = 0;
        for reject in rejects {
            let bytes: usize = reject.fields.iter().flatten().map(String::len).sum();
            let is_full = message.len() == REJECTS_MAX || message_bytes + bytes > REJECTS_BYTES_MAX;
            if is_full && !message.is_empty() {
                self.send(Step::Rejects(proto::Rejects { rejects: take(&mut message) }))?;
                message_bytes = 0;
            }
            message.push(proto::Reject::from(reject));
            message_bytes += bytes;
        }
        if message.is_empty() {
            return Ok(());
        }
        self.send(Step::Rejects(proto::Rejects { rejects: message }))
    }

    fn send(&self, step: Step) -> Result<(), Ended> {
        let message = ReadBatchesResponse { step: Some(step) };
        let sending = async { timeout(READER_PATIENCE, self.sender.send(Ok(message))).await };
        match self.runtime.block_on(sending) {
            Ok(sent) => sent.map_err(|_| Ended::ReceiverGone),
            Err(_) => {
                Err(RequestError::ReaderTooSlow { seconds: READER_PATIENCE.as_secs() }.into())
            }
        }
    }
}

/// Writes batches in the encoding that was asked for.
enum BatchEncoder {
    Arrow(Box<Encoder>),
    Rows { columns: Vec<Column>, is_first: bool },
}

impl BatchEncoder {
    fn new(encoding: Encoding, columns: &[Column]) -> Result<Self, RequestError> {
        Ok(match encoding {
            Encoding::ArrowIpc => Self::Arrow(Box::new(Encoder::new(&arrow_schema(columns))?)),
            Encoding::Rows | Encoding::Unspecified => {
                Self::Rows { columns: columns.to_vec(), is_first: true }
            }
        })
    }

    fn encode(&mut self, batch: &Batch) -> Result<proto::Batch, RequestError> {
        match self {
            Self::Arrow(encoder) => Ok(encoder.encode(batch)?),
            Self::Rows { columns, is_first } => {
                Ok(rows::encode(batch, columns, std::mem::replace(is_first, false)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::dataset::tests::dataset;
    use crate::catalog::plan::{PlanRequest, plan};
    use crate::catalog::scans::ScanCache;
    use ferry::host::shutdown;
    use ferry::position::Split;

    /// All messages of a stream over one file.
    fn stream(content: &str, is_stopping: bool) -> Vec<Message> {
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::write(folder.path().join("a.csv"), content).expect("file is written");
        let dataset = dataset(folder.path(), &[("uid", "bigint")]);
        let request = PlanRequest::default();
        let scans = ScanCache::default();
        let plan = plan(&dataset, request, &scans, &|| false).expect("it is planned");
        let range = plan.files[0].ranges[0].clone();
        let split = Split {
            dataset: dataset.name.to_string(),
            file: "a.csv".to_owned(),
            fingerprint: plan.files[0].fingerprint.clone().expect("it can be read"),
            start: range.start,
            end: range.end,
        };
        let (trigger, shutdown) = shutdown::channel();
        if is_stopping {
            trigger.request();
        }
        let (sender, mut receiver) = mpsc::channel(100);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let stream = BatchStream {
            runtime: runtime.handle().clone(),
            catalog: Arc::new(Catalog::new(Vec::new())),
            dataset: Arc::new(dataset),
            encoding: Encoding::Rows,
            sender,
            shutdown,
            audit: StreamAudit::begin("test".into(), None, &split, split.start),
        };
        let position = split.start;
        let request =
            ReadRequest { split, position, columns: plan.columns, batch_bytes_max: 1 << 20 };
        stream.run(request);
        std::iter::from_fn(|| receiver.blocking_recv()).collect()
    }

    fn steps(messages: Vec<Message>) -> Vec<Step> {
        let step = |message: Message| message.expect("no error").step.expect("it has a step");
        messages.into_iter().map(step).collect()
    }

    #[test]
    fn rejects_come_before_their_batch_and_the_end_counts_both() {
        let steps = steps(stream("uid\n1\nx\n3\n", false));
        let [Step::Rejects(rejects), Step::Batch(batch), Step::End(end)] = &steps[..] else {
            panic!("{} other steps", steps.len());
        };
        assert_eq!((rejects.rejects.len(), batch.row_count), (1, 2));
        assert_eq!((end.row_count, end.reject_count), (2, 1));
        assert_eq!(end.end.map(|end| (end.byte_offset, end.row_number)), Some((10, 3)));
    }

    #[test]
    fn a_chunk_without_a_good_row_still_moves_on() {
        let steps = steps(stream("uid\nx\n", false));
        assert!(
            matches!(&steps[..], [Step::Rejects(_), Step::Progress(_), Step::End(_)]),
            "{} other steps",
            steps.len()
        );
    }

    #[test]
    fn a_host_that_stops_ends_the_stream_with_a_reason() {
        let messages = stream("uid\n1\n", true);
        let [Err(status)] = &messages[..] else { panic!("{} messages", messages.len()) };
        assert_eq!(status.code(), tonic::Code::Unavailable);
        assert!(status.message().starts_with("server is stopping"));
    }

    #[test]
    fn batch_sizes_are_clamped() {
        assert_eq!(batch_bytes_max(0, Encoding::ArrowIpc), 1 << 20);
        assert_eq!(batch_bytes_max(1, Encoding::ArrowIpc), 64 << 10);
        assert_eq!(batch_bytes_max(u64::MAX, Encoding::ArrowIpc), 4 << 20);
        assert_eq!(batch_bytes_max(0, Encoding::Rows), 512 << 10);
    }

    #[test]
    fn the_larger_the_batches_the_fewer_are_ahead() {
        let ahead = |bytes| messages_ahead(bytes, Encoding::ArrowIpc);
        assert_eq!((ahead(64 << 10), ahead(1 << 20), ahead(2 << 20), ahead(4 << 20)), (4, 4, 2, 1));
        assert_eq!(messages_ahead(64 << 10, Encoding::Rows), 1);
    }
}
