//! `doorward explain`: a decision with every statement that was looked at.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tonic::Request;

use super::check::{decided, name_and_value};
use super::client::{self, bearer, block_on, connect_trusted};
use super::eval::load;
use crate::compile::describe::DescribedCondition;
use crate::eval;
use crate::lang::literal::request_time;
use crate::model::attribute::{Supplied, Values};
use crate::model::catalogue::Operator;
use crate::model::decision::{CheckRequest, RequestParts, Unanswerable};
use crate::model::moment::{Moment, SECOND};
use crate::proto::doorward as pb;
use crate::proto::doorward::decision_admin_service_client::DecisionAdminServiceClient;
use crate::services::explanation::explained;

/// Tell why a user may or may not do something: every statement that was looked at, and what came of it.
///
/// From a state file, or from a running control plane with the root credential. Exit code 0: ALLOW; 1: DENY; 2: no answer.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("target").required(true).args(["environment", "level"]))]
#[command(group = clap::ArgGroup::new("source").required(true).args(["state", "address"]))]
pub struct ExplainArgs {
    /// User or service user: an id, an e-mail, or the name of a service user
    #[arg(long)]
    user: String,
    /// Permission, `service:resource:action`
    #[arg(long)]
    permission: String,
    /// Id of the environment
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    environment: String,
    /// `account` asks about the account itself
    #[arg(long, default_value = "", hide_default_value = true, value_name = "LEVEL")]
    level: String,
    /// What is known of an attribute; again for another value
    #[arg(long = "attribute", visible_alias = "attr", value_name = "NAME=VALUE", value_parser = name_and_value)]
    attributes: Vec<(String, String)>,
    /// Name of an attribute that is known to be absent
    #[arg(long, value_name = "NAME")]
    absent: Vec<String>,
    /// Time to decide for, RFC 3339; now if left out
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    /// State file to read, YAML or JSON
    #[arg(long, value_name = "FILE", conflicts_with_all = ["address", "token_file", "account"])]
    state: Option<PathBuf>,
    /// Administrative listener to ask, HOST:PORT
    #[arg(long, value_name = "ADDRESS", requires = "token_file", requires = "account")]
    address: Option<String>,
    /// File with the root credential
    #[arg(long, env = "DOORWARD_ROOT_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Id of the account
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command; returns the exit code. `now` is the time where none is given.
pub fn run(args: &ExplainArgs, now: jiff::Timestamp, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let offline = args.state.as_deref().map(|state| offline(args, state, now, err));
    block_on(err, async {
        let answer = match offline {
            Some(answer) => answer?,
            None => ask(args).await?,
        };
        let text =
            if args.json { super::admin::to_json("doorward.v1.ExplainResponse", &answer)? } else { text(&answer) };
        writeln!(out, "{text}").context("standard output is closed")?;
        Ok(u8::from(answer.decision() != pb::Decision::Allow))
    })
}

fn offline(
    args: &ExplainArgs,
    path: &Path,
    now: jiff::Timestamp,
    err: &mut dyn Write,
) -> anyhow::Result<pb::ExplainResponse> {
    let (account, snapshot) = match load(path, now, err) {
        Ok(loaded) => loaded,
        Err(problems) => bail!("{}:\n{}", path.display(), problems.join("\n")),
    };
    let attributes = attributes(args);
    let supplied = attributes.iter().map(|(name, list)| (name.as_str(), Values::Many(&list.values)));
    let supplied = Supplied::new(supplied, args.absent.iter().map(String::as_str));
    let ExplainArgs { user, environment, level, permission, .. } = args;
    let at = moment(args)?.unwrap_or_else(|| now.into());
    let request = CheckRequest::new(RequestParts { user, environment, level, permission }, supplied.attributes()?, at)?;
    let program = snapshot.account(account).ok_or_else(|| Unanswerable::UnknownAccount(account.to_string()))?;
    Ok(explained(&eval::explain(program, &request)?, snapshot.token()))
}

async fn ask(args: &ExplainArgs) -> anyhow::Result<pb::ExplainResponse> {
    let (Some(address), Some(token_file), Some(account)) = (&args.address, &args.token_file, &args.account) else {
        bail!("give `--state`, or `--address` with `--token-file` and `--account`");
    };
    let time = moment(args)?.map(|at| prost_types::Timestamp {
        seconds: i64::try_from(at.nanoseconds().div_euclid(SECOND)).unwrap_or(i64::MAX),
        nanos: at.nanoseconds().rem_euclid(SECOND) as i32,
    });
    let mut request = Request::new(pb::ExplainRequest {
        account: account.clone(),
        user: args.user.clone(),
        environment: args.environment.clone(),
        level: args.level.clone(),
        permission: args.permission.clone(),
        attributes: attributes(args),
        absent: args.absent.clone(),
        time,
    });
    request.metadata_mut().insert("authorization", bearer(token_file)?);
    let mut service = DecisionAdminServiceClient::new(connect_trusted(address).await?);
    Ok(service.explain(request).await.map_err(|status| client::explain(&status))?.into_inner())
}

fn attributes(args: &ExplainArgs) -> BTreeMap<String, pb::AttributeValues> {
    let mut attributes: BTreeMap<String, pb::AttributeValues> = BTreeMap::new();
    for (name, value) in &args.attributes {
        attributes.entry(name.clone()).or_default().values.push(value.clone());
    }
    attributes
}

fn moment(args: &ExplainArgs) -> anyhow::Result<Option<Moment>> {
    args.time.as_deref().map(|time| request_time(time).context("`--time` cannot be used")).transpose()
}

/// The answer for people: the decision, then each statement with its conditions below it.
fn text(answer: &pb::ExplainResponse) -> String {
    let reason = answer.reason.clone().unwrap_or_default();
    let mut text = decided(answer.decision(), &reason, answer.revision);
    if answer.statements.is_empty() {
        let _ = write!(text, "\n{}", why_none(reason.code()));
    }
    for it in &answer.statements {
        let _ = write!(text, "\n\n{}", statement(it));
        for condition in &it.conditions {
            let _ = write!(text, "\n    {}", explained_condition(condition));
        }
        for boundary in &it.removed_by {
            let _ = write!(text, "\n    {}", removed_by(boundary));
        }
    }
    if answer.truncated {
        text.push_str("\n\nthere is more; it was left out");
    }
    text
}

/// Why there is no statement to tell.
const fn why_none(code: pb::ReasonCode) -> &'static str {
    match code {
        pb::ReasonCode::UnknownSubject => "the account has no such user",
        pb::ReasonCode::InactiveSubject => "the user is not active; statements were not looked at",
        _ => "no statement about the permission is bound to a group of the user",
    }
}

