//! A folder with one file and its settings: what is planned of it, and what is read of that.
//!
//! Invariant: each part that is read has been checked by itself: its records
//! follow each other, each once, and it fits in a message.

use std::fs::{self, File};
use std::io::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use ferry::batch::Batch;
use ferry::position::{Fingerprint, Place, Position, Split};
use ferry::reject::Reject;
use ferry::schema::{Column, arrow_schema};
use ferry::wire::codec::Encoder;
use ferry::wire::{BATCH_ROWS_MAX, MESSAGE_BYTES_MAX};
use prost::Message as _;
use tempfile::TempDir;

use crate::catalog::Catalog;
use crate::catalog::dataset::Dataset;
use crate::catalog::plan::{FilePlan, KnownFile, Plan, PlanRequest, plan};
use crate::catalog::scans::ScanCache;
use crate::chunk::Chunk;
use crate::settings::Settings;
use crate::source::{ReadRequest, SplitReader};

pub(super) const FILE: &str = "a.csv";
/// Limit of a batch where any will do, in bytes of column data.
pub(super) const BATCH_BYTES: usize = 1024 * 1024;
/// Most rejects of one chunk.
const REJECTS_MAX: usize = 1000;

/// A folder with one file.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new(content: &[u8]) -> Self {
        let folder = Self(tempfile::tempdir().expect("temporary folder"));
        fs::write(folder.path(FILE), content).expect("file is written");
        folder
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn append(&self, content: &[u8]) {
        let file = File::options().append(true).open(self.path(FILE));
        file.expect("file is there").write_all(content).expect("file is written");
    }

    /// The dataset that these settings declare.
    pub(super) fn dataset(&self, settings: &str) -> Dataset {
        let path = self.path("server.toml");
        fs::write(&path, settings).expect("file is written");
        let mut settings = Settings::load(&path, None)
            .unwrap_or_else(|error| panic!("settings: {error}\n{settings}"));
        settings.datasets.remove(0)
    }
}

/// One record that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) place: Place,
    /// A batch of one row, or why there is none.
    pub(super) outcome: Result<RecordBatch, Reject>,
}

/// What is read of a split at once.
pub(super) struct Part {
    pub(super) end: Position,
    pub(super) batch: Option<Batch>,
    pub(super) rejects: Vec<Reject>,
}

impl Part {
    /// Its records, one by one, in the order of the file.
    pub(super) fn rows(self) -> Vec<Row> {
        let mut rows = Vec::new();
        if let Some(Batch { records, places, .. }) = self.batch {
            for (index, place) in places.into_iter().enumerate() {
                rows.push(Row { place, outcome: Ok(records.slice(index, 1)) });
            }
        }
        for reject in self.rejects {
            rows.push(Row { place: reject.place, outcome: Err(reject) });
        }
        rows.sort_by_key(|row| row.place.row_number);
        rows
    }
}

/// One file of a dataset.
pub(super) struct Trial {
    catalog: Arc<Catalog>,
    dataset: Arc<Dataset>,
}

impl Trial {
    pub(super) fn of(dataset: Dataset) -> Self {
        let name = dataset.name.clone();
        let catalog = Arc::new(Catalog::new(vec![dataset]));
        let dataset = Arc::clone(catalog.find(name.as_str()).expect("it is declared"));
        Self { catalog, dataset }
    }

    /// Plans the file, and tells its columns.
    pub(super) fn plan(&self, known: Option<KnownFile>) -> (Vec<Column>, FilePlan) {
        let known = known.map(|known| (FILE.to_owned(), known)).into_iter().collect();
        let request = PlanRequest { target_split_bytes: 1, known, ..PlanRequest::default() };
        let outcome = plan(&self.dataset, request, &ScanCache::default(), &|| false);
        let Plan { columns, mut files, .. } =
            outcome.unwrap_or_else(|error| panic!("not planned: {error}"));
        assert_eq!(files.len(), 1, "files of the plan");
        let file = files.remove(0);
        check_ranges(&file);
        (columns, file)
    }

    /// All rows of some ranges, each read at once.
    pub(super) fn read_ranges(
        &self,
        fingerprint: &Fingerprint,
        ranges: &[Range<Position>],
        columns: &[Column],
    ) -> Vec<Row> {
        let mut rows = Vec::new();
        for range in ranges {
            let split = self.split(fingerprint, range);
            for part in self.read(&split, split.start, columns, BATCH_BYTES) {
                rows.extend(part.rows());
            }
        }
        rows
    }

