//! Random texts in random dialects and encodings: all ways to find their records agree.

use crate::cut::LastRecord;
use encoding_rs::{GB18030, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use ferry::position::{Place, Position};
use proptest::prelude::*;

use super::{Reading, end_of, expected_ranges, part};
use crate::delimited::{BlankLines, Delimiter, Dialect, Escape, StrayQuotes, Terminator};

/// What files are made of: everything that some dialect tells apart, and more of the quotes.
const PIECES: [&[u8]; 16] = [
    b"a",
    b"b",
    b",",
    b",",
    b"\"",
    b"\"",
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    "é".as_bytes(),
    b"\0",
    b"\\",
    b"#",
    b"|",
    b"a,b\n",
];

fn files() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..48)
        .prop_map(|pieces| pieces.concat())
}

fn delimiters() -> impl Strategy<Value = Delimiter> {
    prop::sample::select(vec![",", ",", ", ", "|", "||"])
        .prop_map(|text| text.parse().expect("it is allowed"))
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let quoting = prop::sample::select(vec![
        (Some(b'"'), Escape::Doubled),
        (Some(b'"'), Escape::Doubled),
        (Some(b'"'), Escape::Byte(b'\\')),
        (Some(b'"'), Escape::None),
        (None, Escape::Doubled),
        (None, Escape::Byte(b'\\')),
    ]);
    let terminators = prop::sample::select(vec![
        Terminator::Any,
        Terminator::Any,
        Terminator::Lf,
        Terminator::Crlf,
        Terminator::Cr,
    ]);
    let stray = prop::sample::select(vec![StrayQuotes::Refuse, StrayQuotes::Keep]);
    let blank = prop::sample::select(vec![BlankLines::Skip, BlankLines::Row]);
    let comment = prop::sample::select(vec!["", "#", "#a"]);
    let flags = (any::<bool>(), any::<bool>());
    (delimiters(), quoting, terminators, stray, blank, comment, flags).prop_map(
        |(delimiter, (quote, escape), terminator, stray_quotes, blank_lines, comment, flags)| {
            Dialect {
                delimiter,
                quote,
                escape,
                comment: comment.to_owned(),
                terminator,
                blank_lines,
                stray_quotes,
                skips_spaces: flags.0,
                has_trailing_delimiter: flags.1,
                field_bytes_max: 8,
                record_bytes_max: 24,
            }
        },
    )
}

fn readings() -> impl Strategy<Value = Reading> {
    let encodings = vec![UTF_8, UTF_8, UTF_16LE, UTF_16BE, WINDOWS_1252, SHIFT_JIS, GB18030];
    (dialects(), prop::sample::select(encodings), prop::option::of(1..4_usize), 1..9_usize)
        .prop_map(|(dialect, encoding, field_count, step)| Reading {
            dialect,
            encoding,
            field_count,
            step,
        })
}

