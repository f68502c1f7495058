//! Answers every request with the same small JSON document: what `bench/serve` compares ferry's look-ups with.
//!
//! Nothing but axum: no look-up, no token, no limit. It says where it listens
//! and serves until it is ended.

#![allow(clippy::print_stdout, reason = "it says where it listens")]

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[tokio::main(worker_threads = 2)]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("bare axum listening on http://{}", listener.local_addr()?);
    let router = Router::new().route("/{*path}", get(record));
    axum::serve(listener, router).await
}

/// As large as the record that ferry is asked for.
async fn record() -> Json<Value> {
    Json(json!({
        "table": "public.people",
        "key": "17",
        "record": {
            "id": 17, "name": "Ada Lovelace", "city": "London", "country": "United Kingdom",
            "born": "1815-12-10", "visits": 12, "note": "the first of them"
        },
        "found_in": "cache",
        "ttl_seconds": 599.9
    }))
}
