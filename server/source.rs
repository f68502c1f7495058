//! Turns a split, at a position, into its batches.
//!
//! Invariant: the end is reached only if the file still begins with the content
//! that the split was planned on.

use std::sync::Arc;

use ferry::position::{Position, Split};
use ferry::schema::Column;

use crate::catalog::archive::Compression;
use crate::catalog::dataset::Dataset;
use crate::catalog::format::{ContentReader, FileHeader};
use crate::catalog::open_file::{Content, OpenFile};
use crate::catalog::origin::Origin;
use crate::catalog::unwanted::{WhileWanted, skip};
use crate::catalog::{Catalog, IsUnwanted};
use crate::chunk::Chunk;
use crate::error::RequestError;

/// What is to be read.
#[derive(Debug)]
pub(crate) struct ReadRequest {
    pub(crate) split: Split,
    /// Where to begin.
    pub(crate) position: Position,
    /// Columns wanted; empty for all.
    pub(crate) columns: Vec<Column>,
    /// A batch ends with the record that reaches this many bytes of column data.
    pub(crate) batch_bytes_max: usize,
}

/// Reads the batches of one split.
pub(crate) struct SplitReader {
    catalog: Arc<Catalog>,
    file: OpenFile,
    split: Split,
    columns: Vec<Column>,
    reader: ContentReader<Content>,
    /// Place after the last chunk.
    reached: Position,
}

impl SplitReader {
    /// Finds the file and checks that the split and the position still fit it.
    pub(crate) fn open(
        catalog: Arc<Catalog>,
        dataset: &Dataset,
        request: ReadRequest,
        is_unwanted: IsUnwanted<'_>,
    ) -> Result<Self, RequestError> {
        let ReadRequest { split, position, columns, batch_bytes_max } = request;
        check_inside(&split, position)?;
        let source = dataset.find(&split.file)?.ok_or_else(|| not_found(dataset, &split.file))?;
        let columns =
            if columns.is_empty() { dataset.columns(&dataset.sources()?)? } else { columns };
        let file = match source.open() {
            Err(error) if error.is_absence() => return Err(not_found(dataset, &split.file)),
            outcome => outcome?,
        };
        catalog.fingerprints.verify(&file, file.stamp, &split.fingerprint, is_unwanted)?;
        check_fingerprint(&file, &split)?;
        let disk_bytes = split.fingerprint.size_bytes;
        let Some(header) = dataset.header(&file, disk_bytes, is_unwanted)? else {
            let problem = "the file is empty".to_owned();
            return Err(RequestError::BadHeader { file: split.file, problem });
        };
        check_boundaries(&file, &header, &split, position)?;
        let offset = position.byte_offset;
        let content = content_from(&file, dataset, disk_bytes, offset, is_unwanted)?;
        let (wanted, range) = (dataset.reading(&columns), (position, split.end));
        let reader = header.reader(&split.file, content, wanted, range, batch_bytes_max)?;
        Ok(Self { catalog, file, split, columns, reader, reached: position })
    }

    /// Columns of the batches.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Place after the last chunk.
    pub(crate) fn reached(&self) -> Position {
        self.reached
    }

    /// The next chunk; `None` once the whole split is read.
    pub(crate) fn next_chunk(
        &mut self,
        is_unwanted: IsUnwanted<'_>,
    ) -> Result<Option<Chunk>, RequestError> {
        match self.reader.next_chunk(&self.split.file) {
            Ok(Some(chunk)) => {
                self.reached = chunk.end;
                Ok(Some(chunk))
            }
            Ok(None) => {
                self.check_unchanged(is_unwanted)?;
                Ok(None)
            }
            Err(error) => {
                // A file that changed explains most that can go wrong in it.
                self.check_unchanged(is_unwanted)?;
                Err(error)
            }
        }
    }

    fn check_unchanged(&self, is_unwanted: IsUnwanted<'_>) -> Result<(), RequestError> {
        let stamp = self.file.stamp_now()?;
        if stamp == self.file.stamp {
            return Ok(());
        }
        let fingerprint = &self.split.fingerprint;
        self.catalog.fingerprints.verify(&self.file, stamp, fingerprint, is_unwanted)
    }
}

/// Says that a file is not there, or that a page is not kept any more.
fn not_found(dataset: &Dataset, file: &str) -> RequestError {
    let (name, file) = (dataset.name.to_string(), file.to_owned());
    match &dataset.origin {
        Origin::Files(_) => RequestError::FileNotFound { dataset: name, file },
        Origin::Api(_) => RequestError::PageNotFound { dataset: name, file },
    }
}

/// Refuses a position outside the split.
fn check_inside(split: &Split, position: Position) -> Result<(), RequestError> {
    let Split { start, end, .. } = *split;
    let is_inside = (start.byte_offset..=end.byte_offset).contains(&position.byte_offset)
        && (start.row_number..=end.row_number).contains(&position.row_number);
    if is_inside {
        return Ok(());
    }
    Err(RequestError::PositionBeyondSplit { file: split.file.clone(), position, start, end })
}

fn is_plain(file: &OpenFile) -> bool {
    matches!(file.compression(), Compression::None)
}

/// Refuses a split outside its fingerprint. How much an archive holds, its size
/// does not tell.
fn check_fingerprint(file: &OpenFile, split: &Split) -> Result<(), RequestError> {
    if is_plain(file) && split.end.byte_offset > split.fingerprint.size_bytes {
        return Err(RequestError::InvalidRequest(
            "field `split.end` lies beyond the split's fingerprint".to_owned(),
        ));
    }
    Ok(())
}

/// Refuses positions that do not lie between two records.
fn check_boundaries(
    file: &OpenFile,
    header: &FileHeader<'_>,
    split: &Split,
    position: Position,
) -> Result<(), RequestError> {
    for place in [split.start, split.end, position] {
        if !header.is_boundary(file, split, place)? {
            let file = split.file.clone();
            return Err(RequestError::PositionNotOnBoundary { file, position: place });
        }
    }
    Ok(())
}

/// Content from an offset on. An archive is read up to there, for as long as
/// somebody waits.
fn content_from(
    file: &OpenFile,
    dataset: &Dataset,
    disk_bytes: u64,
    offset: u64,
    is_unwanted: IsUnwanted<'_>,
) -> Result<Content, RequestError> {
    if is_plain(file) {
        return file.content(offset, disk_bytes, dataset.expansion_max);
    }
    let mut content = file.content(0, disk_bytes, dataset.expansion_max)?;
    skip(&mut WhileWanted::new(&mut content, is_unwanted), offset)
        .map_err(|source| RequestError::of_reading(&file.name, source))?;
    Ok(content)
}

#[cfg(test)]
mod tests;
