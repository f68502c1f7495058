//! Turns an example of `examples/` into a temporary folder with a source and a destination host.
//!
//! Invariant: the folder is removed when dropped, unless [`Folder::keep`] was called.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::DemoError;

const KEY_BYTES: usize = 32;

/// Settings of the two hosts.
pub(super) struct Hosts {
    /// `server.toml` of the source host.
    pub(super) server: String,
    /// `job.toml` of the destination host.
    pub(super) job: String,
}

/// The folder in which the whole demo takes place.
pub(super) struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Folder {
    /// Makes the folder with the settings of both hosts.
    pub(super) fn create(hosts: &Hosts) -> Result<Self, DemoError> {
        let temporary = std::env::temp_dir();
        let failed = |path: &Path, source| DemoError::Folder { path: path.to_owned(), source };
        let name = random_hex(4).map_err(|source| failed(&temporary, source))?;
        let path = temporary.join(format!("ferry-demo-{name}"));
        // For this user alone; the cluster opens the way for user `postgres` if it must.
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|source| failed(&path, source))?;
        let folder = Self { path, is_kept: false };
        folder.fill(hosts).map_err(|source| failed(&folder.path, source))?;
        Ok(folder)
    }

    /// Folder of the source host: `server.toml`, and its files if it has any.
    pub(super) fn source(&self) -> PathBuf {
        self.path.join("source")
    }

    /// Folder of the destination host: `job.toml` and the key of the pseudonyms.
    pub(super) fn destination(&self) -> PathBuf {
        self.path.join("destination")
    }

    /// Folder of the database.
    pub(super) fn postgres(&self) -> PathBuf {
        self.path.join("postgres")
    }

    /// Folder of the cache.
    pub(super) fn redis(&self) -> PathBuf {
        self.path.join("redis")
    }

    /// Leaves the folder where it is, and says where.
    pub(super) fn keep(mut self) -> PathBuf {
        self.is_kept = true;
        self.path.clone()
    }

    fn fill(&self, hosts: &Hosts) -> io::Result<()> {
        fs::create_dir(self.source())?;
        fs::write(self.source().join("server.toml"), &hosts.server)?;
        fs::create_dir(self.destination())?;
        fs::write(self.destination().join("job.toml"), &hosts.job)?;
        let mut key_file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.destination().join("pii.key"))?;
        writeln!(key_file, "{}", random_hex(KEY_BYTES)?)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "temporary folder stays behind");
        }
    }
}

/// So many random bytes, as two hexadecimal digits each.
pub(super) fn random_hex(bytes: usize) -> io::Result<String> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(ferry::hex::encode(&random))
}
