//! The engine against the reference (D14): the same answer, code and named reason on random cases, and never
//! an answer that may be kept past an instant at which it is another (D12).
//!
//! `DOORWARD_CASES` says how many questions are asked, `DOORWARD_SEED` where the chain of cases begins. A mismatch is made
//! small and written as a vector file below the target folder.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test tells what it found, and fails by panicking"
)]

#[path = "differential/found.rs"]
mod found;
mod reference;

use std::collections::BTreeMap;
use std::path::Path;

use doorward::lang::parse_policy;
use doorward::model::decision::{Decision, ReasonCode};
use doorward::model::id::AccountId;
use doorward::model::moment::Moment;
use doorward::model::revision::StoreId;
use doorward::model::state::State;
use doorward::snapshot::build::Snapshot;
use doorward::statefile::{self, node::Format};

use crate::found::{Ask, Found, compare};
use crate::reference::generate::{Choices, question, world};
use crate::reference::{Answer, Decided, Question, Reference, Resolved, engine, state_file};

/// Questions asked where `DOORWARD_CASES` does not say.
const CASES: usize = 100_000;
/// Questions about one state.
const QUESTIONS: usize = 100;
/// Bytes of choices of a state, and of a question: more than either takes.
const STATE_BYTES: usize = 1_024;
const QUESTION_BYTES: usize = 96;

/// `SplitMix64`: a chain of cases that is the same on every machine.
struct Seeded(u64);

// === impl Seeded ===

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.next().to_le_bytes());
        words.flatten().take(count).collect()
    }
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("`{name}` is no number: {text}")))
}

fn seeded() -> Seeded {
    Seeded(setting("DOORWARD_SEED", 4))
}

/// How often each answer came.
#[derive(Default)]
struct Shares {
    all: usize,
    counts: BTreeMap<String, usize>,
}

// === impl Shares ===

impl Shares {
    fn add(&mut self, reference: &Reference, question: &Question, answer: &Answer) {
        self.all += 1;
        let mut count = |name: String| *self.counts.entry(name).or_default() += 1;
        match answer {
            Answer::Refused(refused) => count(format!("error {}", refused.code)),
            Answer::Decided(decided) => {
                count(decided.code.name().to_owned());
                let named = decided.named.as_ref();
                if named.is_some_and(|named| named.boundary.is_some()) {
                    count("with a boundary".to_owned());
                }
                if question.permission == "environment:roles:viewer" {
                    count(format!("viewer {}", decided.decision.name()));
                }
                let resolved = reference.resolve(question).expect("what can be decided can be resolved");
                count(format!("resolved {resolved:?}"));
                let allowed = decided.decision.name() == "ALLOW";
                assert_eq!(resolved == Resolved::Allow, allowed, "the two readings of the reference: {question:?}");
            }
        }
    }

    fn per_mille(&self, name: &str) -> usize {
        self.counts.get(name).copied().unwrap_or_default() * 1_000 / self.all.max(1)
    }
}

#[test]
fn d14_the_engine_answers_as_the_reference() {
    let cases = usize::try_from(setting("DOORWARD_CASES", CASES as u64)).expect("a number of cases");
    let mut seeded = seeded();
    let mut shares = Shares::default();
    while shares.all < cases {
        let bytes = seeded.bytes(STATE_BYTES);
        let world = world(&mut Choices::new(&bytes));
        let reference = Reference::new(&world.state, world.account);
        let snapshot = Snapshot::build(store(), &world.state, None);
        for _ in 0..QUESTIONS.min(cases - shares.all) {
            let choices = seeded.bytes(QUESTION_BYTES);
            let question = question(&mut Choices::new(&choices), &world);
            let edges = &world.mentioned.edges;
            let (answer, wrong) =
                compare(&engine::ask_until, &reference, snapshot.as_ref(), world.account, &question, edges);
            if wrong.is_some() {
                let found = Found::shrunk(&engine::ask_until, bytes, choices);
                panic!("{}", found.tell(Path::new(env!("CARGO_TARGET_TMPDIR"))));
            }
            shares.add(&reference, &question, &answer);
        }
    }
    println!("{} questions: {:#?}", shares.all, shares.counts);
    assert_balanced(&shares);
}

/// A generator that always comes to the same answer would prove nothing.
fn assert_balanced(shares: &Shares) {
    if shares.all < 10_000 {
        return;
    }
    let least = [
        ("allow_statement", 200),
        ("no_match", 200),
        ("deny_statement", 40),
        ("deny_unknown", 8),
        ("unknown_subject", 10),
        ("inactive_subject", 20),
        ("resolved Conditional", 25),
        ("viewer ALLOW", 10),
        ("with a boundary", 30),
    ];
    for (name, share) in least {
        assert!(shares.per_mille(name) >= share, "too few of `{name}`: {:?}", shares.counts);
    }
}

