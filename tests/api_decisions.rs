//! The other questions about decisions, as callers see them: those of the check listener and those of administrators.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code: what goes wrong here fails the test, with its reason"
)]

#[path = "api_decisions/admin.rs"]
mod admin;
#[path = "api_decisions/callers.rs"]
mod callers;
#[path = "support/control_plane.rs"]
mod control_plane;

use std::collections::BTreeMap;

use doorward::model::state::State;
use doorward::proto::doorward as pb;
use doorward::statefile;
use doorward::statefile::node::Format;

const ACCOUNT: &str = "1c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a11";
const CREW: &str = "3c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a33";
const SCHEMA: &str = "settings:schemaId";
const ADA: &str = "ada@example.com";

/// One crew, a statement of each kind, and a role.
const STATE: &str = r#"
account: {id: 1c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a11, name: Example}
environments:
  - {id: prod, name: Production}
  - {id: test, name: Test}
groups:
  - {id: 3c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a33, name: Crew}
users:
  - {id: 00000000-0000-4000-8000-000000000001, email: ada@example.com, groups: [Crew]}
  - {id: 00000000-0000-4000-8000-000000000002, email: ben@example.com, state: inactive, groups: [Crew]}
  - {id: 00000000-0000-4000-8000-000000000003, email: cleo@example.com, groups: [Crew]}
  - {id: 00000000-0000-4000-8000-000000000004, email: dan@example.com}
serviceUsers:
  - {id: 00000000-0000-4000-8000-000000000005, name: robot, email: robot@example.com, groups: [Crew]}
policies:
  - id: 4c0e1d0a-5d0f-4a57-9d5c-0d5f1f6f3a44
    name: Crew policy
    level: account
    statements: |
      ALLOW settings:schemas:read;
      ALLOW settings:objects:read WHERE settings:schemaId IN ("b", "a");
      DENY settings:objects:write WHERE settings:schemaId startsWith "vault:";
      ALLOW settings:objects:write;
      ALLOW environment:roles:manage-settings WHERE environment:management-zone = "Z";
      ALLOW storage:logs:read WHERE storage:bucket-name MATCH ("${bindParam:bucket}-*");
      ALLOW automation:calendars:read WHERE global:time-of-day > "08:00Z" AND global:time-of-day < "18:00Z";
  - name: Local policy
    level: environment
    environment: test
    statements: ALLOW automation:rules:read;
bindings:
  - {policy: Crew policy, group: Crew, level: account, parameters: {bucket: "a*"}}
  - {policy: Local policy, group: Crew, level: environment, environment: test}
"#;

fn state(text: &str) -> State {
    let loaded = statefile::load(text, Format::Yaml, jiff::Timestamp::UNIX_EPOCH);
    loaded.unwrap_or_else(|problems| panic!("{problems:?}")).state
}

fn values(values: &[&str]) -> pb::AttributeValues {
    pb::AttributeValues { values: values.iter().map(ToString::to_string).collect() }
}

fn attributes(name: &str, told: &[&str]) -> BTreeMap<String, pb::AttributeValues> {
    BTreeMap::from([(name.to_owned(), values(told))])
}
