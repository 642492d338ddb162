//! Objects to messages and back, field by field.
//!
//! Messages are destructured without `..`, so that a new field of a proto breaks the build until somebody decides about it.

mod global;
mod reset;
mod scope;

use std::str::FromStr;

use prost_types::Timestamp;

use super::doorward as pb;
use crate::model::account::{Account, Environment};
use crate::model::binding::Binding;
use crate::model::catalogue::{CatalogueEntry, ConditionSpec, Operator};
use crate::model::id::{AccountId, EnvironmentId};
use crate::model::identity::{Group, GroupOwner, User, UserKind, UserState};
use crate::model::level::{BindingLevel, Level};
use crate::model::object::{Change, Object, ObjectKey, Record};
use crate::model::policy::{Boundary, Policy};
use crate::model::revision::Revision;
use global::{global, to_global};
pub use reset::{Cover, chunks};
pub use scope::from_scope;

/// A message that is no object: the update is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}` {problem}")]
pub struct InvalidMessage {
    /// The field of the message.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

type Converted<T> = Result<T, InvalidMessage>;

// === model to message ===

/// The message of a whole record.
#[must_use]
pub fn from_record(record: &Record<Object>) -> pb::Object {
    let meta = Some(metadata(record));
    let account = record.value.key().account().map(|id| id.to_string()).unwrap_or_default();
    let object = match &record.value {
        Object::Global(it) => pb::object::Object::Global(global(it, meta)),
        Object::Account(it) => pb::object::Object::AccountObject(self::account(it, meta)),
        Object::Environment(_, it) => pb::object::Object::Environment(environment(it, meta)),
        Object::User(_, it) => match &it.kind {
            UserKind::Service { .. } => pb::object::Object::ServiceUser(service_user(it, meta)),
            UserKind::Local | UserKind::Federated => pb::object::Object::User(user(it, meta)),
        },
        Object::Group(_, it) => pb::object::Object::Group(group(it, meta)),
        Object::Policy(_, it) => pb::object::Object::Policy(policy(it, meta)),
        Object::Boundary(_, it) => pb::object::Object::Boundary(boundary(it, meta)),
        Object::Binding(_, it) => pb::object::Object::Binding(binding(it, meta)),
        Object::CatalogueEntry(_, it) => pb::object::Object::CatalogueEntry(catalogue_entry(it, meta)),
    };
    pb::Object { account, object: Some(object) }
}

/// The message of one change.
#[must_use]
pub fn from_change(change: &Change) -> pb::ObjectChange {
    let change = match change {
        Change::Put(record) => pb::object_change::Change::Put(from_record(record)),
        Change::Delete(key) => pb::object_change::Change::Delete(from_key(key)),
    };
    pb::ObjectChange { change: Some(change) }
}

fn from_key(key: &ObjectKey) -> pb::ObjectKey {
    let kind = match key {
        ObjectKey::Global => pb::ObjectKind::Unspecified,
        ObjectKey::Account(_) => pb::ObjectKind::Account,
        ObjectKey::Environment(..) => pb::ObjectKind::Environment,
        ObjectKey::User(..) => pb::ObjectKind::User,
        ObjectKey::Group(..) => pb::ObjectKind::Group,
        ObjectKey::Policy(..) => pb::ObjectKind::Policy,
        ObjectKey::Boundary(..) => pb::ObjectKind::Boundary,
        ObjectKey::Binding(..) => pb::ObjectKind::Binding,
        ObjectKey::CatalogueEntry(..) => pb::ObjectKind::CatalogueEntry,
    };
    let id = if matches!(key, ObjectKey::Account(_)) { String::new() } else { key.id() };
    pb::ObjectKey { account: key.account().map(|id| id.to_string()).unwrap_or_default(), kind: kind.into(), id }
}

/// When a record was made and last changed.
#[must_use]
pub fn metadata<T>(record: &Record<T>) -> pb::Metadata {
    pb::Metadata {
        create_time: Some(from_timestamp(record.created)),
        update_time: Some(from_timestamp(record.updated)),
        revision: record.revision.get(),
    }
}

/// A time as a message.
#[must_use]
pub fn from_timestamp(at: jiff::Timestamp) -> Timestamp {
    // A time before 1970 has a negative fraction here, and a message wants a positive one.
    let nanoseconds = at.as_nanosecond();
    let seconds = nanoseconds.div_euclid(1_000_000_000);
    let fraction = nanoseconds.rem_euclid(1_000_000_000);
    Timestamp { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos: i32::try_from(fraction).unwrap_or(0) }
}

/// An account as a message.
#[must_use]
pub fn account(it: &Account, metadata: Option<pb::Metadata>) -> pb::Account {
    pb::Account { id: it.id.to_string(), name: it.name.to_string(), strict_boundaries: it.strict_boundaries, metadata }
}

/// An environment as a message.
#[must_use]
pub fn environment(it: &Environment, metadata: Option<pb::Metadata>) -> pb::Environment {
    pb::Environment { id: it.id.to_string(), name: it.name.to_string(), metadata }
}

/// A user as a message.
#[must_use]
pub fn user(it: &User, metadata: Option<pb::Metadata>) -> pb::User {
    let origin = match it.kind {
        UserKind::Local | UserKind::Service { .. } => pb::UserOrigin::Local,
        UserKind::Federated => pb::UserOrigin::Federated,
    };
    pb::User {
        id: it.id.to_string(),
        email: it.email.to_string(),
        name: it.name.as_ref().map(ToString::to_string).unwrap_or_default(),
        state: from_user_state(it.state).into(),
        origin: origin.into(),
        group_ids: it.groups.iter().map(ToString::to_string).collect(),
        metadata,
    }
}

/// A service user as a message.
#[must_use]
pub fn service_user(it: &User, metadata: Option<pb::Metadata>) -> pb::ServiceUser {
    let description = match &it.kind {
        UserKind::Service { description } => description.clone(),
        UserKind::Local | UserKind::Federated => String::new(),
    };
    pb::ServiceUser {
        id: it.id.to_string(),
        email: it.email.to_string(),
        name: it.name.as_ref().map(ToString::to_string).unwrap_or_default(),
        description,
        state: from_user_state(it.state).into(),
        group_ids: it.groups.iter().map(ToString::to_string).collect(),
        metadata,
    }
}

const fn from_user_state(state: UserState) -> pb::UserState {
    match state {
        UserState::Pending => pb::UserState::Pending,
        UserState::Active => pb::UserState::Active,
        UserState::Inactive => pb::UserState::Inactive,
        UserState::Deleted => pb::UserState::Deleted,
    }
}

/// A group as a message.
#[must_use]
pub fn group(it: &Group, metadata: Option<pb::Metadata>) -> pb::Group {
    let owner = match it.owner {
        GroupOwner::Local => pb::GroupOwner::Local,
        GroupOwner::Saml => pb::GroupOwner::Saml,
        GroupOwner::Scim => pb::GroupOwner::Scim,
        GroupOwner::AllUsers => pb::GroupOwner::AllUsers,
    };
    pb::Group {
        id: it.id.to_string(),
        name: it.name.to_string(),
        description: it.description.clone(),
        owner: owner.into(),
        federated_attribute_values: it.federated_attribute_values.clone(),
        metadata,
    }
}

/// A policy as a message.
#[must_use]
pub fn policy(it: &Policy, metadata: Option<pb::Metadata>) -> pb::Policy {
    pb::Policy {
        id: it.id.to_string(),
        environment: it.level.environment().map(ToString::to_string).unwrap_or_default(),
        name: it.name.to_string(),
        description: it.description.clone(),
        tags: it.tags.clone(),
        statements: it.statements.clone(),
        metadata,
        level: it.level.name().to_owned(),
    }
}

/// A boundary as a message.
#[must_use]
pub fn boundary(it: &Boundary, metadata: Option<pb::Metadata>) -> pb::Boundary {
    pb::Boundary { id: it.id.to_string(), name: it.name.to_string(), query: it.query.clone(), metadata }
}

/// A binding as a message.
#[must_use]
pub fn binding(it: &Binding, metadata: Option<pb::Metadata>) -> pb::Binding {
    pb::Binding {
        key: it.key().to_string(),
        policy_id: it.policy.to_string(),
        group_id: it.group.to_string(),
        environment: it.level.environment().map(ToString::to_string).unwrap_or_default(),
        parameters: it.parameters.clone().into_iter().collect(),
        boundary_ids: it.boundaries.iter().map(ToString::to_string).collect(),
        labels: it.metadata.clone().into_iter().collect(),
        metadata,
    }
}

fn catalogue_entry(it: &CatalogueEntry, metadata: Option<pb::Metadata>) -> pb::CatalogueEntry {
    let conditions = it.conditions.iter().map(|spec| pb::ConditionSpec {
        name: spec.name.to_string(),
        operators: spec.operators.iter().map(|operator| operator.token().to_owned()).collect(),
        any_match: spec.any_match,
    });
    pb::CatalogueEntry { permission: it.permission.to_string(), conditions: conditions.collect(), metadata }
}

// === message to model ===

/// The record of a message.
///
/// # Errors
/// [`InvalidMessage`] with the first field that is wrong.
pub fn to_record(message: pb::Object) -> Converted<Record<Object>> {
    let pb::Object { account, object } = message;
    let owner = || id::<AccountId>("account", &account);
    match object.ok_or_else(|| invalid("object", "is missing"))? {
        pb::object::Object::Global(it) => to_global(it),
        pb::object::Object::AccountObject(it) => to_account(it),
        pb::object::Object::Environment(it) => to_environment(owner()?, it),
        pb::object::Object::User(it) => to_user(owner()?, it),
        pb::object::Object::ServiceUser(it) => to_service_user(owner()?, it),
        pb::object::Object::Group(it) => to_group(owner()?, it),
        pb::object::Object::Policy(it) => to_policy(owner()?, it),
        pb::object::Object::Boundary(it) => to_boundary(owner()?, it),
        pb::object::Object::Binding(it) => to_binding(owner()?, it),
        pb::object::Object::CatalogueEntry(it) => {
            let owner = owner()?;
            Ok(to_catalogue_entry(it)?.map(|entry| Object::CatalogueEntry(owner, entry)))
        }
    }
}

/// The change of a message.
///
/// # Errors
/// [`InvalidMessage`] with the first field that is wrong.
pub fn to_change(message: pb::ObjectChange) -> Converted<Change> {
    match message.change.ok_or_else(|| invalid("change", "is missing"))? {
        pb::object_change::Change::Put(object) => to_record(object).map(Change::Put),
        pb::object_change::Change::Delete(key) => to_key(key).map(Change::Delete),
    }
}

fn to_key(message: pb::ObjectKey) -> Converted<ObjectKey> {
    let pb::ObjectKey { account, kind, id: text } = message;
    let account = id("account", &account)?;
    match pb::ObjectKind::try_from(kind).unwrap_or_default() {
        pb::ObjectKind::Unspecified => Err(invalid("kind", "is not known")),
        pb::ObjectKind::Account => Ok(ObjectKey::Account(account)),
        pb::ObjectKind::Environment => Ok(ObjectKey::Environment(account, id("id", &text)?)),
        pb::ObjectKind::User => Ok(ObjectKey::User(account, id("id", &text)?)),
        pb::ObjectKind::Group => Ok(ObjectKey::Group(account, id("id", &text)?)),
        pb::ObjectKind::Policy => Ok(ObjectKey::Policy(account, id("id", &text)?)),
        pb::ObjectKind::Boundary => Ok(ObjectKey::Boundary(account, id("id", &text)?)),
        pb::ObjectKind::Binding => Ok(ObjectKey::Binding(account, id("id", &text)?)),
        pb::ObjectKind::CatalogueEntry => Ok(ObjectKey::CatalogueEntry(account, id("id", &text)?)),
    }
}

fn invalid(field: &'static str, problem: impl Into<String>) -> InvalidMessage {
    InvalidMessage { field, problem: problem.into() }
}

/// Reads an id, a name or a key.
fn id<T: FromStr>(field: &'static str, text: &str) -> Converted<T>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|problem: T::Err| invalid(field, problem.to_string()))
}

fn to_timestamp(field: &'static str, message: Option<Timestamp>) -> Converted<jiff::Timestamp> {
    let Timestamp { seconds, nanos } = message.ok_or_else(|| invalid(field, "is missing"))?;
    jiff::Timestamp::new(seconds, nanos).map_err(|problem| invalid(field, problem.to_string()))
}

fn stamped(message: Option<pb::Metadata>, value: Object) -> Converted<Record<Object>> {
    let pb::Metadata { create_time, update_time, revision } =
        message.ok_or_else(|| invalid("metadata", "is missing"))?;
    Ok(Record {
        created: to_timestamp("metadata.create_time", create_time)?,
        updated: to_timestamp("metadata.update_time", update_time)?,
        revision: Revision::new(revision),
        value,
    })
}

fn to_account(message: pb::Account) -> Converted<Record<Object>> {
    let pb::Account { id: account, name, strict_boundaries, metadata } = message;
    let account = Account { id: id("id", &account)?, name: id("name", &name)?, strict_boundaries };
    stamped(metadata, Object::Account(account))
}

fn to_environment(owner: AccountId, message: pb::Environment) -> Converted<Record<Object>> {
    let pb::Environment { id: environment, name, metadata } = message;
    let environment = Environment { id: id("id", &environment)?, name: id("name", &name)? };
    stamped(metadata, Object::Environment(owner, environment))
}

fn to_user(owner: AccountId, message: pb::User) -> Converted<Record<Object>> {
    let pb::User { id: user, email, name, state, origin, group_ids, metadata } = message;
    let kind = match pb::UserOrigin::try_from(origin).unwrap_or_default() {
        pb::UserOrigin::Federated => UserKind::Federated,
        pb::UserOrigin::Local => UserKind::Local,
        pb::UserOrigin::Unspecified => return Err(invalid("origin", "is not known")),
    };
    let user = User {
        id: id("id", &user)?,
        email: id("email", &email)?,
        name: (!name.is_empty()).then(|| id("name", &name)).transpose()?,
        kind,
        state: to_user_state(state)?,
        groups: group_ids.iter().map(|group| id("group_ids", group)).collect::<Converted<_>>()?,
    };
    stamped(metadata, Object::User(owner, user))
}

fn to_service_user(owner: AccountId, message: pb::ServiceUser) -> Converted<Record<Object>> {
    let pb::ServiceUser { id: user, email, name, description, state, group_ids, metadata } = message;
    let user = User {
        id: id("id", &user)?,
        email: id("email", &email)?,
        name: (!name.is_empty()).then(|| id("name", &name)).transpose()?,
        kind: UserKind::Service { description },
        state: to_user_state(state)?,
        groups: group_ids.iter().map(|group| id("group_ids", group)).collect::<Converted<_>>()?,
    };
    stamped(metadata, Object::User(owner, user))
}

/// An unknown state is refused: a sidecar must not guess that somebody is active.
fn to_user_state(state: i32) -> Converted<UserState> {
    match pb::UserState::try_from(state).unwrap_or_default() {
        pb::UserState::Unspecified => Err(invalid("state", "is not known")),
        pb::UserState::Pending => Ok(UserState::Pending),
        pb::UserState::Active => Ok(UserState::Active),
        pb::UserState::Inactive => Ok(UserState::Inactive),
        pb::UserState::Deleted => Ok(UserState::Deleted),
    }
}

fn to_group(owner: AccountId, message: pb::Group) -> Converted<Record<Object>> {
    let pb::Group { id: group, name, description, owner: group_owner, federated_attribute_values, metadata } = message;
    let group_owner = match pb::GroupOwner::try_from(group_owner).unwrap_or_default() {
        pb::GroupOwner::Unspecified => return Err(invalid("owner", "is not known")),
        pb::GroupOwner::Local => GroupOwner::Local,
        pb::GroupOwner::Saml => GroupOwner::Saml,
        pb::GroupOwner::Scim => GroupOwner::Scim,
        pb::GroupOwner::AllUsers => GroupOwner::AllUsers,
    };
    let (group, name) = (id("id", &group)?, id("name", &name)?);
    let group = Group { id: group, name, description, owner: group_owner, federated_attribute_values };
    stamped(metadata, Object::Group(owner, group))
}

fn to_policy(owner: AccountId, message: pb::Policy) -> Converted<Record<Object>> {
    let pb::Policy { id: policy, environment, name, description, tags, statements, metadata, level: told } = message;
    let level = match to_optional_environment(&environment)? {
        None => Level::Account,
        Some(environment) => Level::Environment(environment),
    };
    // A control plane of an earlier version says nothing here.
    if !told.is_empty() && told != level.name() {
        return Err(invalid("level", "is not that of the policy's place"));
    }
    let (policy, name) = (id("id", &policy)?, id("name", &name)?);
    let policy = Policy { id: policy, level, name, description, tags, statements };
    stamped(metadata, Object::Policy(owner, policy))
}

fn to_optional_environment(text: &str) -> Converted<Option<EnvironmentId>> {
    (!text.is_empty()).then(|| id("environment", text)).transpose()
}

fn to_boundary(owner: AccountId, message: pb::Boundary) -> Converted<Record<Object>> {
    let pb::Boundary { id: boundary, name, query, metadata } = message;
    let boundary = Boundary { id: id("id", &boundary)?, name: id("name", &name)?, query };
    stamped(metadata, Object::Boundary(owner, boundary))
}

fn to_binding(owner: AccountId, message: pb::Binding) -> Converted<Record<Object>> {
    let pb::Binding { key, policy_id, group_id, environment, parameters, boundary_ids, labels, metadata } = message;
    let binding = Binding {
        policy: id("policy_id", &policy_id)?,
        group: id("group_id", &group_id)?,
        level: match to_optional_environment(&environment)? {
            None => BindingLevel::Account,
            Some(environment) => BindingLevel::Environment(environment),
        },
        parameters: parameters.into_iter().collect(),
        boundaries: boundary_ids.iter().map(|boundary| id("boundary_ids", boundary)).collect::<Converted<_>>()?,
        metadata: labels.into_iter().collect(),
    };
    if binding.key().to_string() != key {
        return Err(invalid("key", "is not the key of this content"));
    }
    stamped(metadata, Object::Binding(owner, binding))
}

fn to_catalogue_entry(mut message: pb::CatalogueEntry) -> Converted<Record<CatalogueEntry>> {
    let meta = message.metadata.take().ok_or_else(|| invalid("metadata", "is missing"))?;
    let value = to_entry(message)?;
    Ok(Record {
        created: to_timestamp("metadata.create_time", meta.create_time)?,
        updated: to_timestamp("metadata.update_time", meta.update_time)?,
        revision: Revision::new(meta.revision),
        value,
    })
}

fn to_entry(message: pb::CatalogueEntry) -> Converted<CatalogueEntry> {
    let pb::CatalogueEntry { permission, conditions, metadata: _ } = message;
    let spec = |message: pb::ConditionSpec| {
        let pb::ConditionSpec { name, operators, any_match } = message;
        let operator = |token: &String| Operator::from_token(token).ok_or_else(|| invalid("operators", "is not known"));
        let operators = operators.iter().map(operator).collect::<Converted<_>>()?;
        Ok(ConditionSpec { name: id("name", &name)?, operators, any_match })
    };
    let conditions = conditions.into_iter().map(spec).collect::<Converted<_>>()?;
    Ok(CatalogueEntry { permission: id("permission", &permission)?, conditions })
}
