//! Turns the name of a column into whether a person may stand behind its values.

/// Words that stand for personal data where all words of a line are in the name.
const NAMES: [&[&str]; 46] = [
    &["email"],
    &["mail"],
    &["emailaddress"],
    &["phone"],
    &["phonenumber"],
    &["telephone"],
    &["telefon"],
    &["tel"],
    &["mobile"],
    &["msisdn"],
    &["fax"],
    &["first", "name"],
    &["firstname"],
    &["last", "name"],
    &["lastname"],
    &["full", "name"],
    &["fullname"],
    &["given", "name"],
    &["family", "name"],
    &["customer", "name"],
    &["surname"],
    &["vorname"],
    &["nachname"],
    &["birth"],
    &["birthday"],
    &["birthdate"],
    &["dob"],
    &["geburtsdatum"],
    &["street"],
    &["address"],
    &["strasse"],
    &["ssn"],
    &["social", "security"],
    &["social", "insurance"],
    &["national", "id"],
    &["nino"],
    &["passport"],
    &["tax", "id"],
    &["iban"],
    &["card"],
    &["creditcard"],
    &["cc", "number"],
    &["ip"],
    &["imei"],
    &["imsi"],
    &["license", "plate"],
];

/// Whether a column of this name is likely to hold personal data.
pub(super) fn is_personal(column: &str) -> bool {
    let words = words(column);
    let is_there = |wanted: &&str| words.iter().any(|word| word == wanted);
    // The mail of `voice mail plan` goes to nobody's address.
    let is_voice_mail = words.iter().any(|word| word == "voice");
    !is_voice_mail && NAMES.iter().any(|wanted| wanted.iter().all(is_there))
}

/// Whether a column of this name is likely to hold days, so that `20240131` is one.
pub(super) fn is_of_days(column: &str) -> bool {
    const WORDS: [&str; 14] = [
        "date",
        "dates",
        "datum",
        "day",
        "dob",
        "birthday",
        "birthdate",
        "dt",
        "time",
        "timestamp",
        "datetime",
        "fecha",
        "jour",
        "tag",
    ];
    let is_compound = |word: &str| {
        let is_other = ["update", "candidate", "mandate", "validate"].contains(&word);
        (word.ends_with("date") && !is_other) || word.ends_with("datum")
    };
    words(column).iter().any(|word| WORDS.contains(&word.as_str()) || is_compound(word))
}

/// The words of a name in lower case: `homePhone2`, `home_phone` and `HOME PHONE` have the same two.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut was_lower = false;
    for character in name.chars() {
        let ends = !character.is_alphabetic() || (character.is_uppercase() && was_lower);
        if ends && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if character.is_alphabetic() {
            word.extend(character.to_lowercase());
        }
        was_lower = character.is_lowercase();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_personal_data_are_known() {
        for name in ["email", "E_MAIL", "homePhone2", "Last Name", "customerIBAN", "ip", "dob"] {
            assert!(is_personal(name), "{name}");
        }
        for name in
            ["id", "product_name", "amount", "shipping", "cardinality", "voice mail plan", ""]
        {
            assert!(!is_personal(name), "{name}");
        }
    }

    #[test]
    fn names_of_days_are_known() {
        for name in ["signup_date", "orderDate", "Bestelldatum", "created_dt"] {
            assert!(is_of_days(name), "{name}");
        }
        for name in ["customer_id", "amount", "candidates", "update_count"] {
            assert!(!is_of_days(name), "{name}");
        }
    }
}
