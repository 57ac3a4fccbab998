//! Makes the Rust types of `proto/tidings/v1/tidings.proto`, and its description for gRPC reflection.
//!
//! Compiled in Rust by `protox`, so that nobody needs `protoc` to build the server.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

const PROTO: &str = "../../proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO}");
    let files = protox::compile(["tidings/v1/tidings.proto"], [PROTO])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo names OUT_DIR")?);
    fs::write(out.join("tidings.v1.bin"), files.encode_to_vec())?;
    // These carry secrets, and are shown without them.
    let secret = ["Hello", "Session", "SubscribeRequest", "Refresh"];
    prost_build::Config::new()
        .skip_debug(secret.map(|name| format!(".tidings.v1.{name}")))
        .compile_fds(files)?;
    Ok(())
}
