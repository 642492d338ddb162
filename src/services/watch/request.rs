//! What a watcher asks for, judged field by field.

use std::collections::BTreeMap;

use tonic::Status;

use crate::model::digest::Digest;
use crate::model::id::AccountId;
use crate::model::revision::RevisionToken;
use crate::model::scope::{Environments, Scope};
use crate::model::text::Name;
use crate::proto::doorward as pb;
use crate::services::status::invalid_argument;

/// Accounts of a scope.
const ACCOUNTS: usize = 1_000;
/// Environments of an account in a scope.
const ENVIRONMENTS: usize = 1_000;
/// Characters of an instance.
const INSTANCE_CHARACTERS: usize = 64;

/// What a watcher asks for.
#[derive(Debug)]
pub(super) struct Subscription {
    /// What it calls itself; may be empty.
    pub(super) client: String,
    /// The id of its process; empty for one that does not report.
    pub(super) instance: String,
    /// What it has.
    pub(super) after: Option<RevisionToken>,
    /// The digest of that.
    pub(super) digest: Option<Digest>,
    /// What it wants to see.
    pub(super) scope: Scope,
}

type Problems = Vec<(String, String)>;

// === impl Subscription ===

impl Subscription {
    /// Reads a request; all fields that are wrong are reported together.
    pub(super) fn read(request: pb::WatchRequest) -> Result<Self, Status> {
        let pb::WatchRequest { client, after, digest, accounts, instance } = request;
        let mut problems = Problems::new();
        if let Some(Err(problem)) = (!client.is_empty()).then(|| client.parse::<Name>()) {
            problems.push(("client".to_owned(), problem.to_string()));
        }
        if let Err(problem) = check_instance(&instance, true) {
            problems.push(("instance".to_owned(), problem));
        }
        let after = given(after.is_empty(), || after.parse::<RevisionToken>(), "after", &mut problems);
        let digest = given(digest.is_empty(), || Digest::try_from(digest.as_slice()), "digest", &mut problems);
        let scope = scope(&accounts, &mut problems);
        if problems.is_empty() {
            return Ok(Self { client, instance, after, digest, scope });
        }
        let message = problems.iter().map(|(field, problem)| format!("`{field}` {problem}")).collect::<Vec<_>>();
        Err(invalid_argument(message.join("; "), problems))
    }
}

/// The value of a field that may be left out.
fn given<T, E: std::fmt::Display>(
    is_left_out: bool,
    read: impl FnOnce() -> Result<T, E>,
    field: &str,
    problems: &mut Problems,
) -> Option<T> {
    if is_left_out {
        return None;
    }
    read().inspect_err(|problem| problems.push((field.to_owned(), problem.to_string()))).ok()
}

/// Refuses what is no id of a process.
pub(super) fn check_instance(instance: &str, may_be_empty: bool) -> Result<(), String> {
    let is_legal = |char: char| char.is_ascii_alphanumeric() || char == '-';
    let fits = instance.len() <= INSTANCE_CHARACTERS && instance.chars().all(is_legal);
    if fits && (may_be_empty || !instance.is_empty()) {
        return Ok(());
    }
    Err(format!("must be 1 to {INSTANCE_CHARACTERS} of the characters A-Z, a-z, 0-9 and `-`"))
}

fn scope(accounts: &[pb::AccountScope], problems: &mut Problems) -> Scope {
    if accounts.is_empty() {
        return Scope::everything();
    }
    if accounts.len() > ACCOUNTS {
        problems.push(("accounts".to_owned(), format!("holds {}, the limit is {ACCOUNTS}", accounts.len())));
        return Scope::everything();
    }
    let mut scope = BTreeMap::new();
    for (index, account) in accounts.iter().enumerate() {
        let field = format!("accounts[{index}]");
        let id = given(false, || account.account.parse::<AccountId>(), &format!("{field}.account"), problems);
        let environments = environments(&account.environments, &field, problems);
        if let Some(id) = id
            && scope.insert(id, environments).is_some()
        {
            problems.push((format!("{field}.account"), "is named twice".to_owned()));
        }
    }
    Scope::of(scope)
}

fn environments(ids: &[String], account: &str, problems: &mut Problems) -> Environments {
    let field = format!("{account}.environments");
    if ids.is_empty() {
        return Environments::All;
    }
    if ids.len() > ENVIRONMENTS {
        problems.push((field, format!("holds {}, the limit is {ENVIRONMENTS}", ids.len())));
        return Environments::All;
    }
    let read = |(index, id): (usize, &String)| given(false, || id.parse(), &format!("{field}[{index}]"), problems);
    Environments::Only(ids.iter().enumerate().filter_map(read).collect())
}
