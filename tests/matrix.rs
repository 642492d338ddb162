//! The decision matrix: every user of the example account against every permission, at the account and in every environment,
//! as one text that people review.
//!
//! `UPDATE_GOLDEN=1` writes `golden/matrix.txt` instead of comparing. A default policy, a default group or a permission that
//! the matrix does not show stands in `golden/exempt.txt`, with the reason.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where its data cannot be read")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use doorward::compile::account::account_catalogue;
use doorward::eval::Reason;
use doorward::lang::literal::request_time;
use doorward::lang::parse_policy;
use doorward::model::attribute::{Supplied, Values};
use doorward::model::catalogue::Catalogue;
use doorward::model::decision::{CheckRequest, ReasonCode, RequestParts};
use doorward::model::defaults::Defaults;
use doorward::model::identity::UserState;
use doorward::model::revision::StoreId;
use doorward::model::state::AccountState;
use doorward::snapshot::build::Snapshot;
use doorward::statefile::node::Format;
use doorward::statefile::{self, Loaded};

/// A Monday morning in the office.
const WORKING: &str = "2026-03-02T10:00:00+01:00";
/// The evening before.
const RESTING: &str = "2026-03-01T22:00:00+01:00";

/// A permission, attributes, and a time.
type Situation = (&'static str, &'static [(&'static str, &'static str)], &'static str);

/// What is asked beside every permission without attributes: the conditions of the bound policies, fulfilled and not.
const SITUATIONS: &[Situation] = &[
    ("automation:workflows:run", &[], RESTING),
    ("automation:workflows:write", &[("automation:workflow-type", "SIMPLE")], WORKING),
    ("automation:workflows:write", &[("automation:workflow-type", "STANDARD")], WORKING),
    ("settings:objects:read", &[("settings:schemaId", "shop:alerting")], WORKING),
    ("settings:objects:read", &[("settings:schemaId", "shop:catalogue")], WORKING),
    ("settings:objects:read", &[("settings:schemaId", "shop:checkout")], WORKING),
    ("settings:objects:read", &[("settings:schemaId", "vault:keys")], WORKING),
    ("settings:objects:write", &[("settings:schemaId", "shop:alerting")], WORKING),
    ("settings:objects:write", &[("settings:schemaId", "shop:checkout")], WORKING),
    ("settings:objects:write", &[("settings:schemaId", "vault:keys")], WORKING),
    ("shop:orders:read", &[("shop:region", "eu")], WORKING),
    ("shop:orders:read", &[("shop:region", "us")], WORKING),
    ("shop:releases:publish", &[("shop:channel", "nightly")], WORKING),
    ("shop:releases:publish", &[("shop:channel", "stable")], WORKING),
    ("storage:buckets:read", &[("storage:bucket-name", "default_logs")], WORKING),
    ("storage:buckets:read", &[("storage:bucket-name", "dt_system_events")], WORKING),
    ("storage:buckets:read", &[("storage:bucket-name", "platform_logs")], WORKING),
    ("storage:buckets:read", &[("storage:bucket-name", "shop_logs")], WORKING),
    ("storage:buckets:read", &[("storage:table-name", "bizevents")], WORKING),
    ("storage:buckets:read", &[("storage:table-name", "dt.system.events")], WORKING),
    ("storage:buckets:read", &[("storage:table-name", "events")], WORKING),
    ("storage:buckets:read", &[("storage:table-name", "logs")], WORKING),
    ("storage:buckets:read", &[("storage:table-name", "metrics")], WORKING),
    ("storage:buckets:read", &[("storage:table-name", "security.events")], WORKING),
    ("storage:buckets:read", &[("storage:table-name", "spans")], WORKING),
    ("storage:buckets:read", &[("storage:table-name", "user.sessions")], WORKING),
    (
        "storage:logs:read",
        &[("storage:dt.security_context", "platform"), ("storage:k8s.namespace.name", "shop-web")],
        WORKING,
    ),
    (
        "storage:logs:read",
        &[("storage:dt.security_context", "shop"), ("storage:k8s.namespace.name", "shop-web")],
        WORKING,
    ),
    ("storage:logs:read", &[("storage:dt.security_context", "shop"), ("storage:k8s.namespace.name", "bank")], WORKING),
    ("storage:system:read", &[("storage:event.kind", "AUDIT_EVENT")], WORKING),
    ("storage:system:read", &[("storage:event.kind", "SFM_EVENT")], WORKING),
];

const LEGEND: &str = "\
Who may do what in the account of data/example.yaml. Written by `UPDATE_GOLDEN=1 cargo test --test matrix`; read each change.

  +  allowed
  -  denied by a statement
  ?  denied, as a DENY could not be settled with what was told
  .  denied, as nothing allows it
  x  denied, as the user is not active

A line without `{…}` is asked without attributes, on a Monday at 10:00+01:00. Lines that are `.` or `x` throughout are left out.
";

/// The example, ready to be asked.
struct Example {
    loaded: Loaded,
    snapshot: Snapshot,
}

/// One question to every user.
struct Question {
    permission: String,
    attributes: &'static [(&'static str, &'static str)],
    time: &'static str,
}

// === impl Question ===

impl Question {
    fn label(&self) -> String {
        let told: Vec<_> = self.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        match (told.is_empty(), self.time == RESTING) {
            (true, false) => self.permission.clone(),
            (true, true) => format!("{} {{Sunday 22:00}}", self.permission),
            (false, _) => format!("{} {{{}}}", self.permission, told.join(" ")),
        }
    }
}

// === impl Example ===

impl Example {
    fn load() -> Self {
        let text = fs::read_to_string(path("data/example.yaml")).unwrap();
        let loaded = statefile::load(&text, Format::Yaml, jiff::Timestamp::UNIX_EPOCH).unwrap();
        let snapshot = Snapshot::build(StoreId::random(), &loaded.state, None).unwrap();
        Self { loaded, snapshot }
    }

    fn owned(&self) -> &AccountState {
        self.loaded.state.account(self.loaded.account).unwrap()
    }

    /// Names and e-mails, in the order of the e-mails.
    fn users(&self) -> Vec<(String, String)> {
        let users = self.owned().users.values().map(|user| user.value.email.to_string());
        let mut users: Vec<_> = users.map(|email| (email.split('@').next().unwrap().to_owned(), email)).collect();
        users.sort_by(|a, b| a.1.cmp(&b.1));
        users
    }

    /// Every permission the account knows, each with its situations after it.
    fn questions(&self) -> Vec<Question> {
        let catalogue = account_catalogue(self.owned(), &Catalogue::shipped().clone().into()).unwrap();
        let mut questions = Vec::new();
        for permission in catalogue.permissions() {
            let question = |attributes, time| Question { permission: permission.to_string(), attributes, time };
            questions.push(question(&[], WORKING));
            let situations = SITUATIONS.iter().filter(|(of, ..)| *of == permission.as_str());
            questions.extend(situations.map(|(_, attributes, time)| question(attributes, time)));
        }
        questions
    }

    fn ask<T>(&self, place: Option<&str>, user: &str, question: &Question, read: impl FnOnce(&Reason<'_>) -> T) -> T {
        let supplied = question.attributes.iter().map(|(name, value)| (*name, Values::One(value)));
        let supplied = Supplied::new(supplied, []);
        let (environment, level) = place.map_or(("", "account"), |environment| (environment, ""));
        let parts = RequestParts { user, environment, level, permission: &question.permission };
        let request =
            CheckRequest::new(parts, supplied.attributes().unwrap(), request_time(question.time).unwrap()).unwrap();
        let outcome = self.snapshot.decide(self.loaded.account, &request).unwrap();
        read(&outcome.reason())
    }

    fn mark(&self, place: Option<&str>, user: &str, question: &Question) -> char {
        match self.ask(place, user, question, |reason| reason.code) {
            ReasonCode::AllowStatement => '+',
            ReasonCode::DenyStatement => '-',
            ReasonCode::DenyUnknown => '?',
            ReasonCode::NoMatch => '.',
            ReasonCode::InactiveSubject => 'x',
            ReasonCode::UnknownSubject => panic!("{user} is in the example"),
        }
    }

    fn places(&self) -> Vec<(String, Option<String>)> {
        let environments =
            self.owned().environments.keys().map(|id| (format!("environment {id}"), Some(id.to_string())));
        std::iter::once(("account".to_owned(), None)).chain(environments).collect()
    }

    fn matrix(&self) -> String {
        let mut text = LEGEND.to_owned();
        for (title, place) in self.places() {
            let _ = writeln!(text, "\n## {title}\n");
            self.block(place.as_deref(), &mut text);
        }
        text
    }

    fn block(&self, place: Option<&str>, text: &mut String) {
        let users = self.users();
        let names: Vec<_> = users.iter().map(|(name, _)| name.as_str()).collect();
        let _ = writeln!(text, "{}", names.join(" "));
        for question in self.questions() {
            let marks: Vec<_> = users.iter().map(|(_, email)| self.mark(place, email, &question)).collect();
            if marks.iter().all(|mark| matches!(mark, '.' | 'x')) {
                continue;
            }
            for (name, mark) in names.iter().zip(marks) {
                let _ = write!(text, "{mark:<width$}", width = name.len() + 1);
            }
            let _ = writeln!(text, " {}", question.label());
        }
    }
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The permissions that somebody is allowed in the reviewed text.
fn shown(matrix: &str) -> BTreeSet<String> {
    let lines = matrix.lines().filter(|line| !line.starts_with(' ') && !line.starts_with('#'));
    let of_permission = lines.filter_map(|line| {
        let label = line.split(" {").next()?.rsplit(' ').next()?;
        (label.matches(':').count() == 2 && line.starts_with(['+', '-', '?', '.', 'x'])).then(|| label.to_owned())
    });
    of_permission.collect()
}

/// What stands in the list of exemptions, as `noun name`; each with a reason.
fn exempt() -> BTreeSet<String> {
    let text = fs::read_to_string(path("tests/golden/exempt.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entries = lines.map(|line| {
        let (entry, reason) = line.split_once(" | ").unwrap_or((line, ""));
        assert!(!reason.trim().is_empty(), "`{line}` has no reason");
        entry.trim().to_owned()
    });
    let entries: Vec<_> = entries.collect();
    let unique: BTreeSet<_> = entries.iter().cloned().collect();
    assert_eq!(unique.len(), entries.len(), "an exemption stands twice");
    unique
}

#[test]
fn every_decision_is_the_reviewed_one() {
    let now = Example::load().matrix();
    let golden = path("tests/golden/matrix.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &now).unwrap();
    }
    let reviewed = fs::read_to_string(&golden).unwrap_or_default();
    let gone: Vec<_> = reviewed.lines().filter(|line| !now.lines().any(|other| other == *line)).collect();
    let new: Vec<_> = now.lines().filter(|line| !reviewed.lines().any(|other| other == *line)).collect();
    assert!(now == reviewed, "run with UPDATE_GOLDEN=1 and read the change; gone: {gone:#?}, new: {new:#?}");
}

/// A policy or group is in the matrix by an active member of a group it is bound to, a permission by a line of its own.
#[test]
fn what_is_not_in_the_matrix_is_exempt_with_a_reason() {
    let example = Example::load();
    let owned = example.owned();
    let active = owned.users.rows().filter(|user| user.state() == UserState::Active);
    let groups: BTreeSet<_> = active.flat_map(|user| user.groups()).collect();
    let bound: BTreeSet<_> =
        owned.bindings.values().filter(|it| groups.contains(&it.value.group)).map(|it| it.value.policy).collect();
    let shown = shown(&fs::read_to_string(path("tests/golden/matrix.txt")).unwrap());
    let Defaults { policies, groups: default_groups, .. } = Defaults::shipped();

    let mut missing = BTreeSet::new();
    missing.extend(policies.iter().filter(|it| !bound.contains(&it.id)).map(|it| format!("policy {}", it.name)));
    let same_bindings = |name: &str, policies: &[_]| {
        let group = owned.group_by_name(name).map(|group| group.value.id).filter(|id| groups.contains(id));
        let bound = |id| owned.bindings_of_group(id).map(|(_, it)| it.value.policy).collect::<BTreeSet<_>>();
        group.map(bound) == Some(policies.iter().copied().collect())
    };
    let absent = default_groups.iter().filter(|it| !same_bindings(it.name.as_str(), &it.policies));
    missing.extend(absent.map(|it| format!("group {}", it.name)));
    let permissions = Catalogue::default_entries().iter().map(|entry| entry.permission.as_str());
    missing.extend(permissions.filter(|it| !shown.contains(*it)).map(|it| format!("permission {it}")));

    let exempt = exempt();
    let forgotten: Vec<_> = missing.difference(&exempt).collect();
    let needless: Vec<_> = exempt.difference(&missing).collect();
    assert!(forgotten.is_empty(), "neither in the matrix nor in exempt.txt: {forgotten:#?}");
    assert!(needless.is_empty(), "in the matrix, or not there at all, so no exemption is due: {needless:#?}");
}

/// A statement that is bound and never decides would be shown by nothing: its conditions lack a situation.
#[test]
fn every_bound_statement_decides_somewhere_in_the_matrix() {
    let example = Example::load();
    let mut decided = BTreeSet::new();
    for (_, place) in example.places() {
        for ((_, user), question) in
            example.users().iter().flat_map(|user| example.questions().into_iter().map(move |it| (user, it)))
        {
            example.ask(place.as_deref(), user, &question, |reason| {
                decided.extend(reason.statement.map(|it| (it.policy().id, it.statement())));
            });
        }
    }
    let state = &example.loaded.state;
    let mut silent = BTreeSet::new();
    for binding in example.owned().bindings.values() {
        let policy = &state.policy(example.owned(), binding.value.policy).unwrap().value;
        let statements = parse_policy(&policy.statements).ast.statements;
        let unheard = statements.iter().zip(0..).filter(|(_, number)| !decided.contains(&(policy.id, *number)));
        silent.extend(unheard.map(|(statement, _)| format!("{}: {}", policy.name, statement.node)));
    }
    assert!(silent.is_empty(), "{silent:#?}");
}
