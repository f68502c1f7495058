//! Turns a sample of values into what most of them look like.

use arrow_array::Array;
use arrow_schema::DataType;
use ferry::values::text_of;

use super::Likeness;
use crate::address::is_email;

/// Fewer values than this say nothing.
const VALUES_MIN: usize = 5;
/// So many of a hundred values must look alike.
const MATCHES_PERCENT_MIN: usize = 60;
const PHONE_SEPARATORS: [char; 6] = [' ', '(', ')', '-', '.', '/'];
const CARD_SEPARATORS: [char; 2] = [' ', '-'];

/// A kind of personal data, and whether a text has its form.
type Form = (Likeness, fn(&str) -> bool);

/// The stricter forms come first: a national number in groups would pass as a phone number.
const FORMS: [Form; 5] = [
    (Likeness::Email, is_email),
    (Likeness::Iban, is_iban),
    (Likeness::NationalNumber, is_social_security_number),
    (Likeness::Card, is_card_number),
    (Likeness::Phone, is_phone_number),
];

/// What most values of a column of text or integers look like.
///
/// NULL and blank values do not count.
pub(super) fn likeness(values: &dyn Array) -> Option<Likeness> {
    let is_readable = matches!(
        values.data_type(),
        DataType::Utf8 | DataType::Int16 | DataType::Int32 | DataType::Int64
    );
    if !is_readable {
        return None;
    }
    let texts: Vec<String> = (0..values.len()).filter_map(|row| text_of(values, row)).collect();
    let texts: Vec<&str> =
        texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect();
    if texts.len() < VALUES_MIN {
        return None;
    }
    for (likeness, is_like) in FORMS {
        let matching = texts.iter().filter(|text| is_like(text)).count();
        if matching * 100 >= texts.len() * MATCHES_PERCENT_MIN {
            return Some(likeness);
        }
    }
    None
}

/// What one text looks like.
pub(super) fn likeness_of_text(text: &str) -> Option<Likeness> {
    FORMS.iter().find(|(_, is_like)| is_like(text.trim())).map(|(likeness, _)| *likeness)
}

/// Eight to fifteen digits after a plus sign or in groups; digits alone may count anything.
fn is_phone_number(text: &str) -> bool {
    let number = text.strip_prefix('+').unwrap_or(text);
    let has_plus = number.len() < text.len();
    let is_digit = |character: char| character.is_ascii_digit();
    let is_part = |character: char| is_digit(character) || PHONE_SEPARATORS.contains(&character);
    let digit_count = number.chars().filter(char::is_ascii_digit).count();
    let begins_well = number.starts_with(|first: char| is_digit(first) || first == '(');
    let is_shaped = number.chars().all(is_part) && begins_well && number.ends_with(is_digit);
    if !is_shaped || !(8..=15).contains(&digit_count) || is_decimal(number) {
        return false;
    }
    let groups = groups(number, &PHONE_SEPARATORS);
    has_plus || (groups.len() > 1 && !begins_with_date(&groups) && !is_host_address(number))
}

/// The parts between separators.
fn groups<'a>(text: &'a str, separators: &[char]) -> Vec<&'a str> {
    text.split(separators).filter(|group| !group.is_empty()).collect()
}

/// `1234567.89` or `1.234.567`.
fn is_decimal(text: &str) -> bool {
    let mut parts = text.split('.');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(first) || !rest.iter().all(|part| is_digits(part)) {
        return false;
    }
    match rest.len() {
        0 => false,
        1 => true,
        _ => first.len() <= 3 && rest.iter().all(|part| part.len() == 3),
    }
}

/// `2024-01-31`, `31.01.2024`, `20240131120000` or `2023/2024`; the groups are digits.
fn begins_with_date(groups: &[&str]) -> bool {
    match groups {
        [from, until] if is_year(from) && is_year(until) => true,
        [year, month, day, ..] if year.len() == 4 => is_date(year, month, day),
        [day, month, year, ..] if year.len() == 4 => is_date(year, month, day),
        [digits, ..] if digits.len() >= 8 => is_date(&digits[..4], &digits[4..6], &digits[6..8]),
        _ => false,
    }
}

