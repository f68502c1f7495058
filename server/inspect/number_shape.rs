//! Turns the digits of a field, and the signs between them, into the ways in which they can be a number.

/// Digits that fit a `u64` whatever they are.
const SAFE_DIGITS: u16 = 19;
/// Digits of a group.
const GROUP_DIGITS: u16 = 3;
/// What may stand between digits.
const SEPARATORS: [&str; 8] = [".", ",", " ", "'", "_", "\u{2019}", "\u{A0}", "\u{202F}"];
const POINT: usize = 0;
const COMMA: usize = 1;

/// The ways of writing a number, as bits: a sign before the fraction, and one
/// between thousands.
pub(super) mod styles {
    use super::{COMMA, POINT, SEPARATORS};

    /// A way of writing numbers.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in crate::inspect) struct Style {
        /// Whether a comma stands before the fraction, not a point.
        pub(in crate::inspect) has_comma: bool,
        pub(in crate::inspect) thousands: Option<&'static str>,
    }

    /// Bit 0: a point and nothing between thousands. Bit 1: the same with a
    /// comma. Bits 2 and 3: the first separator between thousands, and so on.
    /// One sign cannot be both.
    pub(in crate::inspect) const ALL: u32 = 0x3_FFFF & !(1 << 2) & !(1 << 5);
    const ODD: u32 = 0x2_AAAA;

    /// Ways with this sign before the fraction.
    pub(super) fn with_decimal(separator: usize) -> u32 {
        match separator {
            POINT => ALL & !ODD,
            COMMA => ALL & ODD,
            _ => 0,
        }
    }

    /// Ways with this sign between thousands.
    pub(super) fn with_thousands(separator: usize) -> u32 {
        ALL & (0b11 << (2 * separator + 2))
    }

    /// The way that needs the fewest words.
    pub(in crate::inspect) fn simplest(alive: u32) -> Option<Style> {
        if alive == 0 {
            return None;
        }
        let bit = usize::try_from(alive.trailing_zeros()).ok()?;
        let thousands = (bit / 2).checked_sub(1).and_then(|index| SEPARATORS.get(index));
        Some(Style { has_comma: bit % 2 == 1, thousands: thousands.copied() })
    }

    /// Whether all points may stand between thousands as well.
    pub(in crate::inspect) fn may_be_grouped_by_points(alive: u32) -> bool {
        alive & with_thousands(POINT) != 0
    }

    /// Whether `1,234` may be one and a bit, or more than a thousand.
    pub(in crate::inspect) fn is_ambiguous(alive: u32) -> bool {
        let is_plain = alive & 1 != 0;
        let may_be_decimal = alive & (1 << 1) != 0;
        !is_plain && may_be_decimal && alive & with_thousands(COMMA) != 0
    }
}

/// What stands in a field beside signs of currencies and the like.
pub(super) struct Body {
    /// Ways of writing in which this is a number.
    pub(super) styles: u32,
    pub(super) digits: u16,
    /// Digits of the fraction if it stands behind a point.
    pub(super) point_scale: u16,
    /// The same for a comma.
    pub(super) comma_scale: u16,
    /// How many signs stand between digits.
    pub(super) separators: u16,
    pub(super) has_exponent: bool,
    /// Whether a zero stands where PostgreSQL would drop it.
    pub(super) begins_with_extra_zero: bool,
    /// All digits as one number, if there are few enough.
    pub(super) unscaled: Option<u64>,
    /// The number, if it has an exponent.
    float: Option<f64>,
}

impl Body {
    /// About the number, near enough to order it among others.
    pub(super) fn value(&self, scale: u16) -> Option<f64> {
        const HALF: u64 = 1_000_000_000;
        if self.has_exponent {
            return self.float;
        }
        let unscaled = self.unscaled?;
        let high = f64::from(u32::try_from(unscaled / HALF).ok()?);
        let low = f64::from(u32::try_from(unscaled % HALF).ok()?);
        Some((high * 1e9 + low) / 10_f64.powi(i32::from(scale)))
    }
}

/// Reads digits and the signs between them; `None` if there is anything else.
pub(super) fn read_body(text: &[u8]) -> Option<Body> {
    let mut walk = Walk::default();
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            walk.take_digit(digit);
            rest = behind;
        } else if matches!(byte, b'e' | b'E') {
            return with_exponent(text, &walk);
        } else {
            let (separator, behind) = split_separator(rest)?;
            walk.take_separator(separator);
            rest = behind;
        }
    }
    walk.end()
}

