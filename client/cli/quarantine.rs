//! `ferry-client quarantine …`: the flags of the verbs on refused rows.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ferry::host::shutdown::Shutdown;

use super::job::JobArguments;
use super::ledger::LedgerArguments;
use crate::error::ClientError;
use crate::ledger::quarantine::State;
use crate::output::Style;
use crate::quarantine::{self, ExportFile, Reach, Selection};
use crate::run::unless_stopped;
use crate::status::Scope;

#[derive(Subcommand)]
pub(super) enum QuarantineVerb {
    /// List refused rows.
    List(ListArguments),
    /// Show one refused row with all its reasons and what was kept of it.
    Show(ShowArguments),
    /// Ask the source for refused rows again and load those that pass the job as it is now.
    Replay(Box<ReplayArguments>),
    /// Give refused rows up: they stay counted as quarantined and are not replayed.
    Discard(DiscardArguments),
    /// Write refused rows to a CSV file.
    Export(ExportArguments),
}

/// Which rows are meant.
#[derive(Args)]
struct SelectionArguments {
    /// Rows of this run.
    #[arg(long, value_name = "N")]
    run: Option<i64>,
    /// Rows with this code among their reasons.
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// Rows with a reason that concerns this column.
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// Rows of this file.
    #[arg(long, value_name = "NAME")]
    file: Option<String>,
}

impl SelectionArguments {
    fn selection(self, state: Option<State>, ids: Vec<i64>) -> Selection {
        Selection {
            run: self.run,
            code: self.code,
            column: self.column,
            file: self.file,
            state,
            ids,
        }
    }
}

/// Which rows of a ledger are shown, however they stand.
#[derive(Args)]
struct RowsArguments {
    #[command(flatten)]
    ledger: LedgerArguments,
    #[command(flatten)]
    selection: SelectionArguments,
    /// Rows that are open, replayed or discarded.
    #[arg(long, value_name = "STATE")]
    state: Option<State>,
}

impl RowsArguments {
    fn meant(self) -> Result<(Scope, Selection), ClientError> {
        let selection = self.selection.selection(self.state, Vec::new());
        Ok((self.ledger.scope()?, selection))
    }
}

#[derive(Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    rows: RowsArguments,
    /// Most rows to list.
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct ShowArguments {
    /// Number of the row, as `list` shows it.
    #[arg(value_name = "ID")]
    id: i64,
    #[command(flatten)]
    ledger: LedgerArguments,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct ReplayArguments {
    #[command(flatten)]
    job: JobArguments,
    #[command(flatten)]
    selection: SelectionArguments,
    /// Rows by their numbers; all open ones of the job without it.
    #[arg(long, value_delimiter = ',', value_name = "ID,ID")]
    ids: Vec<i64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct DiscardArguments {
    #[command(flatten)]
    ledger: LedgerArguments,
    #[command(flatten)]
    selection: SelectionArguments,
    /// Rows by their numbers.
    #[arg(long, value_delimiter = ',', value_name = "ID,ID")]
    ids: Vec<i64>,
    /// Every open row that the job has, or all jobs have.
    #[arg(long)]
    all: bool,
}

#[derive(Args)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    rows: RowsArguments,
    /// Write CSV; there is no other format.
    #[arg(long)]
    csv: bool,
    /// File to write, instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long, requires = "output")]
    force: bool,
}

impl QuarantineVerb {
    /// Does what the verb says.
    pub(super) async fn execute(self, mut shutdown: Shutdown) -> Result<(), ClientError> {
        match self {
            Self::List(list) => {
                let (scope, selection) = list.rows.meant()?;
                let style = Style::of(list.json);
                let listing = quarantine::list(&scope, &selection, list.limit, style);
                unless_stopped(&mut shutdown, listing).await
            }
            Self::Show(show) => {
                let scope = show.ledger.scope()?;
                let showing = quarantine::show(&scope, show.id, Style::of(show.json));
                unless_stopped(&mut shutdown, showing).await
            }
            Self::Replay(replay) => {
                let ReplayArguments { job, selection, ids, json } = *replay;
                let selection = selection.selection(None, ids);
                quarantine::replay(&job.load()?, &selection, Style::of(json), shutdown).await
            }
            Self::Discard(discard) => {
                let scope = discard.ledger.scope()?;
                let selection = discard.selection.selection(None, discard.ids);
                let reach = if discard.all { Reach::All } else { Reach::Named };
                let discarding = quarantine::discard(&scope, &selection, reach);
                unless_stopped(&mut shutdown, discarding).await
            }
            Self::Export(export) => {
                let (scope, selection) = export.rows.meant()?;
                let replaces = export.force;
                let file = export.output.map(|path| ExportFile { path, replaces });
                let exporting = quarantine::export(&scope, &selection, file.as_ref());
                unless_stopped(&mut shutdown, exporting).await
            }
        }
    }
}
