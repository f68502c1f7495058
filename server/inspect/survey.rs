//! Turns all records of a file into what its columns have in common, and counts the records that do not fit.
//!
//! Invariant: a record is either in the columns or among the misfits.

use std::io::Read;

use encoding_rs::UTF_8;
use ferry::position::{Place, Position};
use ferry::reject::Code;

use super::InspectError;
use super::column::{Column, Probes};
use crate::catalog::open_file::OpenFile;
use crate::delimited::{
    DelimitedError, Header, Layout, Record, RecordReader, TextInput, read_header,
};

/// Places of misfits that are told.
const PLACES_MAX: usize = 3;
/// Records between two looks at the clock.
const RECORDS_PER_LOOK: u64 = 4096;
/// As in settings that say nothing else: an archive may not become longer than that.
pub(super) const EXPANSION_MAX: u64 = crate::catalog::dataset::EXPANSION_DEFAULT;

/// What the records of a file are like.
pub(super) struct Survey {
    pub(super) names: Vec<String>,
    pub(super) columns: Vec<Column>,
    /// Records, right and wrong.
    pub(super) records: u64,
    pub(super) misfits: Vec<Misfit>,
    /// Records at the end that do not fit.
    pub(super) misfits_at_end: u64,
    /// Why the rest of the file could not be read.
    pub(super) broken: Option<String>,
}

/// Records that do not fit, for one reason.
pub(super) struct Misfit {
    pub(super) code: Code,
    pub(super) count: u64,
    /// The first of them.
    pub(super) places: Vec<Place>,
}

/// Reads the records of a file that begin in the first `bytes_max` bytes of its content.
pub(super) fn survey(
    file: &OpenFile,
    layout: &Layout,
    bytes_max: u64,
    probes: &mut Probes,
    watch: &mut dyn FnMut(u64),
) -> Result<Survey, InspectError> {
    let disk_bytes = file.stamp.size_bytes;
    let content = file.content(0, disk_bytes, EXPANSION_MAX)?;
    let Some(header) = read_header(content, layout).map_err(|error| unusable(file, &error))? else {
        return Err(InspectError::NoRecord { path: file.name.clone() });
    };
    let offset = header.end.byte_offset;
    let content = file.content(offset, disk_bytes, EXPANSION_MAX)?;
    let input = TextInput::new(content, header.encoding, offset);
    let field_count = header.names.len();
    let records =
        RecordReader::new(input, &layout.dialect, Some(field_count), header.end, bytes_max);
    Ok(read_all(records, header, probes, watch))
}

fn unusable(file: &OpenFile, error: &DelimitedError) -> InspectError {
    InspectError::Unusable { path: file.name.clone(), problem: error.to_string() }
}

fn read_all<R: Read>(
    mut records: RecordReader<R>,
    header: Header,
    probes: &mut Probes,
    watch: &mut dyn FnMut(u64),
) -> Survey {
    let field_count = header.names.len();
    let mut survey = Survey {
        columns: header.names.iter().map(|name| Column::new(name)).collect(),
        names: header.names,
        records: 0,
        misfits: Vec::new(),
        misfits_at_end: 0,
        broken: None,
    };
    let not_decodable = if header.encoding == UTF_8 { Code::BAD_UTF8 } else { Code::BAD_ENCODING };
    loop {
        if survey.records.is_multiple_of(RECORDS_PER_LOOK) {
            let Position { byte_offset, .. } = records.position();
            watch(byte_offset);
        }
        let record = match records.next() {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(error) => {
                survey.broken = Some(error.to_string());
                break;
            }
        };
        survey.records += 1;
        if let Some(code) = misfit(&record, field_count, &not_decodable) {
            survey.note(code, record.place());
            survey.misfits_at_end += 1;
            continue;
        }
        survey.misfits_at_end = 0;
        for (index, column) in survey.columns.iter_mut().enumerate() {
            column.take(record.value(index), probes);
        }
    }
    survey.misfits.sort_by(|one, other| one.code.as_str().cmp(other.code.as_str()));
    survey
}

impl Survey {
    pub(super) fn misfit_count(&self) -> u64 {
        self.misfits.iter().map(|misfit| misfit.count).sum()
    }

    fn note(&mut self, code: Code, place: Place) {
        match self.misfits.iter_mut().find(|misfit| misfit.code == code) {
            Some(misfit) => {
                misfit.count += 1;
                if misfit.places.len() < PLACES_MAX {
                    misfit.places.push(place);
                }
            }
            None => self.misfits.push(Misfit { code, count: 1, places: vec![place] }),
        }
    }
}

/// Why a record does not fit, if it does not.
fn misfit(record: &Record<'_>, field_count: usize, not_decodable: &Code) -> Option<Code> {
    if let Some(code) = record.damage() {
        return Some(code);
    }
    match record.len().cmp(&field_count) {
        std::cmp::Ordering::Less => return Some(Code::TOO_FEW_FIELDS),
        std::cmp::Ordering::Greater => return Some(Code::TOO_MANY_FIELDS),
        std::cmp::Ordering::Equal => {}
    }
    if record.is_clean_text() {
        None
    } else if memchr::memchr(0, record.content()).is_some() {
        Some(Code::NUL_BYTE)
    } else {
        Some(not_decodable.clone())
    }
}
