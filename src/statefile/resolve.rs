//! From names to ids, and through the planners of [`crate::iam`] into a state: no rule is written here a second time.
//!
//! Objects are planned in the order in which they refer to each other, on a state that grows with them. What refers to
//! an object that was itself refused is not told again.

use std::collections::HashSet;
use std::sync::Arc;

use super::read::{Document, Entry};
use super::{FileProblem, Loaded};
use crate::compile::shipped_global;
use crate::iam::account::{AccountFields, NewAccount};
use crate::iam::binding::BindingFields;
use crate::iam::boundary::BoundaryFields;
use crate::iam::catalogue::{NewCondition, NewPermission};
use crate::iam::environment::EnvironmentFields;
use crate::iam::group::GroupFields;
use crate::iam::policy::{NewPolicy, PolicyFields};
use crate::iam::texts::Texts;
use crate::iam::user::{NewUser, UserFields};
use crate::iam::{Plan, Rejection, account, binding, boundary, catalogue, environment, group, policy, user};
use crate::model::catalogue::Catalogue;
use crate::model::id::{AccountId, BoundaryId, GroupId, PolicyId, UserId};
use crate::model::identity::{ALL_USERS, GroupOwner, UserKind, UserState};
use crate::model::level::{BindingLevel, Level};
use crate::model::mutation::Edit;
use crate::model::object::{Change, Object, Record};
use crate::model::revision::Revision;
use crate::model::state::{AccountState, ChangeRejected, State};

mod names;
mod reference;

use super::read::{BindingDoc, BoundaryDoc, EnvironmentDoc, GroupDoc, PermissionDoc, PolicyDoc, UserDoc};
use names::derived;

/// Plans every object of a file. The result means something only where no problem was added.
pub(super) fn resolve(
    document: &Document<'_>,
    now: jiff::Timestamp,
    problems: &mut Vec<FileProblem>,
) -> Result<Loaded, ChangeRejected> {
    let mut resolver = Resolver::new(document, now, problems)?;
    for entry in &document.catalogue {
        resolver.permission(entry)?;
    }
    for entry in &document.environments {
        resolver.environment(entry)?;
    }
    for entry in document.groups.iter().filter(|entry| !is_all_users(&entry.doc)) {
        resolver.group(entry)?;
    }
    for entry in &document.users {
        resolver.user(entry, false)?;
    }
    for entry in &document.service_users {
        resolver.user(entry, true)?;
    }
    for entry in &document.policies {
        resolver.policy(entry)?;
    }
    for entry in &document.boundaries {
        resolver.boundary(entry)?;
    }
    for entry in &document.bindings {
        resolver.binding(entry)?;
    }
    Ok(resolver.loaded())
}

/// Whether an entry is about the group that every account has.
fn is_all_users(doc: &GroupDoc) -> bool {
    doc.owner == ALL_USERS || (doc.owner.is_empty() && doc.name == ALL_USERS)
}

/// What names can refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Noun {
    Environment,
    Group,
    Policy,
    Boundary,
}

struct Resolver<'p> {
    account: AccountId,
    state: State,
    catalogue: Arc<Catalogue>,
    /// The texts that bindings join; they are complete before the first binding comes.
    texts: Texts,
    /// Names and ids of objects that are in the file and were refused.
    refused: HashSet<(Noun, String)>,
    now: jiff::Timestamp,
    warnings: Vec<String>,
    problems: &'p mut Vec<FileProblem>,
}

// === impl Resolver ===

