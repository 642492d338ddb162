//! What is left of a decision when only attributes are open: a tree that a client can turn into a query.

use std::collections::BTreeSet;

use super::condition::Truth;
use crate::compile::stretches::fits;
use crate::model::attribute::{Attributes, Known, Values};
use crate::model::catalogue::{ConditionName, Operator};
use crate::model::policy::Effect;

/// A condition over the attributes of an object. [`Residual::Always`] and [`Residual::Never`] stand alone, never inside
/// another; nothing stands twice in a list, and no list in a list of its kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Residual {
    /// Every object.
    Always,
    /// No object.
    Never,
    /// One attribute.
    Test(Leaf),
    /// All of them, at least two.
    All(Vec<Residual>),
    /// Any of them, at least two.
    Any(Vec<Residual>),
    /// Not this one.
    Not(Box<Residual>),
}

/// `name operator values`, with nothing left to be computed. Where the attribute is absent it does not hold, a negative
/// operator neither (rules R2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaf {
    /// The attribute.
    pub name: ConditionName,
    /// The comparison.
    pub operator: Operator,
    /// The right side.
    pub operand: Operand,
    /// How an attribute with more than one value is taken.
    pub several: Several,
}

/// The right side of a leaf.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operand {
    /// Of `=`, `!=`, `startsWith` and `NOT startsWith` one text; of `IN` and `NOT IN` any number, none too. Sorted.
    Texts(Vec<String>),
    /// Of `MATCH`: each pattern as its stretches, between which anything may stand; one stretch is an equality test. Nothing
    /// in a stretch is a wildcard. Sorted.
    Patterns(Vec<Vec<String>>),
}

/// How a leaf takes an attribute that has more than one value (rules R3, R6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Several {
    /// The positive comparison holds where it does for any value; a negative one is its negation.
    AnyValue,
    /// The leaf does not hold.
    Fails,
    /// The leaf holds: it comes from a DENY, which a second value must not switch off.
    Holds,
}

// === impl Residual ===

impl Residual {
    /// Whether an object with these attributes passes: exactly where a check with them added allows. An attribute that is
    /// neither given nor absent is UNKNOWN, and never lets an object pass.
    #[must_use]
    pub fn matches(&self, object: &Attributes<'_>) -> bool {
        self.truth(object) == Truth::True
    }

    fn truth(&self, object: &Attributes<'_>) -> Truth {
        match self {
            Self::Always => Truth::True,
            Self::Never => Truth::False,
            Self::Test(leaf) => leaf.truth(object),
            Self::All(nodes) => negated(any(nodes.iter().map(|node| negated(node.truth(object))))),
            Self::Any(nodes) => any(nodes.iter().map(|node| node.truth(object))),
            Self::Not(node) => negated(node.truth(object)),
        }
    }

    /// Everything but the objects of `node`.
    pub(super) fn not(node: Self) -> Self {
        match node {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// The objects of all of `nodes`.
    pub(super) fn all(nodes: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = BTreeSet::new();
        for node in nodes {
            match node {
                Self::Never => return Self::Never,
                Self::Always => {}
                Self::All(inner) => flat.extend(inner),
                other => {
                    flat.insert(other);
                }
            }
        }
        Self::one_or(flat, Self::Always, Self::All)
    }

    /// The objects of any of `nodes`.
    pub(super) fn any(nodes: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = BTreeSet::new();
        for node in nodes {
            match node {
                Self::Always => return Self::Always,
                Self::Never => {}
                Self::Any(inner) => flat.extend(inner),
                other => {
                    flat.insert(other);
                }
            }
        }
        Self::one_or(flat, Self::Never, Self::Any)
    }

    fn one_or(nodes: BTreeSet<Self>, none: Self, several: fn(Vec<Self>) -> Self) -> Self {
        match nodes.len() {
            0 | 1 => nodes.into_iter().next().unwrap_or(none),
            _ => several(nodes.into_iter().collect()),
        }
    }

    /// What it costs to keep and to send, as [`crate::model::limits::RESIDUAL_BYTES`] counts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let inside = match self {
            Self::Always | Self::Never => 0,
            Self::Test(leaf) => leaf.bytes(),
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().map(Self::bytes).sum(),
            Self::Not(node) => node.bytes(),
        };
        NODE_BYTES + inside
    }
}

const NODE_BYTES: usize = 32;

const fn negated(truth: Truth) -> Truth {
    match truth {
        Truth::True => Truth::False,
        Truth::False => Truth::True,
        Truth::Unknown => Truth::Unknown,
    }
}

/// TRUE beats UNKNOWN, UNKNOWN beats FALSE.
fn any(truths: impl Iterator<Item = Truth>) -> Truth {
    let mut any = Truth::False;
    for truth in truths {
        match truth {
            Truth::True => return Truth::True,
            Truth::Unknown => any = Truth::Unknown,
            Truth::False => {}
        }
    }
    any
}

// === impl Leaf ===

impl Leaf {
    fn truth(&self, object: &Attributes<'_>) -> Truth {
        match object.get(self.name.as_str()) {
            Known::NotSupplied => Truth::Unknown,
            Known::Absent => Truth::False,
            Known::Values(values) => Truth::from(self.takes(values)),
        }
    }

    fn takes(&self, values: Values<'_>) -> bool {
        match self.several {
            Several::Fails if values.len() > 1 => false,
            Several::Holds if values.len() > 1 => true,
            _ => values.iter().any(|value| self.fits(value)) != self.operator.is_negative(),
        }
    }

    /// Whether a value fits the positive form of the operator.
    fn fits(&self, value: &str) -> bool {
        match &self.operand {
            Operand::Patterns(patterns) => {
                patterns.iter().any(|stretches| fits(stretches.iter().map(String::as_str), value))
            }
            Operand::Texts(texts) => match self.operator {
                Operator::StartsWith | Operator::NotStartsWith => texts.iter().any(|text| value.starts_with(text)),
                _ => texts.iter().any(|text| text == value),
            },
        }
    }

    fn bytes(&self) -> usize {
        let counted = |text: &String| NODE_BYTES + text.len();
        let operand: usize = match &self.operand {
            Operand::Texts(texts) => texts.iter().map(counted).sum(),
            Operand::Patterns(patterns) => patterns.iter().flatten().map(counted).sum(),
        };
        self.name.as_str().len() + operand
    }
}

// === impl Several ===

impl Several {
    /// How a scalar operator of a statement takes several values.
    pub(super) const fn of(effect: Effect, any_value: bool) -> Self {
        match (any_value, effect) {
            (true, _) => Self::AnyValue,
            (false, Effect::Allow) => Self::Fails,
            (false, Effect::Deny) => Self::Holds,
        }
    }
}

#[cfg(test)]
mod tests;
