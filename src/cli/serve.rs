//! `doorward serve`, `control-plane` and `sidecar`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context;

use super::example::Example;
use crate::config::raw::{Flags, RawConfig};
use crate::config::resolved::{Config, Role};
use crate::server::{self, Addresses};
use crate::telemetry::log;

/// `EX_USAGE`: the configuration cannot be used.
const USAGE: u8 = 64;
/// The process could not start, or had to end.
const FAILED: u8 = 1;

/// Run everything in one process: store, administration, watch and checks.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Serve an account worth looking at, from a directory that goes when the process ends; turns reflection on
    #[arg(long, conflicts_with_all = ["state", "data-directory"])]
    example: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Run a part of Doorward.
#[derive(Debug, clap::Args)]
pub struct RoleArgs {
    #[command(flatten)]
    flags: Flags,
}

/// A configuration that cannot be used, as opposed to a process that failed.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
struct Unusable(anyhow::Error);

/// Runs `doorward serve`; returns the exit code.
#[must_use]
pub fn serve(args: ServeArgs) -> u8 {
    finish(run_serve(args))
}

/// Runs one role; returns the exit code.
#[must_use]
pub fn role(args: RoleArgs, role: Role) -> u8 {
    finish(configure(args.flags, role).and_then(|config| run(config, role, |_| ())))
}

fn run_serve(args: ServeArgs) -> anyhow::Result<()> {
    if !args.example {
        let config = configure(args.flags, Role::Serve)?;
        return run(config, Role::Serve, |_| ());
    }
    let example = Example::create()?;
    let mut flags = args.flags;
    flags.check.reflection.get_or_insert(true);
    flags.store.directory = Some(example.data());
    flags.store.state = Some(example.state());
    flags.ext_authz.subject_header.get_or_insert_with(|| super::example::SUBJECT_HEADER.to_owned());
    let config = configure(flags, Role::Serve)?;
    run(config, Role::Serve, |addresses| example.introduce(addresses))
}

fn configure(flags: Flags, role: Role) -> anyhow::Result<Config> {
    let raw = match &flags.config {
        None => RawConfig::default(),
        Some(path) => read_file(path).map_err(Unusable)?,
    };
    Config::resolve(raw.overridden_by(flags), role).map_err(|problems| Unusable(problems.into()).into())
}

fn read_file(path: &PathBuf) -> anyhow::Result<RawConfig> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("the configuration `{shown}` cannot be read"))?;
    RawConfig::from_toml(&text).with_context(|| format!("the configuration `{shown}` cannot be used"))
}

fn run(config: Config, role: Role, started: impl FnOnce(&Addresses) + Send) -> anyhow::Result<()> {
    let filter = log::parse_filter(&config.log.filter).context("the log filter cannot be used")?;
    log::install(config.log.format, filter);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime can be started")?;
    Ok(runtime.block_on(server::run(config, role, started))?)
}

fn finish(result: anyhow::Result<()>) -> u8 {
    let Err(problem) = result else { return 0 };
    // There is nobody left to tell if this fails.
    let _ = writeln!(std::io::stderr(), "error: {problem:#}");
    if problem.is::<Unusable>() { USAGE } else { FAILED }
}
