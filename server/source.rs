//! Turns a split, at a position, into its batches.
//!
//! Invariant: the end is reached only if the file still begins with the content
//! that the split was planned on.

use std::fs::File;
use std::io::Take;
use std::sync::Arc;

use ferry::position::{Position, Split};
use ferry::schema::Column;

use crate::catalog::dataset::Dataset;
use crate::catalog::open_file::OpenFile;
use crate::catalog::{Catalog, IsUnwanted};
use crate::delimited::{BatchReader, Chunk, Header};
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
    reader: BatchReader<Take<File>>,
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
        let Some(source) = dataset.files.find(&split.file)? else {
            let dataset = dataset.name.to_string();
            return Err(RequestError::FileNotFound { dataset, file: split.file });
        };
        let columns =
            if columns.is_empty() { dataset.columns(&dataset.files.list()?)? } else { columns };
        let file = source.open()?;
        catalog.fingerprints.verify(&file, file.stamp, &split.fingerprint, is_unwanted)?;
        let Some(header) = file.read_header(dataset.dialect)? else {
            let problem = "the file is empty".to_owned();
            return Err(RequestError::BadHeader { file: split.file, problem });
        };
        check_boundaries(&file, &header, &split, position)?;
        let section = file.section(position.byte_offset..split.end.byte_offset)?;
        let reader = BatchReader::new(
            section,
            dataset.dialect,
            &header,
            &columns,
            position,
            split.end,
            batch_bytes_max,
        )
        .map_err(|error| RequestError::of_file(&split.file, error))?;
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
        match self.reader.next_chunk() {
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
                Err(RequestError::of_file(&self.split.file, error))
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

/// Refuses a position outside the split, and a split outside its fingerprint.
fn check_inside(split: &Split, position: Position) -> Result<(), RequestError> {
    let Split { start, end, .. } = *split;
    if end.byte_offset > split.fingerprint.size_bytes {
        return Err(RequestError::InvalidRequest(
            "field `split.end` lies beyond the split's fingerprint".to_owned(),
        ));
    }
    let is_inside = (start.byte_offset..=end.byte_offset).contains(&position.byte_offset)
        && (start.row_number..=end.row_number).contains(&position.row_number);
    if is_inside {
        return Ok(());
    }
    Err(RequestError::PositionBeyondSplit { file: split.file.clone(), position, start, end })
}

/// Refuses positions that do not lie between two records.
fn check_boundaries(
    file: &OpenFile,
    header: &Header,
    split: &Split,
    position: Position,
) -> Result<(), RequestError> {
    for place in [split.start, split.end, position] {
        let is_end_of_range = place == split.start || place == split.end;
        let edge = file.edge(place.byte_offset)?;
        let is_boundary = place.byte_offset >= header.end.byte_offset
            && (edge.is_between_records() || (is_end_of_range && edge.may_end_range()));
        // A header without line end is planned to its last byte.
        let is_end_of_header = place == header.end;
        if !is_boundary && !is_end_of_header {
            let file = split.file.clone();
            return Err(RequestError::PositionNotOnBoundary { file, position: place });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::dataset::tests::dataset;
    use crate::catalog::plan::{PlanRequest, plan};
    use std::collections::HashMap;
    use tempfile::TempDir;

    const CONTENT: &str = "uid\n10\n20\n30\n";

    /// A file with one split over all of it.
    fn planned() -> (TempDir, Arc<Catalog>, Split) {
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::write(folder.path().join("a.csv"), CONTENT).expect("file is written");
        let dataset = dataset(folder.path(), &[("uid", "bigint")]);
        let request =
            PlanRequest { columns: Vec::new(), target_split_bytes: 0, known: HashMap::new() };
        let plan = plan(&dataset, request, &|| false).expect("it is planned");
        let file = &plan.files[0];
        let split = Split {
            dataset: dataset.name.to_string(),
            file: file.name.clone(),
            fingerprint: file.fingerprint.clone(),
            start: file.ranges[0].start,
            end: file.ranges[0].end,
        };
        (folder, Arc::new(Catalog::new(vec![dataset])), split)
    }

    fn position(byte_offset: u64, row_number: u64) -> Position {
        Position { byte_offset, row_number }
    }

    /// Reads from a position on: number of rows, and the end.
    fn read(
        catalog: &Arc<Catalog>,
        split: &Split,
        position: Position,
    ) -> Result<(usize, Position), RequestError> {
        let dataset = catalog.find(&split.dataset).expect("it is declared");
        let request = ReadRequest {
            split: split.clone(),
            position,
            columns: Vec::new(),
            batch_bytes_max: 1 << 20,
        };
        let mut reader = SplitReader::open(catalog.clone(), dataset, request, &|| false)?;
        let mut rows = 0;
        while let Some(chunk) = reader.next_chunk(&|| false)? {
            rows += chunk.batch.map_or(0, |batch| batch.records.num_rows());
        }
        Ok((rows, reader.reached()))
    }

    #[test]
    fn a_split_is_read_from_every_boundary() {
        let (_folder, catalog, split) = planned();
        for (row, rows) in [(0, 3), (1, 2), (2, 1), (3, 0)] {
            let position = position(4 + 3 * row, row);
            let outcome = read(&catalog, &split, position).expect("it is read");
            assert_eq!(outcome, (rows, split.end), "from {position}");
        }
    }

    #[test]
    fn positions_that_are_none_are_refused() {
        let (_folder, catalog, split) = planned();
        for (byte_offset, row_number) in [(16, 4), (0, 0), (13, 4), (16, 3)] {
            let outcome = read(&catalog, &split, position(byte_offset, row_number));
            assert!(
                matches!(outcome, Err(RequestError::PositionBeyondSplit { .. })),
                "{outcome:?}"
            );
        }
        for byte_offset in [5, 6, 8, 9] {
            let outcome = read(&catalog, &split, position(byte_offset, 1));
            assert!(
                matches!(outcome, Err(RequestError::PositionNotOnBoundary { .. })),
                "{outcome:?}"
            );
        }
        let outcome = read(&catalog, &split, position(10, 1));
        assert!(matches!(outcome, Err(RequestError::RowCountDiffers { .. })), "{outcome:?}");
    }

    #[test]
    fn other_content_is_refused_and_more_content_is_not_read() {
        let (folder, catalog, split) = planned();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, format!("{CONTENT}40\n")).expect("file is written");
        let outcome = read(&catalog, &split, split.start).expect("it is read");
        assert_eq!(outcome, (3, split.end));
        std::fs::write(&path, format!("{}400\n", CONTENT.replace("20", "2x")))
            .expect("file is written");
        let outcome = read(&catalog, &split, split.start);
        assert!(matches!(outcome, Err(RequestError::FileChanged { .. })), "{outcome:?}");
        std::fs::remove_file(&path).expect("file is removed");
        let outcome = read(&catalog, &split, split.start);
        assert!(matches!(outcome, Err(RequestError::FileNotFound { .. })), "{outcome:?}");
    }
}
