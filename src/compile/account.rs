//! The program of an account, made from the one before it: what a change touches is compiled, the rest is shared.
//!
//! A whole build is the same thing, from an empty account.

use std::sync::Arc;

use super::chunks::Chunks;
use super::environments::Environments;
use super::group::GroupProgram;
use super::mentions::Mentions;
use super::subjects::{GroupNumbers, Subject, Subjects};
use super::workers::{Workers, by_parts};
use crate::model::binding::BindingKey;
use crate::model::catalogue::{Catalogue, PermissionNumber, ROLE_PREFIX};
use crate::model::id::{AccountId, EnvironmentId, GroupId, PolicyId};
use crate::model::object::ObjectKey;
use crate::model::policy::Policy;
use crate::model::state::{AccountState, Shared};
use crate::model::text::Name;

mod bindings;
mod changes;

use bindings::Compiled;
use changes::Changes;

/// Groups that are worth a thread.
const GROUPS_OF_A_PART: usize = 64;

/// Everything a decision in one account needs. A clone shares everything.
#[derive(Debug, Clone)]
pub struct AccountProgram {
    /// The account.
    pub id: AccountId,
    /// The permissions and conditions of this account.
    pub catalogue: Arc<Catalogue>,
    /// The role permissions.
    pub roles: Arc<Roles>,
    /// Every user and service user.
    pub subjects: Subjects,
    environments: Arc<Environments>,
    /// By number.
    groups: Chunks<GroupProgram>,
    /// Which of them have a clause about a permission.
    mentions: Mentions,
    group_numbers: Arc<GroupNumbers>,
    /// Numbers of groups that are gone.
    free: Vec<u32>,
    /// The group of everybody.
    everybody: Option<u32>,
    /// Bound statements that the catalogue does not know in full, with the group they are bound to.
    retired: imbl::OrdSet<(PolicyId, u16, GroupId)>,
}

/// `environment:roles:*` (rules R14).
#[derive(Debug, PartialEq, Eq)]
pub struct Roles {
    /// `environment:roles:viewer`.
    pub viewer: Option<PermissionNumber>,
    /// Every other one: each implies viewer.
    pub others: Box<[PermissionNumber]>,
}

/// The global level as accounts are compiled against it.
#[derive(Debug, Clone, Default)]
pub struct GlobalProgram {
    /// The shipped catalogue.
    pub catalogue: Arc<Catalogue>,
    /// The default policies.
    pub policies: imbl::OrdMap<PolicyId, Shared<Policy>>,
}

/// A program with what it was made from.
#[derive(Debug, Clone, Copy)]
pub struct Previous<'a> {
    /// The state.
    pub source: &'a AccountState,
    /// Its program, made with the same global level.
    pub program: &'a AccountProgram,
}

/// An account that cannot be compiled: the whole update is refused, and the last good program stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("account `{account}`, {key}: {problem}")]
pub struct CompileRejected {
    /// The account.
    pub account: AccountId,
    /// The object that does not compile.
    pub key: Box<ObjectKey>,
    /// Why.
    pub problem: String,
}

/// The program of `state`, at a cost in proportion to what differs from `previous`.
///
/// # Errors
/// [`CompileRejected`] for a reference that leads nowhere, a text that does not parse, a parameter that is missing or
/// does not fit, or a catalogue entry that contradicts another.
pub fn compile(
    state: &AccountState,
    global: &GlobalProgram,
    previous: Option<Previous<'_>>,
    workers: &dyn Workers,
) -> Result<AccountProgram, CompileRejected> {
    // What a permission takes decides about every clause, so another catalogue begins from nothing.
    let same = previous.filter(|previous| previous.source.catalogue == state.catalogue);
    if let Some(Previous { source, program }) = same {
        return program.changed(source, state, global, workers);
    }
    let catalogue = account_catalogue(state, &global.catalogue)?;
    let empty = AccountState::empty(Arc::clone(&state.account));
    AccountProgram::empty(state.account.value.id, catalogue).changed(&empty, state, global, workers)
}

/// The catalogue of an account: the shipped one with the account's additions (rules R28).
///
/// # Errors
/// [`CompileRejected`] for an addition that contradicts what is there.
pub fn account_catalogue(state: &AccountState, shipped: &Arc<Catalogue>) -> Result<Arc<Catalogue>, CompileRejected> {
    if state.catalogue.is_empty() {
        return Ok(Arc::clone(shipped));
    }
    let account = state.account.value.id;
    let mut catalogue = shipped.as_ref().clone();
    for entry in state.catalogue.values() {
        catalogue.extend(&entry.value).map_err(|problem| CompileRejected {
            account,
            key: Box::new(ObjectKey::CatalogueEntry(account, entry.value.permission.clone())),
            problem: problem.to_string(),
        })?;
    }
    Ok(Arc::new(catalogue))
}

// === impl Roles ===

impl Roles {
    fn new(catalogue: &Catalogue) -> Self {
        let viewer = format!("{ROLE_PREFIX}viewer");
        let roles = catalogue.numbered().filter(|(name, _)| name.as_str().starts_with(ROLE_PREFIX));
        let others = roles.filter(|(name, _)| name.as_str() != viewer).map(|(_, number)| number).collect();
        Self { viewer: catalogue.number(&viewer), others }
    }
}

