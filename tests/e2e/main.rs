//! What the two programs promise, tested from outside: real processes, a real PostgreSQL, outcomes in the database.
//!
//! One file a promise, one harness file a peer: `hosts` for ferry's own
//! programs, `postgres` for the database.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and says why it skips"
)]

// The demo and the tests start PostgreSQL in the same way, from one file.
#[path = "../../client/demo/cluster.rs"]
mod cluster;
mod hosts;
mod postgres;

mod accounts;
mod crash;
mod demo;
mod explore;
mod memory;
mod mended;
mod pii;
mod stop;
mod telecom;
mod tls;
mod trip;
mod types;
mod wire;
mod wrong;
