//! Tells how a run goes on, as server-sent events, until it ends or nobody listens.
//!
//! The ledger is asked again and again, so that a run of another process, or of
//! another host, is told as well. Bounds: a question every 500 ms, four events
//! that wait for a slow reader, an hour for one stream, [`STREAMS_MAX`] streams,
//! [`STREAMS_OF_CALLER_MAX`] of them of one token, or of one address without tokens.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use ferry::host::shutdown::Shutdown;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::OpenApi;

use super::access::Read;
use super::extract::{InPath, InQuery};
use super::limits::Counted;
use super::places::{Full, Places};
use super::problem::{Problem, ProblemBody};
use super::runs::{FoundRun, RunQuery, find_run};
use super::shapes::{RunEvent, RunEventName, RunProgressEvent, RunSummary};
use super::state::{ANSWER_TIME_MAX, AppState, ServedJob};
use crate::ledger::live::{self, RunProgress};
use crate::ledger::runs::RunState;
use crate::ledger::times::TimeForm;
use crate::ledger::{RunId, history};

/// How often the ledger is asked.
const ASK_INTERVAL: Duration = Duration::from_millis(500);
/// After so long an event is sent though nothing changed.
const QUIET_MAX: Duration = Duration::from_secs(5);
/// A database that is gone for longer ends the stream; the reader comes again.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest stream; the reader comes again.
const STREAM_MAX: Duration = Duration::from_hours(1);
/// Streams at a time.
const STREAMS_MAX: usize = 32;
/// Those of one caller, so that it does not take the places of all.
const STREAMS_OF_CALLER_MAX: usize = 8;
/// A stream may last for an hour, but whoever has too many can end one.
const RETRY_AFTER_SECONDS: u64 = 10;
/// Events that wait for the reader.
const WAITING_MAX: usize = 4;
/// The pace is measured over so long: a worker commits every few seconds only.
const PACE_WINDOW: Duration = Duration::from_secs(10);
/// Over less than this no pace is told.
const PACE_TIME_MIN: Duration = Duration::from_millis(400);

/// Where the handler of this file answers.
pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/api/v1/runs/{run_id}/events", get(follow_run))
}

/// Places for the streams.
pub(super) fn places() -> Places {
    Places::new(STREAMS_MAX, STREAMS_OF_CALLER_MAX)
}

#[derive(OpenApi)]
#[openapi(paths(follow_run), components(schemas(RunProgressEvent, RunSummary)))]
struct Document;

/// What the document of the whole API says of it.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Follow a run as server-sent events.
///
/// Events `progress`, whose data is a `RunProgressEvent`, come about every 500 ms
/// while something changes, and at least every 5 s; once the run has ended, an
/// event `end`, whose data is a `RunSummary`, closes the stream. A stream that
/// closes without it was cut off: ask again.
#[utoipa::path(
    get,
    path = "/api/v1/runs/{run_id}/events",
    tag = "runs",
    params(("run_id" = i64, Path, description = "Number of the run."), RunQuery),
    responses(
        (
            status = 200,
            description = "The events.",
            body = RunEvent,
            content_type = "text/event-stream"
        ),
        (
            status = 429,
            description = "Too many requests, or too many streams of this caller: `Retry-After` says when to go on.",
            body = ProblemBody,
            content_type = "application/problem+json"
        )
    )
)]
pub(super) async fn follow_run(
    _: Read,
    caller: Counted,
    State(state): State<AppState>,
    InPath(run_id): InPath<i64>,
    InQuery(query): InQuery<RunQuery>,
) -> Result<Response, Problem> {
    let FoundRun { job, connection } = find_run(&state, run_id, query.job.as_deref()).await?;
    drop(connection);
    let place = state.streams().take(caller).map_err(no_place)?;
    let (events, received) = mpsc::channel(WAITING_MAX);
    let mut follower = Follower { job, run_id: RunId(run_id), events, shutdown: state.shutdown() };
    tokio::spawn(async move {
        let _ended_by_time = timeout(STREAM_MAX, follower.follow()).await;
        drop(place);
    });
    let stream = Sse::new(ReceiverStream::new(received)).keep_alive(KeepAlive::default());
    let mut response = stream.into_response();
    // Axum says `no-cache`, which lets them be kept.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn no_place(full: Full) -> Problem {
    match full {
        Full::OfCaller => Problem::too_many(
            "too_many_streams",
            format!(
                "at most {STREAMS_OF_CALLER_MAX} runs are followed by one caller: end one of these streams"
            ),
            RETRY_AFTER_SECONDS,
        ),
        Full::OfAll => Problem::busy(
            "busy",
            "as many runs as may be are followed already: ask again in a moment",
        ),
    }
}

