//! Turns numbers that are written in a declared way (`-€1.234,50`, `12,5 %`) into the text that PostgreSQL reads.
//!
//! Invariant: digits are moved, never computed, so that no number loses any.

use std::sync::Arc;

use crate::reject::Code;
use crate::schema::ColumnType;

use super::fields::trim;
use super::format::Percent;
use super::numbers::split_sign;

/// What may stand between groups of three digits.
const THOUSANDS: [&str; 8] = [".", ",", " ", "'", "_", "\u{2019}", "\u{A0}", "\u{202F}"];
/// What may stand between a number and the sign of its currency or of per cent.
const SPACES: [&str; 3] = [" ", "\u{A0}", "\u{202F}"];
/// Digits of a group.
const GROUP_DIGITS: usize = 3;

/// How the numbers of a column are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NumberWords {
    decimal: String,
    thousands: Option<String>,
    /// The longest first, so that none is taken for the beginning of another.
    currency: Vec<String>,
    percent: Option<Percent>,
}

impl NumberWords {
    /// Takes the words of settings; `None` if they are PostgreSQL's own. Err: what to do.
    pub(super) fn new(
        decimal: Option<String>,
        thousands: Option<String>,
        currency: Option<Vec<String>>,
        percent: Option<Percent>,
    ) -> Result<Option<Self>, String> {
        let decimal = decimal.unwrap_or_else(|| ".".to_owned());
        let mut currency = currency.unwrap_or_default();
        check_decimal(&decimal)?;
        if let Some(thousands) = &thousands {
            check_thousands(thousands, &decimal)?;
        }
        for sign in &currency {
            check_currency(sign)?;
        }
        if percent.is_some() && !currency.is_empty() {
            return Err("currency and percent exclude each other: leave one of them out".to_owned());
        }
        if decimal == "." && thousands.is_none() && currency.is_empty() && percent.is_none() {
            return Ok(None);
        }
        currency.sort_by_key(|sign| std::cmp::Reverse(sign.len()));
        Ok(Some(Self { decimal, thousands, currency, percent }))
    }

    /// Writes the number as PostgreSQL reads it behind `plain`, which is empty.
    fn write_plain(&self, text: &[u8], plain: &mut Vec<u8>) -> Option<()> {
        let (outer_sign, rest) = take_sign(text);
        let (inner_sign, rest, has_currency) = match self.strip_currency_before(rest) {
            Some(rest) => {
                let (sign, rest) = take_sign(trim_spaces_before(rest));
                (sign, rest, true)
            }
            None => (None, rest, false),
        };
        let rest = match self.percent {
            Some(_) => trim_spaces_behind(rest.strip_suffix(b"%")?),
            None if has_currency => rest,
            None => self.without_currency_behind(rest),
        };
        match (outer_sign, inner_sign) {
            (Some(_), Some(_)) => return None,
            (Some(sign), None) | (None, Some(sign)) => plain.push(sign),
            (None, None) => {}
        }
        self.write_magnitude(rest, plain)
    }

    fn strip_currency_before<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        self.currency.iter().find_map(|sign| text.strip_prefix(sign.as_bytes()))
    }

    fn without_currency_behind<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let stripped = self.currency.iter().find_map(|sign| text.strip_suffix(sign.as_bytes()));
        stripped.map_or(text, trim_spaces_behind)
    }

    fn write_magnitude(&self, text: &[u8], plain: &mut Vec<u8>) -> Option<()> {
        let start = plain.len();
        let rest = self.write_integer(text, plain)?;
        let (fraction, exponent) = match rest.strip_prefix(self.decimal.as_bytes()) {
            Some(rest) => {
                rest.split_at(rest.iter().take_while(|byte| byte.is_ascii_digit()).count())
            }
            None => (&rest[..0], rest),
        };
        let has_digits = plain.len() > start || !fraction.is_empty();
        // What follows the `e` is left to the parser behind.
        if !has_digits || !matches!(exponent, [] | [b'e' | b'E', ..]) {
            return None;
        }
        if self.percent == Some(Percent::Fraction) {
            shift_two_places(start, plain);
        } else if !fraction.is_empty() {
            plain.push(b'.');
        }
        plain.extend_from_slice(fraction);
        plain.extend_from_slice(exponent);
        Some(())
    }

    /// Writes the digits before the decimal sign, without what stands between
    /// their groups; returns what follows them.
    fn write_integer<'a>(&self, text: &'a [u8], plain: &mut Vec<u8>) -> Option<&'a [u8]> {
        let start = plain.len();
        let mut group_digits = 0;
        let mut is_grouped = false;
        let mut rest = text;
        loop {
            if let [digit @ b'0'..=b'9', behind @ ..] = rest {
                plain.push(*digit);
                group_digits += 1;
                rest = behind;
            } else if let Some(behind) = self.strip_thousands(rest) {
                // `0,001` is a fraction in somebody else's writing, not a thousand.
                let is_group = match plain.get(start) {
                    Some(b'0') | None => false,
                    Some(_) if is_grouped => group_digits == GROUP_DIGITS,
                    Some(_) => group_digits <= GROUP_DIGITS,
                };
                if !is_group {
                    return None;
                }
                is_grouped = true;
                group_digits = 0;
                rest = behind;
            } else {
                break;
            }
        }
        (!is_grouped || group_digits == GROUP_DIGITS).then_some(rest)
    }

    fn strip_thousands<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        text.strip_prefix(self.thousands.as_ref()?.as_bytes())
    }
}

