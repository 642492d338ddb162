//! A state and its questions, put to Cedar.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cedar_policy::{
    Authorizer, Context, Decision as CedarDecision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet,
    Request, Response, RestrictedExpression,
};
use doorward::model::catalogue::Catalogue;
use doorward::model::decision::Decision;
use doorward::model::id::{AccountId, GroupId};
use doorward::model::identity::{User, UserState};
use doorward::model::state::{AccountState, State};

use super::policies::{Policies, policies};
use super::{Inexpressible, SLOTS, times};
use crate::reference::Question;

const ROLES: &str = "environment:roles:";
const VIEWER: &str = "environment:roles:viewer";
/// Entity types.
const TYPES: [&str; 5] = ["User", "Group", "Environment", "Account", "Action"];

/// Cedar, with the policies and entities of one account.
pub(crate) struct Oracle<'s> {
    account: &'s AccountState,
    catalogue: Catalogue,
    policies: Policies,
    set: PolicySet,
    entities: Entities,
    /// Roles other than viewer that a policy is about.
    roles: Vec<String>,
    types: Types,
}

/// A question in Cedar's terms but for its action.
struct Asked {
    principal: EntityUid,
    resource: EntityUid,
    context: Context,
}

/// What Cedar says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// A permit fits and no forbid.
    Allowed,
    /// A forbid fits.
    Forbidden,
    /// Nothing fits.
    Nothing,
}

// === impl Oracle ===

impl<'s> Oracle<'s> {
    /// Translates the account.
    ///
    /// # Panics
    /// Where Cedar refuses the translation.
    pub(crate) fn new(state: &'s State, id: AccountId) -> Self {
        let account = state.account(id).expect("the account");
        let global = &state.global.as_ref().expect("a global level").value;
        let own = account.catalogue.values().map(|record| &record.value);
        let catalogue = Catalogue::from_entries(global.catalogue.iter().chain(own));
        let policies = policies(state, account, &catalogue);
        let set = policies.text.parse().unwrap_or_else(|error| panic!("{error}\n{}", policies.text));
        let types = Types::new();
        let entities = entities(account, &types);
        let roles = global.catalogue.iter().map(|entry| entry.permission.as_str()).filter(|name| {
            name.starts_with(ROLES) && *name != VIEWER && policies.text.contains(&format!("Action::\"{name}\""))
        });
        let roles = roles.map(str::to_owned).collect();
        Self { account, catalogue, policies, set, entities, roles, types }
    }

    /// Cedar's text.
    pub(crate) fn text(&self) -> &str {
        &self.policies.text
    }

    /// Cedar's decision.
    ///
    /// # Errors
    /// Why it can have none.
    ///
    /// # Panics
    /// Where Cedar cannot evaluate a policy: a translation that errs proves nothing.
    pub(crate) fn decide(&self, question: &Question) -> Result<Decision, Inexpressible> {
        let asked = self.asked(question)?;
        let allowed = match self.ask(&asked, &question.permission)? {
            Said::Allowed => true,
            Said::Nothing if question.permission == VIEWER => self.implied(&asked)?,
            Said::Forbidden | Said::Nothing => false,
        };
        Ok(if allowed { Decision::Allow } else { Decision::Deny })
    }

    /// R14: whether another role is allowed. It is a decision over decisions, so Cedar is asked for each.
    fn implied(&self, asked: &Asked) -> Result<bool, Inexpressible> {
        let said: Result<Vec<_>, _> = self.roles.iter().map(|role| self.ask(asked, role)).collect();
        said.map(|said| said.contains(&Said::Allowed))
    }

    fn ask(&self, asked: &Asked, permission: &str) -> Result<Said, Inexpressible> {
        if let Some(reason) = self.policies.without.get(permission) {
            return Err(*reason);
        }
        let Asked { principal, resource, context } = asked;
        let action = self.types.uid("Action", permission);
        let request = Request::new(principal.clone(), action, resource.clone(), context.clone(), None);
        let request = request.expect("no schema to contradict");
        Ok(said(&Authorizer::new().is_authorized(&request, &self.set, &self.entities)))
    }

    fn asked(&self, question: &Question) -> Result<Asked, Inexpressible> {
        well_formed(question)?;
        let principal = self.types.uid("User", &self.subject(&question.user)?);
        if !self.catalogue.knows(&question.permission) {
            return Err(Inexpressible::UnknownPermission);
        }
        let own = self.account.account.value.id.to_string();
        let resource = match question.environment.as_str() {
            "" => self.types.uid("Account", &own),
            id if self.account.environments.contains_key(id) => self.types.uid("Environment", id),
            _ => return Err(Inexpressible::UnknownEnvironment),
        };
        Ok(Asked { principal, resource, context: context(question)? })
    }

    /// The id of the subject; the name itself where nobody bears it.
    fn subject(&self, name: &str) -> Result<String, Inexpressible> {
        let called = |user: &User| {
            let by_name = user.is_service() && user.name.as_ref().is_some_and(|own| own.as_str() == name);
            user.id.to_string() == name || user.email.as_str() == name || by_name
        };
        let users = self.account.users.rows().map(|user| user.user());
        let bearers: Vec<_> = users.filter(called).collect();
        match bearers.as_slice() {
            [] => Ok(name.to_owned()),
            [one] => Ok(one.id.to_string()),
            _ => Err(Inexpressible::AmbiguousSubject),
        }
    }
}

