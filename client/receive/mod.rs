//! Turns the stream of a source host into raw batches, and checks that none is missing.
//!
//! Invariant: each batch begins where the one before it ended, its rows and its
//! rejects are all the records of its range, and the last one ends the split.

mod connect;
mod error;
mod fit;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::RecordBatch;
use ferry::batch::Batch as Rows;
use ferry::position::{Fingerprint, Position, Split};
use ferry::reject::Reject;
use ferry::schema::{Column, arrow_schema};
use ferry::wire::BATCH_BYTES_MIN;
use ferry::wire::codec::{CodecError, Decoder};
use ferry::wire::convert::required_position;
use ferry::wire::generated as proto;
use proto::read_batches_response::Step;
use tonic::Streaming;

use crate::ledger::files::{FileProblem, KnownFile};
use crate::ledger::watermark::Watermark;
use crate::stage::{Batch, StagedReject};

pub(crate) use connect::{Source, connect};
pub(crate) use error::{FETCH_FAILED, SourceError};
pub(crate) use fit::Misfit;

use fit::Fit;

/// Marks a batch as the source sent it.
pub(crate) struct Raw(());

/// Column data of a batch: larger ones take memory and are no faster.
const BATCH_BYTES: u64 = 512 * 1024;
/// Most rejects between two positions; the server sends a thousand.
const REJECTS_MAX: usize = 100_000;
/// Name of the stage in quarantine.
const STAGE: &str = "read";

/// What a transfer would read, as the source sees it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Files ordered by name, without those that cannot be read at all.
    pub(crate) files: Vec<PlannedFile>,
    /// What is wrong with files that cannot be read, or not to their end, by name.
    pub(crate) problems: Vec<FileProblem>,
    /// Ranges that are not yet planned.
    pub(crate) splits: Vec<Split>,
    /// What an API that is read incrementally has reached once all of this is loaded.
    pub(crate) watermark: Option<Watermark>,
}

/// A file as it stands now.
#[derive(Debug)]
pub(crate) struct PlannedFile {
    /// Name below the dataset's root.
    pub(crate) name: String,
    /// Content as it stands now.
    pub(crate) fingerprint: Fingerprint,
    /// What has become of it since it was planned.
    pub(crate) state: proto::FileState,
    /// Bytes at its end that are left for a later run.
    pub(crate) unfinished_bytes: u64,
    /// Its header with the dataset's types, shared by the files that have the
    /// same; empty if it has none yet, or if the plan was one of given columns.
    pub(crate) columns: Arc<[Column]>,
    /// Whether it is a page of an API.
    pub(crate) is_page: bool,
    /// Whether the API gave it for an earlier plan, and not for this one.
    pub(crate) is_earlier: bool,
}

impl Plan {
    /// Names in the header of a file; `None` if the plan does not tell them.
    pub(crate) fn header(&self, file: &str) -> Option<Vec<String>> {
        let file = self.files.iter().find(|planned| planned.name == file)?;
        let names = file.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
        (!names.is_empty()).then_some(names)
    }
}

impl PlannedFile {
    /// The word that people read for what has become of the file.
    pub(crate) fn state_word(&self) -> &'static str {
        match self.state {
            proto::FileState::Unspecified => "unknown",
            proto::FileState::New => "new",
            proto::FileState::Unchanged => "unchanged",
            proto::FileState::Grown => "grown",
            proto::FileState::Rewritten => "rewritten",
            proto::FileState::Unreadable => "unreadable",
        }
    }
}

impl Source {
    /// Columns of a dataset with the types that its owner declared.
    pub(crate) async fn dataset_columns(&mut self, name: &str) -> Result<Vec<Column>, SourceError> {
        let request = proto::GetDatasetRequest { name: name.to_owned(), ..Default::default() };
        let response = self.service.get_dataset(request).await;
        let response = response.map_err(|status| self.failed(status))?.into_inner();
        self.has_answered.store(true, Ordering::Relaxed);
        let dataset = response.dataset.unwrap_or_default();
        dataset.columns.into_iter().map(|column| Ok(Column::try_from(column)?)).collect()
    }