/// Divides the whole number from `start` on by 100: puts the point two places
/// to the left, behind one digit at least.
fn shift_two_places(start: usize, plain: &mut Vec<u8>) {
    while plain.len() - start < 3 {
        plain.insert(start, b'0');
    }
    plain.insert(plain.len() - 2, b'.');
}

fn check_decimal(decimal: &str) -> Result<(), String> {
    let mut characters = decimal.chars();
    let is_sign = |c: char| !c.is_alphanumeric() && !c.is_whitespace() && !c.is_control();
    match (characters.next(), characters.next()) {
        (Some(sign), None) if is_sign(sign) && !"+-%".contains(sign) => Ok(()),
        _ => Err("decimal is one character, such as \",\"".to_owned()),
    }
}

fn check_thousands(thousands: &str, decimal: &str) -> Result<(), String> {
    if !THOUSANDS.contains(&thousands) {
        return Err("thousands is one of \".\", \",\", \" \", \"'\", \"_\", \"\u{2019}\", \
                    a no-break space or a narrow one"
            .to_owned());
    }
    if thousands == decimal {
        return Err(format!(
            "\"{thousands}\" cannot part both thousands and decimals: set decimal to another sign"
        ));
    }
    Ok(())
}

fn check_currency(sign: &str) -> Result<(), String> {
    let is_of_number = |c: char| c.is_numeric() || c.is_control() || "+-%".contains(c);
    if sign.is_empty() || sign.trim() != sign || sign.contains(is_of_number) {
        return Err("currency lists signs such as \"€\" or \"EUR\": \
                    without digits, +, -, %, and without white space around them"
            .to_owned());
    }
    Ok(())
}

fn take_sign(text: &[u8]) -> (Option<u8>, &[u8]) {
    match text {
        [sign @ (b'+' | b'-'), rest @ ..] => (Some(*sign), rest),
        rest => (None, rest),
    }
}

fn trim_spaces_before(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = SPACES.iter().find_map(|space| text.strip_prefix(space.as_bytes())) {
        text = rest;
    }
    text
}

fn trim_spaces_behind(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = SPACES.iter().find_map(|space| text.strip_suffix(space.as_bytes())) {
        text = rest;
    }
    text
}

/// Reads the numbers of one column; its buffer is used again for every field.
pub(super) struct NumberReader {
    words: Arc<NumberWords>,
    plain: Vec<u8>,
    /// Code of fields that are not written as declared.
    refusal: Code,
}

impl NumberReader {
    pub(super) fn new(words: Arc<NumberWords>, column_type: ColumnType) -> Self {
        let refusal = match column_type {
            ColumnType::Smallint | ColumnType::Integer | ColumnType::Bigint => Code::BAD_INTEGER,
            _ => Code::BAD_NUMBER,
        };
        Self { words, plain: Vec::new(), refusal }
    }

    /// The number as PostgreSQL reads it; words such as `NaN` stay what they are.
    pub(super) fn read<'a>(&'a mut self, field: &'a [u8]) -> Result<&'a [u8], Code> {
        let text = trim(field);
        if is_word(split_sign(text).1) {
            return Ok(text);
        }
        self.plain.clear();
        match self.words.write_plain(text, &mut self.plain) {
            Some(()) => Ok(&self.plain),
            None => Err(self.refusal.clone()),
        }
    }
}

fn is_word(magnitude: &[u8]) -> bool {
    let words = [&b"nan"[..], b"infinity", b"inf"];
    words.iter().any(|word| magnitude.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests;
