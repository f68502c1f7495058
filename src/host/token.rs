//! Bearer tokens: settings hold the SHA-256 of each, a request the token itself.
//!
//! Invariant: a token is compared as its digest, in constant time, and is kept nowhere.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::hex;

const DIGEST_BYTES: usize = 32;

/// SHA-256 of a token.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; DIGEST_BYTES]);

/// A text that is no SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sha256 must be the 64 hexadecimal digits that `printf %s TOKEN | sha256sum` prints")]
pub struct InvalidDigest;

impl TokenDigest {
    /// The digest of a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Whether both are of one token; the time tells nothing.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl FromStr for TokenDigest {
    type Err = InvalidDigest;

    fn from_str(digits: &str) -> Result<Self, InvalidDigest> {
        let bytes = hex::decode(digits).ok_or(InvalidDigest)?;
        Ok(Self(bytes.try_into().map_err(|_| InvalidDigest)?))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The token of an `Authorization` header; `None` if it speaks of something else.
#[must_use]
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Whose token it is; all are compared, so that the time tells nothing.
pub fn holder<'a, T>(known: &'a [(TokenDigest, T)], token: &str) -> Option<&'a T> {
    let digest = TokenDigest::of(token);
    let mut found = None;
    for (of_holder, holder) in known {
        if of_holder.matches(&digest) {
            found = Some(holder);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_what_sha256sum_prints() {
        let digits = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        let digest: TokenDigest = digits.parse().expect("64 digits");
        assert!(digest.matches(&TokenDigest::of("secret")));
        assert!(!digest.matches(&TokenDigest::of("Secret")));
        for text in ["", "2bb8", &digits[1..], &format!("{digits}00"), &"+1".repeat(32)] {
            assert!(text.parse::<TokenDigest>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_bearer_tokens_are_read() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        for header in ["abc", "Basic abc", "Bearer", ""] {
            assert_eq!(bearer(header), None, "{header}");
        }
    }

    #[test]
    fn a_token_has_one_holder() {
        let known = [(TokenDigest::of("one"), 1), (TokenDigest::of("two"), 2)];
        assert_eq!(holder(&known, "two"), Some(&2));
        assert_eq!(holder(&known, "tw"), None);
        assert_eq!(holder::<u8>(&[], "two"), None);
    }
}
