//! Reads phone numbers as people write them, and gives them in E.164.
//!
//! Which numbers a country has is known to a port of Google's libphonenumber,
//! with the numbering plans that are compiled into it.
//!
//! Invariant: a number that is given reads back as the same number.

use std::fmt::Write as _;
use std::sync::Arc;

use ferry::reject::Code;
use rlibphonenumber::{CreateUtilError, PhoneNumber, PhoneNumberFormat, PhoneNumberUtil, Region};

use super::rules::Verdict;

/// Longer texts are not searched for a number; the limit is libphonenumber's own.
const TEXT_BYTES_MAX: usize = 250;

/// Calling code of the countries that share the North American numbering plan.
const NORTH_AMERICA: i32 = 1;
/// That code before ten digits.
const NORTH_AMERICA_TRUNK: u64 = 10_000_000_000;

/// A phone rule that cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PhoneError {
    /// The library has no numbering plan of the region.
    #[error(
        "no numbering plan is known of phone region \"{0}\": use the two letters of a country, such as \"US\""
    )]
    UnknownRegion(String),
    /// The numbering plans are compiled in, so they should always be readable.
    #[error("the numbering plans of phone numbers cannot be read: this is a defect of ferry")]
    NumberingPlans(#[from] CreateUtilError),
}

/// The numbering plans, read when the first rule asks for them: that takes milliseconds.
#[derive(Default)]
pub(super) struct PhoneLibrary(Option<Arc<PhoneNumberUtil>>);

impl PhoneLibrary {
    /// A reader of numbers that belong to `region` if they do not say otherwise.
    pub(super) fn reader(&mut self, region: &str) -> Result<PhoneReader, PhoneError> {
        let plans = match self.0.take() {
            Some(plans) => plans,
            None => Arc::new(PhoneNumberUtil::new()?),
        };
        self.0 = Some(Arc::clone(&plans));
        let unknown = || PhoneError::UnknownRegion(region.to_owned());
        let region = Region::from_code(region).map_err(|_| unknown())?;
        let country = plans.get_country_code_for_region(region).ok_or_else(unknown)?;
        Ok(PhoneReader { plans, region, is_north_american: country == NORTH_AMERICA })
    }
}

/// Reads phone numbers as somebody in one country writes them.
pub(super) struct PhoneReader {
    plans: Arc<PhoneNumberUtil>,
    region: Region,
    is_north_american: bool,
}

impl PhoneReader {
    /// Writes the number in E.164 behind `cleaned`, unless it is the text itself.
    pub(super) fn read(&self, text: &str, cleaned: &mut String) -> Verdict {
        if text.trim().is_empty() {
            return Verdict::Null;
        }
        if self.is_north_american
            && let Some(number) = north_american(text)
        {
            return self.read_north_american(text, &number, cleaned);
        }
        let Some(number) = self.number(text) else {
            return Verdict::Bad(Code::BAD_PHONE);
        };
        if number == text {
            return Verdict::Unchanged;
        }
        cleaned.push_str(&number);
        Verdict::Changed
    }

    /// As [`number`](Self::number) has it, without searching the text for a number.
    fn read_north_american(
        &self,
        text: &str,
        number: &PhoneNumber,
        cleaned: &mut String,
    ) -> Verdict {
        // Most numbers are of the region itself, of which one plan is asked and not twenty.
        let is_of_region = self.plans.is_valid_number_for_region(number, self.region);
        if !is_of_region && !self.plans.is_valid_number(number) {
            return Verdict::Bad(Code::BAD_PHONE);
        }
        let start = cleaned.len();
        // Writing to a string cannot fail.
        let _ = write!(cleaned, "+{NORTH_AMERICA}{}", number.national_number);
        if cleaned[start..] == *text {
            cleaned.truncate(start);
            return Verdict::Unchanged;
        }
        Verdict::Changed
    }

    fn number(&self, text: &str) -> Option<String> {
        // A semicolon begins an extension, a sub-address or a context, which
        // E.164 has not; the library would drop the second, and ends with a
        // panic, which shows the text, at some of the third.
        if text.len() > TEXT_BYTES_MAX || text.contains(';') {
            return None;
        }
        let number = self.plans.parse(text, Some(self.region)).ok()?;
        if number.extension.is_some() || !self.plans.is_valid_number(&number) {
            return None;
        }
        let written = self.plans.format(&number, PhoneNumberFormat::E164).into_owned();
        // A number of which a second look would strip one more prefix can be
        // read in two ways. What is in E.164 already has just been read.
        let reads_back = |again: PhoneNumber| again == number;
        let is_stable =
            written == text || self.plans.parse(&written, Some(self.region)).is_ok_and(reads_back);
        is_stable.then_some(written)
    }
}

