//! Reads phone numbers as people write them, and gives them in E.164.
//!
//! Which numbers a country has is known to a port of Google's libphonenumber,
//! with the numbering plans that are compiled into it.
//!
//! Invariant: a number that is given reads back as the same number.

use std::sync::Arc;

use ferry::reject::Code;
use rlibphonenumber::{CreateUtilError, PhoneNumber, PhoneNumberFormat, PhoneNumberUtil, Region};

use super::rules::Verdict;

/// Longer texts are not searched for a number; the limit is libphonenumber's own.
const TEXT_BYTES_MAX: usize = 250;

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
        plans.get_country_code_for_region(region).ok_or_else(unknown)?;
        Ok(PhoneReader { plans, region })
    }
}

/// Reads phone numbers as somebody in one country writes them.
pub(super) struct PhoneReader {
    plans: Arc<PhoneNumberUtil>,
    region: Region,
}

impl PhoneReader {
    /// Writes the number in E.164 behind `cleaned`, unless it is the text itself.
    pub(super) fn read(&self, text: &str, cleaned: &mut String) -> Verdict {
        if text.trim().is_empty() {
            return Verdict::Null;
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

#[cfg(test)]
mod tests {
    use super::*;

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
