//! Reads what stands around the records of a document, piece by piece: the way to a value, and the rest behind it.
//!
//! Invariants: all of it must be as JSON has it, but for the bytes of its
//! texts, which nobody looks at; no memory is taken for values that are passed
//! over; where they are nested deeper than the layout allows, the document is
//! broken; a name on the way to the value stands once in its object.

use std::io::Read;

use super::pointer::index_of;
use super::text::unescape;
use super::window::Window;
use super::{JsonError, Pointer};

/// Most bytes that a character of a name takes in the text: `\u` and four digits.
const ESCAPE_BYTES_MAX: usize = 6;

/// What a value lies in, and by which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Enclosing {
    Object(String),
    Array,
    /// An array, or an object with a number for a name.
    Either(String),
}

impl Enclosing {
    /// What a pointer goes through, as far as it tells.
    pub(super) fn of(pointer: &Pointer) -> Vec<Self> {
        let kind = |part: &String| match index_of(part) {
            Some(_) => Self::Either(part.clone()),
            None => Self::Object(part.clone()),
        };
        pointer.parts().iter().map(kind).collect()
    }
}

/// Moves from the beginning of a document to the value that a pointer names.
///
/// Returns what that lies in; `None` if it is not there.
pub(super) fn find_value<R: Read>(
    window: &mut Window<R>,
    pointer: &Pointer,
    depth_max: usize,
) -> Result<Option<Vec<Enclosing>>, JsonError> {
    let mut enclosing = Vec::new();
    for part in pointer.parts() {
        let depth_left = depth_max.saturating_sub(enclosing.len() + 1);
        let (kind, is_found) = match next_byte(window)? {
            b'{' => (Enclosing::Object(part.clone()), find_member(window, part, depth_left)?),
            b'[' => (Enclosing::Array, find_element(window, index_of(part), depth_left)?),
            byte if begins_value(byte) => return Ok(None),
            _ => return Err(broken(window)),
        };
        if !is_found {
            return Ok(None);
        }
        enclosing.push(kind);
    }
    if !begins_value(next_byte(window)?) {
        return Err(broken(window));
    }
    Ok(Some(enclosing))
}

/// Reads the rest of a document, from behind a value that lies in `enclosing`.
pub(super) fn finish<R: Read>(
    window: &mut Window<R>,
    enclosing: &[Enclosing],
    depth_max: usize,
) -> Result<(), JsonError> {
    for (outer, kind) in enclosing.iter().enumerate().rev() {
        close(window, kind, depth_max.saturating_sub(outer + 1))?;
    }
    window.skip_space(u64::MAX)?;
    if window.peek()?.is_some() { Err(broken(window)) } else { Ok(()) }
}

/// Passes over a value.
pub(super) fn skip_value<R: Read>(
    window: &mut Window<R>,
    depth_left: usize,
) -> Result<(), JsonError> {
    match next_byte(window)? {
        b'"' => skip_string(window, &mut Name::new(0)),
        b'-' | b'0'..=b'9' => skip_number(window),
        b't' => skip_word(window, b"true"),
        b'f' => skip_word(window, b"false"),
        b'n' => skip_word(window, b"null"),
        open @ (b'{' | b'[') => {
            let Some(depth_left) = depth_left.checked_sub(1) else {
                return Err(broken(window));
            };
            skip_nested(window, open, depth_left)
        }
        _ => Err(broken(window)),
    }
}

/// Says that something must not stand where the window stands.
pub(super) fn broken<R: Read>(window: &Window<R>) -> JsonError {
    JsonError::Broken { byte_offset: window.offset() }
}

fn begins_value(byte: u8) -> bool {
    matches!(byte, b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'{' | b'[')
}

/// The byte at which the window stands; there must be one.
fn byte_here<R: Read>(window: &mut Window<R>) -> Result<u8, JsonError> {
    let byte = window.peek()?;
    byte.ok_or_else(|| JsonError::EndsEarly { byte_offset: window.offset() })
}

