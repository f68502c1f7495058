//! Turns rows and keys into batches of Redis commands, each an entry whole with its end of life.
//!
//! Invariant: what writes an entry and what ends it are in one MULTI … EXEC.

use std::borrow::Cow;
use std::collections::HashMap;

use redis::Pipeline;

use super::{CachedRow, Moment, field_bytes, is_cacheable, key};
use crate::names::TableName;

/// Most keys in one batch of removals.
pub(super) const KEYS_MAX: usize = 500;
/// Most rows in one batch of writes.
const ROWS_MAX: usize = 100;
/// A batch of writes ends with the row that reaches so many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// Larger rows are left to the database.
const ENTRY_BYTES_MAX: usize = 256 << 10;
/// So long an entry that was removed cannot be put back: whoever read the row
/// before must have given up until then.
const BARRED_MILLIS: u64 = 15_000;
/// Field with the names of the columns that are NULL; no column has this name,
/// and no name has the byte between two of them.
const NULLS: &str = "";
const BETWEEN_NULLS: &str = "\0";

/// What becomes of entries that somebody is about to put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Barring {
    /// They are refused for a while: they may be of a row that is gone.
    ForAWhile,
    /// Those are refused whose rows may have been read before this moment.
    Before(Moment),
}

/// Fields of an entry: values by column, and which columns are NULL; none of a row without values.
pub(super) fn to_fields<'a>(
    values: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> Vec<(&'a str, Cow<'a, str>)> {
    let (mut fields, mut nulls) = (Vec::new(), Vec::new());
    for (name, value) in values {
        match value {
            Some(value) => fields.push((name, Cow::Borrowed(value))),
            None => nulls.push(name),
        }
    }
    if !fields.is_empty() && !nulls.is_empty() {
        fields.push((NULLS, nulls.join(BETWEEN_NULLS).into()));
    }
    fields
}

/// Values by column, NULL as none; a column that the entry does not know is left out.
pub(super) fn from_fields(mut fields: HashMap<String, String>) -> HashMap<String, Option<String>> {
    let nulls = fields.remove(NULLS).unwrap_or_default();
    let nulls = nulls.split(BETWEEN_NULLS).filter(|name| !name.is_empty());
    let nulls: Vec<_> = nulls.map(|name| (name.to_owned(), None)).collect();
    let values = fields.into_iter().map(|(name, value)| (name, Some(value)));
    values.chain(nulls).collect()
}

/// Whether an entry of so many bytes is cached.
pub(super) fn is_small(bytes: usize) -> bool {
    bytes <= ENTRY_BYTES_MAX
}

/// Whether a row is written; if not, what is there of it is removed.
pub(super) fn is_written(row: &CachedRow) -> bool {
    is_cacheable(&row.key) && is_small(bytes(row))
}

/// About how many bytes a row takes.
pub(super) fn bytes(row: &CachedRow) -> usize {
    let fields = row.columns.iter().zip(&row.values);
    fields.map(|(name, value)| field_bytes(name, value.as_deref())).sum()
}

/// Cuts rows into batches.
pub(super) fn of_rows(rows: &[CachedRow]) -> impl Iterator<Item = &[CachedRow]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (mut length, mut sum) = (0, 0);
        while length < rest.len() && length < ROWS_MAX && sum < BATCH_BYTES {
            sum += bytes(&rest[length]);
            length += 1;
        }
        let (batch, left) = rest.split_at(length);
        rest = left;
        Some(batch)
    })
}

/// Commands that write a batch, each row over what is there of it; all end at
/// `end`, in milliseconds since 1970.
pub(super) fn writes(job: &str, table: &TableName, rows: &[CachedRow], end: u64) -> Pipeline {
    let mut commands = redis::pipe();
    commands.atomic();
    for row in rows {
        let entry = key::entry(job, table, &row.key);
        commands.cmd("DEL").arg(&entry).ignore();
        let values = row.columns.iter().zip(&row.values);
        let fields = to_fields(values.map(|(name, value)| (name.as_str(), value.as_deref())));
        if !is_written(row) || fields.is_empty() {
            continue;
        }
        commands.cmd("HSET").arg(&entry);
        for (name, value) in &fields {
            commands.arg(*name).arg(&**value);
        }
        commands.ignore();
        commands.cmd("PEXPIREAT").arg(&entry).arg(end).ignore();
    }
    commands
}

/// Commands that remove the entries of a batch of keys.
pub(super) fn removals(
    job: &str,
    table: &TableName,
    keys: &[Vec<String>],
    barring: Barring,
) -> Pipeline {
    let mut commands = redis::pipe();
    commands.atomic();
    match barring {
        Barring::ForAWhile => {
            for key in keys {
                push_bar(&mut commands, &key::gone(job, table, key), "");
            }
        }
        Barring::Before(moment) => {
            let mark = key::evicted(job, table);
            push_bar(&mut commands, &mark, &moment.micros().to_string());
        }
    }
    push_unlink(&mut commands, job, table, keys);
    commands
}

