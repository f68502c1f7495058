//! Answers requests: who may ask, what is sent, what it looks like when it is refused.

mod accept;
mod access;
mod allowance;
mod audit;
mod connection;
pub(crate) mod listen;
mod page;
mod plan;
mod status;
mod stream;
mod transfer;
