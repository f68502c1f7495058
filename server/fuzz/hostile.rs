//! Long files of one thing only: each is planned, read and inspected in time, whatever it is.

use std::fs::File;
use std::io::{BufWriter, Write as _};

use ferry::position::Position;

use super::crew::try_cases;
use super::examine::inspect_and_read;
use super::random::{Random, is_soak};
use super::trial::{BATCH_BYTES, FILE, Folder, Trial};

/// What such a file repeats.
const PATTERNS: [&[u8]; 26] = [
    b"\"",
    b"a",
    b",",
    b"\0",
    b"\xFF",
    b"\r",
    b"\n",
    b"\r\n",
    b"\"\n",
    b"\"\"",
    b"\"a\n",
    b"\"a\"\n",
    b"a\"\n",
    b"\"a\"b\n",
    b",\"\n",
    b"\",\n\"a",
    b"1,\"2\n",
    b"1,\"2\"x\n",
    b"1,2,3\n",
    b"\n,\"",
    b"\\\"",
    b"#\n",
    // Lines that may all be the end of the record before them.
    b"\"\"\"a\n",
    b"\"a,b\n",
    b"a,\"b\n",
    b"\"a\nb\"\n",
];
/// Settings that it is read with.
const DIALECTS: [&str; 4] = [
    "",
    "stray_quotes = \"keep\"\nblank_lines = \"row\"\nragged = \"pad\"\nother_delimiters = [\";\"]\n",
    "escape = \"\\\\\"\nskip_initial_space = true\ncomment = \"#\"\nencoding = \"windows-1252\"\n",
    "encoding = \"utf-16le\"\nmax_record = \"1KiB\"\nmax_field = \"100\"\n",
];
const MEBIBYTE: usize = 1024 * 1024;

/// How a character of a pattern is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Byte,
    /// Two bytes, the first of which counts.
    Utf16,
}

impl Unit {
    fn of(dialect: &str) -> Self {
        if dialect.contains("utf-16le") { Self::Utf16 } else { Self::Byte }
    }

    fn write(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Byte => text.to_vec(),
            Self::Utf16 => text.iter().flat_map(|byte| [*byte, 0]).collect(),
        }
    }
}

/// A file that is a pattern over and over, behind two lines that begin well.
fn write(folder: &Folder, pattern: &[u8], unit: Unit, bytes: usize) {
    let file = File::create(folder.path(FILE)).expect("file is made");
    let mut file = BufWriter::new(file);
    let block = unit.write(pattern).repeat(8192);
    file.write_all(&unit.write(b"1,2\n3,4\n")).expect("file is written");
    for _ in 0..=bytes / block.len() {
        file.write_all(&block).expect("file is written");
    }
    file.flush().expect("file is written");
}

fn try_pattern(pattern: &[u8], dialect: &str, bytes: usize) {
    let folder = Folder::new(b"");
    write(&folder, pattern, Unit::of(dialect), bytes);
    let settings = format!(
        "[[dataset]]\nname = \"hostile\"\nfiles = [\"*.csv\"]\nmin_age = \"0s\"\nheader = false\n\
         columns = [\"a\", \"b\"]\n{dialect}"
    );
    let trial = Trial::of(folder.dataset(&settings));
    let (columns, plan) = trial.plan(None);
    let fingerprint = plan.fingerprint.as_ref().expect("it can be read");
    assert!(plan.problem.is_none(), "{plan:?}");
    let mut reached = Position::default();
    for range in &plan.ranges {
        assert_eq!(range.start, reached, "ranges touch");
        let split = trial.split(fingerprint, range);
        trial.pass(&split, split.start, &columns, BATCH_BYTES, |part| reached = part.end);
        assert_eq!(range.end, reached, "all of it is read");
    }
}

/// Bytes of a file, and seconds that it may take on a busy machine.
fn size_and_time() -> (usize, u64) {
    if is_soak() { (16 * MEBIBYTE, 300) } else { (MEBIBYTE, 30) }
}

#[test]
fn long_files_of_one_thing_are_read_in_time() {
    let (bytes, seconds_max) = size_and_time();
    let count = (PATTERNS.len() * DIALECTS.len()) as u64;
    try_cases(0, count, seconds_max, move |case| {
        let case = usize::try_from(case).expect("there are few");
        try_pattern(PATTERNS[case % PATTERNS.len()], DIALECTS[case / PATTERNS.len()], bytes);
    });
}

#[test]
fn long_files_of_one_thing_are_inspected_in_time() {
    let (bytes, seconds_max) = size_and_time();
    try_cases(0, PATTERNS.len() as u64, seconds_max, move |case| {
        let folder = Folder::new(b"");
        let pattern = usize::try_from(case).expect("there are few");
        write(&folder, PATTERNS[pattern], Unit::Byte, bytes);
        inspect_and_read(&folder, &mut Random::new(case));
    });
}
