//! Tree to text: double quotes, keywords in upper case, one statement or condition a line.

use std::fmt::{Display, Formatter, Result, Write};

use super::ast::{BoundaryAst, Condition, Piece, PolicyAst, Statement, Value};
use super::span::Spanned;

/// Each statement on a line of its own.
impl Display for PolicyAst {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        joined(f, &self.statements, "\n")
    }
}

/// Each condition on a line of its own, ended by `;`.
impl Display for BoundaryAst {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        joined(f, &self.conditions, ";\n")?;
        f.write_char(';')
    }
}

/// On one line, with its `;`.
impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} ", self.effect)?;
        joined(f, &self.permissions, ", ")?;
        if !self.conditions.is_empty() {
            f.write_str(" WHERE ")?;
            joined(f, &self.conditions, " AND ")?;
        }
        f.write_char(';')
    }
}

/// Without a `;`.
impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} {} ", self.attribute.node, self.operator.node)?;
        if !self.operator.node.takes_list() {
            return joined(f, &self.values, ", ");
        }
        f.write_char('(')?;
        joined(f, &self.values, ", ")?;
        f.write_char(')')
    }
}

/// In double quotes.
impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_char('"')?;
        for piece in &self.pieces {
            piece.fmt(f)?;
        }
        f.write_char('"')
    }
}

/// As it stands between double quotes.
impl Display for Piece {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Text(text) => escaped(f, text),
            Self::BindParam(name) => write!(f, "${{bindParam:{name}}}"),
            Self::Global(attribute) => write!(f, "${{global:{}}}", attribute.name()),
        }
    }
}

fn escaped(f: &mut Formatter<'_>, text: &str) -> Result {
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    Ok(())
}

fn joined<T: Display>(f: &mut Formatter<'_>, nodes: &[Spanned<T>], separator: &str) -> Result {
    for (index, spanned) in nodes.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        spanned.node.fmt(f)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
