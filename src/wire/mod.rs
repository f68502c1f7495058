//! What crosses the wire: the generated code and its conversions to the types of this crate.

pub mod codec;
pub mod convert;
pub mod generated;
pub mod rows;

/// Domain of every `google.rpc.ErrorInfo` that ferry sends.
pub const ERROR_DOMAIN: &str = "ferry";
/// Smallest batch that a client may ask for, in bytes of column data: many
/// smaller DATA frames make HTTP/2 close a connection that reads slowly.
pub const BATCH_BYTES_MIN: u64 = 64 * 1024;
/// Batch size where the client asks for none.
pub const BATCH_BYTES_DEFAULT: u64 = 1024 * 1024;
/// Largest batch that a client may ask for, in bytes of column data.
pub const BATCH_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most rows of one batch.
pub const BATCH_ROWS_MAX: usize = 8192;
/// Longest record that is read, in bytes: with the largest batch it stays
/// below [`MESSAGE_BYTES_MAX`].
pub const RECORD_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Largest message that either side takes, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Columns of the widest dataset: PostgreSQL's limit for a table.
pub const COLUMNS_MAX: usize = 1600;
