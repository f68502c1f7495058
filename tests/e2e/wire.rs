//! What the service promises to any client: stateless reads, positions, refusals with reasons.

mod floods;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use ferry::wire::ERROR_DOMAIN;
use ferry::wire::generated as proto;
use ferry::wire::generated::batch::Payload;
use ferry::wire::generated::read_batches_response::Step;
use ferry::wire::generated::transfer_service_client::TransferServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::{ErrorInfo, StatusExt as _};

use crate::hosts::{Server, Source};

type Service = TransferServiceClient<Channel>;

const ROWS: u64 = 20_000;

async fn orders_with(settings: &str) -> (Source, Server, Service) {
    let source = Source::new(&format!(
        "{settings}\n[[dataset]]\nname = \"orders\"\nfiles = [\"orders*.csv\"]\n\
         [dataset.columns]\nid = \"bigint\"\n\
         [[dataset]]\nname = \"others\"\nfiles = [\"others*.csv\"]\n"
    ));
    let mut file = String::from("id,name,note\n");
    for id in 1..=ROWS {
        let note = if id % 3 == 0 { "\"two\nlines\"" } else { "a note" };
        writeln!(file, "{id},customer {id},{note}").unwrap();
    }
    source.write("orders.csv", file);
    source.write("others.csv", "a,b\n1,2\n");
    source.write("secret.csv", "a,b\n1,2\n");
    let server = source.start();
    let service = Service::connect(server.url().to_owned()).await.unwrap();
    (source, server, service)
}

async fn orders() -> (Source, Server, Service) {
    orders_with("").await
}

/// Makes the file so large that no buffer holds the whole of it.
fn grow(source: &Source) {
    let mut file = std::fs::read_to_string(source.path("orders.csv")).unwrap();
    for id in ROWS + 1..=ROWS * 20 {
        writeln!(file, "{id},customer {id},a note").unwrap();
    }
    source.write("orders.csv", file);
}

async fn plan(service: &mut Service, target_split_bytes: u64) -> proto::PlanTransferResponse {
    let request = proto::PlanTransferRequest {
        dataset: "orders".to_owned(),
        target_split_bytes,
        ..Default::default()
    };
    service.plan_transfer(request).await.unwrap().into_inner()
}

/// The one split of the whole file.
async fn whole(service: &mut Service) -> proto::Split {
    let mut splits = plan(service, 0).await.splits;
    assert_eq!(splits.len(), 1);
    splits.remove(0)
}

fn request(split: proto::Split) -> proto::ReadBatchesRequest {
    proto::ReadBatchesRequest {
        split: Some(split),
        encoding: proto::Encoding::Rows.into(),
        max_batch_bytes: 64 * 1024,
        ..Default::default()
    }
}

/// All steps of a stream, or the status that refused or ended it.
async fn read(
    service: &mut Service,
    request: proto::ReadBatchesRequest,
) -> Result<Vec<Step>, Status> {
    let mut stream = service.read_batches(request).await?.into_inner();
    let mut steps = Vec::new();
    while let Some(message) = stream.message().await? {
        steps.push(message.step.unwrap());
    }
    Ok(steps)
}

fn batches(steps: &[Step]) -> impl Iterator<Item = &proto::Batch> {
    steps.iter().filter_map(|step| match step {
        Step::Batch(batch) => Some(batch),
        _ => None,
    })
}

fn rows(steps: &[Step]) -> Vec<proto::Row> {
    let rows_of = |batch: &proto::Batch| match &batch.payload {
        Some(Payload::Rows(payload)) => payload.rows.clone(),
        _ => panic!("the batch does not hold rows"),
    };
    batches(steps).flat_map(rows_of).collect()
}

fn end(steps: &[Step]) -> &proto::End {
    match steps.last() {
        Some(Step::End(end)) => end,
        _ => panic!("the last step is not the end"),
    }
}

#[track_caller]
fn assert_refused(status: &Status, code: Code, reason: &str) -> ErrorInfo {
    assert_eq!(status.code(), code, "{status:?}");
    let details = status.get_details_error_info();
    let details = details.unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(details.reason, reason, "{status:?}");
    assert_eq!(details.domain, ERROR_DOMAIN);
    details
}

