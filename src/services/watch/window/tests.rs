//! What the window keeps, what it forgets, and that each event is made once.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::model::account::{Account, Environment};
use crate::model::id::AccountId;
use crate::model::mutation::Actor;
use crate::model::object::{Object, ObjectKey, Record};
use crate::model::scope::Environments;
use crate::model::state::State;

/// A window behind a state, with the commits that a reader would add.
struct Fixture {
    state: State,
    window: Window,
}

/// When a commit is known to be the newest.
const FRESH: Moment = Moment::from_nanoseconds(0);

fn account_id(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

fn put(value: Object) -> Change {
    let at = jiff::Timestamp::UNIX_EPOCH;
    Change::Put(Record { created: at, updated: at, revision: Revision::new(1), value })
}

fn account(number: u8) -> Change {
    let name = "A".parse().unwrap();
    put(Object::Account(Account { id: account_id(number), name, strict_boundaries: false }))
}

fn environment(owner: u8, name: &str) -> Change {
    let environment = Environment { id: "prod".parse().unwrap(), name: name.parse().unwrap() };
    put(Object::Environment(account_id(owner), environment))
}

fn of_account(number: u8) -> Arc<Scope> {
    Arc::new(Scope::of([(account_id(number), Environments::All)].into()))
}

fn entry(revision: Revision, changes: Vec<Change>) -> LogEntry {
    let (at, actor, subject) = (jiff::Timestamp::UNIX_EPOCH, Actor::system(), ObjectKey::Global);
    LogEntry { revision, at, actor, request: None, subject, changes: changes.into() }
}

fn unsigned() -> Seal {
    Seal::new(crate::model::revision::StoreId::random(), None)
}

// === impl Fixture ===

impl Fixture {
    fn new() -> Self {
        let mut state = State::default();
        state.apply(Revision::new(5), &[account(1), account(2)]).unwrap();
        let window = Window::new(state.revision, state.sums().clone(), unsigned());
        Self { state, window }
    }

    fn commit(&mut self, changes: Vec<Change>) {
        let revision = self.state.revision.next().unwrap();
        self.state.apply(revision, &changes).unwrap();
        let places =
            changes.iter().map(|change| Place { account: change.key().account(), environment: None }).collect();
        let sums = self.state.sums().clone();
        let commit = Commit::new(&entry(revision, changes), places, sums.clone(), FRESH, &unsigned());
        self.window.push(commit, sums);
    }

    fn next(&self, revision: u64, scope: &Arc<Scope>) -> Next {
        self.window.after(Revision::new(revision), scope)
    }

    fn change(&self, revision: u64, scope: &Arc<Scope>) -> pb::Change {
        let Next::Event(Told { event, .. }) = self.next(revision, scope) else {
            panic!("a commit comes after {revision}")
        };
        match event.decoded() {
            Some(Event::Change(change)) => change,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_event_is_made_once_for_each_scope() {
    let mut fixture = Fixture::new();
    fixture.commit(vec![environment(1, "a")]);
    for scope in [Arc::new(Scope::everything()), of_account(1)] {
        let bytes = || match fixture.next(5, &Arc::new(Scope::clone(&scope))) {
            Next::Event(told) => told.event.start(),
            other => panic!("{other:?}"),
        };
        assert_eq!(bytes(), bytes(), "the same bytes at the same place");
    }
    assert!(matches!(fixture.next(5, &of_account(2)), Next::Silent(revision) if revision.get() == 6));
    assert!(matches!(fixture.next(6, &of_account(1)), Next::Head));
    assert!(matches!(fixture.next(4, &of_account(1)), Next::TooOld));
}

#[test]
fn a_change_says_behind_which_revision_nothing_of_its_scope_is_missing() {
    let mut fixture = Fixture::new();
    for (owner, name) in [(1, "a"), (2, "b"), (2, "c"), (1, "d")] {
        fixture.commit(vec![environment(owner, name)]);
    }
    let (one, all) = (of_account(1), Arc::new(Scope::everything()));
    assert_eq!((fixture.change(5, &one).after, fixture.change(8, &one).after), (5, 6));
    assert_eq!((fixture.change(5, &all).after, fixture.change(8, &all).after), (5, 8));
    let digest = one.digest(fixture.state.sums());
    assert_eq!(fixture.change(8, &one).digest, digest.as_bytes());
}

#[test]
fn an_old_commit_is_told_to_those_who_see_everything_and_to_those_who_miss_nothing() {
    let mut fixture = Fixture::new();
    fixture.commit(vec![environment(1, "a")]);
    fixture.change(5, &of_account(1));
    for number in 0..SUMMED {
        fixture.commit(vec![environment(2, &number.to_string())]);
    }
    assert!(matches!(fixture.next(5, &of_account(1)), Next::TooOld), "its sums are gone");
    assert!(matches!(fixture.next(5, &of_account(2)), Next::Silent(_)), "nothing of it is missed");
    assert_eq!(fixture.change(5, &Arc::new(Scope::everything())).revision, 6);
    assert!(matches!(fixture.next(6, &of_account(2)), Next::Event(..)));
}

/// What is kept for scopes is counted as it comes and as it goes.
#[test]
fn the_events_of_scopes_are_bounded_in_bytes() {
    let mut fixture = Fixture::new();
    let kept = |fixture: &Fixture| fixture.window.scoped_bytes.load(Ordering::Relaxed);
    for number in 0..3 {
        fixture.commit(vec![environment(1, &number.to_string())]);
        fixture.change(5 + number, &of_account(1));
    }
    assert!(kept(&fixture) > 0);
    let id = crate::model::id::BoundaryId::from_bytes([1; 16]);
    let boundary =
        crate::model::policy::Boundary { id, name: "B".parse().unwrap(), query: "x".repeat(EVENT_BYTES / 2) };
    fixture.commit(vec![put(Object::Boundary(account_id(1), boundary))]);
    let at = fixture.state.revision.get() - 1;
    for number in 0..40 {
        let more: [(AccountId, Environments); 2] =
            [(account_id(1), Environments::All), (account_id(100 + number), Environments::All)];
        fixture.change(at, &Arc::new(Scope::of(more.into())));
    }
    assert!(kept(&fixture) <= SCOPED_BYTES + EVENT_BYTES, "{}", kept(&fixture));
    for number in 0..=SUMMED {
        fixture.commit(vec![environment(2, &number.to_string())]);
    }
    assert_eq!(kept(&fixture), 0);
}

/// Watchers of one scope who are woken together: one of them makes the event, and it is counted once.
#[test]
fn an_event_is_made_once_by_many_threads_and_counted_once() {
    let mut fixture = Fixture::new();
    for number in 0..500 {
        fixture.commit(vec![environment(1, &number.to_string())]);
    }
    let scope = of_account(1);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for revision in 5..505 {
                    assert!(matches!(fixture.next(revision, &scope), Next::Event(..)));
                }
            });
        }
    });
    let kept = |revision| match fixture.next(revision, &scope) {
        Next::Event(told) => told.event.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(fixture.window.scoped_bytes.load(Ordering::Relaxed), (5..505).map(kept).sum::<usize>());
}

