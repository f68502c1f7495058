//! A stop that was asked for: the programs end in order and in time, and the next run goes on.

use std::fmt::Write as _;
use std::net::TcpStream;
use std::time::Instant;

use ferry::wire::generated as proto;
use ferry::wire::generated::read_batches_response::Step;
use ferry::wire::generated::transfer_service_client::TransferServiceClient;
use tonic::Code;

use crate::hosts::{Process, Server, Source, run, wait_for};
use crate::postgres::Database;

const ROWS: u64 = 300_000;

fn numbers(settings: &str) -> (Source, Server) {
    let source = Source::new(&format!(
        "{settings}\n[[dataset]]\nname = \"numbers\"\nfiles = [\"*.csv\"]\n\
         [dataset.columns]\nn = \"bigint\"\n"
    ));
    let mut file = String::from("n,word\n");
    for n in 0..ROWS {
        writeln!(file, "{n},some words that make the row longer: number {n}").unwrap();
    }
    source.write("numbers.csv", file);
    let server = source.start();
    (source, server)
}

fn start_client(server_url: &str, database: &Database) -> Process {
    let mut command = run(server_url, "numbers", "public.numbers", &database.url);
    command.args([
        "--create",
        "--commit-bytes",
        "64KiB",
        "--split-bytes",
        "4MiB",
        "--retries",
        "0",
    ]);
    Process::spawn(&mut command)
}

fn wait_for_rows(database: &Database) {
    wait_for("the first rows", 60, || (database.count("numbers") > 0).then_some(()));
}

fn assert_complete(source: &Source, database: &Database) {
    database.execute("CREATE TABLE oracle (LIKE numbers)");
    database.copy("oracle", &source.path("numbers.csv"));
    assert_eq!(database.count("oracle"), ROWS);
    database.assert_same_rows("TABLE numbers", "TABLE oracle");
}

fn assert_client_stops_and_goes_on(signal: &str) {
    let (source, server) = numbers("");
    let database = Database::create();
    let client = start_client(server.url(), &database);
    wait_for_rows(&database);

    client.signal(signal);
    let outcome = client.finish_within(20).expect_code(130);

    assert_eq!(outcome.summary()["state"], "stopped");
    let stored = database.count("numbers");
    assert!(stored > 0 && stored < ROWS, "{stored} rows after the stop");
    let second = start_client(server.url(), &database).finish().expect_code(0).summary();
    assert_eq!(second["run_id"], outcome.summary()["run_id"], "the same run goes on");
    assert_eq!(second["rows"]["loaded"], ROWS, "the accounts of both attempts together");
    assert_complete(&source, &database);
}

#[test]
fn an_interrupted_client_ends_with_130_and_goes_on_later() {
    assert_client_stops_and_goes_on("INT");
}

#[test]
fn a_terminated_client_ends_with_130_and_goes_on_later() {
    assert_client_stops_and_goes_on("TERM");
}

#[test]
fn a_terminated_server_ends_with_0_and_the_client_goes_on_later() {
    let (source, server) = numbers("");
    let database = Database::create();
    let client = start_client(server.url(), &database);
    wait_for_rows(&database);

    server.process.signal("TERM");
    let _ = server.process.finish_within(20).expect_code(0);
    let first = client.finish();
    assert_eq!(first.code, Some(3), "{}", first.text());

    let server = source.start();
    start_client(server.url(), &database).finish().expect_code(0);
    assert_complete(&source, &database);
}

async fn open_stream(url: String) -> tonic::Streaming<proto::ReadBatchesResponse> {
    let mut service = TransferServiceClient::connect(url).await.unwrap();
    let request =
        proto::PlanTransferRequest { dataset: "numbers".to_owned(), ..Default::default() };
    let plan = service.plan_transfer(request).await.unwrap().into_inner();
    let request = proto::ReadBatchesRequest {
        split: Some(plan.splits[0].clone()),
        encoding: proto::Encoding::Rows.into(),
        max_batch_bytes: 64 * 1024,
        ..Default::default()
    };
    service.read_batches(request).await.unwrap().into_inner()
}

/// What ends a stream whose server is told to stop; the batches before it are whole.
async fn status_of_stopped_stream() -> tonic::Status {
    let (_source, server) = numbers("");
    let mut stream = open_stream(server.url().to_owned()).await;
    let first = stream.message().await.unwrap().unwrap();
    assert!(matches!(first.step, Some(Step::Batch(_))));

    server.process.signal("TERM");
    let mut next_row = None;
    let status = loop {
        match stream.message().await {
            Ok(Some(message)) => {
                let Some(Step::Batch(batch)) = message.step else {
                    panic!("the whole split came although the server was told to stop");
                };
                let (start, end) = (batch.start.unwrap(), batch.end.unwrap());
                assert!(next_row.is_none_or(|row| row == start.row_number), "a gap");
                assert_eq!(end.row_number - start.row_number, u64::from(batch.row_count));
                next_row = Some(end.row_number);
            }
            Ok(None) => panic!("the stream ended as if the split were read"),
            Err(status) => break status,
        }
    };
    let _ = server.process.finish_within(20).expect_code(0);
    status
}

/// The client's connection must go on in the background to take its leave.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_stream_ends_at_the_end_of_a_batch() {
    let mut status = status_of_stopped_stream().await;
    // On a busy machine TCP may drop the last frame: the server has closed its
    // end before it has read the client's last acknowledgement.
    for _ in 0..4 {
        if status.code() == Code::Unavailable {
            break;
        }
        assert!(format!("{status:?}").contains("ConnectionReset"), "{status:?}");
        status = status_of_stopped_stream().await;
    }
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.message().contains("stopping"), "{status:?}");
}

#[tokio::test]
async fn a_stream_that_nobody_reads_does_not_hold_the_server_back() {
    let (_source, server) = numbers("drain = \"1s\"");
    let mut stream = open_stream(server.url().to_owned()).await;
    stream.message().await.unwrap();

    let begun = Instant::now();
    server.process.signal("TERM");
    let _ = server.process.finish_within(20).expect_code(0);
    assert!(begun.elapsed().as_secs() < 10, "took {:?}", begun.elapsed());
    drop(stream);
}

#[test]
fn a_connection_that_says_nothing_does_not_hold_the_server_back() {
    let (_source, server) = numbers("drain = \"5m\"");
    let silent = TcpStream::connect(server.address()).unwrap();

    server.process.signal("TERM");
    let _ = server.process.finish_within(30).expect_code(0);
    drop(silent);
}
