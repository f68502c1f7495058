//! Certificates and keys in PEM files.

use std::path::Path;

/// A PEM file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// Path as configured.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{path} is not a PEM file: it has no line that begins with -----BEGIN")]
    NotPem {
        /// Path as configured.
        path: String,
    },
}

/// Reads a PEM file.
pub fn read(path: &Path) -> Result<Vec<u8>, PemError> {
    let shown = || path.display().to_string();
    let bytes =
        std::fs::read(path).map_err(|source| PemError::Unreadable { path: shown(), source })?;
    let has_begin = bytes.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"-----BEGIN"));
    if has_begin { Ok(bytes) } else { Err(PemError::NotPem { path: shown() }) }
}
