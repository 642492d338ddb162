//! The default policies and groups (reference ch. 6.1, 6.2): what each grants, as facts written down a second time.

#![expect(clippy::unwrap_used, reason = "a test ends where its data cannot be read")]

use std::collections::{BTreeMap, BTreeSet};

use doorward::compile::check::policy as check_policy;
use doorward::lang::parse_policy;
use doorward::model::catalogue::Catalogue;
use doorward::model::defaults::Defaults;
use doorward::model::id::PolicyId;
use doorward::model::level::Level;
use doorward::model::policy::{Effect, Policy};
use sha2::{Digest as _, Sha256};

/// What the set of version 1 is, byte for byte. Another set needs another version, so that stores take it.
const VERSION: u32 = 1;
const DIGEST: &str = "ec90df456686471f";

/// The policies by name, each with what it grants: a service's permissions on a line, `resource:action` with blanks
/// between, `|` between the actions of a resource, a condition behind `?`.
const FACTS: &str = r#"
Standard User
  state app-states:read|write|delete user-app-states:read|write|delete
  state-management user-app-states:delete|delete-all
  document documents:read|write|delete direct-shares:read|write|delete environment-shares:read|write|claim|delete trash.documents:read|restore|delete
  unified-analysis screen-definition:read
  dev-obs breakpoints:set
  storage bucket-definitions:read fieldset-definitions:read filter-segments:read|write|delete
  openpipeline configurations:read
  hub catalog:read
  app-engine apps:run functions:run edge-connects:read
  email emails:send
  notification notifications:read|write self-notifications:read|write
  automation workflows:read|run calendars:read rules:read
  automation workflows:write ? automation:workflow-type = "SIMPLE"
  davis analyzers:read|execute
  davis-copilot conversations:execute document-search:execute nl2dql:execute dql2nl:execute
  settings objects:read schemas:read
  app-settings objects:read
  environment roles:viewer|view-security-problems
  geolocation locations:lookup
  vulnerability-service vulnerabilities:read
  security-intelligence enrichments:run
  slo slos:read objective-templates:read
  insights moments:read opportunities:read
  extensions definitions:read
  business-analytics business-flows:read
Pro User
  + Standard User
  iam service-users:use
Admin User
  + Pro User
  state-management app-states:delete
  document documents:admin
  dev-obs breakpoints:manage
  storage fieldset-definitions:write filter-segments:share|admin
  openpipeline configurations:write
  app-engine edge-connects:write|delete apps:install|delete
  automation workflows:write|admin calendars:write rules:write
  oauth2 clients:manage
  settings objects:write|admin
  app-settings objects:write|admin
  deployment activegates.groups:write activegates.network-zones:write oneagents.communication-settings:write
  deployment oneagents.host-groups:write oneagents.host-properties:write oneagents.host-tags:write oneagents.network-zones:write
  hyperscaler-authentication aws:authenticate
  environment roles:agent-install|configure-request-capture-data|logviewer|manage-security-problems|manage-settings
  environment roles:replay-sessions-with-masking|replay-sessions-without-masking|view-sensitive-request-data
Data Processing and Storage
  openpipeline configurations:read|write
  storage bucket-definitions:read|write|delete|truncate
All Grail data read access
  storage buckets:read system:read events:read security.events:read logs:read metrics:read entities:read bizevents:read
  storage spans:read smartscape:read
Read Entities
  storage entities:read
Read Events
  storage buckets:read ? storage:table-name = "events"
  storage events:read
Read Metrics
  storage buckets:read ? storage:table-name = "metrics"
  storage metrics:read
Read Logs
  storage buckets:read ? storage:table-name = "logs"
  storage logs:read
Read Spans
  storage buckets:read ? storage:table-name = "spans"
  storage spans:read
Read User Sessions
  storage buckets:read ? storage:table-name = "user.sessions"
  storage user.sessions:read
Read Security Events
  storage buckets:read ? storage:table-name = "security.events"
  storage security.events:read
Read System Events
  storage buckets:read ? storage:table-name = "dt.system.events"
  storage system:read
