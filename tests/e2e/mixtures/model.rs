//! Says of each row of a random file what must become of it: the documents read a second time, without code of ferry's.
//!
//! It goes by the texts of the row alone, not by what was done to break it.

use std::collections::{BTreeSet, HashSet};

use crate::hosts::Random;
use crate::postgres::NULL;

pub(super) const HEADER: &str = "id,email,phone,low,high,divisor,word,status,place,filler\n";
/// A column that no job asks for makes the records so long that a file has several splits.
const FILLER_BYTES: usize = 400;
const EMAIL_END: &str = "@mixture.example";
/// Kinds of breaks that [`Row::broken`] knows.
const BREAKS: u64 = 26;

/// The rules of which [`Row::fate`] is the second reading.
pub(super) const RULES: &str = r#"
[[column]]
name = "divisor"
type = "integer"
[[column]]
name = "email"
clean = ["email"]
check = ["required", "unique"]
pii = "hash"
[[column]]
name = "phone"
clean = [{ phone = { region = "US" } }]
pii = "hash"
[[column]]
name = "low"
check = [{ min = 0 }, { max = 1000 }]
[[column]]
name = "status"
clean = ["trim", "lowercase"]
check = [{ one_of = ["new", "old"] }]
on_fail = "null"
[[column]]
name = "place"
clean = [{ null_words = ["n/a"] }]
[[check]]
name = "in_order"
expr = "low <= high"
[[check]]
name = "steep"
expr = "100 / divisor > 1"
[transform]
filter = "place <> 'nowhere'"
set.share = "1000 / (high - 500)"
set.label = "word || '-' || word"
derive_before_hash.code = "CAST(split_part(email, '@', 1) AS integer)"
"#;

/// The first table of the job; the others are made by ferry.
pub(super) const TABLE: &str = "CREATE TABLE people (id integer, email bytea NOT NULL, phone bytea, \
     low integer, high integer NOT NULL, word varchar(8) NOT NULL, status text, code integer, \
     share bigint, label varchar(12))";

/// Whether a record has the fields of its header.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Whole,
    TooFew,
    TooMany,
}

/// A record of the file, field by field.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: u64,
    email: String,
    phone: &'static str,
    low: &'static str,
    high: String,
    divisor: String,
    word: &'static str,
    status: &'static str,
    place: &'static str,
    shape: Shape,
}

/// What becomes of a row.
#[derive(Debug)]
pub(super) enum Fate {
    /// It is in the tables: low, high, word, status, code, share, label, place.
    Loaded(Vec<String>),
    Filtered,
    /// Stage, and all reasons in order, each a code and a column.
    Refused(&'static str, Vec<String>),
}

impl Row {
    /// A row of which nothing or up to three things are broken; `before` are the e-mails so far.
    pub(super) fn random(id: u64, random: &mut Random, before: &[String]) -> Self {
        let mut row = Self {
            id,
            email: format!("{id}{EMAIL_END}"),
            phone: "(415) 736-2671",
            low: "5",
            high: (501 + random.below(400)).to_string(),
            divisor: (1 + random.below(50)).to_string(),
            word: one_of(random, ["tide", "mast", "keel", "oar"]),
            status: one_of(random, ["new", " New", "OLD ", ""]),
            place: one_of(random, ["quay", "dock", "Nowhere", " pier "]),
            shape: Shape::Whole,
        };
        let breaks = one_of(random, [0, 0, 0, 1, 1, 2, 3]);
        for _ in 0..breaks {
            let kind = random.below(BREAKS);
            row = row.broken(kind, random, before);
        }
        row
    }

    fn broken(mut self, kind: u64, random: &mut Random, before: &[String]) -> Self {
        let id = self.id;
        match kind {
            0 => self.shape = Shape::TooFew,
            1 => self.shape = Shape::TooMany,
            2 => self.low = "x5",
            3 => "99999999999".clone_into(&mut self.high),
            4 => self.word = "seafaring",
            5 => self.phone = "no phone",
            6 => self.phone = "415-736-2671 ext. 5",
            7 => self.email = format!("{id} at the mixture"),
            8 => self.email.clear(),
            9 | 10 if !before.is_empty() => {
                let index = random.below(u64::try_from(before.len()).unwrap());
                self.email.clone_from(&before[usize::try_from(index).unwrap()]);
            }
            9 | 10 => {}
            11 => self.email = self.email.to_uppercase(),
            12 => self.low = "-1",
            13 => self.low = "1001",
            14 => self.low = "950",
            15 => self.low = "",
            16 => "0".clone_into(&mut self.divisor),
            17 => "200".clone_into(&mut self.divisor),
            18 => self.divisor.clear(),
            19 => self.status = "lost",
            20 => self.email = format!("x{id}{EMAIL_END}"),
            21 => "500".clone_into(&mut self.high),
            22 => self.word = "anchor",
            23 => self.place = one_of(random, ["nowhere", "N/A", ""]),
            24 => self.high.clear(),
            _ => self.word = "",
        }
        self
    }

    pub(super) fn email(&self) -> &str {
        &self.email
    }

    /// The record as it stands in the file.
    pub(super) fn record(&self) -> String {
        let Self { id, email, phone, low, high, divisor, word, status, place, shape } = self;
        let end = match shape {
            Shape::Whole => format!(",{}", "-".repeat(FILLER_BYTES)),
            Shape::TooFew => String::new(),
            Shape::TooMany => ",filler,and,more".to_owned(),
        };
        format!("{id},{email},{phone},{low},{high},{divisor},{word},{status},{place}{end}\n")
    }

