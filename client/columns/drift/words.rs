//! Says in words how a source differs: names of columns and files may be anything, and are cut and made printable.

use std::fmt::{self, Write as _};

use super::Difference;

/// Names of files that a difference tells.
const FILES_MAX: usize = 3;
/// Characters of a name that are told.
const NAME_CHARACTERS_MAX: usize = 63;

/// Some files: the names of the first, and how many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// Names of the first ones.
    pub(crate) names: Vec<String>,
    /// Number of all.
    pub(crate) count: usize,
}

impl Files {
    /// Counts files, and keeps the names of the first.
    pub(super) fn of<'a>(files: impl Iterator<Item = &'a str>) -> Self {
        let mut some = Self::default();
        for file in files {
            some.count += 1;
            if some.count <= FILES_MAX {
                some.names.push(file.to_owned());
            }
        }
        some
    }
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}\"{}\"", shown(name))?;
        }
        match self.count - self.names.len() {
            0 => Ok(()),
            others => write!(f, " and {others} more"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Appeared { column, files } => {
                write!(f, "column \"{}\" is new in {files}", shown(&column.name))
            }
            Self::Vanished { column, files } => {
                write!(f, "column \"{}\" is not in {files}", shown(&column.name))
            }
            Self::Changed { column, before, now } => {
                write!(f, "column \"{}\" was {before} and is {now}", shown(column))
            }
        }
    }
}

/// The differences in one text, no more than so many of them.
pub(super) fn list(differences: &[Difference], count_max: usize) -> String {
    let told: Vec<String> = differences.iter().take(count_max).map(Difference::to_string).collect();
    let mut text = told.join("; ");
    if differences.len() > count_max {
        // Writing to a text cannot fail.
        let _ = write!(text, "; and {} more", differences.len() - count_max);
    }
    text
}

/// A name of the source as people read it.
pub(in crate::columns) fn shown(name: &str) -> String {
    let mut shown = String::new();
    for (index, character) in name.chars().enumerate() {
        if index == NAME_CHARACTERS_MAX {
            shown.push('…');
            break;
        }
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry::schema::{Column, ColumnType};

    #[test]
    fn many_files_are_counted() {
        let files = |count: usize| {
            let names: Vec<String> = (0..count).map(|number| format!("{number}.csv")).collect();
            Files::of(names.iter().map(String::as_str)).to_string()
        };
        assert_eq!(files(1), "\"0.csv\"");
        assert_eq!(files(3), "\"0.csv\", \"1.csv\", \"2.csv\"");
        assert_eq!(files(10_000), "\"0.csv\", \"1.csv\", \"2.csv\" and 9997 more");
    }

    #[test]
    fn names_are_cut_and_printable() {
        assert_eq!(shown("Größe in cm"), "Größe in cm");
        assert_eq!(shown("a\u{1b}[31m\n"), "a\\u{1b}[31m\\n");
        assert_eq!(shown(&"x".repeat(63)), "x".repeat(63));
        assert_eq!(shown(&"x".repeat(1 << 20)), format!("{}…", "x".repeat(63)));
    }

    #[test]
    fn a_list_has_an_end() {
        let difference = |number: usize| Difference::Changed {
            column: format!("c{number}"),
            before: ColumnType::Integer,
            now: ColumnType::Bigint,
        };
        let differences: Vec<Difference> = (0..5).map(difference).collect();
        assert_eq!(
            list(&differences, 2),
            "column \"c0\" was integer and is bigint; column \"c1\" was integer and is bigint; and 3 more"
        );
        let column = Column { name: "a".to_owned(), column_type: ColumnType::Text };
        let files = Files::of(["x.csv"].into_iter());
        let appeared = Difference::Appeared { column: column.clone(), files: files.clone() };
        let vanished = Difference::Vanished { column, files };
        assert_eq!(
            list(&[appeared, vanished], 2),
            "column \"a\" is new in \"x.csv\"; column \"a\" is not in \"x.csv\""
        );
    }
}
