//! Writes loadable batches to the targets: their catalogue, their DDL, COPY bytes, one transaction.

pub(crate) mod catalogue;
pub(crate) mod commit;
pub(crate) mod copy;
pub(crate) mod ddl;
mod numeric;
mod send;
