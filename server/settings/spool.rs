//! Turns `[spool]` into the folder that fetched pages lie in.
//!
//! Bounds: 1 MiB to 1 TiB, and one hour to ten years.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ferry::host::settings::{ByteSize, Span};
use serde::Deserialize;

use crate::fetch::Spool;

const FOLDER_DEFAULT: &str = ".ferry-spool";
const BYTES_DEFAULT: ByteSize = ByteSize(1 << 30);
const BYTES_MIN: u64 = 1 << 20;
const BYTES_MAX: u64 = 1 << 40;
const HOUR: Duration = Duration::from_hours(1);
const AGE_DEFAULT: Duration = Duration::from_hours(30 * 24);
const AGE_MAX: Duration = Duration::from_hours(10 * 366 * 24);

/// `[spool]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSpool {
    folder: Option<PathBuf>,
    max_bytes: Option<ByteSize>,
    max_age: Option<Span>,
}

/// Checks where pages are to lie; nothing is made there before the first fetch.
///
/// `root` is a canonical path, and the folder is relative to it.
pub(super) fn spool(raw: RawSpool, root: &Path) -> Result<Arc<Spool>, String> {
    let ByteSize(bytes_max) = raw.max_bytes.unwrap_or(BYTES_DEFAULT);
    if !(BYTES_MIN..=BYTES_MAX).contains(&bytes_max) {
        return Err(format!("spool.max_bytes is {bytes_max} bytes: write \"1MiB\" to \"1024GiB\""));
    }
    let age_max = raw.max_age.map_or(AGE_DEFAULT, |Span(age)| age);
    if !(HOUR..=AGE_MAX).contains(&age_max) {
        return Err("spool.max_age: write \"1h\" to \"3660d\"".to_owned());
    }
    let path = raw.folder.unwrap_or_else(|| PathBuf::from(FOLDER_DEFAULT));
    Ok(Arc::new(Spool::new(folder(&path, root)?, bytes_max, age_max)))
}

/// The folder, which no pattern of files may reach into: its pages are files of other datasets.
fn folder(path: &Path, root: &Path) -> Result<PathBuf, String> {
    let shown = path.display();
    if path.as_os_str().is_empty() || path.components().any(|part| part == Component::ParentDir) {
        return Err(format!(
            "spool.folder = \"{shown}\": write a folder without \"..\", such as \"{FOLDER_DEFAULT}\""
        ));
    }
    let folder = root.join(path);
    let Ok(below_root) = folder.strip_prefix(root) else {
        return Ok(folder);
    };
    let is_hidden = |part: Component<'_>| matches!(part, Component::Normal(name) if name.as_encoded_bytes().starts_with(b"."));
    if below_root.components().any(is_hidden) {
        Ok(folder)
    } else {
        Err(format!(
            "spool.folder = \"{shown}\" is where patterns of files may find its pages: write a name that begins with a dot, such as \"{FOLDER_DEFAULT}\", or a folder outside root"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let raw: RawSpool = toml::from_str(text).expect("well-formed TOML");
        spool(raw, Path::new("/srv/data")).map(|spool| format!("{spool:?}"))
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let spool = read("").expect("it is valid");
        assert!(spool.contains("\"/srv/data/.ferry-spool\""), "{spool}");
        assert!(spool.contains("1073741824") && spool.contains("2592000s"), "{spool}");
    }

    #[test]
    fn everything_can_be_said() {
        let spool = read("folder = '/var/spool/ferry'\nmax_bytes = '2MiB'\nmax_age = '2h'");
        let spool = spool.expect("it is valid");
        assert!(spool.contains("\"/var/spool/ferry\""), "{spool}");
        assert!(spool.contains("2097152") && spool.contains("7200s"), "{spool}");
    }

    #[test]
    fn a_folder_below_root_is_hidden() {
        for folder in [".pages", "./.pages", "a/.pages/b", "/srv/data/.pages", "/srv/database"] {
            assert!(read(&format!("folder = '{folder}'")).is_ok(), "{folder}");
        }
        for folder in ["pages", "./pages", "/srv/data", "/srv/data/pages", "."] {
            let refusal = read(&format!("folder = '{folder}'")).expect_err("it is refused");
            assert!(refusal.contains("begins with a dot"), "{refusal}");
        }
        for folder in ["", "../pages", ".a/../b"] {
            let refusal = read(&format!("folder = '{folder}'")).expect_err("it is refused");
            assert!(refusal.contains("without \"..\""), "{refusal}");
        }
    }

    #[test]
    fn bounds_are_told() {
        for (text, expected) in [
            ("max_bytes = '1'", "\"1MiB\" to"),
            ("max_bytes = '2000GiB'", "\"1MiB\" to"),
            ("max_age = '59m'", "\"1h\" to"),
            ("max_age = '20years'", "\"1h\" to"),
        ] {
            let refusal = read(text).expect_err("it is refused");
            assert!(refusal.contains(expected), "{refusal}");
        }
        assert!(toml::from_str::<RawSpool>("foldr = 'x'").is_err());
    }
}
