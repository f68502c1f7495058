//! Turns fields into what the numbers of a column have in common: their digits, and how they are written.
//!
//! Invariant: each field is read once, in every way of writing that still fits
//! all fields before it; what fits several ways in the end is told apart, or not at all.

use ferry::schema::{ColumnType, Precision};
use ferry::values::{FormatWords, Percent};

use super::fit::Fit;
use super::number_shape::{Body, read_body, styles};

/// Signs of currencies that are looked for, the longer ones first.
const CURRENCIES: [&str; 8] = ["EUR", "USD", "GBP", "CHF", "€", "$", "£", "¥"];
const SPACES: [&str; 3] = [" ", "\u{A0}", "\u{202F}"];
/// In any case; a type of floating-point numbers takes them.
const INFINITIES: [&str; 2] = ["inf", "infinity"];
/// PostgreSQL's limit on the precision of a declared numeric.
const PRECISION_MAX: u16 = 1000;

/// The numbers of one column.
#[derive(Default)]
pub(super) struct Numbers {
    pub(super) fit: Fit,
    /// Ways of writing that fit all fields so far; none before the first.
    styles: Option<u32>,
    /// Whether groups of digits differ in number, as they do in numbers and not in names.
    groups_min: u16,
    groups_max: u16,
    currencies: u8,
    percents: u64,
    /// Words such as `inf`.
    infinities: u64,
    has_exponent: bool,
    /// By the sign before the fraction: a point, a comma.
    digits: [Digits; 2],
}

/// What the digits of a column are if one sign stands before the fraction.
#[derive(Default)]
struct Digits {
    integer_max: u16,
    scale_max: u16,
    width: Width,
    smallest: Option<Extreme>,
    largest: Option<Extreme>,
}

/// The narrowest type of whole numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    #[default]
    Smallint,
    Integer,
    Bigint,
    Wider,
}

struct Extreme {
    value: f64,
    text: Vec<u8>,
}

/// How the numbers of a column are to be declared.
pub(super) enum NumberChoice {
    Typed {
        column_type: ColumnType,
        words: Box<FormatWords>,
        smallest: Option<String>,
        largest: Option<String>,
        /// Whether each fraction may be a group of thousands: `1.234`.
        may_be_grouped: bool,
    },
    /// A comma may stand before a fraction or between thousands.
    Ambiguous,
}

impl Numbers {
    #[inline]
    pub(super) fn take(&mut self, field: &[u8]) {
        if self.fit.is_out() {
            return;
        }
        match self.read(field) {
            Reading::Fits => self.fit.note(true),
            Reading::Differs => self.fit.note(false),
            // Leading zeros and plus signs are kept by text alone.
            Reading::Name => self.fit.give_up(),
        }
    }

    /// How to declare the column, if its numbers have one type.
    pub(super) fn choose(&self) -> Option<NumberChoice> {
        let alive = self.styles?;
        let has_percent = self.percents > 0;
        if has_percent && (self.percents != self.fit.fits() || self.currencies != 0) {
            return None;
        }
        let style = styles::simplest(alive)?;
        let is_plain = !style.has_comma && style.thousands.is_none() && self.currencies == 0;
        if self.infinities > 0 && (has_percent || !is_plain) {
            return None;
        }
        if styles::is_ambiguous(alive) {
            return Some(NumberChoice::Ambiguous);
        }
        let digits = &self.digits[usize::from(style.has_comma)];
        if style.thousands.is_some() && self.groups_min == self.groups_max && digits.scale_max == 0
        {
            return None;
        }
        let words = FormatWords {
            decimal: style.has_comma.then(|| ",".to_owned()),
            thousands: style.thousands.map(str::to_owned),
            currency: (self.currencies != 0).then(|| self.currency_signs()),
            percent: has_percent.then_some(Percent::Number),
            ..FormatWords::default()
        };
        let shown = |extreme: &Option<Extreme>| {
            extreme.as_ref().map(|extreme| String::from_utf8_lossy(&extreme.text).into_owned())
        };
        Some(NumberChoice::Typed {
            column_type: self.column_type(digits),
            words: Box::new(words),
            smallest: shown(&digits.smallest),
            largest: shown(&digits.largest),
            may_be_grouped: !style.has_comma
                && style.thousands.is_none()
                && digits.scale_max > 0
                && styles::may_be_grouped_by_points(alive),
        })
    }

    fn column_type(&self, digits: &Digits) -> ColumnType {
        if self.has_exponent || self.infinities > 0 {
            return ColumnType::DoublePrecision;
        }
        match (digits.scale_max, digits.width) {
            (0, Width::Smallint) => return ColumnType::Smallint,
            (0, Width::Integer) => return ColumnType::Integer,
            (0, Width::Bigint) => return ColumnType::Bigint,
            _ => {}
        }
        let precision = digits.integer_max.saturating_add(digits.scale_max);
        let fits = precision <= PRECISION_MAX;
        ColumnType::Numeric(fits.then_some(Precision { precision, scale: digits.scale_max }))
    }