#[tokio::test]
async fn a_stream_is_whole_and_resumes_after_each_batch_with_the_same_rows() {
    let (_source, _server, mut service) = orders().await;
    let split = whole(&mut service).await;

    let steps = read(&mut service, request(split.clone())).await.unwrap();

    let all = rows(&steps);
    assert_eq!(u64::try_from(all.len()), Ok(ROWS));
    assert_eq!((end(&steps).row_count, end(&steps).reject_count), (ROWS, 0));
    assert_eq!(end(&steps).end, split.end);
    let mut position = split.start.unwrap();
    assert!(batches(&steps).count() > 3, "several batches");
    for batch in batches(&steps) {
        assert_eq!(batch.start, Some(position), "batches follow each other");
        position = batch.end.unwrap();
        let mut resumed = request(split.clone());
        resumed.position = Some(position);
        let resumed = rows(&read(&mut service, resumed).await.unwrap());
        let skipped = usize::try_from(position.row_number).unwrap();
        assert!(resumed == all[skipped..], "other rows from row {skipped} on");
    }
}

#[tokio::test]
async fn splits_together_are_the_file() {
    let (_source, _server, mut service) = orders().await;
    let split = whole(&mut service).await;
    let whole = rows(&read(&mut service, request(split)).await.unwrap());

    let splits = plan(&mut service, 64 * 1024).await.splits;

    assert!(splits.len() > 5, "{} splits", splits.len());
    let mut together = Vec::new();
    for split in splits {
        together.extend(rows(&read(&mut service, request(split)).await.unwrap()));
    }
    assert!(together == whole, "splits and file differ");
}

#[tokio::test]
async fn columns_come_as_asked_for() {
    let (_source, _server, mut service) = orders().await;
    let mut projected = request(whole(&mut service).await);
    let column = |name: &str, column_type: &str| proto::Column {
        name: name.to_owned(),
        r#type: column_type.to_owned(),
    };
    projected.columns = vec![column("name", ""), column("id", "integer")];

    let steps = read(&mut service, projected.clone()).await.unwrap();

    let Some(Payload::Rows(payload)) = &batches(&steps).next().unwrap().payload else {
        panic!("no rows");
    };
    assert_eq!(payload.columns, [column("name", "text"), column("id", "integer")]);
    assert!(rows(&steps).iter().all(|row| row.values.len() == 2), "two values a row");

    projected.columns = vec![column("name", "bigint")];
    let steps = read(&mut service, projected.clone()).await.unwrap();
    assert_eq!((end(&steps).row_count, end(&steps).reject_count), (0, ROWS));

    projected.columns = vec![column("nmae", "")];
    let status = read(&mut service, projected).await.unwrap_err();
    let details = assert_refused(&status, Code::FailedPrecondition, "COLUMN_NOT_FOUND");
    assert_eq!(details.metadata["column"], "nmae");
}

#[tokio::test]
async fn a_position_at_the_end_gives_a_clean_end() {
    let (_source, _server, mut service) = orders().await;
    let split = whole(&mut service).await;
    let mut at_end = request(split.clone());
    at_end.position = split.end;

    let steps = read(&mut service, at_end).await.unwrap();

    assert_eq!(steps.len(), 1);
    assert_eq!((end(&steps).row_count, end(&steps).reject_count), (0, 0));
    assert_eq!(end(&steps).end, split.end);
}

#[tokio::test]
async fn positions_that_make_no_sense_are_refused() {
    let (_source, _server, mut service) = orders().await;
    let split = whole(&mut service).await;
    let (start, last) = (split.start.unwrap(), split.end.unwrap());

    let mut beyond = request(split.clone());
    beyond.position = Some(proto::Position {
        byte_offset: last.byte_offset + 10,
        row_number: last.row_number + 1,
    });
    let status = read(&mut service, beyond).await.unwrap_err();
    assert_refused(&status, Code::FailedPrecondition, "POSITION_BEYOND_SPLIT");

    let mut inside = request(split);
    inside.position = Some(proto::Position {
        byte_offset: start.byte_offset + 3,
        row_number: start.row_number + 1,
    });
    let status = read(&mut service, inside).await.unwrap_err();
    assert_refused(&status, Code::FailedPrecondition, "POSITION_NOT_ON_BOUNDARY");
}

