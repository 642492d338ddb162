//! YAML 1.2 into a tree, without what makes YAML surprising: aliases, anchors, tags and several documents are refused.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use super::FileProblem;
use super::node::{Key, NESTING, Node, Position, Value, too_deep, unreadable};

pub(super) fn parse(text: &str) -> Result<Node, Vec<FileProblem>> {
    let mut tree = Tree::default();
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => tree.event(event, place(&span.start)),
            Err(error) => {
                tree.problems.push(syntax(&error));
                break;
            }
        }
        if tree.full {
            break;
        }
    }
    tree.finish()
}

fn syntax(error: &ScanError) -> FileProblem {
    unreadable("YAML", Some(place(error.marker())), error.info())
}

fn problem(position: Position, code: &'static str, message: impl Into<String>) -> FileProblem {
    FileProblem { path: String::new(), position: Some(position), code, message: message.into() }
}

fn place(marker: &Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

/// The tree while it is being built: no recursion, so that a deep text cannot run out of stack.
#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    problems: Vec<FileProblem>,
    /// A limit was passed; what follows is not read.
    full: bool,
}

/// A list or map that has not ended.
struct Open {
    position: Position,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    /// The entries, and the key whose value has not come.
    Map(Vec<(Key, Node)>, Option<Key>),
}

// === impl Tree ===

impl Tree {
    fn event(&mut self, event: Event<'_>, position: Position) {
        match event {
            Event::DocumentStart(_) => self.document(position),
            Event::Alias(_) => {
                self.refuse(position, "alias", "aliases are not read; write the value out");
                self.add(Node { value: Value::Null, position: Some(position) });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_marks(anchor, tag.is_some(), position);
                self.scalar(text.into_owned(), style, position);
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_marks(anchor, tag.is_some(), position);
                self.start(Content::List(Vec::new()), position);
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_marks(anchor, tag.is_some(), position);
                self.start(Content::Map(Vec::new(), None), position);
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
    }

    fn document(&mut self, position: Position) {
        self.documents += 1;
        if self.documents == 2 {
            self.refuse(position, "several_documents", "a second document begins here; a file holds one");
        }
    }

    fn refuse(&mut self, position: Position, code: &'static str, message: &str) {
        self.problems.push(problem(position, code, message));
    }

    fn refuse_marks(&mut self, anchor: usize, tagged: bool, position: Position) {
        if anchor > 0 {
            self.refuse(position, "anchor", "anchors are not read; write the value out where it is needed");
        }
        if tagged {
            self.refuse(position, "tag", "tags are not read; put a text in quotes");
        }
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, position: Position) {
        if let Some(Open { content: Content::Map(_, key @ None), .. }) = self.open.last_mut() {
            // A key is its text, whatever it looks like.
            *key = Some(Key { text, position: Some(position) });
            return;
        }
        let value = if style == ScalarStyle::Plain { plain(text) } else { Value::Text(text) };
        self.add(Node { value, position: Some(position) });
    }

    fn start(&mut self, content: Content, position: Position) {
        if let Some(Open { content: Content::Map(_, key @ None), .. }) = self.open.last_mut() {
            *key = Some(Key { text: String::new(), position: Some(position) });
            self.refuse(position, "syntax", "a list or a map cannot be a key");
            // Its content is read as if it were the value, and the value is then out of step: what follows would mislead.
            self.full = true;
        }
        if self.open.len() >= NESTING {
            self.problems.push(too_deep(Some(position)));
            self.full = true;
        }
        self.open.push(Open { position, content });
    }

    fn end(&mut self) {
        let Some(Open { position, content }) = self.open.pop() else { return };
        let value = match content {
            Content::List(nodes) => Value::List(nodes),
            Content::Map(entries, _) => Value::Map(entries),
        };
        self.add(Node { value, position: Some(position) });
    }

    fn add(&mut self, node: Node) {
        match self.open.last_mut().map(|open| &mut open.content) {
            Some(Content::List(nodes)) => nodes.push(node),
            Some(Content::Map(entries, key)) => match key.take() {
                Some(key) => entries.push((key, node)),
                // Only an alias comes here as a key, and it was refused.
                None => *key = Some(Key { text: String::new(), position: node.position }),
            },
            None => {
                self.root.get_or_insert(node);
            }
        }
    }

    fn finish(self) -> Result<Node, Vec<FileProblem>> {
        let empty = || Node { value: Value::Null, position: None };
        if self.problems.is_empty() { Ok(self.root.unwrap_or_else(empty)) } else { Err(self.problems) }
    }
}

/// A scalar without quotes, by the core schema of YAML 1.2 (ch. 10.3.2).
fn plain(text: String) -> Value {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        other if is_number(other) => Value::Number(text),
        _ => Value::Text(text),
    }
}

fn is_number(text: &str) -> bool {
    let all = |digits: &str, legal: fn(char) -> bool| !digits.is_empty() && digits.chars().all(legal);
    if let Some(digits) = text.strip_prefix("0o") {
        return all(digits, |c| ('0'..='7').contains(&c));
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return all(digits, |c| c.is_ascii_hexdigit());
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") || is_decimal(unsigned)
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let some = !whole.is_empty() || !fraction.is_empty();
    some && digits(whole) && digits(fraction) && exponent.is_none_or(|it| !it.is_empty() && digits(it))
}
