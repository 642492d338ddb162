//! The objects, each from its number.

use std::collections::BTreeMap;

use super::texts::joined;
use super::vocabulary::{ENVIRONMENTS, Permission, parsed};
use super::{Noun, Random, Workload};
use crate::compile::shipped_global;
use crate::model::account::{Account, Environment};
use crate::model::binding::Binding;
use crate::model::catalogue::CatalogueEntry;
use crate::model::id::{BoundaryId, GroupId, PolicyId, UserId};
use crate::model::identity::{Group, GroupIds, GroupOwner, User, UserKind, UserState};
use crate::model::level::{BindingLevel, Level};
use crate::model::limits;
use crate::model::object::{Change, Object, ObjectKey, Record};
use crate::model::policy::{Boundary, Policy};
use crate::model::revision::Revision;
use crate::model::state::{ChangeRejected, State};

/// The most groups of a user.
const USER_GROUPS: usize = 20;
/// Of a hundred bindings, those with a boundary.
const BOUNDED: usize = 10;
/// Of a hundred bindings, those at the level of an environment.
const IN_ENVIRONMENT: usize = 40;
/// Of a hundred users, those that are not active.
const INACTIVE: usize = 1;
/// Policies for each boundary.
const POLICIES_PER_BOUNDARY: usize = 10;

