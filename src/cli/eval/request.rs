//! A request line: a JSON object whose every key, type and limit is checked. No message repeats a value of an attribute.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::lang::literal::request_time;
use crate::model::attribute::{InvalidRequest, Supplied, Values};
use crate::model::decision::{CheckRequest, RequestParts, Unanswerable};
use crate::model::moment::Moment;
use crate::statefile::node::{Format, Node, Value, parse};

/// A line with as much of its id as could be read.
pub(super) struct Line {
    /// The id as JSON, byte for byte where it is a number; `null` where there is none.
    pub(super) id: String,
    pub(super) question: Result<Question, Failure>,
}

/// Why a line gets no decision.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: &'static str,
    pub(super) field: String,
    pub(super) message: String,
}

/// The keys of a request, each of its type.
#[derive(Default)]
pub(super) struct Question {
    user: String,
    environment: String,
    level: String,
    permission: String,
    attributes: Vec<(String, Vec<String>)>,
    absent: Vec<String>,
    time: Option<Moment>,
}

const KEYS: &[&str] = &["id", "user", "environment", "level", "permission", "attributes", "absent", "time"];
const NO_ID: &str = "null";

/// Reads a line of at most `limit` bytes.
pub(super) fn read(line: &[u8], limit: u64) -> Line {
    let failed = |message: &str| Line { id: NO_ID.to_owned(), question: Err(Failure::bad("", message)) };
    if line.len() as u64 > limit {
        return failed(&format!("the line has more than {limit} bytes"));
    }
    let Ok(text) = std::str::from_utf8(line) else { return failed("the line is not UTF-8") };
    let node = match parse(text, Format::Json) {
        Ok(node) => node,
        Err(problems) => {
            let message = problems.first().map_or("is not JSON", |problem| problem.message.as_str());
            return failed(&format!("the line {message}"));
        }
    };
    let Value::Map(map) = node.value else { return failed("the line is no JSON object") };
    let (id, question) = split(text, map);
    Line { id: id.unwrap_or_else(|| NO_ID.to_owned()), question }
}

/// The id apart from the rest, so that it can be told with whatever is wrong in the rest.
fn split(line: &str, map: Vec<(crate::statefile::node::Key, Node)>) -> (Option<String>, Result<Question, Failure>) {
    let mut entries: BTreeMap<String, Node> = BTreeMap::new();
    let mut failure = None;
    for (key, node) in map {
        let unknown = !KEYS.contains(&key.text.as_str());
        if unknown || entries.contains_key(&key.text) {
            let problem = if unknown { "is no key of a request" } else { "stands twice" };
            failure.get_or_insert(Failure::bad(&key.text, problem));
        }
        entries.entry(key.text).or_insert(node);
    }
    let id = entries.get("id").and_then(|node| id_text(line, &node.value));
    let question = match failure {
        Some(failure) => Err(failure),
        None if entries.contains_key("id") && id.is_none() => Err(Failure::bad("id", "must be a string or a number")),
        None if id.is_none() => Err(Failure::bad("id", "is missing")),
        None => Question::of(&entries),
    };
    (id, question)
}

fn id_text(line: &str, id: &Value) -> Option<String> {
    match id {
        Value::Text(text) => serde_json::to_string(text).ok(),
        // As it stands in the line: `1e3` is not turned into `1000.0`.
        Value::Number(number) => Some(raw_id(line).unwrap_or_else(|| number.clone())),
        _ => None,
    }
}

fn raw_id(line: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct OnlyId<'l> {
        #[serde(borrow)]
        id: &'l RawValue,
    }
    serde_json::from_str::<OnlyId<'_>>(line).ok().map(|line| line.id.get().to_owned())
}

// === impl Question ===

impl Question {
    fn of(entries: &BTreeMap<String, Node>) -> Result<Self, Failure> {
        let text = |key: &str| entries.get(key).map_or(Ok(String::new()), |node| filled(key, node));
        let time = text("time")?;
        let read_time = || request_time(&time).map_err(|problem| Failure::bad("time", &problem.to_string()));
        Ok(Self {
            user: text("user")?,
            environment: text("environment")?,
            level: text("level")?,
            permission: text("permission")?,
            attributes: entries.get("attributes").map_or(Ok(Vec::new()), attributes)?,
            absent: entries.get("absent").map_or(Ok(Vec::new()), |node| texts("absent", node))?,
            time: if time.is_empty() { None } else { Some(read_time()?) },
        })
    }

    /// What the line says of attributes.
    pub(super) fn supplied(&self) -> Supplied<'_> {
        let values = self.attributes.iter().map(|(name, values)| (name.as_str(), Values::Many(values)));
        Supplied::new(values, self.absent.iter().map(String::as_str))
    }

    /// The request to decide, with what [`Self::supplied`] gave; `now` where the line tells no time.
    pub(super) fn check<'r>(&'r self, supplied: &'r Supplied<'_>, now: Moment) -> Result<CheckRequest<'r>, Failure> {
        let attributes = supplied.attributes()?;
        let Self { user, environment, level, permission, .. } = self;
        let parts = RequestParts { user, environment, level, permission };
        Ok(CheckRequest::new(parts, attributes, self.time.unwrap_or(now))?)
    }
}

fn filled(key: &str, node: &Node) -> Result<String, Failure> {
    match &node.value {
        Value::Text(text) if text.is_empty() => Err(Failure::bad(key, "must not be empty")),
        Value::Text(text) => Ok(text.clone()),
        _ => Err(Failure::bad(key, "must be a string")),
    }
}

fn attributes(node: &Node) -> Result<Vec<(String, Vec<String>)>, Failure> {
    let Value::Map(map) = &node.value else {
        return Err(Failure::bad("attributes", "must be an object of lists of strings"));
    };
    let read = |(key, node): &(crate::statefile::node::Key, Node)| {
        Ok((key.text.clone(), texts(&format!("attributes.{}", key.text), node)?))
    };
    map.iter().map(read).collect()
}

fn texts(field: &str, node: &Node) -> Result<Vec<String>, Failure> {
    let wrong = || Failure::bad(field, "must be a list of strings");
    let Value::List(nodes) = &node.value else { return Err(wrong()) };
    let text = |node: &Node| match &node.value {
        Value::Text(text) => Ok(text.clone()),
        _ => Err(wrong()),
    };
    nodes.iter().map(text).collect()
}

// === impl Failure ===

impl Failure {
    fn bad(field: &str, problem: &str) -> Self {
        InvalidRequest::new(field, problem).into()
    }
}

impl From<InvalidRequest> for Failure {
    fn from(refused: InvalidRequest) -> Self {
        let message = if refused.field.is_empty() { refused.problem.clone() } else { refused.to_string() };
        Self { code: "bad_request", field: refused.field, message }
    }
}

impl From<Unanswerable> for Failure {
    fn from(refused: Unanswerable) -> Self {
        Self { code: refused.code(), field: refused.field().to_owned(), message: refused.to_string() }
    }
}
