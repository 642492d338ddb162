//! The state file and the request lines of a workload (rules §8), an object a line. Objects refer to each other by name,
//! which is half as long as by id.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use serde::Serialize;

use crate::model::binding::Binding;
use crate::model::id::{BoundaryId, GroupId, PolicyId};
use crate::model::identity::{User, UserState};
use crate::model::policy::Policy;
use crate::model::text::Name;
use crate::workload::{Request, Workload};

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct UserEntry<'a> {
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    groups: Vec<&'a str>,
}

#[derive(Serialize)]
struct PolicyEntry<'a> {
    name: &'a str,
    level: &'static str,
    statements: &'a str,
}

#[derive(Serialize)]
struct BoundaryEntry<'a> {
    name: &'a str,
    query: &'a str,
}

#[derive(Serialize)]
struct BindingEntry<'a> {
    policy: &'a str,
    group: &'a str,
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    boundaries: Vec<&'a str>,
}

#[derive(Serialize)]
struct RequestLine<'a> {
    id: usize,
    user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<&'static str>,
    permission: &'a str,
    attributes: BTreeMap<&'a str, [&'a str; 1]>,
}

/// Names by id.
struct Names {
    groups: HashMap<GroupId, Name>,
    policies: HashMap<PolicyId, Name>,
    boundaries: HashMap<BoundaryId, Name>,
}

/// Writes the state file.
pub(super) fn state(workload: &Workload, out: &mut dyn Write) -> io::Result<()> {
    let names = Names::of(workload);
    write!(out, "{{\"account\": ")?;
    let account = workload.account_object();
    write!(out, "{{\"id\": \"{}\", \"name\": \"{}\"}}", account.id, account.name)?;
    section(out, "environments", workload.environment_objects())?;
    section(out, "catalogue", Workload::catalogue())?;
    entries(out, "groups", workload.groups(), |group| json(&Named { name: group.name.as_str() }))?;
    entries(out, "users", workload.users(), |user| json(&names.user(user)))?;
    entries(out, "policies", workload.policies(), |policy| json(&policy_entry(policy)))?;
    entries(out, "boundaries", workload.boundaries(), |boundary| {
        json(&BoundaryEntry { name: boundary.name.as_str(), query: &boundary.query })
    })?;
    entries(out, "bindings", workload.bindings(), |binding| json(&names.binding(binding)))?;
    out.write_all(b"}\n")
}

/// Writes `count` request lines.
pub(super) fn requests(workload: &Workload, seed: u64, count: usize, out: &mut dyn Write) -> io::Result<()> {
    for (id, request) in workload.requests(seed).take(count).enumerate() {
        writeln!(out, "{}", json(&request_line(id, &request))?)?;
    }
    Ok(())
}

fn section<T: Serialize>(out: &mut dyn Write, name: &str, objects: impl Iterator<Item = T>) -> io::Result<()> {
    entries(out, name, objects, |object| json(object))
}

fn entries<T>(
    out: &mut dyn Write,
    name: &str,
    objects: impl Iterator<Item = T>,
    line: impl Fn(&T) -> io::Result<String>,
) -> io::Result<()> {
    write!(out, ",\n\"{name}\": [")?;
    let mut between = "\n";
    for object in objects {
        write!(out, "{between}{}", line(&object)?)?;
        between = ",\n";
    }
    out.write_all(b"\n]")
}

fn json(entry: &impl Serialize) -> io::Result<String> {
    serde_json::to_string(entry).map_err(io::Error::from)
}

fn policy_entry(policy: &Policy) -> PolicyEntry<'_> {
    PolicyEntry { name: policy.name.as_str(), level: policy.level.name(), statements: &policy.statements }
}

fn request_line(id: usize, request: &Request) -> RequestLine<'_> {
    RequestLine {
        id,
        user: &request.user,
        environment: request.environment.as_deref(),
        level: request.environment.is_none().then_some("account"),
        permission: &request.permission,
        attributes: request.attributes.iter().map(|(name, value)| (name.as_str(), [value.as_str()])).collect(),
    }
}

// === impl Names ===

impl Names {
    fn of(workload: &Workload) -> Self {
        Self {
            groups: workload.groups().map(|group| (group.id, group.name)).collect(),
            policies: workload.policies().map(|policy| (policy.id, policy.name)).collect(),
            boundaries: workload.boundaries().map(|boundary| (boundary.id, boundary.name)).collect(),
        }
    }

    fn user<'a>(&'a self, user: &'a User) -> UserEntry<'a> {
        let state = UserState::NAMES.iter().find(|(_, state)| *state == user.state).map(|(name, _)| *name);
        let groups = user.groups.iter().filter_map(|id| self.groups.get(id)).map(Name::as_str).collect();
        UserEntry { email: user.email.as_str(), state: state.filter(|_| user.state != UserState::Active), groups }
    }

    fn binding<'a>(&'a self, binding: &'a Binding) -> BindingEntry<'a> {
        BindingEntry {
            policy: self.policies.get(&binding.policy).map_or("", Name::as_str),
            group: self.groups.get(&binding.group).map_or("", Name::as_str),
            level: binding.level.name(),
            environment: binding.level.environment().map(crate::model::id::EnvironmentId::as_str),
            boundaries: binding.boundaries.iter().filter_map(|id| self.boundaries.get(id)).map(Name::as_str).collect(),
        }
    }
}