/// Month and day in either order.
fn is_date(year: &str, first: &str, second: &str) -> bool {
    let number = |group: &str| if group.len() <= 2 { group.parse().unwrap_or(0) } else { 0_u8 };
    let (first, second) = (number(first), number(second));
    let has_day = (1..=31).contains(&first.max(second));
    let has_month = (1..=12).contains(&first.min(second));
    is_year(year) && has_day && has_month
}

fn is_year(group: &str) -> bool {
    group.len() == 4 && group.parse::<u16>().is_ok_and(|year| (1800..2200).contains(&year))
}

/// Four bytes with dots between them, also with the length of a network's prefix.
fn is_host_address(text: &str) -> bool {
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    let bytes: Vec<&str> = address.split('.').collect();
    bytes.len() == 4 && bytes.iter().all(|byte| byte.parse::<u8>().is_ok())
}

/// ISO/IEC 7812: thirteen to nineteen digits, of which the last one checks the others.
fn is_card_number(text: &str) -> bool {
    let is_part =
        |character: char| character.is_ascii_digit() || CARD_SEPARATORS.contains(&character);
    let begins_well = text.starts_with(|first: char| ('2'..='6').contains(&first));
    // No card begins with a date, but one timestamp in ten passes the check.
    if !begins_well
        || !text.chars().all(is_part)
        || begins_with_date(&groups(text, &CARD_SEPARATORS))
    {
        return false;
    }
    let digits: Vec<u32> = text.chars().filter_map(|character| character.to_digit(10)).collect();
    (13..=19).contains(&digits.len()) && luhn_sum(&digits).is_multiple_of(10)
}

/// The sum of the digits, every second one from the end doubled.
fn luhn_sum(digits: &[u32]) -> u32 {
    let mut sum = 0;
    for (place, digit) in digits.iter().rev().enumerate() {
        let doubled = if place % 2 == 1 { digit * 2 } else { *digit };
        sum += if doubled > 9 { doubled - 9 } else { doubled };
    }
    sum
}

/// ISO 13616: country, two check digits, account; spaces do not count.
fn is_iban(text: &str) -> bool {
    let characters: Vec<u8> =
        text.bytes().filter(|byte| *byte != b' ').map(|byte| byte.to_ascii_uppercase()).collect();
    let Some((start, account)) = characters.split_at_checked(4) else {
        return false;
    };
    let (country, check) = start.split_at(2);
    country.iter().all(u8::is_ascii_alphabetic)
        && check.iter().all(u8::is_ascii_digit)
        && (11..=30).contains(&account.len())
        && account.iter().all(u8::is_ascii_alphanumeric)
        && remainder_97(&[account, start].concat()) == 1
}

/// The remainder of the number that the characters give, a letter standing for 10 to 35.
fn remainder_97(characters: &[u8]) -> u32 {
    let mut remainder = 0;
    for character in characters {
        let value = char::from(*character).to_digit(36).unwrap_or(0);
        let shift = if value < 10 { 10 } else { 100 };
        remainder = (remainder * shift + value) % 97;
    }
    remainder
}

