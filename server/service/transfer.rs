//! Answers the calls of `ferry.v1.TransferService`.
//!
//! Invariants: what a caller may not read is answered as if it were not there;
//! files are read on threads that may block, of which a bounded number is at work;
//! no answer depends on the calls before.

use std::sync::Arc;

use ferry::host::settings::nearest;
use ferry::host::shutdown::Shutdown;
use ferry::position::{Position, Split};
use ferry::wire::generated as proto;
use ferry::wire::generated::transfer_service_server::TransferService;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::catalog::dataset::Dataset;
use crate::catalog::files::SourceFile;
use crate::catalog::listing::sources_to_describe;
use crate::catalog::origin::Origin;
use crate::catalog::plan::plan;
use crate::catalog::{Catalog, IsUnwanted};
use crate::error::RequestError;
use crate::service::access::Caller;
use crate::service::audit::StreamAudit;
use crate::service::page::Page;
use crate::service::plan::{plan_message, plan_request};
use crate::service::status::refuse;
use crate::service::stream::{BatchStream, Message, batch_bytes_max, messages_ahead};
use crate::source::ReadRequest;

/// Lists that are made at the same time, plans of files, and requests at APIs, which
/// take as long as those like. Further ones wait, and cost no thread until then.
const TURNS_MAX: usize = 4;
/// Dataset names in an error text.
const NAMES_MAX: usize = 10;

/// The service.
pub(super) struct Transfer {
    catalog: Arc<Catalog>,
    streams_max: usize,
    streams: Arc<Semaphore>,
    lists: Arc<Semaphore>,
    plans: Arc<Semaphore>,
    fetches: Arc<Semaphore>,
    shutdown: Shutdown,
}

impl Transfer {
    pub(super) fn new(catalog: Catalog, streams_max: usize, shutdown: Shutdown) -> Self {
        Self {
            catalog: Arc::new(catalog),
            streams_max,
            streams: Arc::new(Semaphore::new(streams_max)),
            lists: Arc::new(Semaphore::new(TURNS_MAX)),
            plans: Arc::new(Semaphore::new(TURNS_MAX)),
            fetches: Arc::new(Semaphore::new(TURNS_MAX)),
            shutdown,
        }
    }

    /// The dataset of this name, if the caller may read it.
    fn dataset(&self, caller: &Caller, name: &str) -> Result<Arc<Dataset>, Status> {
        let allowed = self.catalog.find(name).filter(|dataset| caller.may_read(&dataset.name));
        allowed.cloned().ok_or_else(|| refuse(&self.dataset_not_found(caller, name)))
    }

    fn dataset_not_found(&self, caller: &Caller, name: &str) -> RequestError {
        let readable = self.catalog.datasets().filter(|dataset| caller.may_read(&dataset.name));
        let names: Vec<String> = readable.map(|dataset| dataset.name.to_string()).collect();
        let hint = match nearest(name, names.iter().map(String::as_str)) {
            Some(name) => format!("did you mean \"{name}\"?"),
            None if names.is_empty() => "there is none that you may read".to_owned(),
            None => format!("there are {}", names[..names.len().min(NAMES_MAX)].join(", ")),
        };
        RequestError::DatasetNotFound { dataset: name.to_owned(), hint }
    }

    /// Does work on a thread that may block, when its turn has come; it is told when
    /// nobody waits any more.
    async fn answer<T: Send + 'static>(
        &self,
        turns: &Arc<Semaphore>,
        work: impl FnOnce(IsUnwanted<'_>) -> Result<T, RequestError> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        let permit = turns.clone().acquire_owned().await;
        let shutdown = self.shutdown.clone();
        let (answer, answered) = oneshot::channel();
        spawn_blocking(move || {
            // Held by the thread: it may go on for a moment when the caller is gone.
            let _permit = permit;
            let outcome = work(&|| answer.is_closed() || shutdown.is_requested());
            // A caller that is gone misses nothing.
            let _ = answer.send(outcome);
        });
        match answered.await {
            Ok(Ok(response)) => Ok(Response::new(response)),
            Ok(Err(error)) => Err(refuse(&error)),
            Err(_) => Err(refuse(&panicked())),
        }
    }
}

