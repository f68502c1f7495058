//! What can be wrong with a content as a whole; what is wrong with one record is a reject.
//!
//! Invariant: no text holds anything of the content, only offsets in it.

use arrow_schema::ArrowError;

use super::Pointer;
use crate::chunk::RowCountDiffers;

/// A content, or a range of one, that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum JsonError {
    /// The bytes cannot be had.
    #[error("cannot read the content: {0}")]
    Io(#[from] std::io::Error),
    /// The content ends inside a document.
    #[error(
        "the JSON document ends early, at byte {byte_offset}: write it anew, or wait until it is whole"
    )]
    EndsEarly {
        /// Bytes that there are.
        byte_offset: u64,
    },
    /// Something stands around or between the records that must not stand there.
    #[error("the content is not valid JSON from byte {byte_offset} on: write it anew")]
    Broken {
        /// Bytes before the fault, or before the record that has it.
        byte_offset: u64,
    },
    /// An object has a member twice that the pointer goes through.
    #[error(
        "the member that leads to the records stands a second time, at byte {byte_offset}: give each of the two a name of its own, or leave one out"
    )]
    Twice {
        /// Bytes before its name.
        byte_offset: u64,
    },
    /// The pointer names nothing, or no array.
    #[error(
        "the document has no array {}: set records to the JSON pointer of the array of records, such as \"/data/items\"",
        place_of(.pointer)
    )]
    NoArray {
        /// Where the array should be.
        pointer: Pointer,
    },
    /// The pointer names an object or an array.
    #[error(
        "the value {} is an object or an array: set the JSON pointer of a text or a number",
        place_of(.pointer)
    )]
    NotAScalar {
        /// Where the value is.
        pointer: Pointer,
    },
    /// The range holds other records than when it was cut.
    #[error(transparent)]
    RowCountDiffers(#[from] RowCountDiffers),
    /// Columns do not form a batch.
    #[error("cannot form a batch: {0}")]
    Arrow(#[from] ArrowError),
}

fn place_of(pointer: &Pointer) -> String {
    if *pointer == Pointer::default() {
        "at its top".to_owned()
    } else {
        format!("at \"{pointer}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_say_where_and_what_to_do() {
        let at = |text: &str| JsonError::NoArray { pointer: text.parse().expect("a pointer") };
        assert!(
            at("").to_string().starts_with("the document has no array at its top: set records")
        );
        assert!(at("/a~1b").to_string().contains("at \"/a~1b\": set records"));
        let broken = JsonError::Broken { byte_offset: 7 };
        assert!(broken.to_string().contains("byte 7"));
    }
}
