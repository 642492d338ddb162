//! The commands of `doorward`.

pub mod admin;
pub mod check;
pub mod client;
pub mod eval;
pub mod example;
pub mod explain;
pub mod generate;
pub mod lint;
pub mod serve;
pub mod store;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::clock::Clock;
use crate::config::resolved::Role;

/// An authorization sidecar with a whole IAM behind it.
#[derive(Debug, Parser)]
#[command(name = "doorward", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process: store, administration, watch and checks
    Serve(serve::ServeArgs),
    /// Run the store, administration and watch
    ControlPlane(serve::RoleArgs),
    /// Run checks, fed by a control plane
    Sidecar(serve::RoleArgs),
    /// Ask a running sidecar whether a user may do something
    Check(check::CheckArgs),
    /// Call an administrative method with JSON
    Admin(admin::AdminArgs),
    Lint(lint::LintArgs),
    Eval(eval::EvalArgs),
    Explain(explain::ExplainArgs),
    Generate(generate::GenerateArgs),
    Store(store::StoreArgs),
}

/// Parses the arguments of the process and runs the command.
#[must_use]
pub fn main() -> ExitCode {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let code = match Cli::parse().command {
        // A server writes its log from many threads, so the locks must not be held.
        Command::Serve(args) => {
            drop((out, err));
            serve::serve(args)
        }
        Command::ControlPlane(args) => {
            drop((out, err));
            serve::role(args, Role::ControlPlane)
        }
        Command::Sidecar(args) => {
            drop((out, err));
            serve::role(args, Role::Sidecar)
        }
        Command::Check(args) => check::run(&args, &mut out, &mut err),
        Command::Admin(args) => admin::run(&args, &mut out, &mut err),
        Command::Lint(args) => lint::run(&args, &mut io::stdin().lock(), &mut out, &mut err),
        Command::Explain(args) => explain::run(&args, jiff::Timestamp::now(), &mut out, &mut err),
        Command::Eval(args) => {
            // It flushes by itself, once for each batch of lines that arrived together.
            let mut out = io::BufWriter::new(out);
            eval::run(&args, &jiff::Timestamp::now, &mut io::stdin().lock(), &mut out, &mut err)
        }
        Command::Store(args) => store::run(&args, &Clock::system(), &mut out, &mut err),
        Command::Generate(args) => generate::run(&args, &mut io::BufWriter::new(out), &mut err),
    };
    code.into()
}
