//! Turns floating-point numbers into the text that PostgreSQL writes: the shortest that reads back as the same number.
//!
//! Algorithm: that of PostgreSQL, which follows Ulf Adams, "Ryū: fast
//! float-to-string conversion", but takes no digits that lie halfway between
//! two numbers, though readers settle on one: 1e23 is `9.999999999999999e+22`.

use std::ops::Range;

/// What tells one floating-point type from another.
struct Format {
    /// Exponents of ten that are not written as such.
    plain_exponents: Range<i32>,
    /// So many digits read back as the same number, whichever it is.
    digits_max: usize,
    mantissa_bits: u32,
    read: fn(&str) -> Option<f64>,
}

const REAL: Format = Format {
    plain_exponents: -4..6,
    digits_max: 9,
    mantissa_bits: f32::MANTISSA_DIGITS,
    read: read_real,
};

const DOUBLE_PRECISION: Format = Format {
    plain_exponents: -4..15,
    digits_max: 17,
    mantissa_bits: f64::MANTISSA_DIGITS,
    read: read_double,
};

/// The text of a `real`.
pub(super) fn real_text(value: f32) -> String {
    text(value.into(), &format!("{:e}", value.abs()), &REAL)
}

/// The text of a `double precision`.
pub(super) fn double_text(value: f64) -> String {
    text(value, &format!("{:e}", value.abs()), &DOUBLE_PRECISION)
}

/// `shortest` is the magnitude as the standard library writes it.
fn text(value: f64, shortest: &str, format: &Format) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if value.is_infinite() {
        return format!("{sign}Infinity");
    }
    let decimal = decimal(value.abs(), Decimal::read(shortest), format);
    format!("{sign}{}", decimal.text(&format.plain_exponents))
}

/// The digits that PostgreSQL chooses for a number.
///
/// They are the shortest ones of the standard library, unless others are as
/// near and end with an even digit, or these lie halfway to another number.
fn decimal(magnitude: f64, shortest: Decimal, format: &Format) -> Decimal {
    // Rounded half to even.
    let rounded = |digits: usize| {
        let places = digits - 1;
        let text = format!("{magnitude:.places$e}");
        let reads_back = (format.read)(&text).is_some_and(|read| is_same(read, magnitude));
        let decimal = Decimal::read(&text);
        (reads_back && !decimal.is_halfway(format.mantissa_bits)).then_some(decimal)
    };
    let length = shortest.digits.len();
    if let Some(decimal) = rounded(length) {
        return decimal;
    }
    if !shortest.is_halfway(format.mantissa_bits) {
        return shortest;
    }
    (length + 1..=format.digits_max).find_map(rounded).unwrap_or(shortest)
}

fn is_same(one: f64, other: f64) -> bool {
    one.to_bits() == other.to_bits()
}

fn read_real(text: &str) -> Option<f64> {
    text.parse::<f32>().ok().map(f64::from)
}

