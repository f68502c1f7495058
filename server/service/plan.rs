//! Turns the messages of `PlanTransfer` into requests to plan, and plans into messages.

use std::collections::HashMap;

use ferry::schema::Column;
use ferry::wire::MESSAGE_BYTES_MAX;
use ferry::wire::convert::required_position;
use ferry::wire::generated as proto;
use prost::Message as _;

use crate::catalog::dataset::Dataset;
use crate::catalog::origin::SourceKind;
use crate::catalog::plan::{FilePlan, KnownFile, Plan, PlanRequest};
use crate::error::RequestError;
use crate::service::status::kind;

/// Longest watermark that is taken: it becomes a part of an address.
const WATERMARK_BYTES_MAX: usize = 1024;

/// Reads what a destination asks for.
pub(super) fn plan_request(
    dataset: &Dataset,
    request: proto::PlanTransferRequest,
) -> Result<PlanRequest, RequestError> {
    let mut known = HashMap::with_capacity(request.known_files.len());
    for file in request.known_files {
        let Some(fingerprint) = file.fingerprint else {
            let text = "field `known_files.fingerprint` is missing".to_owned();
            return Err(RequestError::InvalidRequest(text));
        };
        let planned_to = required_position(file.planned_to, "known_files.planned_to")?;
        let fingerprint = fingerprint.try_into()?;
        let had_problem = file.had_problem;
        known.insert(file.name, KnownFile { fingerprint, planned_to, had_problem });
    }
    if request.watermark.as_ref().is_some_and(|value| value.len() > WATERMARK_BYTES_MAX) {
        return Err(RequestError::InvalidRequest(format!(
            "field `watermark` is longer than {WATERMARK_BYTES_MAX} bytes: leave it out to read all"
        )));
    }
    Ok(PlanRequest {
        columns: dataset.wanted(request.columns)?,
        target_split_bytes: request.target_split_bytes,
        known,
        watermark: request.watermark,
    })
}

/// Writes the plan of a dataset; what is wrong with its files is logged.
pub(super) fn plan_message(
    dataset: &Dataset,
    plan: Plan,
) -> Result<proto::PlanTransferResponse, RequestError> {
    let mut message = proto::PlanTransferResponse {
        columns: plan.columns.iter().map(proto::Column::from).collect(),
        headers: plan.headers.iter().map(|columns| header_message(columns)).collect(),
        watermark: plan.watermark,
        ..proto::PlanTransferResponse::default()
    };
    for file in plan.files {
        let fingerprint = file.fingerprint.as_ref().map(proto::Fingerprint::from);
        for range in &file.ranges {
            message.splits.push(proto::Split {
                dataset: dataset.name.to_string(),
                file: file.name.clone(),
                fingerprint: fingerprint.clone(),
                start: Some(range.start.into()),
                end: Some(range.end.into()),
            });
        }
        let problem = problem_message(dataset, &file);
        message.files.push(file_message(file, fingerprint, problem));
    }
    if message.encoded_len() > MESSAGE_BYTES_MAX {
        return Err(RequestError::InvalidRequest(
            "the plan is larger than a message may be: raise target_split_bytes, ask an API for larger pages, or declare several datasets"
                .to_owned(),
        ));
    }
    Ok(message)
}

fn file_message(
    file: FilePlan,
    fingerprint: Option<proto::Fingerprint>,
    problem: Option<proto::FileProblem>,
) -> proto::PlannedFile {
    let header_number = file.header.map_or(0, |index| index + 1);
    proto::PlannedFile {
        name: file.name,
        fingerprint,
        state: file.state.into(),
        unfinished_bytes: file.unfinished_bytes,
        // There are no more headers than files, and of those at most ten thousand.
        header_number: u32::try_from(header_number).unwrap_or(u32::MAX),
        problem,
        is_page: file.kind.is_page(),
        is_earlier: file.kind == SourceKind::EarlierPage,
    }
}

fn problem_message(dataset: &Dataset, file: &FilePlan) -> Option<proto::FileProblem> {
    let error = file.problem.as_deref()?;
    let (_, reason) = kind(error);
    let text = error.to_string();
    tracing::warn!(dataset = %dataset.name, reason, error = ?text, "file cannot be read whole");
    Some(proto::FileProblem { reason: reason.to_owned(), message: text })
}

fn header_message(columns: &[Column]) -> proto::Header {
    proto::Header { columns: columns.iter().map(proto::Column::from).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::dataset::tests::dataset;
    use crate::catalog::plan::plan;
    use crate::catalog::scans::ScanCache;
    use ferry::wire::generated::FileState;

    #[test]
    fn a_problem_is_told_with_its_file_and_the_others_are_planned() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for (name, content) in [("a.csv", "uid,uid\n"), ("b.csv", "uid\n1\n")] {
            std::fs::write(folder.path().join(name), content).expect("file is written");
        }
        let dataset = dataset(folder.path(), &[]);
        let request = plan_request(&dataset, proto::PlanTransferRequest::default());
        let request = request.expect("it is a request");
        let plan = plan(&dataset, request, &ScanCache::default(), &|| false).expect("a plan");
        let message = plan_message(&dataset, plan).expect("a message");

        let [bad, good] = &message.files[..] else { panic!("{} files", message.files.len()) };
        assert_eq!((bad.state(), bad.header_number), (FileState::Unreadable, 0));
        assert!(bad.fingerprint.is_none());
        let problem = bad.problem.as_ref().expect("it has a problem");
        assert_eq!(problem.reason, "BAD_HEADER");
        assert!(problem.message.starts_with("the header of file \"a.csv\" cannot be used"));
        assert_eq!((good.state(), good.header_number), (FileState::New, 1));
        assert!(good.fingerprint.is_some() && good.problem.is_none());
        let files: Vec<&str> = message.splits.iter().map(|split| split.file.as_str()).collect();
        assert_eq!(files, ["b.csv"]);
    }
}
