//! Turns the bytes of a field into exact decimal numbers, as PostgreSQL reads them.
//!
//! Invariant: a value is rounded at most once, half away from zero, to the
//! scale of its type.

use crate::reject::Code;
use crate::schema::Precision;

use super::fields::trim;
use super::numbers::split_sign;

/// Digits that fit a `u64` whatever they are, and the most that the fast path shifts.
const SAFE_DIGITS: usize = 18;
/// 10 to the power of the index.
const POWERS_OF_TEN: [u64; SAFE_DIGITS + 1] = powers_of_ten();
/// PostgreSQL's limits on an unconstrained numeric, in digits before and after the point.
const INTEGER_DIGITS_MAX: i64 = 131_072;
const FRACTION_DIGITS_MAX: i64 = 16_383;
/// Exponents beyond this are as good as infinite for every file that can be read.
const EXPONENT_MAX: i64 = 1_000_000_000;

/// A `numeric(precision, scale)` that an Arrow Decimal128 holds.
///
/// `NaN` and `Infinity` are out of range: Decimal128 has no such values.
#[derive(Debug, Clone, Copy)]
pub(super) struct DecimalFormat {
    scale: usize,
    /// 10 to the power of the precision: the first unscaled value out of range.
    bound: i128,
}

impl DecimalFormat {
    /// The format of a numeric with these digits, for which
    /// [`fits_decimal`](Precision::fits_decimal) holds.
    pub(super) fn new(digits: Precision) -> Self {
        Self { scale: digits.scale.into(), bound: 10_i128.pow(digits.precision.into()) }
    }

    /// The value of a field in units of the last digit.
    #[inline]
    pub(super) fn parse(self, field: &[u8]) -> Result<i128, Code> {
        match self.parse_short(field) {
            Some(value) => Ok(value),
            None => self.parse_any(field),
        }
    }

    /// The common case: a few digits, perhaps with sign and point, nothing to round.
    #[inline]
    fn parse_short(self, field: &[u8]) -> Option<i128> {
        let (is_negative, text) = match field {
            [b'-', text @ ..] => (true, text),
            text => (false, text),
        };
        if text.len() > SAFE_DIGITS {
            return None;
        }
        let mut magnitude: u64 = 0;
        let mut point = None;
        for (index, byte) in text.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                magnitude = magnitude * 10 + u64::from(digit);
            } else if *byte == b'.' && point.is_none() {
                point = Some(index);
            } else {
                return None;
            }
        }
        if text.len() == usize::from(point.is_some()) {
            return None;
        }
        let fraction_digits = point.map_or(0, |point| text.len() - point - 1);
        let factor = POWERS_OF_TEN.get(self.scale.checked_sub(fraction_digits)?)?;
        let value = i128::from(magnitude) * i128::from(*factor);
        (value < self.bound).then_some(if is_negative { -value } else { value })
    }

    fn parse_any(self, field: &[u8]) -> Result<i128, Code> {
        let Numeric::Finite(number) = lex(trim(field))? else {
            return Err(Code::OUT_OF_RANGE);
        };
        let shift = number.exponent - count(number.fraction) + count_of(self.scale);
        let digit_count = count(number.integer) + count(number.fraction);
        let mut magnitude: i128 = 0;
        // Where not even the first digit is kept, the value is below half a unit.
        if let Ok(kept) = usize::try_from(digit_count + shift.min(0)) {
            for digit in number.digits().take(kept) {
                magnitude = self.append_digit(magnitude, digit)?;
            }
            if number.digits().nth(kept).is_some_and(|digit| digit >= 5) {
                magnitude += 1;
            }
        }
        if magnitude != 0 {
            for _ in 0..shift {
                magnitude = self.append_digit(magnitude, 0)?;
            }
        }
        if magnitude >= self.bound {
            return Err(Code::OUT_OF_RANGE);
        }
        Ok(if number.is_negative { -magnitude } else { magnitude })
    }

    fn append_digit(self, magnitude: i128, digit: u8) -> Result<i128, Code> {
        magnitude
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(digit.into()))
            .filter(|magnitude| *magnitude < self.bound)
            .ok_or(Code::OUT_OF_RANGE)
    }
}

/// Checks a numeric that travels as text: one without digits declared, or with
/// more than a Decimal128 holds. `NaN` fits both, `Infinity` only the first.
pub(super) fn numeric_text(field: &[u8], digits: Option<Precision>) -> Result<&[u8], Code> {
    let text = trim(field);
    let fits = match (lex(text)?, digits) {
        (Numeric::Nan, _) | (Numeric::Infinity, None) => true,
        (Numeric::Infinity, Some(_)) => false,
        (Numeric::Finite(number), None) => number.fits_unconstrained(),
        (Numeric::Finite(number), Some(digits)) => number.fits(digits),
    };
    if fits { Ok(text) } else { Err(Code::OUT_OF_RANGE) }
}

