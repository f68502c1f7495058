//! Files of random bytes, and good files that were damaged: nothing panics, nothing hangs, every record is counted once.
//!
//! A case is named by its seed: `FERRY_SEED=N` makes it the first that is tried.
//! `FERRY_SOAK=1` tries fifty times as many.

mod crew;
mod examine;
mod hostile;
mod mutate;
mod random;
mod shape;
mod trial;

use std::io::Write as _;

use flate2::write::GzEncoder;

use self::crew::try_cases;
use self::examine::{examine, inspect_and_read};
use self::mutate::mutate;
use self::random::{Random, is_soak, seed_of_environment};
use self::shape::Shape;
use self::trial::{Folder, Trial};

const SECONDS_MAX: u64 = 5;
const SOAK_FACTOR: u64 = 50;
const BYTES_MAX: usize = 3000;
/// Files of so many records are cut into several ranges.
const RECORDS_MANY: usize = 6000;

/// Tries so many cases of this kind, and more of them in the soak run.
fn try_many(test: &str, count: u64, try_one: fn(&mut Random)) {
    let count = if is_soak() { count * SOAK_FACTOR } else { count };
    let first = seed_of_environment();
    println!("{test}: repeat with FERRY_SEED={first}");
    try_cases(first, count, SECONDS_MAX, move |seed| try_one(&mut Random::new(seed)));
}

/// Writes a file, and does with it all that a server does.
fn try_file(shape: &Shape, content: &[u8], more: &[u8], random: &mut Random) {
    let folder = Folder::new(content);
    inspect_and_read(&folder, random);
    let is_young = random.is_one_in(2);
    let min_age = if is_young { "1h" } else { "0s" };
    let mut dataset = folder.dataset(&shape.settings("fuzz", min_age));
    if random.is_one_in(3) {
        // Lower than settings may have it, so that short files reach it.
        let dialect = &mut dataset.layout_mut().dialect;
        dialect.record_bytes_max = random.pick(&[1, 40, 300]);
        dialect.field_bytes_max = dialect.record_bytes_max.min(random.pick(&[1, 20, 300]));
    }
    examine(&Trial::of(dataset), &folder, is_young, more, random);
}

/// A good file, mostly of the shape that it is read in; once in a while a long one.
fn good_file(shape: &Shape, random: &mut Random) -> Vec<u8> {
    let records = if random.is_one_in(60) { RECORDS_MANY } else { random.below(40) };
    if random.is_one_in(4) {
        Shape::random(random).file(records, random)
    } else {
        shape.file(records, random)
    }
}

/// What a file grows by: bytes, or further records.
fn more_of(shape: &Shape, random: &mut Random) -> Vec<u8> {
    if random.is_one_in(2) {
        let count = 1 + random.below(50);
        return random.bytes(count);
    }
    let mut more = shape.file(3, random);
    mutate(&mut more, random);
    more.push(b'\n');
    more
}

/// An archive, of one kind or the other.
fn compress(content: &[u8], is_gzip: bool) -> Vec<u8> {
    if !is_gzip {
        return zstd::encode_all(content, 1).expect("it is compressed");
    }
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("it is compressed");
    encoder.finish().expect("it is compressed")
}

#[test]
fn random_bytes_do_no_harm() {
    try_many("random bytes", 400, |random| {
        let shape = Shape::random(random);
        let count = random.below(BYTES_MAX);
        let content = random.bytes(count);
        let more = more_of(&shape, random);
        try_file(&shape, &content, &more, random);
    });
}

#[test]
fn damaged_files_do_no_harm() {
    try_many("damaged files", 1200, |random| {
        let shape = Shape::random(random);
        let mut content = good_file(&shape, random);
        if !random.is_one_in(8) {
            mutate(&mut content, random);
        }
        let more = more_of(&shape, random);
        try_file(&shape, &content, &more, random);
    });
}

#[test]
fn damaged_archives_do_no_harm() {
    try_many("damaged archives", 400, |random| {
        let shape = Shape::random(random);
        let content = good_file(&shape, random);
        let is_gzip = random.is_one_in(2);
        let mut archive = compress(&content, is_gzip);
        if random.is_one_in(3) {
            // Of several members, as they come from programs that append.
            let other = good_file(&shape, random);
            archive.extend(compress(&other, is_gzip));
        }
        if !random.is_one_in(4) {
            mutate(&mut archive, random);
        }
        let more = more_of(&shape, random);
        let more = if random.is_one_in(2) { compress(&more, is_gzip) } else { more };
        try_file(&shape, &archive, &more, random);
    });
}