/// Watchers of a part, those who come back and the reader take the locks at once: nobody waits for ever.
#[test]
fn watchers_who_come_back_and_commits_do_not_block_each_other() {
    let fixture = Fixture::new();
    let Fixture { mut state, window } = fixture;
    let (window, over) = (Arc::new(window), Arc::new(AtomicBool::new(false)));
    let (done, finished) = std::sync::mpsc::channel();
    for number in 0..4_usize {
        let (window, over, done) = (Arc::clone(&window), Arc::clone(&over), done.clone());
        std::thread::spawn(move || {
            for round in 0_usize.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let head = window.head().borrow().revision;
                let before = Revision::new(head.get() - 1);
                // A scope of its own each time, so that an event is made.
                let only = Environments::Only([format!("e{number}-{round}").parse().unwrap()].into());
                let scope = Arc::new(Scope::of([(account_id(1), only)].into()));
                window.after(before, &scope);
                window.continues(head, None, &scope);
            }
            done.send(()).unwrap();
        });
    }
    std::thread::spawn(move || {
        for number in 0..4_000 {
            let name = format!("A {number}").parse().unwrap();
            let account = put(Object::Account(Account { id: account_id(1), name, strict_boundaries: false }));
            let revision = state.revision.next().unwrap();
            state.apply(revision, [&account]).unwrap();
            let places = vec![Place { account: account.key().account(), environment: None }];
            let sums = state.sums().clone();
            let entry = entry(revision, vec![account]);
            window.push(Commit::new(&entry, places, sums.clone(), FRESH, &unsigned()), sums);
        }
        over.store(true, Ordering::Relaxed);
        done.send(()).unwrap();
    });
    for _ in 0..5 {
        finished.recv_timeout(std::time::Duration::from_mins(1)).expect("a thread that goes on");
    }
}

#[test]
fn the_window_is_bounded_in_bytes_and_a_huge_commit_is_told_by_no_event() {
    let mut fixture = Fixture::new();
    let large = |bytes: usize| {
        let id = crate::model::id::BoundaryId::from_bytes([1; 16]);
        let boundary = crate::model::policy::Boundary { id, name: "B".parse().unwrap(), query: "x".repeat(bytes) };
        vec![put(Object::Boundary(account_id(1), boundary))]
    };
    let all = Arc::new(Scope::everything());
    for _ in 0..12 {
        fixture.commit(large(EVENT_BYTES - 4_096));
    }
    assert!(matches!(fixture.next(5, &all), Next::TooOld));
    let kept = 6..=fixture.state.revision.get();
    assert_eq!(kept.filter(|revision| matches!(fixture.next(revision - 1, &all), Next::Event(..))).count(), 8);
    fixture.commit(large(EVENT_BYTES));
    let head = fixture.state.revision.get();
    for (scope, sees) in [(&all, true), (&of_account(1), true), (&of_account(2), false)] {
        assert_eq!(matches!(fixture.next(head - 1, scope), Next::TooOld), sees);
        assert_eq!(matches!(fixture.next(head - 1, scope), Next::Silent(revision) if revision.get() == head), !sees);
        assert!(matches!(fixture.next(head, scope), Next::Head));
        let reaches = |revision| fixture.window.reaches(Revision::new(revision), scope);
        assert_eq!((reaches(head - 1), reaches(head)), (!sees, true), "nobody begins before what cannot be told");
    }
    fixture.commit(vec![environment(1, "a")]);
    assert_eq!(fixture.change(head, &all).after, head);
}
