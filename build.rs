//! Compiles `proto/` to Rust with protox, so that no `protoc` has to be installed.

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;

/// What the source host serves.
const SOURCE_PROTOS: [&str; 3] =
    ["ferry/v1/dataset.proto", "ferry/v1/batch.proto", "ferry/v1/transfer.proto"];
/// What the destination host serves.
const DESTINATION_PROTOS: [&str; 1] = ["ferry/v1/record.proto"];

/// Messages that hold values of records: their `Debug` is written by hand, so
/// that no log line can print one.
const MESSAGES_WITH_VALUES: [&str; 10] = [
    "ferry.v1.Value",
    "ferry.v1.Row",
    "ferry.v1.RowsPayload",
    "ferry.v1.ArrowPayload",
    "ferry.v1.RejectField",
    "ferry.v1.PlanTransferRequest",
    "ferry.v1.PlanTransferResponse",
    "ferry.v1.GetRecordRequest",
    "ferry.v1.ListRecordsRequest",
    "ferry.v1.ListRecordsResponse",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);
    // Two, because reflection tells of every service in the set that it is given.
    let source = protox::compile(SOURCE_PROTOS, ["proto"])?;
    std::fs::write(out_dir.join("ferry_descriptor.bin"), source.encode_to_vec())?;
    let destination = protox::compile(DESTINATION_PROTOS, ["proto"])?;
    std::fs::write(out_dir.join("record_descriptor.bin"), destination.encode_to_vec())?;
    let all = protox::compile(SOURCE_PROTOS.iter().chain(&DESTINATION_PROTOS), ["proto"])?;
    tonic_prost_build::configure()
        .bytes(".ferry.v1.ArrowPayload")
        .skip_debug(MESSAGES_WITH_VALUES)
        .compile_fds(all)?;
    Ok(())
}
