//! Writes loadable batches to the targets: their catalogue, their DDL, COPY bytes, one transaction.

mod careful;
pub(crate) mod catalogue;
pub(crate) mod commit;
pub(crate) mod copy;
pub(crate) mod ddl;
mod intake;
mod isolate;
pub(crate) mod keys;
mod merge;
mod numeric;
pub(crate) mod replace;
mod send;
mod shape;
mod staged;
mod swift;
pub(crate) mod table;
mod taken;
