//! The commands of `doorward`.

pub mod lint;
