//! Turns everything that was said and stored into evidence, and looks for canaries in it in every form.
//!
//! A canary is a word that no program would write by itself. It is looked for
//! in any case of its letters: as text, as hexadecimal digits, as base64
//! wherever it stands in a longer value, and as a list of byte numbers.

use std::process::Command;

use memchr::memmem;

use crate::hosts::Server;
use crate::postgres::{Database, shared_log};

/// Bytes that are shown before a canary that was found.
const SHOWN_BYTES: usize = 80;
/// Digits of a phone number without its country.
const PHONE_DIGITS: usize = 10;
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What was said and what is stored, with the place of each piece.
#[derive(Default)]
pub(super) struct Evidence {
    /// Texts in lower case.
    places: Vec<(String, Vec<u8>)>,
}

impl Evidence {
    /// Takes up a piece of evidence.
    pub(super) fn keep(&mut self, place: impl Into<String>, text: impl Into<Vec<u8>>) {
        let mut text = text.into();
        text.make_ascii_lowercase();
        self.places.push((place.into(), text));
    }

    /// Takes up what stays behind: the server's output, every table, PostgreSQL's log.
    pub(super) fn keep_remains(&mut self, server: &Server, database: &Database) {
        let said = server.process.stdout() + server.process.stderr().as_str();
        assert!(said.contains("TRACE"), "the server logs every step:\n{said}");
        self.keep("output of ferry-server", said);
        self.keep("rows of every table", database.dump());
        self.keep("pg_dump", pg_dump(database));
        self.keep("log of PostgreSQL", shared_log());
    }

    /// Places where a canary is found, each with its form and what stands before it.
    pub(super) fn find(&self, canary: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (form, needle) in forms(canary) {
            for (place, text) in &self.places {
                let Some(at) = memmem::find(text, &needle) else { continue };
                let end = (at + needle.len()).min(text.len());
                let shown = String::from_utf8_lossy(&text[at.saturating_sub(SHOWN_BYTES)..end]);
                found.push(format!("{canary} as {form} in {place}: …{shown}"));
            }
        }
        found
    }

    /// Checks that no canary is anywhere.
    #[track_caller]
    pub(super) fn assert_free_of(&self, canaries: &[&str]) {
        let found: Vec<String> = canaries.iter().flat_map(|canary| self.find(canary)).collect();
        assert!(found.is_empty(), "personal data was found:\n{}", found.join("\n"));
    }

    /// Checks that a word is in a place, so that it is known that the search can find it there.
    #[track_caller]
    pub(super) fn assert_holds(&self, place: &str, word: &str) {
        let is_there = |(name, text): &(String, Vec<u8>)| {
            name.contains(place)
                && memmem::find(text, word.to_ascii_lowercase().as_bytes()).is_some()
        };
        assert!(self.places.iter().any(is_there), "{word} is not in {place}");
    }
}

/// What `pg_dump` writes of the rows of all tables; the server says where the program is.
fn pg_dump(database: &Database) -> Vec<u8> {
    let folder = database.value("SELECT setting FROM pg_config WHERE name = 'BINDIR'");
    let program = std::path::Path::new(&folder).join("pg_dump");
    let output =
        Command::new(&program).args(["--data-only", "-d"]).arg(&database.url).output().unwrap();
    assert!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Everything that a canary may look like, in lower case.
fn forms(canary: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![("text", canary.to_owned())];
    if canary.len() == PHONE_DIGITS && canary.bytes().all(|byte| byte.is_ascii_digit()) {
        let (area, exchange, line) = (&canary[..3], &canary[3..6], &canary[6..]);
        forms.push(("text", format!("{area}) {exchange}-{line}")));
        for separator in ["-", ".", " "] {
            forms.push(("text", [exchange, line].join(separator)));
        }
    }
    for spelling in [canary.to_owned(), canary.to_lowercase(), canary.to_uppercase()] {
        let bytes = spelling.as_bytes();
        forms.push(("hexadecimal digits", ferry::hex::encode(bytes)));
        forms.push(("byte numbers", format!("{bytes:?}").trim_matches(['[', ']']).to_owned()));
        for bytes_before in 0..3 {
            forms.push(("base64", base64_within(bytes, bytes_before)));
        }
    }
    forms.sort();
    forms.dedup();
    forms.into_iter().map(|(form, text)| (form, text.to_lowercase().into_bytes())).collect()
}

/// The base64 digits (RFC 4648) that depend on nothing but `bytes`, if so many bytes stand before them.
fn base64_within(bytes: &[u8], bytes_before: usize) -> String {
    let mut value = vec![0; bytes_before];
    value.extend_from_slice(bytes);
    let first = (bytes_before * 8).div_ceil(6);
    let digit = |index: usize| {
        let (byte, bit) = (index * 6 / 8, index * 6 % 8);
        let next = value.get(byte + 1).copied().unwrap_or_default();
        let window = u16::from_be_bytes([value[byte], next]);
        char::from(BASE64[usize::from((window >> (10 - bit)) & 63)])
    };
    (first..value.len() * 8 / 6).map(digit).collect()
}

#[test]
fn a_search_finds_a_canary_in_every_form() {
    let texts = [
        "to kestrelq.7@example.org",
        "to KESTRELQ.7@EXAMPLE.ORG",
        "\\x6b65737472656c712e37",
        "6B65737472656C71",
        "[107, 101, 115, 116, 114, 101, 108, 113, 46]",
        // `Kestrelq.7@example.org` alone, behind `a`, and behind `ab`.
        "S2VzdHJlbHEuN0BleGFtcGxlLm9yZw==",
        "YUtlc3RyZWxxLjdAZXhhbXBsZS5vcmc=",
        "YWJLZXN0cmVscS43QGV4YW1wbGUub3Jn",
    ];
    for text in texts {
        let mut evidence = Evidence::default();
        evidence.keep("a text", text);
        assert!(!evidence.find("Kestrelq").is_empty(), "{text}");
        assert!(evidence.find("Quillfeather").is_empty(), "{text}");
    }
    for text in ["+12127364917", "(212) 736-4917", "736.4917", "32313237333634393137"] {
        let mut evidence = Evidence::default();
        evidence.keep("a text", text);
        assert!(!evidence.find("2127364917").is_empty(), "{text}");
    }
}
