//! The flags that say where the ledger is, and which job is meant.

use clap::Args;

/// Where the ledger is, and which job is meant.
#[derive(Args)]
pub(super) struct IdentityArguments {
    /// Name under which the ledger remembers what the job loaded.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Destination, such as <postgres://user@host/database>.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(super) database: Option<String>,
}
