//! Clients that ask for too much: others are still served, and the host's threads, memory and log stay bounded.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::pin::pin;
use std::time::Duration;

use ferry::wire::generated as proto;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Code;

use super::{Service, assert_refused, orders, orders_with, read, request, whole};
use crate::hosts::{Process, Server, wait_for};

/// How a client of HTTP/2 begins: the preface, and settings of which none is set.
const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0question";
/// An answer to a ping that nobody sent.
const UNASKED_ANSWER: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0nonsense";

/// Threads of a program.
fn threads(process: &Process) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", process.id())).unwrap().count()
}

/// The log up to the line of a stream, and with it what was written before.
fn log_with_stream(server: &Server) -> String {
    wait_for("the line of the stream", 10, || {
        let log = server.process.stderr();
        log.lines().any(|line| line.contains("stream read")).then_some(log)
    })
}

#[tokio::test]
async fn a_silent_connection_makes_room_for_one_that_waits() {
    let (_source, server, _first) = orders_with("[limits]\nconnections_max = 2").await;
    let silent = TcpStream::connect(server.address()).unwrap();
    let mut late = Service::connect(server.url().to_owned()).await.unwrap();
    let mut asked = pin!(late.list_datasets(proto::ListDatasetsRequest::default()));

    let at_once = timeout(Duration::from_secs(1), asked.as_mut()).await;
    assert!(at_once.is_err(), "more connections are served than allowed");

    let answer = timeout(Duration::from_secs(30), asked).await;
    let answer = answer.expect("the silent connection keeps its place").unwrap();
    assert_eq!(answer.into_inner().datasets.len(), 2);
    drop(silent);
}

#[tokio::test]
async fn lists_that_wait_for_their_turn_cost_no_threads() {
    let (source, server, service) = orders().await;
    for number in 0..500 {
        source.write(&format!("orders{number}.csv"), "id,name,note\n1,a,b\n");
    }
    let threads_before = threads(&server.process);

    let mut calls = JoinSet::new();
    for _ in 0..200 {
        let mut service = service.clone();
        calls.spawn(async move {
            let request =
                proto::GetDatasetRequest { name: "orders".to_owned(), ..Default::default() };
            service.get_dataset(request).await
        });
    }
    while let Some(answer) = calls.join_next().await {
        let dataset = answer.unwrap().unwrap().into_inner().dataset.unwrap();
        assert_eq!(dataset.file_count, 501);
    }

    // Threads are kept for a while, so that those of the greatest rush are still there; a
    // turn is over a moment before its thread is free, so that there are some more of them.
    let threads_after = threads(&server.process);
    assert!(threads_after <= threads_before + 32, "{threads_before} threads, then {threads_after}");
}

#[tokio::test]
async fn a_name_without_end_gives_a_short_answer_and_short_lines() {
    let (_source, server, mut service) = orders().await;
    let mut split = whole(&mut service).await;
    let name = "x".repeat(1024 * 1024);

    let unknown = proto::GetDatasetRequest { name: name.clone(), ..Default::default() };
    let status = service.get_dataset(unknown).await.unwrap_err();
    assert_refused(&status, Code::NotFound, "DATASET_NOT_FOUND");
    split.file = name;
    let status = read(&mut service, request(split)).await.unwrap_err();
    assert_refused(&status, Code::NotFound, "FILE_NOT_FOUND");

    let log = log_with_stream(&server);
    let longest = log.lines().map(str::len).max().unwrap();
    assert!(longest < 4096, "a line of {longest} bytes");
}

#[tokio::test]
async fn frames_without_sense_do_not_fill_the_log() {
    let (_source, server, mut service) = orders().await;
    let mut stranger = TcpStream::connect(server.address()).unwrap();
    stranger.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let frames = [OPENING, &UNASKED_ANSWER.repeat(1000), PING].concat();
    stranger.write_all(&frames).unwrap();
    let mut answers: Vec<u8> = Vec::new();
    let mut piece = [0; 1024];
    while !answers.windows(8).any(|bytes| bytes == b"question") {
        let bytes = stranger.read(&mut piece).unwrap();
        assert!(bytes > 0, "the connection is given up");
        answers.extend_from_slice(&piece[..bytes]);
    }

    let split = whole(&mut service).await;
    read(&mut service, request(split)).await.unwrap();
    let lines = log_with_stream(&server).lines().count();
    assert!(lines < 100, "{lines} lines");
}