// === impl AccountProgram ===

impl AccountProgram {
    fn empty(id: AccountId, catalogue: Arc<Catalogue>) -> Self {
        Self {
            id,
            roles: Arc::new(Roles::new(&catalogue)),
            catalogue,
            subjects: Subjects::default(),
            environments: Arc::default(),
            groups: Chunks::default(),
            mentions: Mentions::default(),
            group_numbers: Arc::default(),
            free: Vec::new(),
            everybody: None,
            retired: imbl::OrdSet::new(),
        }
    }

    /// The number of an environment.
    #[must_use]
    #[inline]
    pub fn environment(&self, id: &str) -> Option<u32> {
        self.environments.number(id)
    }

    /// Every environment, sorted.
    pub fn environments(&self) -> impl Iterator<Item = (&EnvironmentId, u32)> {
        self.environments.iter()
    }

    /// The group of this id.
    #[must_use]
    pub fn group(&self, id: GroupId) -> Option<&GroupProgram> {
        self.group_numbers.get(&id).and_then(|number| self.group_by_number(*number))
    }

    /// The groups of a subject, the one of everybody among them.
    pub fn groups_of<'p>(&'p self, subject: &Subject<'p>) -> impl Iterator<Item = &'p GroupProgram> + use<'p> {
        subject.groups().iter().copied().chain(self.everybody).filter_map(|number| self.group_by_number(number))
    }

    /// Visits those groups of a subject that have a clause about `permission`, the one of everybody last.
    #[inline]
    pub fn visit_groups_about<'p>(
        &'p self,
        subject: &Subject<'p>,
        permission: PermissionNumber,
        mut visit: impl FnMut(&'p GroupProgram),
    ) {
        let Some(mentioned) = self.mentions.groups(permission) else { return };
        mentioned.visit(subject.groups(), |number| self.group_by_number(number).into_iter().for_each(&mut visit));
        let everybody = self.everybody.filter(|number| mentioned.contains(*number));
        everybody.and_then(|number| self.group_by_number(number)).into_iter().for_each(visit);
    }

    /// Whether a subject is in the group of this id.
    #[must_use]
    pub fn is_member(&self, subject: &Subject<'_>, group: GroupId) -> bool {
        let number = self.group_numbers.get(&group).copied();
        number.is_some_and(|number| self.everybody == Some(number) || subject.groups().binary_search(&number).is_ok())
    }

    #[inline]
    fn group_by_number(&self, number: u32) -> Option<&GroupProgram> {
        self.groups.get(number as usize).map(Arc::as_ref)
    }

    /// Bound statements with a permission or condition that the catalogue does not know (rules R30), each once, in order:
    /// they grant nothing.
    pub fn retired(&self) -> impl Iterator<Item = (PolicyId, u16)> + '_ {
        let mut last = None;
        let statements = self.retired.iter().map(|(policy, statement, _)| (*policy, *statement));
        statements.filter(move |statement| last.replace(*statement) != Some(*statement))
    }

    fn changed(
        &self,
        before: &AccountState,
        after: &AccountState,
        global: &GlobalProgram,
        workers: &dyn Workers,
    ) -> Result<Self, CompileRejected> {
        let changes = Changes::between(before, after);
        let mut next = self.clone();
        next.change_environments(&changes, after)?;
        next.change_group_numbers(&changes, after)?;
        next.everybody = after.all_users().and_then(|group| next.group_numbers.get(&group.value.id).copied());
        next.change_groups(&changes, (before, after), global, workers)?;
        next.change_subjects(&changes, after, workers)?;
        Ok(next)
    }

    fn change_environments(&mut self, changes: &Changes<'_>, after: &AccountState) -> Result<(), CompileRejected> {
        if changes.environments.is_empty() {
            return Ok(());
        }
        let environments = Arc::make_mut(&mut self.environments);
        let mut removed = false;
        for id in &changes.environments {
            if after.environments.contains_key(*id) {
                environments.insert(id);
            } else {
                removed |= environments.remove(id);
            }
        }
        // Bindings go with their environment; that none was left is looked at only when one went.
        let bindings = after.bindings.values().filter(|_| removed).map(|binding| &binding.value);
        let mut left = bindings.filter_map(|it| it.level.environment().map(|id| (it, id)));
        match left.find(|(_, id)| !after.environments.contains_key(*id)) {
            None => Ok(()),
            Some((binding, id)) => Err(changes::dangling(after, binding.key(), "environment", id)),
        }
    }

    fn change_group_numbers(&mut self, changes: &Changes<'_>, after: &AccountState) -> Result<(), CompileRejected> {
        for id in &changes.groups {
            match (after.groups.get(id), self.group_numbers.get(id).copied()) {
                (None, Some(number)) => {
                    Arc::make_mut(&mut self.group_numbers).remove(id);
                    self.clear_group(number);
                    if let Some((key, _)) = after.bindings_of_group(*id).next() {
                        return Err(changes::dangling(after, key, "group", id));
                    }
                }
                (Some(group), None) => self.add_group(*id, group.value.name.clone()),
                (None, None) | (Some(_), Some(_)) => {}
            }
        }
        Ok(())
    }

    /// Nobody can be in the group any more: what was bound to it need not be kept.
    fn clear_group(&mut self, number: u32) {
        if let Some(known) = self.groups.get(number as usize) {
            let empty = GroupProgram::new(known.id, known.name.clone(), [].into());
            self.set_group(number, empty);
        }
        self.free.push(number);
    }

    fn add_group(&mut self, id: GroupId, name: Name) {
        let empty = Arc::new(GroupProgram::new(id, name, [].into()));
        let number = self.free.pop().unwrap_or(self.groups.len() as u32);
        match self.groups.get(number as usize) {
            Some(_) => self.groups.set(number as usize, empty),
            None => self.groups.push(empty),
        }
        Arc::make_mut(&mut self.group_numbers).insert(id, number);
    }

    fn change_groups(
        &mut self,
        changes: &Changes<'_>,
        (before, after): (&AccountState, &AccountState),
        global: &GlobalProgram,
        workers: &dyn Workers,
    ) -> Result<(), CompileRejected> {
        let touched: Vec<GroupId> = changes.touched_groups(after).into_iter().collect();
        let compiled = bindings::compile(self, &touched, (before, after), global, workers)?;
        let parts = by_parts(workers, &touched, GROUPS_OF_A_PART, |groups| {
            groups.iter().map(|id| (*id, self.group_after(*id, after, &compiled))).collect::<Vec<_>>()
        });
        for (id, group) in parts.into_iter().flatten() {
            self.forget_retired(id);
            if let Some((number, group)) = group {
                let retired = group.bindings().iter().flat_map(|binding| {
                    binding.program.retired.iter().map(|statement| (binding.policy.value.id, *statement, id))
                });
                self.retired.extend(retired);
                self.set_group(number, group);
            }
        }
        Ok(())
    }

    /// The program of a group with its number; `None` where the group is gone.
    fn group_after(&self, id: GroupId, after: &AccountState, compiled: &[Compiled]) -> Option<(u32, GroupProgram)> {
        let (group, number) = (after.groups.get(&id)?, *self.group_numbers.get(&id)?);
        let begin = compiled.partition_point(|(group, ..)| *group < id);
        let own = compiled.get(begin..).unwrap_or_default();
        let own = own.get(..own.partition_point(|(group, ..)| *group == id)).unwrap_or_default();
        let fresh = |key: BindingKey| {
            let place = own.binary_search_by_key(&key, |(_, key, _)| *key).ok()?;
            own.get(place).map(|(_, _, program)| Arc::clone(program))
        };
        let known = self.groups.get(number as usize).filter(|known| !known.bindings().is_empty());
        let bindings = match known {
            None => own.iter().map(|(_, _, program)| Arc::clone(program)).collect(),
            Some(known) => {
                let keys = after.bindings_of_group(id).map(|(key, _)| key);
                keys.filter_map(|key| fresh(key).or_else(|| known.binding(key).cloned())).collect()
            }
        };
        Some((number, GroupProgram::new(id, group.value.name.clone(), bindings)))
    }

    /// Puts a program in place of the one that has this number.
    // INVARIANT: `mentions` says of each group what its program is about.
    fn set_group(&mut self, number: u32, group: GroupProgram) {
        let known = self.groups.get(number as usize).map(Arc::as_ref);
        self.mentions.change(number, known.map_or(&[], GroupProgram::permissions), group.permissions());
        self.groups.set(number as usize, Arc::new(group));
    }

    fn forget_retired(&mut self, group: GroupId) {
        if !self.retired.is_empty() {
            let left = self.retired.iter().filter(|(_, _, bound)| *bound != group).copied();
            self.retired = left.collect();
        }
    }

    fn change_subjects(
        &mut self,
        changes: &Changes<'_>,
        after: &AccountState,
        workers: &dyn Workers,
    ) -> Result<(), CompileRejected> {
        let no_group = |user, group: GroupId| CompileRejected {
            account: self.id,
            key: Box::new(ObjectKey::User(self.id, user)),
            problem: format!("there is no group `{group}`"),
        };
        let next = match changes.users.as_deref() {
            Some([]) => None,
            Some(users) => Some(self.subjects.change(users, &after.users, &self.group_numbers, workers)),
            None => Some(Subjects::of(&after.users, &self.group_numbers, workers)),
        };
        if let Some(next) = next {
            self.subjects = next.map_err(|missing| no_group(missing.user, missing.group))?;
        }
        // Members leave with their group; that none was left is looked at only when one went.
        let gone = changes.groups.iter().filter(|id| !after.groups.contains_key(*id)).collect::<Vec<_>>();
        if gone.is_empty() {
            return Ok(());
        }
        let mut users = after.users.rows();
        let left = users.find_map(|user| gone.iter().find(|id| user.is_member(***id)).map(|id| (user.id(), **id)));
        left.map_or(Ok(()), |(user, group)| Err(no_group(user, group)))
    }
}
