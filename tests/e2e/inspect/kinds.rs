//! Files as other programs write them, with what is stored of them.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::postgres::NULL;

/// A file, and what becomes of it.
pub(super) struct Kind {
    pub(super) file: &'static str,
    pub(super) content: Vec<u8>,
    /// Records, all of which can be loaded.
    pub(super) rows: u64,
    /// The first row as it is stored.
    pub(super) first: Vec<&'static str>,
    /// Parts of its values, which nobody is to see.
    pub(super) hidden: &'static [&'static str],
}

/// Names and places, which a header does not have.
const PEOPLE: &[&str] = &["Lovelace", "Hopper", "Noether", "London", "Erlangen"];

pub(super) fn kinds() -> Vec<Kind> {
    let mut kinds = delimited();
    kinds.extend(with_surroundings());
    kinds.extend(encoded());
    kinds
}

/// Delimiters, quotes and escapes.
fn delimited() -> Vec<Kind> {
    vec![
        Kind {
            file: "quoted.csv",
            content: b"id,name,born,note\n\
                1,Lovelace,1815-12-10,\"a \"\"b\"\", c\nd\"\n2,Hopper,1906-12-09,\n3,Noether,,\"\"\n"
                .to_vec(),
            rows: 3,
            first: vec!["1", "Lovelace", "1815-12-10", "a \"b\", c\nd"],
            hidden: PEOPLE,
        },
        Kind {
            file: "apostrophes.csv",
            content: b"id;name\n1;'Lovelace; London'\n2;'Hopper'\n3;'Noether''s'\n".to_vec(),
            rows: 3,
            first: vec!["1", "Lovelace; London"],
            hidden: PEOPLE,
        },
        Kind {
            file: "backslashes.csv",
            content: b"id,name\n1,\"Lovelace \\\"Ada\\\", London\"\n2,\"Hopper\"\n3,\"Noether\"\n"
                .to_vec(),
            rows: 3,
            first: vec!["1", "Lovelace \"Ada\", London"],
            hidden: PEOPLE,
        },
        Kind {
            file: "long_delimiter.dat",
            content: b"id~|~name~|~sum\r\n1~|~Lovelace, London~|~2.50\r\n2~|~Hopper~|~-3\r\n".to_vec(),
            rows: 2,
            first: vec!["1", "Lovelace, London", "2.50"],
            hidden: PEOPLE,
        },
        Kind {
            file: "units.dat",
            content: b"id\x1Fname\x1Fis_old\n1\x1FLovelace\x1Fyes\n2\x1FHopper\x1Fno\n".to_vec(),
            rows: 2,
            first: vec!["1", "Lovelace", "t"],
            hidden: PEOPLE,
        },
        Kind {
            file: "bars_and_tildes.dat",
            content: b"id|~|name|~|sum\n1|~|Lovelace|~|2.5\n2|~|Hopper, London|~|inf\n".to_vec(),
            rows: 2,
            first: vec!["1", "Lovelace", "2.5"],
            hidden: PEOPLE,
        },
        Kind {
            file: "documents.csv",
            content: b"document\n\"{\"\"who\"\": \"\"Ada\"\", \"\"no\"\": 1}\"\n\"{\"\"no\"\": 2}\"\n"
                .to_vec(),
            rows: 2,
            first: vec!["{\"no\": 1, \"who\": \"Ada\"}"],
            hidden: &["Ada"],
        },
        Kind {
            file: "times.txt",
            content: b"at\n10:00\n11:30\n12:45\n".to_vec(),
            rows: 3,
            first: vec!["10:00:00"],
            hidden: &["10:", "11:", "12:"],
        },
        Kind {
            file: "one_column.txt",
            content: b"name\nLovelace, London\nHopper\nNoether\n".to_vec(),
            rows: 3,
            first: vec!["Lovelace, London"],
            hidden: PEOPLE,
        },
    ]
}