#[tonic::async_trait]
impl TransferService for Transfer {
    async fn list_datasets(
        &self,
        request: Request<proto::ListDatasetsRequest>,
    ) -> Result<Response<proto::ListDatasetsResponse>, Status> {
        let caller = Caller::of(request.extensions());
        let request = request.into_inner();
        let page =
            Page::new(request.page_size, request.page_token).map_err(|error| refuse(&error))?;
        let readable = self.catalog.datasets().filter(|dataset| caller.may_read(&dataset.name));
        let (datasets, next_page_token) =
            page.cut(readable.cloned().collect(), |dataset| dataset.name.to_string());
        self.answer(&self.lists, move |is_unwanted| {
            let mut summaries = Vec::with_capacity(datasets.len());
            for dataset in &datasets {
                if is_unwanted() {
                    return Err(RequestError::Stopping);
                }
                summaries.push(summary(dataset));
            }
            Ok(proto::ListDatasetsResponse { datasets: summaries, next_page_token })
        })
        .await
    }

    async fn get_dataset(
        &self,
        request: Request<proto::GetDatasetRequest>,
    ) -> Result<Response<proto::GetDatasetResponse>, Status> {
        let caller = Caller::of(request.extensions());
        let request = request.into_inner();
        let dataset = self.dataset(&caller, &request.name)?;
        let page =
            Page::new(request.page_size, request.page_token).map_err(|error| refuse(&error))?;
        let turns = match &dataset.origin {
            Origin::Files(_) => &self.lists,
            // A page may have to be fetched first.
            Origin::Api(_) => &self.fetches,
        };
        self.answer(turns, move |is_unwanted| {
            let files = sources_to_describe(&dataset, is_unwanted)?;
            let description = describe(&dataset, &files)?;
            let (files, next_page_token) = page.cut(files, |file| file.name.clone());
            Ok(proto::GetDatasetResponse {
                dataset: Some(description),
                files: files.into_iter().map(file_message).collect(),
                next_page_token,
            })
        })
        .await
    }

    async fn plan_transfer(
        &self,
        request: Request<proto::PlanTransferRequest>,
    ) -> Result<Response<proto::PlanTransferResponse>, Status> {
        let caller = Caller::of(request.extensions());
        let request = request.into_inner();
        let dataset = self.dataset(&caller, &request.dataset)?;
        let request = plan_request(&dataset, request).map_err(|error| refuse(&error))?;
        let catalog = self.catalog.clone();
        let turns = match &dataset.origin {
            Origin::Files(_) => &self.plans,
            Origin::Api(_) => &self.fetches,
        };
        self.answer(turns, move |is_unwanted| {
            let plan = plan(&dataset, request, &catalog.scans, is_unwanted)?;
            plan_message(&dataset, plan)
        })
        .await
    }

    type ReadBatchesStream = ReceiverStream<Message>;