impl<'p> Resolver<'p> {
    /// A state with the account and its group `ALL_USERS`.
    fn new(
        document: &Document<'_>,
        now: jiff::Timestamp,
        problems: &'p mut Vec<FileProblem>,
    ) -> Result<Self, ChangeRejected> {
        let entry = &document.account;
        let by_name = AccountId::from_bytes(derived(None, "account", "", &entry.doc.name));
        let global = shipped_global();
        let mut resolver = Self {
            account: by_name,
            state: State::default(),
            catalogue: Arc::new(Catalogue::from_entries(&global.catalogue)),
            texts: Texts::default(),
            refused: HashSet::new(),
            now,
            warnings: Vec::new(),
            problems,
        };
        resolver.apply(&[Edit::Put(Object::Global(global))])?;
        resolver.account = resolver.id(entry, entry.doc.id.as_deref(), by_name).0;
        let everybody = document.groups.iter().filter(|entry| is_all_users(&entry.doc)).collect::<Vec<_>>();
        let by_name = GroupId::from_bytes(derived(Some(resolver.account), "group", "", ALL_USERS));
        let all_users = match everybody.first() {
            Some(listed) => resolver.id(listed, listed.doc.id.as_deref(), by_name).0,
            None => by_name,
        };
        resolver.account(document, all_users)?;
        resolver.all_users(all_users, &everybody)?;
        Ok(resolver)
    }

    fn account(&mut self, document: &Document<'_>, all_users: GroupId) -> Result<(), ChangeRejected> {
        let entry = &document.account;
        let strict_boundaries = entry.doc.strict_boundaries;
        let new = |name: &str| {
            let fields = AccountFields { name: name.to_owned(), strict_boundaries };
            // A file is the exact state: groups that it does not list are not there.
            NewAccount { id: self.account, all_users, default_groups: Vec::new(), fields }
        };
        // The rest of the file is looked at even where the account itself is refused.
        let id = self.account.to_string();
        let name = if entry.doc.name.is_empty() { &id } else { &entry.doc.name };
        let (plan, stand_in) = (account::create(&self.state, new(name)), new("account"));
        if !self.take(entry, &entry.told, plan)? {
            let plan = account::create(&self.state, stand_in);
            self.take(entry, &entry.told, plan)?;
        }
        Ok(())
    }

