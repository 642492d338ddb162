//! `doorward eval`: decisions from a state file, without a server (rules §8).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::model::id::AccountId;
use crate::model::moment::Moment;
use crate::model::revision::StoreId;
use crate::snapshot::build::Snapshot;
use crate::statefile::{self, FileProblem};

mod answer;
mod request;
#[cfg(test)]
mod tests;

/// Bytes of a request line: one with every attribute at every limit of rules §7 fits, escapes included.
pub const LINE_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// Every line was answered.
const ANSWERED: u8 = 0;
/// Some line is an error.
const SOME_ERRORS: u8 = 1;
/// The state or a flag cannot be used.
const UNUSABLE: u8 = 2;

/// Answers requests, one a line, from the account in a state file.
#[derive(Debug, Clone, Args)]
pub struct EvalArgs {
    /// The state file, YAML or JSON.
    #[arg(long, value_name = "FILE")]
    pub state: PathBuf,
    /// The requests, one JSON object a line; `-` is standard input.
    #[arg(long, value_name = "FILE.jsonl")]
    pub requests: PathBuf,
}

/// What stopped the answers.
enum Stopped {
    /// The requests cannot be read.
    Input(io::Error),
    /// The answers cannot be written.
    Output(io::Error),
}

/// Answers the requests and gives the exit code: 0 every line was answered, 1 some line is an error, 2 the state or the
/// requests cannot be used. `now` is the time of a request that tells none.
pub fn run(
    args: &EvalArgs,
    now: &dyn Fn() -> jiff::Timestamp,
    input: &mut dyn Read,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    run_within(LINE_BYTES, args, now, input, out, err)
}

/// [`run`] with lines of at most `line_bytes`.
fn run_within(
    line_bytes: u64,
    args: &EvalArgs,
    now: &dyn Fn() -> jiff::Timestamp,
    input: &mut dyn Read,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let (account, snapshot) = match load(&args.state, now(), err) {
        Ok(loaded) => loaded,
        Err(problems) => return unusable(err, &args.state, &problems),
    };
    let mut opened;
    let source: &mut dyn Read = if args.requests == Path::new("-") {
        input
    } else {
        match File::open(&args.requests) {
            Ok(file) => opened = file,
            Err(error) => return unusable(err, &args.requests, &[error.to_string()]),
        }
        &mut opened
    };
    let decider = Decider { account, snapshot: &snapshot, now, line_bytes };
    match decider.answer_all(&mut BufReader::new(source), out) {
        Ok(true) => ANSWERED,
        Ok(false) => SOME_ERRORS,
        Err(Stopped::Input(error)) => unusable(err, &args.requests, &[error.to_string()]),
        Err(Stopped::Output(error)) => unusable(err, Path::new("standard output"), &[error.to_string()]),
    }
}

/// The account of a state file. Its warnings are written, its errors given back.
pub(super) fn load(
    path: &Path,
    now: jiff::Timestamp,
    err: &mut dyn Write,
) -> Result<(AccountId, Snapshot), Vec<String>> {
    let told = |problems: Vec<FileProblem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    let loaded = statefile::load_file(path, now).map_err(told)?;
    for warning in &loaded.warnings {
        // Nothing is left to tell it to where standard error is gone.
        let _ = writeln!(err, "warning: {}: {warning}", path.display());
    }
    let snapshot = Snapshot::build(StoreId::random(), &loaded.state, None).map_err(|error| vec![error.to_string()])?;
    Ok((loaded.account, snapshot))
}

fn unusable(err: &mut dyn Write, path: &Path, problems: &[String]) -> u8 {
    for problem in problems {
        let _ = writeln!(err, "error: {}: {problem}", path.display());
    }
    UNUSABLE
}

/// What every line is answered from.
struct Decider<'a> {
    account: AccountId,
    snapshot: &'a Snapshot,
    now: &'a dyn Fn() -> jiff::Timestamp,
    line_bytes: u64,
}

// === impl Decider ===

impl Decider<'_> {
    /// Answers line by line; whether none of them was an error.
    fn answer_all(&self, source: &mut BufReader<&mut dyn Read>, out: &mut dyn Write) -> Result<bool, Stopped> {
        let mut all_answered = true;
        while let Some(line) = read_line(source, self.line_bytes).map_err(Stopped::Input)? {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let (text, answered) = self.answer(&line);
            all_answered &= answered;
            writeln!(out, "{text}").map_err(Stopped::Output)?;
            if source.buffer().is_empty() {
                // Whoever writes the requests may be waiting for the answer.
                out.flush().map_err(Stopped::Output)?;
            }
        }
        out.flush().map_err(Stopped::Output)?;
        Ok(all_answered)
    }

    /// The answer to one line, and whether it is a decision.
    fn answer(&self, line: &[u8]) -> (String, bool) {
        let request::Line { id, question } = request::read(line, self.line_bytes);
        let decided = question.and_then(|question| {
            let now = Moment::from((self.now)());
            let supplied = question.supplied();
            let check = question.check(&supplied, now)?;
            let outcome = self.snapshot.decide(self.account, &check).map_err(request::Failure::from)?;
            Ok(answer::decision(&id, &outcome, self.snapshot.revision()))
        });
        match decided {
            Ok(text) => (text, true),
            Err(failure) => (answer::failure(&id, &failure), false),
        }
    }
}

/// A line without its end, one byte past the limit where it is too long to be taken; `None` at the end.
fn read_line(source: &mut dyn BufRead, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = Read::take(&mut *source, limit + 1).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() as u64 > limit {
        source.skip_until(b'\n')?;
    }
    Ok(Some(line))
}
