//! The state file: one account in YAML or JSON (rules §8), for `eval`, `apply`, `export` and `serve --example`.
//!
//! `node` reads text into a tree that remembers where each part stands, `read` finds the keys and their types, and
//! `resolve` turns names into ids and asks the planners of [`crate::iam`] whether each object is valid. All errors of a
//! file are told at once; a file with an error is refused whole.

mod json;
pub mod node;
mod read;
mod resolve;
#[cfg(test)]
mod tests;
mod yaml;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::model::id::AccountId;
use crate::model::mutation::Edit;
use crate::model::state::State;
use node::{Format, Position};

/// Bytes of a state file.
pub const FILE_BYTES: u64 = 256 * 1024 * 1024;

/// An account as a file describes it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The account.
    pub account: AccountId,
    /// What makes it out of nothing, in an order in which it can be applied.
    pub edits: Vec<Edit>,
    /// The state with this account alone and the shipped global level, at revision 1.
    pub state: State,
    /// What the author should know, though it is accepted.
    pub warnings: Vec<String>,
}

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    /// Where in the tree: `groups[1].owner`; empty for the file as a whole.
    pub path: String,
    /// Where in the text, from 1 and in characters; not known in JSON but for a syntax error.
    pub position: Option<Position>,
    /// A stable name in snake case, for programs.
    pub code: &'static str,
    /// What is wrong: lower case, names in back-ticks, no final period.
    pub message: String,
}

/// Reads the account in the file at `path`. Objects get `now` as their times.
///
/// # Errors
/// Every problem of the file.
pub fn load_file(path: &Path, now: jiff::Timestamp) -> Result<Loaded, Vec<FileProblem>> {
    let text = read_text(path).map_err(|message| vec![FileProblem::whole("unreadable", message)])?;
    load(&text, Format::of(&path.to_string_lossy(), &text), now)
}

/// Reads the account in `text`. Objects get `now` as their times.
///
/// # Errors
/// Every problem of the text.
pub fn load(text: &str, format: Format, now: jiff::Timestamp) -> Result<Loaded, Vec<FileProblem>> {
    if text.len() as u64 > FILE_BYTES {
        return Err(vec![FileProblem::whole("limit_exceeded", too_long())]);
    }
    let node = node::parse(text, format)?;
    let mut problems = Vec::new();
    let document = read::document(&node, &mut problems);
    let resolved = document.map(|document| resolve::resolve(&document, now, &mut problems));
    match resolved {
        Some(Ok(loaded)) if problems.is_empty() => Ok(loaded),
        Some(Err(broken)) if problems.is_empty() => Err(vec![FileProblem::whole("internal", broken.to_string())]),
        _ => Err(in_order(problems)),
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(too_long());
    }
    String::from_utf8(bytes).map_err(|error| format!("is not UTF-8: {}", error.utf8_error()))
}

fn too_long() -> String {
    format!("has more than {FILE_BYTES} bytes")
}

/// As they stand in the file, where that is known.
fn in_order(mut problems: Vec<FileProblem>) -> Vec<FileProblem> {
    problems.sort_by_key(|problem| problem.position);
    problems
}

// === impl FileProblem ===

impl FileProblem {
    fn whole(code: &'static str, message: impl Into<String>) -> Self {
        Self { path: String::new(), position: None, code, message: message.into() }
    }
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = self.position {
            write!(f, "{position}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        write!(f, "{} [{}]", self.message, self.code)
    }
}
