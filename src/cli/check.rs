//! `doorward check`: ask a running sidecar.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::Context;

use super::client::{block_on, connect, explain};
use crate::proto::doorward as pb;
use crate::proto::doorward::authorization_service_client::AuthorizationServiceClient;

/// Ask a running sidecar whether a user may do something.
///
/// Exit code 0: allowed; 1: denied; 2: no decision.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Check listener: HOST:PORT or unix:PATH
    #[arg(long, default_value = "127.0.0.1:7070", value_name = "ADDRESS")]
    address: String,
    /// Account id; may be left out where there is only one
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    account: String,
    /// Id or e-mail of a user, or id, e-mail or name of a service user
    #[arg(long)]
    user: String,
    /// Environment; leave it out to ask about the account itself
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    environment: String,
    /// Permission, service:resource:action
    #[arg(long)]
    permission: String,
    /// Attribute, NAME=VALUE; may be repeated, also for one name
    #[arg(long = "attribute", short = 'a', value_parser = name_and_value, value_name = "NAME=VALUE")]
    attributes: Vec<(String, String)>,
    /// Name of an attribute known to be absent; may be repeated
    #[arg(long = "absent", value_name = "NAME")]
    absent: Vec<String>,
    /// Answer with the state of this revision or a later one, as in `revisionToken` of a write; waits for it
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TOKEN")]
    at_least_revision: String,
    /// Answer with a state that was the newest no longer ago than this; waits for one
    #[arg(long, value_parser = seconds, allow_negative_numbers = true, value_name = "SECONDS")]
    max_age: Option<prost_types::Duration>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A time in seconds, whole or not.
fn seconds(text: &str) -> Result<prost_types::Duration, String> {
    let time = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let time = time.and_then(|time| prost_types::Duration::try_from(time).ok());
    time.ok_or_else(|| "write a number of seconds that is not negative, such as 2.5".to_owned())
}

/// Runs the command; returns the exit code.
pub fn run(args: &CheckArgs, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    block_on(err, ask(args, out))
}

async fn ask(args: &CheckArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut client = AuthorizationServiceClient::new(connect(&args.address).await?);
    let answer = client.check(request(args)).await.map_err(|status| explain(&status))?.into_inner();
    let allowed = answer.decision() == pb::Decision::Allow;
    let text = if args.json { json(&answer)? } else { sentence(&answer) };
    writeln!(out, "{text}").context("standard output is closed")?;
    Ok(u8::from(!allowed))
}

fn request(args: &CheckArgs) -> pb::CheckRequest {
    let mut attributes: BTreeMap<String, pb::AttributeValues> = BTreeMap::new();
    for (name, value) in &args.attributes {
        attributes.entry(name.clone()).or_default().values.push(value.clone());
    }
    let level = if args.environment.is_empty() { "account" } else { "" }.to_owned();
    pb::CheckRequest {
        account: args.account.clone(),
        user: args.user.clone(),
        environment: args.environment.clone(),
        level,
        permission: args.permission.clone(),
        attributes,
        absent: args.absent.clone(),
        at_least_revision: args.at_least_revision.clone(),
        max_age: args.max_age,
    }
}

fn json(answer: &pb::CheckResponse) -> anyhow::Result<String> {
    super::admin::to_json("doorward.v1.CheckResponse", answer)
}

fn sentence(answer: &pb::CheckResponse) -> String {
    let reason = answer.reason.clone().unwrap_or_default();
    decided(answer.decision(), &reason, answer.revision)
}

/// A decision and its reason in a sentence.
pub(super) fn decided(decision: pb::Decision, reason: &pb::Reason, revision: u64) -> String {
    let decision = if decision == pb::Decision::Allow { "ALLOW" } else { "DENY" };
    let code = reason.code().as_str_name().trim_start_matches("REASON_CODE_").to_lowercase();
    let by = match (&reason.policy, reason.statement, &reason.binding) {
        (Some(policy), Some(statement), Some(binding)) => {
            let environment =
                if binding.environment.is_empty() { String::new() } else { format!(" {}", binding.environment) };
            format!(
                ": statement {statement} of policy `{}`, bound to group `{}` at level {}{environment}",
                policy.name, binding.group_name, binding.level
            )
        }
        _ => String::new(),
    };
    format!("{decision} ({code}){by}; revision {revision}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_of_seconds_that_is_not_negative() {
        let age = |seconds, nanos| Ok(prost_types::Duration { seconds, nanos });
        assert_eq!(seconds("0"), age(0, 0));
        assert_eq!(seconds("60"), age(60, 0));
        assert_eq!(seconds("2.5"), age(2, 500_000_000));
        for text in ["", "x", "-1", "NaN", "inf", "1e400", "1e300"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
