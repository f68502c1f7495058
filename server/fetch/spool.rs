//! The folder in which fetched pages lie until they are loaded.
//!
//! Invariants: a page is there whole or not at all; its name is made here, of
//! its number and the hash of its content; nothing but pages is ever removed.
//! Bounds: `max_bytes` and 50,000 pages, beyond which the oldest are removed,
//! and `max_age`. What was fetched within the last hour stays, since it may
//! still be read: so much may lie there beside the bound.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::{self, DirBuilder, DirEntry, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use ferry::hex;

use super::FetchError;
use super::retry::random;

/// Pages that were fetched so short a time ago are not removed.
const KEPT: Duration = Duration::from_hours(1);
/// Most pages of all datasets together.
const PAGES_MAX: usize = 50_000;
/// Before the name of a dataset in that of its folder: a dataset may be called "..".
const FOLDER_PREFIX: &str = "dataset.";
/// Before the name of a file that is still written.
const UNFINISHED_PREFIX: &str = ".unfinished-";
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Where pages lie, and for how long.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    pub(super) bytes_max: u64,
    age_max: Duration,
    /// When pages were fetched that had been there before.
    fetched_again: Mutex<HashMap<PathBuf, SystemTime>>,
    /// Tells files apart that are written at the same time.
    unfinished: AtomicU64,
}

/// What a page is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    Json,
    Ndjson,
}

impl Extension {
    fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
        }
    }
}

/// A page in the spool, as it was found.
struct Found {
    path: PathBuf,
    size_bytes: u64,
    fetched: SystemTime,
}

impl Spool {
    /// A spool whose folder is made when the first page is written.
    pub(crate) fn new(folder: PathBuf, bytes_max: u64, age_max: Duration) -> Self {
        Self {
            folder,
            bytes_max,
            age_max,
            fetched_again: Mutex::default(),
            unfinished: AtomicU64::new(0),
        }
    }

    /// Writes a page, unless it is there already.
    pub(super) fn keep(
        &self,
        dataset: &str,
        name: &str,
        body: &[u8],
        now: SystemTime,
    ) -> Result<PathBuf, FetchError> {
        let folder = self.folder_of(dataset);
        let path = folder.join(name);
        if holds(&path, body) {
            self.lock_fetched_again().insert(path.clone(), now);
            return Ok(path);
        }
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        // In a container every process has the same id: one that was killed may have left a file.
        let (process, chance) = (std::process::id(), random());
        let unfinished =
            folder.join(format!("{UNFINISHED_PREFIX}{process}-{number}-{chance:016x}"));
        let written = make_folder(&folder)
            .and_then(|()| write(&unfinished, body))
            .and_then(|()| fs::rename(&unfinished, &path));
        match written {
            Ok(()) => Ok(path),
            Err(source) => {
                // If even this fails, it is removed with the old pages.
                fs::remove_file(&unfinished).ok();
                Err(FetchError::Spool { action: "written", source })
            }
        }
    }

    /// The pages of a dataset, ordered by name.
    pub(super) fn pages(&self, dataset: &str) -> Result<Vec<PathBuf>, FetchError> {
        let found = pages_in(&self.folder_of(dataset))
            .map_err(|source| FetchError::Spool { action: "read", source })?;
        let mut paths: Vec<PathBuf> = found.into_iter().map(|page| page.path).collect();
        paths.sort();
        Ok(paths)
    }

    /// The page of this name, if it is there.
    pub(super) fn find(&self, dataset: &str, name: &str) -> Option<PathBuf> {
        if !is_page_name(name) {
            return None;
        }
        let path = self.folder_of(dataset).join(name);
        let found = fs::symlink_metadata(&path).ok()?;
        found.is_file().then_some(path)
    }