    pub(super) fn split(&self, fingerprint: &Fingerprint, range: &Range<Position>) -> Split {
        Split {
            dataset: self.dataset.name.to_string(),
            file: FILE.to_owned(),
            fingerprint: fingerprint.clone(),
            start: range.start,
            end: range.end,
        }
    }

    /// Reads a split from a position to its end.
    pub(super) fn read(
        &self,
        split: &Split,
        position: Position,
        columns: &[Column],
        batch_bytes_max: usize,
    ) -> Vec<Part> {
        let mut parts = Vec::new();
        self.pass(split, position, columns, batch_bytes_max, |part| parts.push(part));
        parts
    }

    /// The same, with nothing kept.
    pub(super) fn pass(
        &self,
        split: &Split,
        position: Position,
        columns: &[Column],
        batch_bytes_max: usize,
        mut take: impl FnMut(Part),
    ) {
        let request = ReadRequest {
            split: split.clone(),
            position,
            columns: columns.to_vec(),
            batch_bytes_max,
        };
        let catalog = Arc::clone(&self.catalog);
        let mut reader = SplitReader::open(catalog, &self.dataset, request, &|| false)
            .unwrap_or_else(|error| panic!("{split:?} from {position}: {error}"));
        let mut encoder = Encoder::new(&arrow_schema(reader.columns())).expect("a schema");
        let mut reached = position;
        while let Some(chunk) = reader
            .next_chunk(&|| false)
            .unwrap_or_else(|error| panic!("{split:?} at {reached}: {error}"))
        {
            let part = check_part(reached, chunk, &mut encoder);
            reached = part.end;
            take(part);
        }
        assert_eq!((reached, reader.reached()), (split.end, split.end), "end of what was read");
    }
}

/// Ranges hold records and touch each other.
fn check_ranges(file: &FilePlan) {
    for range in &file.ranges {
        let Range { start, end } = range;
        assert!(start.byte_offset < end.byte_offset, "{range:?}");
        assert!(start.row_number < end.row_number, "{range:?}");
    }
    for pair in file.ranges.windows(2) {
        assert_eq!(pair[0].end, pair[1].start, "ranges touch");
    }
}

/// Checks a chunk that begins at `start`.
fn check_part(start: Position, chunk: Chunk, encoder: &mut Encoder) -> Part {
    let Chunk { batch, rejects, end } = chunk;
    assert!(start.byte_offset < end.byte_offset, "a chunk from {start} to {end}");
    let mut places: Vec<Place> = rejects.iter().map(|reject| reject.place).collect();
    assert!(is_ascending(&places), "rejects in order");
    check_rejects(&rejects);
    if let Some(batch) = &batch {
        assert_eq!((batch.start, batch.end), (start, end), "a batch says what its chunk says");
        assert!(is_ascending(&batch.places), "rows in order");
        check_batch(batch, encoder);
        places.extend_from_slice(&batch.places);
    }
    places.sort_by_key(|place| place.row_number);
    let mut reached = start;
    for place in places {
        assert_eq!(place.row_number, reached.row_number + 1, "each record once");
        assert!(reached.byte_offset <= place.byte_start, "{place:?} begins before {reached}");
        assert!(place.byte_start < place.byte_end, "{place:?} is empty");
        reached = Position { byte_offset: place.byte_end, row_number: place.row_number };
    }
    assert_eq!(reached.row_number, end.row_number, "rows and rejects are all records");
    assert!(reached.byte_offset <= end.byte_offset, "{reached} lies behind {end}");
    Part { end, batch, rejects }
}

fn is_ascending(places: &[Place]) -> bool {
    places.windows(2).all(|pair| pair[0].row_number < pair[1].row_number)
}

fn check_rejects(rejects: &[Reject]) {
    assert!(rejects.len() <= REJECTS_MAX, "{} rejects", rejects.len());
    let mut text_bytes = 0;
    for reject in rejects {
        assert!(!reject.reasons.is_empty(), "a reject without reason at {:?}", reject.place);
        text_bytes += reject.fields.iter().flatten().map(String::len).sum::<usize>();
    }
    assert!(text_bytes <= MESSAGE_BYTES_MAX, "{text_bytes} bytes of rejects");
}

fn check_batch(batch: &Batch, encoder: &mut Encoder) {
    let rows = batch.records.num_rows();
    assert_eq!(batch.places.len(), rows, "a place for each row");
    assert!((1..=BATCH_ROWS_MAX).contains(&rows), "{rows} rows");
    let message_bytes = encoder.encode(batch).expect("it is encoded").encoded_len();
    assert!(message_bytes <= MESSAGE_BYTES_MAX, "a message of {message_bytes} bytes");
}
