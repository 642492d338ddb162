//! The decision (reference ch. 14, rules R13, R14, R16).

use std::sync::Arc;

use doorward::model::catalogue::Catalogue;
use doorward::model::decision::{Decision, ReasonCode};
use doorward::model::id::AccountId;
use doorward::model::identity::{User, UserState};
use doorward::model::limits;
use doorward::model::policy::Effect;
use doorward::model::state::{AccountState, State};

use super::expand::{Effective, expand_all};
use super::question::{Answer, Decided, Question, Refused, Resolved};
use super::truth::{Facts, Truth, holds};

/// The role that every other role implies (rules R14).
const VIEWER: &str = "environment:roles:viewer";
/// What the names of role permissions begin with.
const ROLES: &str = "environment:roles:";

/// The evaluator of one account at one revision.
pub struct Reference {
    account: Arc<AccountState>,
    catalogue: Catalogue,
    /// The roles of the default catalogue but the viewer.
    roles: Vec<String>,
    /// In the order in which reasons are named.
    statements: Vec<Effective>,
}

/// A question that can be answered, about a subject that may act.
struct Asked<'r, 'q> {
    reference: &'r Reference,
    facts: Facts<'q>,
}

/// What became of the names of a question.
enum Subject<'r, 'q> {
    May(Asked<'r, 'q>),
    MayNot(ReasonCode),
}

/// The first statement of each kind.
#[derive(Default)]
struct Weights<'r> {
    deny: Option<&'r Effective>,
    deny_unknown: Option<&'r Effective>,
    allow: Option<&'r Effective>,
    allow_unknown: Option<&'r Effective>,
}

/// A decision before it is put into words.
type Step<'r> = (ReasonCode, Option<&'r Effective>);

// === impl Reference ===

impl Reference {
    /// The evaluator of `account`.
    ///
    /// # Panics
    /// Where the state is not whole: the account or the global level is missing, or a reference leads nowhere.
    pub fn new(state: &State, account: AccountId) -> Self {
        let global = state.global.as_ref().expect("a global level");
        let account = Arc::clone(state.accounts.get(&account).expect("the account"));
        let additions = account.catalogue.values().map(|entry| &entry.value);
        let catalogue = Catalogue::from_entries(global.value.catalogue.iter().chain(additions));
        let names = global.value.catalogue.iter().map(|entry| entry.permission.as_str());
        let roles = names.filter(|name| name.starts_with(ROLES) && *name != VIEWER).map(str::to_owned).collect();
        let statements = expand_all(state, &account, &catalogue);
        Self { account, catalogue, roles, statements }
    }

    /// The decision at enforcement.
    pub fn decide(&self, question: &Question) -> Answer {
        let (code, statement) = match self.ask(question) {
            Err(refused) => return Answer::Refused(refused),
            Ok(Subject::MayNot(code)) => (code, None),
            Ok(Subject::May(asked)) => asked.decide(&question.permission),
        };
        let decision = if code == ReasonCode::AllowStatement { Decision::Allow } else { Decision::Deny };
        Answer::Decided(Decided { decision, code, named: statement.map(|statement| statement.named.clone()) })
    }

    /// The three-valued answer.
    ///
    /// # Errors
    /// [`Refused`] where there is none.
    pub fn resolve(&self, question: &Question) -> Result<Resolved, Refused> {
        Ok(match self.ask(question)? {
            Subject::MayNot(_) => Resolved::Deny,
            Subject::May(asked) => asked.resolve(&question.permission),
        })
    }

    /// Rules R13: a bad request first, then the names, then the subject.
    fn ask<'q>(&self, question: &'q Question) -> Result<Subject<'_, 'q>, Refused> {
        check_attributes(question)?;
        check_parts(question)?;
        let user = self.user(&question.user)?;
        if !self.catalogue.knows(&question.permission) {
            return Err(Refused::new("unknown_permission", "permission"));
        }
        let environment = Some(&question.environment).filter(|id| !id.is_empty());
        if environment.is_some_and(|id| !self.account.environments.contains_key(id.as_str())) {
            return Err(Refused::new("unknown_environment", "environment"));
        }
        let user = match user {
            None => return Ok(Subject::MayNot(ReasonCode::UnknownSubject)),
            Some(user) if user.state != UserState::Active => {
                return Ok(Subject::MayNot(ReasonCode::InactiveSubject));
            }
            Some(user) => user,
        };
        let everybody = self.account.all_users().map(|group| group.value.id);
        let facts = Facts {
            attributes: &question.attributes,
            absent: &question.absent,
            at: question.time.parse().expect("a time"),
            user_id: user.id.to_string(),
            groups: user.groups.iter().copied().chain(everybody).map(|id| id.to_string()).collect(),
            level_id: environment.cloned().unwrap_or_else(|| self.account.account.value.id.to_string()),
            environment_id: environment.cloned(),
        };
        Ok(Subject::May(Asked { reference: self, facts }))
    }

    /// The user of this id or e-mail, or the service user of this name.
    fn user(&self, name: &str) -> Result<Option<User>, Refused> {
        let bears = |user: &User| {
            let own = user.name.as_ref().filter(|_| user.is_service());
            user.id.to_string() == name || user.email.as_str() == name || own.is_some_and(|own| own.as_str() == name)
        };
        let mut found = self.account.users.rows().map(|user| user.user()).filter(bears);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Refused::new("bad_request", "user")),
            (user, None) => Ok(user),
        }
    }
}

