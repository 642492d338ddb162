//! The meaning of texts: validation against a catalogue, and programs the engine runs.

pub mod account;
pub mod check;
pub mod lower;
pub mod program;

use crate::lang::LANGUAGE_VERSION;
use crate::model::account::Global;
use crate::model::catalogue::Catalogue;

/// The global level as this build ships it.
#[must_use]
pub fn shipped_global() -> Global {
    Global { language_version: LANGUAGE_VERSION, catalogue: Catalogue::default_entries().to_vec() }
}
