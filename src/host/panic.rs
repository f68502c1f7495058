//! Tells of a panic by its place alone: its message may quote a value of a record.

use std::panic::{PanicHookInfo, set_hook};

/// Replaces the report that Rust makes of a panic.
pub fn report_without_values() {
    set_hook(Box::new(report));
}

fn report(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "a step ended unexpectedly: this is a defect of ferry or of a library");
}