/// Rules R2, R4 and §7.
fn check_attributes(question: &Question) -> Result<(), Refused> {
    let bad = |field: String| Err(Refused::new("bad_request", field));
    if question.attributes.len() > limits::REQUEST_ATTRIBUTES {
        return bad("attributes".to_owned());
    }
    if question.absent.len() > limits::REQUEST_ABSENT {
        return bad("absent".to_owned());
    }
    for (name, values) in &question.attributes {
        let too_long = values.iter().any(|value| value.len() > limits::ATTRIBUTE_VALUE_BYTES);
        if name.starts_with("global:") || values.len() > limits::ATTRIBUTE_VALUES || too_long {
            return bad(format!("attributes.{name}"));
        }
    }
    for name in &question.absent {
        if name.starts_with("global:") {
            return bad(format!("absent.{name}"));
        }
    }
    match question.attributes.keys().find(|name| question.absent.contains(name)) {
        Some(both) => bad(format!("absent.{both}")),
        None => Ok(()),
    }
}

/// Rules R16.
fn check_parts(question: &Question) -> Result<(), Refused> {
    let Question { user, environment, level, permission, .. } = question;
    let bad = |field| Err(Refused::new("bad_request", field));
    match (user.as_str(), environment.as_str(), level.as_str(), permission.as_str()) {
        ("", ..) => bad("user"),
        (_, "", "", _) => bad("environment"),
        (_, "", level, _) if level != "account" => bad("level"),
        (_, environment, level, _) if !environment.is_empty() && !level.is_empty() => bad("level"),
        (.., "") => bad("permission"),
        _ => Ok(()),
    }
}

// === impl Asked ===

impl<'r> Asked<'r, '_> {
    fn decide(&self, permission: &str) -> Step<'r> {
        let own = self.weigh(permission).decide();
        if permission != VIEWER || own.0 != ReasonCode::NoMatch {
            return own;
        }
        // Rules R14: of the roles that are allowed, the first statement by the order of all statements.
        let of_role = |role: &String| match self.weigh(role).decide() {
            (ReasonCode::AllowStatement, statement) => statement,
            _ => None,
        };
        let allowing: Vec<_> = self.reference.roles.iter().filter_map(of_role).collect();
        let first = |statement: &&Effective| allowing.iter().any(|it| std::ptr::eq(*it, *statement));
        match self.reference.statements.iter().find(first) {
            Some(statement) => (ReasonCode::AllowStatement, Some(statement)),
            None => own,
        }
    }

    fn resolve(&self, permission: &str) -> Resolved {
        let own = self.weigh(permission);
        if permission != VIEWER || own.deny.is_some() {
            return own.resolve();
        }
        let of_viewer = Weights { deny_unknown: None, ..own }.resolve();
        let of_roles = self.reference.roles.iter().map(|role| self.weigh(role).resolve());
        let best = of_roles.fold(of_viewer, Resolved::max);
        if own.deny_unknown.is_some() { best.min(Resolved::Conditional) } else { best }
    }

    /// The first statement of each kind for `permission`, among those of the subject's groups that count here.
    fn weigh(&self, permission: &str) -> Weights<'r> {
        let mut weights = Weights::default();
        let candidates = self.reference.statements.iter().filter(|it| it.permission.as_str() == permission);
        for statement in candidates.filter(|statement| self.counts(statement)) {
            let slot = match (statement.effect, holds(statement, &self.facts)) {
                (_, Truth::False) => continue,
                (Effect::Deny, Truth::True) => &mut weights.deny,
                (Effect::Deny, Truth::Unknown) => &mut weights.deny_unknown,
                (Effect::Allow, Truth::True) => &mut weights.allow,
                (Effect::Allow, Truth::Unknown) => &mut weights.allow_unknown,
            };
            slot.get_or_insert(statement);
        }
        weights
    }

    /// Of a group of the subject, and bound at the account or at the environment asked for (D4, D5, R16).
    fn counts(&self, statement: &Effective) -> bool {
        let here = match statement.level.environment() {
            None => true,
            Some(id) => self.facts.environment_id.as_deref() == Some(id.as_str()),
        };
        here && self.facts.groups.contains(&statement.named.group.to_string())
    }
}

// === impl Weights ===

impl<'r> Weights<'r> {
    /// D1, D2, D6.
    fn decide(&self) -> Step<'r> {
        match (self.deny, self.deny_unknown, self.allow) {
            (Some(statement), _, _) => (ReasonCode::DenyStatement, Some(statement)),
            (None, Some(statement), _) => (ReasonCode::DenyUnknown, Some(statement)),
            (None, None, Some(statement)) => (ReasonCode::AllowStatement, Some(statement)),
            (None, None, None) => (ReasonCode::NoMatch, None),
        }
    }

    fn resolve(&self) -> Resolved {
        match (self.deny, self.deny_unknown, self.allow, self.allow_unknown) {
            (Some(_), ..) | (None, _, None, None) => Resolved::Deny,
            (None, None, Some(_), _) => Resolved::Allow,
            _ => Resolved::Conditional,
        }
    }
}
