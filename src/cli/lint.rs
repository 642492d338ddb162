//! `doorward lint`: whether texts are good, before anybody keeps them (rules §8).

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::compile::check;
use crate::lang::diag::{Diagnostic, Severity, render};
use crate::model::catalogue::Catalogue;

mod jsonl;

/// Bytes of a file, or of a line of `--jsonl`. Well past the limits of the language, so that those are what is reported.
const INPUT_BYTES: u64 = 4 * 1024 * 1024;
/// No errors.
const CLEAN: u8 = 0;
/// Errors in a text.
const REFUSED: u8 = 1;
/// An input that cannot be read.
const UNUSABLE: u8 = 2;

/// Checks policies and boundaries against the language and the default catalogue.
#[derive(Debug, Clone, Args)]
pub struct LintArgs {
    /// What the texts are.
    #[arg(long = "as", value_enum, default_value_t = TextKind::Policy, value_name = "KIND")]
    pub kind: TextKind,
    /// Read a JSON object `{"id","as","text"}` a line, and answer each with one line of JSON.
    #[arg(long)]
    pub jsonl: bool,
    /// Let warnings fail as errors do.
    #[arg(long)]
    pub deny_warnings: bool,
    /// The files; `-`, or none, is standard input.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TextKind {
    /// Statements.
    Policy,
    /// Conditions.
    Boundary,
}

/// How many findings there were.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    texts: usize,
    errors: usize,
    warnings: usize,
    unusable: usize,
}

/// Checks the texts and gives the exit code: 0 none refused, 1 some refused, 2 an input was unusable.
pub fn run(args: &LintArgs, input: &mut dyn Read, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let stdin = PathBuf::from("-");
    let files = if args.files.is_empty() { std::slice::from_ref(&stdin) } else { &args.files };
    let mut tally = Tally::default();
    for file in files {
        if let Err(error) = lint_file(args, file, input, out, &mut tally) {
            tally.unusable += 1;
            // Nothing is left to tell it to where standard error is gone too.
            let _ = writeln!(err, "error: cannot lint `{}`: {error}", file.display());
        }
    }
    if !args.jsonl && tally.summary(out).is_err() {
        return UNUSABLE;
    }
    tally.exit_code(args.deny_warnings)
}

fn lint_file(
    args: &LintArgs,
    file: &Path,
    input: &mut dyn Read,
    out: &mut dyn Write,
    tally: &mut Tally,
) -> io::Result<()> {
    let mut opened;
    let (name, source): (_, &mut dyn Read) = if file == Path::new("-") {
        ("<stdin>".to_owned(), input)
    } else {
        opened = File::open(file)?;
        (file.display().to_string(), &mut opened)
    };
    if args.jsonl {
        return jsonl::lint_lines(args.kind, &mut BufReader::new(source), out, tally);
    }
    let text = read_text(source)?;
    let diagnostics = check_text(args.kind, &text);
    tally.add(&diagnostics);
    out.write_all(render(&name, &text, &diagnostics).as_bytes())
}

fn read_text(source: &mut dyn Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    source.take(INPUT_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > INPUT_BYTES {
        return Err(io::Error::other(format!("it has more than {INPUT_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| io::Error::other(format!("it is not UTF-8: {}", error.utf8_error())))
}

fn check_text(kind: TextKind, text: &str) -> Vec<Diagnostic> {
    match kind {
        TextKind::Policy => check::policy(text, Catalogue::shipped()).diagnostics,
        TextKind::Boundary => check::boundary(text, Catalogue::shipped()).diagnostics,
    }
}

// === impl Tally ===

impl Tally {
    fn add(&mut self, diagnostics: &[Diagnostic]) {
        let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        self.texts += 1;
        self.errors += errors;
        self.warnings += diagnostics.len() - errors;
    }

    fn summary(self, out: &mut dyn Write) -> io::Result<()> {
        let Self { texts, errors, warnings, .. } = self;
        let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        let (texts, errors, warnings) =
            (counted(texts, "text"), counted(errors, "error"), counted(warnings, "warning"));
        writeln!(out, "{texts} checked: {errors}, {warnings}")?;
        out.flush()
    }

    fn exit_code(self, deny_warnings: bool) -> u8 {
        match self {
            Self { unusable: 1.., .. } => UNUSABLE,
            Self { errors: 1.., .. } => REFUSED,
            Self { warnings: 1.., .. } if deny_warnings => REFUSED,
            _ => CLEAN,
        }
    }
}

#[cfg(test)]
mod tests;
