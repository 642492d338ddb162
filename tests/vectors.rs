//! The vectors: rules as data, one file for each, run through every driver.
//!
//! A driver is a way to ask: the library here, a wire elsewhere. A vector file holds a state file, cases with what each
//! must answer, and texts of states that must be refused.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use doorward::lang::literal::request_time;
use doorward::model::attribute::{Attributes, Values};
use doorward::model::decision::{CheckRequest, RequestParts, Unanswerable};
use doorward::model::id::AccountId;
use doorward::model::object::{Change, Object};
use doorward::model::revision::{Revision, StoreId};
use doorward::model::state::State;
use doorward::snapshot::build::Snapshot;
use doorward::statefile::node::Format;
use doorward::statefile::{self, FileProblem};
use serde::Deserialize;

/// One rule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    /// What the rule says, in short.
    rule: String,
    /// A state file in YAML.
    state: String,
    /// Permissions that the catalogue loses after the state was accepted.
    #[serde(default)]
    forget: Vec<String>,
    #[serde(default)]
    case: Vec<Case>,
    #[serde(default)]
    refused: Vec<Refused>,
}

/// A request with its answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    environment: String,
    #[serde(default)]
    level: String,
    #[serde(default)]
    permission: String,
    #[serde(default)]
    attributes: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    absent: Vec<String>,
    /// Noon of a Monday where none is given.
    #[serde(default = "noon")]
    time: String,
    expect: Answer,
}

/// What a request comes to. What is not named is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    decision: Option<String>,
    code: Option<String>,
    policy: Option<String>,
    statement: Option<u16>,
    group: Option<String>,
    /// The level of the binding: `account`, or an environment.
    level: Option<String>,
    error: Option<String>,
    field: Option<String>,
}

/// A change of the state file that must not be accepted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    name: String,
    /// Added to the end of the state.
    add: String,
    path: String,
    code: String,
}

/// A way to ask.
trait Driver {
    fn answer(&self, case: &Case) -> Answer;
}

/// Makes a driver for a state.
type Start = fn(AccountId, &State) -> Box<dyn Driver>;

/// Every driver, by name. A new wire is a new line.
const DRIVERS: &[(&str, Start)] = &[("library", library)];

struct Library {
    account: AccountId,
    snapshot: Snapshot,
}

fn library(account: AccountId, state: &State) -> Box<dyn Driver> {
    let snapshot = Snapshot::build(StoreId::random(), state, None).expect("the state compiles");
    Box::new(Library { account, snapshot })
}

impl Driver for Library {
    fn answer(&self, case: &Case) -> Answer {
        let supplied = case.attributes.iter().map(|(name, values)| (name.as_str(), Values::Many(values)));
        let attributes = Attributes::new(supplied, case.absent.iter().map(String::as_str));
        let Case { user, environment, level, permission, time, .. } = case;
        let parts = RequestParts { user, environment, level, permission };
        let at = request_time(time).expect("the case tells a time");
        let request = attributes.and_then(|attributes| CheckRequest::new(parts, attributes, at));
        let outcome = match request {
            Ok(request) => self.snapshot.decide(self.account, &request),
            Err(refused) => return error("bad_request", &refused.field),
        };
        match outcome {
            Ok(outcome) => {
                let reason = outcome.reason();
                let statement = reason.statement;
                let level = statement.map(|it| it.binding.environment_id.as_ref().map_or("account", |id| id.as_str()));
                Answer {
                    decision: Some(outcome.decision().name().to_owned()),
                    code: Some(reason.code.name().to_owned()),
                    policy: statement.map(|it| it.policy.source.value.name.to_string()),
                    statement: statement.map(|it| it.statement),
                    group: statement.map(|it| it.group.name.to_string()),
                    level: level.map(str::to_owned),
                    ..Answer::default()
                }
            }
            Err(unanswerable) => error(Unanswerable::code(&unanswerable), unanswerable.field()),
        }
    }
}

