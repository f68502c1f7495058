//! How far a run has come: a bar on a terminal, otherwise a log line now and then.
//!
//! All workers of a process tell one [`Progress`].

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

const LOG_INTERVAL: Duration = Duration::from_secs(5);
const REDRAWS_PER_SECOND: u8 = 8;
const TEMPLATE: &str = "{bar:30} {percent:>3}%  {rows} rows  {binary_bytes_per_sec}  ETA {eta}";

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Display {
    /// As a bar on a terminal, as log lines elsewhere.
    Automatic,
    /// Not at all.
    Hidden,
}

/// Shows how far a run has come.
pub(crate) struct Progress {
    display: Display,
    bar: ProgressBar,
    bytes_total: u64,
    bytes_done: AtomicU64,
    /// Shared with the bar, which shows it whenever it is drawn.
    rows_done: Arc<AtomicU64>,
    log_times: LogTimes,
}

impl Progress {
    /// Begins with `bytes_total` bytes of the source before it.
    pub(crate) fn new(display: Display, bytes_total: u64) -> Self {
        let is_bar = display == Display::Automatic && std::io::stderr().is_terminal();
        let target = if is_bar {
            ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(bytes_total), target);
        let rows_done = Arc::new(AtomicU64::new(0));
        let shown = Arc::clone(&rows_done);
        let show_rows = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            // The bar writes to a string.
            let _ = write!(out, "{}", HumanCount(shown.load(Ordering::Relaxed)));
        };
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style.with_key("rows", show_rows));
        }
        let (bytes_done, log_times) = (AtomicU64::new(0), LogTimes::new(Instant::now()));
        Self { display, bar, bytes_total, bytes_done, rows_done, log_times }
    }

    /// Takes note of rows and bytes that a worker committed.
    pub(crate) fn advance(&self, rows: u64, bytes: u64) {
        self.rows_done.fetch_add(rows, Ordering::Relaxed);
        self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
        self.bar.inc(bytes);
        self.log();
    }

    /// Bytes of the source that this process committed.
    pub(crate) fn bytes_done(&self) -> u64 {
        self.bytes_done.load(Ordering::Relaxed)
    }

    /// Takes the bar off the screen.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn log(&self) {
        if self.display == Display::Hidden || !self.bar.is_hidden() {
            return;
        }
        let Some(since_beginning) = self.log_times.take(Instant::now()) else {
            return;
        };
        tracing::info!(
            rows = self.rows_done.load(Ordering::Relaxed),
            bytes = self.bytes_done(),
            bytes_total = self.bytes_total,
            seconds = since_beginning.as_secs(),
            "loading"
        );
    }
}

/// When a log line is due; of several workers one writes it.
struct LogTimes {
    began: Instant,
    /// Milliseconds from the beginning to the last line.
    last_millis: AtomicU64,
}

impl LogTimes {
    fn new(began: Instant) -> Self {
        Self { began, last_millis: AtomicU64::new(0) }
    }

    /// The time since the beginning, if a line is due and nobody else writes it.
    fn take(&self, now: Instant) -> Option<Duration> {
        let since_beginning = now.saturating_duration_since(self.began);
        let last = self.last_millis.load(Ordering::Relaxed);
        if since_beginning.saturating_sub(Duration::from_millis(last)) < LOG_INTERVAL {
            return None;
        }
        let millis = u64::try_from(since_beginning.as_millis()).unwrap_or(u64::MAX);
        let (relaxed, cell) = (Ordering::Relaxed, &self.last_millis);
        cell.compare_exchange(last, millis, relaxed, relaxed).ok().map(|_| since_beginning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_add_to_one_sum() {
        let progress = Progress::new(Display::Hidden, 8 * 1000 * 10);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|_| progress.advance(3, 10)));
            }
        });
        assert_eq!(progress.bytes_done(), 80_000);
        assert_eq!(progress.rows_done.load(Ordering::Relaxed), 24_000);
        assert_eq!(progress.bar.position(), 80_000);
    }

    #[test]
    fn a_log_line_is_due_now_and_then_and_once() {
        let began = Instant::now();
        let times = LogTimes::new(began);
        let at = |seconds| times.take(began + Duration::from_secs(seconds));
        assert_eq!(at(4), None);
        assert_eq!(at(5), Some(Duration::from_secs(5)));
        assert_eq!(at(5), None, "another worker has written it");
        assert_eq!(at(9), None);
        assert_eq!(at(11), Some(Duration::from_secs(11)));
    }
}
