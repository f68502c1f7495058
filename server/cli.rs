//! Turns the command line into the verb to run; `--help` teaches by example.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use ferry::host::logging::Level;

const ABOUT: &str = "\
Serves the records of CSV files on this host, typed and in batches, over gRPC.

Only datasets declared in server.toml can be read, by name, never by path. \
ferry-client fetches them and loads them into PostgreSQL; grpcurl can look at them too.";

const EXAMPLES: &str = r#"A first server.toml:
  listen = "127.0.0.1:7443"

  [[dataset]]
  name = "customers"
  files = ["customers*.csv"]     # relative to this file's folder

  [dataset.columns]              # other columns are text
  signup_date = "date"

Then:
  ferry-server check             see datasets, files and columns
  ferry-server serve             serve them until SIGINT or SIGTERM
  grpcurl -plaintext 127.0.0.1:7443 ferry.v1.TransferService/ListDatasets

Exit codes:
  0  done, or stopped by a signal
  1  unexpected
  2  usage or configuration
  3  cannot listen, such as when the port is taken"#;

/// Serves the records of CSV files over gRPC.
#[derive(Debug, Parser)]
#[command(name = "ferry-server", version, long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// File with the settings.
    #[arg(long, global = true, value_name = "FILE", default_value = "server.toml")]
    pub(crate) config: PathBuf,
    /// Least important log lines to show; `RUST_LOG` goes before it.
    #[arg(long, global = true, value_enum, value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: Level,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the datasets until SIGINT or SIGTERM.
    ///
    /// Prints one line on standard output once it listens. On a signal, open
    /// streams end at a batch boundary; a client resumes there.
    Serve {
        /// Address to listen on instead of the one in the settings; port 0 takes a free one.
        #[arg(long, value_name = "HOST:PORT")]
        listen: Option<SocketAddr>,
    },
    /// Check the settings and list datasets, files and columns.
    ///
    /// Opens every file's header, and no port.
    Check,
}

impl Cli {
    /// The address on the command line, which goes before the one in the settings.
    pub(crate) fn listen(&self) -> Option<SocketAddr> {
        match self.command {
            Command::Serve { listen } => listen,
            Command::Check => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_may_stand_after_the_verb() {
        let words =
            ["ferry-server", "serve", "--config", "a/server.toml", "--listen", "127.0.0.1:0"];
        let cli = Cli::try_parse_from(words).expect("it parses");
        assert_eq!(cli.config, PathBuf::from("a/server.toml"));
        assert_eq!(cli.listen().map(|address| address.port()), Some(0));
    }
}
