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
mod canary;
mod crash;
mod demo;
mod enumeration;
mod explore;
mod keys;
mod memory;
mod mended;
mod mixtures;
mod pii;
mod preview;
mod quarantine;
mod replay;
mod rules;
mod stages;
mod stop;
mod targets;
mod telecom;
mod tls;
mod trip;
mod types;
mod upgrade;
mod wire;
mod wrong;