#[tokio::test]
async fn a_split_outlives_growth_and_restarts_but_not_a_rewrite() {
    let (source, server, mut service) = orders().await;
    let split = whole(&mut service).await;
    let before = rows(&read(&mut service, request(split.clone())).await.unwrap());

    source.append("orders.csv", "999999,late,\n");
    drop(server);
    let server = source.start();
    let mut service = Service::connect(server.url().to_owned()).await.unwrap();
    let grown = rows(&read(&mut service, request(split.clone())).await.unwrap());
    assert!(grown == before, "the split holds other rows after the file grew");

    let content = std::fs::read_to_string(source.path("orders.csv")).unwrap();
    source.write("orders.csv", content.replace("customer 7,", "customer 8,"));
    let status = read(&mut service, request(split)).await.unwrap_err();
    assert_refused(&status, Code::FailedPrecondition, "FILE_CHANGED");
}

#[tokio::test]
async fn only_files_of_declared_datasets_can_be_read() {
    let (source, _server, mut service) = orders().await;
    let outside = tempfile::NamedTempFile::with_suffix_in(".csv", source.path("")).unwrap();
    let outside = outside.path().display().to_string();
    let names = ["../orders.csv", "./orders.csv", "secret.csv", "others.csv", "/etc/passwd"];
    for name in names.into_iter().chain([outside.as_str()]) {
        let mut split = whole(&mut service).await;
        name.clone_into(&mut split.file);
        let status = read(&mut service, request(split)).await.unwrap_err();
        assert_refused(&status, Code::NotFound, "FILE_NOT_FOUND");
    }

    let mut split = whole(&mut service).await;
    split.dataset = "secret".to_owned();
    let status = read(&mut service, request(split)).await.unwrap_err();
    let details = assert_refused(&status, Code::NotFound, "DATASET_NOT_FOUND");
    assert_eq!(details.metadata["dataset"], "secret");
    let status = read(&mut service, proto::ReadBatchesRequest::default()).await.unwrap_err();
    assert_refused(&status, Code::InvalidArgument, "INVALID_REQUEST");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let (_source, _server, mut service) = orders().await;
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = proto::ListDatasetsRequest { page_size: 1, page_token };
        let page = service.list_datasets(request).await.unwrap().into_inner();
        assert!(page.datasets.len() <= 1);
        names.extend(page.datasets.into_iter().map(|dataset| dataset.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["orders", "others"]);
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused() {
    let (source, _server, mut service) = orders_with("[limits]\nstreams_max = 1").await;
    grow(&source);
    let split = whole(&mut service).await;
    let mut open = service.read_batches(request(split.clone())).await.unwrap().into_inner();
    open.message().await.unwrap();

    let status = read(&mut service, request(split.clone())).await.unwrap_err();
    assert_refused(&status, Code::ResourceExhausted, "TOO_MANY_STREAMS");

    while open.message().await.unwrap().is_some() {}
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(status) = read(&mut service, request(split.clone())).await {
        assert!(Instant::now() < deadline, "the stream that ended still counts: {status:?}");
    }
}

#[tokio::test]
async fn a_slow_reader_keeps_its_connection() {
    let (source, _server, mut service) = orders().await;
    grow(&source);
    let split = whole(&mut service).await;
    let mut stream = service.read_batches(request(split)).await.unwrap().into_inner();
    let (mut messages, mut row_count) = (0, 0);
    while let Some(message) = stream.message().await.expect("the connection is lost") {
        messages += 1;
        if messages < 100 {
            // The test is about time that passes while nobody reads.
            tokio::time::sleep(Duration::from_millis(if messages == 50 { 3000 } else { 10 })).await;
        }
        if let Some(Step::Batch(batch)) = message.step {
            row_count += u64::from(batch.row_count);
        }
    }
    assert_eq!(row_count, ROWS * 20);
}
