//! How a host runs: its settings, its certificates, its tokens, its log, its end.

pub mod core;
pub mod logging;
pub mod panic;
pub mod pem;
pub mod settings;
pub mod shutdown;
pub mod token;
