//! Turns the globs of a dataset into its files, and the name of a file into the file.
//!
//! Invariant: every file matches a glob, is not hidden, and lies below the root
//! once all symbolic links are resolved.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
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
    globs: GlobSet,
    walks: Vec<Walk>,
}

/// Where to look for the files of one glob.
#[derive(Debug)]
struct Walk {
    /// The glob's folders before its first wildcard.
    folder: PathBuf,
    depth_max: usize,
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
    pub(crate) fn open(&self) -> Result<OpenFile, RequestError> {
        OpenFile::open(&self.name, &self.path)
    }
}

impl FileSet {
    /// Compiles the globs, which are relative to `root`, a canonical path.
    pub(crate) fn new(root: &Path, patterns: &[String]) -> Result<Self, String> {
        let mut globs = GlobSetBuilder::new();
        let mut walks = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
            if !is_plain(pattern) {
                return Err(format!(
                    "\"{pattern}\" cannot be a pattern of files: write it relative to root, without \"..\" and without hidden files or folders"
                ));
            }
            let glob = GlobBuilder::new(pattern)
                .literal_separator(true)
                .build()
                .map_err(|error| error.to_string())?;
            globs.add(glob);
            walks.push(Walk::of(pattern));
        }
        let globs = globs.build().map_err(|error| error.to_string())?;
        Ok(Self { root: root.to_owned(), globs, walks })
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
        if is_plain(name) && self.globs.is_match(name) { self.locate(name) } else { Ok(None) }
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
                tracing::warn!(folder = %start.display(), "folder skipped: it lies outside root");
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
                Err(error) => match self.unreadable(error) {
                    None => continue,
                    Some(error) => return Err(error),
                },
            };
            if !entry.file_type().is_file() {
                continue;
            }
            let Some(name) = self.name_of(entry.path()) else {
                tracing::warn!(file = %entry.path().display(), "file skipped: its name is not UTF-8");
                continue;
            };
            if !self.globs.is_match(&name) || files.contains_key(&name) {
                continue;
            }
            if let Some(file) = self.locate(&name)? {
                files.insert(name, file);
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
        let lies_inside =
            |path: &Path| path.canonicalize().is_ok_and(|real| real.starts_with(&self.root));
        let is_inside = !entry.path_is_symlink() || lies_inside(entry.path());
        if !is_inside {
            tracing::warn!(file = %entry.path().display(), "link skipped: it leads out of root");
        }
        is_inside
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

    fn name_of(&self, path: &Path) -> Option<String> {
        let name = path.strip_prefix(&self.root).ok()?.to_str()?;
        Some(name.to_owned())
    }

    /// A file that vanished during the walk is no error; a folder that cannot be
    /// read is one, because its files would be missing without a trace.
    fn unreadable(&self, error: walkdir::Error) -> Option<RequestError> {
        let file = error.path().and_then(|path| self.name_of(path)).unwrap_or_default();
        let source = error
            .into_io_error()
            .unwrap_or_else(|| Error::other("its symbolic links form a circle"));
        (!is_absence(&source)).then_some(RequestError::FileUnreadable { file, source })
    }
}

impl Walk {
    fn of(pattern: &str) -> Self {
        let parts: Vec<&str> = pattern.split('/').collect();
        let is_literal = |part: &&&str| !part.contains(['*', '?', '[', '{', '\\']);
        let literal_count = parts[..parts.len() - 1].iter().take_while(is_literal).count();
        let is_deep = pattern.contains("**");
        Self {
            folder: parts[..literal_count].iter().collect(),
            depth_max: if is_deep { usize::MAX } else { parts.len() - literal_count },
        }
    }
}

/// Whether a name or pattern stays below the root and out of hidden folders.
fn is_plain(name: &str) -> bool {
    let is_plain_part = |part: &str| !part.is_empty() && !part.starts_with('.');
    !name.contains('\0') && name.split('/').all(is_plain_part)
}

fn is_absence(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    fn folder(files: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().expect("temporary folder");
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder is made");
            std::fs::write(path, "a\n").expect("file is written");
        }
        folder
    }

    fn file_set(root: &Path, patterns: &[&str]) -> FileSet {
        let root = root.canonicalize().expect("folder is there");
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        FileSet::new(&root, &patterns).expect("patterns are allowed")
    }

    fn names(files: &FileSet) -> Vec<String> {
        files.list().expect("files are listed").into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn globs_find_files_in_the_order_of_their_names() {
        let folder = folder(&["b.csv", "a.csv", "a.txt", "x/c.csv", "x/y/d.csv"]);
        let found = |patterns: &[&str]| names(&file_set(folder.path(), patterns));
        assert_eq!(found(&["*.csv"]), ["a.csv", "b.csv"]);
        assert_eq!(found(&["./b.csv", "*.csv"]), ["a.csv", "b.csv"]);
        assert_eq!(found(&["x/*.csv"]), ["x/c.csv"]);
        assert_eq!(found(&["**/*.csv"]), ["a.csv", "b.csv", "x/c.csv", "x/y/d.csv"]);
        assert_eq!(found(&["x/**/d.csv"]), ["x/y/d.csv"]);
        assert_eq!(found(&["{a,x/c}.csv"]), ["a.csv", "x/c.csv"]);
        assert!(found(&["none/*.csv"]).is_empty());
    }

    #[test]
    fn hidden_files_are_skipped() {
        let folder = folder(&["a.csv", ".b.csv", ".x/c.csv"]);
        let files = file_set(folder.path(), &["**/*.csv"]);
        assert_eq!(names(&files), ["a.csv"]);
        assert!(files.find(".b.csv").expect("no error").is_none());
        assert!(files.find(".x/c.csv").expect("no error").is_none());
    }

    #[test]
    fn links_stay_below_the_root() {
        let outside = folder(&["secret.csv", "deep/secret.csv"]);
        let folder = folder(&["a.csv"]);
        let root = folder.path();
        symlink(root.join("a.csv"), root.join("inside.csv")).expect("link is made");
        symlink(outside.path().join("secret.csv"), root.join("file.csv")).expect("link is made");
        symlink(outside.path().join("deep"), root.join("deep")).expect("link is made");
        symlink(root.join("gone"), root.join("gone.csv")).expect("link is made");

        let files = file_set(root, &["*.csv", "deep/*.csv", "**/*.csv"]);
        assert_eq!(names(&files), ["a.csv", "inside.csv"]);
        for name in ["file.csv", "deep/secret.csv", "gone.csv"] {
            assert!(files.find(name).expect("no error").is_none(), "{name}");
        }
    }

    #[test]
    fn a_name_that_is_no_file_of_the_dataset_finds_nothing() {
        let folder = folder(&["a.csv", "x/b.csv", "c.txt", "d.csv/e"]);
        let files = file_set(folder.path(), &["*.csv"]);
        assert!(files.find("a.csv").expect("no error").is_some());
        let absolute = folder.path().join("a.csv").display().to_string();
        for name in ["", "x/b.csv", "c.txt", "d.csv", "x/../a.csv", "./a.csv", "a.csv\0", &absolute]
        {
            assert!(files.find(name).expect("no error").is_none(), "{name}");
        }
    }

    #[test]
    fn patterns_that_leave_the_root_are_refused() {
        let folder = folder(&[]);
        for pattern in ["/etc/*", "../*.csv", "a/../*.csv", ".x/*.csv", "a//b", "", "a[.csv"] {
            assert!(FileSet::new(folder.path(), &[pattern.to_owned()]).is_err(), "{pattern}");
        }
    }
}