    fn all_users(&mut self, id: GroupId, listed: &[&Entry<'_, GroupDoc>]) -> Result<(), ChangeRejected> {
        for second in listed.iter().skip(1) {
            let message = format!("the group `{ALL_USERS}` is listed twice");
            self.problems.push(second.problem("", "all_users", message));
        }
        let Some(entry) = listed.first() else { return Ok(()) };
        let name = if entry.doc.name.is_empty() { ALL_USERS } else { &entry.doc.name };
        let fields = GroupFields {
            name: name.to_owned(),
            description: entry.doc.description.clone(),
            owner: GroupOwner::AllUsers,
            federated_attribute_values: entry.doc.federated_attribute_values.clone(),
        };
        let plan = group::update(&self.state, self.account, id, None, fields);
        self.take(entry, &entry.told, plan).map(|_| ())
    }

    fn permission(&mut self, entry: &Entry<'_, PermissionDoc>) -> Result<(), ChangeRejected> {
        let conditions = entry.doc.conditions.iter().map(|condition| NewCondition {
            name: condition.name.clone(),
            operators: condition.operators.clone(),
            any_match: condition.any_match,
        });
        let new = NewPermission { permission: entry.doc.permission.clone(), conditions: conditions.collect() };
        let plan = catalogue::create_against(&self.state, self.account, &self.catalogue, &new);
        let edits = plan.as_ref().map(|plan| plan.edits.clone()).unwrap_or_default();
        if self.take(entry, &entry.told, plan)? {
            let catalogue = Arc::make_mut(&mut self.catalogue);
            for edit in edits {
                if let Edit::Put(Object::CatalogueEntry(_, addition)) = edit {
                    // What was planned against this catalogue fits it.
                    let _ = catalogue.extend(&addition);
                }
            }
        }
        Ok(())
    }

    fn environment(&mut self, entry: &Entry<'_, EnvironmentDoc>) -> Result<(), ChangeRejected> {
        let EnvironmentDoc { id, name } = &entry.doc;
        let mut told = entry.told.clone();
        let Some(id) = self.parse(entry, &mut told, "id", id) else {
            self.refused.insert((Noun::Environment, id.clone()));
            return Ok(());
        };
        let name = if name.is_empty() { &entry.doc.id } else { name };
        let plan = environment::create(&self.state, self.account, id, EnvironmentFields { name: name.clone() });
        if !self.take(entry, &told, plan)? {
            self.refused.insert((Noun::Environment, entry.doc.id.clone()));
        }
        Ok(())
    }

    fn group(&mut self, entry: &Entry<'_, GroupDoc>) -> Result<(), ChangeRejected> {
        let doc = &entry.doc;
        let by_name = GroupId::from_bytes(derived(Some(self.account), "group", "", &doc.name));
        let (id, mut told) = self.id(entry, doc.id.as_deref(), by_name);
        let owner = self.choice(entry, &mut told, "owner", &doc.owner, &GroupOwner::NAMES).unwrap_or(GroupOwner::Local);
        let fields = GroupFields {
            name: doc.name.clone(),
            description: doc.description.clone(),
            owner,
            federated_attribute_values: doc.federated_attribute_values.clone(),
        };
        let plan = group::create(&self.state, self.account, id, fields);
        if !self.take(entry, &told, plan)? {
            self.refuse(Noun::Group, &doc.name, doc.id.as_deref());
        }
        Ok(())
    }

    fn user(&mut self, entry: &Entry<'_, UserDoc>, service: bool) -> Result<(), ChangeRejected> {
        let doc = &entry.doc;
        let (noun, key) = match (service, doc.email.as_str()) {
            (false, email) => ("user", email),
            (true, "") => ("serviceUser", doc.name.as_str()),
            (true, email) => ("serviceUser", email),
        };
        let by_name = UserId::from_bytes(derived(Some(self.account), noun, "", key));
        let (id, mut told) = self.id(entry, doc.id.as_deref(), by_name);
        if service && doc.email.is_empty() && doc.name.is_empty() {
            self.tell(entry, &mut told, "name", "required", "is missing; a service user has a name or an e-mail");
        }
        let state = self.choice(entry, &mut told, "state", &doc.state, &UserState::NAMES).unwrap_or(UserState::Active);
        let kinds = [("local", UserKind::Local), ("federated", UserKind::Federated)];
        let kind = if service {
            UserKind::Service { description: doc.description.clone() }
        } else {
            self.choice(entry, &mut told, "kind", &doc.kind, &kinds).unwrap_or(UserKind::Local)
        };
        let groups = self.group_references(entry, &mut told, &doc.groups);
        let fields = UserFields { name: doc.name.clone(), kind, state, groups };
        let plan = user::create(&self.state, self.account, NewUser { id, email: doc.email.clone(), fields });
        self.take(entry, &told, plan).map(|_| ())
    }

    fn policy(&mut self, entry: &Entry<'_, PolicyDoc>) -> Result<(), ChangeRejected> {
        let doc = &entry.doc;
        let mut told = entry.told.clone();
        // Without a level the rest is looked at as if it were the account's; it is not applied then.
        let level = self.level(entry, &mut told, &doc.level, true).unwrap_or(Level::Account);
        let level_text = level.to_string();
        let by_name = PolicyId::from_bytes(derived(Some(self.account), "policy", &level_text, &doc.name));
        let (id, mut id_told) = self.id(entry, doc.id.as_deref(), by_name);
        told.append(&mut id_told);
        let fields = PolicyFields {
            name: doc.name.clone(),
            description: doc.description.clone(),
            tags: doc.tags.clone(),
            statements: doc.statements.clone(),
        };
        let new = NewPolicy { id, level, fields };
        let plan = policy::create_against(&self.state, self.account, &self.catalogue, new);
        if !self.take(entry, &told, plan)? {
            self.refuse(Noun::Policy, &doc.name, doc.id.as_deref());
        }
        Ok(())
    }

    fn boundary(&mut self, entry: &Entry<'_, BoundaryDoc>) -> Result<(), ChangeRejected> {
        let doc = &entry.doc;
        let by_name = BoundaryId::from_bytes(derived(Some(self.account), "boundary", "", &doc.name));
        let (id, told) = self.id(entry, doc.id.as_deref(), by_name);
        let fields = BoundaryFields { name: doc.name.clone(), query: doc.query.clone() };
        let plan = boundary::create_against(&self.state, self.account, &self.catalogue, id, fields);
        if !self.take(entry, &told, plan)? {
            self.refuse(Noun::Boundary, &doc.name, doc.id.as_deref());
        }
        Ok(())
    }

    fn binding(&mut self, entry: &Entry<'_, BindingDoc>) -> Result<(), ChangeRejected> {
        let doc = &entry.doc;
        let mut told = entry.told.clone();
        let level = self.level(entry, &mut told, &doc.level, false);
        let level = level.and_then(|level| match level {
            Level::Global => None,
            Level::Account => Some(BindingLevel::Account),
            Level::Environment(id) => Some(BindingLevel::Environment(id)),
        });
        let fields = BindingFields {
            policy: self.policy_reference(entry, &mut told, &doc.policy, level.as_ref()),
            group: self.group_reference(entry, &mut told, "group", &doc.group),
            level: level.unwrap_or(BindingLevel::Account),
            parameters: doc.parameters.clone(),
            boundaries: self.boundary_references(entry, &mut told, &doc.boundaries),
            metadata: doc.metadata.clone(),
        };
        let plan = binding::create_against(&self.state, self.account, &self.catalogue, &mut self.texts, fields);
        self.take(entry, &told, plan).map(|_| ())
    }

    /// Applies a plan, or tells why there is none. Whether it was applied.
    fn take<T>(
        &mut self,
        entry: &Entry<'_, T>,
        told: &[String],
        plan: Result<Plan, Rejection>,
    ) -> Result<bool, ChangeRejected> {
        match plan {
            Ok(_) if !told.is_empty() => Ok(false),
            Ok(plan) => {
                self.warnings.extend(plan.warnings.iter().map(|warning| format!("`{}`: {warning}", entry.path)));
                self.apply(&plan.edits).map(|()| true)
            }
            Err(rejection) => {
                self.reject(entry, told, rejection);
                Ok(false)
            }
        }
    }

    fn reject<T>(&mut self, entry: &Entry<'_, T>, told: &[String], rejection: Rejection) {
        let known = |field: &str| told.iter().any(|told| covers(told, field));
        match rejection {
            Rejection::Invalid(violations) => {
                let fresh = violations.into_iter().filter(|violation| !known(&violation.field));
                let problems = fresh.map(|it| entry.problem(&it.field, it.code, it.problem));
                self.problems.extend(problems);
            }
            // What is missing in the entry may be why it looks like another.
            other if told.is_empty() => self.problems.push(entry.problem("", other.code(), other.to_string())),
            _ => {}
        }
    }

    fn apply(&mut self, edits: &[Edit]) -> Result<(), ChangeRejected> {
        let (now, revision) = (self.now, Revision::new(1));
        let change = |edit| match edit {
            Edit::Put(value) => Change::Put(Record { created: now, updated: now, revision, value }),
            Edit::Delete(key) => Change::Delete(key),
        };
        let changes: Vec<_> = edits.iter().cloned().map(change).collect();
        self.state.apply(revision, &changes)
    }

    fn refuse(&mut self, noun: Noun, name: &str, id: Option<&str>) {
        self.refused.insert((noun, name.to_owned()));
        if let Some(id) = id {
            self.refused.insert((noun, id.to_owned()));
        }
    }

    fn owned(&self) -> Option<&AccountState> {
        self.state.account(self.account)
    }

    fn tell<T>(
        &mut self,
        entry: &Entry<'_, T>,
        told: &mut Vec<String>,
        field: &str,
        code: &'static str,
        message: &str,
    ) {
        if !told.iter().any(|told| covers(told, field)) {
            self.problems.push(entry.problem(field, code, message.to_owned()));
            told.push(field.to_owned());
        }
    }

    fn loaded(self) -> Loaded {
        let Self { account, state, warnings, .. } = self;
        let objects = state.records().map(|record| record.value).filter(|object| !matches!(object, Object::Global(_)));
        let edits = objects.map(Edit::Put).collect();
        Loaded { account, edits, state, warnings }
    }
}

/// Whether a problem of `told` is a problem of `field` too.
fn covers(told: &str, field: &str) -> bool {
    field.strip_prefix(told).is_some_and(|rest| told.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
}
