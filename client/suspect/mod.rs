//! Finds columns that look like personal data although the job does not say what they are.
//!
//! It sees a sample of rows and tells names of columns only, never a value.

mod content;
mod name;

use std::fmt;

use arrow_array::RecordBatch;
use arrow_schema::DataType;

/// What a column looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Likeness {
    /// Addresses of mailboxes.
    Email,
    /// Numbers of telephones.
    Phone,
    /// Numbers that a state gives to a person.
    NationalNumber,
    /// Numbers of payment cards.
    Card,
    /// Numbers of bank accounts.
    Iban,
}

impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Email => "e-mail address",
            Self::Phone => "phone number",
            Self::NationalNumber => "national number",
            Self::Card => "payment card",
            Self::Iban => "IBAN",
        })
    }
}

/// What a suspicion rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// The name of the column.
    Name,
    /// Most of the values in the sample.
    Content,
}

/// A column that may be personal data, and of which the job says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Suspect {
    /// Name of the column.
    pub(crate) column: String,
    /// What it looks like.
    pub(crate) likeness: Likeness,
    /// Why.
    pub(crate) evidence: Evidence,
}

impl fmt::Display for Suspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, likeness, evidence } = self;
        let article = match likeness {
            Likeness::Email | Likeness::Iban => "an",
            Likeness::Phone | Likeness::NationalNumber | Likeness::Card => "a",
        };
        let evidence = match evidence {
            Evidence::Name => "name",
            Evidence::Content => "values",
        };
        write!(
            f,
            "column \"{column}\" looks like {article} {likeness} by its {evidence} and is not \
             declared: give it pii = \"hash\" (or \"mask\", \"drop\"), or pii = \"none\" if it is \
             not personal"
        )
    }
}

/// The undeclared columns of a sample that look like personal data, in its order.
///
/// `records` are rows as the source sent them. Columns for which `is_declared`
/// is true, because the job gives them any `pii`, are not looked at. What the
/// values look like goes before what the name says.
pub(crate) fn suspects(records: &RecordBatch, is_declared: &dyn Fn(&str) -> bool) -> Vec<Suspect> {
    let mut suspects = Vec::new();
    for (field, values) in records.schema_ref().fields().iter().zip(records.columns()) {
        let column = field.name();
        if is_declared(column) || !can_identify(field.data_type()) {
            continue;
        }
        let found = match content::likeness(values.as_ref()) {
            Some(likeness) => Some((likeness, Evidence::Content)),
            None => name::likeness(column).map(|likeness| (likeness, Evidence::Name)),
        };
        if let Some((likeness, evidence)) = found {
            suspects.push(Suspect { column: column.clone(), likeness, evidence });
        }
    }
    suspects
}

/// Whether a text is a value that identifies a person, such as an e-mail address.
pub(crate) fn looks_like_value(text: &str) -> bool {
    content::likeness_of_text(text).is_some()
}

/// Whether a type can hold an address or a number of a person.
///
/// `email_verified boolean` and `phone_changed_at timestamp` say something of
/// an address, they are none.
fn can_identify(data_type: &DataType) -> bool {
    !matches!(
        data_type,
        DataType::Boolean | DataType::Date32 | DataType::Time64(_) | DataType::Timestamp(_, _)
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, BooleanArray, Int64Array, StringArray};

    use super::*;

    fn suspect(column: &str, likeness: Likeness, evidence: Evidence) -> Suspect {
        Suspect { column: column.to_owned(), likeness, evidence }
    }

    fn texts(values: [&str; 5]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn sample() -> RecordBatch {
        let names = ["Ann", "Bob", "Cleo", "Dan", "Eve"];
        let emails = ["a@x.example", "b@x.example", "c@x.example", "d@x.example", "n/a"];
        let cards = [
            4_111_111_111_111_111,
            5_500_000_000_000_004,
            340_000_000_000_009,
            6_011_000_000_000_004,
            4_242_424_242_424_242,
        ];
        let cards: ArrayRef = Arc::new(Int64Array::from(cards.to_vec()));
        let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true; 5]));
        let columns = [
            ("first_name", texts(names)),
            ("contact", texts(emails)),
            ("homePhone", texts(names)),
            ("mobile", texts(emails)),
            ("account", cards),
            ("email_verified", flags),
        ];
        RecordBatch::try_from_iter(columns).expect("a sample")
    }

    #[test]
    fn content_goes_before_the_name_and_a_column_is_told_once() {
        let expected = [
            suspect("contact", Likeness::Email, Evidence::Content),
            suspect("homePhone", Likeness::Phone, Evidence::Name),
            suspect("mobile", Likeness::Email, Evidence::Content),
            suspect("account", Likeness::Card, Evidence::Content),
        ];
        assert_eq!(suspects(&sample(), &|_| false), expected);
    }

    #[test]
    fn declared_columns_are_left_out() {
        let is_declared = |column: &str| column != "homePhone";
        let expected = [suspect("homePhone", Likeness::Phone, Evidence::Name)];
        assert_eq!(suspects(&sample(), &is_declared), expected);
    }

    #[test]
    fn without_rows_the_name_speaks() {
        let none = sample().slice(0, 0);
        let expected = [
            suspect("homePhone", Likeness::Phone, Evidence::Name),
            suspect("mobile", Likeness::Phone, Evidence::Name),
        ];
        assert_eq!(suspects(&none, &|_| false), expected);
    }

    #[test]
    fn the_text_says_what_to_do() {
        assert_eq!(
            suspect("tel", Likeness::Phone, Evidence::Name).to_string(),
            "column \"tel\" looks like a phone number by its name and is not declared: give it \
             pii = \"hash\" (or \"mask\", \"drop\"), or pii = \"none\" if it is not personal"
        );
        let text = suspect("account", Likeness::Iban, Evidence::Content).to_string();
        assert!(text.starts_with("column \"account\" looks like an IBAN by its values"), "{text}");
    }
}
