//! The commands of `doorward`.

pub mod eval;
pub mod lint;
