//! The engines that are measured together, all of one account.

use super::cedar::Cedar;
use super::doorward::Doorward;
use super::engine::{Engine, Kind, Lane, lanes};
use super::floor::Floor;
use super::rego::Rego;
use super::world::{Told, World};

/// Engines that were built.
#[derive(Default)]
pub(crate) struct Fleet {
    doorward: Option<Doorward>,
    floor: Option<Floor>,
    cedars: Vec<(Kind, Cedar)>,
    rego: Option<Rego>,
}

/// How many requests an engine decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    /// Doorward and the floor.
    pub(crate) fast: usize,
    /// Cedar and regorus.
    pub(crate) slow: usize,
}

// === impl Counts ===

impl Counts {
    /// For the figures of the table.
    pub(crate) const FULL: Self = Self { fast: 10_000, slow: 2_000 };
    /// To see that everything works.
    pub(crate) const QUICK: Self = Self { fast: 500, slow: 500 };

    /// How many this one decides.
    pub(crate) const fn of(self, kind: Kind) -> usize {
        match kind {
            Kind::Doorward | Kind::Floor => self.fast,
            Kind::Cedar(_) | Kind::Regorus => self.slow,
        }
    }
}

// === impl Fleet ===

impl Fleet {
    /// Builds these engines.
    pub(crate) fn new(kinds: &[Kind], world: &World, counts: Counts) -> Self {
        let mut fleet = Self::default();
        for kind in kinds {
            fleet.add(*kind, world, counts);
        }
        fleet
    }

    fn add(&mut self, kind: Kind, world: &World, counts: Counts) {
        let account = world.account();
        let reached = Some(world.first_requests(counts.of(kind)));
        match kind {
            Kind::Doorward => self.doorward = Some(Doorward::new(world)),
            Kind::Floor => self.floor = Some(Floor::new(account)),
            Kind::Cedar(arrangement) => self.cedars.push((kind, Cedar::new(account, reached, arrangement))),
            Kind::Regorus => self.rego = Some(Rego::new(account)),
        }
    }

    /// Every way in which these engines decide.
    pub(crate) fn lanes<'a>(&'a self, world: &'a World, counts: Counts) -> Vec<Lane<'a>> {
        let mut all = Vec::new();
        all.extend(of(Kind::Doorward, self.doorward.as_ref(), world, counts));
        all.extend(self.doorward.as_ref().map(|doorward| doorward.by_ids(world, counts.of(Kind::Doorward))));
        all.extend(of(Kind::Floor, self.floor.as_ref(), world, counts));
        for (kind, cedar) in &self.cedars {
            all.extend(of(*kind, Some(cedar), world, counts));
        }
        all.extend(of(Kind::Regorus, self.rego.as_ref(), world, counts));
        all
    }

    /// Compares the decisions of each engine with those of Doorward.
    ///
    /// # Panics
    /// Where two differ.
    pub(crate) fn agree(&self, world: &World, counts: Counts) {
        let Some(doorward) = &self.doorward else { return };
        compare(Kind::Floor, self.floor.as_ref(), doorward, world, counts);
        for (kind, cedar) in &self.cedars {
            compare(*kind, Some(cedar), doorward, world, counts);
        }
        compare(Kind::Regorus, self.rego.as_ref(), doorward, world, counts);
    }
}

fn of<'a, E: Engine>(kind: Kind, engine: Option<&'a E>, world: &'a World, counts: Counts) -> Vec<Lane<'a>> {
    engine.map(|engine| lanes(kind, engine, world, counts.of(kind))).unwrap_or_default()
}

fn compare<E: Engine>(kind: Kind, engine: Option<&E>, doorward: &Doorward, world: &World, counts: Counts) {
    let Some(engine) = engine else { return };
    for request in world.first_requests(counts.of(kind)) {
        let told = Told::new(request);
        let theirs = engine.decide(&engine.prepare(&told));
        let ours = doorward.decide(&doorward.prepare(&told));
        assert_eq!(theirs, ours, "{} and doorward differ about {request:?}", kind.name());
    }
}
