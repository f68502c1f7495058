//! Turns decimal numbers into PostgreSQL's binary numeric.
//!
//! Format: `numeric_recv` in PostgreSQL's `src/backend/utils/adt/numeric.c`:
//! four 16-bit words (digit count, weight of the first digit, sign, display
//! scale) and then digits of base 10000, each a 16-bit word.

const SIGN_POSITIVE: u16 = 0x0000;
const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;
const SIGN_INFINITY: u16 = 0xD000;
const SIGN_NEGATIVE_INFINITY: u16 = 0xF000;
/// Decimal digits of one base-10000 digit.
const GROUP_DIGITS: usize = 4;
const GROUP_BASE: u128 = 10_000;
/// Groups of the largest i128, with one split by the decimal point.
const GROUPS_MAX: usize = 12;
/// More digits than any numeric has before and after the decimal point.
const EXPONENT_MAX: i64 = 200_000;

const POWERS_OF_TEN: [u128; 39] = powers_of_ten();

const fn powers_of_ten() -> [u128; 39] {
    let mut powers = [1; 39];
    let mut exponent = 1;
    while exponent < 39 {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
}

/// Appends `unscaled / 10^scale` with its length before it.
///
/// `scale` is 0 to 38, as Decimal128 has it.
pub(super) fn write_decimal(unscaled: i128, scale: u8, out: &mut Vec<u8>) {
    let sign = if unscaled < 0 { SIGN_NEGATIVE } else { SIGN_POSITIVE };
    let magnitude = unscaled.unsigned_abs();
    let scale = usize::from(scale);
    let (whole, fraction) = match u64::try_from(magnitude) {
        // 64-bit division is several times faster, and most numbers are small.
        Ok(small) if scale < 19 => {
            let divisor = u64::try_from(POWERS_OF_TEN[scale]).unwrap_or(u64::MAX);
            (u128::from(small / divisor), u128::from(small % divisor))
        }
        _ => (magnitude / POWERS_OF_TEN[scale], magnitude % POWERS_OF_TEN[scale]),
    };
    // Digits from the last to the first; those of the fraction come first.
    let mut groups = [0_u16; GROUPS_MAX + 10];
    let mut count = 0;
    let partial = scale % GROUP_DIGITS;
    if partial > 0 {
        // The last group of the fraction is filled up with zeros.
        let digits = fraction % POWERS_OF_TEN[partial] * POWERS_OF_TEN[GROUP_DIGITS - partial];
        groups[0] = u16::try_from(digits).unwrap_or(0);
        count = 1;
    }
    push_groups(fraction / POWERS_OF_TEN[partial], scale / GROUP_DIGITS, &mut groups, &mut count);
    let whole_start = count;
    push_groups(whole, 0, &mut groups, &mut count);
    let weight = count - whole_start;
    write_groups(&groups[..count], weight, sign, scale, out);
}

/// Splits a number into groups, the last one first, at least `groups_min` of them.
fn push_groups(mut rest: u128, groups_min: usize, groups: &mut [u16], count: &mut usize) {
    let end_min = *count + groups_min;
    while rest > u128::from(u64::MAX) {
        groups[*count] = u16::try_from(rest % GROUP_BASE).unwrap_or(0);
        rest /= GROUP_BASE;
        *count += 1;
    }
    let mut rest = u64::try_from(rest).unwrap_or(u64::MAX);
    while rest > 0 || *count < end_min {
        groups[*count] = u16::try_from(rest % 10_000).unwrap_or(0);
        rest /= 10_000;
        *count += 1;
    }
}

/// Writes groups given from the last to the first, `weight` of them before the point.
fn write_groups(groups: &[u16], weight: usize, sign: u16, scale: usize, out: &mut Vec<u8>) {
    let trailing_zeros = groups.iter().take_while(|group| **group == 0).count();
    let groups = &groups[trailing_zeros..];
    let leading_zeros = groups.iter().rev().take_while(|group| **group == 0).count();
    let groups = &groups[..groups.len() - leading_zeros];
    if groups.is_empty() {
        return write_header(0, 0, SIGN_POSITIVE, scale, out);
    }
    let first_weight = signed(weight) - signed(leading_zeros) - 1;
    write_header(groups.len(), first_weight, sign, scale, out);
    for group in groups.iter().rev() {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

fn write_header(count: usize, weight: i64, sign: u16, scale: usize, out: &mut Vec<u8>) {
    let length = u32::try_from(8 + 2 * count).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(&i16::try_from(weight).unwrap_or(i16::MAX).to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&u16::try_from(scale).unwrap_or(u16::MAX).to_be_bytes());
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Appends a number written in digits, such as `-12.5e3` or `NaN`; `None` if it is not one.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let text = text.trim();
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (SIGN_NEGATIVE, rest),
        None => (SIGN_POSITIVE, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some(special) = special_sign(unsigned, sign) {
        write_header(0, 0, special, 0, out);
        return Some(());
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    if exponent.abs() > EXPONENT_MAX {
        return None;
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = Vec::with_capacity(mantissa.len() + GROUP_DIGITS);
    digits.extend(whole.bytes().chain(fraction.bytes()));
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let point = signed(whole.len()) + exponent;
    let scale = usize::try_from(signed(fraction.len()) - exponent).unwrap_or(0);
    let (groups, weight) = group(&mut digits, point);
    write_signed_groups(&groups, weight, sign, scale, out);
    Some(())
}

fn special_sign(word: &str, sign: u16) -> Option<u16> {
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    match sign {
        SIGN_POSITIVE if is("nan") => Some(SIGN_NAN),
        SIGN_POSITIVE if is("infinity") || is("inf") => Some(SIGN_INFINITY),
        SIGN_NEGATIVE if is("infinity") || is("inf") => Some(SIGN_NEGATIVE_INFINITY),
        _ => None,
    }
}

/// Groups digits around the decimal point, which lies `point` digits from their
/// start; returns the groups from the first to the last and how many of them
/// lie before the point (negative: zeros between the point and the first).
fn group(digits: &mut Vec<u8>, point: i64) -> (Vec<u16>, i64) {
    let group_digits = signed(GROUP_DIGITS);
    let weight = (point + group_digits - 1).div_euclid(group_digits);
    let zeros_before = usize::try_from(weight * group_digits - point).unwrap_or(0);
    let mut aligned = vec![b'0'; zeros_before];
    aligned.append(digits);
    while aligned.len() % GROUP_DIGITS != 0 {
        aligned.push(b'0');
    }
    let value =
        |group: &[u8]| group.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    (aligned.chunks(GROUP_DIGITS).map(value).collect(), weight)
}

fn write_signed_groups(groups: &[u16], weight: i64, sign: u16, scale: usize, out: &mut Vec<u8>) {
    let leading_zeros = groups.iter().take_while(|group| **group == 0).count();
    let groups = &groups[leading_zeros..];
    let trailing_zeros = groups.iter().rev().take_while(|group| **group == 0).count();
    let groups = &groups[..groups.len() - trailing_zeros];
    if groups.is_empty() {
        return write_header(0, 0, SIGN_POSITIVE, scale, out);
    }
    write_header(groups.len(), weight - signed(leading_zeros) - 1, sign, scale, out);
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(unscaled: i128, scale: u8) -> Vec<u8> {
        let mut out = Vec::new();
        write_decimal(unscaled, scale, &mut out);
        out
    }

    fn text(number: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        write_text(number, &mut out).map(|()| out)
    }

    /// `digits.scale` as a person writes it.
    fn written(unscaled: i128, scale: u8) -> String {
        let sign = if unscaled < 0 { "-" } else { "" };
        let width = usize::from(scale) + 1;
        let digits = format!("{:0width$}", unscaled.unsigned_abs());
        let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
        if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    #[test]
    fn words_of_known_numbers() {
        // select encode(numeric_send(12345.678::numeric(10,3)), 'hex')
        assert_eq!(
            decimal(12_345_678, 3),
            [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 3, 0, 1, 9, 41, 26, 124]
        );
        assert_eq!(decimal(0, 2), [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(decimal(-4, 2), [0, 0, 0, 10, 0, 1, 255, 255, 64, 0, 0, 2, 1, 144]);
        assert_eq!(text("NaN"), Some(vec![0, 0, 0, 8, 0, 0, 0, 0, 192, 0, 0, 0]));
    }

    #[test]
    fn exponents_move_the_point() {
        assert_eq!(text("1.5e3"), text("1500"));
        assert_eq!(text("15e-1"), text("1.5"));
        assert_eq!(text("1e-5"), text("0.00001"));
        assert_eq!(text("1e999999"), None);
        assert_eq!(text("1.2.3"), None);
        assert_eq!(text(""), None);
    }

    proptest! {
        #[test]
        fn both_writers_agree(unscaled in any::<i128>(), scale in 0_u8..=38) {
            prop_assume!(unscaled != i128::MIN);
            prop_assert_eq!(Some(decimal(unscaled, scale)), text(&written(unscaled, scale)));
        }

        #[test]
        fn both_writers_agree_on_small_numbers(unscaled in -100_000_i128..100_000, scale in 0_u8..=8) {
            prop_assert_eq!(Some(decimal(unscaled, scale)), text(&written(unscaled, scale)));
        }
    }
}
