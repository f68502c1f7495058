//! Answers requests: who may ask, what is sent, what it looks like when it is refused.

mod access;
mod audit;
pub(crate) mod listen;
mod page;
mod plan;
mod status;
mod stream;
mod transfer;