/// The number that a text is in the form most numbers have in North America:
/// ten digits, the first of them 2 to 9, maybe after the country's 1, with
/// spaces, hyphens, dots and parentheses between them.
///
/// The plan's trunk prefix is 1 as well and no number begins with it, so such a
/// text can be read in one way only.
fn north_american(text: &str) -> Option<PhoneNumber> {
    let digits = text.strip_prefix('+');
    let mut national_number: u64 = 0;
    let mut count = 0;
    for byte in digits.unwrap_or(text).bytes() {
        match byte {
            b'0'..=b'9' if count < 11 => {
                national_number = national_number * 10 + u64::from(byte - b'0');
                count += 1;
            }
            b' ' | b'-' | b'.' | b'(' | b')' => {}
            _ => return None,
        }
    }
    let national_number = match (count, digits) {
        (10, None) => national_number,
        (11, _) => national_number.checked_sub(NORTH_AMERICA_TRUNK)?,
        _ => return None,
    };
    let is_national = (2_000_000_000..10_000_000_000).contains(&national_number);
    is_national.then(|| PhoneNumber {
        country_code: NORTH_AMERICA,
        national_number,
        ..PhoneNumber::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_short_way_reads_what_the_library_reads(
            text in "\\+?[ (]?1?[ .(-]?[0-9]{3}[ .)-]{0,2}[0-9]{3}[ .-]?[0-9]{4}[ .)-]?",
            region in prop_oneof![Just("US"), Just("CA"), Just("BS"), Just("DO")],
        ) {
            let reader = PhoneLibrary::default().reader(region).expect("a region");
            if let Some(number) = north_american(&text) {
                let mut cleaned = String::new();
                let verdict = reader.read_north_american(&text, &number, &mut cleaned);
                match reader.number(&text) {
                    None => prop_assert_eq!(verdict, Verdict::Bad(Code::BAD_PHONE)),
                    Some(slow) if slow == text => prop_assert_eq!(verdict, Verdict::Unchanged),
                    Some(slow) => {
                        prop_assert_eq!(verdict, Verdict::Changed);
                        prop_assert_eq!(cleaned, slow);
                    }
                }
            }
        }
    }

    /// What a text becomes; `Err` if it is refused.
    fn read(region: &str, text: &str) -> Result<Option<String>, Code> {
        let reader = PhoneLibrary::default().reader(region).expect("a region");
        let mut cleaned = String::new();
        match reader.read(text, &mut cleaned) {
            Verdict::Unchanged => Ok(Some(text.to_owned())),
            Verdict::Changed => Ok(Some(cleaned)),
            Verdict::Null => Ok(None),
            Verdict::Bad(code) => Err(code),
        }
    }

    #[track_caller]
    fn assert_reads(region: &str, text: &str, number: &str) {
        assert_eq!(read(region, text), Ok(Some(number.to_owned())), "{text}");
    }

    #[track_caller]
    fn assert_refused(region: &str, text: &str) {
        assert_eq!(read(region, text), Err(Code::BAD_PHONE), "{text}");
    }

    #[test]
    fn one_number_is_read_in_every_way_to_write_it() {
        for text in [
            "2025550123",
            "(202) 555-0123",
            "202.555.0123",
            "1-202-555-0123",
            "+1 202 555 0123",
            "+12025550123",
            "tel:+1-202-555-0123",
            " 202 555\u{a0}0123 ",
        ] {
            assert_reads("US", text, "+12025550123");
        }
    }

    #[test]
    fn a_number_of_another_country_says_so() {
        assert_reads("US", "+44 20 7183 8750", "+442071838750");
        assert_reads("US", "011 44 20 7183 8750", "+442071838750");
        assert_reads("GB", "020 7183 8750", "+442071838750");
        assert_reads("IT", "02 3661 8300", "+390236618300");
        assert_refused("US", "020 7183 8750");
    }

    #[test]
    fn what_no_country_has_is_refused() {
        for text in ["n/a", "555-0123", "911", "+1 555 234 5678", "+999 123 4567", "0", "++", "x"] {
            assert_refused("US", text);
        }
        assert_refused("US", &"1".repeat(300));
    }

    #[test]
    fn what_e164_cannot_hold_is_refused() {
        for text in [
            "202-555-0123 x4",
            "202-555-0123 ext. 4567",
            "202-555-0123;ext=4",
            "tel:+1-202-555-0123;isub=12",
        ] {
            assert_refused("US", text);
        }
    }

    #[test]
    fn a_context_before_its_number_does_not_stop_the_program() {
        assert_refused("US", "2025550123;phone-context=+1;tel:");
    }

    #[test]
    fn nothing_is_no_number() {
        assert_eq!(read("US", ""), Ok(None));
        assert_eq!(read("US", " \t"), Ok(None));
    }

    #[test]
    fn a_region_without_numbers_is_refused() {
        for region in ["XX", "001", "USA", ""] {
            let error = PhoneLibrary::default().reader(region).err().expect("no region");
            assert!(error.to_string().contains(&format!("\"{region}\"")), "{error}");
        }
    }
}
