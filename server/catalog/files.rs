//! Turns the globs of a dataset into its files, and the name of a file into the file.
//!
//! Invariant: every file matches a glob, is not hidden, has a name that fits in
//! one line, and lies below the root once all symbolic links are resolved.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use walkdir::{DirEntry, WalkDir};

use crate::catalog::open_file::{OpenFile, Stamp};
use crate::error::RequestError;

/// Most files of one dataset.
const FILES_MAX: usize = 10_000;

/// The files below a root whose names match one of some globs.
#[derive(Debug)]
pub(crate) struct FileSet {
    /// Canonical path of the root.
    root: PathBuf,
    walks: Vec<Walk>,
}

/// One glob, and where to look for its files.
#[derive(Debug)]
struct Walk {
    glob: GlobMatcher,
    /// The glob's folders before its first wildcard.
    folder: PathBuf,
    /// Folders and the file below `folder`, at most.
    depth_max: usize,
    /// The same below the root.
    parts_max: usize,
}

/// A file of a dataset, as it stood when it was looked up.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    /// Path below the root, with `/` between its parts.
    pub(crate) name: String,
    /// Path without symbolic links.
    path: PathBuf,
    pub(crate) stamp: Stamp,
}

impl SourceFile {
    /// A page of the spool, at a path that the spool gave; `None` if it is gone.
    pub(super) fn of_page(name: &str, path: &Path) -> Result<Option<Self>, RequestError> {
        let (name, path) = (name.to_owned(), path.to_owned());
        match path.metadata() {
            Ok(metadata) => Ok(Some(Self { name, path, stamp: Stamp::of(&metadata) })),
            Err(error) if is_absence(&error) => Ok(None),
            Err(source) => Err(RequestError::FileUnreadable { file: name, source }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn open(&self) -> Result<OpenFile, RequestError> {
        OpenFile::open(&self.name, &self.path)
    }
}

impl FileSet {
    /// Compiles the globs, which are relative to `root`, a canonical path.
    pub(crate) fn new(root: &Path, patterns: &[String]) -> Result<Self, String> {
        let mut walks = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
            if !is_plain(pattern) {
                return Err(format!(
                    "{pattern:?} cannot be a pattern of files: write it relative to root, without \"..\", without hidden files or folders, and in one line"
                ));
            }
            walks.push(Walk::of(pattern)?);
        }
        Ok(Self { root: root.to_owned(), walks })
    }

    /// All files, ordered by name.
    pub(crate) fn list(&self) -> Result<Vec<SourceFile>, RequestError> {
        let mut files = BTreeMap::new();
        for walk in &self.walks {
            self.walk(walk, &mut files)?;
        }
        Ok(files.into_values().collect())
    }

    /// The file of this name, if it is one of the files.
    pub(crate) fn find(&self, name: &str) -> Result<Option<SourceFile>, RequestError> {
        if is_plain(name) && self.is_match(Path::new(name)) { self.locate(name) } else { Ok(None) }
    }

    fn is_match(&self, name: &Path) -> bool {
        self.walks.iter().any(|walk| walk.is_match(name))
    }

    fn walk(
        &self,
        walk: &Walk,
        files: &mut BTreeMap<String, SourceFile>,
    ) -> Result<(), RequestError> {
        let start = self.root.join(&walk.folder);
        match start.canonicalize() {
            Ok(real) if real.starts_with(&self.root) => {}
            Ok(_) => {
                tracing::warn!(folder = ?start, "folder skipped: it lies outside root");
                return Ok(());
            }
            Err(error) if is_absence(&error) => return Ok(()),
            Err(source) => {
                let file = walk.folder.display().to_string();
                return Err(RequestError::FileUnreadable { file, source });
            }
        }
        let entries = WalkDir::new(start)
            .follow_links(true)
            .max_depth(walk.depth_max)
            .into_iter()
            .filter_entry(|entry| entry.depth() == 0 || self.may_enter(entry));
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => match self.unreadable(walk, error) {
                    None => continue,
                    Some(error) => return Err(error),
                },
            };
            if !entry.file_type().is_file() || !self.is_match(self.below_root(entry.path())) {
                continue;
            }
            let Some(name) = self.name_of(entry.path()) else {
                tracing::warn!(
                    file = ?entry.path(),
                    "file skipped: its name is not UTF-8 or holds control characters, rename it"
                );
                continue;
            };
            if files.contains_key(name) {
                continue;
            }
            if let Some(file) = self.locate(name)? {
                files.insert(name.to_owned(), file);
            }
            if files.len() > FILES_MAX {
                return Err(RequestError::TooManyFiles { max: FILES_MAX });
            }
        }
        Ok(())
    }