    /// Asks what a transfer of these columns would read.
    ///
    /// With columns, every file must have them. Without, no file is refused for
    /// its header, and the plan tells the columns of each. Of an API that is read
    /// incrementally, only what is not below the watermark is fetched.
    pub(crate) async fn plan(
        &mut self,
        dataset: &str,
        columns: &[Column],
        target_split_bytes: u64,
        known_files: &[KnownFile],
        watermark: Option<&Watermark>,
    ) -> Result<Plan, SourceError> {
        let known_file = |file: &KnownFile| proto::KnownFile {
            name: file.name.clone(),
            fingerprint: Some((&file.fingerprint).into()),
            planned_to: Some(file.planned_to.into()),
            had_problem: file.problem.is_some(),
        };
        let request = proto::PlanTransferRequest {
            dataset: dataset.to_owned(),
            columns: columns.iter().map(proto::Column::from).collect(),
            target_split_bytes,
            known_files: known_files.iter().map(known_file).collect(),
            watermark: watermark.map(|watermark| watermark.expose().to_owned()),
        };
        let response = self.service.plan_transfer(request).await;
        let response = response.map_err(|status| self.failed(status))?.into_inner();
        self.has_answered.store(true, Ordering::Relaxed);
        if !columns.is_empty() {
            refuse_other_columns(columns, response.columns)?;
        }
        let headers = response.headers.into_iter().map(columns_of);
        let headers = headers.collect::<Result<Vec<_>, SourceError>>()?;
        let splits = response.splits.into_iter().map(Split::try_from);
        let mut plan = Plan {
            splits: splits.collect::<Result<_, _>>()?,
            // PostgreSQL stores no NUL.
            watermark: response.watermark.filter(|value| !value.contains('\0')).map(Watermark::new),
            ..Plan::default()
        };
        for mut file in response.files {
            plan.problems.extend(file_problem(&mut file)?);
            if file.state() != proto::FileState::Unreadable {
                plan.files.push(planned_file(file, &headers)?);
            }
        }
        if columns.is_empty() {
            refuse_untold_columns(&plan)?;
        }
        Ok(plan)
    }

    /// Reads a split from a position on.
    ///
    /// The batches hold just `columns`. `header` are the names of the file's
    /// columns; if they are known, `misfit` says what becomes of rows where
    /// they do not fit what is wanted.
    pub(crate) async fn read(
        &mut self,
        split: &Split,
        position: Position,
        columns: &[Column],
        header: Option<&[String]>,
        misfit: &Misfit,
    ) -> Result<Receiver, SourceError> {
        let fit = Fit::new(columns, header, misfit);
        let request = proto::ReadBatchesRequest {
            split: Some(split.into()),
            position: Some(position.into()),
            columns: fit.asked().iter().map(proto::Column::from).collect(),
            encoding: proto::Encoding::ArrowIpc.into(),
            // Rows that become rejects take many times the memory.
            max_batch_bytes: if fit.refuses_rows() { BATCH_BYTES_MIN } else { BATCH_BYTES },
        };
        let stream = self.service.read_batches(request).await?.into_inner();
        Ok(Receiver {
            stream,
            decoder: Decoder::new(arrow_schema(fit.asked())),
            empty: RecordBatch::new_empty(arrow_schema(columns)),
            fit,
            rejects: Vec::new(),
            position,
            split_end: split.end,
            row_count: 0,
            reject_count: 0,
        })
    }
}

fn columns_of(header: proto::Header) -> Result<Arc<[Column]>, SourceError> {
    header.columns.into_iter().map(|column| Ok(Column::try_from(column)?)).collect()
}

/// What is wrong with a file; of one that cannot be read the source must say it.
fn file_problem(file: &mut proto::PlannedFile) -> Result<Option<FileProblem>, SourceError> {
    match file.problem.take() {
        Some(proto::FileProblem { reason, message }) => {
            Ok(Some(FileProblem { file: file.name.clone(), reason, message }))
        }
        None if file.state() == proto::FileState::Unreadable => Err(missing("file.problem")),
        None => Ok(None),
    }
}

fn planned_file(
    file: proto::PlannedFile,
    headers: &[Arc<[Column]>],
) -> Result<PlannedFile, SourceError> {
    let state = file.state();
    let fingerprint = file.fingerprint.ok_or_else(|| missing("file.fingerprint"))?;
    let columns = match file.header_number {
        0 => Arc::default(),
        number => {
            let index = usize::try_from(number - 1).unwrap_or(usize::MAX);
            Arc::clone(headers.get(index).ok_or_else(|| missing("headers"))?)
        }
    };
    Ok(PlannedFile {
        name: file.name,
        fingerprint: fingerprint.try_into()?,
        state,
        unfinished_bytes: file.unfinished_bytes,
        columns,
        is_page: file.is_page,
        is_earlier: file.is_earlier,
    })
}

/// A file without columns would be loaded as one that lacks all of them.
fn refuse_untold_columns(plan: &Plan) -> Result<(), SourceError> {
    let is_untold = |file: &&PlannedFile| file.columns.is_empty();
    let untold: HashSet<&str> =
        plan.files.iter().filter(is_untold).map(|file| file.name.as_str()).collect();
    match plan.splits.iter().find(|split| untold.contains(split.file.as_str())) {
        None => Ok(()),
        Some(split) => Err(SourceError::Protocol(format!(
            "it does not tell the columns of file \"{}\": run the same version of ferry-server and ferry-client",
            split.file
        ))),
    }
}

