//! Trying every phone number turns a plain hash back into its number, and no pseudonym of ferry's without the key.
//!
//! Each attack is a way to hash a number without the key. It must find the
//! number that was hashed in just this way, so that it is known to work, and
//! must not find the number behind what ferry stored. With the key, the same
//! search finds it.

use std::ops::Range;
use std::thread;

use sha2::{Digest as _, Sha256};

use crate::hosts::{Random, Source, client, finish, is_soak};
use crate::postgres::Database;
use crate::stages::job_of;

/// Numbers that share a prefix of six digits: the other six are not known.
const NUMBERS: u32 = 1_000_000;
/// Numbers that most attacks try, the right one among them; `FERRY_SOAK=1` tries all.
const NUMBERS_OF_SHORT_TEST: u32 = 50_000;
const KEY: &str = "a key of more than thirty-two bytes that nobody guesses";
const BLOCK_BYTES: usize = 64;
/// Bytes of a claim: the start of a keyed hash.
const CLAIM_BYTES: usize = 16;

const RULES: &str = r#"
[[column]]
name = "phone"
clean = [{ phone = { region = "US" } }]
check = ["unique"]
pii = "hash"
[[column]]
name = "line"
clean = [{ phone = { region = "US" } }]
pii = "salted"
[[target]]
table = "public.numbers"
create = true
"#;

type Hash = [u8; 32];

/// A number as it stands in the file.
fn raw(number: u32) -> String {
    format!("(415) 7{:02}-{:04}", number / 10_000, number % 10_000)
}

/// The same number after cleaning.
fn e164(number: u32) -> String {
    format!("+14157{number:06}")
}

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// HMAC-SHA-256 (RFC 2104) with the key already absorbed.
struct Hmac {
    inner: Sha256,
    outer: Sha256,
}

impl Hmac {
    fn new(key: &[u8]) -> Self {
        let mut block =
            if key.len() > BLOCK_BYTES { sha256(&[key]).to_vec() } else { key.to_vec() };
        block.resize(BLOCK_BYTES, 0);
        let absorbed = |mask: u8| {
            let masked: Vec<u8> = block.iter().map(|byte| byte ^ mask).collect();
            Sha256::new().chain_update(masked)
        };
        Self { inner: absorbed(0x36), outer: absorbed(0x5c) }
    }

    /// As ferry makes a subkey for each domain.
    fn of_domain(key: &[u8], domain: &str) -> Self {
        Self::new(&Self::new(key).of(&[b"ferry/pii/v1/", domain.as_bytes()]))
    }

    fn of(&self, parts: &[&[u8]]) -> Hash {
        let mut inner = self.inner.clone();
        for part in parts {
            inner.update(part);
        }
        self.outer.clone().chain_update(inner.finalize()).finalize().into()
    }
}

/// A way to hash a number.
struct Attack {
    name: &'static str,
    guess: Box<dyn Fn(u32) -> Hash + Sync>,
}

fn attack(name: &'static str, guess: impl Fn(u32) -> Hash + Sync + 'static) -> Attack {
    Attack { name, guess: Box::new(guess) }
}

/// HMAC of a number.
fn keyed(hmac: Hmac) -> impl Fn(u32) -> Hash + Sync {
    move |number| hmac.of(&[e164(number).as_bytes()])
}

impl Attack {
    /// For each target the number of which the hash begins with it, all processors together.
    fn enumerate(&self, numbers: &Range<u32>, targets: &[Vec<u8>]) -> Vec<Option<u32>> {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let mut found = vec![None; targets.len()];
        thread::scope(|scope| {
            let search = |worker| {
                let mut found = vec![None; targets.len()];
                for number in numbers.clone().skip(worker).step_by(workers) {
                    let hash = (self.guess)(number);
                    for (target, found) in targets.iter().zip(&mut found) {
                        if hash.starts_with(target) {
                            *found = Some(number);
                        }
                    }
                }
                found
            };
            let threads: Vec<_> =
                (0..workers).map(|worker| scope.spawn(move || search(worker))).collect();
            for thread in threads {
                for (all, one) in found.iter_mut().zip(thread.join().unwrap()) {
                    *all = all.or(one);
                }
            }
        });
        found
    }

    /// Checks that the attack finds a number hashed in its own way, and nothing of ferry's.
    fn assert_in_vain(&self, number: u32, numbers: &Range<u32>, stored: &[Vec<u8>]) {
        let mut targets = vec![(self.guess)(number).to_vec()];
        targets.extend_from_slice(stored);
        let found = self.enumerate(numbers, &targets);
        assert_eq!(found[0], Some(number), "{}: the attack itself does not work", self.name);
        assert_eq!(found[1..], vec![None; stored.len()], "{} finds the number", self.name);
    }
}