fn said(response: &Response) -> Said {
    let errors: Vec<_> = response.diagnostics().errors().map(ToString::to_string).collect();
    assert!(errors.is_empty(), "Cedar cannot evaluate: {errors:?}");
    match (response.decision(), response.diagnostics().reason().next()) {
        (CedarDecision::Allow, _) => Said::Allowed,
        (CedarDecision::Deny, Some(_)) => Said::Forbidden,
        (CedarDecision::Deny, None) => Said::Nothing,
    }
}

/// R2, R4, R13, R16: what makes a question a bad one.
fn well_formed(question: &Question) -> Result<(), Inexpressible> {
    let Question { user, environment, level, permission, attributes, absent, .. } = question;
    let target = match (environment.as_str(), level.as_str()) {
        ("", level) => level == "account",
        (_, level) => level.is_empty(),
    };
    let names = || attributes.keys().chain(absent);
    let is_asked = !user.is_empty() && !permission.is_empty();
    let computed = names().any(|name| name.starts_with("global:"));
    let contradictory = absent.iter().any(|name| attributes.contains_key(name));
    if target && is_asked && !computed && !contradictory { Ok(()) } else { Err(Inexpressible::BadRequest) }
}

// === entities and context ===

/// Names of entity types, parsed once.
struct Types(HashMap<&'static str, EntityTypeName>);

// === impl Types ===

impl Types {
    fn new() -> Self {
        Self(TYPES.into_iter().map(|name| (name, name.parse().expect("a type"))).collect())
    }

    fn uid(&self, name: &str, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.0[name].clone(), EntityId::new(id))
    }
}

/// Users in groups, environments in the account.
fn entities(account: &AccountState, types: &Types) -> Entities {
    let own = types.uid("Account", &account.account.value.id.to_string());
    let everybody = account.all_users().map(|group| group.value.id);
    let environments = account.environments.keys().map(|id| (types.uid("Environment", id.as_str()), own.clone()));
    let environments = environments.map(|(uid, parent)| Entity::new_no_attrs(uid, HashSet::from([parent])));
    let groups =
        account.groups.keys().map(|id| Entity::new_no_attrs(types.uid("Group", &id.to_string()), HashSet::new()));
    let users = account.users.values().map(|record| user_entity(&record.value, everybody, types));
    let alone = Entity::new_no_attrs(own.clone(), HashSet::new());
    Entities::from_entities(users.chain(groups).chain(environments).chain([alone]), None).expect("no entity twice")
}

fn user_entity(user: &User, everybody: Option<GroupId>, types: &Types) -> Entity {
    let groups: BTreeSet<_> = user.groups.iter().copied().chain(everybody).map(|id| id.to_string()).collect();
    let parents = groups.iter().map(|id| types.uid("Group", id)).collect();
    let attributes = HashMap::from([
        ("active".to_owned(), RestrictedExpression::new_bool(user.state == UserState::Active)),
        ("groups".to_owned(), RestrictedExpression::new_set(groups.into_iter().map(RestrictedExpression::new_string))),
    ]);
    Entity::new(types.uid("User", &user.id.to_string()), attributes, parents).expect("attributes without calls")
}

/// Attributes that are unsaid have no field; those known absent have one with a count of 0 (R2).
fn context(question: &Question) -> Result<Context, Inexpressible> {
    let empty = Vec::new();
    let absent = question.absent.iter().map(|name| (name, &empty));
    let attributes: BTreeMap<_, _> = question.attributes.iter().chain(absent).collect();
    let attributes: Result<Vec<_>, _> =
        attributes.into_iter().map(|(name, values)| Ok((name.clone(), attribute(values)?))).collect();
    let told = times::told(question.time.parse().expect("a time"))?;
    let fields = [
        ("attributes", record(attributes?)),
        ("instant", RestrictedExpression::new_long(told.instant)),
        ("timeOfDay", RestrictedExpression::new_long(told.time_of_day)),
        ("weekDay", RestrictedExpression::new_string(told.week_day)),
    ];
    Ok(Context::from_pairs(fields.map(|(name, value)| (name.to_owned(), value))).expect("no field twice"))
}

/// The values as a set, and each by itself for `like`; the count is that of the list, as a set has no equal ones (R3).
fn attribute(values: &[String]) -> Result<RestrictedExpression, Inexpressible> {
    if values.len() > SLOTS {
        return Err(Inexpressible::ManyValues);
    }
    let text = |value: &String| RestrictedExpression::new_string(value.clone());
    let count = i64::try_from(values.len()).map_err(|_| Inexpressible::ManyValues)?;
    let fields = [
        ("count".to_owned(), RestrictedExpression::new_long(count)),
        ("values".to_owned(), RestrictedExpression::new_set(values.iter().map(text))),
    ];
    let slots = values.iter().enumerate().map(|(slot, value)| (format!("value{slot}"), text(value)));
    Ok(record(fields.into_iter().chain(slots)))
}

fn record(fields: impl IntoIterator<Item = (String, RestrictedExpression)>) -> RestrictedExpression {
    RestrictedExpression::new_record(fields).expect("no field twice")
}