/// The source must send what was asked for.
fn refuse_other_columns(wanted: &[Column], planned: Vec<proto::Column>) -> Result<(), SourceError> {
    let planned = planned.into_iter().map(Column::try_from).collect::<Result<Vec<_>, _>>()?;
    if planned == wanted {
        return Ok(());
    }
    Err(SourceError::Protocol("it plans other columns than it was asked for".to_owned()))
}

fn missing(field: &str) -> SourceError {
    SourceError::Protocol(format!("field `{field}` is missing"))
}

/// Receives the batches of one split.
pub(crate) struct Receiver {
    stream: Streaming<proto::ReadBatchesResponse>,
    decoder: Decoder,
    /// Stands for the rows of a range that holds rejects only.
    empty: RecordBatch,
    /// Makes what is wanted of what the file has.
    fit: Fit,
    /// Rejects of the batch to come.
    rejects: Vec<Reject>,
    /// End of the last batch.
    position: Position,
    split_end: Position,
    row_count: u64,
    reject_count: u64,
}

impl Receiver {
    /// The next batch; `None` once the split is read to its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Batch<Raw>>, SourceError> {
        loop {
            let Some(message) = self.stream.message().await? else {
                return Err(SourceError::Interrupted);
            };
            match message.step.ok_or_else(|| missing("step"))? {
                Step::Rejects(rejects) => self.take_rejects(rejects)?,
                Step::Batch(batch) => {
                    let rows = self.decoder.decode(batch)?;
                    return self.accept(rows).map(Some);
                }
                Step::Progress(progress) => {
                    let end = required_position(progress.end, "progress.end")?;
                    let rows = Rows {
                        records: self.empty.clone(),
                        places: Vec::new(),
                        start: self.position,
                        end,
                    };
                    return self.accept(rows).map(Some);
                }
                Step::End(end) => {
                    self.check_end(&end)?;
                    return self.end().await;
                }
            }
        }
    }

    /// Reads the trailers too: a stream that is dropped before them counts as
    /// reset, and a connection takes a thousand of those.
    async fn end(&mut self) -> Result<Option<Batch<Raw>>, SourceError> {
        match self.stream.message().await? {
            None => Ok(None),
            Some(_) => Err(SourceError::Protocol("a message came after the end".to_owned())),
        }
    }

    fn take_rejects(&mut self, rejects: proto::Rejects) -> Result<(), SourceError> {
        for reject in rejects.rejects {
            self.rejects.push(reject.try_into()?);
        }
        if self.rejects.len() > REJECTS_MAX {
            let text = format!("more than {REJECTS_MAX} rejects came without a position");
            return Err(SourceError::Protocol(text));
        }
        Ok(())
    }

    /// Takes a batch if every record of its range is accounted for.
    fn accept(&mut self, mut rows: Rows) -> Result<Batch<Raw>, SourceError> {
        let is_next = rows.start == self.position
            && rows.end.byte_offset >= rows.start.byte_offset
            && rows.end.byte_offset <= self.split_end.byte_offset;
        if !is_next {
            return Err(SourceError::Gap { expected: self.position, found: rows.start });
        }
        let mut rejects = std::mem::take(&mut self.rejects);
        let unaccounted = || SourceError::Unaccounted { start: rows.start, end: rows.end };
        let records =
            rows.end.row_number.checked_sub(rows.start.row_number).ok_or_else(unaccounted)?;
        let row_count = rows.places.len() as u64;
        let reject_count = rejects.len() as u64;
        if row_count + reject_count != records {
            return Err(unaccounted());
        }
        self.position = rows.end;
        self.row_count += row_count;
        self.reject_count += reject_count;
        self.fit.apply(&mut rows, &mut rejects).map_err(CodecError::from)?;
        let staged = |reject| StagedReject { stage: STAGE, reject };
        Ok(Batch::new(rows, rejects.into_iter().map(staged).collect(), Raw(())))
    }

    /// The source's own counts must be ours.
    fn check_end(&self, end: &proto::End) -> Result<(), SourceError> {
        let position: Position = end.end.ok_or_else(|| missing("end.end"))?.into();
        let is_whole = position == self.split_end
            && self.position == self.split_end
            && self.rejects.is_empty()
            && end.row_count == self.row_count
            && end.reject_count == self.reject_count;
        if is_whole {
            return Ok(());
        }
        Err(SourceError::Unaccounted { start: self.position, end: self.split_end })
    }
}
