//! A seeded account of any size, and requests to it: what benches measure and what `doorward generate` writes.
//!
//! The same dimensions and seed give the same objects and requests, on every machine. Each object is computed from its
//! number alone, so that a large workload is a stream and is never held twice. It leaves out what engines that are
//! measured beside Doorward cannot say: parameters, time conditions and attributes with several values.

mod objects;
mod random;
mod requests;
#[cfg(test)]
mod tests;
mod texts;
mod vocabulary;

use crate::model::id::{AccountId, EnvironmentId};

pub use random::Random;
pub use requests::Request;
pub use vocabulary::PERMISSIONS;

/// The sizes that figures are published for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Size {
    /// 100 policies, 100 groups, 1,000 users.
    S,
    /// 1,000 policies, 1,000 groups, 10,000 users.
    M,
    /// 10,000 policies, 10,000 groups, 100,000 users.
    L,
    /// 100,000 policies, 20,000 groups, 1,000,000 users.
    Xl,
}

/// How many objects a workload has. There is at least one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimensions {
    /// Policies of 1 to 20 statements, each bound one to three times.
    pub policies: usize,
    /// Groups.
    pub groups: usize,
    /// Users in 1 to 20 groups each.
    pub users: usize,
}

/// An account as numbers: objects and requests are computed from it when they are asked for.
#[derive(Debug, Clone)]
pub struct Workload {
    dimensions: Dimensions,
    seed: u64,
    account: AccountId,
    /// Bindings by group: those of group `n` are `bindings[starts[n]..starts[n + 1]]`.
    starts: Vec<u32>,
    bindings: Vec<Bound>,
}

/// A binding, by the number of its policy and its place among that policy's bindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bound {
    policy: u32,
    place: u8,
}

/// What a number counts: each noun has choices of its own, so that more users change no policy.
#[derive(Debug, Clone, Copy)]
enum Noun {
    Account,
    Group,
    User,
    Policy,
    Text,
    Boundary,
    Binding,
}

/// The most bindings of one policy.
const POLICY_BINDINGS: usize = 3;

// === impl Size ===

impl Size {
    /// Every size, the smallest first.
    pub const ALL: [Self; 4] = [Self::S, Self::M, Self::L, Self::Xl];

    /// The name in options and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::M => "M",
            Self::L => "L",
            Self::Xl => "XL",
        }
    }

    /// How many objects it has.
    #[must_use]
    pub const fn dimensions(self) -> Dimensions {
        let (policies, groups, users) = match self {
            Self::S => (100, 100, 1_000),
            Self::M => (1_000, 1_000, 10_000),
            Self::L => (10_000, 10_000, 100_000),
            Self::Xl => (100_000, 20_000, 1_000_000),
        };
        Dimensions { policies, groups, users }
    }
}

// === impl Workload ===

impl Workload {
    /// The workload of these dimensions and this seed. Numbers of 0 are taken as 1.
    #[must_use]
    pub fn new(dimensions: Dimensions, seed: u64) -> Self {
        let Dimensions { policies, groups, users } = dimensions;
        let dimensions = Dimensions { policies: policies.max(1), groups: groups.max(1), users: users.max(1) };
        let account = AccountId::from_bytes(Random::of(seed, Noun::Account as u64, 0).id());
        let mut workload = Self { dimensions, seed, account, starts: Vec::new(), bindings: Vec::new() };
        workload.index_bindings();
        workload
    }

    /// How many objects it has.
    #[must_use]
    pub const fn dimensions(&self) -> Dimensions {
        self.dimensions
    }

    /// The only account.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// Its environments.
    pub fn environments(&self) -> impl Iterator<Item = EnvironmentId> + use<> {
        vocabulary::ENVIRONMENTS.into_iter().map(vocabulary::parsed)
    }

    /// The choices about one object.
    fn random(&self, noun: Noun, number: usize) -> Random {
        Random::of(self.seed, noun as u64, number as u64)
    }

    /// The bindings of a group.
    fn bindings_of(&self, group: usize) -> &[Bound] {
        let at = |number: usize| self.starts.get(number).map_or(self.bindings.len(), |start| *start as usize);
        self.bindings.get(at(group)..at(group + 1)).unwrap_or_default()
    }

    fn index_bindings(&mut self) {
        let mut by_group: Vec<(u32, Bound)> = (0..self.dimensions.policies)
            .flat_map(|policy| (0..).zip(self.bound_groups(policy)).map(move |bound| (policy, bound)))
            .map(|(policy, (place, group))| (group as u32, Bound { policy: policy as u32, place }))
            .collect();
        by_group.sort_by_key(|(group, _)| *group);
        let before = |group: usize| by_group.partition_point(|(other, _)| (*other as usize) < group) as u32;
        self.starts = (0..=self.dimensions.groups).map(before).collect();
        self.bindings = by_group.into_iter().map(|(_, bound)| bound).collect();
    }

    /// The groups that a policy is bound to, one for each of its bindings.
    fn bound_groups(&self, policy: usize) -> Vec<usize> {
        let mut random = self.random(Noun::Binding, policy);
        let count = 1 + random.below(POLICY_BINDINGS);
        random.distinct(count, self.dimensions.groups)
    }
}
