//! A case that the two answer differently: made small, then told.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use doorward::lang::ast::PolicyAst;
use doorward::lang::parse_policy;
use doorward::model::id::AccountId;
use doorward::model::moment::Moment;
use doorward::model::object::{Change, Object, ObjectKey};
use doorward::model::policy::Policy;
use doorward::model::state::{AccountState, State};
use doorward::snapshot::build::{BuildRejected, Snapshot};
use jiff::{SignedDuration, Timestamp};

use crate::reference::forget::forget;
use crate::reference::generate::{Choices, question, world};
use crate::reference::vector::vector;
use crate::reference::{Answer, Question, Reference, engine};
use crate::store;

/// Cases tried on the way to a small one.
const STEPS: usize = 4_000;

/// How the engine is asked: what it answers, and until when that may be kept. A test plants a difference here.
pub(crate) type Ask = dyn Fn(&Snapshot, AccountId, &Question) -> (Answer, Option<Moment>);

/// A case with both answers.
pub(crate) struct Found<'a> {
    ask: &'a Ask,
    accepted: State,
    forgotten: Vec<String>,
    account: AccountId,
    question: Question,
    /// Instants at which time conditions can change.
    edges: BTreeSet<Timestamp>,
    reference: Answer,
    wrong: Wrong,
}

/// What is wrong with the engine's answer.
pub(crate) enum Wrong {
    /// It takes no snapshot of the state.
    NoSnapshot(String),
    /// It is another.
    Differs(Answer),
    /// The three-valued one is another.
    Resolves(String),
    /// It may be kept past an instant at which the reference has another (D12).
    Stale { at: Timestamp, then: Answer },
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSnapshot(problem) => write!(f, "takes no snapshot: {problem}"),
            Self::Differs(answer) => write!(f, "{answer:#?}"),
            Self::Resolves(answer) => write!(f, "resolves to {answer}"),
            Self::Stale { at, then } => write!(f, "the same, to be kept past {at}, when it is {then:#?}"),
        }
    }
}

/// The reference's answer, and what is wrong with the engine's.
pub(crate) fn compare(
    ask: &Ask,
    reference: &Reference,
    snapshot: Result<&Snapshot, &BuildRejected>,
    account: AccountId,
    question: &Question,
    edges: &BTreeSet<Timestamp>,
) -> (Answer, Option<Wrong>) {
    let answer = reference.decide(question);
    let (found, until) = match snapshot {
        Ok(snapshot) => ask(snapshot, account, question),
        Err(rejected) => return (answer, Some(Wrong::NoSnapshot(rejected.to_string()))),
    };
    if found != answer {
        return (answer, Some(Wrong::Differs(found)));
    }
    let (expected, resolved) = (reference.resolve(question), snapshot.map(|it| engine::resolve(it, account, question)));
    if let Some(resolved) = resolved.ok().filter(|resolved| *resolved != expected) {
        return (answer, Some(Wrong::Resolves(format!("{resolved:?} instead of {expected:?}"))));
    }
    let at: Timestamp = question.time.parse().expect("a time");
    let until = until.map(|until| Timestamp::from_nanosecond(until.nanoseconds()).expect("an instant"));
    let stale = within(at, until, edges).into_iter().find_map(|at| {
        let then = reference.decide(&Question { time: at.to_string(), ..question.clone() });
        (then != answer).then_some(Wrong::Stale { at, then })
    });
    (answer, stale)
}

/// Instants from `at` on and before `until` at which the answer must be the same.
fn within(at: Timestamp, until: Option<Timestamp>, edges: &BTreeSet<Timestamp>) -> Vec<Timestamp> {
    let nanosecond = SignedDuration::from_nanos(1);
    let last = until.map(|until| until.saturating_sub(nanosecond).expect("a duration"));
    let mut near: Vec<_> = edges.range(at..).take(2).copied().collect();
    near.extend(near.clone().iter().map(|edge| edge.saturating_add(nanosecond).expect("a duration")));
    near.into_iter().chain(last).filter(|instant| last.is_none_or(|last| *instant <= last)).collect()
}

