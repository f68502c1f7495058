//! Compiles `proto/` to Rust with protox, so that no `protoc` has to be installed.

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;

const PROTOS: [&str; 3] =
    ["ferry/v1/dataset.proto", "ferry/v1/batch.proto", "ferry/v1/transfer.proto"];

/// Messages that hold values of records: their `Debug` is written by hand, so
/// that no log line can print one.
const MESSAGES_WITH_VALUES: [&str; 5] = [
    "ferry.v1.Value",
    "ferry.v1.Row",
    "ferry.v1.RowsPayload",
    "ferry.v1.ArrowPayload",
    "ferry.v1.RejectField",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out_dir.join("ferry_descriptor.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".ferry.v1.ArrowPayload")
        .skip_debug(MESSAGES_WITH_VALUES)
        .compile_fds(descriptors)?;
    Ok(())
}
