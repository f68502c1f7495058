//! Turns the text of fields into typed columns, and typed values back into text, as PostgreSQL does both.
//!
//! The source host reads fields of files with it, the destination host texts
//! that it has cleaned: one parser, so that both take the same.

mod builder;
mod fields;
mod floats;
mod numbers;
mod numeric;
mod text;
mod times;

pub use builder::ColumnBuilder;
pub use fields::text as utf8;
pub use text::text_of;

pub(crate) use text::timestamp_text;
