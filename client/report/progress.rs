//! How far a run has come: a bar on a terminal, otherwise a log line now and then.

use std::cell::Cell;
use std::io::IsTerminal as _;
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
    began: Instant,
    logged: Cell<Instant>,
    bytes_total: u64,
    bytes_done: Cell<u64>,
    rows_done: Cell<u64>,
}

impl Progress {
    /// Begins at `bytes_done` of `bytes_total` bytes of the source.
    pub(crate) fn new(display: Display, bytes_total: u64) -> Self {
        let is_bar = display == Display::Automatic && std::io::stderr().is_terminal();
        let target = if is_bar {
            ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(bytes_total), target);
        let now = Instant::now();
        Self {
            display,
            bar,
            began: now,
            logged: Cell::new(now),
            bytes_total,
            bytes_done: Cell::new(0),
            rows_done: Cell::new(0),
        }
    }

    /// Takes note of rows and bytes that were committed.
    pub(crate) fn advance(&self, rows: u64, bytes: u64) {
        self.rows_done.set(self.rows_done.get() + rows);
        self.bytes_done.set(self.bytes_done.get() + bytes);
        let rows_done = self.rows_done.get();
        let show_rows = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            // The bar writes to a string.
            let _ = write!(out, "{}", HumanCount(rows_done));
        };
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            self.bar.set_style(style.with_key("rows", show_rows));
        }
        self.bar.set_position(self.bytes_done.get());
        self.log();
    }

    fn log(&self) {
        let is_due = self.logged.get().elapsed() >= LOG_INTERVAL;
        if self.display == Display::Hidden || !self.bar.is_hidden() || !is_due {
            return;
        }
        self.logged.set(Instant::now());
        tracing::info!(
            rows = self.rows_done.get(),
            bytes = self.bytes_done.get(),
            bytes_total = self.bytes_total,
            seconds = self.began.elapsed().as_secs(),
            "loading"
        );
    }

    /// Bytes of the source that were committed.
    pub(crate) fn bytes_done(&self) -> u64 {
        self.bytes_done.get()
    }

    /// Takes the bar off the screen.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