Read BizEvents
  storage buckets:read ? storage:table-name = "bizevents"
  storage bizevents:read
Read Sensitive Data
  storage fieldsets:read
  environment roles:view-sensitive-request-data
Account Admin
  iam users:read groups:read service-users:create policies:read|write bindings:read|write boundaries:read|write
  iam effective-permissions:read limits:read
  oauth2 clients:manage
  platform-token tokens:manage
  platform-management environments:read
Account Viewer
  platform-management environments:read
AppEngine - Admin
  app-engine apps:run|install|delete functions:run edge-connects:read|write|delete
  oauth2 clients:manage ? oauth2:scopes = "app-engine:edge-connects:connect"
  settings schemas:read objects:read|write ? settings:schemaId startsWith "app:"
AppEngine - Developer
  app-engine apps:run|install functions:run
AppEngine - User
  app-engine apps:run functions:run
AutomationEngine Access
  automation workflows:read|write|run calendars:read rules:read
Extensions - User access
  extensions definitions:read configurations:read
Hub Catalog Read
  hub catalog:read
Settings Reader
  settings schemas:read objects:read
Settings Writer
  settings schemas:read objects:read|write
Storage All Grail Data Read
  + All Grail data read access
Storage All System Data Read
  storage buckets:read ? storage:bucket-name MATCH ("dt_*")
  storage system:read
Storage Default Monitoring Read
  storage buckets:read ? storage:bucket-name MATCH ("default_*")
  storage events:read logs:read metrics:read entities:read bizevents:read spans:read smartscape:read
"#;

const GROUPS: [(&str, &[&str]); 5] = [
    ("Environment Users", &["Standard User", "Entities", "Events", "Metrics", "Logs", "Spans", "User Sessions"]),
    ("Environment Professionals", &["Pro User", "Entities", "Events", "Metrics", "Logs", "Spans", "User Sessions"]),
    ("Environment Admins", &["Admin User", "Data Processing and Storage", "All Grail data read access"]),
    ("Account Admins", &["Account Admin"]),
    ("Account Viewers", &["Account Viewer"]),
];

/// Permissions with their condition as text; empty for none.
type Grants = BTreeMap<String, String>;

fn facts() -> BTreeMap<String, Grants> {
    let mut facts: BTreeMap<String, Grants> = BTreeMap::new();
    let mut policy = "";
    for line in FACTS.lines().filter(|line| !line.is_empty()) {
        let Some(fact) = line.strip_prefix("  ") else {
            policy = line;
            continue;
        };
        let inherited = fact.strip_prefix("+ ").map(|other| facts.get(other).unwrap().clone());
        facts.entry(policy.to_owned()).or_default().extend(inherited.unwrap_or_else(|| permissions(fact)));
    }
    facts
}

/// The permissions of one line of facts.
fn permissions(fact: &str) -> Grants {
    let (names, condition) = fact.split_once(" ? ").unwrap_or((fact, ""));
    let (service, resources) = names.split_once(' ').unwrap();
    let mut permissions = Grants::new();
    for resource in resources.split(' ') {
        let (resource, actions) = resource.split_once(':').unwrap();
        for action in actions.split('|') {
            permissions.insert(format!("{service}:{resource}:{action}"), condition.to_owned());
        }
    }
    permissions
}

/// What a policy grants. Each of its statements is an ALLOW, and each permission stands in one of them.
fn grants(policy: &Policy) -> Grants {
    let mut grants = Grants::new();
    for statement in parse_policy(&policy.statements).ast.statements {
        let statement = statement.node;
        assert_eq!(statement.effect, Effect::Allow, "{}", policy.name);
        let conditions: Vec<_> = statement.conditions.iter().map(|condition| condition.node.to_string()).collect();
        for permission in &statement.permissions {
            let before = grants.insert(permission.node.to_string(), conditions.join(" AND "));
            assert_eq!(before, None, "{}: {} stands twice", policy.name, permission.node);
        }
    }
    grants
}

fn policies() -> impl Iterator<Item = &'static Policy> {
    Defaults::shipped().policies.iter()
}