    /// Whether a file or folder is neither hidden nor a link that leaves the root.
    fn may_enter(&self, entry: &DirEntry) -> bool {
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if is_hidden {
            return false;
        }
        !entry.path_is_symlink() || self.leads_inside(entry.path())
    }

    /// Whether a link ends below the root; says so if it does not.
    fn leads_inside(&self, link: &Path) -> bool {
        match link.canonicalize() {
            Ok(real) if real.starts_with(&self.root) => return true,
            Ok(_) => tracing::warn!(file = ?link, "link skipped: it leads out of root"),
            Err(error) if is_absence(&error) => {}
            Err(error) => {
                tracing::warn!(file = ?link, %error, "link skipped: it cannot be followed");
            }
        }
        false
    }

    /// Resolves the name of a file; `None` if it is gone, no file, or outside the root.
    fn locate(&self, name: &str) -> Result<Option<SourceFile>, RequestError> {
        let resolve = || -> std::io::Result<_> {
            let path = self.root.join(name).canonicalize()?;
            let metadata = path.metadata()?;
            Ok((path, metadata))
        };
        match resolve() {
            Ok((path, metadata)) if metadata.is_file() && path.starts_with(&self.root) => {
                let stamp = Stamp::of(&metadata);
                Ok(Some(SourceFile { name: name.to_owned(), path, stamp }))
            }
            Ok(_) => Ok(None),
            Err(error) if is_absence(&error) => Ok(None),
            Err(source) => Err(RequestError::FileUnreadable { file: name.to_owned(), source }),
        }
    }

    fn below_root<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// The name of a file; `None` if none can be sent or logged.
    fn name_of<'a>(&self, path: &'a Path) -> Option<&'a str> {
        self.below_root(path).to_str().filter(|name| is_plain(name))
    }

    /// What vanished during the walk is no error, nor is a link that leads
    /// nowhere or in a circle; a folder that cannot be read is one, because its
    /// files would be missing without a trace.
    fn unreadable(&self, walk: &Walk, error: walkdir::Error) -> Option<RequestError> {
        if let Some(link) = error.path() {
            let is_hidden =
                link.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if error.loop_ancestor().is_some() {
                tracing::warn!(file = ?link, "link skipped: it leads to a folder that it lies in");
                return None;
            }
            if link.is_symlink() && (is_hidden || !self.leads_inside(link)) {
                return None;
            }
        }
        let place = error.path().map_or(walk.folder.as_path(), |path| self.below_root(path));
        let file = if place == Path::new("") { Path::new(".") } else { place };
        let file = file.display().to_string().escape_debug().to_string();
        let source = error.into_io_error()?;
        (!is_absence(&source)).then_some(RequestError::FileUnreadable { file, source })
    }
}

impl Walk {
    fn of(pattern: &str) -> Result<Self, String> {
        let glob = GlobBuilder::new(pattern)
            .literal_separator(true)
            // So that `*.csv{,.gz}` means both.
            .empty_alternates(true)
            .build()
            .map_err(|error| error.to_string())?;
        let parts: Vec<&str> = pattern.split('/').collect();
        let is_literal = |part: &&&str| !part.contains(['*', '?', '[', '{', '\\']);
        let literal_count = parts[..parts.len() - 1].iter().take_while(is_literal).count();
        // Braces may hold a `/`, so that some names have fewer parts, but none has more.
        let parts_max = if pattern.contains("**") { usize::MAX } else { parts.len() };
        Ok(Self {
            glob: glob.compile_matcher(),
            folder: parts[..literal_count].iter().collect(),
            depth_max: parts_max.saturating_sub(literal_count),
            parts_max,
        })
    }

    /// A class such as `[!a]` would match a `/` too, and lead into folders that
    /// are not looked at.
    fn is_match(&self, name: &Path) -> bool {
        self.glob.is_match(name) && name.components().count() <= self.parts_max
    }
}

/// Whether a name or pattern stays below the root and out of hidden folders, and fits in one line.
fn is_plain(name: &str) -> bool {
    let is_plain_part = |part: &str| !part.is_empty() && !part.starts_with('.');
    let breaks_line = |char: char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}');
    !name.contains(breaks_line) && name.split('/').all(is_plain_part)
}

fn is_absence(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
