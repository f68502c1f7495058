//! `ferry-client runs` and `status`: the flags of the verbs that look back.

use clap::{Args, Subcommand};
use ferry::host::shutdown::Shutdown;

use super::ledger::LedgerArguments;
use crate::error::ClientError;
use crate::output::Style;
use crate::run::unless_stopped;
use crate::{history, status};

#[derive(Args)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    ledger: LedgerArguments,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct RunsArguments {
    #[command(subcommand)]
    verb: Option<RunsVerb>,
    #[command(flatten)]
    list: ListArguments,
}

#[derive(Subcommand)]
enum RunsVerb {
    /// Show one run: its accounts by file, tables, workers and rejects.
    Show(ShowArguments),
}

#[derive(Args)]
struct ListArguments {
    #[command(flatten)]
    ledger: LedgerArguments,
    /// Most runs to list.
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ShowArguments {
    /// Number of the run.
    #[arg(value_name = "ID")]
    id: i64,
    #[command(flatten)]
    ledger: LedgerArguments,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl StatusArguments {
    /// Does what the verb says.
    pub(super) async fn execute(self, mut shutdown: Shutdown) -> Result<(), ClientError> {
        let scope = self.ledger.scope()?;
        let showing = status::show(&scope, Style::of(self.json));
        unless_stopped(&mut shutdown, showing).await
    }
}

impl RunsArguments {
    /// Does what the verb says.
    pub(super) async fn execute(self, mut shutdown: Shutdown) -> Result<(), ClientError> {
        match self.verb {
            None => {
                let ListArguments { ledger, limit, json } = self.list;
                let scope = ledger.scope()?;
                let listing = history::list(&scope, limit, Style::of(json));
                unless_stopped(&mut shutdown, listing).await
            }
            Some(RunsVerb::Show(show)) => {
                let scope = show.ledger.scope()?;
                let showing = history::show(&scope, show.id, Style::of(show.json));
                unless_stopped(&mut shutdown, showing).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Command, FromArgMatches as _};

    fn parse(words: &[&str]) -> Option<RunsArguments> {
        let command = RunsArguments::augment_args(Command::new("runs"));
        let words = std::iter::once("runs").chain(words.iter().copied());
        let matches = command.try_get_matches_from(words).ok()?;
        RunsArguments::from_arg_matches(&matches).ok()
    }

    #[test]
    fn a_job_file_lists_and_show_shows() {
        let list = parse(&["job.toml", "--limit", "3", "--json"]).expect("a list");
        assert!(list.verb.is_none() && list.list.json);
        assert_eq!(list.list.limit, 3);
        let show = parse(&["show", "12", "--database", "postgres://localhost/x"]);
        let Some(RunsVerb::Show(show)) = show.expect("one run").verb else {
            panic!("a list");
        };
        assert_eq!(show.id, 12);
        assert_eq!(parse(&[]).map(|all| all.list.limit), Some(20));
    }

    #[test]
    fn flags_of_the_list_are_not_lost_on_one_run() {
        assert!(parse(&["--json", "show", "12"]).is_none());
        assert!(parse(&["show"]).is_none());
        assert!(parse(&["--limit", "0"]).is_none());
    }
}