    /// Removes what is too old, and the oldest of what is too much.
    pub(super) fn prune(&self, now: SystemTime) {
        let mut pages = match self.pages_of_all() {
            Ok(pages) => pages,
            Err(error) => {
                tracing::warn!(%error, "spool cannot be read, nothing is removed from it");
                return;
            }
        };
        let is_recent = |moment: SystemTime| age(moment, now) < KEPT;
        let mut fetched_again = self.lock_fetched_again();
        fetched_again.retain(|_, moment| is_recent(*moment));
        pages.sort_by_key(|page| page.fetched);
        let mut bytes: u64 = pages.iter().map(|page| page.size_bytes).sum();
        let mut count = pages.len();
        for page in pages {
            let is_too_much = bytes > self.bytes_max || count > PAGES_MAX;
            let is_due = is_too_much || age(page.fetched, now) > self.age_max;
            let is_kept = is_recent(page.fetched) || fetched_again.contains_key(&page.path);
            if is_kept || !is_due {
                continue;
            }
            match fs::remove_file(&page.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!(%error, "page cannot be removed from the spool");
                }
                _ => {
                    bytes = bytes.saturating_sub(page.size_bytes);
                    count -= 1;
                }
            }
        }
    }

    fn pages_of_all(&self) -> io::Result<Vec<Found>> {
        let mut pages = Vec::new();
        for entry in entries(&self.folder)? {
            let is_of_dataset = name_of(&entry).is_some_and(|name| name.starts_with(FOLDER_PREFIX));
            if is_of_dataset && entry.file_type()?.is_dir() {
                pages.extend(pages_in(&entry.path())?);
            }
        }
        Ok(pages)
    }

    fn folder_of(&self, dataset: &str) -> PathBuf {
        self.folder.join(format!("{FOLDER_PREFIX}{dataset}"))
    }

    fn lock_fetched_again(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, SystemTime>> {
        self.fetched_again.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Name of a page by its number and the XXH3-128 of its content.
pub(super) fn page_name(number: u32, hash: u128, extension: Extension) -> String {
    let hash = hex::encode(&hash.to_be_bytes());
    format!("{}-{hash}.{}", failed_page_name(number), extension.as_str())
}

/// Name of a page that has no content.
pub(crate) fn failed_page_name(number: u32) -> String {
    format!("page-{number:06}")
}

/// Whether a name has the form of one that [`page_name`] makes.
fn is_page_name(name: &str) -> bool {
    let parts = name.strip_prefix("page-").and_then(|rest| {
        let (rest, extension) = rest.split_once('.')?;
        let (number, hash) = rest.split_once('-')?;
        Some((number, hash, extension))
    });
    let Some((number, hash, extension)) = parts else {
        return false;
    };
    let is_lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    number.len() == 6
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && hash.len() == 32
        && hash.bytes().all(is_lower_hex)
        && matches!(extension, "json" | "ndjson")
}

/// The pages of a folder; with it, files that were never finished are cleared away.
fn pages_in(folder: &Path) -> io::Result<Vec<Found>> {
    let mut pages = Vec::new();
    for entry in entries(folder)? {
        let Some(name) = name_of(&entry) else { continue };
        let is_unfinished = name.starts_with(UNFINISHED_PREFIX);
        if !(is_unfinished || is_page_name(&name)) {
            continue;
        }
        // Not followed if it is a link; gone if somebody else removed it.
        let Ok(metadata) = entry.metadata() else { continue };
        if !metadata.is_file() {
            continue;
        }
        let (path, size_bytes) = (entry.path(), metadata.len());
        let fetched = metadata.modified()?;
        if is_unfinished {
            if age(fetched, SystemTime::now()) > KEPT {
                fs::remove_file(&path).ok();
            }
        } else {
            pages.push(Found { path, size_bytes, fetched });
        }
    }
    Ok(pages)
}

/// What is in a folder; nothing if it is not there yet.
fn entries(folder: &Path) -> io::Result<Vec<DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn name_of(entry: &DirEntry) -> Option<String> {
    entry.file_name().into_string().ok()
}

fn age(moment: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(moment).unwrap_or_default()
}

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)
}

/// Whether a page is there, letter by letter: others may have written to the folder.
fn holds(path: &Path, body: &[u8]) -> bool {
    let may_hold = fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_file() && found.len() == body.len() as u64);
    may_hold && File::open(path).and_then(|file| is_same(file, body)).unwrap_or(false)
}

/// Whether a file has this content; not much of it is in memory at a time.
fn is_same(mut file: File, body: &[u8]) -> io::Result<bool> {
    let mut left = body;
    let mut piece = [0; 8 * 1024];
    loop {
        let bytes = file.read(&mut piece)?;
        if bytes == 0 {
            return Ok(left.is_empty());
        }
        match left.strip_prefix(&piece[..bytes]) {
            Some(rest) => left = rest,
            None => return Ok(false),
        }
    }
}

/// Writes a file that outlives a loss of power: its name promises its content.
fn write(path: &Path, body: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.write_all(body)?;
    file.sync_data()
}
