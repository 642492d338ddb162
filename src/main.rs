//! The `doorward` binary.

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use doorward::cli::lint::{self, LintArgs};

/// An authorization sidecar with a whole IAM behind it.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Lint(LintArgs),
}

fn main() -> ExitCode {
    let Cli { command: Command::Lint(args) } = Cli::parse();
    lint::run(&args, &mut io::stdin().lock(), &mut io::stdout().lock(), &mut io::stderr().lock()).into()
}
