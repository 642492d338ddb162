//! How long an account of a size takes to come and go, in one table:
//! `cargo run --release --example scale -- [--size S|M|L|XL] [--changes 201] [--folder FOLDER]`.
//!
//! A store is loaded, a control plane begins with it, a sidecar reads all of it, changes go from one to the other, and the
//! sidecar begins again without the control plane. `cargo build --release` makes the processes first. Linux only: memory is
//! what it tells of a process.

#![expect(clippy::print_stdout, reason = "a program that prints figures")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use doorward::cli::generate::SizeName;
use doorward::workload::{Size, Workload};

use crate::changes::Probe;
use crate::figures::Figures;
use crate::support::memory;
use crate::support::server::{Caller, Server, command};

mod changes;
mod figures;
#[path = "../support/mod.rs"]
mod support;

/// Between two looks at the memory of a process that ends by itself.
const LOOK: Duration = Duration::from_millis(20);
/// The seed that `store load` takes by default.
const SEED: u64 = 1;

/// Measures an account of a size.
#[derive(Debug, Parser)]
struct Arguments {
    /// How large the account is
    #[arg(long, value_enum, default_value_t = SizeName::S)]
    size: SizeName,
    /// Changes that are timed
    #[arg(long, default_value_t = 201)]
    changes: usize,
    /// Folder with `data`, which `store load --generate SIZE` has filled: nothing is imported then
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = &Arguments::parse();
    let made = tempfile::tempdir()?;
    let folder = arguments.folder.as_deref().unwrap_or(made.path());
    // A thread that waits for a process must not keep connections from closing.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    println!("{}", runtime.block_on(measure(folder, arguments))?);
    Ok(())
}

async fn measure(folder: &Path, arguments: &Arguments) -> anyhow::Result<Figures> {
    let size = Size::from(arguments.size);
    let (data, saved) = (folder.join("data"), folder.join("saved"));
    let mut figures = Figures { size: size.name(), dimensions: size.dimensions(), ..Figures::default() };
    if arguments.folder.is_none() {
        (figures.load, figures.load_peak) = load(size, &data)?;
    }
    figures.store_bytes = std::fs::metadata(data.join("doorward.redb"))?.len();
    // The first start makes what only the first one makes.
    let (first, address, _) = control_plane(&data)?;
    let root = data.join("credentials/root.token");
    Caller::connect(&address, Some(&root)).await?.answered().await?;
    first.end()?;
    let (control, address, ready) = control_plane(&data)?;
    figures.ready = ready;

    let (sidecar, checks, took) = sidecar(&data, &saved, &address)?;
    figures.reset = took;
    figures.sidecar_reset_peak = memory::peak(sidecar.id())?;
    figures.control_reset_peak = memory::peak(control.id())?;

    let account = Workload::new(size.dimensions(), SEED).account().to_string();
    let caller = Caller::connect(&address, Some(&root)).await?;
    let mut probe = Probe::prepare(account, caller, Caller::connect(&checks, None).await?).await?;
    figures.seen = probe.measure(arguments.changes, folder).await?;
    figures.control_peak = memory::peak(control.id())?;
    figures.control_resident = memory::resident(control.id())?;
    figures.sidecar_peak = memory::peak(sidecar.id())?;
    figures.sidecar_resident = memory::resident(sidecar.id())?;

    let begun = Instant::now();
    sidecar.end()?;
    figures.ended = begun.elapsed();
    figures.saved_bytes = bytes_below(&saved)?;
    control.end()?;
    alone(&data, &saved, &address, &mut figures, &mut probe).await?;
    Ok(figures)
}

/// The sidecar begins with what is on disk, and answers what the last change came to.
async fn alone(
    data: &Path,
    saved: &Path,
    address: &str,
    figures: &mut Figures,
    probe: &mut Probe,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let (sidecar, checks, published) = sidecar(data, saved, address)?;
    sidecar.logged("begins with the snapshot on disk", |_| Some(()))?;
    probe.ask_at(Caller::connect(&checks, None).await?).await?;
    (figures.disk, figures.disk_check) = (published, begun.elapsed());
    figures.disk_peak = memory::peak(sidecar.id())?;
    sidecar.end()
}

/// Loads a generated account: how long it took, and the most memory.
fn load(size: Size, data: &Path) -> anyhow::Result<(Duration, u64)> {
    let begun = Instant::now();
    let mut load: Command = command()?;
    let mut child = load
        .args(["store", "load", "--generate", size.name(), "--directory"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        // It may end between the two looks.
        peak = memory::peak(child.id()).unwrap_or(peak);
        std::thread::sleep(LOOK);
    };
    ensure!(status.success(), "`store load` ended with {status}");
    Ok((begun.elapsed(), peak))
}

/// A control plane, its address, and how long it took until it served.
fn control_plane(data: &Path) -> anyhow::Result<(Server, String, Duration)> {
    let begun = Instant::now();
    let data = data.to_str().context("a folder that is no text")?;
    let listen = ["--admin-listen", "127.0.0.1:0", "--metrics-listen", "off"];
    let server = Server::start(["control-plane", "--data-directory", data].into_iter().chain(listen))?;
    let address = server.listening("admin")?;
    Ok((server, address, begun.elapsed()))
}

/// A sidecar, where it answers, and how long it took until it had something to answer from.
fn sidecar(data: &Path, saved: &Path, control: &str) -> anyhow::Result<(Server, String, Duration)> {
    let begun = Instant::now();
    let (url, token) = (format!("http://{control}"), data.join("credentials/watch.token"));
    let token = token.to_str().context("a folder that is no text")?;
    let saved = saved.to_str().context("a folder that is no text")?;
    let follow = ["sidecar", "--control-plane", &url, "--token-file", token, "--snapshot-directory", saved];
    let listen = ["--check-listen", "127.0.0.1:0", "--metrics-listen", "off", "--drain-grace-seconds", "120"];
    let server = Server::start(follow.into_iter().chain(listen))?;
    server.logged("snapshot published", |_| Some(()))?;
    let took = begun.elapsed();
    let address = server.listening("check")?;
    Ok((server, address, took))
}

fn bytes_below(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