/// What ferry stores of a number.
struct Stored {
    /// Its pseudonym, its salted pseudonym, and what `unique` remembers of it.
    hashes: Vec<Vec<u8>>,
    salt: Vec<u8>,
    key_id: String,
}

/// Loads a number in a run of its own, and looks into the database.
fn load(number: u32) -> Stored {
    let source = Source::with_dataset("numbers", &[("id", "integer")]);
    source.write("numbers.csv", format!("id,phone,line\n1,{0},{0}\n", raw(number)));
    source.write("pii.key", format!("{KEY}\n"));
    let server = source.start();
    let database = Database::create();
    let job = job_of("numbers", &source, &server, &database, RULES);
    finish(client(["run"]).arg(job)).expect_code(0);

    let stored = database.rows(
        "SELECT encode(phone, 'hex'), encode(line, 'hex'), encode(entries, 'hex'), \
         encode(line_salt, 'hex'), key_id FROM numbers, ferry.claim, ferry.pii_key",
    );
    assert_eq!(stored.len(), 1, "{stored:?}");
    let mut hashes: Vec<Vec<u8>> = stored[0][..3].iter().map(|digits| bytes(digits)).collect();
    hashes[2].truncate(CLAIM_BYTES);
    Stored { hashes, salt: bytes(&stored[0][3]), key_id: stored[0][4].clone() }
}

fn bytes(digits: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// Hashes with nothing secret in them, or with what can be read in the database as a key.
fn attacks(stored: &Stored) -> Vec<Attack> {
    let (before, after, raw_after) =
        (stored.salt.clone(), stored.salt.clone(), stored.salt.clone());
    let (salt, empty) = (stored.salt.clone(), Hmac::of_domain(b"", "line"));
    let (id, label) = (stored.key_id.as_bytes(), b"ferry/pii/v1/phone");
    let as_ferry = |key: &[u8]| Hmac::of_domain(key, "phone");
    vec![
        attack("SHA-256 of the raw text", |number| sha256(&[raw(number).as_bytes()])),
        attack("SHA-256 of domain and number", |number| {
            sha256(&[b"phone", e164(number).as_bytes()])
        }),
        attack("SHA-256 of label and number", move |number| {
            sha256(&[label, e164(number).as_bytes()])
        }),
        attack("HMAC with an empty key", keyed(Hmac::new(b""))),
        attack("HMAC with the key id", keyed(Hmac::new(id))),
        attack("HMAC with the bytes of the key id", keyed(Hmac::new(&bytes(&stored.key_id)))),
        attack("HMAC with the domain", keyed(Hmac::new(b"phone"))),
        attack("HMAC with the label", keyed(Hmac::new(label))),
        attack("ferry's hash with an empty key", keyed(as_ferry(b""))),
        attack("ferry's hash with the key id", keyed(as_ferry(id))),
        attack("ferry's hash with the public key", keyed(as_ferry(b"ferry/public/v1"))),
        attack("SHA-256 of salt and number", move |number| {
            sha256(&[&before, e164(number).as_bytes()])
        }),
        attack("SHA-256 of number and salt", move |number| {
            sha256(&[e164(number).as_bytes(), &after])
        }),
        attack("SHA-256 of salt and raw text", move |number| {
            sha256(&[&raw_after, raw(number).as_bytes()])
        }),
        attack("HMAC with the salt", keyed(Hmac::new(&stored.salt))),
        attack("ferry's salted hash with an empty key", move |number| {
            empty.of(&[&salt, e164(number).as_bytes()])
        }),
    ]
}

#[test]
fn a_million_numbers_give_a_plain_hash_away_and_no_pseudonym() {
    let mut random = Random::from_environment("enumeration");
    let number = u32::try_from(random.below(u64::from(NUMBERS))).unwrap();
    let stored = load(number);

    let plain = attack("SHA-256 of the number", |number| sha256(&[e164(number).as_bytes()]));
    plain.assert_in_vain(number, &(0..NUMBERS), &stored.hashes);

    let size = if is_soak() { NUMBERS } else { NUMBERS_OF_SHORT_TEST };
    let first = number / size * size;
    for attack in attacks(&stored) {
        attack.assert_in_vain(number, &(first..first + size), &stored.hashes);
    }

    // Whoever has the key finds all three: the search can succeed.
    let [hash, salted, claim] =
        ["phone", "line", "phone"].map(|domain| Hmac::of_domain(KEY.as_bytes(), domain));
    let salt = stored.salt.clone();
    let with_key = [
        attack("hash", keyed(hash)),
        attack("salted", move |number| salted.of(&[&salt, e164(number).as_bytes()])),
        attack("claim", keyed(claim)),
    ];
    for (index, attack) in with_key.iter().enumerate() {
        let found = attack.enumerate(&(first..first + size), &stored.hashes);
        assert_eq!(found[index], Some(number), "{} with the key", attack.name);
    }
}
