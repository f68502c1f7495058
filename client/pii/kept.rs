//! The key file and what lies beside it: the key that is to come, and those that were retired.
//!
//! Invariant: a file under one of these names is whole, readable by its owner
//! alone, and on the disk; what is being written has a name of its own.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{PiiError, with_ending};
use crate::error::ClientError;
use crate::key::{KeyError, PseudonymKey};

const OWNER_ONLY: u32 = 0o600;

/// Refuses a key file that is a link: its replacement would leave the linked file as it is.
pub(super) fn refuse_link(key_file: &Path) -> Result<(), PiiError> {
    let metadata = fs::symlink_metadata(key_file);
    if metadata.is_ok_and(|metadata| metadata.is_symlink()) {
        return Err(PiiError::LinkedKey { path: key_file.to_owned() });
    }
    Ok(())
}

/// Puts a copy of the key file where it is found by its identifier; returns where.
pub(super) fn keep(key_file: &Path, id: &str) -> Result<PathBuf, ClientError> {
    let path = with_ending(key_file, id);
    if path.exists() {
        if !holds(&path, id) {
            return Err(PiiError::OtherContent { path, id: id.to_owned() }.into());
        }
    } else {
        write(&path, &content(key_file)?, key_file)?;
    }
    Ok(path)
}

/// Reads a key that a rotation has kept.
pub(super) fn find(key_file: &Path, id: &str) -> Result<PseudonymKey, ClientError> {
    let path = with_ending(key_file, id);
    if !path.exists() {
        return Err(PiiError::MissingKey { id: id.to_owned(), path }.into());
    }
    let key = PseudonymKey::read(&path)?;
    if key.id() != id {
        return Err(PiiError::OtherContent { path, id: id.to_owned() }.into());
    }
    Ok(key)
}

/// Writes the content of a file as the key that is to come.
pub(super) fn stage_copy(key_file: &Path, from: &Path) -> Result<(), ClientError> {
    write(&staged(key_file), &content(from)?, key_file)?;
    Ok(())
}

/// Makes a key and writes it as the one that is to come.
pub(super) fn stage_new(key_file: &Path) -> Result<(), ClientError> {
    let key = PseudonymKey::generate()?;
    // With room for all of it: text that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(key.len() + 1));
    text.extend_from_slice(key.as_bytes());
    text.push(b'\n');
    write(&staged(key_file), &text, key_file)?;
    Ok(())
}

/// Whether the key that is to come is the one of that identifier.
pub(super) fn is_staged(key_file: &Path, id: &str) -> bool {
    holds(&staged(key_file), id)
}

/// Identifier of the key that is to come.
pub(super) fn staged_id(key_file: &Path) -> Result<String, KeyError> {
    Ok(PseudonymKey::read(&staged(key_file))?.id())
}

/// Puts the key that is to come in the place of the key file.
pub(super) fn replace(key_file: &Path) -> Result<(), PiiError> {
    let replaced = fs::rename(staged(key_file), key_file);
    replaced
        .and_then(|()| sync_folder(key_file))
        .map_err(|source| PiiError::Unwritable { path: key_file.to_owned(), source })
}

fn staged(key_file: &Path) -> PathBuf {
    with_ending(key_file, "new")
}

fn holds(path: &Path, id: &str) -> bool {
    PseudonymKey::read(path).is_ok_and(|key| key.id() == id)
}

fn content(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let unreadable = |source| KeyError::Unreadable { path: path.display().to_string(), source };
    fs::read(path).map(Zeroizing::new).map_err(unreadable)
}

/// Writes a file for the owner of the key file, whole or not at all.
fn write(path: &Path, content: &[u8], key_file: &Path) -> Result<(), PiiError> {
    let written = fs::metadata(key_file).and_then(|owner| write_whole(path, content, &owner));
    written.map_err(|source| PiiError::Unwritable { path: path.to_owned(), source })
}

fn write_whole(path: &Path, content: &[u8], owner: &Metadata) -> io::Result<()> {
    let part = with_ending(path, "part");
    // What an attempt left that did not come to its end.
    if let Err(error) = fs::remove_file(&part)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&part)?;
    if file.metadata()?.uid() != owner.uid() {
        // The administrator rotates a key that a service reads.
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    sync_folder(path)
}

/// Makes the names in the folder of a file durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    const OLD: &str = "0123456789abcdef0123456789abcdef\n";
    const OTHER: &str = "fedcba9876543210fedcba9876543210\n";

    /// A folder with a key file, its path, and the identifier of the key.
    fn key_file() -> (tempfile::TempDir, PathBuf, String) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("pii.key");
        fs::write(&path, OLD).expect("file is written");
        let id = PseudonymKey::read(&path).expect("a usable key").id();
        (folder, path, id)
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<String> =
            entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_old_key_is_kept_and_the_new_one_takes_its_place() {
        let (folder, path, id) = key_file();
        let kept = keep(&path, &id).expect("a writable folder");
        stage_new(&path).expect("a writable folder");
        let new = staged_id(&path).expect("a usable key");
        assert!(is_staged(&path, &new) && !is_staged(&path, &id));
        replace(&path).expect("a writable folder");

        assert_eq!(fs::read_to_string(&kept).expect("a text"), OLD);
        assert_eq!(find(&path, &id).expect("the kept key").id(), id);
        assert_eq!(PseudonymKey::read(&path).expect("a usable key").id(), new);
        let expected = ["pii.key".to_owned(), format!("pii.key.{id}")];
        assert_eq!(names(folder.path()), expected);
        for path in [&path, &kept] {
            let mode = fs::metadata(path).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, OWNER_ONLY, "{}", path.display());
        }
    }

    #[test]
    fn every_step_may_be_repeated() {
        let (folder, path, id) = key_file();
        let other = folder.path().join("other.key");
        fs::write(&other, OTHER).expect("file is written");
        fs::write(with_ending(&path, "new.part"), "half").expect("file is written");
        for _ in 0..2 {
            keep(&path, &id).expect("a writable folder");
            stage_copy(&path, &other).expect("a writable folder");
        }
        replace(&path).expect("a writable folder");
        assert_eq!(fs::read_to_string(&path).expect("a text"), OTHER);
    }

    #[test]
    fn another_content_under_the_name_of_a_key_is_left_alone() {
        let (_folder, path, id) = key_file();
        let kept = with_ending(&path, &id);
        fs::write(&kept, OTHER).expect("file is written");
        let error = keep(&path, &id).expect_err("not that key");
        assert!(error.to_string().contains("should hold key"), "{error}");
        assert!(find(&path, &id).is_err());
        assert_eq!(fs::read_to_string(&kept).expect("a text"), OTHER);
    }

    #[test]
    fn a_missing_key_is_named_with_its_place() {
        let (_folder, path, _) = key_file();
        let error = find(&path, "00ff00ff00ff00ff").expect_err("no such key").to_string();
        assert!(error.contains("pii.key.00ff00ff00ff00ff") && error.contains("--old-key-file"));
    }

    #[test]
    fn a_link_is_not_replaced() {
        let (folder, path, _) = key_file();
        let link = folder.path().join("link.key");
        symlink(&path, &link).expect("a link");
        assert!(refuse_link(&link).is_err());
        assert!(refuse_link(&path).is_ok());
    }
}
