//! Turns text into the bytes of an encoding, and content into a file that may be compressed.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Stands for bytes that are not of the encoding.
pub(super) const UNDECODABLE: char = '\u{e000}';

/// How the text of a file is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Letters {
    Utf8,
    Utf16,
    Windows1252,
    ShiftJis,
}

impl Letters {
    pub(super) const ALL: [Self; 4] = [Self::Utf8, Self::Utf16, Self::Windows1252, Self::ShiftJis];

    /// The encoding as the settings call it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Utf16 => "utf-16le",
            Self::Windows1252 => "windows-1252",
            Self::ShiftJis => "shift_jis",
        }
    }

    /// Letters whose bytes are those of line ends, quotes or escapes, where the encoding has such.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Utf8 => "Zoë 東京 €",
            Self::Utf16 => "\u{d0a}東\u{2c22}€\u{a0d}",
            Self::Windows1252 => "Zoë €",
            Self::ShiftJis => "表ソ東京ｱ",
        }
    }

    /// Code of a row with [`UNDECODABLE`] in it.
    pub(super) fn code_of_undecodable(self) -> &'static str {
        if self == Self::Utf8 { "bad_utf8" } else { "bad_encoding" }
    }

    /// Bytes that mean nothing; half a letter where there is such a thing.
    pub(super) fn undecodable(self) -> Option<&'static [u8]> {
        match self {
            Self::Utf8 => Some(b"\xe2\x82"),
            Self::Utf16 => Some(b"\x00\xd8"),
            // It has a meaning for every byte.
            Self::Windows1252 => None,
            Self::ShiftJis => Some(b"\x81"),
        }
    }

    pub(super) fn bytes(self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len());
        for (index, part) in text.split(UNDECODABLE).enumerate() {
            if index > 0 {
                bytes.extend(self.undecodable().unwrap());
            }
            match self {
                Self::Utf8 => bytes.extend(part.as_bytes()),
                Self::Utf16 => bytes.extend(part.encode_utf16().flat_map(u16::to_le_bytes)),
                Self::Windows1252 => bytes.extend(encoded(encoding_rs::WINDOWS_1252, part)),
                Self::ShiftJis => bytes.extend(encoded(encoding_rs::SHIFT_JIS, part)),
            }
        }
        bytes
    }
}

fn encoded(encoding: &'static encoding_rs::Encoding, text: &str) -> Vec<u8> {
    let (bytes, _, is_lossy) = encoding.encode(text);
    assert!(!is_lossy, "{} has no bytes for {text:?}", encoding.name());
    bytes.into_owned()
}

/// What ends the lines of a file.
#[derive(Clone, Copy)]
pub(super) struct LineEnds {
    pub(super) name: &'static str,
    ends: &'static [&'static str],
}

impl LineEnds {
    pub(super) const ALL: [Self; 4] = [
        Self { name: "lf", ends: &["\n"] },
        Self { name: "crlf", ends: &["\r\n"] },
        Self { name: "cr", ends: &["\r"] },
        // A CR is never followed by an LF, which would make one line end of two.
        Self { name: "mixed", ends: &["\n", "\r", "\r\n"] },
    ];

    /// The end of a row, and of the lines inside its fields.
    pub(super) fn of(self, row: usize) -> &'static str {
        self.ends[row % self.ends.len()]
    }
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pack {
    Plain,
    Gzip,
    Zstd,
}

impl Pack {
    /// Each in its turn.
    pub(super) fn of(file: usize) -> Self {
        [Self::Plain, Self::Gzip, Self::Zstd][file % 3]
    }

    pub(super) fn pack(self, content: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => content.to_vec(),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(content).unwrap();
                encoder.finish().unwrap()
            }
            Self::Zstd => zstd::encode_all(content, 1).unwrap(),
        }
    }
}
