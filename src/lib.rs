//! What both hosts share: the types that cross the wire, and how a host runs.
//!
//! This floor knows neither files nor databases: no CSV, no SQL.

pub mod batch;
pub mod calendar;
pub mod hex;
pub mod host;
pub mod position;
pub mod reject;
pub mod schema;
pub mod values;
pub mod wire;
