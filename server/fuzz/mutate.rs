//! Damages files as transfers, editors and programs do, and worse.

use std::ops::Range;

use super::random::Random;

/// What some dialect, encoding or archive takes for something special.
const SPLICES: [&[u8]; 36] = [
    b"\"",
    b"\"\"",
    b"\"\"\"",
    b"'",
    b",",
    b";",
    b"|",
    b"||",
    b"\t",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\r",
    b"\n\n",
    b"\n\"",
    b"\"\n",
    b"\",\"",
    b" \"",
    b"\" ",
    b"\\",
    b"\\\"",
    b"#",
    b"\0",
    b"\xFF",
    b"\xC3",
    b"\xE2\x80\xA8",
    b"\xED\xA0\x80",
    b"\xF4\x90\x80\x80",
    b"\xEF\xBB\xBF",
    b"\xFF\xFE",
    b"\x81",
    b"\x1B$B",
    b"\x1B(B",
    b"\x1F\x8B\x08",
    b"\x28\xB5\x2F\xFD",
    b"\x50\x2A\x4D\x18\x04\0\0\0",
];
/// Files do not grow beyond.
const BYTES_MAX: usize = 2 * 1024 * 1024;
const REPEATS_MAX: usize = 3000;

/// Damages a file once to eight times.
pub(super) fn mutate(content: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(8) {
        mutate_once(content, random);
        content.truncate(BYTES_MAX);
    }
}

fn mutate_once(content: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(content.len() + 1);
    match random.below(11) {
        0 => flip(content, random),
        1 => {
            let count = 1 + random.below(8);
            insert(content, at, &random.bytes(count));
        }
        2 => {
            let removed = part(content, random);
            content.drain(removed);
        }
        3 => {
            let copy = content[part(content, random)].to_vec();
            insert(content, at, &copy);
        }
        4 => {
            let part = part(content, random);
            let moved: Vec<u8> = content.drain(part).collect();
            let at = random.below(content.len() + 1);
            insert(content, at, &moved);
        }
        5 => content.truncate(at),
        6 => {
            let many = random.pick(&SPLICES).repeat(1 + random.below(REPEATS_MAX));
            insert(content, at, &many);
        }
        7 => {
            // Over what is there, so that nothing else moves.
            let splice = random.pick(&SPLICES);
            let end = (at + splice.len()).min(content.len());
            content.splice(at..end, splice.iter().copied());
        }
        _ => insert(content, at, random.pick(&SPLICES)),
    }
}

fn flip(content: &mut [u8], random: &mut Random) {
    if !content.is_empty() {
        let at = random.below(content.len());
        content[at] ^= 1_u8 << random.below(8);
    }
}

/// Mostly a short part.
fn part(content: &[u8], random: &mut Random) -> Range<usize> {
    let start = random.below(content.len() + 1);
    let length_max = 1_usize << random.below(12);
    let end = (start + random.below(length_max) + 1).min(content.len());
    start..end
}

fn insert(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    content.splice(at..at, bytes.iter().copied());
}