/// The next byte that is no white space.
fn next_byte<R: Read>(window: &mut Window<R>) -> Result<u8, JsonError> {
    window.skip_space(u64::MAX)?;
    byte_here(window)
}

/// Moves behind a byte that must be next.
fn take<R: Read>(window: &mut Window<R>, expected: u8) -> Result<(), JsonError> {
    if next_byte(window)? != expected {
        return Err(broken(window));
    }
    window.advance(1);
    Ok(())
}

/// Moves behind the comma that follows a value; false if `close` stands there instead.
fn goes_on<R: Read>(window: &mut Window<R>, close: u8) -> Result<bool, JsonError> {
    let byte = next_byte(window)?;
    if byte == b',' {
        window.advance(1);
        return Ok(true);
    }
    if byte == close { Ok(false) } else { Err(broken(window)) }
}

/// Moves to the value of a member of the object at which the window stands.
fn find_member<R: Read>(
    window: &mut Window<R>,
    wanted: &str,
    depth_left: usize,
) -> Result<bool, JsonError> {
    window.advance(1);
    if next_byte(window)? == b'}' {
        return Ok(false);
    }
    loop {
        let mut name = Name::that_may_be(wanted);
        skip_name(window, &mut name)?;
        if name.is(wanted) {
            return Ok(true);
        }
        skip_value(window, depth_left)?;
        if !goes_on(window, b'}')? {
            return Ok(false);
        }
    }
}

/// Moves to an element of the array at which the window stands.
fn find_element<R: Read>(
    window: &mut Window<R>,
    wanted: Option<u64>,
    depth_left: usize,
) -> Result<bool, JsonError> {
    window.advance(1);
    if next_byte(window)? == b']' {
        return Ok(false);
    }
    let mut index = 0;
    while wanted != Some(index) {
        skip_value(window, depth_left)?;
        if !goes_on(window, b']')? {
            return Ok(false);
        }
        index += 1;
    }
    Ok(true)
}

/// Passes over an object or an array, which begins with `open`.
fn skip_nested<R: Read>(
    window: &mut Window<R>,
    open: u8,
    depth_left: usize,
) -> Result<(), JsonError> {
    let close = if open == b'{' { b'}' } else { b']' };
    window.advance(1);
    if next_byte(window)? == close {
        window.advance(1);
        return Ok(());
    }
    loop {
        if open == b'{' {
            skip_name(window, &mut Name::new(0))?;
        }
        skip_value(window, depth_left)?;
        if !goes_on(window, close)? {
            window.advance(1);
            return Ok(());
        }
    }
}

/// Reads an object or an array from behind one of its values to its end.
///
/// What stands in an object by the same name again would be left out without a word.
fn close<R: Read>(
    window: &mut Window<R>,
    kind: &Enclosing,
    depth_left: usize,
) -> Result<(), JsonError> {
    loop {
        match next_byte(window)? {
            b',' => window.advance(1),
            b'}' if *kind != Enclosing::Array => break,
            b']' if !matches!(kind, Enclosing::Object(_)) => break,
            _ => return Err(broken(window)),
        }
        let byte = next_byte(window)?;
        let byte_offset = window.offset();
        match kind {
            Enclosing::Object(found) => {
                let mut name = Name::that_may_be(found);
                skip_name(window, &mut name)?;
                if name.is(found) {
                    return Err(JsonError::Twice { byte_offset });
                }
            }
            Enclosing::Either(found) if byte == b'"' => {
                let mut name = Name::that_may_be(found);
                skip_string(window, &mut name)?;
                if next_byte(window)? != b':' {
                    // It was an element.
                    continue;
                }
                window.advance(1);
                if name.is(found) {
                    return Err(JsonError::Twice { byte_offset });
                }
            }
            Enclosing::Either(_) | Enclosing::Array => {}
        }
        skip_value(window, depth_left)?;
    }
    window.advance(1);
    Ok(())
}

