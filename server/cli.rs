//! Turns the command line into the verb to run; `--help` teaches by example.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use encoding_rs::{Encoding, REPLACEMENT, X_USER_DEFINED};
use ferry::host::logging::Level;
use ferry::host::settings::ByteSize;

use crate::catalog::dataset::DatasetName;
use crate::delimited::Delimiter;

const ABOUT: &str = "\
Serves the records of CSV and JSON files on this host, and of JSON APIs, typed and in batches, over gRPC.

Only datasets declared in server.toml can be read, by name, never by path. \
ferry-client fetches them and loads them into PostgreSQL; grpcurl can look at them too.";

const EXAMPLES: &str = r#"Let it write a first dataset, from a file as it is:
  ferry-server inspect customers.csv >> server.toml

A first server.toml:
  listen = "127.0.0.1:7443"

  [[dataset]]
  name = "customers"
  files = ["customers*.csv"]     # relative to this file's folder

  [dataset.columns]              # other columns are text
  signup_date = "date"

Then:
  ferry-server check             see datasets, files and columns
  ferry-server check --records   read every record, and see which are refused
  ferry-server serve             serve them until SIGINT or SIGTERM
  grpcurl -plaintext 127.0.0.1:7443 ferry.v1.TransferService/ListDatasets

Exit codes:
  0  done, or stopped by a signal
  1  unexpected
  2  usage or configuration
  3  cannot listen, such as when the port is taken"#;

const INSPECT_EXAMPLES: &str = r"Examples:
  ferry-server inspect customers.csv                     all of it
  ferry-server inspect export.csv.gz --sample 64MiB      its first 64 MiB
  ferry-server inspect daily.txt --delimiter '\t' --encoding windows-1252 --no-header";

/// Place of the flags of all verbs in their help: behind a verb's own, before `--help`.
const GLOBAL_ORDER: usize = 900;

/// Serves the records of files and APIs over gRPC.
#[derive(Debug, Parser)]
#[command(name = "ferry-server", version, long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// File with the settings.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "server.toml",
        display_order = GLOBAL_ORDER
    )]
    pub(crate) config: PathBuf,
    /// Least important log lines to show; `RUST_LOG` goes before it.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "LEVEL",
        default_value = "info",
        display_order = GLOBAL_ORDER + 1
    )]
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
        #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_listen)]
        listen: Option<SocketAddr>,
    },
    /// Check the settings and list datasets, files and columns.
    ///
    /// Opens every file's header, and no port. With --records, every record is
    /// read as a client would have it read, and what is refused is counted:
    /// reasons and places, no values. Refused records are no failure. An API is
    /// asked only then.
    Check(CheckRequest),
    /// Find out how a file is written, and print a dataset for server.toml.
    ///
    /// Finds compression, encoding, delimiter, quotes, header, and the types of
    /// the columns over all records. What was found, how sure it is, and what
    /// does not fit stand in the same text as comments. Values of the file are
    /// not printed, only their shapes (Ada-17 is Aaa-99), unless --values asks
    /// for the smallest and the largest. Needs no settings.
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect(InspectRequest),
}

/// What to check.
#[derive(Debug, Args)]
pub(crate) struct CheckRequest {
    /// Read every record too, with the declared types.
    #[arg(long)]
    pub(crate) records: bool,
    /// Check this dataset alone.
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: Option<DatasetName>,
}

/// Which file to inspect, and what is known about it already.
#[derive(Debug, Args)]
pub(crate) struct InspectRequest {
    /// File to inspect, as it is or compressed with gzip or zstd.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Read no more than so much of the content, such as 64MiB.
    #[arg(long, value_name = "SIZE")]
    pub(crate) sample: Option<ByteSize>,
    /// Name of the dataset instead of one made of the file's name.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<DatasetName>,
    /// Encoding of the file instead of what it looks like, such as windows-1252.
    #[arg(long, value_name = "LABEL", value_parser = parse_encoding)]
    pub(crate) encoding: Option<&'static Encoding>,
    /// What stands between fields instead of what it looks like; '\t' is a tab.
    #[arg(long, value_name = "TEXT", value_parser = parse_delimiter)]
    pub(crate) delimiter: Option<Delimiter>,
    /// Quote around fields instead of what it looks like; '' for none.
    #[arg(long, value_name = "CHARACTER", value_parser = parse_quote)]
    pub(crate) quote: Option<QuoteChoice>,
    /// The first record holds values, not names.
    #[arg(long)]
    pub(crate) no_header: bool,
    /// Print the smallest and the largest number, date or time of each column
    /// as they are. They may be personal data.
    #[arg(long)]
    pub(crate) values: bool,
}