// === impl Found ===

impl<'a> Found<'a> {
    /// The smallest case found on the way from the one that these choices make.
    ///
    /// # Panics
    /// Where the two answer that one alike.
    pub(crate) fn shrunk(ask: &'a Ask, state: Vec<u8>, question: Vec<u8>) -> Self {
        let mut steps = STEPS;
        let mut found = Self::of_choices(ask, &state, &question).expect("a mismatch");
        let state = smaller(state, &mut steps, &mut |bytes| keep(&mut found, Self::of_choices(ask, bytes, &question)));
        smaller(question, &mut steps, &mut |bytes| keep(&mut found, Self::of_choices(ask, &state, bytes)));
        found.prune();
        found
    }

    /// The case that these choices make; `None` where both answer it alike.
    fn of_choices(ask: &'a Ask, state: &[u8], choices: &[u8]) -> Option<Self> {
        let world = world(&mut Choices::new(state));
        let question = question(&mut Choices::new(choices), &world);
        Self::of(ask, world.accepted, world.forgotten, world.account, question, world.mentioned.edges)
    }

    fn of(
        ask: &'a Ask,
        accepted: State,
        forgotten: Vec<String>,
        account: AccountId,
        question: Question,
        edges: BTreeSet<Timestamp>,
    ) -> Option<Self> {
        let state = forget(&accepted, account, &forgotten);
        let evaluator = Reference::new(&state, account);
        let snapshot = Snapshot::build(store(), &state, None);
        let (reference, wrong) = compare(ask, &evaluator, snapshot.as_ref(), account, &question, &edges);
        wrong.map(|wrong| Self { ask, accepted, forgotten, account, question, edges, reference, wrong })
    }

    /// Takes away what the mismatch does not need: attributes, objects that nothing refers to, statements.
    fn prune(&mut self) {
        for name in self.question.attributes.clone().into_keys() {
            let mut question = self.question.clone();
            question.attributes.remove(&name);
            self.attempt(self.accepted.clone(), question);
        }
        for index in (0..self.question.absent.len()).rev() {
            let mut question = self.question.clone();
            question.absent.remove(index);
            self.attempt(self.accepted.clone(), question);
        }
        for change in self.deletions() {
            if let Some(state) = self.after(&change) {
                self.attempt(state, self.question.clone());
            }
        }
        while self.shorter_texts().into_iter().any(|state| self.attempt(state, self.question.clone())) {}
    }

    fn attempt(&mut self, state: State, question: Question) -> bool {
        let next = Self::of(self.ask, state, self.forgotten.clone(), self.account, question, self.edges.clone());
        keep(self, next)
    }

    /// Deletions of everything that can go, what refers to others first.
    fn deletions(&self) -> Vec<Change> {
        let keys: Vec<_> = self.accepted.records().map(|record| record.value.key()).collect();
        let place = |key: &ObjectKey| match key {
            ObjectKey::Binding(..) => Some(0),
            ObjectKey::Policy(..) | ObjectKey::Boundary(..) | ObjectKey::User(..) => Some(1),
            ObjectKey::Group(..) => Some(2),
            ObjectKey::CatalogueEntry(..) => Some(3),
            _ => None,
        };
        let mut keys: Vec<_> = keys.into_iter().filter(|key| place(key).is_some()).collect();
        keys.sort_by_key(place);
        keys.into_iter().map(Change::Delete).collect()
    }

    /// The state after a change, where it is still whole.
    fn after(&self, change: &Change) -> Option<State> {
        let account = self.accepted.account(self.account)?;
        let whole = match change {
            Change::Put(_) => true,
            Change::Delete(key) => Self::can_go(account, key),
        };
        let mut state = self.accepted.clone();
        state.apply(state.revision, [change]).ok().filter(|()| whole).map(|()| state)
    }

