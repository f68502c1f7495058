//! Certificates and keys in PEM files.

use std::path::Path;

/// What a PEM file is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PemContent {
    /// Certificates, of a host or of authorities.
    Certificates,
    /// The private key of a certificate.
    PrivateKey,
}

/// A PEM file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// Path as configured.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{path} is not a PEM file: it has no line that begins with -----BEGIN")]
    NotPem {
        /// Path as configured.
        path: String,
    },
    /// The file holds another thing of that form.
    #[error("{path} holds no {wanted}: were certificate and key swapped?")]
    NotThat {
        /// Path as configured.
        path: String,
        /// What it is read for.
        wanted: &'static str,
    },
    /// The key is of no use without a password, and nobody is there to type it.
    #[error("the key in {path} is encrypted: write it without a password, as openssl pkey does")]
    Encrypted {
        /// Path as configured.
        path: String,
    },
}

impl PemContent {
    /// Whether a line begins such a thing; keys of several kinds have names of their own.
    fn begins_with(self, line: &[u8]) -> bool {
        match self {
            Self::Certificates => line.starts_with(b"-----BEGIN CERTIFICATE-----"),
            Self::PrivateKey => line.trim_ascii_end().ends_with(b"PRIVATE KEY-----"),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Certificates => "certificate",
            Self::PrivateKey => "private key",
        }
    }
}

/// Reads a PEM file.
pub fn read(path: &Path, wanted: PemContent) -> Result<Vec<u8>, PemError> {
    let shown = || path.display().to_string();
    let bytes =
        std::fs::read(path).map_err(|source| PemError::Unreadable { path: shown(), source })?;
    let lines = bytes.split(|byte| *byte == b'\n');
    let mut beginnings = lines.filter(|line| line.starts_with(b"-----BEGIN")).peekable();
    if beginnings.peek().is_none() {
        return Err(PemError::NotPem { path: shown() });
    }
    let Some(beginning) = beginnings.find(|line| wanted.begins_with(line)) else {
        return Err(PemError::NotThat { path: shown(), wanted: wanted.word() });
    };
    if beginning.starts_with(b"-----BEGIN ENCRYPTED") {
        return Err(PemError::Encrypted { path: shown() });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_from_a_certificate() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("server.pem");
        let read = |content: &str, wanted| {
            std::fs::write(&path, content).expect("it is written");
            super::read(&path, wanted).map_err(|error| error.to_string())
        };
        let certificate = "Subject: x\n-----BEGIN CERTIFICATE-----\nAA==\n";
        let key = "-----BEGIN EC PRIVATE KEY-----\r\nAA==\r\n";
        assert!(read(certificate, PemContent::Certificates).is_ok());
        assert!(read(key, PemContent::PrivateKey).is_ok());
        assert!(read(&[key, certificate].concat(), PemContent::Certificates).is_ok());
        let error = read(key, PemContent::Certificates).expect_err("a key is no certificate");
        assert!(error.ends_with("holds no certificate: were certificate and key swapped?"));
        let error = read(certificate, PemContent::PrivateKey).expect_err("nor the reverse");
        assert!(error.contains("holds no private key"), "{error}");
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n";
        let error = read(encrypted, PemContent::PrivateKey).expect_err("nobody types a password");
        assert!(error.contains("is encrypted"), "{error}");
        let error = read("id,name\n", PemContent::Certificates).expect_err("it is no PEM file");
        assert!(error.contains("is not a PEM file"), "{error}");
    }
}
