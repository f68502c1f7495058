//! Turns values on standard input into their pseudonyms, a line each, so that a person can be looked up.
//!
//! Needs the job file and the key; neither the source nor the database.

use std::io::{self, BufRead, IsTerminal as _};
use std::path::PathBuf;

use ferry::hex;

use super::value::{Lines, cleaned};
use super::{PiiError, hashed_column};
use crate::error::ClientError;
use crate::job::{self, CleanRule, JobError};
use crate::key::{DomainHash, PseudonymKey};
use crate::output;

/// Whose pseudonyms are asked for.
pub(crate) struct TokenOptions {
    /// Job file.
    pub(crate) job: PathBuf,
    /// Column of the source that the values belong to.
    pub(crate) column: String,
    /// Key to use instead of the job's.
    pub(crate) key_file: Option<PathBuf>,
}

/// Prints the pseudonym of each line of standard input.
pub(crate) fn token(options: &TokenOptions) -> Result<(), ClientError> {
    let rules = job::read_rules(&options.job)?;
    let (rule, domain) = hashed_column(&rules.columns, &options.column)?;
    let key_file = options.key_file.as_deref().or(rules.pii_key_file.as_deref());
    let key = PseudonymKey::read(key_file.ok_or(JobError::NO_KEY)?)?;
    let input = io::stdin().lock();
    if input.is_terminal() {
        output::note("write a value a line; Ctrl-D after the last");
    }
    each_pseudonym(input, &rule.clean, &key.domain(domain), output::line)?;
    Ok(())
}

/// Answers each line of the input with its pseudonym in hexadecimal digits.
fn each_pseudonym(
    input: impl BufRead,
    rules: &[CleanRule],
    hash: &DomainHash,
    mut answer: impl FnMut(String),
) -> Result<(), PiiError> {
    let mut lines = Lines::new(input);
    while let Some(line) = lines.read()? {
        let value = cleaned(rules, line)?;
        answer(hex::encode(&hash.pseudonym(value.as_bytes())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PseudonymKey {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("pii.key");
        std::fs::write(&path, "0123456789abcdef0123456789abcdef\n").expect("file is written");
        PseudonymKey::read(&path).expect("a usable key")
    }

    #[test]
    fn each_line_is_answered_as_the_load_would_hash_it() {
        let hash = key().domain("person");
        let rules = [CleanRule::Trim, CleanRule::Lowercase];
        let mut answers = Vec::new();
        let input: &[u8] = b" Ann@X.example\r\nbob@x.example\n";
        each_pseudonym(input, &rules, &hash, |answer| answers.push(answer)).expect("two values");
        let expected: [&[u8]; 2] = [b"ann@x.example", b"bob@x.example"];
        assert_eq!(answers, expected.map(|value| hex::encode(&hash.pseudonym(value))));
    }

    #[test]
    fn an_empty_value_is_refused_after_those_before_it_were_answered() {
        let mut answers = 0;
        let input: &[u8] = b"ann\nbob\n\nhunter2\n";
        let outcome = each_pseudonym(input, &[], &key().domain("person"), |_| answers += 1);
        let error = outcome.expect_err("the third line is empty");
        assert_eq!(error.to_string(), "line 3: an empty value has no pseudonym");
        assert_eq!(answers, 2);
    }
}