impl Workload {
    /// Every object, parents before what they own: the order in which they can be applied.
    pub fn objects(&self) -> impl Iterator<Item = Object> + '_ {
        let account = self.account();
        let head = [Object::Global(shipped_global()), Object::Account(self.account_object())];
        head.into_iter()
            .chain(self.environment_objects().map(move |it| Object::Environment(account, it)))
            .chain(Self::catalogue().map(move |it| Object::CatalogueEntry(account, it)))
            .chain(self.groups().map(move |it| Object::Group(account, it)))
            .chain(self.users().map(move |it| Object::User(account, it)))
            .chain(self.boundaries().map(move |it| Object::Boundary(account, it)))
            .chain(self.policies().map(move |it| Object::Policy(account, it)))
            .chain(self.bindings().map(move |it| Object::Binding(account, it)))
    }

    /// The state of all objects, at revision 1.
    ///
    /// # Errors
    /// Never, as parents come before what they own.
    pub fn state(&self) -> Result<State, ChangeRejected> {
        let mut state = State::default();
        for object in self.objects() {
            state.apply(Revision::new(1), [&put(object, Revision::new(1))])?;
        }
        Ok(state)
    }

    /// A change that gives any policy another text.
    pub fn policy_change(&self, random: &mut Random, revision: Revision) -> Change {
        let policy = self.policy_version(random.below(self.dimensions.policies), 1 + random.number() / 2);
        put(Object::Policy(self.account(), policy), revision)
    }

    /// A change that puts any user into other groups.
    pub fn user_change(&self, random: &mut Random, revision: Revision) -> Change {
        let mut user = self.user(random.below(self.dimensions.users));
        user.groups = self.group_ids(&self.any_groups(random));
        put(Object::User(self.account(), user), revision)
    }

    /// A change that takes any binding away; it is none where the binding is gone already.
    pub fn binding_removal(&self, random: &mut Random) -> Change {
        let policy = random.below(self.dimensions.policies);
        let place = random.below(self.bound_groups(policy).len());
        let key = self.bindings_of_policy(policy).nth(place).map(|binding| binding.key());
        Change::Delete(key.map_or(ObjectKey::Account(self.account()), |key| ObjectKey::Binding(self.account(), key)))
    }

    /// A change that binds any policy to any group.
    pub fn binding_addition(&self, random: &mut Random, revision: Revision) -> Change {
        let policy = random.below(self.dimensions.policies);
        let group = random.below(self.dimensions.groups);
        let binding = self.bound(random, policy, group);
        put(Object::Binding(self.account(), binding), revision)
    }

    /// The account itself.
    pub fn account_object(&self) -> Account {
        Account { id: self.account(), name: parsed("Workload"), strict_boundaries: false }
    }

    /// The environments.
    pub fn environment_objects(&self) -> impl Iterator<Item = Environment> + use<> {
        self.environments().map(|id| Environment { name: parsed(id.as_str()), id })
    }

    /// What the account adds to the catalogue.
    pub fn catalogue() -> impl Iterator<Item = CatalogueEntry> + use<> {
        Permission::all().map(Permission::entry)
    }

    /// The groups, by number.
    pub fn groups(&self) -> impl Iterator<Item = Group> + '_ {
        (0..self.dimensions.groups).map(|number| self.group(number))
    }

    /// The users, by number.
    pub fn users(&self) -> impl Iterator<Item = User> + '_ {
        (0..self.dimensions.users).map(|number| self.user(number))
    }

    /// The boundaries, by number.
    pub fn boundaries(&self) -> impl Iterator<Item = Boundary> + '_ {
        (0..self.boundary_count()).map(|number| self.boundary(number))
    }

    /// The policies, by number.
    pub fn policies(&self) -> impl Iterator<Item = Policy> + '_ {
        (0..self.dimensions.policies).map(|number| self.policy_version(number, 0))
    }

    /// The bindings, by the numbers of their policies.
    pub fn bindings(&self) -> impl Iterator<Item = Binding> + '_ {
        (0..self.dimensions.policies).flat_map(|policy| self.bindings_of_policy(policy))
    }

    fn group(&self, number: usize) -> Group {
        let (name, description) = (parsed(&format!("g{number}")), String::new());
        let federated_attribute_values = Vec::new();
        Group { id: self.group_id(number), name, description, owner: GroupOwner::Local, federated_attribute_values }
    }

    fn user(&self, number: usize) -> User {
        let mut random = self.random(Noun::User, number);
        let id = UserId::from_bytes(random.id());
        let state = if random.percent(INACTIVE) { UserState::Inactive } else { UserState::Active };
        let groups = self.group_ids(&self.any_groups(&mut random));
        User { id, email: parsed(&email(number)), name: None, kind: UserKind::Local, state, groups }
    }

    fn boundary(&self, number: usize) -> Boundary {
        let query = self.conditions(number).iter().map(|test| format!("{test};")).collect::<Vec<_>>().join("\n");
        Boundary { id: self.boundary_id(number), name: parsed(&format!("b{number}")), query }
    }

    fn policy_version(&self, number: usize, version: u64) -> Policy {
        let (name, statements) = (parsed(&format!("p{number}")), joined(&self.statements(number, version), "\n"));
        let id = self.policy_id(number);
        Policy { id, level: Level::Account, name, description: String::new(), tags: Vec::new(), statements }
    }

    fn bindings_of_policy(&self, policy: usize) -> impl Iterator<Item = Binding> + '_ {
        self.bound_groups(policy).into_iter().enumerate().map(move |(place, group)| {
            let mut random = self.binding_random(policy, place);
            self.bound(&mut random, policy, group)
        })
    }

    fn bound(&self, random: &mut Random, policy: usize, group: usize) -> Binding {
        let (environment, boundary) = (Self::binding_environment(random), self.binding_boundary(random));
        let level = environment.map_or(BindingLevel::Account, |id| BindingLevel::Environment(parsed(id)));
        let boundaries = boundary.map(|number| self.boundary_id(number)).into_iter().collect();
        let (policy, group) = (self.policy_id(policy), self.group_id(group));
        Binding { policy, group, level, parameters: BTreeMap::new(), boundaries, metadata: BTreeMap::new() }
    }

    /// The choices about one binding: first its level, then its boundary.
    pub(super) fn binding_random(&self, policy: usize, place: usize) -> Random {
        Random::of(self.random(Noun::Binding, policy).number(), Noun::Binding as u64, place as u64)
    }

    pub(super) fn binding_environment(random: &mut Random) -> Option<&'static str> {
        random.percent(IN_ENVIRONMENT).then(|| random.word(&ENVIRONMENTS))
    }

    pub(super) fn binding_boundary(&self, random: &mut Random) -> Option<usize> {
        random.percent(BOUNDED).then(|| random.below(self.boundary_count()))
    }

    /// The groups of a user, by number.
    pub(super) fn groups_of_user(&self, number: usize) -> Vec<usize> {
        let mut random = self.random(Noun::User, number);
        // What comes before the groups.
        let _ = (random.id(), random.percent(INACTIVE));
        self.any_groups(&mut random)
    }

    fn any_groups(&self, random: &mut Random) -> Vec<usize> {
        let count = 1 + random.below(USER_GROUPS);
        random.distinct(count, self.dimensions.groups)
    }

    fn group_ids(&self, numbers: &[usize]) -> GroupIds {
        numbers.iter().map(|number| self.group_id(*number)).collect()
    }

    /// No more than an account may have, so that it can be loaded.
    const fn boundary_count(&self) -> usize {
        let count = self.dimensions.policies.div_ceil(POLICIES_PER_BOUNDARY);
        if count < limits::ACCOUNT_BOUNDARIES { count } else { limits::ACCOUNT_BOUNDARIES }
    }

    fn group_id(&self, number: usize) -> GroupId {
        GroupId::from_bytes(self.random(Noun::Group, number).id())
    }

    fn policy_id(&self, number: usize) -> PolicyId {
        PolicyId::from_bytes(self.random(Noun::Policy, number).id())
    }

    fn boundary_id(&self, number: usize) -> BoundaryId {
        BoundaryId::from_bytes(self.random(Noun::Boundary, number).id())
    }
}

/// The e-mail of a user.
pub(super) fn email(number: usize) -> String {
    format!("u{number}@example.com")
}

fn put(value: Object, revision: Revision) -> Change {
    let at = jiff::Timestamp::UNIX_EPOCH;
    Change::Put(Record { created: at, updated: at, revision, value })
}