/// Whether a number of a JSON document is one that PostgreSQL's numeric holds.
pub(super) fn is_storable(number: &[u8]) -> bool {
    matches!(lex(number), Ok(Numeric::Finite(number)) if number.fits_unconstrained())
}

/// What the text of a numeric says.
enum Numeric<'a> {
    Nan,
    Infinity,
    Finite(Number<'a>),
}

/// A number in the digits that it is written with.
struct Number<'a> {
    is_negative: bool,
    integer: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl Number<'_> {
    fn digits(&self) -> impl Iterator<Item = u8> {
        self.integer.iter().chain(self.fraction).map(|byte| byte - b'0')
    }

    /// Digits before the point, below 1 for a fraction that begins with zeros;
    /// `None` for zero.
    fn integer_digits(&self) -> Option<i64> {
        let leading_zeros = self.digits().position(|digit| digit != 0)?;
        Some(count(self.integer) + self.exponent - count_of(leading_zeros))
    }

    fn fits_unconstrained(&self) -> bool {
        self.integer_digits().is_none_or(|digits| digits <= INTEGER_DIGITS_MAX)
            && self.has_sane_exponent()
    }

    /// Whether PostgreSQL reads the number at all, whatever it is rounded to.
    fn has_sane_exponent(&self) -> bool {
        self.exponent <= INTEGER_DIGITS_MAX
            && count(self.fraction).saturating_sub(self.exponent) <= FRACTION_DIGITS_MAX
    }

    /// Whether the number, rounded to the scale, has no digit too many.
    fn fits(&self, Precision { precision, scale }: Precision) -> bool {
        if !self.has_sane_exponent() {
            return false;
        }
        let Some(integer_digits) = self.integer_digits() else {
            return true;
        };
        let integer_digits_max = i64::from(precision) - i64::from(scale);
        let kept = usize::from(precision);
        let mut digits = self.digits().skip_while(|digit| *digit == 0);
        // As many digits as allowed are too many where rounding carries past the first.
        let nines = digits.by_ref().take(kept).filter(|digit| *digit == 9).count();
        let carries = nines == kept && digits.next().is_some_and(|digit| digit >= 5);
        integer_digits < integer_digits_max || (integer_digits == integer_digits_max && !carries)
    }
}

/// Takes a numeric apart; white space is trimmed already.
fn lex(text: &[u8]) -> Result<Numeric<'_>, Code> {
    let (is_negative, magnitude) = split_sign(text);
    if text.eq_ignore_ascii_case(b"nan") {
        return Ok(Numeric::Nan);
    }
    if magnitude.eq_ignore_ascii_case(b"infinity") || magnitude.eq_ignore_ascii_case(b"inf") {
        return Ok(Numeric::Infinity);
    }
    let (integer, rest) = split_digits(magnitude);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => split_digits(rest),
        rest => (&rest[..0], rest),
    };
    let exponent = match rest {
        [] => Some(0),
        [b'e' | b'E', exponent @ ..] => parse_exponent(exponent),
        _ => None,
    };
    match exponent {
        Some(exponent) if !(integer.is_empty() && fraction.is_empty()) => {
            Ok(Numeric::Finite(Number { is_negative, integer, fraction, exponent }))
        }
        _ => Err(Code::BAD_NUMBER),
    }
}

fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (is_negative, text) = split_sign(text);
    let (digits, rest) = split_digits(text);
    if digits.is_empty() || !rest.is_empty() {
        return None;
    }
    let append = |value: i64, byte: &u8| (value * 10 + i64::from(byte - b'0')).min(EXPONENT_MAX);
    let magnitude = digits.iter().fold(0, append);
    Some(if is_negative { -magnitude } else { magnitude })
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

fn count(digits: &[u8]) -> i64 {
    count_of(digits.len())
}