fn read_double(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// A number of at least one digit, with the point behind the first one.
struct Decimal {
    digits: String,
    exponent: i32,
}

impl Decimal {
    /// Takes `d.ddde7` apart.
    fn read(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        Self { digits: mantissa.replace('.', ""), exponent: exponent.parse().unwrap_or(0) }
    }

    /// Whether it lies halfway between two numbers with so many bits, and so
    /// takes one bit more.
    fn is_halfway(&self, mantissa_bits: u32) -> bool {
        let bits = |odd: u128| u128::BITS - odd.leading_zeros();
        self.odd_factor().is_some_and(|odd| bits(odd) == mantissa_bits + 1)
    }

    /// What is left of it when it is halved as often as it can be; `None` for
    /// zero, for fractions, and for what is too long to lie halfway.
    ///
    /// A fraction that lies halfway has more digits than both its neighbours.
    fn odd_factor(&self) -> Option<u128> {
        let exponent = u32::try_from(self.exponent).ok()?;
        let places = u32::try_from(self.digits.len() - 1).ok()?;
        let fives = 5_u128.checked_pow(exponent.checked_sub(places)?)?;
        let product = fives.checked_mul(self.digits.parse().ok()?)?;
        product.checked_shr(product.trailing_zeros())
    }

    fn text(&self, plain_exponents: &Range<i32>) -> String {
        let Self { digits, exponent } = self;
        if !plain_exponents.contains(exponent) {
            let (first, rest) = digits.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            return format!("{first}{point}{rest}e{exponent:+03}");
        }
        match usize::try_from(*exponent) {
            Ok(places) if digits.len() > places + 1 => {
                let (whole, fraction) = digits.split_at(places + 1);
                format!("{whole}.{fraction}")
            }
            Ok(places) => {
                let width = places + 1;
                format!("{digits:0<width$}")
            }
            Err(_) => {
                let zeros = "0".repeat(usize::try_from(-1 - exponent).unwrap_or(0));
                format!("0.{zeros}{digits}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::numbers::float;
    use super::*;
    use proptest::prelude::*;

    /// Texts that PostgreSQL 15 writes.
    const DOUBLES: [&str; 30] = [
        "0",
        "-0",
        "0.1",
        "-12.75",
        "123456.789",
        "0.0001",
        "0.00012345",
        "1e-05",
        "9.9999e-05",
        "1e-07",
        "100000000000000",
        "123456789012345",
        "999999999999999",
        "999999999999999.9",
        "1e+15",
        "1.5e+15",
        "1.234567890123456e+15",
        "1e+16",
        "1.2345678901234568e+17",
        "1e+22",
        "9.999999999999999e+22",
        "1.9999999999999998e+23",
        "6.189700196426902e+26",
        "1e+300",
        "1.7976931348623157e+308",
        "5e-324",
        "1.1258999068426242e+15",
        "Infinity",
        "-Infinity",
        "NaN",
    ];
    const REALS: [&str; 22] = [
        "0",
        "-0",
        "0.1",
        "0.0001",
        "1e-05",
        "100000",
        "999999",
        "999999.9",
        "123456.7",
        "1e+06",
        "1.234567e+06",
        "9.999999e+06",
        "1e+07",
        "1.6777216e+07",
        "3.3554448e+07",
        "1.5000001e+10",
        "450380.38",
        "1e-45",
        "3.4028235e+38",
        "Infinity",
        "-Infinity",
        "NaN",
    ];

    #[test]
    fn texts_are_those_of_postgresql() {
        for text in DOUBLES {
            let value: f64 = float(text.as_bytes()).expect("a number");
            assert_eq!(double_text(value), text);
        }
        for text in REALS {
            let value: f32 = float(text.as_bytes()).expect("a number");
            assert_eq!(real_text(value), text);
        }
    }

    #[test]
    fn what_lies_halfway_is_written_with_more_digits() {
        let double = |text: &str| double_text(float(text.as_bytes()).expect("a number"));
        assert_eq!(double("1e23"), "9.999999999999999e+22");
        assert_eq!(double("18014398509481990"), "1.8014398509481992e+16");
        assert_eq!(real_text(float(b"33554450").expect("a number")), "3.3554448e+07");
    }

    #[test]
    fn of_two_texts_as_near_the_even_one_is_written() {
        let real = |text: &str| real_text(float(text.as_bytes()).expect("a number"));
        assert_eq!(real("450380.375"), "450380.38");
        assert_eq!(real("206110.125"), "206110.12");
        let double: f64 = float(b"1125899906842624.25").expect("a number");
        assert_eq!(double_text(double), "1.1258999068426242e+15");
    }

    proptest! {
        #[test]
        fn every_number_reads_back(double: f64, single: f32) {
            prop_assume!(!double.is_nan() && !single.is_nan());
            let read = float::<f64>(double_text(double).as_bytes());
            prop_assert_eq!(read.map(f64::to_bits), Ok(double.to_bits()));
            let read = float::<f32>(real_text(single).as_bytes());
            prop_assert_eq!(read.map(f32::to_bits), Ok(single.to_bits()));
        }

        #[test]
        fn whole_numbers_read_back(whole: u64, exponent in 0_i32..40) {
            let double: f64 = format!("{whole}e{exponent}").parse().expect("a number");
            let read = float::<f64>(double_text(double).as_bytes());
            prop_assert_eq!(read.map(f64::to_bits), Ok(double.to_bits()));
        }
    }
}
