//! Turns `[source]` into where the records come from.

use std::path::PathBuf;

use ferry::host::settings::{Secret, expand, read_secret};

use super::raw::RawSource;
use super::{JobError, refuse_repeats, required};

/// Where the records come from.
#[derive(Debug)]
pub(crate) struct SourceSettings {
    /// Address of the source host.
    pub(crate) url: String,
    /// Name of the dataset there.
    pub(crate) dataset: String,
    /// Columns wanted; empty for all.
    pub(crate) columns: Vec<String>,
    /// Bearer token.
    pub(crate) token: Option<Secret>,
    /// Certificates that are trusted instead of the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// Client certificate and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

/// Reads where the records come from, and the token.
pub(super) fn source_settings(raw: RawSource) -> Result<SourceSettings, JobError> {
    let url = required(raw.url, "source.url", "--source")?;
    if url.contains('@') {
        let text = "source.url must not hold a password: use source.token_file";
        return Err(JobError::Invalid(text.to_owned()));
    }
    let token = match (raw.token, raw.token_file) {
        (Some(_), Some(_)) => {
            let text = "source.token and source.token_file exclude each other: keep one";
            return Err(JobError::Invalid(text.to_owned()));
        }
        (Some(token), None) if !token.contains("${") => {
            let text = "source.token must name a variable such as \"${FERRY_TOKEN}\": a secret does not belong in a job file";
            return Err(JobError::Invalid(text.to_owned()));
        }
        (Some(token), None) => Some(expand(&token, "source.token")?),
        (None, Some(path)) => Some(read_secret(&path)?),
        (None, None) => None,
    };
    let identity = match (raw.cert_file, raw.key_file) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            let text = "source.cert_file and source.key_file belong together: set both or none";
            return Err(JobError::Invalid(text.to_owned()));
        }
    };
    refuse_repeats("source.columns", raw.columns.iter())?;
    Ok(SourceSettings {
        url,
        dataset: required(raw.dataset, "source.dataset", "--dataset")?,
        columns: raw.columns,
        token,
        ca_file: raw.ca_file,
        identity,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_refused(keys: &str, hint: &str) {
        let text = format!("url = 'http://127.0.0.1:7443'\ndataset = 'customers'\n{keys}");
        let raw: RawSource = toml::from_str(&text).expect("well-formed TOML");
        let error = source_settings(raw).expect_err("refused").to_string();
        assert!(error.contains(hint), "{error}");
    }

    #[test]
    fn secrets_do_not_stand_in_the_file() {
        assert_refused("token = 'hunter2'", "source.token must name a variable");
        assert_refused("token = '${A}'\ntoken_file = 'b'", "exclude each other");
        let url = Some("http://me:hunter2@host".to_owned());
        let raw = RawSource { url, ..RawSource::default() };
        let error = source_settings(raw).expect_err("refused").to_string();
        assert!(error.contains("must not hold a password"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn halves_and_repeats_are_refused() {
        assert_refused("cert_file = 'a'", "belong together");
        assert_refused("key_file = 'a'", "belong together");
        assert_refused("columns = ['a', 'a']", "source.columns names \"a\" twice");
    }

    #[test]
    fn what_is_missing_is_named_with_its_flag() {
        let url = Some("http://127.0.0.1:7443".to_owned());
        let raw = RawSource { url, ..RawSource::default() };
        let error = source_settings(raw).expect_err("no dataset").to_string();
        assert!(error.contains("source.dataset") && error.contains("--dataset"), "{error}");
        let error = source_settings(RawSource::default()).expect_err("no address").to_string();
        assert!(error.contains("source.url") && error.contains("--source"), "{error}");
    }
}