fn split_separator(text: &[u8]) -> Option<(usize, &[u8])> {
    let strip = |(index, sign): (usize, &&str)| {
        text.strip_prefix(sign.as_bytes()).map(|rest| (index, rest))
    };
    SEPARATORS.iter().enumerate().find_map(strip)
}

/// A number in powers of ten is written PostgreSQL's way or not at all.
fn with_exponent(text: &[u8], walk: &Walk) -> Option<Body> {
    let is_mantissa = walk.digits > 0 && (walk.separators == 0 || walk.is_one_point());
    let number = std::str::from_utf8(text).ok().filter(|_| is_mantissa)?;
    let float: f64 = number.parse().ok().filter(|float: &f64| float.is_finite())?;
    Some(Body {
        styles: 1,
        digits: walk.digits,
        point_scale: 0,
        comma_scale: 0,
        separators: 0,
        has_exponent: true,
        begins_with_extra_zero: false,
        unscaled: None,
        float: Some(float),
    })
}

/// What was seen on the way through a field.
#[derive(Default)]
struct Walk {
    digits: u16,
    /// Digits behind the last separator.
    group: u16,
    /// Digits before the first one.
    first_group: u16,
    begins_with_zero: bool,
    unscaled: Option<u64>,
    separators: u16,
    last: usize,
    /// The separator before the last one, and whether one before that differs.
    before_last: Option<usize>,
    is_mixed: bool,
    /// Whether a group between two separators has not three digits.
    has_odd_group: bool,
}

impl Walk {
    #[inline]
    fn take_digit(&mut self, digit: u8) {
        if self.digits == 0 {
            self.begins_with_zero = digit == 0;
            self.unscaled = Some(0);
        }
        self.digits = self.digits.saturating_add(1);
        self.group = self.group.saturating_add(1);
        self.unscaled = match self.unscaled {
            Some(unscaled) if self.digits <= SAFE_DIGITS => Some(unscaled * 10 + u64::from(digit)),
            _ => None,
        };
    }

    fn take_separator(&mut self, separator: usize) {
        if self.separators == 0 {
            self.first_group = self.group;
        } else {
            self.has_odd_group |= self.group != GROUP_DIGITS;
            self.is_mixed |= self.before_last.is_some_and(|known| known != self.last);
            self.before_last = Some(self.last);
        }
        self.last = separator;
        self.separators = self.separators.saturating_add(1);
        self.group = 0;
    }

    fn is_one_point(&self) -> bool {
        self.separators == 1 && self.last == POINT
    }

    fn end(self) -> Option<Body> {
        // PostgreSQL reads `1.` as well, but who writes that?
        if self.digits == 0 || (self.separators > 0 && self.group == 0) {
            return None;
        }
        if self.separators == 0 {
            let has_extra_zero = self.begins_with_zero && self.digits > 1;
            return Some(self.body(styles::ALL, [0, 0], has_extra_zero));
        }
        let begins_well = (1..=GROUP_DIGITS).contains(&self.first_group) && !self.begins_with_zero;
        let is_grouped = begins_well && !self.has_odd_group && !self.is_mixed;
        let mut fitting = 0_u32;
        let mut scales = [0, 0];
        let one_before = self.before_last;
        let is_decimal = match one_before {
            None => true,
            Some(thousands) => is_grouped && thousands != self.last,
        };
        if is_decimal && matches!(self.last, POINT | COMMA) {
            fitting |= match one_before {
                None => styles::with_decimal(self.last),
                Some(thousands) => {
                    styles::with_decimal(self.last) & styles::with_thousands(thousands)
                }
            };
            scales[self.last] = self.group;
        }
        let is_one_sign = one_before.is_none_or(|before| before == self.last);
        if is_grouped && is_one_sign && self.group == GROUP_DIGITS {
            fitting |= styles::with_thousands(self.last);
        }
        if fitting == 0 {
            return None;
        }
        let has_extra_zero = self.begins_with_zero && self.first_group > 1;
        Some(self.body(fitting, scales, has_extra_zero))
    }

    fn body(
        &self,
        styles: u32,
        [point_scale, comma_scale]: [u16; 2],
        has_extra_zero: bool,
    ) -> Body {
        Body {
            styles,
            digits: self.digits,
            point_scale,
            comma_scale,
            separators: self.separators,
            has_exponent: false,
            begins_with_extra_zero: has_extra_zero,
            unscaled: self.unscaled,
            float: None,
        }
    }
}
