//! Finds the bytes that structure a text, 64 at a time: delimiters, quotes, escapes and line ends.
//!
//! The way of simdjson's first stage (Langdale, Lemire, "Parsing Gigabytes of
//! JSON per Second"), in plain loops that the compiler turns into vector
//! instructions: compare a block with each byte, gather the hits in a bit mask,
//! walk through its bits.

use super::dialect::{Dialect, Terminator};

/// Bytes of a block: one bit each in a mask.
const BLOCK_BYTES: usize = 64;
/// Bytes that are looked for at most.
const NEEDLES: usize = 5;

/// Walks through the special bytes of a text.
#[derive(Debug)]
pub(super) struct Specials {
    /// What is looked for; the first one fills the places that are not needed.
    needles: [u8; NEEDLES],
    /// Where the block at hand begins, a multiple of its length.
    base: usize,
    /// Specials of the block that are still to come.
    mask: u64,
    /// All specials of the block, if it is whole and the text has not changed.
    block: Option<u64>,
}

impl Specials {
    /// Looks for what structures a text of this dialect.
    pub(super) fn new(dialect: &Dialect) -> Self {
        let delimiter = dialect.delimiter.as_bytes()[0];
        let (line_feed, carriage_return) = match dialect.terminator {
            Terminator::Any | Terminator::Crlf => (b'\n', b'\r'),
            Terminator::Lf => (b'\n', b'\n'),
            Terminator::Cr => (b'\r', b'\r'),
        };
        let quote = dialect.quote.unwrap_or(delimiter);
        let escape = dialect.escape_byte().unwrap_or(delimiter);
        let needles = [delimiter, quote, escape, line_feed, carriage_return];
        Self { needles, base: 0, mask: 0, block: None }
    }

    /// Forgets the block at hand, because the text has changed.
    pub(super) fn forget(&mut self) {
        self.block = None;
    }

    /// Goes on at a place of the text, at most its end.
    #[inline]
    pub(super) fn seek(&mut self, text: &[u8], at: usize) {
        let base = at - at % BLOCK_BYTES;
        match self.block {
            // Whoever seeks may have fewer bytes than the block was made of.
            Some(block) if self.base == base && base + BLOCK_BYTES <= text.len() => {
                self.mask = block;
            }
            _ => self.load(text, base),
        }
        self.mask &= u64::MAX << (at % BLOCK_BYTES);
    }

    /// The next special byte; `None` at the end of the text.
    #[inline]
    pub(super) fn next(&mut self, text: &[u8]) -> Option<usize> {
        while self.mask == 0 {
            let base = self.base + BLOCK_BYTES;
            if base >= text.len() {
                return None;
            }
            self.load(text, base);
        }
        let at = self.base + self.mask.trailing_zeros() as usize;
        self.mask &= self.mask - 1;
        Some(at)
    }

    #[inline]
    fn load(&mut self, text: &[u8], base: usize) {
        self.base = base;
        let rest = text.get(base..).unwrap_or_default();
        if let Some(block) = rest.first_chunk::<BLOCK_BYTES>() {
            self.mask = hits(block, self.needles);
            self.block = Some(self.mask);
        } else {
            let mut block = [0; BLOCK_BYTES];
            block[..rest.len()].copy_from_slice(rest);
            // No needle is zero, so that nothing is found behind the end.
            self.mask = hits(&block, self.needles);
            self.block = None;
        }
    }
}

/// The bits of the bytes that are one of the needles.
#[inline]
fn hits(block: &[u8; BLOCK_BYTES], needles: [u8; NEEDLES]) -> u64 {
    let mut is_hit = [0_u8; BLOCK_BYTES];
    for (hit, byte) in is_hit.iter_mut().zip(block) {
        let mut any = false;
        for needle in needles {
            any |= *byte == needle;
        }
        *hit = u8::from(any);
    }
    let (eights, _) = is_hit.as_chunks::<8>();
    let mut mask = 0;
    for (index, eight) in eights.iter().enumerate() {
        // Gathers the lowest bits of eight bytes in the highest byte.
        let bits = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= bits << (8 * index);
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_special(byte: u8) -> bool {
        b",\"\r\n".contains(&byte)
    }

    proptest! {
        #[test]
        fn every_special_byte_is_found_from_everywhere(
            text in prop::collection::vec(prop::sample::select(b"ab,\"\r\n\0\xFF".to_vec()), 0..200),
            starts in prop::collection::vec(0..200_usize, 1..6),
        ) {
            let mut specials = Specials::new(&Dialect::default());
            for start in starts {
                let start = start.min(text.len());
                specials.seek(&text, start);
                let found: Vec<usize> = std::iter::from_fn(|| specials.next(&text)).collect();
                let expected = (start..text.len()).filter(|at| is_special(text[*at]));
                prop_assert_eq!(found, expected.collect::<Vec<_>>());
            }
        }
    }
}