/// The byte around fields; `None` where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QuoteChoice(pub(crate) Option<u8>);

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "write an IP address and a port, such as 127.0.0.1:7443 or [::1]:7443".to_owned()
    })
}

fn parse_encoding(label: &str) -> Result<&'static Encoding, String> {
    Encoding::for_label(label.as_bytes())
        .filter(|encoding| *encoding != REPLACEMENT && *encoding != X_USER_DEFINED)
        .ok_or_else(|| "no such encoding: write a label such as \"windows-1252\"".to_owned())
}

fn parse_delimiter(text: &str) -> Result<Delimiter, String> {
    text.replace("\\t", "\t").parse()
}

fn parse_quote(text: &str) -> Result<QuoteChoice, String> {
    match text.as_bytes() {
        [] => Ok(QuoteChoice(None)),
        [quote] if quote.is_ascii_graphic() => Ok(QuoteChoice(Some(*quote))),
        _ => Err("write one character of ASCII, or '' for none".to_owned()),
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
        assert!(
            matches!(cli.command, Command::Serve { listen: Some(address) } if address.port() == 0)
        );
    }

    #[test]
    fn an_address_that_is_none_is_told_how_to_write_it() {
        let listen = |address: &str| {
            Cli::try_parse_from(["ferry-server", "serve", "--listen", address])
                .map(|_| ())
                .map_err(|error| error.to_string())
        };
        assert_eq!(listen("[::1]:7443"), Ok(()));
        for wrong in ["localhost:7443", "127.0.0.1:80000", "7443"] {
            let text = listen(wrong).expect_err("it is none");
            assert!(text.contains("write an IP address and a port"), "{text}");
        }
    }

    #[test]
    fn flags_of_all_verbs_stand_behind_those_of_one() {
        let mut command = Cli::command();
        command.build();
        let inspect = command.find_subcommand_mut("inspect").expect("the verb");
        let help = inspect.render_long_help().to_string();
        let place = |flag: &str| {
            let line = format!("\n      {flag}");
            help.find(&line).unwrap_or_else(|| panic!("{flag} is not there:\n{help}"))
        };
        let places = ["--sample", "--values", "--config", "--log-level"].map(place);
        assert!(places.is_sorted(), "{help}");
    }

    #[test]
    fn a_check_may_go_further_and_be_of_one_dataset() {
        let request = |words: &[&str]| {
            let verb = ["ferry-server", "check"];
            let cli = Cli::try_parse_from(verb.iter().chain(words)).expect("it parses");
            let Command::Check(request) = cli.command else {
                panic!("another verb");
            };
            request
        };
        let plain = request(&[]);
        assert!(!plain.records && plain.dataset.is_none());
        let named = request(&["--records", "--dataset", "customers"]);
        assert!(named.records);
        assert_eq!(named.dataset.as_ref().map(DatasetName::as_str), Some("customers"));
        assert!(Cli::try_parse_from(["ferry-server", "check", "--dataset", "A B"]).is_err());
    }

    #[test]
    fn what_is_known_of_a_file_is_checked_at_once() {
        let parse = |words: &[&str]| {
            let verb = ["ferry-server", "inspect", "a.csv"];
            Cli::try_parse_from(verb.iter().chain(words))
        };
        let cli = parse(&["--delimiter", "\\t", "--quote", "", "--encoding", "latin1"]);
        let Command::Inspect(request) = cli.expect("it parses").command else {
            panic!("another verb");
        };
        assert_eq!(request.delimiter.map(|delimiter| delimiter.to_string()), Some("\t".to_owned()));
        assert_eq!(request.quote, Some(QuoteChoice(None)));
        assert_eq!(request.encoding.map(Encoding::name), Some("windows-1252"));
        for words in [["--encoding", "klingon"], ["--quote", "ab"], ["--sample", "much"]] {
            assert!(parse(&words).is_err(), "{words:?}");
        }
    }
}