    async fn read_batches(
        &self,
        request: Request<proto::ReadBatchesRequest>,
    ) -> Result<Response<Self::ReadBatchesStream>, Status> {
        let caller = Caller::of(request.extensions());
        let peer = request.remote_addr();
        let mut request = request.into_inner();
        let encoding = request.encoding();
        let Some(split) = request.split.take() else {
            let text = "field `split` is missing: take one that PlanTransfer gave".to_owned();
            return Err(refuse(&RequestError::InvalidRequest(text)));
        };
        let dataset = self.dataset(&caller, &split.dataset)?;
        let request = read_request(&dataset, split, request).map_err(|error| refuse(&error))?;
        let Ok(permit) = self.streams.clone().try_acquire_owned() else {
            return Err(refuse(&RequestError::TooManyStreams { max: self.streams_max }));
        };
        let (sender, receiver) = mpsc::channel(messages_ahead(request.batch_bytes_max, encoding));
        let stream = BatchStream {
            catalog: self.catalog.clone(),
            dataset,
            encoding,
            sender: sender.clone(),
            runtime: Handle::current(),
            shutdown: self.shutdown.clone(),
            audit: StreamAudit::begin(caller.name, peer, &request.split, request.position),
        };
        let reading = spawn_blocking(move || {
            let _permit = permit;
            stream.run(request);
        });
        tokio::spawn(async move {
            // The sender is kept until the thread ends, so that a panic does not
            // look like an end.
            if reading.await.is_err() {
                let _ = sender.send(Err(refuse(&panicked()))).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

fn panicked() -> RequestError {
    RequestError::Internal("the thread that read the files ended early".to_owned())
}

/// A dataset in a list: one whose files cannot be read now is listed all the same.
fn summary(dataset: &Dataset) -> proto::Dataset {
    let described = dataset.sources().and_then(|files| describe(dataset, &files));
    described.unwrap_or_else(|error| {
        tracing::warn!(dataset = %dataset.name, %error, "dataset cannot be described");
        proto::Dataset {
            name: dataset.name.to_string(),
            description: dataset.description.clone(),
            ..proto::Dataset::default()
        }
    })
}

fn describe(dataset: &Dataset, files: &[SourceFile]) -> Result<proto::Dataset, RequestError> {
    Ok(proto::Dataset {
        name: dataset.name.to_string(),
        description: dataset.description.clone(),
        columns: dataset.columns(files)?.iter().map(proto::Column::from).collect(),
        file_count: u32::try_from(files.len()).unwrap_or(u32::MAX),
        size_bytes: files.iter().map(|file| file.stamp.size_bytes).sum(),
    })
}

fn file_message(file: SourceFile) -> proto::DatasetFile {
    const SECOND_NANOS: i64 = 1_000_000_000;
    let nanos = file.stamp.modified_unix_nanos;
    let modified_at = prost_types::Timestamp {
        seconds: nanos.div_euclid(SECOND_NANOS),
        nanos: i32::try_from(nanos.rem_euclid(SECOND_NANOS)).unwrap_or(0),
    };
    proto::DatasetFile {
        name: file.name,
        size_bytes: file.stamp.size_bytes,
        modified_at: Some(modified_at),
    }
}

fn read_request(
    dataset: &Dataset,
    split: proto::Split,
    request: proto::ReadBatchesRequest,
) -> Result<ReadRequest, RequestError> {
    let batch_bytes_max = batch_bytes_max(request.max_batch_bytes, request.encoding());
    let split = Split::try_from(split)?;
    let position = request.position.map_or(split.start, Position::from);
    Ok(ReadRequest { split, position, columns: dataset.wanted(request.columns)?, batch_bytes_max })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::dataset::tests::dataset;
    use crate::service::access::Access;
    use ferry::host::shutdown;
    use tonic::Code;
    use tonic::service::Interceptor as _;

    #[tokio::test]
    async fn a_list_that_nobody_waits_for_does_not_keep_its_turn() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let catalog = Catalog::new(vec![dataset(folder.path(), &[("uid", "bigint")])]);
        let (trigger, shutdown) = shutdown::channel();
        let transfer = Transfer::new(catalog, 1, shutdown);
        let request = || {
            let request = Access::new(Vec::new()).call(Request::new(())).expect("anyone may ask");
            request.map(|()| proto::ListDatasetsRequest::default())
        };
        assert!(transfer.list_datasets(request()).await.is_ok());
        trigger.request();
        let refusal = transfer.list_datasets(request()).await.expect_err("it is broken off");
        assert_eq!(refusal.code(), Code::Unavailable);
    }
}