#[test]
fn every_policy_grants_what_the_facts_say_and_nothing_else() {
    let shipped: BTreeMap<_, _> = policies().map(|policy| (policy.name.to_string(), grants(policy))).collect();
    let facts = facts();
    assert_eq!(shipped.keys().collect::<Vec<_>>(), facts.keys().collect::<Vec<_>>());
    for (name, expected) in &facts {
        assert_eq!(shipped.get(name), Some(expected), "{name}");
    }
}

#[test]
fn every_text_is_valid_without_a_warning_and_takes_no_parameter() {
    for policy in policies() {
        let checked = check_policy(&policy.statements, Catalogue::shipped());
        assert!(checked.diagnostics.is_empty(), "{}: {:?}", policy.name, checked.diagnostics);
        assert!(!policy.statements.contains("${"), "{}", policy.name);
    }
}

#[test]
fn ids_and_names_are_unique_and_everything_is_of_the_global_level() {
    let ids: BTreeSet<PolicyId> = policies().map(|policy| policy.id).collect();
    let names: BTreeSet<_> = policies().map(|policy| policy.name.as_str()).collect();
    assert_eq!((ids.len(), names.len()), (policies().count(), policies().count()));
    for policy in policies() {
        assert_eq!(policy.level, Level::Global, "{}", policy.name);
        // Reading refuses an id of another version.
        assert!(policy.id.to_string().parse::<PolicyId>().is_ok(), "{}", policy.name);
    }
}

#[test]
fn a_policy_whose_text_is_not_published_says_so() {
    for policy in policies() {
        assert!(!policy.description.is_empty(), "{}", policy.name);
        let composed = policy.tags.iter().any(|tag| tag == "composed");
        let says = ["publish", "composed", "without a text"].iter().any(|word| policy.description.contains(word));
        assert_eq!(composed, says, "{}: {}", policy.name, policy.description);
    }
}

#[test]
fn each_access_policy_grants_what_the_smaller_one_does() {
    let facts = facts();
    let mut larger = None;
    for name in ["Admin User", "Pro User", "Standard User"] {
        let grants = policies().find(|policy| policy.name.as_str() == name).map(grants).unwrap();
        for (permission, condition) in &grants {
            let Some(larger): Option<&Grants> = larger.as_ref() else { continue };
            let there = larger.get(permission);
            assert!(there.is_some_and(|it| it.is_empty() || it == condition), "{name}: {permission}");
        }
        assert_eq!(Some(&grants), facts.get(name));
        larger = Some(grants);
    }
}

#[test]
fn the_five_groups_have_their_policies() {
    let names: BTreeMap<_, _> = policies().map(|policy| (policy.id, policy.name.as_str())).collect();
    let bound = |ids: &[PolicyId]| ids.iter().map(|id| *names.get(id).unwrap()).collect::<BTreeSet<_>>();
    let groups = &Defaults::shipped().groups;
    assert_eq!(groups.len(), GROUPS.len());
    for (group, (name, expected)) in groups.iter().zip(GROUPS) {
        let in_full = |short: &&str| {
            policies().map(|it| it.name.as_str()).find(|it| it == short || *it == format!("Read {short}"))
        };
        let expected: BTreeSet<_> = expected.iter().map(|short| in_full(short).unwrap()).collect();
        assert_eq!((group.name.as_str(), bound(&group.policies)), (name, expected));
    }
}

/// Whoever changes the set raises its version: otherwise a store that has it already keeps what it has, or two builds take
/// turns.
#[test]
fn another_set_has_another_version() {
    let shipped = Defaults::shipped();
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(&(&shipped.policies, &shipped.groups)).unwrap());
    let digest = hash.finalize().iter().take(8).fold(0_u64, |digest, byte| (digest << 8) | u64::from(*byte));
    let digest = format!("{digest:016x}");
    assert_eq!(
        (shipped.version, digest.as_str()),
        (VERSION, DIGEST),
        "raise `version` in data/defaults.toml, then these"
    );
}