    fn currency_signs(&self) -> Vec<String> {
        let is_seen = |index: &usize| self.currencies & (1_u8 << *index) != 0;
        (0..CURRENCIES.len()).filter(is_seen).map(|index| CURRENCIES[index].to_owned()).collect()
    }

    fn read(&mut self, field: &[u8]) -> Reading {
        let text = field.trim_ascii();
        let (is_negative, text) = strip_minus(text);
        if INFINITIES.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(text)) {
            self.infinities += 1;
            return Reading::Fits;
        }
        let (currency_before, text) = strip_currency_before(text);
        let (is_negative, text) = match currency_before {
            Some(_) if !is_negative => strip_minus(text),
            _ => (is_negative, text),
        };
        if text.first() == Some(&b'+') {
            return Reading::Name;
        }
        let (is_percent, text) = strip_percent(text);
        let (currency_behind, text) = match currency_before {
            Some(_) => (None, text),
            None => strip_currency_behind(text),
        };
        let Some(body) = read_body(text) else {
            return Reading::Differs;
        };
        if body.begins_with_extra_zero {
            return Reading::Name;
        }
        let alive = self.styles.unwrap_or(styles::ALL) & body.styles;
        let is_plain = currency_before.is_none() && currency_behind.is_none() && !is_percent;
        if alive == 0 || (body.has_exponent && !is_plain) {
            return Reading::Differs;
        }
        self.groups_min = if self.styles.is_none() {
            body.separators
        } else {
            self.groups_min.min(body.separators)
        };
        self.groups_max = self.groups_max.max(body.separators);
        self.styles = Some(alive);
        for index in [currency_before, currency_behind].into_iter().flatten() {
            self.currencies |= 1_u8 << index;
        }
        self.percents += u64::from(is_percent);
        self.has_exponent |= body.has_exponent;
        for (has_comma, digits) in [false, true].into_iter().zip(&mut self.digits) {
            digits.take(&body, has_comma, is_negative, field);
        }
        Reading::Fits
    }
}

/// What a field is, beside the fields before it.
enum Reading {
    Fits,
    Differs,
    /// Digits that name something and count nothing.
    Name,
}

impl Digits {
    fn take(&mut self, body: &Body, has_comma: bool, is_negative: bool, field: &[u8]) {
        let scale = if has_comma { body.comma_scale } else { body.point_scale };
        self.scale_max = self.scale_max.max(scale);
        self.integer_max = self.integer_max.max(body.digits.saturating_sub(scale));
        self.width = self.width.max(width(body));
        let Some(magnitude) = body.value(scale) else {
            return;
        };
        let value = if is_negative { -magnitude } else { magnitude };
        if self.smallest.as_ref().is_none_or(|known| value < known.value) {
            keep(&mut self.smallest, value, field);
        }
        if self.largest.as_ref().is_none_or(|known| value > known.value) {
            keep(&mut self.largest, value, field);
        }
    }
}

fn keep(extreme: &mut Option<Extreme>, value: f64, field: &[u8]) {
    match extreme {
        Some(extreme) => {
            extreme.value = value;
            extreme.text.clear();
            extreme.text.extend_from_slice(field);
        }
        None => *extreme = Some(Extreme { value, text: field.to_vec() }),
    }
}

/// The smallest numbers of each type have no positive twin: they get the next wider type.
fn width(body: &Body) -> Width {
    const SMALLINT_MAX: u64 = 32_767;
    const INTEGER_MAX: u64 = 2_147_483_647;
    const BIGINT_MAX: u64 = 9_223_372_036_854_775_807;

    match body.unscaled {
        Some(0..=SMALLINT_MAX) => Width::Smallint,
        Some(0..=INTEGER_MAX) => Width::Integer,
        Some(0..=BIGINT_MAX) => Width::Bigint,
        _ => Width::Wider,
    }
}

fn strip_minus(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    }
}

fn strip_percent(text: &[u8]) -> (bool, &[u8]) {
    match text.strip_suffix(b"%") {
        Some(rest) => (true, without_spaces_behind(rest)),
        None => (false, text),
    }
}

fn strip_currency_before(text: &[u8]) -> (Option<usize>, &[u8]) {
    if text.first().is_none_or(u8::is_ascii_digit) {
        return (None, text);
    }
    for (index, sign) in CURRENCIES.iter().enumerate() {
        if let Some(rest) = text.strip_prefix(sign.as_bytes()) {
            return (Some(index), without_spaces_before(rest));
        }
    }
    (None, text)
}

fn strip_currency_behind(text: &[u8]) -> (Option<usize>, &[u8]) {
    if text.last().is_none_or(u8::is_ascii_digit) {
        return (None, text);
    }
    for (index, sign) in CURRENCIES.iter().enumerate() {
        if let Some(rest) = text.strip_suffix(sign.as_bytes()) {
            return (Some(index), without_spaces_behind(rest));
        }
    }
    (None, text)
}

fn without_spaces_before(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = SPACES.iter().find_map(|space| text.strip_prefix(space.as_bytes())) {
        text = rest;
    }
    text
}

fn without_spaces_behind(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = SPACES.iter().find_map(|space| text.strip_suffix(space.as_bytes())) {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests;
