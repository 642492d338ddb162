//! A tree of values that remembers where each stands, the same for YAML and JSON.

use std::fmt;
use std::path::Path;

use super::{FileProblem, json, yaml};

/// How deep lists and maps may stand in each other.
pub const NESTING: usize = 64;

/// What the readers of JSON and of YAML say where they go no deeper. Their errors have no kind for that.
const READER_GAVE_UP: &str = "recursion limit exceeded";

/// A place in a text, from 1; columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it begins, where that is known.
    pub position: Option<Position>,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as text.
    Number(String),
    /// A text.
    Text(String),
    /// Values in order.
    List(Vec<Node>),
    /// Keys with values in order; a key may stand twice.
    Map(Vec<(Key, Node)>),
}

/// A key with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub text: String,
    /// Where it begins, where that is known.
    pub position: Option<Position>,
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, core schema, without aliases, anchors and tags.
    Yaml,
    /// JSON.
    Json,
}

/// Reads a text into a tree.
///
/// # Errors
/// What keeps it from being a tree.
pub fn parse(text: &str, format: Format) -> Result<Node, Vec<FileProblem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Yaml => yaml::parse(text),
        Format::Json => json::parse(text).map_err(|problem| vec![problem]),
    }
}

/// A text that the reader of `format` refused for `cause`.
pub(super) fn unreadable(format: &str, position: Option<Position>, cause: &str) -> FileProblem {
    if cause == READER_GAVE_UP {
        return too_deep(position);
    }
    FileProblem { path: String::new(), position, code: "syntax", message: format!("is not {format}: {cause}") }
}

/// A text that goes deeper than [`NESTING`].
pub(super) fn too_deep(position: Option<Position>) -> FileProblem {
    let message = format!("lists and maps stand in each other more than {NESTING} deep");
    FileProblem { path: String::new(), position, code: "limit_exceeded", message }
}

// === impl Node ===

impl Node {
    /// The place of the part that a path such as `groups[2]` or `parameters.schema` leads to, or of the last one on the way.
    #[must_use]
    pub fn position_of(&self, path: &str) -> Option<Position> {
        if path.is_empty() {
            return self.position;
        }
        let next = match &self.value {
            Value::Map(entries) => entries.iter().rev().find_map(|(key, node)| {
                let rest = path.strip_prefix(key.text.as_str())?;
                let rest = if rest.is_empty() || rest.starts_with('[') { rest } else { rest.strip_prefix('.')? };
                Some((node, rest))
            }),
            Value::List(nodes) => {
                path.strip_prefix('[').and_then(|path| path.split_once(']')).and_then(|(index, rest)| {
                    let node = nodes.get(index.parse::<usize>().ok()?)?;
                    Some((node, rest.strip_prefix('.').unwrap_or(rest)))
                })
            }
            _ => None,
        };
        next.map_or(self.position, |(node, rest)| node.position_of(rest))
    }

    /// The place of a key of a map.
    #[must_use]
    pub fn position_of_key(&self, name: &str) -> Option<Position> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|(key, _)| key.text == name).and_then(|(key, _)| key.position)
    }
}

// === impl Value ===

impl Value {
    /// What it is, for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "`true` or `false`",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

// === impl Position ===

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

// === impl Format ===

impl Format {
    /// The format of a text: JSON where the name of its file or its first character says so.
    #[must_use]
    pub fn of(name: &str, text: &str) -> Self {
        let is_json = Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if is_json || text.trim_start().starts_with('{') { Self::Json } else { Self::Yaml }
    }
}
