//! Changes that turn the answer of a Check, timed from the call to the answer.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use doorward::model::id::UserId;
use doorward::proto::doorward as pb;
use doorward::proto::doorward::authorization_service_client::AuthorizationServiceClient;
use doorward::proto::doorward::binding_service_client::BindingServiceClient;
use doorward::proto::doorward::group_service_client::GroupServiceClient;
use doorward::proto::doorward::policy_service_client::PolicyServiceClient;
use doorward::proto::doorward::user_service_client::UserServiceClient;
use tonic::transport::Channel;

use crate::support::figures::Times;
use crate::support::server::Caller;

const PERMISSION: &str = "settings:schemas:read";
const ALLOWING: &str = "ALLOW settings:schemas:read;";
const DENYING: &str = "DENY settings:schemas:read;";
/// Changes of each kind before any is timed.
const WARM: usize = 12;
/// Bytes of a write of the anchor.
const PAGE: usize = 4_096;

/// How long changes took until they were seen in Checks.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// A user into a group and out of it.
    pub(crate) membership: Times,
    /// A binding made and taken away.
    pub(crate) binding: Times,
    /// A policy with another text.
    pub(crate) policy: Times,
    /// All of them.
    pub(crate) all: Times,
    /// Of those, until the control plane had answered.
    pub(crate) answered: Times,
    /// A page written and flushed in the same folder.
    pub(crate) flush: Times,
}

/// A user of the account who may do something while all of a group, a binding and a policy are as they should be.
pub(crate) struct Probe {
    account: String,
    root: Caller,
    checks: Caller,
    user: pb::User,
    group: String,
    policy: pb::Policy,
    binding: pb::Binding,
    /// The last write, and whether the user may after it.
    last: (String, bool),
}

/// What a change is made to.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Membership,
    Binding,
    Policy,
}

// === impl Probe ===

impl Probe {
    /// Makes the user, the group, the policy and the binding.
    pub(crate) async fn prepare(account: String, root: Caller, checks: Caller) -> anyhow::Result<Self> {
        // The account may have those of an earlier run.
        let name = format!("probe-{}", UserId::random());
        let group = create_group(&account, &root, &name).await?;
        let policy = create_policy(&account, &root, &name).await?;
        let user = create_user(&account, &root, &group, &name).await?;
        let binding = pb::Binding { policy_id: policy.id.clone(), group_id: group.clone(), ..pb::Binding::default() };
        let last = (String::new(), false);
        let mut this = Self { account, root, checks, user, group, policy, binding, last };
        let token = this.set_binding(true).await?;
        this.expect(token, true).await?;
        Ok(this)
    }

    /// Makes so many changes; the folder is where the store is.
    pub(crate) async fn measure(&mut self, changes: usize, folder: &Path) -> anyhow::Result<Seen> {
        let page = File::create(folder.join("page"))?;
        page.write_all_at(&[0; PAGE], 0)?;
        page.sync_all()?;
        let mut seen = Seen::default();
        // Each change is taken back, so there are two of each.
        for number in 0..(WARM + changes).next_multiple_of(2) {
            let kind = match number / 2 % 3 {
                0 => Kind::Membership,
                1 => Kind::Binding,
                _ => Kind::Policy,
            };
            let allowed = number % 2 == 1;
            let begun = Instant::now();
            let token = self.set(kind, allowed).await?;
            let answered = begun.elapsed();
            self.expect(token, allowed).await.with_context(|| format!("change {number}, {kind:?}"))?;
            let took = begun.elapsed();
            let begun = Instant::now();
            page.write_all_at(&[number as u8; PAGE], 0)?;
            page.sync_data()?;
            if number >= WARM {
                seen.flush.push(begun.elapsed());
                seen.answered.push(answered);
                seen.all.push(took);
                seen.of(kind).push(took);
            }
        }
        Ok(seen)
    }

    /// Asks another sidecar what the last change came to.
    pub(crate) async fn ask_at(&mut self, checks: Caller) -> anyhow::Result<()> {
        self.checks = checks;
        let (token, allowed) = self.last.clone();
        self.expect(token, allowed).await
    }

    async fn set(&mut self, kind: Kind, allowed: bool) -> anyhow::Result<String> {
        match kind {
            Kind::Membership => self.set_membership(allowed).await,
            Kind::Binding => self.set_binding(allowed).await,
            Kind::Policy => self.set_policy(allowed).await,
        }
    }