/// Asks the ledger how a run goes on, and tells one reader.
struct Follower {
    job: Arc<ServedJob>,
    run_id: RunId,
    events: mpsc::Sender<Result<Event, Infallible>>,
    shutdown: Shutdown,
}

impl Follower {
    /// Until the run ends, the reader goes, the process stops or the database is gone.
    async fn follow(&mut self) {
        let mut pace = Pace::default();
        let mut told: Option<(RunProgress, Instant)> = None;
        let mut failing_since: Option<Instant> = None;
        loop {
            match self.look().await {
                Ok(None) => return,
                Ok(Some(progress)) => {
                    failing_since = None;
                    let now = Instant::now();
                    let rows_per_second = pace.take(now, progress.read);
                    if is_due(told.as_ref(), &progress, now) {
                        let event = RunProgressEvent::of(self.run_id.0, &progress, rows_per_second);
                        if !self.send(RunEventName::Progress, &event).await {
                            return;
                        }
                        told = Some((progress.clone(), now));
                    }
                    if progress.state != RunState::Running && self.tell_end().await {
                        return;
                    }
                }
                Err(problem) => {
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > PATIENCE {
                        tracing::debug!(run = %self.run_id, %problem, "a run is not followed any more");
                        return;
                    }
                }
            }
            if !self.wait().await {
                return;
            }
        }
    }

    async fn look(&self) -> Result<Option<RunProgress>, Problem> {
        let mut connection = self.job.connection().await?;
        let looking = live::progress(&mut connection, self.run_id);
        let looked = timeout(ANSWER_TIME_MAX, looking).await;
        Ok(self.job.in_time(looked, &mut connection)??)
    }

    /// Says that the run has ended; `false` if the ledger could not be asked, or says otherwise by now.
    async fn tell_end(&self) -> bool {
        let summary = match self.summary().await {
            Ok(Some(summary)) if summary.state != RunState::Running => summary,
            Ok(None) => return true,
            _ => return false,
        };
        self.send(RunEventName::End, &RunSummary::from(summary)).await;
        true
    }

    async fn summary(&self) -> Result<Option<history::RunSummary>, Problem> {
        let mut connection = self.job.connection().await?;
        let looking = history::summary(&mut connection, self.run_id, TimeForm::Rfc3339);
        let looked = timeout(ANSWER_TIME_MAX, looking).await;
        Ok(self.job.in_time(looked, &mut connection)??)
    }

    /// Sends an event; `false` if nobody takes it.
    async fn send(&self, event: RunEventName, data: &impl Serialize) -> bool {
        match serde_json::to_string(data) {
            Ok(data) => {
                let event = RunEvent { event, data };
                self.events.send(Ok(event.into())).await.is_ok()
            }
            Err(error) => {
                tracing::error!(%error, "an event cannot be written as JSON");
                false
            }
        }
    }

    /// Waits until it is time to ask again; `false` if there is no need to.
    async fn wait(&mut self) -> bool {
        tokio::select! {
            () = self.events.closed() => false,
            () = self.shutdown.requested() => false,
            () = tokio::time::sleep(ASK_INTERVAL) => true,
        }
    }
}