/// A number of the United States' social security: `ddd-dd-dddd`.
fn is_social_security_number(text: &str) -> bool {
    let is_in_place = |(place, byte): (usize, u8)| match place {
        3 | 6 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    text.len() == 11 && text.bytes().enumerate().all(is_in_place)
}

#[cfg(test)]
mod tests {
    use arrow_array::{Float64Array, Int64Array, StringArray};

    use super::*;

    fn likeness_of(values: &[&str]) -> Option<Likeness> {
        likeness(&StringArray::from(values.to_vec()))
    }

    /// Asserts for each value alone, so that no value hides behind the others.
    #[track_caller]
    fn assert_each(values: &[&str], expected: Option<Likeness>) {
        for value in values {
            assert_eq!(likeness_of(&[*value; VALUES_MIN]), expected, "{value}");
        }
    }

    #[test]
    fn emails() {
        assert_each(&["ann@x.example", " Bob.B+c@mail.x.example "], Some(Likeness::Email));
    }

    #[test]
    fn phone_numbers() {
        let numbers = [
            "+12025550123",
            "+49 30 901820",
            "(202) 555-0123",
            "202-555-0123",
            "202.555.0123",
            "1 202 555 0123",
            "030/9018200",
            "01 23 45 67 89",
            "+44 (0)20 7946 0958",
            "601 234 567",
        ];
        assert_each(&numbers, Some(Likeness::Phone));
    }

    #[test]
    fn national_numbers() {
        assert_each(&["078-05-1120", "219-09-9999"], Some(Likeness::NationalNumber));
    }

    #[test]
    fn cards() {
        let numbers = [
            "4111111111111111",
            "5500 0000 0000 0004",
            "3400-000000-00009",
            "6011000000000004",
            "30000000000004",
            "2223003122003222",
        ];
        assert_each(&numbers, Some(Likeness::Card));
        let wrong_sum = ["4111111111111112", "5500000000000040"];
        assert_each(&wrong_sum, None);
    }

    #[test]
    fn ibans() {
        let numbers = [
            "DE89370400440532013000",
            "GB82 WEST 1234 5698 7654 32",
            "fr1420041010050500013m02606",
            "NL91ABNA0417164300",
            "NO9386011117947",
        ];
        assert_each(&numbers, Some(Likeness::Iban));
        assert_each(&["DE88370400440532013000", "DE8937040044", "DE89é704004405320130"], None);
    }

    #[test]
    fn what_only_resembles_a_person_is_left_alone() {
        let others = [
            // Dates and times.
            "2024-01-31",
            "31.01.2024",
            "01/31/2024",
            "2024 1 31",
            "20240131",
            "2023/2024",
            "2024-01-31 12:30:00",
            "2024-01-31T12:30:00Z",
            "2024-01-31 12.30.00",
            "20240131123000",
            "20240131 123000",
            // Numbers.
            "12345678.90",
            "-12345678.90",
            "+12345678.90",
            "-12345678",
            "1.234.567.890",
            "1,234,567.89",
            "1e10",
            // Orders and other counters.
            "1234567890",
            "20240131000017",
            "A-2024-000017",
            // Identifiers and addresses of hosts.
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "12345678-1234-1234-1234-123456789012",
            "192.168.100.200",
            "192.168.100.0/24",
            "2001:db8::1",
            // Words.
            "Rotterdam",
            "ann at x.example",
            "()-./ ()-./",
        ];
        assert_each(&others, None);
    }

    #[test]
    fn integers_are_read_too() {
        let cards = Int64Array::from(vec![4_111_111_111_111_111; 5]);
        assert_eq!(likeness(&cards), Some(Likeness::Card));
        let orders = Int64Array::from(vec![1_234_567_890, -1_234_567_890, 7, 8, 9]);
        assert_eq!(likeness(&orders), None);
        assert_eq!(likeness(&Float64Array::from(vec![4_111_111_111_111_111.0; 5])), None);
    }

    #[test]
    fn three_of_five_values_are_enough_and_four_values_are_not() {
        let ann = "ann@x.example";
        assert_eq!(likeness_of(&[ann, ann, ann, "?", "-"]), Some(Likeness::Email));
        assert_eq!(likeness_of(&[ann, ann, "x", "?", "-"]), None);
        assert_eq!(likeness_of(&[ann; 4]), None);
    }

    #[test]
    fn nulls_and_blanks_do_not_count() {
        let ann = Some("ann@x.example");
        let mut values = vec![None, Some(""), Some(" "), None, Some("\t"), None];
        values.extend([ann; 4]);
        assert_eq!(likeness(&StringArray::from(values.clone())), None, "four are too few");
        values.push(ann);
        assert_eq!(likeness(&StringArray::from(values)), Some(Likeness::Email));
    }
}