/// Appends the command that removes the entries of keys; it needs no memory.
pub(super) fn push_unlink(
    commands: &mut Pipeline,
    job: &str,
    table: &TableName,
    keys: &[Vec<String>],
) {
    let entries: Vec<String> = keys.iter().map(|key| key::entry(job, table, key)).collect();
    commands.cmd("UNLINK").arg(&entries).ignore();
}

/// Appends the command that sets a mark.
pub(super) fn push_bar(commands: &mut Pipeline, mark: &str, value: &str) {
    commands.cmd("SET").arg(mark).arg(value).arg("PX").arg(BARRED_MILLIS).ignore();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn row(key: &str, values: &[Option<&str>]) -> CachedRow {
        let columns: Arc<[String]> = ["uid".to_owned(), "name".to_owned()].into();
        let values = values.iter().map(|value| value.map(str::to_owned)).collect();
        CachedRow { key: vec![key.to_owned()], columns, values }
    }

    fn table() -> TableName {
        "public.users".parse().expect("a table name")
    }

    /// The words of all commands, as they are sent.
    fn words(commands: &Pipeline) -> Vec<String> {
        let packed = String::from_utf8(commands.get_packed_pipeline()).expect("UTF-8");
        let lines = packed.split("\r\n").map(str::to_owned);
        lines.filter(|line| !line.starts_with(['*', '$'])).collect::<Vec<_>>()
    }

    #[test]
    fn an_entry_is_written_whole_with_its_end() {
        let rows = [row("1", &[Some("1"), None])];
        let sent = words(&writes("p", &table(), &rows, 1_700_000_120_000)).join(" ");
        let entry = "ferry:p:public.users:1";
        let expected = format!(
            "MULTI DEL {entry} HSET {entry} uid 1  name PEXPIREAT {entry} 1700000120000 EXEC "
        );
        assert_eq!(sent, expected);
    }

    #[test]
    fn null_is_told_apart_from_a_column_that_the_entry_does_not_know() {
        let values = [("uid", Some("1")), ("name", None), ("note", Some("")), ("Zip", None)];
        let fields = to_fields(values.into_iter());
        let stored = fields.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned()));
        let read = from_fields(stored.collect());
        for (name, value) in values {
            assert_eq!(read.get(name), Some(&value.map(str::to_owned)), "{name}");
        }
        assert_eq!(read.len(), 4);
        assert_eq!(from_fields(HashMap::new()), HashMap::new());
        assert!(to_fields([("uid", None)].into_iter()).is_empty());
    }

    #[test]
    fn what_is_too_large_is_removed_instead() {
        let long = "x".repeat(ENTRY_BYTES_MAX);
        let large = row("1", &[Some("1"), Some(&long)]);
        assert!(!is_written(&large));
        let sent = words(&writes("p", &table(), &[large], 1)).join(" ");
        assert_eq!(sent, "MULTI DEL ferry:p:public.users:1 EXEC ");
        let long_key = CachedRow { key: vec!["k".repeat(5000)], ..row("1", &[Some("1"), None]) };
        assert!(!is_written(&long_key));
    }

    #[test]
    fn batches_end_with_their_rows_or_bytes() {
        let small = vec![row("1", &[Some("1"), None]); 250];
        let lengths: Vec<usize> = of_rows(&small).map(<[CachedRow]>::len).collect();
        assert_eq!(lengths, [100, 100, 50]);
        let large = vec![row("1", &[Some("1"), Some(&"x".repeat(600 << 10))]); 5];
        let lengths: Vec<usize> = of_rows(&large).map(<[CachedRow]>::len).collect();
        assert_eq!(lengths, [2, 2, 1]);
        assert_eq!(of_rows(&[]).count(), 0);
    }

    #[test]
    fn what_is_removed_is_barred_if_it_may_be_gone() {
        let keys = [vec!["1".to_owned()], vec!["2".to_owned()]];
        let before = Barring::Before(Moment::of((7, 1)));
        let sent = words(&removals("p", &table(), &keys, before)).join(" ");
        let unlink = "UNLINK ferry:p:public.users:1 ferry:p:public.users:2 EXEC ";
        let mark = "SET ferry.evicted:p:public.users 7000001 PX 15000";
        assert_eq!(sent, format!("MULTI {mark} {unlink}"));
        let sent = words(&removals("p", &table(), &keys, Barring::ForAWhile)).join(" ");
        let mark = |key: u8| format!("SET ferry.gone:p:public.users:{key}  PX 15000 ");
        assert_eq!(sent, format!("MULTI {}{}{unlink}", mark(1), mark(2)));
    }
}