/// What stands before, behind and between the records, and what does not.
fn with_surroundings() -> Vec<Kind> {
    vec![
        Kind {
            file: "report.csv",
            content: b"Report by Lovelace\r\n\r\nLondon, on a Monday\r\nid;name;sum\r\n\
                1;Hopper;10\r\n2;Noether;20\r\n"
                .to_vec(),
            rows: 2,
            first: vec!["1", "Hopper", "10"],
            hidden: PEOPLE,
        },
        Kind {
            file: "excel.csv",
            content: b"sep=;\r\nid;name\r\n1;Lovelace\r\n2;Hopper\r\n".to_vec(),
            rows: 2,
            first: vec!["1", "Lovelace"],
            hidden: PEOPLE,
        },
        Kind {
            file: "comments.csv",
            content: b"# made by Lovelace\nid,name,sum,\n1,Hopper,2,\n# London\n2,Noether,3,\n"
                .to_vec(),
            rows: 2,
            first: vec!["1", "Hopper", "2"],
            hidden: PEOPLE,
        },
        Kind {
            file: "no_header.csv",
            content: b"4711,Lovelace,1815-12-10\n4712,Hopper,1906-12-09".to_vec(),
            rows: 2,
            first: vec!["4711", "Lovelace", "1815-12-10"],
            hidden: &["4711", "Lovelace", "Hopper", "1815"],
        },
        Kind {
            file: "years.csv",
            content: b"city,2019,2020,2021\nLondon,8.9,9.0,8.8\nErlangen,0.1,,0.1\n".to_vec(),
            rows: 2,
            first: vec!["London", "8.9", "9.0", "8.8"],
            hidden: PEOPLE,
        },
        Kind {
            file: "put_together.csv",
            content: b"id,name\n1,Lovelace\n2,Hopper\nid,name\n3,Noether\n".to_vec(),
            rows: 4,
            first: vec!["1", "Lovelace"],
            hidden: PEOPLE,
        },
        Kind {
            file: "names_twice.csv",
            content: b",id,id\r1,2,Lovelace\r2,3,Hopper\r".to_vec(),
            rows: 2,
            first: vec!["1", "2", "Lovelace"],
            hidden: PEOPLE,
        },
        Kind {
            file: "gaps.csv",
            content: b"id,sum,day,zip\n1,NA,-,01067\n2,\"1,250.00\",2024-01-31,99423\n,7.5,,\n"
                .to_vec(),
            rows: 3,
            first: vec!["1", NULL, NULL, "01067"],
            hidden: &["250", "2024", "01067", "99423"],
        },
    ]
}

/// Encodings and archives.
fn encoded() -> Vec<Kind> {
    let german = german();
    // All its characters are among the first 256.
    let latin = german.chars().map(|character| u8::try_from(u32::from(character)).unwrap());
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(german.as_bytes()).unwrap();
    let little = "\u{FEFF}".to_owned() + german.as_str();
    let of = |file, content| Kind {
        file,
        content,
        rows: 120,
        first: vec!["1", "Jürgen", "Grüner Weg 0", "1001.25", "1970-01-01", "t"],
        hidden: &["Jürgen", "Käthe", "Björn", "Grüner"],
    };
    vec![
        of("umsatz.csv", german.clone().into_bytes()),
        of("Umsatz 2024.txt", latin.collect()),
        of("little.csv", little.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        of("big.csv", german.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        of("sales.csv.gz", encoder.finish().unwrap()),
    ]
}

/// Sales as a spreadsheet writes them in Germany.
fn german() -> String {
    let names = ["Jürgen", "Käthe", "Björn", "Ömer", "Elke"];
    let mut file = String::from("Nr;Vorname;Straße;Umsatz;Geburtstag;aktiv\r\n");
    for row in 0..120 {
        let name = names[row % names.len()];
        let (day, month) = (row % 28 + 1, row % 12 + 1);
        let active = if row % 2 == 0 { "ja" } else { "nein" };
        writeln!(
            file,
            "{};{name};Grüner Weg {row};1.{:03},25;{day:02}.{month:02}.19{};{active}\r",
            row + 1,
            row + 1,
            70 + row % 30
        )
        .unwrap();
    }
    file
}
