//! Finds the values of wanted columns in records: `address_lat` is member `lat` of member `address`.
//!
//! Invariants: no memory is taken per record, but for keys with escapes; an
//! object is looked into only if a wanted name may lie there.

use std::cmp::Ordering;

use ferry::reject::Code;

use super::text::{Members, is_valid, unescape};

/// What stands between the names of an object and of its member.
const JOINT: u8 = b'_';

/// Finds values by their flattened names.
pub(super) struct Flattener {
    /// In the order of their bytes, each once.
    names: Vec<String>,
    /// For each name, where the record has it.
    slots: Vec<Slot>,
    depth_max: u64,
    /// Room for a key without its escapes.
    unescaped: Vec<u8>,
}

/// Where a record has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Absent,
    /// From one place of its text to another.
    At(usize, usize),
    /// Several members have its name.
    Twice,
}

/// The names that may lie in an object: those that begin with its name and the joint.
#[derive(Debug, Clone, Copy)]
struct Scope {
    first: usize,
    /// Behind the last.
    end: usize,
    /// Bytes of their common beginning.
    prefix: usize,
}

impl Flattener {
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>, depth_max: usize) -> Self {
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        Self {
            slots: vec![Slot::Absent; names.len()],
            names,
            depth_max: depth_max as u64,
            unescaped: Vec::new(),
        }
    }

    /// Under which number a name's values are found.
    pub(super) fn number_of(&self, name: &str) -> Option<usize> {
        self.names.binary_search_by(|known| known.as_str().cmp(name)).ok()
    }

    /// Where the last record has the value of a name.
    #[inline]
    pub(super) fn slot(&self, number: usize) -> Slot {
        self.slots.get(number).copied().unwrap_or(Slot::Absent)
    }

    /// Finds the values of a record, or says what is wrong with all of it.
    #[inline]
    pub(super) fn find(&mut self, record: &[u8]) -> Result<(), Code> {
        if !is_valid(record) {
            return Err(Code::BAD_JSON);
        }
        if record.first() != Some(&b'{') {
            return Err(Code::NOT_AN_OBJECT);
        }
        self.slots.fill(Slot::Absent);
        let all = Scope { first: 0, end: self.names.len(), prefix: 0 };
        self.find_in(record, 0, all, 1)
    }

    /// Finds the values in the object that begins at a place of a record.
    fn find_in(
        &mut self,
        record: &[u8],
        object_start: usize,
        scope: Scope,
        depth: u64,
    ) -> Result<(), Code> {
        for member in Members::new(record, object_start) {
            if depth + member.depth > self.depth_max {
                return Err(Code::TOO_DEEP);
            }
            // A name that is no text is not wanted.
            let Ok(key) = unescape(member.key, &mut self.unescaped) else {
                continue;
            };
            let number = number_in(&self.names, scope, key);
            let is_object = record.get(member.value.start) == Some(&b'{');
            let inner = if is_object { scope_in(&self.names, scope, key) } else { None };
            if let Some(number) = number {
                let slot = &mut self.slots[number];
                *slot = match slot {
                    Slot::Absent => Slot::At(member.value.start, member.value.end),
                    Slot::At(..) | Slot::Twice => Slot::Twice,
                };
            }
            if let Some(inner) = inner {
                self.find_in(record, member.value.start, inner, depth + 1)?;
            }
        }
        Ok(())
    }
}

/// Number of the name that a member with this key has.
#[inline]
fn number_in(names: &[String], scope: Scope, key: &[u8]) -> Option<usize> {
    let known = &names[scope.first..scope.end];
    let found = known.binary_search_by(|name| name.as_bytes()[scope.prefix..].cmp(key)).ok()?;
    Some(scope.first + found)
}

