//! Turns the bytes of a field into integers and floating-point numbers, as PostgreSQL reads them.
//!
//! Decimal digits only: hexadecimal and underscores, which newer servers take
//! in SQL, do not stand in files.

use crate::reject::Code;
use lexical_core::FromLexical;

use super::fields::trim;

/// Digits that fit an `i64` whatever they are.
const SAFE_DIGITS: usize = 18;

/// A whole number in decimal digits.
#[inline]
pub(super) fn integer<T: TryFrom<i64>>(field: &[u8]) -> Result<T, Code> {
    let value = match short_digits(field) {
        Some(value) => value,
        None => any_integer(field)?,
    };
    T::try_from(value).map_err(|_| Code::OUT_OF_RANGE)
}

/// The common case: a few digits and nothing else.
#[inline]
fn short_digits(field: &[u8]) -> Option<i64> {
    if field.is_empty() || field.len() > SAFE_DIGITS {
        return None;
    }
    let mut value: i64 = 0;
    for byte in field {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(value)
}

fn any_integer(field: &[u8]) -> Result<i64, Code> {
    let (is_negative, digits) = split_sign(trim(field));
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Code::BAD_INTEGER);
    }
    // Counted downwards, because the smallest number has no positive twin.
    let mut negated: i64 = 0;
    for byte in digits {
        negated = negated
            .checked_mul(10)
            .and_then(|tens| tens.checked_sub(i64::from(byte - b'0')))
            .ok_or(Code::OUT_OF_RANGE)?;
    }
    if is_negative { Ok(negated) } else { negated.checked_neg().ok_or(Code::OUT_OF_RANGE) }
}

/// A decimal number, `NaN`, `Infinity` or `inf` in any case; refused if it
/// overflows, or if it is not zero but becomes it.
#[inline]
pub(super) fn float<T>(field: &[u8]) -> Result<T, Code>
where
    T: FromLexical + From<f32> + Into<f64> + Copy,
{
    match lexical_core::parse::<T>(field) {
        Ok(value) if Into::<f64>::into(value).is_normal() => Ok(value),
        _ => any_float(field),
    }
}

fn any_float<T>(field: &[u8]) -> Result<T, Code>
where
    T: FromLexical + From<f32> + Into<f64> + Copy,
{
    let text = trim(field);
    let (is_negative, magnitude) = split_sign(text);
    if magnitude.eq_ignore_ascii_case(b"nan") {
        return Ok(T::from(f32::NAN));
    }
    if magnitude.eq_ignore_ascii_case(b"infinity") || magnitude.eq_ignore_ascii_case(b"inf") {
        return Ok(T::from(if is_negative { f32::NEG_INFINITY } else { f32::INFINITY }));
    }
    let value: T = lexical_core::parse(text).map_err(|_| Code::BAD_NUMBER)?;
    let widened: f64 = value.into();
    if widened.is_infinite() || (widened == 0.0 && !is_zero(magnitude)) {
        return Err(Code::OUT_OF_RANGE);
    }
    Ok(value)
}

/// Whether no digit before the exponent is another than 0.
fn is_zero(magnitude: &[u8]) -> bool {
    let mut mantissa = magnitude.iter().take_while(|byte| !matches!(byte, b'e' | b'E'));
    mantissa.all(|byte| matches!(byte, b'0' | b'.'))
}

/// Takes one sign off the front of a number.
pub(super) fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', magnitude @ ..] => (true, magnitude),
        [b'+', magnitude @ ..] | magnitude => (false, magnitude),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_take_signs_zeros_and_spaces() {
        assert_eq!(integer::<i16>(b" +042 "), Ok(42));
        assert_eq!(integer::<i16>(b"-32768"), Ok(i16::MIN));
        assert_eq!(integer::<i32>(b"0000000000000000000000000001"), Ok(1));
        assert_eq!(integer::<i64>(b"9223372036854775807"), Ok(i64::MAX));
        assert_eq!(integer::<i64>(b"-9223372036854775808"), Ok(i64::MIN));
    }

    #[test]
    fn integers_outside_their_type_are_out_of_range() {
        assert_eq!(integer::<i16>(b"32768"), Err(Code::OUT_OF_RANGE));
        assert_eq!(integer::<i32>(b"-2147483649"), Err(Code::OUT_OF_RANGE));
        assert_eq!(integer::<i64>(b"9223372036854775808"), Err(Code::OUT_OF_RANGE));
        assert_eq!(integer::<i64>(b"-99999999999999999999"), Err(Code::OUT_OF_RANGE));
    }

    #[test]
    fn what_is_no_integer_is_refused() {
        for field in ["", " ", "-", "+-1", "1.0", "1e3", "0x10", "1_000", "1 2", "é", "١"] {
            assert_eq!(integer::<i32>(field.as_bytes()), Err(Code::BAD_INTEGER), "{field}");
        }
    }

    #[test]
    fn floats_take_words_in_any_case() {
        assert!(float::<f64>(b"nan").is_ok_and(f64::is_nan));
        assert!(float::<f32>(b" NaN ").is_ok_and(f32::is_nan));
        assert_eq!(float::<f64>(b"-Infinity"), Ok(f64::NEG_INFINITY));
        assert_eq!(float::<f32>(b"+INF"), Ok(f32::INFINITY));
    }

    #[test]
    fn floats_take_every_decimal_form() {
        assert_eq!(float::<f64>(b"0"), Ok(0.0));
        assert_eq!(float::<f64>(b"-.5e1"), Ok(-5.0));
        assert_eq!(float::<f64>(b"+1."), Ok(1.0));
        assert_eq!(float::<f64>(b" 12.75 "), Ok(12.75));
        assert_eq!(float::<f64>(b"0.000e5"), Ok(0.0));
        assert_eq!(float::<f64>(b"5e-324"), Ok(5e-324));
        for field in ["", ".", "1e", "e1", "1,5", "0x1p3", "infin", "--1", "1 2", "1f"] {
            assert_eq!(float::<f64>(field.as_bytes()), Err(Code::BAD_NUMBER), "{field}");
        }
    }

    #[test]
    fn floats_that_overflow_or_vanish_are_out_of_range() {
        for field in ["1e400", "-1e400", "1e-400", "0.0001e-400"] {
            assert_eq!(float::<f64>(field.as_bytes()), Err(Code::OUT_OF_RANGE), "{field}");
        }
        assert_eq!(float::<f32>(b"1e39"), Err(Code::OUT_OF_RANGE));
        assert_eq!(float::<f32>(b"1e-46"), Err(Code::OUT_OF_RANGE));
    }

    proptest! {
        #[test]
        fn every_integer_reads_back(value: i64) {
            prop_assert_eq!(integer::<i64>(value.to_string().as_bytes()), Ok(value));
            let narrow = i32::try_from(value).map_err(|_| Code::OUT_OF_RANGE);
            prop_assert_eq!(integer::<i32>(value.to_string().as_bytes()), narrow);
        }

        #[test]
        fn every_float_reads_back(double: f64, single: f32) {
            prop_assume!(!double.is_nan() && !single.is_nan());
            let read = float::<f64>(format!("{double:e}").as_bytes());
            prop_assert_eq!(read.map(f64::to_bits), Ok(double.to_bits()));
            let read = float::<f32>(format!("{single}").as_bytes());
            prop_assert_eq!(read.map(f32::to_bits), Ok(single.to_bits()));
        }
    }
}
