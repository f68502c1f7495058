//! Writes loadable batches to the target: its catalogue, its DDL, COPY bytes, one transaction.

pub(crate) mod catalogue;
pub(crate) mod commit;
pub(crate) mod copy;
pub(crate) mod ddl;
mod numeric;