    /// Whether nothing refers to it.
    fn can_go(account: &AccountState, key: &ObjectKey) -> bool {
        match key {
            ObjectKey::Policy(_, id) => account.bindings_of_policy(*id).next().is_none(),
            ObjectKey::Boundary(_, id) => account.bindings_of_boundary(*id).next().is_none(),
            ObjectKey::Group(_, id) => {
                let members = account.users.rows().any(|user| user.is_member(*id));
                let everybody = account.all_users().is_some_and(|group| group.value.id == *id);
                !members && !everybody && account.bindings_of_group(*id).next().is_none()
            }
            // An entry that a text still needs would make the file one that is refused.
            ObjectKey::CatalogueEntry(_, permission) => {
                let policies = account.policies.values().map(|policy| policy.value.statements.as_str());
                let boundaries = account.boundaries.values().map(|boundary| boundary.value.query.as_str());
                !policies.chain(boundaries).any(|text| text.contains(permission.as_str()) || text.contains("shop:"))
            }
            _ => true,
        }
    }

    /// The state with one statement less.
    fn shorter_texts(&self) -> Vec<State> {
        let Some(account) = self.accepted.account(self.account) else { return Vec::new() };
        let mut shorter = Vec::new();
        for record in account.policies.values() {
            let tree = parse_policy(&record.value.statements).ast;
            for index in (0..tree.statements.len()).filter(|_| tree.statements.len() > 1) {
                let mut statements = tree.statements.clone();
                statements.remove(index);
                let statements = PolicyAst { statements }.to_string();
                let policy = |policy: Policy| Object::Policy(self.account, Policy { statements, ..policy });
                shorter.extend(self.after(&Change::Put(record.as_ref().clone().map(policy))));
            }
        }
        shorter
    }

    /// Writes the case into `folder`, into a file that only the same case has, and says where.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub(crate) fn save(&self, folder: &Path) -> io::Result<PathBuf> {
        let text = self.vector();
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let file = folder.join(format!("differential_found_{:016x}.toml", hasher.finish()));
        fs::write(&file, &text).map(|()| file)
    }

    fn vector(&self) -> String {
        vector(&self.accepted, self.account, &self.forgotten, &self.question, &self.reference)
    }

    /// Saves the case in `folder` and tells it.
    pub(crate) fn tell(&self, folder: &Path) -> String {
        let written = self.save(folder).map(|file| format!("written to `{}`", file.display()));
        let written = written.unwrap_or_else(|error| format!("not written: {error}"));
        let (text, reference, wrong) = (self.vector(), &self.reference, &self.wrong);
        format!(
            "the engine is wrong; the smallest case is {written}\n\n{text}\nreference: {reference:#?}\nengine: {wrong}"
        )
    }
}

/// Takes the next case where there is one and the engine fails in the same way.
fn keep<'a>(found: &mut Found<'a>, next: Option<Found<'a>>) -> bool {
    match next {
        Some(next) if std::mem::discriminant(&next.wrong) == std::mem::discriminant(&found.wrong) => {
            *found = next;
            true
        }
        _ => false,
    }
}

/// Deletes chunks, then zeroes bytes, for as long as `differs` says that the mismatch stays.
fn smaller(mut bytes: Vec<u8>, steps: &mut usize, differs: &mut dyn FnMut(&[u8]) -> bool) -> Vec<u8> {
    for size in [512, 256, 128, 64, 32, 16, 8, 4, 2, 1] {
        let mut start = 0;
        while start < bytes.len() && *steps > 0 {
            *steps -= 1;
            let mut next = bytes.clone();
            next.drain(start..(start + size).min(bytes.len()));
            if differs(&next) { bytes = next } else { start += size }
        }
    }
    for index in 0..bytes.len() {
        if bytes[index] != 0 && *steps > 0 {
            *steps -= 1;
            let mut next = bytes.clone();
            next[index] = 0;
            if differs(&next) {
                bytes = next;
            }
        }
    }
    bytes
}
