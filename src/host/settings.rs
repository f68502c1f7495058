//! Reads a TOML file into a struct, and the value types that settings are made of.
//!
//! Secrets stand in settings only as `${VARIABLE}` or as the path of a file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// Names closer than this, from 0 to 1, are offered as a correction.
const SIMILARITY_MIN: f64 = 0.7;

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// Path as given.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be; the text shows line and column.
    #[error("{path} is not valid: {message}")]
    Invalid {
        /// Path as given.
        path: String,
        /// What is wrong and where.
        message: String,
    },
    /// A `${VARIABLE}` that is not set.
    #[error(
        "environment variable {name} is not set, but {setting} names it: set it, or write the value to a file"
    )]
    MissingVariable {
        /// Name of the variable.
        name: String,
        /// Setting that names it.
        setting: String,
    },
}

/// Reads a TOML file; an unknown key is refused with the nearest known one.
pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, SettingsError> {
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| SettingsError::Unreadable { path: shown(), source })?;
    toml::from_str(&text)
        .map_err(|error| SettingsError::Invalid { path: shown(), message: explain(&error, &text) })
}

/// What is wrong and where; the line itself is not shown, because it may hold a secret.
fn explain(error: &toml::de::Error, text: &str) -> String {
    let place = error.span().and_then(|span| text.get(..span.start)).map(|before| {
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|char| *char != '\n').count() + 1;
        format!("line {line}, column {column}: ")
    });
    let message = format!("{}{}", place.unwrap_or_default(), error.message());
    match nearest_key(error.message()) {
        Some(key) => format!("{message}: did you mean `{key}`?"),
        None => message,
    }
}

/// Reads "unknown field `a`, expected one of `b`, `c`" for the most similar word.
fn nearest_key(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field ")?;
    let mut words = rest.split('`').skip(1).step_by(2);
    let unknown = words.next()?;
    nearest(unknown, words).map(str::to_owned)
}

/// The candidate most like `word`, if one is like it at all.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let similarity = |candidate: &str| strsim::jaro_winkler(word, candidate);
    candidates
        .into_iter()
        .filter(|candidate| similarity(candidate) >= SIMILARITY_MIN)
        .max_by(|one, other| similarity(one).total_cmp(&similarity(other)))
}

/// Replaces each `${VARIABLE}` by its value in the environment.
pub fn expand(text: &str, setting: &str) -> Result<Secret, SettingsError> {
    let mut expanded = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        let value = std::env::var(name).map_err(|_| SettingsError::MissingVariable {
            name: name.to_owned(),
            setting: setting.to_owned(),
        })?;
        expanded.push_str(before);
        expanded.push_str(&value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(Secret(expanded))
}

/// Reads a secret from a file, without the line end after it.
pub fn read_secret(path: &Path) -> Result<Secret, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SettingsError::Unreadable { path: path.display().to_string(), source })?;
    let text = Zeroizing::new(text);
    Ok(Secret(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned())))
}

/// A path, relative to the folder of the file that names it.
#[must_use]
pub fn beside(settings_file: &Path, path: &Path) -> PathBuf {
    settings_file.parent().unwrap_or(Path::new("")).join(path)
}

/// A text that is never printed and is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text as a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A number of bytes, written such as `"32MiB"`, `"64 kB"` or `"4096"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const SIZE_UNITS: [(&str, u64); 9] = [
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem =
            || format!("\"{text}\" is not a size: write a number and a unit, such as \"32MiB\"");
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| problem())?;
        let unit = unit.trim().to_ascii_lowercase();
        let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(problem)?;
        number.checked_mul(*factor).map(Self).ok_or_else(problem)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
        match UNITS.iter().find(|(factor, _)| self.0 >= *factor) {
            Some((factor, unit)) => {
                let tenths = self.0 / (factor / 10);
                write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
            }
            None => write!(f, "{} B", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A span of time, written such as `"30s"` or `"2m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text).map(Self).map_err(|_| {
            format!("\"{text}\" is not a duration: write a number and a unit, such as \"30s\"")
        })
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        let size = |text: &str| text.parse::<ByteSize>().ok().map(|size| size.0);
        assert_eq!(size("32MiB"), Some(32 << 20));
        assert_eq!(size("64 kB"), Some(64_000));
        assert_eq!(size("17"), Some(17));
        assert_eq!(size("MiB"), None);
        assert_eq!(size("99999999999GiB"), None);
    }

    #[test]
    fn a_mistyped_key_gets_the_nearest_one() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Example {
            #[allow(dead_code)]
            columns: Option<Vec<String>>,
            #[allow(dead_code)]
            dataset: Option<String>,
        }
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("job.toml");
        std::fs::write(&path, "colums = []\n").expect("file is written");
        let error = read_toml::<Example>(&path).expect_err("an unknown key is refused");
        assert!(error.to_string().ends_with("did you mean `columns`?"), "{error}");
    }

    #[test]
    fn a_line_with_a_secret_is_not_shown() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("job.toml");
        std::fs::write(&path, "a = 1\nurl = \"hunter2\" x\n").expect("file is written");
        let error = read_toml::<toml::Table>(&path).expect_err("it is not TOML").to_string();
        assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let error = expand("${FERRY_NO_SUCH_VARIABLE}", "database.url").expect_err("not set");
        assert!(error.to_string().contains("FERRY_NO_SUCH_VARIABLE"));
        assert_eq!(expand("a${b", "x").expect("no variable").expose(), "a${b");
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".into())), "***");
    }
}
