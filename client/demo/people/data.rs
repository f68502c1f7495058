//! Turns a seed into the demo's people: 250 of them as an API would list them, with eight that are odd.
//!
//! Invariants: the same people every time; nobody of them exists (e-mail under
//! `.example`, phone numbers from 555-0100 to 555-0199, which are never given out).

use serde_json::{Value, json};

/// People that the API lists.
pub(super) const PEOPLE: usize = 250;
/// Of them, those that cannot be loaded.
pub(super) const REFUSED: u64 = 3;
/// Of them, those that come twice.
pub(super) const REPEATED: u64 = 1;
/// Whose e-mail address changes in the course of the demo.
pub(super) const CHANGING: usize = 7;

/// Marsaglia's xorshift64 begins with it.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

const FIRST_NAMES: [(&str, &str); 10] = [
    ("Ada", "ada"),
    ("Zoë", "zoe"),
    ("Søren", "soren"),
    ("Łukasz", "lukasz"),
    ("José", "jose"),
    ("美咲", "misaki"),
    ("Ελένη", "eleni"),
    ("Noor", "noor"),
    ("Grace", "grace"),
    ("Çağla", "cagla"),
];
const LAST_NAMES: [(&str, &str); 10] = [
    ("Lovelace", "lovelace"),
    ("Nuñez", "nunez"),
    ("O'Brien", "obrien"),
    ("Björk", "bjork"),
    ("Kowalczyk", "kowalczyk"),
    ("Παππάς", "pappas"),
    ("佐藤", "sato"),
    ("Dvořák", "dvorak"),
    ("Haddad", "haddad"),
    ("Hopper", "hopper"),
];
const CITIES: [(&str, &str); 5] = [
    ("Denver", "Colorado"),
    ("San José", "California"),
    ("Española", "New Mexico"),
    ("Boston", "Massachusetts"),
    ("Portland", "Maine"),
];
const STREETS: [&str; 4] = ["Oak Row", "Elm Lane", "Calle Mayor", "Long \"Mile\" Road"];
const PLANS: [&str; 3] = ["Basic", "Silver", "Gold"];

/// All people, in the order of the API.
pub(super) fn people() -> Vec<Value> {
    let mut random = Random(SEED);
    let mut people: Vec<Value> = (0..PEOPLE).map(|index| person(index, &mut random)).collect();
    people[17]["email"] = json!("not-an-email");
    people[42]["uid"] = json!("1234");
    people[63]["date_of_birth"] = Value::Null;
    people[99]["address"] = Value::Null;
    people[120]["social_insurance_number"] = json!("");
    let shouted = people[150]["email"].as_str().map(|email| format!("  {} ", email.to_uppercase()));
    people[150]["email"] = json!(shouted);
    people[180]["address"]["coordinates"]["lat"] = json!("north");
    people[200] = people[199].clone();
    people
}

/// A new address for a person.
pub(super) fn new_email(index: usize) -> String {
    format!("moved.{index}@new.example")
}

fn person(index: usize, random: &mut Random) -> Value {
    let (first_name, first_word) = random.pick(&FIRST_NAMES);
    let (last_name, last_word) = random.pick(&LAST_NAMES);
    let (city, state) = random.pick(&CITIES);
    let (year, month, day) = (1940 + random.below(65), 1 + random.below(12), 1 + random.below(28));
    json!({
        "id": 1000 + index,
        "uid": random.uuid(),
        "password": format!("{:08x}", random.next()),
        "first_name": first_name,
        "last_name": last_name,
        "username": format!("{first_word}.{last_word}"),
        "email": format!("{first_word}.{last_word}{index}@email.example"),
        "avatar": format!("https://pictures.example/{index}.png"),
        "gender": random.pick(&["Agender", "Female", "Male", "Non-binary"]),
        "phone_number": format!("+1 202 555 01{:02}", random.below(100)),
        "social_insurance_number": format!("{:09}", random.below(1_000_000_000)),
        "date_of_birth": format!("{year}-{month:02}-{day:02}"),
        "employment": { "title": "Engineer", "key_skill": "Patience" },
        "address": {
            "city": city,
            "street_name": random.pick(&STREETS),
            "street_address": format!("{} {}", 1 + random.below(9_000), random.pick(&STREETS)),
            "zip_code": format!("{:05}", random.below(100_000)),
            "state": state,
            "country": "United States",
            "coordinates": { "lat": random.degrees(90), "lng": random.degrees(180) }
        },
        "credit_card": { "cc_number": "4000000000000000" },
        "subscription": { "plan": random.pick(&PLANS), "status": "Active" }
    })
}

/// Marsaglia's xorshift64: enough to make up people, no more.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 32).unwrap_or(0)
    }

    /// A number from 0 to `end` - 1.
    fn below(&mut self, end: u32) -> u32 {
        self.next() % end
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let count = u32::try_from(choices.len()).unwrap_or(1);
        choices[self.below(count) as usize]
    }

    /// From -`end` to `end`, with six places.
    fn degrees(&mut self, end: u32) -> f64 {
        (f64::from(self.below(2_000_000)) / 1_000_000.0 - 1.0) * f64::from(end)
    }

    /// A random UUID, version 4 of RFC 9562.
    fn uuid(&mut self) -> String {
        let [one, two, three, four] = [self.next(), self.next(), self.next(), self.next()];
        format!(
            "{one:08x}-{:04x}-4{:03x}-{:04x}-{:04x}{four:08x}",
            two >> 16,
            two & 0xfff,
            0x8000 | ((three >> 16) & 0x3fff),
            three & 0xffff,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_people_are_what_the_constants_say() {
        let people = people();
        assert_eq!((people.len(), &people), (PEOPLE, &super::people()));
        let uids: HashSet<&str> =
            people.iter().map(|person| person["uid"].as_str().expect("a text")).collect();
        assert_eq!(uids.len() as u64 + REPEATED, PEOPLE as u64);
        let emails = people.iter().map(|person| person["email"].as_str().expect("a text"));
        assert_eq!(emails.filter(|email| !email.contains('@')).count(), 1);
        assert!(people[42]["uid"].as_str().is_some_and(|uid| uid.len() < 36));
        assert!(people[180]["address"]["coordinates"]["lat"].is_string());
        assert_eq!(REFUSED, 3, "a bad address, a bad uid and a bad latitude");
    }
}
