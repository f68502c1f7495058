//! Keeps the memory of a host out of core files: it holds values of records and keys.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core files for this process and those that it starts.
///
/// A core file that was forbidden by a stricter limit stays forbidden, so an
/// error means nothing worse than before, and is only told.
pub fn forbid_core_files() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core files cannot be forbidden: a crash may write memory to disk");
    }
}