/// The engine with a difference: what it answers with `code` it denies for no reason.
fn planted(code: ReasonCode) -> impl Fn(&Snapshot, AccountId, &Question) -> (Answer, Option<Moment>) {
    move |snapshot, account, question| match engine::ask_until(snapshot, account, question) {
        (Answer::Decided(decided), until) if decided.code == code => {
            let nothing = Decided { decision: Decision::Deny, code: ReasonCode::NoMatch, named: None };
            (Answer::Decided(nothing), until)
        }
        answered => answered,
    }
}

/// The first case that the two answer differently, made small.
fn first_found<'a>(ask: &'a Ask, seeded: &mut Seeded) -> Found<'a> {
    loop {
        let (bytes, choices) = (seeded.bytes(STATE_BYTES), seeded.bytes(QUESTION_BYTES));
        let world = world(&mut Choices::new(&bytes));
        let question = question(&mut Choices::new(&choices), &world);
        let reference = Reference::new(&world.state, world.account);
        let snapshot = Snapshot::build(store(), &world.state, None);
        let edges = &world.mentioned.edges;
        if compare(ask, &reference, snapshot.as_ref(), world.account, &question, edges).1.is_some() {
            return Found::shrunk(ask, bytes, choices);
        }
    }
}

/// Where the engine is right nothing is ever found, and nobody would notice that nothing can be.
#[test]
fn a_planted_difference_is_shrunk_and_saved() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut seeded = seeded();
    for (code, decision) in [(ReasonCode::AllowStatement, "ALLOW"), (ReasonCode::DenyStatement, "DENY")] {
        let ask = planted(code);
        let found = first_found(&ask, &mut seeded);
        let told = found.tell(folder.path());
        let file = found.save(folder.path()).expect("a file");
        assert!(told.contains(&file.display().to_string()), "{told}");
        let text = std::fs::read_to_string(&file).expect("what was written");
        let vectors: toml::Table = text.parse().expect("a vector file");
        let case = vectors["case"][0].as_table().expect("a case");
        assert_eq!(case["expect"]["decision"].as_str(), Some(decision), "what the reference answers: {text}");
        let state =
            statefile::load(vectors["state"].as_str().expect("a text"), Format::Yaml, jiff::Timestamp::UNIX_EPOCH);
        let loaded = state.unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"));
        let account = loaded.state.account(loaded.account).expect("the account");
        let texts = account.policies.values().map(|policy| parse_policy(&policy.value.statements).ast);
        let statements: usize = texts.map(|tree| tree.statements.len()).sum();
        assert_eq!((statements, account.bindings.len()), (1, 1), "{text}");
        assert!(!case.contains_key("absent") && !vectors.contains_key("forget"), "{text}");
    }
    let files = std::fs::read_dir(folder.path()).expect("the folder").count();
    assert_eq!(files, 2, "each finding has a file of its own");
}

fn store() -> StoreId {
    "00000000000000000000000000000001".parse().expect("the id of a store")
}

/// What the generator makes is what an administrator could have made: a state file can say it.
#[test]
fn a_generated_state_is_what_its_state_file_says() {
    let mut seeded = seeded();
    let mut compared = 0;
    while compared < 100 {
        let world = world(&mut Choices::new(&seeded.bytes(STATE_BYTES)));
        let text = state_file(&world.accepted, world.account);
        let loaded = statefile::load(&text, Format::Yaml, jiff::Timestamp::UNIX_EPOCH);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"));
        let objects = |state: &State| state.records().map(|record| record.value).collect::<Vec<_>>();
        if world.accepted.global == loaded.state.global {
            assert_eq!(objects(&loaded.state), objects(&world.accepted), "{text}");
            compared += 1;
        }
    }
}

/// Any bytes make a case, and no bytes the simplest one.
#[test]
fn every_input_makes_a_case() {
    let mut seeded = seeded();
    for length in [0, 1, 2, 3, 5, 8, 13, 40, 100, 300] {
        let bytes = seeded.bytes(length);
        let mut choices = Choices::new(&bytes);
        let world = world(&mut choices);
        let question = question(&mut choices, &world);
        let _ = Reference::new(&world.state, world.account).decide(&question);
    }
    let simplest = world(&mut Choices::new(&[]));
    let account = simplest.state.account(simplest.account).expect("the account");
    assert_eq!((account.policies.len(), account.bindings.len(), account.boundaries.len()), (1, 1, 0));
}
