//! Requests: most are drawn from what the user's groups are bound to, so that about seven in ten are allowed.

use super::objects::email;
use super::texts::Statement;
use super::vocabulary::{ENVIRONMENTS, Permission, value};
use super::{Bound, Random, Workload};
use crate::model::attribute::{InvalidRequest, Supplied, Values};
use crate::model::decision::{CheckRequest, RequestParts};
use crate::model::moment::Moment;
use crate::model::policy::Effect;

/// Of a hundred requests, those drawn from a statement that grants: some are denied by another, some users may not act.
const GRANTED: usize = 74;
/// Of a hundred requests for something granted, those with a value that does not fit, or without any value.
const MISFIT: usize = 5;
/// Of a hundred requests about a binding of the account, those at account level.
const ACCOUNT_LEVEL: usize = 5;
/// How often another permission is drawn where the user has something to do with it.
const TRIES: usize = 8;
/// Of a thousand requests, those by nobody the account knows.
const STRANGERS: usize = 5;

/// A request that owns its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asks: an e-mail.
    pub user: String,
    /// Where; `None` asks about the account itself.
    pub environment: Option<String>,
    /// What.
    pub permission: String,
    /// What the caller knows: a name and its one value.
    pub attributes: Vec<(String, String)>,
}

// === impl Request ===

impl Request {
    /// The attributes, as [`Self::check`] takes them.
    #[must_use]
    pub fn supplied(&self) -> Supplied<'_> {
        Supplied::new(self.attributes.iter().map(|(name, value)| (name.as_str(), Values::One(value))), [])
    }

    /// The request to decide, borrowed from this one and from what [`Self::supplied`] gave.
    ///
    /// # Errors
    /// Never for a request that a workload made.
    #[inline]
    pub fn check<'a>(&'a self, supplied: &'a Supplied<'_>, at: Moment) -> Result<CheckRequest<'a>, InvalidRequest> {
        let attributes = supplied.attributes()?;
        let (environment, level) = self.environment.as_deref().map_or(("", "account"), |id| (id, ""));
        let parts = RequestParts { user: &self.user, environment, level, permission: &self.permission };
        CheckRequest::new(parts, attributes, at)
    }
}

/// Something a binding grants.
struct Grant {
    environment: Option<&'static str>,
    boundary: Option<usize>,
    statement: Statement,
}

// === impl Workload ===

impl Workload {
    /// Requests by any users, without end; each seed has others.
    pub fn requests(&self, seed: u64) -> impl Iterator<Item = Request> + '_ {
        let mut random = Random::new(seed ^ self.seed);
        std::iter::repeat_with(move || {
            let user = random.below(self.dimensions.users);
            let stranger = random.below(1_000) < STRANGERS;
            let request = self.request(user, &mut random);
            if stranger { Request { user: "nobody@example.com".to_owned(), ..request } } else { request }
        })
    }

    /// Requests by the user whose groups have the most bindings, of the first `among` users; without end.
    pub fn requests_of_worst(&self, seed: u64, among: usize) -> impl Iterator<Item = Request> + '_ {
        let bindings = |user: &usize| self.bindings_of_user(*user).len();
        let user = (0..among.clamp(1, self.dimensions.users)).max_by_key(bindings).unwrap_or_default();
        let mut random = Random::new(seed ^ self.seed);
        std::iter::repeat_with(move || self.request(user, &mut random))
    }

    /// A request by this user.
    fn request(&self, user: usize, random: &mut Random) -> Request {
        let grant = if random.percent(GRANTED) { self.grant(user, random) } else { None };
        match grant {
            Some(grant) => self.granted(user, &grant, random),
            None => ask(user, self.foreign(user, random), Some(random.word(&ENVIRONMENTS)), random),
        }
    }

    /// A permission that nothing bound to the user's groups is about, if that is found in a few tries.
    fn foreign(&self, user: usize, random: &mut Random) -> Permission {
        let bindings = self.bindings_of_user(user);
        let statements = bindings.into_iter().flat_map(|bound| self.statements(bound.policy as usize, 0));
        let known: Vec<_> = statements.flat_map(|statement| statement.permissions).collect();
        let mut permission = Permission::any(random);
        for _ in 0..TRIES {
            if !known.contains(&permission) {
                break;
            }
            permission = Permission::any(random);
        }
        permission
    }

    pub(super) fn bindings_of_user(&self, user: usize) -> Vec<Bound> {
        self.groups_of_user(user).into_iter().flat_map(|group| self.bindings_of(group)).copied().collect()
    }

    /// Any statement that grants something to the user's groups.
    fn grant(&self, user: usize, random: &mut Random) -> Option<Grant> {
        let bound = *random.pick(&self.bindings_of_user(user))?;
        let mut choices = self.binding_random(bound.policy as usize, usize::from(bound.place));
        let (environment, boundary) = (Self::binding_environment(&mut choices), self.binding_boundary(&mut choices));
        let mut statements = self.statements(bound.policy as usize, 0);
        statements.retain(|statement| statement.effect == Effect::Allow);
        let statement = random.pick(&statements)?.clone();
        Some(Grant { environment, boundary, statement })
    }

    fn granted(&self, user: usize, grant: &Grant, random: &mut Random) -> Request {
        let environment = match grant.environment {
            None if random.percent(ACCOUNT_LEVEL) => None,
            None => Some(random.word(&ENVIRONMENTS)),
            bound => bound,
        };
        let permission = random.pick(&grant.statement.permissions).copied();
        let permission = permission.unwrap_or_else(|| Permission::any(random));
        let mut request = ask(user, permission, environment, random);
        match random.below(100) {
            unsaid if unsaid < MISFIT => request.attributes.clear(),
            unfit if unfit < 2 * MISFIT => {}
            _ => self.fit(&mut request, grant, random),
        }
        request
    }

    /// Gives each attribute that the grant tests a value that it accepts.
    fn fit(&self, request: &mut Request, grant: &Grant, random: &mut Random) {
        let lines = grant.boundary.map(|number| self.conditions(number)).unwrap_or_default();
        // Lines of one name are alternatives, so whichever of them comes last will do.
        for test in grant.statement.conditions.iter().chain(&lines) {
            let fitting = test.fitting(random);
            if let Some((_, value)) = request.attributes.iter_mut().find(|(name, _)| *name == test.name) {
                *value = fitting;
            }
        }
    }
}

/// A request with any value for each condition that the permission takes.
fn ask(user: usize, permission: Permission, environment: Option<&str>, random: &mut Random) -> Request {
    Request {
        user: email(user),
        environment: environment.map(ToOwned::to_owned),
        permission: permission.to_string(),
        attributes: permission.conditions().map(|name| (name, value(random))).collect(),
    }
}