fn statement(it: &pb::ExplainedStatement) -> String {
    let standing = match it.standing() {
        pb::Standing::Decided => "decided",
        pb::Standing::Counted => "counts",
        pb::Standing::Overruled => "holds, but is overruled by a DENY",
        pb::Standing::Unsettled => "could not be settled",
        pb::Standing::NotHeld => "does not hold",
        pb::Standing::Elsewhere => "is bound in another environment",
        pb::Standing::Removed => "nothing is left of it",
        pb::Standing::Unspecified => "unknown",
    };
    let effect = if it.effect() == pb::StatementEffect::Allow { "ALLOW" } else { "DENY" };
    let (policy, binding) = (it.policy.clone().unwrap_or_default(), it.binding.clone().unwrap_or_default());
    let environment = if binding.environment.is_empty() { String::new() } else { format!(" {}", binding.environment) };
    let boundary = it.boundary.as_ref().map(|it| format!(", boundary `{}`", it.name)).unwrap_or_default();
    format!(
        "{effect} {}: {standing}\n  statement {} of policy `{}`, bound to group `{}` at level {}{environment}{boundary}",
        it.permission, it.statement, policy.name, binding.group_name, binding.level
    )
}

fn removed_by(it: &pb::RemovedBy) -> String {
    let why = match it.removal() {
        pb::Removal::AddsNothing => "adds no condition, and the account has strict boundaries",
        pb::Removal::NotTaken => "has conditions that the permission does not take",
        pb::Removal::Unspecified => "leaves nothing of it",
    };
    format!("boundary `{}` {why}", it.boundary.clone().unwrap_or_default().name)
}

fn explained_condition(it: &pb::ExplainedCondition) -> String {
    let truth = match it.truth() {
        pb::Truth::True => "holds",
        pb::Truth::False => "fails",
        pb::Truth::Unknown | pb::Truth::Unspecified => "unknown",
    };
    let values: Vec<_> = it.values.iter().map(|value| format!("{value:?}")).collect();
    let more = if it.values_left_out == 0 { String::new() } else { format!(" and {} more", it.values_left_out) };
    let said = match it.said() {
        pb::Said::Values => format!("is {}{more}", values.join(", ")),
        pb::Said::Absent => "is absent".to_owned(),
        pb::Said::Nothing | pb::Said::Unspecified => "was not told".to_owned(),
    };
    let alternatives: Vec<_> = it.alternatives.iter().map(condition).collect();
    format!("{truth:7} {}  ({said})", alternatives.join(" or "))
}

fn condition(it: &pb::Condition) -> String {
    match Operator::from_token(&it.operator) {
        Some(operator) if !it.retired => {
            let (name, values) = (it.name.clone(), it.values.clone());
            DescribedCondition { name, operator, values, any_match: it.any_match }.to_string()
        }
        _ => "a condition that the permission no longer takes".to_owned(),
    }
}

#[cfg(test)]
mod tests;
