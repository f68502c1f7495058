//! Names of entries in Redis: `ferry:{job}:{schema.table}:{key}`, and what stands beside them.
//!
//! Invariant: two rows never share a name, whatever their keys hold.

use std::fmt::Write as _;

use crate::names::TableName;

/// What begins the name of an entry.
const ENTRY: &str = "ferry";
/// What begins the name of a mark that bars an entry from being put back.
const GONE: &str = "ferry.gone";
/// What begins the name of the mark that tells when entries of a table were removed whose rows are there.
const EVICTED: &str = "ferry.evicted";
/// Schema of a table whose name has none.
const SCHEMA_DEFAULT: &str = "public";

/// Name of the entry of a row.
pub(super) fn entry(job: &str, table: &TableName, key: &[String]) -> String {
    named(ENTRY, job, table, key)
}

/// Name of the mark that the entry of a row was removed just now.
pub(super) fn gone(job: &str, table: &TableName, key: &[String]) -> String {
    named(GONE, job, table, key)
}

/// Name of the mark that all entries of a table were removed just now.
pub(super) fn table_gone(job: &str, table: &TableName) -> String {
    let mut name = String::from(GONE);
    push_table(&mut name, job, table);
    name
}

/// Name of the mark that tells when entries of a table were removed that rows may be put back to.
pub(super) fn evicted(job: &str, table: &TableName) -> String {
    let mut name = String::from(EVICTED);
    push_table(&mut name, job, table);
    name
}

/// Pattern of all entries of a table, as `SCAN … MATCH` reads it.
pub(super) fn pattern(job: &str, table: &TableName) -> String {
    let mut name = String::from(ENTRY);
    push_table(&mut name, job, table);
    let mut pattern = String::with_capacity(name.len() + 2);
    for char in name.chars() {
        if matches!(char, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    pattern.push_str(":*");
    pattern
}

fn named(prefix: &str, job: &str, table: &TableName, key: &[String]) -> String {
    let mut name = String::from(prefix);
    push_table(&mut name, job, table);
    name.push(':');
    let special: &[u8] = if key.len() > 1 { b",:%" } else { b":%" };
    for (index, part) in key.iter().enumerate() {
        if index > 0 {
            name.push(',');
        }
        push_escaped(&mut name, part, special);
    }
    name
}

fn push_table(name: &mut String, job: &str, table: &TableName) {
    name.push(':');
    push_escaped(name, job, b":%");
    name.push(':');
    // A dot may be part of a name, too.
    push_escaped(name, table.schema.as_deref().unwrap_or(SCHEMA_DEFAULT), b".:%");
    name.push('.');
    push_escaped(name, &table.name, b".:%");
}

/// Appends a text with `special` bytes, spaces and control bytes as `%` and two digits.
fn push_escaped(name: &mut String, text: &str, special: &[u8]) {
    for char in text.chars() {
        let byte = u8::try_from(char).ok().filter(u8::is_ascii);
        match byte {
            Some(byte) if byte <= b' ' || byte == 0x7f || special.contains(&byte) => {
                // Writing to a string cannot fail.
                let _ = write!(name, "%{byte:02X}");
            }
            _ => name.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> TableName {
        text.parse().expect("a table name")
    }

    fn name(job: &str, name: &str, key: &[&str]) -> String {
        let key: Vec<String> = key.iter().map(|part| (*part).to_owned()).collect();
        entry(job, &table(name), &key)
    }

    #[test]
    fn an_entry_is_named_by_job_table_and_key() {
        assert_eq!(name("people", "public.users", &["7"]), "ferry:people:public.users:7");
        assert_eq!(name("people", "users", &["7"]), "ferry:people:public.users:7");
        assert_eq!(name("a:b", "\"S.x\".\"t%\"", &["ü"]), "ferry:a%3Ab:S%2Ex.t%25:ü");
        let composite = name("p", "users", &["2026-01-31 10:00:00", "a,b"]);
        assert_eq!(composite, "ferry:p:public.users:2026-01-31%2010%3A00%3A00,a%2Cb");
        assert_eq!(name("p", "users", &["a,b\u{7f}\n"]), "ferry:p:public.users:a,b%7F%0A");
    }

    #[test]
    fn no_two_keys_share_a_name() {
        assert_ne!(name("p", "t", &["a,b", "c"]), name("p", "t", &["a", "b,c"]));
        assert_ne!(name("p", "t", &["a%2Cb", "c"]), name("p", "t", &["a,b", "c"]));
        assert_ne!(name("p", "t", &["", "a"]), name("p", "t", &["a", ""]));
        assert_ne!(name("p:q", "t", &["a"]), name("p", "\"q\".t", &["a"]));
        assert_ne!(name("p", "\"a.b\".c", &["1"]), name("p", "a.\"b.c\"", &["1"]));
    }

    #[test]
    fn a_mark_is_no_entry() {
        let key = ["7".to_owned()];
        assert_eq!(gone("p", &table("users"), &key), "ferry.gone:p:public.users:7");
        assert_eq!(table_gone("p", &table("users")), "ferry.gone:p:public.users");
        assert_eq!(evicted("p", &table("users")), "ferry.evicted:p:public.users");
    }

    #[test]
    fn a_pattern_means_its_table_and_no_other() {
        assert_eq!(pattern("people", &table("users")), "ferry:people:public.users:*");
        let odd = pattern("a*b?[c]\\", &table("\"x*\""));
        assert_eq!(odd, "ferry:a\\*b\\?\\[c\\]\\\\:public.x\\*:*");
    }
}
