//! The `doorward` binary.

use std::io::{self, BufWriter};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use doorward::cli::eval::{self, EvalArgs};
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
    Eval(EvalArgs),
    Lint(LintArgs),
}

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let (input, out, err) =
        (&mut io::stdin().lock(), &mut BufWriter::new(io::stdout().lock()), &mut io::stderr().lock());
    let code = match command {
        Command::Eval(args) => eval::run(&args, &jiff::Timestamp::now, input, out, err),
        Command::Lint(args) => lint::run(&args, input, out, err),
    };
    code.into()
}