/// The bytes of a text in an encoding; what that cannot hold is left as it is.
fn encode(reading: &Reading, text: &[u8]) -> Vec<u8> {
    let units = || String::from_utf8_lossy(text).encode_utf16().collect::<Vec<u16>>();
    if reading.encoding == UTF_16LE {
        units().into_iter().flat_map(u16::to_le_bytes).collect()
    } else if reading.encoding == UTF_16BE {
        units().into_iter().flat_map(u16::to_be_bytes).collect()
    } else {
        text.to_vec()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn undamaged_records_are_those_of_the_csv_crate(file in files(), step in 1..9_usize) {
        let reading =
            Reading { step, ..Reading::of(Dialect { stray_quotes: StrayQuotes::Keep, ..Dialect::default() }) };
        let records = reading.read_all(&file);
        prop_assume!(records.iter().all(|(.., damage)| damage.is_none()));
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .from_reader(file.as_slice());
        let expected: Vec<Vec<Vec<u8>>> = reader
            .byte_records()
            .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect())
            .collect();
        let found: Vec<Vec<Vec<u8>>> = records
            .into_iter()
            .map(|(_, values, _)| values.into_iter().map(Option::unwrap_or_default).collect())
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn places_touch_but_for_blank_lines_and_comments(text in files(), reading in readings()) {
        let file = encode(&reading, &text);
        let mut reached = 0;
        for (index, (place, ..)) in reading.read_all(&file).iter().enumerate() {
            prop_assert_eq!(place.row_number, index as u64 + 1);
            prop_assert!(reached <= place.byte_start && place.byte_start < place.byte_end);
            let gap = Place { byte_start: reached, byte_end: place.byte_start, ..*place };
            let gap = part(&file, &gap);
            if reading.dialect.comment.is_empty() {
                prop_assert!(gap.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)));
            }
            reached = place.byte_end;
        }
        prop_assert!(reached <= file.len() as u64);
    }

    #[test]
    fn every_boundary_resumes(text in files(), reading in readings()) {
        let file = encode(&reading, &text);
        let records = reading.read_all(&file);
        for (index, (place, ..)) in records.iter().enumerate() {
            let (rest, _) = reading.read(&file, end_of(place), u64::MAX);
            prop_assert_eq!(&rest, &records[index + 1..]);
        }
    }

    #[test]
    fn a_range_ends_where_the_next_record_begins(text in files(), reading in readings()) {
        let file = encode(&reading, &text);
        let records = reading.read_all(&file);
        for (index, (place, ..)) in records.iter().enumerate() {
            let (first, end) = reading.read(&file, Position::default(), place.byte_end);
            prop_assert_eq!(&first, &records[..=index]);
            prop_assert_eq!(end, end_of(place));
        }
    }

    #[test]
    fn steps_of_reading_make_no_difference(text in files(), reading in readings()) {
        let file = encode(&reading, &text);
        let whole = Reading { step: usize::MAX, ..reading.clone() };
        prop_assert_eq!(reading.read_all(&file), whole.read_all(&file));
    }

    #[test]
    fn cuts_fall_between_records(text in files(), reading in readings(), target in 0..24_u64) {
        let count = reading.field_count.unwrap_or(2);
        let reading = reading.with_fields(count);
        let file = encode(&reading, &text);
        let (records, end) = reading.read(&file, Position::default(), u64::MAX);
        let cuts = reading.cut(&file, Position::default(), target, LastRecord::Take);
        prop_assert_eq!(cuts.ranges, expected_ranges(&records, end.byte_offset, target));
        prop_assert!(cuts.failure.is_none() && cuts.is_known_boundary);
    }

    #[test]
    fn what_is_planned_of_a_growing_file_stays_true(
        text in files(),
        more in files(),
        reading in readings(),
    ) {
        let count = reading.field_count.unwrap_or(2);
        let reading = reading.with_fields(count);
        let short = encode(&reading, &text);
        let long = [short.clone(), encode(&reading, &more)].concat();
        let planned = reading.cut(&short, Position::default(), u64::MAX, LastRecord::LeaveOpen);
        let end = planned.ranges.last().map_or(Position::default(), |range| range.end);
        let (planned_records, _) = reading.read(&short, Position::default(), end.byte_offset);
        let (records, _) = reading.read(&long, Position::default(), end.byte_offset);
        prop_assert_eq!(&records, &planned_records);
        prop_assert_eq!(records.len() as u64, end.row_number);
        prop_assert!(end.byte_offset + planned.unfinished_bytes <= short.len() as u64);
        let again = reading.cut(&long, end, u64::MAX, LastRecord::Take);
        prop_assert!(again.is_known_boundary);
    }

    /// A file is written in pieces that need not end where characters or line ends do.
    #[test]
    fn what_is_planned_of_a_growing_file_is_gone_on_with(
        text in files(),
        reading in readings(),
        written in any::<prop::sample::Index>(),
        last in prop::sample::select(vec![LastRecord::Take, LastRecord::LeaveOpen]),
    ) {
        let count = reading.field_count.unwrap_or(2);
        let reading = reading.with_fields(count);
        let long = encode(&reading, &text);
        let short = &long[..written.index(long.len() + 1)];
        let planned = reading.cut(short, Position::default(), u64::MAX, last);
        let end = planned.ranges.last().map_or(Position::default(), |range| range.end);
        let again = reading.cut(&long, end, u64::MAX, LastRecord::Take);
        prop_assert!(again.is_known_boundary || last == LastRecord::Take);
        if again.is_known_boundary {
            let records = reading.read_all(&long);
            let (rest, _) = reading.read(&long, end, u64::MAX);
            let known = usize::try_from(end.row_number).expect("there are few");
            prop_assert_eq!(&rest, &records[known..]);
        }
    }
}