    /// What must become of the row; `seen` are the e-mails of rows that passed all checks.
    pub(super) fn fate(&self, seen: &mut HashSet<String>) -> Fate {
        let mut reasons = Reasons::default();
        match self.shape {
            Shape::Whole => {}
            Shape::TooFew => return Fate::Refused("read", vec!["too_few_fields".to_owned()]),
            Shape::TooMany => return Fate::Refused("read", vec!["too_many_fields".to_owned()]),
        }
        let low = reasons.integer("low", self.low);
        let high = reasons.integer("high", &self.high);
        let divisor = reasons.integer("divisor", &self.divisor);
        if self.word.len() > 8 {
            reasons.add("too_long", "word");
        }
        let is_read = reasons.is_empty();

        let email = self.email.to_lowercase();
        if email.contains(' ') {
            reasons.add("bad_email", "email");
        }
        if !self.phone.ends_with("2671") {
            reasons.add("bad_phone", "phone");
        }
        let is_clean = reasons.is_empty();

        let status = self.status.trim().to_lowercase();
        let is_status_listed = ["", "new", "old"].contains(&status.as_str());
        self.check(low, high, divisor, &mut reasons);
        if is_clean && seen.contains(&email) {
            reasons.add("duplicate", "email");
        }
        if !reasons.is_empty() {
            if !is_status_listed {
                reasons.add("not_listed", "status");
            }
            let stage = match (is_read, is_clean) {
                (false, _) => "read",
                (true, false) => "clean",
                (true, true) => "check",
            };
            return reasons.refuse(stage);
        }
        seen.insert(email.clone());
        let status = if is_status_listed { status.as_str() } else { "" };
        self.transform(high, &email, status)
    }

    /// What the checks say of a row, but for `unique` and the status, which becomes NULL.
    fn check(&self, low: Integer, high: Integer, divisor: Integer, reasons: &mut Reasons) {
        if self.email.is_empty() {
            reasons.add("null_value", "email");
        }
        if let Integer::Is(low) = low {
            if low < 0 {
                reasons.add("below_min", "low");
            }
            if low > 1000 {
                reasons.add("above_max", "low");
            }
        }
        if let (Integer::Is(low), Integer::Is(high)) = (low, high)
            && low > high
        {
            reasons.add("in_order", "");
        }
        match divisor {
            Integer::Is(0) => reasons.add("expression_failed", ""),
            Integer::Is(divisor) if 100 / divisor <= 1 => reasons.add("steep", ""),
            _ => {}
        }
    }

    /// What becomes of a row that has passed all checks.
    fn transform(&self, high: Integer, email: &str, status: &str) -> Fate {
        let mut reasons = Reasons::default();
        let local_part = email.strip_suffix(EMAIL_END).unwrap_or(email);
        let Ok(code) = local_part.parse::<i32>() else {
            reasons.add("expression_failed", "code");
            return reasons.refuse("pseudonym");
        };
        if self.place.is_empty() || ["nowhere", "N/A"].contains(&self.place) {
            return Fate::Filtered;
        }
        let share = match high {
            Integer::Is(500) => {
                reasons.add("expression_failed", "share");
                0
            }
            Integer::Is(high) => 1000 / (high - 500),
            Integer::Null | Integer::Unread => {
                reasons.add("null_value", "high");
                0
            }
        };
        let label = format!("{0}-{0}", self.word);
        if self.word.is_empty() {
            reasons.add("null_value", "word");
        } else if label.len() > 12 {
            reasons.add("too_long", "label");
        }
        if !reasons.is_empty() {
            return reasons.refuse("transform");
        }
        let mut loaded = [self.low, self.high.as_str(), self.word, status].map(or_null).to_vec();
        loaded.extend([code.to_string(), share.to_string(), label, self.place.to_owned()]);
        Fate::Loaded(loaded)
    }
}

/// A field of type `integer`.
#[derive(Debug, Clone, Copy)]
enum Integer {
    Null,
    Is(i64),
    Unread,
}

/// Why a row is refused: each a code, and the column if it is about one.
#[derive(Default)]
struct Reasons(BTreeSet<String>);

impl Reasons {
    fn add(&mut self, code: &str, column: &str) {
        self.0.insert(format!("{code} {column}").trim_end().to_owned());
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn refuse(self, stage: &'static str) -> Fate {
        Fate::Refused(stage, self.0.into_iter().collect())
    }

    /// Reads a field of type `integer`, or notes why that cannot be done.
    fn integer(&mut self, column: &str, text: &str) -> Integer {
        if text.is_empty() {
            return Integer::Null;
        }
        match text.parse::<i64>() {
            Ok(number) if i32::try_from(number).is_ok() => return Integer::Is(number),
            Ok(_) => self.add("out_of_range", column),
            Err(_) => self.add("bad_integer", column),
        }
        Integer::Unread
    }
}

fn or_null(text: &str) -> String {
    if text.is_empty() { NULL.to_owned() } else { text.to_owned() }
}

fn one_of<T: Copy, const N: usize>(random: &mut Random, choices: [T; N]) -> T {
    let index = random.below(u64::try_from(N).unwrap());
    choices[usize::try_from(index).unwrap()]
}
