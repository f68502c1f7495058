//! Archives that are whole, cut, damaged, padded, joined, and far too large.

use std::io::{self, Read, Write as _};

use flate2::write::GzEncoder;

use super::{ArchiveError, Compression, Decompressed, archive_error, content_bytes_max};

const ARCHIVES: [Compression; 2] = [Compression::Gzip, Compression::Zstd];

/// Lines that do not compress away.
fn content() -> Vec<u8> {
    let mut content = Vec::new();
    for number in 0..40_u32 {
        let scattered = number.wrapping_mul(2_654_435_761);
        writeln!(content, "{number},{scattered}").expect("memory takes it");
    }
    content
}

fn compress(content: &[u8], compression: Compression) -> Vec<u8> {
    if compression == Compression::Gzip {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).expect("it is compressed");
        return encoder.finish().expect("it is compressed");
    }
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("an encoder");
    encoder.include_checksum(true).expect("it is set");
    encoder.write_all(content).expect("it is compressed");
    encoder.finish().expect("it is compressed")
}

/// All content before an error, and the error.
fn decompress(
    archive: &[u8],
    compression: Compression,
    bytes_max: u64,
    buffer_bytes: usize,
) -> (Vec<u8>, Option<ArchiveError>) {
    let mut input = Decompressed::new(archive, compression, bytes_max).expect("a decoder");
    let mut buffer = vec![0; buffer_bytes];
    let mut content = Vec::new();
    loop {
        match input.read(&mut buffer) {
            Ok(0) => {
                assert_eq!(input.read(&mut buffer).expect("it has ended"), 0);
                return (content, None);
            }
            Ok(length) => content.extend_from_slice(&buffer[..length]),
            Err(error) => {
                let error = *archive_error(&error).expect("the archive is at fault");
                let again = input.read(&mut buffer).expect_err("it stays");
                assert_eq!(archive_error(&again), Some(&error));
                return (content, Some(error));
            }
        }
    }
}

/// As [`decompress`], the same with small and large buffers.
fn read(archive: &[u8], compression: Compression) -> (Vec<u8>, Option<ArchiveError>) {
    let outcome = decompress(archive, compression, u64::MAX, 1 << 20);
    for buffer_bytes in [1, 7, 64] {
        assert_eq!(decompress(archive, compression, u64::MAX, buffer_bytes), outcome);
    }
    outcome
}

#[test]
fn archives_are_told_by_their_first_bytes() {
    for compression in ARCHIVES {
        let archive = compress(&content(), compression);
        for length in [2, 3, 4] {
            assert_eq!(Compression::of(&archive[..length]), compression);
        }
    }
    assert_eq!(Compression::of(b"\x5A\x2A\x4D\x18"), Compression::Zstd);
    for first in [&b""[..], b"u", b"(", b"uid\n", b"\x1F\x8B\x01\0", b"(\xB5/0", b"PK\x03\x04"] {
        assert_eq!(Compression::of(first), Compression::None);
    }
    assert_eq!(Compression::Gzip.to_string(), "gzip");
}

#[test]
fn whole_archives_give_their_content() {
    for compression in ARCHIVES {
        for content in [Vec::new(), content(), content().repeat(1000)] {
            let archive = compress(&content, compression);
            assert_eq!(decompress(&archive, compression, u64::MAX, 4096), (content, None));
        }
    }
}

#[test]
fn joined_archives_give_all_contents() {
    let content = content();
    for compression in ARCHIVES {
        let mut archive = compress(&content[..100], compression);
        archive.extend(compress(b"", compression));
        archive.extend(compress(&content[100..], compression));
        assert_eq!(read(&archive, compression), (content.clone(), None));
    }
}

#[test]
fn frames_to_skip_are_skipped() {
    let skippable = b"\x50\x2A\x4D\x18\x05\0\0\0notes";
    let mut archive = skippable.to_vec();
    archive.extend(compress(b"a\n", Compression::Zstd));
    archive.extend(skippable);
    assert_eq!(read(&archive, Compression::Zstd), (b"a\n".to_vec(), None));
    archive.pop();
    let early = ArchiveError::EndsEarly(Compression::Zstd);
    assert_eq!(read(&archive, Compression::Zstd), (b"a\n".to_vec(), Some(early)));
}

#[test]
fn zeros_behind_a_gzip_archive_are_no_part_of_it() {
    let mut archive = compress(&content(), Compression::Gzip);
    archive.resize(archive.len() + 100_000, 0);
    assert_eq!(read(&archive, Compression::Gzip), (content(), None));
}

#[test]
fn what_follows_an_archive_and_is_none_is_a_damage() {
    for compression in ARCHIVES {
        let mut archive = compress(&content(), compression);
        archive.extend(b"uid,name\n1,a\n2,b\n");
        let damaged = ArchiveError::Damaged(compression);
        assert_eq!(read(&archive, compression), (content(), Some(damaged)));
    }
}

