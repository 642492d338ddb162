//! The vectors: rules as data, one file for each, run through every driver.
//!
//! A driver is a way to ask: the reference, the library, and each wire over a real connection. A vector file holds a state
//! file, cases with what each must answer, and texts of states that must be refused.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says why")]

mod drivers;
mod reference;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use doorward::statefile::node::Format;
use doorward::statefile::{self, FileProblem};
use serde::Deserialize;

use crate::drivers::{Told, WAYS, Way};
use crate::reference::Question;
use crate::reference::forget::forget;

/// Cases that a wire has no words for, over all files. It only changes with the cases: a driver that asks less and less
/// would prove less and less.
const SKIPPED: usize = 1;

/// One rule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    /// What the rule says, in short.
    rule: String,
    /// A state file in YAML.
    state: String,
    /// What the catalogue loses after the state was accepted, in the words of [`forget`].
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
    expect: Expected,
}

/// What a request comes to. What is not named is not asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    decision: Option<String>,
    code: Option<String>,
    policy: Option<String>,
    statement: Option<u16>,
    group: Option<String>,
    /// The level of the binding: `account`, or an environment.
    level: Option<String>,
    /// The name of the boundary.
    boundary: Option<String>,
    /// The three-valued answer, where a way offers it.
    resolve: Option<String>,
    /// Until when the decision may be kept, where a way tells it: RFC 3339, or `always`.
    valid_until: Option<String>,
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

fn noon() -> String {
    "2026-03-02T12:00:00Z".to_owned()
}

fn load(text: &str) -> Result<statefile::Loaded, Vec<FileProblem>> {
    statefile::load(text, Format::Yaml, jiff::Timestamp::UNIX_EPOCH)
}

// === impl Case ===

impl Case {
    fn question(&self) -> Question {
        Question {
            user: self.user.clone(),
            environment: self.environment.clone(),
            level: self.level.clone(),
            permission: self.permission.clone(),
            attributes: self.attributes.clone(),
            absent: self.absent.clone(),
            time: self.time.clone(),
        }
    }
}

/// What differs, of what the expectation names.
fn difference(way: &Way, expected: &Expected, found: &Told) -> Option<String> {
    let optional = |expected: &Option<String>, found: &Option<String>| expected.is_none() || expected == found;
    let same = expected.decision == found.decision
        && expected.error == found.error
        && optional(&expected.code, &found.code)
        && optional(&expected.policy, &found.policy)
        && (expected.statement.is_none() || expected.statement == found.statement)
        && optional(&expected.group, &found.group)
        && optional(&expected.level, &found.level)
        && optional(&expected.boundary, &found.boundary)
        && optional(&expected.field, &found.field)
        && (!way.tells_edges || is_kept_until(expected, found));
    (!same).then(|| format!("expected {expected:?}, found {found:?}"))
}

fn is_kept_until(expected: &Expected, found: &Told) -> bool {
    let found = found.valid_until.as_deref().unwrap_or("always");
    expected.valid_until.as_deref().is_none_or(|expected| expected == found)
}

/// Asks every case in every way; the number of those that a way has no words for.
fn check_cases(file: &str, vectors: &Vectors, wrong: &mut String) -> usize {
    let loaded = match load(&vectors.state) {
        Ok(loaded) => loaded,
        Err(problems) => {
            let _ = writeln!(wrong, "{file}: the state is refused: {}", list(&problems));
            return 0;
        }
    };
    let state = forget(&loaded.state, loaded.account, &vectors.forget);
    let mut skipped = 0;
    for way in &WAYS {
        let driver = match (way.start)(loaded.account, &state) {
            Ok(driver) => driver,
            Err(problem) => {
                let _ = writeln!(wrong, "{file}, {}: no start: {problem}", way.name);
                continue;
            }
        };
        for case in &vectors.case {
            let question = case.question();
            if (way.cannot_ask)(&question).is_some() {
                skipped += 1;
                continue;
            }
            let asked = case.expect.resolve.as_deref().filter(|_| way.resolves);
            let resolved = asked.and_then(|_| driver.resolve(&question));
            let differs = (asked != resolved).then(|| format!("expected {:?}, resolved {resolved:?}", case.expect));
            if let Some(difference) = difference(way, &case.expect, &driver.answer(&question)).or(differs) {
                let _ = writeln!(wrong, "{file}, {}, `{}` ({}): {difference}", way.name, case.name, vectors.rule);
            }
        }
    }
    skipped
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

/// Every file with its name.
fn all_vectors() -> impl Iterator<Item = (String, Vectors)> {
    files().into_iter().map(|path| {
        let text = std::fs::read_to_string(&path).expect("a vector file");
        let file = path.file_name().expect("a name").to_string_lossy().into_owned();
        let vectors = toml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        (file, vectors)
    })
}

#[test]
fn every_vector_holds_on_every_driver() {
    let (mut wrong, mut skipped) = (String::new(), 0);
    for (file, vectors) in all_vectors() {
        assert!(!vectors.case.is_empty() || !vectors.refused.is_empty(), "{file} holds nothing");
        skipped += check_cases(&file, &vectors, &mut wrong);
        check_refused(&file, &vectors, &mut wrong);
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert_eq!(skipped, SKIPPED, "cases that were not asked");
}

/// A file that says the same as another would only look like a test.
#[test]
fn no_two_cases_of_a_file_bear_one_name() {
    for (file, vectors) in all_vectors() {
        let mut names = BTreeSet::new();
        let all = vectors.case.iter().map(|case| &case.name).chain(vectors.refused.iter().map(|refused| &refused.name));
        for name in all {
            assert!(names.insert(name.clone()), "{file}: two cases are called `{name}`");
        }
    }
}

/// The rules and the traps of the reference that are decisions or refusals; the others are tests of their own.
const COVERED: &str = "d1 d2 d3 d4 d5 d6 d7 d9 d10 d11 d12 \
    r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 r15 r16 r17 r18 r19 r20 r21 r22 r23 r28 r30 \
    trap_1 trap_2 trap_3 trap_4 trap_5 trap_6 trap_7 trap_8 trap_9 trap_10 trap_11 trap_14 trap_15 trap_19 trap_20 trap_21";

/// A rule without its file is a rule that nobody tests.
#[test]
fn every_rule_that_decides_has_a_file() {
    let names: Vec<_> = files().iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    for rule in COVERED.split_whitespace() {
        let prefix = format!("{rule}_");
        assert!(names.iter().any(|name| name.starts_with(&prefix)), "no vector file for {rule}");
    }
}
