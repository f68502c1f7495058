//! Turns columns of text into columns of hashes, with or without a salt for each value.
//!
//! Invariant: NULL and the empty string give NULL, in the column of the salts too.

use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, BinaryArray, StringArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBufferBuilder};
use arrow_schema::ArrowError;

use super::person;
use crate::job::Form;
use crate::key::{DomainHash, PSEUDONYM_BYTES, SALT_BYTES};

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The random bytes that are hashed before a value.
pub(super) type Salt = [u8; SALT_BYTES];

/// What comes of a salted column.
pub(super) struct Salted {
    /// Hashes over salt and value.
    pub(super) pseudonyms: ArrayRef,
    /// The salts, in the same rows.
    pub(super) salts: ArrayRef,
}

/// The pseudonyms of a column.
pub(super) fn hashed(
    values: &StringArray,
    hash: &DomainHash,
    form: Form,
) -> Result<ArrayRef, ArrowError> {
    let mut pseudonyms = Digests::with_capacity(values.len(), PSEUDONYM_BYTES, form);
    for value in values {
        match person(value) {
            Some(value) => pseudonyms.append(&hash.pseudonym(value.as_bytes())),
            None => pseudonyms.append_null(),
        }
    }
    pseudonyms.finish()
}

/// The salted hashes of a column, with one salt for each row.
pub(super) fn salted(
    values: &StringArray,
    salts: &[Salt],
    hash: &DomainHash,
    form: Form,
) -> Result<Salted, ArrowError> {
    let mut pseudonyms = Digests::with_capacity(values.len(), PSEUDONYM_BYTES, form);
    let mut kept_salts = Digests::with_capacity(values.len(), SALT_BYTES, form);
    for (value, salt) in values.iter().zip(salts) {
        if let Some(value) = person(value) {
            pseudonyms.append(&hash.salted(salt, value.as_bytes()));
            kept_salts.append(salt);
        } else {
            pseudonyms.append_null();
            kept_salts.append_null();
        }
    }
    Ok(Salted { pseudonyms: pseudonyms.finish()?, salts: kept_salts.finish()? })
}

/// New salts, all of them asked of the operating system at once.
pub(super) fn draw_salts(count: usize) -> Result<Vec<Salt>, ArrowError> {
    let mut salts = vec![[0_u8; SALT_BYTES]; count];
    fill_randomly(salts.as_flattened_mut())?;
    Ok(salts)
}

/// One new salt.
pub(super) fn draw_salt() -> Result<Salt, ArrowError> {
    let mut salt = [0_u8; SALT_BYTES];
    fill_randomly(&mut salt)?;
    Ok(salt)
}

fn fill_randomly(bytes: &mut [u8]) -> Result<(), ArrowError> {
    getrandom::fill(bytes).map_err(|error| {
        ArrowError::ComputeError(format!("the operating system gives no random numbers: {error}"))
    })
}

/// Builds a column of hashes or salts.
///
/// The text is checked to be UTF-8 once a column, and no value is allocated on its own.
struct Digests {
    form: Form,
    bytes: Vec<u8>,
    offsets: OffsetBufferBuilder<i32>,
    nulls: NullBufferBuilder,
}

impl Digests {
    fn with_capacity(rows: usize, value_bytes: usize, form: Form) -> Self {
        let width = match form {
            Form::Bytea => value_bytes,
            Form::Hex => 2 * value_bytes,
        };
        Self {
            form,
            bytes: Vec::with_capacity(rows * width),
            offsets: OffsetBufferBuilder::new(rows),
            nulls: NullBufferBuilder::new(rows),
        }
    }

    fn append(&mut self, value: &[u8]) {
        let start = self.bytes.len();
        match self.form {
            Form::Bytea => self.bytes.extend_from_slice(value),
            Form::Hex => append_hex(&mut self.bytes, value),
        }
        self.offsets.push_length(self.bytes.len() - start);
        self.nulls.append_non_null();
    }

