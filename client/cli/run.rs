//! `ferry-client run` and `plan`: the flags that say which run is meant and which files.

use clap::{Args, ValueEnum};
use ferry::host::shutdown::Shutdown;

use super::job::JobArguments;
use super::load::LoadArguments;
use super::since::since;
use crate::error::ClientError;
use crate::ledger::runs::{OldRules, RunChoice};
use crate::output::Style;
use crate::plan;
use crate::report::{Display, RunReport};
use crate::run::{self, Missing, Reload, RunOptions, unless_stopped};

/// What `run --help` ends with.
pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  ferry-client run job.toml                  load what is new, or go on where a run stopped
  ferry-client run job.toml --workers 4      four splits at a time; the same command on other
                                             hosts takes part in the same run
  ferry-client run job.toml --join-only      take part in a run that is going on, begin none
  ferry-client run job.toml --run current    finish the unfinished run, look for nothing new
  ferry-client run job.toml --run new        leave the unfinished run: a new one loads its rest
  ferry-client run job.toml --since 2d       only files that changed in the last two days
  ferry-client run job.toml --reload --drift evolve
  ferry-client run job.toml --give-up-missing
                                             finish without the rest of files that are gone
  ferry-client run job.toml --mode upsert --key id --only-if-newer updated_at
  ferry-client run job.toml --mode replace --keep-old";

#[derive(Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    job: JobArguments,
    #[command(flatten)]
    part: PartArguments,
    /// Only take part in a run that is going on; without one there is nothing to do.
    #[arg(long, conflicts_with_all = ["run", "reload", "since"])]
    join_only: bool,
    /// Let an unfinished run that began with other checks or expressions go on with these.
    #[arg(long)]
    new_rules: bool,
    /// Never load what is left of files that the source does not have any more.
    #[arg(long, conflicts_with = "join_only")]
    give_up_missing: bool,
    #[command(flatten)]
    output: OutputArguments,
    // Last, because its heading stays for what comes after it.
    #[command(flatten)]
    load: LoadArguments,
}

#[derive(Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    job: JobArguments,
    #[command(flatten)]
    part: PartArguments,
    #[command(flatten)]
    load: LoadArguments,
}

/// Which run is meant, and which files.
#[derive(Args)]
struct PartArguments {
    /// Begin a new run, or take part in the unfinished one only [default: the unfinished one, else a new one].
    #[arg(long, value_name = "WHICH", ignore_case = true)]
    run: Option<WhichRun>,
    /// Load all files from their start again, also what is loaded already.
    #[arg(long)]
    reload: bool,
    /// Only files modified since then: a day, a time of RFC 3339, or a span such as 2d.
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<i64>,
}

/// What is said, and how.
#[derive(Args)]
struct OutputArguments {
    /// Print the summary as one JSON object.
    #[arg(long)]
    json: bool,
    /// Show no progress.
    #[arg(long, short)]
    quiet: bool,
}

/// The run that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WhichRun {
    /// A new one; it takes over what an unfinished one has not loaded.
    New,
    /// The unfinished one; without one there is nothing to do.
    Current,
}

impl RunArguments {
    /// Does what the verb says.
    pub(super) async fn execute(self, shutdown: Shutdown) -> Result<(), ClientError> {
        let OutputArguments { json, quiet } = self.output;
        let display = if quiet || json { Display::Hidden } else { Display::Automatic };
        let style = Style::of(json);
        let options = self.options();
        match self.job.load_with(self.load) {
            Ok(job) => run::run_and_report(job, options, display, style, shutdown).await,
            Err(error) => {
                RunReport::new("").finish(Some(&error), style);
                Err(error)
            }
        }
    }

    fn options(&self) -> RunOptions {
        let mut options = self.part.options();
        if self.join_only {
            options.choice = RunChoice::Join;
        }
        if self.new_rules {
            options.old_rules = OldRules::Replace;
        }
        if self.give_up_missing {
            options.missing = Missing::GiveUp;
        }
        options
    }
}

