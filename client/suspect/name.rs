//! Turns the name of a column into what such a name usually stands for.

use super::Likeness;

/// Words that stand for personal data where all words of a line are in the name.
///
/// The first line that fits counts.
const NAMES: [(Likeness, &[&str]); 26] = [
    (Likeness::Email, &["email"]),
    (Likeness::Email, &["mail"]),
    (Likeness::Email, &["emailaddress"]),
    (Likeness::Phone, &["phone"]),
    (Likeness::Phone, &["phonenumber"]),
    (Likeness::Phone, &["telephone"]),
    (Likeness::Phone, &["tel"]),
    (Likeness::Phone, &["mobile"]),
    (Likeness::Phone, &["msisdn"]),
    (Likeness::Phone, &["fax"]),
    (Likeness::Phone, &["cell", "number"]),
    (Likeness::Phone, &["cellphone"]),
    (Likeness::Iban, &["iban"]),
    (Likeness::NationalNumber, &["ssn"]),
    (Likeness::NationalNumber, &["social", "security"]),
    (Likeness::NationalNumber, &["social", "insurance"]),
    (Likeness::NationalNumber, &["national", "id"]),
    (Likeness::NationalNumber, &["national", "number"]),
    (Likeness::NationalNumber, &["nino"]),
    (Likeness::NationalNumber, &["passport"]),
    (Likeness::NationalNumber, &["tax", "id"]),
    (Likeness::NationalNumber, &["sin"]),
    (Likeness::Card, &["card"]),
    (Likeness::Card, &["creditcard"]),
    (Likeness::Card, &["cc", "number"]),
    (Likeness::Card, &["pan"]),
];

/// What a column of this name is likely to hold.
pub(super) fn likeness(column: &str) -> Option<Likeness> {
    let words = words(column);
    let is_there = |wanted: &&str| words.iter().any(|word| word == wanted);
    let found = NAMES.iter().find(|(_, wanted)| wanted.iter().all(is_there));
    found.map(|(likeness, _)| *likeness)
}

/// The words of a name in lower case: `homePhone2`, `home_phone` and `HOME PHONE` have the same two.
fn words(name: &str) -> Vec<String> {
    let characters: Vec<char> = name.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (at, character) in characters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| characters.get(before));
        if before.is_some_and(|before| is_end(*before, *character, characters.get(at + 1))) {
            words.push(std::mem::take(&mut word));
        }
        if character.is_alphabetic() {
            word.extend(character.to_lowercase());
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a word ends between two characters.
fn is_end(before: char, after: char, next: Option<&char>) -> bool {
    if !before.is_alphabetic() || !after.is_alphabetic() {
        return true;
    }
    // `homePhone`, and `SSNNumber`, where the last capital belongs to the next word.
    let begins_word = next.is_some_and(|next| next.is_lowercase());
    after.is_uppercase() && (before.is_lowercase() || begins_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_apart_into_words() {
        assert_eq!(words("home_phone"), ["home", "phone"]);
        assert_eq!(words("homePhone2"), ["home", "phone"]);
        assert_eq!(words("HOME PHONE"), ["home", "phone"]);
        assert_eq!(words("eMail"), ["e", "mail"]);
        assert_eq!(words("SSNNumber"), ["ssn", "number"]);
        assert_eq!(words("Größe-Ärmel"), ["größe", "ärmel"]);
        assert!(words("_2").is_empty());
        assert!(words("").is_empty());
    }

    #[test]
    fn names_of_personal_data_are_known() {
        let names = [
            ("email", Likeness::Email),
            ("E-Mail", Likeness::Email),
            ("e_mail_1", Likeness::Email),
            ("mailAddress", Likeness::Email),
            ("emailaddress", Likeness::Email),
            ("phone2", Likeness::Phone),
            ("tel", Likeness::Phone),
            ("telephone_no", Likeness::Phone),
            ("MSISDN", Likeness::Phone),
            ("fax", Likeness::Phone),
            ("mobile", Likeness::Phone),
            ("cell_phone", Likeness::Phone),
            ("cellNumber", Likeness::Phone),
            ("ssn", Likeness::NationalNumber),
            ("social_security_no", Likeness::NationalNumber),
            ("socialInsuranceNumber", Likeness::NationalNumber),
            ("national_id", Likeness::NationalNumber),
            ("NationalNumber", Likeness::NationalNumber),
            ("nino", Likeness::NationalNumber),
            ("passport_no", Likeness::NationalNumber),
            ("TaxID", Likeness::NationalNumber),
            ("sin", Likeness::NationalNumber),
            ("iban", Likeness::Iban),
            ("customerIBAN", Likeness::Iban),
            ("card_no", Likeness::Card),
            ("creditCard", Likeness::Card),
            ("cc_number", Likeness::Card),
            ("PAN", Likeness::Card),
        ];
        for (name, expected) in names {
            assert_eq!(likeness(name), Some(expected), "{name}");
        }
    }

    #[test]
    fn other_names_are_left_alone() {
        let names = [
            "id",
            "cell",
            "number",
            "order_number",
            "national",
            "taxes",
            "panel",
            "single",
            "mailed",
            "cardinality",
            "international",
            "security",
            "telemetry",
            "phones_sold",
            "cc",
            "hotel",
            "insurance",
        ];
        for name in names {
            assert_eq!(likeness(name), None, "{name}");
        }
    }
}
