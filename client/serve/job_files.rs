//! Turns `jobs/*.toml` into the files that it means, in the order of their names.
//!
//! Invariant: a `*` or `?` stands in the last part of the path alone, and means something.

use std::path::{Path, PathBuf};

/// Files that one pattern may mean.
const FILES_MAX: usize = 256;

/// The files that a path with `*` and `?` in its last part means; at least one.
pub(super) fn job_files(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let shown = pattern.display();
    let name = pattern.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !name.contains(['*', '?']) {
        return Ok(vec![pattern.to_owned()]);
    }
    let folder = match pattern.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let entries = std::fs::read_dir(folder).map_err(|error| format!("jobs: {shown}: {error}"))?;
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| format!("jobs: {shown}: {error}"))?;
        if entry.file_name().to_str().is_some_and(|file| matches(name, file)) {
            files.push(entry.path());
        }
        if files.len() > FILES_MAX {
            return Err(format!("jobs: {shown} means more than {FILES_MAX} files"));
        }
    }
    if files.is_empty() {
        return Err(format!("jobs: no file matches {shown}"));
    }
    files.sort();
    Ok(files)
}

/// Whether a name is what the pattern says: `*` is any text, `?` one character.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    // Where the last star stands, and how far its text reaches: only that one is tried anew.
    let mut star: Option<(usize, usize)> = None;
    let (mut at, mut read) = (0, 0);
    while read < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(char) if *char == '?' || *char == name[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((star_at, reaches)) = star else {
                    return false;
                };
                star = Some((star_at, reaches + 1));
                at = star_at + 1;
                read = reaches + 1;
            }
        }
    }
    pattern[at..].iter().all(|char| *char == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, name) in [
            ("*.toml", "a.toml"),
            ("*.toml", ".toml"),
            ("a*b*c", "aXbYbZc"),
            ("?.toml", "ü.toml"),
            ("job", "job"),
            ("**", ""),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.toml", "a.toml~"), ("?.toml", "ab.toml"), ("a*b", "a"), ("job", "jobs")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_means_files_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for name in ["b.toml", "a.toml", "a.csv"] {
            std::fs::write(folder.path().join(name), "").expect("file is written");
        }
        let files = job_files(&folder.path().join("*.toml")).expect("two files");
        assert_eq!(files, [folder.path().join("a.toml"), folder.path().join("b.toml")]);
        assert!(job_files(&folder.path().join("*.xml")).is_err());
        let plain = folder.path().join("none.toml");
        assert_eq!(job_files(&plain), Ok(vec![plain]));
    }
}
