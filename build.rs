//! Compiles the protos with protox: no protoc, nothing to install.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message as _;
use prost_types::FileDescriptorSet;

const PROTOS: [&str; 7] = [
    "proto/doorward/v1/authorization.proto",
    "proto/doorward/v1/model.proto",
    "proto/doorward/v1/admin.proto",
    "proto/doorward/v1/watch.proto",
    "proto/doorward/v1/decision_admin.proto",
    "proto/doorward/v1/store.proto",
    "proto/envoy/external_auth.proto",
];

/// What Doorward speaks as a client only.
const CLIENTS: [&str; 1] = ["proto/etcd/rpc.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    // Reflection and the command line read the same descriptors that the code is generated from.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    // Sorted maps, so that equal messages have equal bytes: the digest of a repeated request is made of them.
    tonic_prost_build::configure().btree_map(".").compile_fds(descriptors.clone())?;
    watch_server(&out, descriptors)?;
    // Not among the descriptors: nobody is served this, so that reflection has nothing to show of it.
    let clients = protox::compile(CLIENTS, ["proto"])?;
    tonic_prost_build::configure().build_server(false).bytes(".").compile_fds(clients)?;
    Ok(())
}

/// The watch service once more, for a server that sends events which were encoded before: one encoding for all watchers.
fn watch_server(out: &Path, mut descriptors: FileDescriptorSet) -> Result<(), Box<dyn Error>> {
    let folder = out.join("watch_server");
    fs::create_dir_all(&folder)?;
    for file in &mut descriptors.file {
        file.service.retain(|service| service.name() == "WatchService");
    }
    tonic_prost_build::configure()
        .build_client(false)
        .extern_path(".doorward.v1.WatchResponse", "crate::services::watch::Encoded")
        .extern_path(".doorward.v1", "crate::proto::doorward")
        .out_dir(&folder)
        .compile_fds(descriptors)?;
    Ok(())
}