fn error(code: &str, field: &str) -> Answer {
    Answer { error: Some(code.to_owned()), field: Some(field.to_owned()), ..Answer::default() }
}

fn noon() -> String {
    "2026-03-02T12:00:00Z".to_owned()
}

fn load(text: &str) -> Result<statefile::Loaded, Vec<FileProblem>> {
    statefile::load(text, Format::Yaml, jiff::Timestamp::UNIX_EPOCH)
}

/// The state after its catalogue has lost permissions.
fn forget(state: &State, permissions: &[String]) -> State {
    let mut state = state.clone();
    let mut record = state.global.as_deref().expect("a global level").clone();
    record.value.catalogue.retain(|entry| !permissions.iter().any(|it| it == entry.permission.as_str()));
    state.apply(Revision::new(2), &[Change::Put(record.map(Object::Global))]).expect("the change fits");
    state
}

/// What differs, of what the expectation names.
fn difference(expected: &Answer, found: &Answer) -> Option<String> {
    let optional = |expected: &Option<String>, found: &Option<String>| expected.is_none() || expected == found;
    let same = expected.decision == found.decision
        && expected.error == found.error
        && optional(&expected.code, &found.code)
        && optional(&expected.policy, &found.policy)
        && (expected.statement.is_none() || expected.statement == found.statement)
        && optional(&expected.group, &found.group)
        && optional(&expected.level, &found.level)
        && optional(&expected.field, &found.field);
    (!same).then(|| format!("expected {expected:?}, found {found:?}"))
}

fn check_cases(file: &str, vectors: &Vectors, wrong: &mut String) {
    let loaded = match load(&vectors.state) {
        Ok(loaded) => loaded,
        Err(problems) => {
            let _ = writeln!(wrong, "{file}: the state is refused: {}", list(&problems));
            return;
        }
    };
    for (driver, start) in DRIVERS {
        let driver_of = start(loaded.account, &forget(&loaded.state, &vectors.forget));
        for case in &vectors.case {
            if let Some(difference) = difference(&case.expect, &driver_of.answer(case)) {
                let _ = writeln!(wrong, "{file}, {driver}, `{}` ({}): {difference}", case.name, vectors.rule);
            }
        }
    }
}

fn check_refused(file: &str, vectors: &Vectors, wrong: &mut String) {
    for Refused { name, add, path, code } in &vectors.refused {
        let problems = load(&format!("{}{add}", vectors.state)).err().unwrap_or_default();
        if !problems.iter().any(|problem| problem.path == *path && problem.code == code) {
            let _ = writeln!(wrong, "{file}, refused `{name}`: no `{code}` at `{path}`, only: {}", list(&problems));
        }
    }
}

fn list(problems: &[FileProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let entries = std::fs::read_dir(folder).expect("the folder of the vectors");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

#[test]
fn every_vector_holds_on_every_driver() {
    let mut wrong = String::new();
    let mut cases = 0;
    for path in files() {
        let text = std::fs::read_to_string(&path).expect("a vector file");
        let file = path.file_name().expect("a name").to_string_lossy().into_owned();
        let vectors: Vectors = toml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        check_cases(&file, &vectors, &mut wrong);
        check_refused(&file, &vectors, &mut wrong);
        cases += vectors.case.len() + vectors.refused.len();
    }
    assert!(cases > 0, "there are no vectors");
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// A rule without its file is a rule that nobody tests.
#[test]
fn every_rule_that_decides_has_a_file() {
    let rules = "d1 d2 d3 d4 d5 d6 d9 d10 d11 r1 r2 r3 r4 r5 r6 r7 r8 r13 r15 r16 r17 r18 r19 r20 r22 r23 r28 r30";
    let names: Vec<_> = files().iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    for rule in rules.split(' ') {
        let prefix = format!("{rule}_");
        assert!(names.iter().any(|name| name.starts_with(&prefix)), "no vector file for {rule}");
    }
}
