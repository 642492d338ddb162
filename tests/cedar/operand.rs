//! Values of conditions as Cedar's strings and patterns.

use std::collections::BTreeMap;

use doorward::lang::ast::{GlobalAttribute, Piece, Value};

/// A value with every placeholder filled in.
pub(crate) enum Operand {
    /// `${global:userGroup}`, which is a whole element (R20): the groups that the principal has.
    Groups,
    /// A text.
    Text(Vec<Part>),
}

/// A part of a text.
pub(crate) struct Part {
    text: String,
    /// Whether it was filled in: a `*` in it is then no wildcard (R22).
    data: bool,
}

/// What placeholders stand for.
#[derive(Clone, Copy)]
pub(crate) struct Filling<'a> {
    pub(crate) parameters: &'a BTreeMap<String, String>,
    pub(crate) user: &'a str,
    pub(crate) level: &'a str,
}

// === impl Operand ===

impl Operand {
    /// # Panics
    /// Where a parameter has no value: such a binding is refused.
    pub(crate) fn new(value: &Value, filling: Filling<'_>) -> Self {
        if value.pieces == [Piece::Global(GlobalAttribute::UserGroup)] {
            return Self::Groups;
        }
        Self::Text(value.pieces.iter().map(|piece| Part::new(piece, filling)).collect())
    }

    /// The text, where it is one.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Groups => None,
            Self::Text(parts) => Some(parts.iter().map(|part| part.text.as_str()).collect()),
        }
    }

    /// The pattern of what MATCH takes.
    pub(crate) fn pattern(&self) -> Option<String> {
        let Self::Text(parts) = self else { return None };
        let written: String = parts.iter().map(Part::pattern).collect();
        Some(format!("\"{written}\""))
    }

    /// The pattern of what begins with the text.
    pub(crate) fn prefix(&self) -> Option<String> {
        self.text().map(|text| format!("\"{}*\"", literal_pattern(&text)))
    }
}

// === impl Part ===

impl Part {
    fn new(piece: &Piece, filling: Filling<'_>) -> Self {
        let data = |text: &str| Self { text: text.to_owned(), data: true };
        match piece {
            Piece::Text(text) => Self { text: text.clone(), data: false },
            Piece::BindParam(name) => data(&filling.parameters[name.as_str()]),
            Piece::Global(GlobalAttribute::UserId) => data(filling.user),
            Piece::Global(GlobalAttribute::LevelId) => data(filling.level),
            Piece::Global(GlobalAttribute::UserGroup) => unreachable!("a whole element (R20)"),
        }
    }

    fn pattern(&self) -> String {
        if self.data { literal_pattern(&self.text) } else { escaped(&self.text) }
    }
}

/// A Cedar string.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        c if c.is_control() => format!("\\u{{{:x}}}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

fn literal_pattern(text: &str) -> String {
    escaped(text).replace('*', "\\*")
}
