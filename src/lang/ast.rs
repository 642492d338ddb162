//! The tree of a text, faithful to what was written but for white space, comments, quotes and the case of keywords.

use std::fmt;
use std::str::FromStr;

use super::span::Spanned;
use crate::model::catalogue::{ConditionName, Operator, PermissionName};
use crate::model::limits;
use crate::model::policy::Effect;

/// A policy: its statements in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyAst {
    /// 1 to [`limits::POLICY_STATEMENTS`].
    pub statements: Vec<Spanned<Statement>>,
}

/// A boundary: its conditions in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundaryAst {
    /// 1 to [`limits::BOUNDARY_CONDITIONS`].
    pub conditions: Vec<Spanned<Condition>>,
}

/// `ALLOW a:b:c, d:e:f WHERE …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// ALLOW or DENY.
    pub effect: Effect,
    /// 1 to [`limits::STATEMENT_PERMISSIONS`], in order.
    pub permissions: Vec<Spanned<PermissionName>>,
    /// Joined by AND; empty for no WHERE and for `WHERE null`.
    pub conditions: Vec<Spanned<Condition>>,
}

/// `attribute OPERATOR value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The left side.
    pub attribute: Spanned<ConditionName>,
    /// The comparison.
    pub operator: Spanned<Operator>,
    /// One value, or the list of an operator that takes one.
    pub values: Vec<Spanned<Value>>,
}

/// A quoted value, unescaped: texts and placeholders in order. No two texts stand beside each other, none is empty;
/// the empty value has no piece.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Value {
    /// The pieces.
    pub pieces: Vec<Piece>,
}

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Text as it is compared.
    Text(String),
    /// `${bindParam:name}`, filled in from the binding (reference ch. 5).
    BindParam(ParameterName),
    /// `${global:name}`, filled in at evaluation (reference ch. 2.2).
    Global(GlobalAttribute),
}

/// The name of a binding's parameter (rules R21).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParameterName(Box<str>);

/// A text that is no parameter name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a letter or digit, then letters, digits, `-` or `_`, at most {} bytes", limits::PARAMETER_NAME_BYTES)]
pub struct InvalidParameterName;

/// A value known only at evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GlobalAttribute {
    /// `${global:userId}`: the id of the subject.
    UserId,
    /// `${global:userGroup}`: the ids of all the subject's groups.
    UserGroup,
    /// `${global:levelId}`: the environment asked for, or the account.
    LevelId,
}

// === impl Value ===

impl Value {
    /// The text of a value without placeholders.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The parameters the value mentions, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &ParameterName> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::BindParam(name) => Some(name),
            Piece::Text(_) | Piece::Global(_) => None,
        })
    }
}

// === impl ParameterName ===

impl ParameterName {
    /// The name as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ParameterName {
    type Err = InvalidParameterName;
    fn from_str(text: &str) -> Result<Self, InvalidParameterName> {
        let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let rest = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if first && rest && text.len() <= limits::PARAMETER_NAME_BYTES {
            return Ok(Self(text.into()));
        }
        Err(InvalidParameterName)
    }
}

impl fmt::Display for ParameterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ParameterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl GlobalAttribute ===

impl GlobalAttribute {
    /// Every global attribute.
    pub const ALL: [Self; 3] = [Self::UserId, Self::UserGroup, Self::LevelId];

    /// The name behind `global:`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserId => "userId",
            Self::UserGroup => "userGroup",
            Self::LevelId => "levelId",
        }
    }
}