/// The names that may lie in an object with this key.
fn scope_in(names: &[String], scope: Scope, key: &[u8]) -> Option<Scope> {
    let is_before = |name: &String| {
        let tail = &name.as_bytes()[scope.prefix..];
        tail.iter().cmp(key.iter().chain([&JOINT])) == Ordering::Less
    };
    let lies_inside = |name: &String| {
        let tail = &name.as_bytes()[scope.prefix..];
        tail.strip_prefix(key).is_some_and(|rest| rest.first() == Some(&JOINT))
    };
    let known = &names[scope.first..scope.end];
    let first = scope.first + known.partition_point(is_before);
    let count = names[first..scope.end].partition_point(lies_inside);
    let prefix = scope.prefix + key.len() + 1;
    (count > 0).then_some(Scope { first, end: first + count, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of some names in a record; `!` for a name that it has twice.
    fn values(record: &str, names: &[&str]) -> Result<Vec<Option<String>>, Code> {
        let mut flattener = Flattener::new(names.iter().copied(), 4);
        flattener.find(record.as_bytes())?;
        let value =
            |name: &&str| match flattener.slot(flattener.number_of(name).expect("it is wanted")) {
                Slot::Absent => None,
                Slot::At(start, end) => Some(record[start..end].to_owned()),
                Slot::Twice => Some("!".to_owned()),
            };
        Ok(names.iter().map(value).collect())
    }

    fn assert_values(record: &str, expected: &[(&str, Option<&str>)]) {
        let names: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
        let found = values(record, &names).expect("an object");
        let found: Vec<Option<&str>> = found.iter().map(Option::as_deref).collect();
        let expected: Vec<Option<&str>> = expected.iter().map(|(_, value)| *value).collect();
        assert_eq!(found, expected, "{record}");
    }

    #[test]
    fn members_of_members_are_found() {
        assert_values(
            r#"{"id":1,"address":{"street":"x","coordinates":{"lat":2,"lon":[3]}},"z":null}"#,
            &[
                ("id", Some("1")),
                ("address_street", Some("\"x\"")),
                ("address_coordinates_lat", Some("2")),
                ("address_coordinates_lon", Some("[3]")),
                ("address_coordinates", Some(r#"{"lat":2,"lon":[3]}"#)),
                ("address", Some(r#"{"street":"x","coordinates":{"lat":2,"lon":[3]}}"#)),
                ("z", Some("null")),
                ("z_a", None),
                ("addres", None),
                ("address_", None),
            ],
        );
    }

    #[test]
    fn names_with_joints_of_their_own_are_found() {
        let wanted: [(&str, Option<&str>); 6] = [
            ("a_b", Some("1")),
            ("a_c_d", Some("2")),
            ("_x", Some("3")),
            ("a.b", Some("4")),
            ("a", Some(r#"{"b":1,"c_d":2}"#)),
            ("aa", Some("5")),
        ];
        assert_values(r#"{"a":{"b":1,"c_d":2},"":{"x":3},"a.b":4,"aa":5}"#, &wanted);
        assert_values(r#"{"a":{"":7}}"#, &[("a_", Some("7"))]);
    }

    #[test]
    fn keys_may_have_escapes() {
        assert_values(
            r#"{"\u00e9":{"a\"b":1},"\ud800":2}"#,
            &[("é_a\"b", Some("1")), ("\u{FFFD}", None)],
        );
    }

    #[test]
    fn a_name_that_two_members_have_is_noticed() {
        let wanted = [("a_b", Some("!")), ("c", Some("3"))];
        assert_values(r#"{"a_b":1,"a":{"b":2},"c":3}"#, &wanted);
        assert_values(r#"{"a":{"b":1},"a":{"b":null},"c":3}"#, &wanted);
    }

    #[test]
    fn what_is_no_usable_object_is_refused() {
        for (record, code) in [
            ("{\"a\":}", Code::BAD_JSON),
            ("{} {}", Code::BAD_JSON),
            ("{\"a\":\"\n\"}", Code::BAD_JSON),
            ("[1]", Code::NOT_AN_OBJECT),
            ("null", Code::NOT_AN_OBJECT),
            ("\"{}\"", Code::NOT_AN_OBJECT),
            (r#"{"b":[[[[]]]]}"#, Code::TOO_DEEP),
            (r#"{"a":{"a":{"a":{"a":{}}}}}"#, Code::TOO_DEEP),
        ] {
            assert_eq!(values(record, &["a"]), Err(code), "{record}");
        }
        assert!(values(r#"{"b":[[[]]],"a":{"a":{"a":{}}}}"#, &["a"]).is_ok());
        let mut flattener = Flattener::new(["a"].into_iter(), 4);
        assert_eq!(flattener.find(b"{\"a\":\"\xFF\"}"), Err(Code::BAD_JSON));
    }
}