    fn append_null(&mut self) {
        self.offsets.push_length(0);
        self.nulls.append_null();
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        let offsets = self.offsets.finish();
        let bytes = Buffer::from_vec(self.bytes);
        let nulls = self.nulls.build();
        let column: ArrayRef = match self.form {
            Form::Bytea => Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?),
            Form::Hex => Arc::new(StringArray::try_new(offsets, bytes, nulls)?),
        };
        Ok(column)
    }
}

fn append_hex(digits: &mut Vec<u8>, value: &[u8]) {
    let start = digits.len();
    digits.resize(start + 2 * value.len(), 0);
    let (pairs, _) = digits[start..].as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(value) {
        *pair = [HEX_DIGITS[usize::from(byte >> 4)], HEX_DIGITS[usize::from(byte & 0x0f)]];
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray as _;
    use ferry::hex;

    use super::*;

    fn people() -> StringArray {
        StringArray::from(vec![Some("ada"), None, Some(""), Some("ada"), Some("zoë")])
    }

    #[test]
    fn both_forms_say_the_same() {
        let hash = DomainHash::public("email");
        let bytes = hashed(&people(), &hash, Form::Bytea).expect("a column");
        let digits = hashed(&people(), &hash, Form::Hex).expect("a column");
        let (bytes, digits) = (bytes.as_binary::<i32>(), digits.as_string::<i32>());
        assert_eq!(bytes.value(0), hash.pseudonym(b"ada"));
        assert_eq!(bytes.value(3), bytes.value(0));
        assert_eq!(bytes.value(4), hash.pseudonym("zoë".as_bytes()));
        assert_eq!(bytes.value(4).len(), 32);
        for row in 0..people().len() {
            let is_person = [true, false, false, true, true][row];
            assert_eq!((bytes.is_valid(row), digits.is_valid(row)), (is_person, is_person));
            assert_eq!(digits.value(row), hex::encode(bytes.value(row)));
        }
    }

    #[test]
    fn salted_values_verify_and_equal_ones_differ() {
        let hash = DomainHash::public("email");
        let salts = draw_salts(5).expect("random numbers");
        let salted = salted(&people(), &salts, &hash, Form::Bytea).expect("columns");
        let pseudonyms = salted.pseudonyms.as_binary::<i32>();
        let kept = salted.salts.as_binary::<i32>();
        for (row, value) in people().iter().enumerate() {
            let Some(value) = person(value) else {
                assert!(pseudonyms.is_null(row) && kept.is_null(row), "row {row}");
                continue;
            };
            let salt: Salt = kept.value(row).try_into().expect("16 bytes");
            assert_eq!(salt, salts[row]);
            let salted_value = [&salt[..], value.as_bytes()].concat();
            assert_eq!(pseudonyms.value(row), hash.pseudonym(&salted_value));
        }
        assert_ne!(pseudonyms.value(0), pseudonyms.value(3), "both are ada");
        assert_ne!(kept.value(0), kept.value(3));
    }

    #[test]
    fn salts_can_be_hexadecimal_digits_too() {
        let hash = DomainHash::public("email");
        let salts = [[0xa1; SALT_BYTES]; 5];
        let salted = salted(&people(), &salts, &hash, Form::Hex).expect("columns");
        let kept = salted.salts.as_string::<i32>();
        assert_eq!(kept.value(0), "a1".repeat(16));
        assert!(kept.is_null(2));
        let expected = hex::encode(&hash.salted(&salts[0], b"ada"));
        assert_eq!(salted.pseudonyms.as_string::<i32>().value(0), expected);
    }

    #[test]
    fn no_rows_give_an_empty_column() {
        let none = StringArray::from(Vec::<Option<&str>>::new());
        let hash = DomainHash::public("email");
        assert_eq!(hashed(&none, &hash, Form::Hex).expect("a column").len(), 0);
        let salts = draw_salts(0).expect("no random numbers needed");
        let salted = salted(&none, &salts, &hash, Form::Bytea).expect("columns");
        assert_eq!((salted.pseudonyms.len(), salted.salts.len()), (0, 0));
    }
}
