//! Parameters filled into a tree, so that people can read it; the engine's own filling is part of lowering.
//!
//! A value is data (rules R22), and not every value can be written in the language: in a pattern a `*` would turn into a
//! wildcard, `${` into a placeholder, and a line break ends nothing but the text. Such a value keeps its placeholders, so
//! that what is printed always reads back as what it means, with the same parameters.

use super::lower::Parameters;
use crate::lang::ast::{BoundaryAst, Condition, Piece, PolicyAst, Value};
use crate::lang::span::Spanned;
use crate::model::catalogue::Operator;
use crate::model::limits;

/// The policy with every value filled in that can be written.
#[must_use]
pub fn policy(tree: &PolicyAst, parameters: &Parameters) -> PolicyAst {
    let mut filled = tree.clone();
    for statement in &mut filled.statements {
        fill_all(&mut statement.node.conditions, parameters);
    }
    filled
}

/// The boundary with every value filled in that can be written.
#[must_use]
pub fn boundary(tree: &BoundaryAst, parameters: &Parameters) -> BoundaryAst {
    let mut filled = tree.clone();
    fill_all(&mut filled.conditions, parameters);
    filled
}

fn fill_all(conditions: &mut [Spanned<Condition>], parameters: &Parameters) {
    for Condition { operator, values, .. } in conditions.iter_mut().map(|condition| &mut condition.node) {
        let is_pattern = operator.node == Operator::Match;
        for value in values {
            if let Some(filled) = filled(&value.node, is_pattern, parameters) {
                value.node = filled;
            }
        }
    }
}

/// The value with its parameters; `None` where one is missing or cannot be written.
fn filled(value: &Value, is_pattern: bool, parameters: &Parameters) -> Option<Value> {
    let mut pieces: Vec<Piece> = Vec::with_capacity(value.pieces.len());
    for piece in &value.pieces {
        let text = match piece {
            Piece::Global(_) => {
                pieces.push(piece.clone());
                continue;
            }
            Piece::Text(text) => text,
            Piece::BindParam(name) => {
                parameters.get(name.as_str()).filter(|given| !is_pattern || !given.contains('*'))?
            }
        };
        match pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(before)) => before.push_str(text),
            _ => pieces.push(Piece::Text(text.clone())),
        }
    }
    let filled = Value { pieces };
    can_be_written(&filled).then_some(filled)
}

fn can_be_written(value: &Value) -> bool {
    let texts = value.pieces.iter().filter_map(|piece| if let Piece::Text(text) = piece { Some(text) } else { None });
    let plain = |text: &String| !text.contains("${") && text.chars().all(|c| c == '\t' || !c.is_control());
    texts.clone().all(plain) && texts.map(String::len).sum::<usize>() <= limits::VALUE_BYTES
}

#[cfg(test)]
mod tests;
