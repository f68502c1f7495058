//! Tells of a panic by its place alone: its message may quote a value of a record.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};

thread_local! {
    /// Whether a panic of this thread is one that somebody reckons with.
    static IS_RECKONED_WITH: Cell<bool> = const { Cell::new(false) };
}

/// Replaces the report that Rust makes of a panic.
pub fn report_without_values() {
    set_hook(Box::new(report));
}

/// Does what may panic for some values; `None` if it did.
pub fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    IS_RECKONED_WITH.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    IS_RECKONED_WITH.set(false);
    outcome.ok()
}

fn report(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    if IS_RECKONED_WITH.get() {
        tracing::debug!(place, "a library cannot go on with a value: its row is refused");
    } else {
        tracing::error!(place, "a step ended unexpectedly: this is a defect of ferry");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_panics_gives_nothing_and_the_next_thing_is_done() {
        let zero = std::hint::black_box(0);
        assert_eq!(caught(|| 1 / zero), None);
        assert_eq!(caught(|| 7), Some(7));
    }
}
