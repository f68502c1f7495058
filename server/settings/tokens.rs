//! Turns `[[token]]` into who may read what.

use std::collections::BTreeSet;

use ferry::host::token::TokenDigest;
use serde::Deserialize;

use crate::catalog::dataset::DatasetName;

/// Someone who may ask.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) name: String,
    pub(crate) sha256: TokenDigest,
    /// What they may read; `None` for everything.
    pub(crate) datasets: Option<BTreeSet<DatasetName>>,
}

/// `[[token]]` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawToken {
    name: String,
    sha256: String,
    datasets: Option<Vec<String>>,
}

/// Checks the tokens against the datasets that are declared.
pub(super) fn validate_tokens(
    raw: Vec<RawToken>,
    datasets: &BTreeSet<&DatasetName>,
) -> Result<Vec<Token>, String> {
    let mut names = BTreeSet::new();
    let mut tokens: Vec<Token> = Vec::with_capacity(raw.len());
    for raw in raw {
        let RawToken { name, sha256, datasets: readable } = raw;
        if name.is_empty() || !names.insert(name.clone()) {
            return Err(format!("token name \"{name}\" is empty or written twice: rename it"));
        }
        let sha256 =
            sha256.parse::<TokenDigest>().map_err(|error| format!("token \"{name}\": {error}"))?;
        if sha256.matches(&TokenDigest::of("")) {
            return Err(format!(
                "token \"{name}\": sha256 is that of an empty text, which anybody could send: make a token first"
            ));
        }
        if let Some(same) = tokens.iter().find(|token| token.sha256.matches(&sha256)) {
            let first = &same.name;
            return Err(format!(
                "tokens \"{first}\" and \"{name}\" have one sha256, and nobody could tell which is meant: make another token"
            ));
        }
        let readable = match readable {
            None => None,
            Some(readable) => Some(validate_readable(&name, &readable, datasets)?),
        };
        tokens.push(Token { name, sha256, datasets: readable });
    }
    Ok(tokens)
}

fn validate_readable(
    token: &str,
    readable: &[String],
    datasets: &BTreeSet<&DatasetName>,
) -> Result<BTreeSet<DatasetName>, String> {
    let mut names = BTreeSet::new();
    for name in readable {
        let is_declared = |declared: &&&DatasetName| declared.as_str() == name.as_str();
        let Some(declared) = datasets.iter().find(is_declared) else {
            return Err(format!(
                "token \"{token}\" names dataset \"{name}\", which is not declared: correct or remove it"
            ));
        };
        names.insert((*declared).clone());
    }
    Ok(names)
}
