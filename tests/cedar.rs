//! The engine against Cedar (D14): the same decision on random cases, from a language, an evaluator and people that are
//! none of ours.
//!
//! A state becomes one Cedar policy set, with its users, groups and environments as entities; a question becomes one
//! request, its attributes and its time the context. The translation knows the rules and the trees of the texts and
//! nothing of what compiles or evaluates them. `DOORWARD_CASES` says how many decisions are compared, `DOORWARD_SEED`
//! where the chain of cases begins.
//!
//! # What Cedar cannot say
//!
//! | construct | what is done |
//! |---|---|
//! | a question that has no decision: a bad request, an ambiguous subject, an unknown permission or environment | counted, not compared; that the engine refuses exactly these is checked |
//! | more than three values of one attribute: there is no "any of a set" for `like`, so each value has a field of its own | counted, not compared |
//! | an instant that nanoseconds in 64 bits do not reach | counted, not compared |
//! | UNKNOWN: Cedar has two values | an ALLOW asks what is TRUE, a DENY what is FALSE; that it is UNKNOWN which denied is not told |
//! | the viewer role as implied by the decisions for other roles (R14) | Cedar is asked for each role, the test combines |
//! | a text joined from an id and others | a branch for each user or level |
//! | days, remainders | the ends of a day are instants of the policy; the time of the day and the day of the week in GMT are told |
//! | reasons: the order of statements, how long an answer may be kept, `Resolve` | not compared; the differential test does |

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    reason = "a test tells what it found, and fails by panicking"
)]

#[path = "cedar/conditions.rs"]
mod conditions;
#[path = "cedar/operand.rs"]
mod operand;
#[path = "cedar/oracle.rs"]
mod oracle;
#[path = "cedar/policies.rs"]
mod policies;
mod reference;
#[path = "cedar/times.rs"]
mod times;

use std::collections::BTreeMap;
use std::fmt;

use doorward::model::decision::Decision;
use doorward::model::revision::StoreId;
use doorward::snapshot::build::Snapshot;

use crate::oracle::Oracle;
use crate::reference::generate::{Choices, World, question, world};
use crate::reference::{Answer, Question, engine, state_file};

/// Decisions compared where `DOORWARD_CASES` does not say.
const CASES: usize = 100_000;
/// Questions about one state.
const QUESTIONS: usize = 500;
/// Bytes of choices of a state, and of a question: more than either takes.
const STATE_BYTES: usize = 1_024;
const QUESTION_BYTES: usize = 96;
/// Values of an attribute that Cedar is told one by one.
const SLOTS: usize = 3;
/// The least share, in percent, of the questions that are compared: of those that have a decision, and of all.
const LEAST_COMPARED: usize = 99;
const LEAST_OF_ALL: usize = 85;

/// Why Cedar has no decision to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Inexpressible {
    BadRequest,
    AmbiguousSubject,
    UnknownPermission,
    UnknownEnvironment,
    ManyValues,
    Instant,
}

// === impl Inexpressible ===

impl Inexpressible {
    /// Whether there is no decision at all, so that the engine must refuse.
    const fn is_refusal(self) -> bool {
        !matches!(self, Self::ManyValues | Self::Instant)
    }
}

impl fmt::Display for Inexpressible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadRequest => "a bad request is an error, and Cedar always decides",
            Self::AmbiguousSubject => "a name that two bear is an error, and Cedar knows entities only",
            Self::UnknownPermission => "an unknown permission is an error, and to Cedar an action that no policy names",
            Self::UnknownEnvironment => {
                "an unknown environment is an error, and to Cedar a resource that is in no other"
            }
            Self::ManyValues => "the attribute has more values than Cedar is told one by one",
            Self::Instant => "the instant does not fit nanoseconds in 64 bits",
        })
    }
}

/// What was compared and what came of it.
#[derive(Debug, Default)]
struct Tally {
    asked: usize,
    compared: usize,
    allowed: usize,
    not_compared: BTreeMap<Inexpressible, usize>,
}

// === impl Tally ===

impl Tally {
    /// Compares one question.
    ///
    /// # Panics
    /// Where the two differ.
    fn compare(&mut self, world: &World, oracle: &Oracle<'_>, snapshot: &Snapshot, question: &Question) {
        let answer = engine::ask(snapshot, world.account, question);
        let cedar = oracle.decide(question);
        self.asked += 1;
        match (&cedar, &answer) {
            (Ok(cedar), Answer::Decided(engine)) if *cedar == engine.decision => {
                self.compared += 1;
                self.allowed += usize::from(*cedar == Decision::Allow);
            }
            (Err(reason), answer) if reason.is_refusal() == matches!(answer, Answer::Refused(_)) => {
                *self.not_compared.entry(*reason).or_default() += 1;
            }
            _ => panic!("{}", told(world, oracle, question, cedar, &answer)),
        }
    }

    /// Questions that have no decision; both say so.
    fn refused(&self) -> usize {
        self.not_compared.iter().filter(|(reason, _)| reason.is_refusal()).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, compared, allowed, not_compared } = self;
        writeln!(f, "{asked} questions, {compared} decisions compared, {allowed} of them ALLOW; not compared:")?;
        not_compared.iter().try_for_each(|(reason, count)| writeln!(f, "{count:>8}  {reason}"))
    }
}

/// Everything that is needed to look into a difference.
fn told(
    world: &World,
    oracle: &Oracle<'_>,
    question: &Question,
    cedar: Result<Decision, Inexpressible>,
    engine: &Answer,
) -> String {
    let (state, lost, text) = (state_file(&world.accepted, world.account), &world.forgotten, oracle.text());
    format!(
        "Cedar and the engine differ\n\n{question:#?}\n\n{state}\nlost by the catalogue: {lost:?}\n\n{text}\nCedar: {cedar:?}\nengine: {engine:#?}"
    )
}

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

fn store() -> StoreId {
    "00000000000000000000000000000001".parse().expect("the id of a store")
}

#[test]
fn the_engine_decides_as_cedar() {
    let cases = usize::try_from(setting("DOORWARD_CASES", CASES as u64)).expect("a number of cases");
    let mut seeded = Seeded(setting("DOORWARD_SEED", 14));
    let mut tally = Tally::default();
    while tally.compared < cases {
        let world = world(&mut Choices::new(&seeded.bytes(STATE_BYTES)));
        let oracle = Oracle::new(&world.state, world.account);
        let snapshot = Snapshot::build(store(), &world.state, None).expect("the state compiles");
        for _ in 0..QUESTIONS.min(cases - tally.compared) {
            let question = question(&mut Choices::new(&seeded.bytes(QUESTION_BYTES)), &world);
            tally.compare(&world, &oracle, &snapshot, &question);
        }
    }
    println!("{tally}");
    if tally.compared >= 10_000 {
        assert!(tally.compared * 100 >= (tally.asked - tally.refused()) * LEAST_COMPARED, "{tally:?}");
        assert!(tally.compared * 100 >= tally.asked * LEAST_OF_ALL, "{tally:?}");
        assert!((20..80).contains(&(tally.allowed * 100 / tally.compared)), "{tally:?}");
    }
}