impl PlanArguments {
    /// Does what the verb says.
    pub(super) async fn execute(self, mut shutdown: Shutdown) -> Result<(), ClientError> {
        let options = self.part.options();
        let job = self.job.load_with(self.load)?;
        unless_stopped(&mut shutdown, plan::show(&job, &options)).await
    }
}

impl PartArguments {
    fn options(&self) -> RunOptions {
        RunOptions {
            choice: match self.run {
                None => RunChoice::Automatic,
                Some(WhichRun::New) => RunChoice::New,
                Some(WhichRun::Current) => RunChoice::Current,
            },
            reload: if self.reload { Reload::All } else { Reload::Changed },
            since_unix_nanos: self.since,
            ..RunOptions::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::error::ErrorKind;
    use clap::{Command, FromArgMatches as _};

    fn parse(flags: &str) -> Result<RunArguments, ErrorKind> {
        let command = RunArguments::augment_args(Command::new("run"));
        let words = std::iter::once("run").chain(flags.split_whitespace());
        let matches = command.try_get_matches_from(words).map_err(|error| error.kind())?;
        RunArguments::from_arg_matches(&matches).map_err(|error| error.kind())
    }

    fn options(flags: &str) -> RunOptions {
        parse(flags).expect("valid flags").options()
    }

    #[test]
    fn flags_say_which_run_is_meant() {
        assert_eq!(options("job.toml").choice, RunChoice::Automatic);
        for flags in ["--run new", "--run NEW"] {
            assert_eq!(options(flags).choice, RunChoice::New, "{flags}");
        }
        assert_eq!(options("--run Current").choice, RunChoice::Current);
        assert_eq!(options("--join-only").choice, RunChoice::Join);
        assert_eq!(parse("--run last").err(), Some(ErrorKind::InvalidValue));
    }

    #[test]
    fn who_only_joins_has_no_say_in_the_files() {
        for flags in ["--run new", "--reload", "--since 2d", "--give-up-missing"] {
            let both = format!("--join-only {flags}");
            assert_eq!(parse(&both).err(), Some(ErrorKind::ArgumentConflict), "{both}");
        }
        assert!(parse("--join-only --workers 2 --new-rules").is_ok());
    }

    #[test]
    fn flags_say_which_files_are_loaded() {
        let plain = options("");
        assert_eq!((plain.reload, plain.since_unix_nanos), (Reload::Changed, None));
        assert_eq!(plain.old_rules, OldRules::Keep);
        assert_eq!(plain.missing, Missing::Await);
        assert_eq!(options("--give-up-missing").missing, Missing::GiveUp);
        let asked = options("--reload --since 1970-01-02 --new-rules");
        assert_eq!(asked.reload, Reload::All);
        assert_eq!(asked.since_unix_nanos, Some(86_400_000_000_000));
        assert_eq!(asked.old_rules, OldRules::Replace);
        assert_eq!(parse("--since yesterday").err(), Some(ErrorKind::ValueValidation));
    }

    #[test]
    fn flags_reach_the_job() {
        let flags = "--database postgres://localhost/x --source http://127.0.0.1:7443 \
                     --dataset people --table people --mode upsert --key id --update a,b \
                     --workers 3 --lease 30s --retries 2 --drift quarantine --rewritten reload";
        let arguments = parse(flags).expect("valid flags");
        let job = arguments.job.load_with(arguments.load).expect("a valid job");
        assert_eq!((job.load.workers, job.load.retries), (3, 2));
        assert_eq!(job.load.lease.as_secs(), 30);
        assert_eq!(job.load.drift.word(), "quarantine");
        assert_eq!(job.targets[0].mode.word(), "upsert");
        assert_eq!(job.targets[0].key, ["id"]);
        for flags in ["--mode merge", "--drift thaw", "--rewritten twice"] {
            assert_eq!(parse(flags).err(), Some(ErrorKind::InvalidValue), "{flags}");
        }
    }
}
