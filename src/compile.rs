//! The meaning of texts: validation against a catalogue, and programs the engine runs.

pub mod account;
pub mod advice;
pub mod bind;
pub mod check;
pub mod chunks;
pub mod describe;
pub mod environments;
pub mod expand;
pub mod fill;
pub mod fit;
pub mod group;
pub mod lower;
pub mod mentions;
pub mod program;
pub mod stretches;
pub mod subjects;
pub mod workers;

use crate::lang::LANGUAGE_VERSION;
use crate::model::account::Global;
use crate::model::catalogue::Catalogue;
use crate::model::defaults::Defaults;

/// The global level as this build ships it.
#[must_use]
pub fn shipped_global() -> Global {
    let Defaults { version, policies, groups } = Defaults::shipped().clone();
    Global {
        language_version: LANGUAGE_VERSION,
        catalogue: Catalogue::default_entries().to_vec(),
        policies,
        defaults_version: version,
        groups,
    }
}