/// Passes over the name of a member and the colon behind it.
fn skip_name<R: Read>(window: &mut Window<R>, name: &mut Name) -> Result<(), JsonError> {
    if next_byte(window)? != b'"' {
        return Err(broken(window));
    }
    skip_string(window, name)?;
    take(window, b':')
}

/// Passes over the string at which the window stands.
fn skip_string<R: Read>(window: &mut Window<R>, name: &mut Name) -> Result<(), JsonError> {
    window.advance(1);
    loop {
        let rest = window.rest();
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1F);
        let plain = rest.iter().position(is_special).unwrap_or(rest.len());
        name.push(&rest[..plain]);
        window.advance(plain);
        match byte_here(window)? {
            b'"' => {
                window.advance(1);
                return Ok(());
            }
            b'\\' => skip_escape(window, name)?,
            0..=0x1F => return Err(broken(window)),
            // More of it was read.
            _ => {}
        }
    }
}

fn skip_escape<R: Read>(window: &mut Window<R>, name: &mut Name) -> Result<(), JsonError> {
    window.advance(1);
    let byte = byte_here(window)?;
    if !matches!(byte, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u') {
        return Err(broken(window));
    }
    window.advance(1);
    name.push(&[b'\\', byte]);
    let digits = if byte == b'u' { 4 } else { 0 };
    for _ in 0..digits {
        let digit = byte_here(window)?;
        if !digit.is_ascii_hexdigit() {
            return Err(broken(window));
        }
        window.advance(1);
        name.push(&[digit]);
    }
    Ok(())
}

fn skip_word<R: Read>(window: &mut Window<R>, word: &[u8]) -> Result<(), JsonError> {
    for expected in word {
        if byte_here(window)? != *expected {
            return Err(broken(window));
        }
        window.advance(1);
    }
    Ok(())
}

fn skip_number<R: Read>(window: &mut Window<R>) -> Result<(), JsonError> {
    if window.peek()? == Some(b'-') {
        window.advance(1);
    }
    if byte_here(window)? == b'0' {
        window.advance(1);
    } else {
        skip_digits(window)?;
    }
    if window.peek()? == Some(b'.') {
        window.advance(1);
        skip_digits(window)?;
    }
    if matches!(window.peek()?, Some(b'e' | b'E')) {
        window.advance(1);
        if matches!(window.peek()?, Some(b'+' | b'-')) {
            window.advance(1);
        }
        skip_digits(window)?;
    }
    Ok(())
}

/// Passes over digits, at least one.
fn skip_digits<R: Read>(window: &mut Window<R>) -> Result<(), JsonError> {
    if !byte_here(window)?.is_ascii_digit() {
        return Err(broken(window));
    }
    while window.peek()?.is_some_and(|byte| byte.is_ascii_digit()) {
        window.advance(1);
    }
    Ok(())
}

/// The name of a member with its escapes, as far as it may be one that is wanted.
struct Name {
    raw: Vec<u8>,
    bytes_max: usize,
    /// Whether it was longer.
    is_cut: bool,
}

impl Name {
    /// An empty name; more than so many bytes of it are of no interest.
    fn new(bytes_max: usize) -> Self {
        Self { raw: Vec::new(), bytes_max, is_cut: false }
    }

    /// An empty name, of which enough is kept to tell whether it is this one.
    fn that_may_be(wanted: &str) -> Self {
        Self::new(wanted.len() * ESCAPE_BYTES_MAX)
    }

    fn push(&mut self, raw: &[u8]) {
        self.is_cut |= self.raw.len() + raw.len() > self.bytes_max;
        if !self.is_cut {
            self.raw.extend_from_slice(raw);
        }
    }

    fn is(&self, wanted: &str) -> bool {
        let mut room = Vec::new();
        !self.is_cut && unescape(&self.raw, &mut room) == Ok(wanted.as_bytes())
    }
}

#[cfg(test)]
mod tests;
