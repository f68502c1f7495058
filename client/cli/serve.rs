//! `ferry-client serve`: the flags that say which jobs are served, and where.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use ferry::host::shutdown::Shutdown;

use crate::error::ClientError;
use crate::serve::{self, ServeSettings};

/// What `serve --help` ends with.
pub(super) const SERVE_EXAMPLES: &str = "\
Examples:
  ferry-client serve job.toml                    a page and an API on http://127.0.0.1:8080
  ferry-client serve jobs/*.toml --listen 127.0.0.1:9000
  ferry-client serve --config serve.toml         with TLS, tokens and limits

The page is at /, the API's description at /api/docs, counters are at /metrics,
and gRPC (ferry.v1.RecordService) is on the same port.";

#[derive(Args)]
pub(super) struct ServeArguments {
    /// Job files whose runs and tables are served.
    #[arg(value_name = "JOB", required_unless_present = "config")]
    jobs: Vec<PathBuf>,
    /// File with listener, tokens, TLS, limits and more job files.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

impl ServeArguments {
    /// Does what the verb says.
    pub(super) async fn execute(self, shutdown: Shutdown) -> Result<(), ClientError> {
        let settings = ServeSettings::load(self.config.as_deref(), self.jobs, self.listen)?;
        Ok(serve::serve(&settings, shutdown).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Command, FromArgMatches as _};

    fn parse(words: &[&str]) -> Option<ServeArguments> {
        let command = ServeArguments::augment_args(Command::new("serve"));
        let words = std::iter::once("serve").chain(words.iter().copied());
        let matches = command.try_get_matches_from(words).ok()?;
        ServeArguments::from_arg_matches(&matches).ok()
    }

    #[test]
    fn jobs_come_from_the_command_line_or_from_a_file() {
        let jobs = parse(&["a.toml", "b.toml", "--listen", "[::1]:0"]).expect("two jobs");
        assert_eq!((jobs.jobs.len(), jobs.listen.map(|address| address.port())), (2, Some(0)));
        assert!(parse(&["--config", "serve.toml"]).is_some_and(|file| file.jobs.is_empty()));
        assert!(parse(&[]).is_none());
        assert!(parse(&["a.toml", "--listen", "localhost:80"]).is_none());
    }
}
