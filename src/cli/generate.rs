//! `doorward generate`: an account of any size as a state file, with requests to it, to size a deployment.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::workload::{Dimensions, Size, Workload};

mod document;
#[cfg(test)]
mod tests;

/// Everything was written.
const WRITTEN: u8 = 0;
/// Something cannot be written.
const UNUSABLE: u8 = 2;

/// Writes an account of a given size as a state file, and requests to it.
///
/// The same options give the same bytes. About seven in ten of the requests are allowed.
#[derive(Debug, Clone, Args)]
pub struct GenerateArgs {
    /// How large: S has 100 policies and 1,000 users; M, L and XL have ten times as many as the one before.
    #[arg(long, value_enum, default_value_t = SizeName::S)]
    pub size: SizeName,
    /// What the choices are drawn from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Policies, in place of what the size says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub policies: Option<u32>,
    /// Groups, in place of what the size says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub groups: Option<u32>,
    /// Users, in place of what the size says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub users: Option<u32>,
    /// Where the state file goes; standard output if missing.
    #[arg(long, value_name = "FILE.json")]
    pub output: Option<PathBuf>,
    /// How many requests are written.
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "requests_to")]
    pub requests: usize,
    /// Where requests go, as `doorward eval` reads them; none are written if missing.
    #[arg(long, value_name = "FILE.jsonl")]
    pub requests_to: Option<PathBuf>,
}

/// A size as an option spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SizeName {
    /// 100 policies, 100 groups, 1,000 users.
    #[value(name = "S", alias = "s")]
    S,
    /// 1,000 policies, 1,000 groups, 10,000 users.
    #[value(name = "M", alias = "m")]
    M,
    /// 10,000 policies, 10,000 groups, 100,000 users.
    #[value(name = "L", alias = "l")]
    L,
    /// 100,000 policies, 20,000 groups, 1,000,000 users.
    #[value(name = "XL", alias = "xl")]
    Xl,
}

/// Writes the files and gives the exit code: 0 all was written, 2 something cannot be.
pub fn run(args: &GenerateArgs, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let workload = Workload::new(args.dimensions(), args.seed);
    let state = |out: &mut dyn Write| document::state(&workload, out);
    let mut written = match &args.output {
        Some(path) => into_file(path, state),
        None => state(out).and_then(|()| out.flush()).map_err(|error| format!("standard output: {error}")),
    };
    if let (Ok(()), Some(path)) = (&written, &args.requests_to) {
        written = into_file(path, |out| document::requests(&workload, args.seed, args.requests, out));
    }
    match written {
        Ok(()) => WRITTEN,
        Err(problem) => {
            // Nothing is left to tell it to where standard error is gone.
            let _ = writeln!(err, "error: {problem}");
            UNUSABLE
        }
    }
}

fn into_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), String> {
    let file = File::create(path).map(BufWriter::new);
    let written = file.and_then(|mut file| write(&mut file).and_then(|()| file.flush()));
    written.map_err(|error| format!("{}: {error}", path.display()))
}

// === impl GenerateArgs ===

impl GenerateArgs {
    fn dimensions(&self) -> Dimensions {
        let size = Size::from(self.size).dimensions();
        let or = |given: Option<u32>, default| given.map_or(default, |given| given as usize);
        Dimensions {
            policies: or(self.policies, size.policies),
            groups: or(self.groups, size.groups),
            users: or(self.users, size.users),
        }
    }
}

// === impl SizeName ===

impl From<SizeName> for Size {
    fn from(name: SizeName) -> Self {
        match name {
            SizeName::S => Self::S,
            SizeName::M => Self::M,
            SizeName::L => Self::L,
            SizeName::Xl => Self::Xl,
        }
    }
}
