//! Turns the text of fields into typed columns, and typed values back into text, as PostgreSQL does both.
//!
//! The source host reads fields of files with it, the destination host texts
//! that it has cleaned: one parser, so that both take the same.

mod builder;
mod bytes;
mod directives;
mod encoded;
mod fields;
mod floats;
mod format;
mod number_words;
mod numbers;
mod numeric;
mod pattern;
#[cfg(test)]
mod tests;
mod text;
mod times;
mod words;
mod zones;

pub use builder::ColumnBuilder;
pub use fields::text as utf8;
pub use format::{FieldFormat, FormatWords, Percent};
pub use text::text_of;

pub(crate) use text::timestamp_text;
