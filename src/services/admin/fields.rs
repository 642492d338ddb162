//! Fields of a message: each is read, and all that are wrong are reported together.

use std::str::FromStr;

use tonic::Status;

use crate::model::id::AccountId;
use crate::model::identity::UserState;
use crate::model::level::{BindingLevel, Level};
use crate::model::revision::Revision;
use crate::proto::doorward as pb;
use crate::services::status::invalid_argument;

/// The fields that were wrong so far.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

// === impl Fields ===

impl Fields {
    /// Notes that `field` cannot be used.
    pub(super) fn refuse(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.0.push((field.into(), problem.into()));
    }

    /// Reads an id or a key.
    pub(super) fn read<T: FromStr>(&mut self, field: impl Into<String>, text: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        let field = field.into();
        if text.is_empty() {
            self.refuse(field, "is missing");
            return None;
        }
        match text.parse() {
            Ok(value) => Some(value),
            Err(problem) => {
                self.refuse(field, problem.to_string());
                None
            }
        }
    }

    /// Reads an id that the caller may leave to Doorward.
    pub(super) fn read_or<T: FromStr>(&mut self, field: &str, text: &str, make: fn() -> T) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        if text.is_empty() { Some(make()) } else { self.read(field, text) }
    }

    /// Reads every id of a list.
    pub(super) fn read_all<T: FromStr>(&mut self, field: &str, texts: &[String]) -> Option<Vec<T>>
    where
        T::Err: std::fmt::Display,
    {
        let read: Vec<_> =
            texts.iter().enumerate().map(|(index, text)| self.read(format!("{field}[{index}]"), text)).collect();
        read.into_iter().collect()
    }

    /// Reads the level of a policy: an environment, or the account where it is left out. The level may be said as well.
    pub(super) fn policy_level(&mut self, environment: &str, level: &str) -> Option<Level> {
        let place = match (environment, level) {
            ("", "global") => Level::Global,
            ("", _) => Level::Account,
            (id, _) => self.read("policy.environment", id).map(Level::Environment)?,
        };
        if !level.is_empty() && level != place.name() {
            self.refuse("policy.level", format!("must be empty or `{}`, as `environment` says", place.name()));
            return None;
        }
        Some(place)
    }

    /// Reads the level of a binding in the same way.
    pub(super) fn binding_level(&mut self, field: &str, environment: &str) -> Option<BindingLevel> {
        if environment.is_empty() {
            return Some(BindingLevel::Account);
        }
        self.read(field, environment).map(BindingLevel::Environment)
    }

    /// Reads a state; what is left out is active.
    pub(super) fn user_state(&mut self, field: &str, number: i32) -> Option<UserState> {
        match pb::UserState::try_from(number) {
            Ok(pb::UserState::Unspecified | pb::UserState::Active) => Some(UserState::Active),
            Ok(pb::UserState::Pending) => Some(UserState::Pending),
            Ok(pb::UserState::Inactive) => Some(UserState::Inactive),
            Ok(pb::UserState::Deleted) => Some(UserState::Deleted),
            Err(_) => {
                self.refuse(field, format!("has no value {number}"));
                None
            }
        }
    }

    /// The message inside the request.
    pub(super) fn required<T>(&mut self, field: &str, message: Option<T>) -> Result<T, Status> {
        if message.is_none() {
            self.refuse(field, "is missing");
        }
        message.ok_or_else(|| self.status())
    }

    /// An error if any field was wrong.
    pub(super) fn done(&self) -> Result<(), Status> {
        if self.0.is_empty() { Ok(()) } else { Err(self.status()) }
    }

    /// What was read, or an error with all fields that were wrong.
    pub(super) fn all<T>(&self, read: Option<T>) -> Result<T, Status> {
        read.filter(|_| self.0.is_empty()).ok_or_else(|| self.status())
    }

    /// An error with all fields that were wrong.
    pub(super) fn status(&self) -> Status {
        let listed: Vec<_> = self.0.iter().map(|(field, problem)| format!("`{field}` {problem}")).collect();
        invalid_argument(listed.join("; "), self.0.clone())
    }
}

/// The revision a caller saw; 0 is whatever is there.
pub(super) fn expected(number: u64) -> Option<Revision> {
    (number != 0).then(|| Revision::new(number))
}

/// Reads what one resource is found by.
pub(super) fn read_key<I: FromStr>(account: &str, (field, id): (&str, &str)) -> Result<(AccountId, I), Status>
where
    I::Err: std::fmt::Display,
{
    let mut fields = Fields::default();
    let (account, id) = (fields.read("account", account), fields.read(field, id));
    fields.all(account.zip(id))
}
