//! Users and service users: one noun, told apart by their kind.

use super::check::{self, Violations};
use super::{Plan, Rejection};
use crate::model::id::{AccountId, GroupId, UserId};
use crate::model::identity::{GroupIds, GroupOwner, User, UserKind, UserState};
use crate::model::limits;
use crate::model::mutation::Edit;
use crate::model::object::{Object, ObjectKey};
use crate::model::revision::Revision;
use crate::model::state::{AccountState, State};

/// The domain of the e-mail that a service user gets when it is given none.
pub const SERVICE_DOMAIN: &str = "service.doorward.internal";

/// A user or service user to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Its id.
    pub id: UserId,
    /// The key, unique among users and service users; a service user may leave it empty and gets one.
    pub email: String,
    /// The rest.
    pub fields: UserFields,
}

/// What can be written; an update replaces all of it.
#[derive(Debug, Clone)]
pub struct UserFields {
    /// Shown to people; empty for none.
    pub name: String,
    /// A user stays a user and a service user a service user.
    pub kind: UserKind,
    /// Only an active one may do anything.
    pub state: UserState,
    /// Memberships, `ALL_USERS` not among them.
    pub groups: Vec<GroupId>,
}

/// Makes a user or a service user.
///
/// # Errors
/// [`Rejection`]: the account is not there, the id or the e-mail is taken, or a field is invalid.
pub fn create(state: &State, account: AccountId, new: NewUser) -> Result<Plan, Rejection> {
    let NewUser { id, email, fields } = new;
    let owned = check::account(state, account)?;
    let mut found = Violations::default();
    let email = found.text("email", &email_or_own(&email, &fields, id));
    let user = fields.validate(owned, found, |fields| Some(fields.named(id, email?)))?;
    let bearer = owned.user_by_email(user.email.as_str()).map(|other| other.id());
    check::free("user or service user", "e-mail", &user.email, bearer, None)?;
    let key = ObjectKey::User(account, id);
    check::new_id(owned.users.get(&id).as_ref(), &key)?;
    Ok(Plan::new(key, vec![Edit::Put(Object::User(account, user))]))
}

/// Replaces the fields of a user or service user; the e-mail stays.
///
/// # Errors
/// [`Rejection`]: it is not there, has changed, or a field is invalid.
pub fn update(
    state: &State,
    account: AccountId,
    id: UserId,
    expected: Option<Revision>,
    fields: UserFields,
) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let key = ObjectKey::User(account, id);
    let known = owned.users.get(&id);
    let known = check::current(known.as_ref(), &key, expected)?;
    let mut found = Violations::default();
    if known.value.is_service() != matches!(fields.kind, UserKind::Service { .. }) {
        found.add("kind", "immutable", "cannot change between a user and a service user");
    }
    let email = known.value.email.clone();
    let user = fields.validate(owned, found, |fields| Some(fields.named(id, email)))?;
    Ok(Plan::new(key, vec![Edit::Put(Object::User(account, user))]))
}

/// Takes a user or service user away for good. To keep it for the record, update it to the state `deleted`.
///
/// # Errors
/// [`Rejection`]: it is not there, or has changed.
pub fn delete(state: &State, account: AccountId, id: UserId, expected: Option<Revision>) -> Result<Plan, Rejection> {
    let owned = check::account(state, account)?;
    let key = ObjectKey::User(account, id);
    check::current(owned.users.get(&id).as_ref(), &key, expected)?;
    Ok(Plan::new(key.clone(), vec![Edit::Delete(key)]))
}

fn email_or_own(email: &str, fields: &UserFields, id: UserId) -> String {
    match fields.kind {
        UserKind::Service { .. } if email.is_empty() => format!("{id}@{SERVICE_DOMAIN}"),
        _ => email.to_owned(),
    }
}

// === impl UserFields ===

/// Fields whose texts were read.
struct ValidFields {
    name: Option<crate::model::text::Name>,
    kind: UserKind,
    state: UserState,
    groups: GroupIds,
}

impl UserFields {
    fn validate(
        self,
        owned: &AccountState,
        mut found: Violations,
        finish: impl FnOnce(ValidFields) -> Option<User>,
    ) -> Result<User, Rejection> {
        let Self { name, kind, state, groups } = self;
        let name = found.optional_text("name", &name);
        if let UserKind::Service { description } = &kind {
            found.description("description", description);
        }
        check_groups(&mut found, owned, &groups);
        let user = finish(ValidFields { name, kind, state, groups: groups.into_iter().collect() });
        found.finish(user)
    }
}

fn check_groups(found: &mut Violations, owned: &AccountState, groups: &[GroupId]) {
    found.count("groups", groups.len(), limits::USER_GROUPS);
    for (index, id) in groups.iter().enumerate() {
        let field = || format!("groups[{index}]");
        match owned.groups.get(id).map(|group| &group.value) {
            None => found.dangling(field(), "group", id),
            Some(group) if group.owner == GroupOwner::AllUsers => {
                let problem = format!("everybody is in `{}`; nobody is put into it", group.name);
                found.add(field(), "all_users", problem);
            }
            Some(_) => {}
        }
    }
}

// === impl ValidFields ===

impl ValidFields {
    fn named(self, id: UserId, email: crate::model::text::Email) -> User {
        let Self { name, kind, state, groups } = self;
        User { id, email, name, kind, state, groups }
    }
}