/// Whether an event says something new, or was silent for long enough.
fn is_due(told: Option<&(RunProgress, Instant)>, progress: &RunProgress, now: Instant) -> bool {
    let Some((before, at)) = told else {
        return true;
    };
    let has_changed = before.state != progress.state
        || before.rows_in_source != progress.rows_in_source
        || before.read != progress.read
        || before.loaded != progress.loaded
        || before.quarantined != progress.quarantined
        || before.filtered != progress.filtered
        || before.splits != progress.splits;
    has_changed || now.saturating_duration_since(*at) >= QUIET_MAX
}

/// How many records are dealt with in a second, over the last [`PACE_WINDOW`].
#[derive(Default)]
struct Pace {
    /// When so many records had been dealt with, the oldest first.
    samples: VecDeque<(Instant, u64)>,
}

impl Pace {
    /// Takes note of how many records are dealt with by now; returns the pace.
    fn take(&mut self, now: Instant, read: u64) -> f64 {
        self.samples.push_back((now, read));
        while let Some((oldest, _)) = self.samples.front()
            && now.saturating_duration_since(*oldest) > PACE_WINDOW
        {
            self.samples.pop_front();
        }
        let Some((since, before)) = self.samples.front() else {
            return 0.0;
        };
        let time = now.saturating_duration_since(*since);
        if time < PACE_TIME_MIN {
            return 0.0;
        }
        // More than four thousand million rows in ten seconds are not told apart.
        let rows = u32::try_from(read.saturating_sub(*before)).unwrap_or(u32::MAX);
        f64::from(rows) / time.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_streams_are_told_apart_from_those_of_one_caller() {
        let told = |full| {
            let problem = no_place(full);
            (problem.status().as_u16(), problem.code())
        };
        assert_eq!(told(Full::OfCaller), (429, "too_many_streams"));
        assert_eq!(told(Full::OfAll), (503, "busy"));
    }

    fn progress(read: u64) -> RunProgress {
        RunProgress {
            state: RunState::Running,
            at: format!("2026-01-31T12:00:{read:02}.000000Z"),
            rows_in_source: 100,
            read,
            loaded: read,
            quarantined: 0,
            filtered: 0,
            splits: Vec::new(),
        }
    }

    #[test]
    fn an_event_comes_with_every_change_and_now_and_then() {
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        assert!(is_due(None, &progress(1), began));
        let told = (progress(1), began);
        assert!(is_due(Some(&told), &progress(2), after(1)));
        let later = RunProgress { at: "later".to_owned(), ..progress(1) };
        assert!(!is_due(Some(&told), &later, after(4)), "only the clock went on");
        assert!(is_due(Some(&told), &later, after(5)));
        let ended = RunProgress { state: RunState::Finished, ..progress(1) };
        assert!(is_due(Some(&told), &ended, after(1)));
    }

    #[test]
    fn the_pace_is_of_the_last_seconds() {
        let began = Instant::now();
        let mut pace = Pace::default();
        for (seconds, read, expected, why) in [
            (0, 1000, 0.0, "what was before is not of now"),
            (2, 1000, 0.0, "nothing came"),
            (4, 1800, 200.0, "800 in 4 seconds"),
            (10, 3000, 200.0, "2000 in 10 seconds"),
            (14, 3000, 120.0, "1200 since second 4"),
            (30, 3000, 0.0, "it stands still"),
        ] {
            let found = pace.take(began + Duration::from_secs(seconds), read);
            assert!((found - expected).abs() < 1e-9, "{found} in second {seconds}: {why}");
        }
        assert_eq!(pace.samples.len(), 1, "what is too old is forgotten");
    }

    #[test]
    fn two_looks_at_once_give_no_pace() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.take(now, 0);
        let at_once = pace.take(now + Duration::from_millis(1), 1_000_000);
        assert!(at_once.abs() < f64::EPSILON, "{at_once}");
    }
}
