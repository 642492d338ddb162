//! The global level to its message and back.

use std::collections::BTreeSet;

use super::{Converted, catalogue_entry, id, invalid, pb, policy, stamped, to_entry};
use crate::model::account::{DefaultGroup, Global};
use crate::model::id::PolicyId;
use crate::model::level::Level;
use crate::model::object::{Object, Record};
use crate::model::policy::Policy;

pub(super) fn global(it: &Global, metadata: Option<pb::Metadata>) -> pb::Global {
    pb::Global {
        language_version: it.language_version,
        catalogue: it.catalogue.iter().map(|entry| catalogue_entry(entry, None)).collect(),
        metadata,
        policies: it.policies.iter().map(|it| policy(it, None)).collect(),
        defaults_version: it.defaults_version,
        groups: it.groups.iter().map(default_group).collect(),
    }
}

fn default_group(it: &DefaultGroup) -> pb::DefaultGroup {
    pb::DefaultGroup {
        name: it.name.to_string(),
        description: it.description.clone(),
        policy_ids: it.policies.iter().map(ToString::to_string).collect(),
    }
}

pub(super) fn to_global(message: pb::Global) -> Converted<Record<Object>> {
    let pb::Global { language_version, catalogue, metadata, policies, defaults_version, groups } = message;
    let catalogue = catalogue.into_iter().map(to_entry).collect::<Converted<_>>()?;
    let policies = policies.into_iter().map(to_default_policy).collect::<Converted<Vec<_>>>()?;
    let mut ids = BTreeSet::new();
    if !policies.iter().all(|policy| ids.insert(policy.id)) {
        return Err(invalid("policies", "holds an id twice"));
    }
    let groups = groups.into_iter().map(|group| to_default_group(group, &ids)).collect::<Converted<_>>()?;
    stamped(metadata, Object::Global(Global { language_version, catalogue, policies, defaults_version, groups }))
}

fn to_default_policy(message: pb::Policy) -> Converted<Policy> {
    let pb::Policy { id: policy, environment, name, description, tags, statements, metadata: _, level } = message;
    if level != Level::Global.name() || !environment.is_empty() {
        return Err(invalid("policies", "holds a policy of another level than `global`"));
    }
    let (id, name) = (id("id", &policy)?, id("name", &name)?);
    Ok(Policy { id, level: Level::Global, name, description, tags, statements })
}

fn to_default_group(message: pb::DefaultGroup, known: &BTreeSet<PolicyId>) -> Converted<DefaultGroup> {
    let pb::DefaultGroup { name, description, policy_ids } = message;
    let policies = policy_ids.iter().map(|policy| id("policy_ids", policy)).collect::<Converted<Vec<_>>>()?;
    if !policies.iter().all(|policy| known.contains(policy)) {
        return Err(invalid("policy_ids", "names a policy that is not among the default policies"));
    }
    Ok(DefaultGroup { name: id("name", &name)?, description, policies })
}
