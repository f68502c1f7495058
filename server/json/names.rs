//! Turns the beginning of a content into the names of its columns and the place of its first record.
//!
//! Bounds: the first 1,000 records or 4 MiB are looked at; names beyond 1,600,
//! and those of more than 1,000 bytes, are left out, as are names that are empty
//! or hold a NUL. So are names that people have: a ledger remembers columns.

use std::collections::HashMap;
use std::io::Read;
use std::ops::RangeInclusive;

use ferry::values::utf8;
use ferry::wire::COLUMNS_MAX;

use super::records::{Record, open};
use super::text::{Members, is_valid, unescape};
use super::{Framing, JsonError, JsonHeader, JsonKind, JsonLayout, JsonName};

const RECORDS_MAX: u64 = 1000;
const BYTES_MAX: u64 = 4 * 1024 * 1024;
const NAME_BYTES_MAX: usize = 1000;
/// Digits of a telephone number behind its `+`, as E.164 has them.
const PHONE_DIGITS: RangeInclusive<usize> = 8..=15;
/// How annotations of `OData` go on behind their `@`: they tell about columns, not people.
const ANNOTATIONS: [&[u8]; 4] = [b"odata.", b"OData.", b"Org.OData.", b"Microsoft.Dynamics."];

/// Reads the names of the first records, from the beginning of a content.
///
/// `None` if there are no records yet: the content ends before the array of
/// them begins, has `null` in its place, or has no line. An object gives the
/// names of its members instead of its own, wherever it has members.
pub(crate) fn read_json_header<R: Read>(
    content: R,
    layout: &JsonLayout,
) -> Result<Option<JsonHeader>, JsonError> {
    let mut records = match open(content, layout) {
        Ok(Some((records, _))) => records,
        Ok(None) | Err(JsonError::EndsEarly { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let start = records.position();
    let mut names = Names::default();
    loop {
        let reached = records.position();
        if reached.row_number >= RECORDS_MAX || reached.byte_offset - start.byte_offset >= BYTES_MAX
        {
            break;
        }
        match records.next() {
            Ok(Some(record)) => names.take(&record, layout.depth_max),
            // Whoever cuts the content will tell.
            Ok(None) | Err(JsonError::EndsEarly { .. } | JsonError::Broken { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    if matches!(layout.framing, Framing::Lines) && records.position().row_number == 0 {
        return Ok(None);
    }
    Ok(Some(JsonHeader { names: names.into_names(), start }))
}

/// The names that were seen.
#[derive(Default)]
struct Names {
    seen: Vec<Seen>,
    index: HashMap<String, usize>,
    /// The name at hand.
    joined: Vec<u8>,
    /// Room for a key without its escapes.
    unescaped: Vec<u8>,
}

/// A name, and what was seen under it.
#[derive(Default)]
struct Seen {
    name: String,
    has_scalar: bool,
    has_array: bool,
    has_object: Object,
}

/// What objects a name has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Object {
    #[default]
    None,
    Empty,
    WithMembers,
}

impl Names {
    fn take(&mut self, record: &Record<'_>, depth_max: usize) {
        if let Some(text) = record.text
            && text.first() == Some(&b'{')
            && is_valid(text)
        {
            self.joined.clear();
            self.take_object(text, 0, depth_max);
        }
    }

    /// Takes the members of the object that begins at a place of a text.
    fn take_object(&mut self, text: &[u8], object_start: usize, depth_left: usize) {
        let prefix_bytes = self.joined.len();
        for member in Members::new(text, object_start) {
            self.joined.truncate(prefix_bytes);
            let Ok(key) = unescape(member.key, &mut self.unescaped) else {
                continue;
            };
            if looks_personal(key) {
                continue;
            }
            self.joined.extend_from_slice(key);
            let value = &text[member.value.clone()];
            let object = match value.first() {
                Some(b'{') if Members::new(value, 0).next().is_none() => Object::Empty,
                Some(b'{') => Object::WithMembers,
                _ => Object::None,
            };
            self.note(value, object);
            if object == Object::WithMembers && depth_left > 1 {
                self.joined.push(b'_');
                self.take_object(text, member.value.start, depth_left - 1);
            }
        }
    }

    /// Notes what the name at hand has for a value.
    fn note(&mut self, value: &[u8], object: Object) {
        let is_usable = !self.joined.is_empty() && self.joined.len() <= NAME_BYTES_MAX;
        let Some(name) = utf8(&self.joined).ok().filter(|_| is_usable) else {
            return;
        };
        let index = match self.index.get(name) {
            Some(index) => *index,
            None if self.seen.len() >= COLUMNS_MAX => return,
            None => {
                let index = self.seen.len();
                self.index.insert(name.to_owned(), index);
                self.seen.push(Seen { name: name.to_owned(), ..Seen::default() });
                index
            }
        };
        let seen = &mut self.seen[index];
        seen.has_object = seen.has_object.max(object);
        match value.first() {
            Some(b'[') => seen.has_array = true,
            Some(b'{' | b'n') => {}
            _ => seen.has_scalar = true,
        }
    }

    /// The names that are columns: one that only stands for the names inside of it is none.
    fn into_names(self) -> Vec<JsonName> {
        let is_column = |seen: &Seen| {
            seen.has_scalar || seen.has_array || seen.has_object != Object::WithMembers
        };
        let name = |seen: Seen| {
            let is_nested = seen.has_array || seen.has_object != Object::None;
            let kind = if is_nested { JsonKind::Nested } else { JsonKind::Scalar };
            JsonName { name: seen.name, kind }
        };
        self.seen.into_iter().filter(is_column).map(name).collect()
    }
}

/// Whether a key tells people apart rather than columns: a mailbox, or the number of a telephone.
fn looks_personal(key: &[u8]) -> bool {
    let mut parts = key.splitn(2, |byte| *byte == b'@');
    let is_mailbox =
        parts.next().is_some_and(|user| !user.is_empty()) && parts.next().is_some_and(is_host);
    let is_phone = key.strip_prefix(b"+").is_some_and(|digits| {
        PHONE_DIGITS.contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
    });
    is_mailbox || is_phone
}

/// Whether that may be the host of a mailbox: `example.org`, and no version such as `4.17.21`.
fn is_host(text: &[u8]) -> bool {
    let mut labels = text.rsplitn(2, |byte| *byte == b'.');
    let is_version = labels.next().and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit);
    let has_dot = labels.next().is_some();
    let is_annotation = ANNOTATIONS.iter().any(|namespace| text.starts_with(namespace));
    has_dot && !is_version && !is_annotation
}

#[cfg(test)]
mod tests;