/// A length as a signed number; no field comes near its limit.
fn count_of(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

const fn powers_of_ten() -> [u64; SAFE_DIGITS + 1] {
    let mut powers = [1; SAFE_DIGITS + 1];
    let mut index = 1;
    while index < powers.len() {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(field: &str, precision: u16, scale: u16) -> Result<i128, Code> {
        DecimalFormat::new(Precision { precision, scale }).parse(field.as_bytes())
    }

    #[test]
    fn decimals_are_scaled() {
        assert_eq!(decimal("24386.67", 15, 2), Ok(2_438_667));
        assert_eq!(decimal("-1", 15, 2), Ok(-100));
        assert_eq!(decimal(" +.5 ", 15, 2), Ok(50));
        assert_eq!(decimal("5.", 15, 2), Ok(500));
        assert_eq!(decimal("-0.00", 15, 2), Ok(0));
        assert_eq!(decimal("1.5e3", 15, 2), Ok(150_000));
        assert_eq!(decimal("150E-2", 15, 2), Ok(150));
        assert_eq!(decimal("0e999999999999", 15, 2), Ok(0));
        assert_eq!(decimal("1e-999999999999", 15, 2), Ok(0));
        assert_eq!(decimal("0000000000000000000000012.3", 3, 1), Ok(123));
    }

    #[test]
    fn decimals_round_half_away_from_zero() {
        assert_eq!(decimal("0.005", 15, 2), Ok(1));
        assert_eq!(decimal("-0.005", 15, 2), Ok(-1));
        assert_eq!(decimal("0.00499999", 15, 2), Ok(0));
        assert_eq!(decimal("0.5", 15, 0), Ok(1));
        assert_eq!(decimal("5e-1", 15, 0), Ok(1));
        assert_eq!(decimal("5e-2", 15, 0), Ok(0));
        assert_eq!(decimal("9.995", 15, 2), Ok(1000));
    }

    #[test]
    fn decimals_with_too_many_digits_are_out_of_range() {
        assert_eq!(decimal("9.99", 3, 2), Ok(999));
        let nines = "9".repeat(38);
        assert_eq!(decimal(&nines, 38, 0), Ok(10_i128.pow(38) - 1));
        for (field, precision, scale) in [
            ("10", 3, 2),
            ("9.995", 3, 2),
            ("-9.995", 3, 2),
            ("1e2", 3, 2),
            ("1e999999999999", 3, 2),
            ("NaN", 15, 2),
            ("-Infinity", 15, 2),
            (format!("{nines}.5").as_str(), 38, 0),
            (format!("{nines}0").as_str(), 38, 0),
        ] {
            assert_eq!(decimal(field, precision, scale), Err(Code::OUT_OF_RANGE), "{field}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for field in [
            "", " ", ".", "-", "-.", "1.2.3", "1e", "1e+", "e5", "1 2", "0x1", "1_0", "1,0", "-nan",
        ] {
            assert_eq!(decimal(field, 15, 2), Err(Code::BAD_NUMBER), "{field}");
            assert_eq!(numeric_text(field.as_bytes(), None), Err(Code::BAD_NUMBER), "{field}");
        }
    }

    #[test]
    fn texts_of_numerics_keep_their_digits() {
        let text = |field: &'static str| numeric_text(field.as_bytes(), None);
        assert_eq!(text(" 1.2300e+5 "), Ok(&b"1.2300e+5"[..]));
        assert_eq!(text("-inf"), Ok(&b"-inf"[..]));
        assert_eq!(text("nan"), Ok(&b"nan"[..]));
        assert_eq!(text("1e131071"), Ok(&b"1e131071"[..]));
        assert_eq!(text("1e131072"), Err(Code::OUT_OF_RANGE));
        assert_eq!(text("1e-16383"), Ok(&b"1e-16383"[..]));
        assert_eq!(text("1e-16384"), Err(Code::OUT_OF_RANGE));
    }

    #[test]
    fn wide_numerics_are_bound_by_their_digits() {
        let fits = |field: &str| {
            let digits = Precision { precision: 40, scale: 2 };
            numeric_text(field.as_bytes(), Some(digits)).is_ok()
        };
        let nines = "9".repeat(38);
        assert!(fits("NaN") && fits("0e99") && fits("1e37") && fits("0.0001e41"));
        assert!(fits(&nines) && fits(&format!("{nines}.99")) && fits(&format!("{nines}.994")));
        assert!(!fits(&format!("{nines}.995")) && fits(&format!("{nines}.985")));
        assert!(!fits("1e38") && !fits("Infinity") && !fits(&format!("{nines}0")));
    }

    proptest! {
        #[test]
        fn every_decimal_reads_back(value in -99_999_999_999_999_999_999_i128..=99_999_999_999_999_999_999) {
            let sign = if value < 0 { "-" } else { "" };
            let digits = format!("{:03}", value.unsigned_abs());
            let (integer, fraction) = digits.split_at(digits.len() - 2);
            prop_assert_eq!(decimal(&format!("{sign}{integer}.{fraction}"), 20, 2), Ok(value));
            prop_assert_eq!(decimal(&format!("{value}e-2"), 20, 2), Ok(value));
        }
    }
}