#[test]
fn archives_cut_anywhere_give_what_is_there_and_an_error() {
    let content = content();
    for compression in ARCHIVES {
        let archive = compress(&content, compression);
        let early = ArchiveError::EndsEarly(compression);
        let mut given = 0;
        for length in 1..archive.len() {
            let (found, error) = read(&archive[..length], compression);
            assert_eq!(error, Some(early), "{compression}, {length} bytes");
            assert!(content.starts_with(&found), "{compression}, {length} bytes");
            assert!(found.len() >= given, "{compression}, {length} bytes");
            given = found.len();
        }
        assert_eq!(given, content.len(), "only its checksum is cut");
        let mut joined = archive.clone();
        joined.extend(&archive[..archive.len() / 2]);
        let (found, error) = read(&joined, compression);
        assert_eq!(error, Some(early));
        assert!(found.starts_with(&content));
    }
}

#[test]
fn a_wrong_byte_is_found_or_does_no_harm() {
    let content = content();
    for compression in ARCHIVES {
        let archive = compress(&content, compression);
        let mut errors = 0;
        for index in 0..archive.len() {
            let mut wrong = archive.clone();
            wrong[index] ^= 0x15;
            match decompress(&wrong, compression, u64::MAX, 4096) {
                (found, None) => assert_eq!(found, content, "{compression}, byte {index}"),
                (_, Some(_)) => errors += 1,
            }
        }
        // Some bytes of the header, such as the time, mean nothing here.
        assert!(errors + 10 > archive.len(), "{compression}: {errors}");
    }
}

/// A gzip archive of one line, stored as it is, with a block behind that is none.
const GZIP_DAMAGED: &[u8] =
    b"\x1F\x8B\x08\0\0\0\0\0\0\xFF\0\x06\0\xF9\xFFhello\n\x07\0\0\0\0\0\0\0";
/// The same with zstd.
const ZSTD_DAMAGED: &[u8] = b"\x28\xB5\x2F\xFD\0\0\x30\0\0hello\n\x06\0\0\0\0\0\0";

#[test]
fn all_before_a_damage_is_given() {
    for (archive, compression) in
        [(GZIP_DAMAGED, Compression::Gzip), (ZSTD_DAMAGED, Compression::Zstd)]
    {
        let damaged = ArchiveError::Damaged(compression);
        assert_eq!(read(archive, compression), (b"hello\n".to_vec(), Some(damaged)));
    }
}

#[test]
fn content_is_bounded() {
    let zeros = vec![0; 100_000];
    for compression in ARCHIVES {
        let archive = compress(&zeros, compression);
        let bytes_max = zeros.len() as u64;
        assert_eq!(decompress(&archive, compression, bytes_max, 4096), (zeros.clone(), None));
        let bytes_max = bytes_max - 1;
        let (found, error) = decompress(&archive, compression, bytes_max, 4096);
        assert_eq!(found.len() as u64, bytes_max);
        assert_eq!(error, Some(ArchiveError::TooLarge { compression, bytes_max }));
        assert!(error.is_some_and(ArchiveError::is_too_large));
    }
    assert_eq!(content_bytes_max(10, 200), 1 << 30);
    assert_eq!(content_bytes_max(1 << 30, 200), 200 << 30);
    assert_eq!(content_bytes_max(u64::MAX, 200), u64::MAX);
    let plain = decompress(&zeros, Compression::None, 1, 4096);
    assert_eq!(plain, (zeros, None), "only archives grow");
}

#[test]
fn memory_of_a_frame_is_bounded() {
    // Its window is 256 MiB.
    let archive = b"\x28\xB5\x2F\xFD\0\x90\x01\0\0";
    let error = read(archive, Compression::Zstd).1;
    assert_eq!(error, Some(ArchiveError::WindowTooLarge));
    let archive = b"\x28\xB5\x2F\xFD\0\x88\x01\0\0";
    assert_eq!(read(archive, Compression::Zstd), (Vec::new(), None));
}

#[test]
fn errors_say_what_to_do_and_hold_no_bytes() {
    let errors = [
        ArchiveError::EndsEarly(Compression::Gzip),
        ArchiveError::Damaged(Compression::Zstd),
        ArchiveError::TooLarge { compression: Compression::Gzip, bytes_max: 7 },
        ArchiveError::WindowTooLarge,
    ];
    let texts = errors.map(|error| io::Error::from(error).to_string());
    assert_eq!(
        texts,
        [
            "the gzip archive ends early: copy the file again",
            "the zstd archive is damaged: copy the file again",
            "the gzip archive holds more than 7 bytes: raise max_expansion if it may",
            "reading the zstd archive takes more than 128 MiB of memory: compress it without --long",
        ]
    );
}

/// A disk that fails behind its first bytes.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Ok(0) => Err(io::Error::other("the disk failed")),
            outcome => outcome,
        }
    }
}

#[test]
fn a_disk_that_fails_is_not_the_archive_s_fault() {
    for compression in ARCHIVES {
        let archive = compress(&content(), compression);
        let mut input =
            Decompressed::new(Failing(&archive[..50]), compression, u64::MAX).expect("a decoder");
        let error = input.read_to_end(&mut Vec::new()).expect_err("the disk failed");
        assert_eq!(error.to_string(), "the disk failed");
        assert!(archive_error(&error).is_none());
    }
}