    async fn set_membership(&mut self, is_member: bool) -> anyhow::Result<String> {
        self.user.group_ids = is_member.then(|| self.group.clone()).into_iter().collect();
        let (account, user) = (self.account.clone(), Some(self.user.clone()));
        let update = pb::UpdateUserRequest { account, user, ..pb::UpdateUserRequest::default() };
        let answer = UserServiceClient::new(self.channel()).update_user(self.root.request(update)?).await?;
        Ok(answer.into_inner().revision_token)
    }

    async fn set_binding(&mut self, is_bound: bool) -> anyhow::Result<String> {
        let mut bindings = BindingServiceClient::new(self.channel());
        let account = self.account.clone();
        if !is_bound {
            let key = self.binding.key.clone();
            let delete = pb::DeleteBindingRequest { account, key, ..pb::DeleteBindingRequest::default() };
            return Ok(bindings.delete_binding(self.root.request(delete)?).await?.into_inner().revision_token);
        }
        let binding = Some(pb::Binding { key: String::new(), ..self.binding.clone() });
        let create = pb::CreateBindingRequest { account, binding, ..pb::CreateBindingRequest::default() };
        let answer = bindings.create_binding(self.root.request(create)?).await?.into_inner();
        self.binding = answer.binding.context("no binding")?;
        Ok(answer.revision_token)
    }

    async fn set_policy(&mut self, allows: bool) -> anyhow::Result<String> {
        (if allows { ALLOWING } else { DENYING }).clone_into(&mut self.policy.statements);
        let (account, policy) = (self.account.clone(), Some(self.policy.clone()));
        let update = pb::UpdatePolicyRequest { account, policy, ..pb::UpdatePolicyRequest::default() };
        let answer = PolicyServiceClient::new(self.channel()).update_policy(self.root.request(update)?).await?;
        Ok(answer.into_inner().revision_token)
    }

    /// The Check waits for the write, and answers by it.
    async fn expect(&mut self, token: String, allowed: bool) -> anyhow::Result<()> {
        let question = pb::CheckRequest {
            account: self.account.clone(),
            user: self.user.email.clone(),
            level: "account".to_owned(),
            permission: PERMISSION.to_owned(),
            at_least_revision: token.clone(),
            ..pb::CheckRequest::default()
        };
        let mut checks = AuthorizationServiceClient::new(self.checks.channel.clone());
        let answer = checks.check(self.checks.request(question)?).await?.into_inner();
        match answer.decision() {
            pb::Decision::Allow => ensure!(allowed, "allowed: {:?}", answer.reason),
            pb::Decision::Deny => ensure!(!allowed, "denied: {:?}", answer.reason),
            pb::Decision::Unspecified => bail!("there is no decision"),
        }
        self.last = (token, allowed);
        Ok(())
    }

    fn channel(&self) -> Channel {
        self.root.channel.clone()
    }
}

async fn create_group(account: &str, root: &Caller, name: &str) -> anyhow::Result<String> {
    let group = Some(pb::Group { name: name.to_owned(), ..pb::Group::default() });
    let create = pb::CreateGroupRequest { account: account.to_owned(), group, ..pb::CreateGroupRequest::default() };
    let answer = GroupServiceClient::new(root.channel.clone()).create_group(root.request(create)?).await?;
    Ok(answer.into_inner().group.context("no group")?.id)
}

async fn create_policy(account: &str, root: &Caller, name: &str) -> anyhow::Result<pb::Policy> {
    let (name, statements) = (name.to_owned(), ALLOWING.to_owned());
    let policy = Some(pb::Policy { name, statements, ..pb::Policy::default() });
    let create = pb::CreatePolicyRequest { account: account.to_owned(), policy, ..pb::CreatePolicyRequest::default() };
    let answer = PolicyServiceClient::new(root.channel.clone()).create_policy(root.request(create)?).await?;
    answer.into_inner().policy.context("no policy")
}

async fn create_user(account: &str, root: &Caller, group: &str, name: &str) -> anyhow::Result<pb::User> {
    let (email, group_ids) = (format!("{name}@example.com"), vec![group.to_owned()]);
    let user = Some(pb::User { email, group_ids, ..pb::User::default() });
    let create = pb::CreateUserRequest { account: account.to_owned(), user, ..pb::CreateUserRequest::default() };
    let answer = UserServiceClient::new(root.channel.clone()).create_user(root.request(create)?).await?;
    answer.into_inner().user.context("no user")
}

// === impl Seen ===

impl Seen {
    const fn of(&mut self, kind: Kind) -> &mut Times {
        match kind {
            Kind::Membership => &mut self.membership,
            Kind::Binding => &mut self.binding,
            Kind::Policy => &mut self.policy,
        }
    }
}
