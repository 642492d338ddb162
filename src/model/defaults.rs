//! The default policies and groups as this build ships them (reference ch. 6.1, 6.2).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::account::DefaultGroup;
use super::id::PolicyId;
use super::level::Level;
use super::policy::Policy;
use super::text::Name;

/// Policies and groups as people write them.
const DEFAULTS: &str = include_str!("../../data/defaults.toml");

/// What a build ships beside its catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// Grows with every change of the set.
    pub version: u32,
    /// Sorted by name.
    pub policies: Vec<Policy>,
    /// In the order of the file.
    pub groups: Vec<DefaultGroup>,
}

/// A set that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum DefaultsRejected {
    /// The text is no TOML, or a key or value of it is wrong.
    #[error("{0}")]
    Unreadable(String),
    /// A group names a policy that the set does not hold.
    #[error("the group `{group}` names the policy `{policy}`, which is not in the set")]
    NoPolicy { group: Name, policy: Name },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shipped {
    version: u32,
    policy: Vec<ShippedPolicy>,
    group: Vec<ShippedGroup>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShippedPolicy {
    id: PolicyId,
    name: Name,
    description: String,
    tags: Vec<String>,
    statements: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShippedGroup {
    name: Name,
    description: String,
    policies: Vec<Name>,
}

// === impl Defaults ===

impl Defaults {
    /// The set of this build.
    #[must_use]
    pub fn shipped() -> &'static Self {
        static SHIPPED: LazyLock<Defaults> = LazyLock::new(|| {
            #[expect(clippy::expect_used, reason = "the text is compiled in; `the_default_set_is_readable` reads it")]
            Defaults::read(DEFAULTS).expect("the shipped policies and groups are valid")
        });
        &SHIPPED
    }

    fn read(text: &str) -> Result<Self, DefaultsRejected> {
        let shipped: Shipped =
            toml::from_str(text).map_err(|problem| DefaultsRejected::Unreadable(problem.to_string()))?;
        let Shipped { version, policy, group } = shipped;
        let mut policies: Vec<Policy> = policy.into_iter().map(ShippedPolicy::at_global_level).collect();
        policies.sort_by(|a, b| a.name.cmp(&b.name));
        let ids = policies.iter().map(|policy| (policy.name.clone(), policy.id)).collect();
        let groups = group.into_iter().map(|group| group.with_ids(&ids)).collect::<Result<_, _>>()?;
        Ok(Self { version, policies, groups })
    }
}

// === impl ShippedPolicy ===

impl ShippedPolicy {
    fn at_global_level(self) -> Policy {
        let Self { id, name, description, tags, statements } = self;
        Policy { id, level: Level::Global, name, description, tags, statements }
    }
}

// === impl ShippedGroup ===

impl ShippedGroup {
    fn with_ids(self, ids: &BTreeMap<Name, PolicyId>) -> Result<DefaultGroup, DefaultsRejected> {
        let Self { name, description, policies: names } = self;
        let id = |policy: Name| {
            let found = ids.get(&policy).copied();
            found.ok_or_else(|| DefaultsRejected::NoPolicy { group: name.clone(), policy })
        };
        let policies = names.into_iter().map(id).collect::<Result<_, _>>()?;
        Ok(DefaultGroup { name, description, policies })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_set_is_readable() {
        let read = Defaults::read(DEFAULTS).unwrap();
        assert_eq!(&read, Defaults::shipped());
        assert!(read.policies.is_sorted_by(|a, b| a.name < b.name), "by name, and no name twice");
    }

    #[test]
    fn a_group_whose_policy_is_not_in_the_set_is_refused() {
        let group = "version = 1\npolicy = []\n[[group]]\nname = \"G\"\ndescription = \"\"\npolicies = [\"P\"]\n";
        let refused = Defaults::read(group).unwrap_err().to_string();
        assert_eq!(refused, "the group `G` names the policy `P`, which is not in the set");
        assert!(matches!(Defaults::read("version = \"1\""), Err(DefaultsRejected::Unreadable(_))));
    }
}
