//! Numbers in many writings become the text that PostgreSQL reads, or are refused.

use proptest::prelude::*;

use super::super::numeric::numeric_text;
use super::*;

/// Words of settings, shorter to write.
#[derive(Default)]
struct Setting {
    decimal: &'static str,
    thousands: &'static str,
    currency: &'static [&'static str],
    percent: Option<Percent>,
}

fn reader(setting: &Setting) -> NumberReader {
    let owned = |word: &str| (!word.is_empty()).then(|| word.to_owned());
    let currency = setting.currency.iter().map(|sign| (*sign).to_owned()).collect();
    let words = NumberWords::new(
        owned(setting.decimal),
        owned(setting.thousands),
        Some(currency),
        setting.percent,
    );
    let words = words.expect("words").expect("not plain");
    NumberReader::new(Arc::new(words), ColumnType::Numeric(None))
}

fn read(setting: &Setting, field: &str) -> Result<String, Code> {
    let mut reader = reader(setting);
    let plain = reader.read(field.as_bytes())?;
    Ok(String::from_utf8(plain.to_vec()).expect("UTF-8"))
}

#[track_caller]
fn assert_reads(setting: &Setting, examples: &[(&str, &str)]) {
    for (field, plain) in examples {
        assert_eq!(read(setting, field).as_deref(), Ok(*plain), "{field}");
    }
}

#[track_caller]
fn assert_refuses(setting: &Setting, fields: &[&str]) {
    for field in fields {
        assert_eq!(read(setting, field), Err(Code::BAD_NUMBER), "{field}");
    }
}

#[test]
fn a_comma_is_a_decimal_sign() {
    let setting = Setting { decimal: ",", ..Setting::default() };
    assert_reads(
        &setting,
        &[
            ("12,50", "12.50"),
            (" -0,5 ", "-0.5"),
            (",5", ".5"),
            ("5,", "5"),
            ("+7", "+7"),
            ("1,5e3", "1.5e3"),
            ("NaN", "NaN"),
            ("-Infinity", "-Infinity"),
        ],
    );
    assert_refuses(&setting, &["", "-", ",", "1.5", "1,5,0", "1 5", "--1", "€1", "1%", "abc"]);
}

#[test]
fn thousands_stand_between_groups_of_three() {
    let german = Setting { decimal: ",", thousands: ".", ..Setting::default() };
    assert_reads(
        &german,
        &[
            ("1.234.567,89", "1234567.89"),
            ("-12.345", "-12345"),
            ("123.456", "123456"),
            ("1234567,5", "1234567.5"),
            ("999", "999"),
        ],
    );
    assert_refuses(
        &german,
        &["1.23", "1.2345", "1234.567", ".123", "1..234", "1.234.", "1,234.567", "0.001", "01.234"],
    );
    let swiss = Setting { thousands: "'", ..Setting::default() };
    assert_reads(&swiss, &[("1'234.50", "1234.50")]);
    let french = Setting { decimal: ",", thousands: "\u{202F}", ..Setting::default() };
    assert_reads(&french, &[("1\u{202F}234\u{202F}567,5", "1234567.5")]);
    assert_refuses(&french, &["1 234", "1\u{A0}234"]);
}

#[test]
fn currencies_stand_before_or_behind() {
    let setting = Setting {
        decimal: ",",
        thousands: " ",
        currency: &["€", "EUR", "EU"],
        ..Setting::default()
    };
    assert_reads(
        &setting,
        &[
            ("5", "5"),
            ("€5", "5"),
            ("€ 5", "5"),
            ("-€5", "-5"),
            ("€-5", "-5"),
            ("€ -5", "-5"),
            ("-5 €", "-5"),
            ("1 234,50 EUR", "1234.50"),
            ("EUR1 234", "1234"),
            ("EU\u{A0}5", "5"),
            ("5\u{202F}€", "5"),
        ],
    );
    assert_refuses(&setting, &["5-€", "-€-5", "€5€", "$5", "€", "-€", "- 5", "5 € x", "eur 5"]);
}

#[test]
fn per_cent_moves_the_point() {
    let fraction = Setting { percent: Some(Percent::Fraction), ..Setting::default() };
    assert_reads(
        &fraction,
        &[
            ("12.5%", "0.125"),
            ("-5 %", "-0.05"),
            ("100%", "1.00"),
            ("1234%", "12.34"),
            (".5%", "0.005"),
            ("0%", "0.00"),
            ("1.25e1%", "0.0125e1"),
            (
                "0.1234567890123456789012345678901234567890%",
                "0.001234567890123456789012345678901234567890",
            ),
            ("NaN", "NaN"),
        ],
    );
    assert_refuses(&fraction, &["12.5", "%", "-%", ".%", "%5", "5%%"]);
    let number = Setting { decimal: ",", percent: Some(Percent::Number), ..Setting::default() };
    assert_reads(&number, &[("12,5%", "12.5"), ("100\u{A0}%", "100")]);
    assert_refuses(&number, &["12,5"]);
}

#[test]
fn integers_are_refused_as_integers() {
    let words = NumberWords::new(None, Some(",".to_owned()), None, None).expect("words");
    let mut reader = NumberReader::new(Arc::new(words.expect("some")), ColumnType::Bigint);
    assert_eq!(reader.read(b"1,234"), Ok(&b"1234"[..]));
    assert_eq!(reader.read(b"1,23"), Err(Code::BAD_INTEGER));
}

/// The digits with a sign between groups of three.
fn grouped(digits: &str, sign: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push_str(sign);
        }
        text.push(digit);
    }
    text
}

proptest! {
    #[test]
    fn every_decimal_reads_back(value: i128, places in 0_usize..12) {
        let digits = format!("{:0>width$}", value.unsigned_abs(), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let minus = if value < 0 { "-" } else { "" };
        let point = if places == 0 { "" } else { "." };
        let comma = if places == 0 { "" } else { "," };
        let written = format!("{minus}{}{comma}{fraction} €", grouped(whole, "."));
        let setting = Setting { decimal: ",", thousands: ".", currency: &["€"], percent: None };
        prop_assert_eq!(read(&setting, &written), Ok(format!("{minus}{whole}{point}{fraction}")));
    }

    #[test]
    fn what_is_read_is_a_number(field in "[-+0-9.,€% eE]{0,12}") {
        let setting = Setting { decimal: ",", thousands: ".", currency: &["€"], percent: None };
        let fraction =
            Setting { decimal: ",", thousands: ".", currency: &[], percent: Some(Percent::Fraction) };
        for setting in [setting, fraction] {
            if let Ok(plain) = read(&setting, &field) {
                let mantissa = plain.split(['e', 'E']).next().expect("a part");
                prop_assert!(numeric_text(mantissa.as_bytes(), None).is_ok());
            }
        }
    }
}
