//! What the two programs promise, tested from outside: real processes, a real PostgreSQL, outcomes in the database.
//!
//! One file a promise, one harness file a peer: `hosts` for ferry's own
//! programs, `postgres` for the database, `redis` for the cache, `api` for a web
//! API that records come from, `web` for `ferry-client serve`, `browser` for who
//! looks at its page, `proxy` and `namespaces` for what lies between them,
//! `orders` for what they move.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and says why it skips"
)]

mod api;
mod browser;
// The demo and the tests start PostgreSQL in the same way, from one file.
#[path = "../../client/demo/cluster.rs"]
mod cluster;
mod gate;
mod hosts;
mod namespaces;
mod orders;
mod postgres;
mod proxy;
mod redis;
mod web;

mod accounts;
mod broken_files;
mod cache;
mod canary;
mod catalogue;
mod crash;
mod demo;
mod dialects;
mod drift;
mod enumeration;
mod explore;
mod files;
mod fleet;
mod fuzz;
mod http_json;
mod incremental;
mod inspect;
mod json_files;
mod keys;
mod lost_commits;
mod malformed;
mod memory;
mod mended;
mod mixtures;
mod openapi;
mod page;
mod people;
mod pii;
mod preview;
mod quarantine;
mod refused;
mod replace;
mod replay;
mod retry;
mod rules;
mod serve;
mod stages;
mod stop;
mod targets;
mod telecom;
mod tls;
mod trip;
mod types;
mod untold;
mod upgrade;
mod upsert;
mod wire;
mod workers;
mod wrong;
