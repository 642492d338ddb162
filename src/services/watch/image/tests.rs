//! A whole state is made once for those who begin together, and nobody waits for somebody slow.

use super::*;
use crate::compile::shipped_global;
use crate::model::account::Account;
use crate::model::id::AccountId;
use crate::model::mutation::{Actor, Edit, Mutation};
use crate::model::object::{Object, ObjectKey};
use crate::model::scope::Environments;
use crate::store::memory;

fn account_id(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

/// A store with the global level and so many accounts.
fn store(accounts: u8) -> Arc<dyn Store> {
    let store = memory::open().unwrap();
    let account = |number: u8| Account {
        id: account_id(number),
        name: format!("Account {number} {}", "x".repeat(200)).parse().unwrap(),
        strict_boundaries: false,
    };
    let objects = (0..accounts).map(|number| Object::Account(account(number)));
    let edits = std::iter::once(Object::Global(shipped_global())).chain(objects).map(Edit::Put).collect();
    let (actor, at) = (Actor::system(), jiff::Timestamp::UNIX_EPOCH);
    let (expected, subject) = (store.state().revision, ObjectKey::Global);
    store.commit(Mutation { actor, at, expected, request: None, subject, edits }).unwrap();
    Arc::new(store)
}

struct Fixture {
    images: Images,
    window: Window,
}

// === impl Fixture ===

impl Fixture {
    fn new(accounts: u8) -> Self {
        let store = store(accounts);
        let (state, seal) = (store.state(), Seal::new(store.id(), None));
        let window = Window::new(state.revision, state.sums().clone(), seal.clone());
        Self { images: Images::new(store, Clock::system(), seal), window }
    }

    fn of_account(&self, number: u8) -> Telling {
        let scope = Scope::of([(account_id(number), Environments::All)].into());
        self.images.of(&Arc::new(scope), &self.window)
    }
}

async fn told(mut telling: Telling) -> Vec<pb::Reset> {
    let mut chunks = Vec::new();
    loop {
        match telling.next().await {
            Part::Chunk(chunk) => match chunk.decoded() {
                Some(Event::Reset(chunk)) => chunks.push(chunk),
                other => panic!("{other:?}"),
            },
            Part::End => return chunks,
            Part::Gone => panic!("it is read"),
        }
    }
}

#[tokio::test]
async fn nobody_waits_for_a_place_that_a_slow_watcher_holds() {
    let fixture = Fixture::new(12);
    let slow: Vec<_> = (0..8).map(|number| fixture.of_account(number)).collect();
    assert!(slow.iter().all(|telling| matches!(telling, Telling::Shared(..))));
    let alone = fixture.of_account(9);
    assert!(matches!(alone, Telling::Alone(..)));
    let chunks = told(alone).await;
    drop(slow);
    // The places come back with the images, whose writers may still hold them for a moment.
    let shared = loop {
        match fixture.of_account(9) {
            Telling::Alone(..) => tokio::task::yield_now().await,
            shared @ Telling::Shared(..) => break shared,
        }
    };
    assert_eq!(told(shared).await, chunks, "alone or with others it is the same");
}

#[tokio::test]
async fn those_who_begin_together_read_the_same_image() {
    let fixture = Fixture::new(2);
    let (one, other) = (fixture.of_account(1), fixture.of_account(1));
    let (Telling::Shared(one, _), Telling::Shared(other, _)) = (&one, &other) else { panic!("there is room") };
    assert!(Arc::ptr_eq(one, other));
    one.give_up();
    assert!(matches!(one.part(0).await, Part::Gone));
    assert!(matches!(fixture.of_account(1), Telling::Shared(image, _) if !Arc::ptr_eq(&image, one)));
}

#[tokio::test]
async fn so_many_slow_watchers_are_told_alone_and_the_others_with_each_other() {
    let fixture = Fixture::new(2);
    let slow = || {
        let scope = Scope::of([(account_id(1), Environments::All)].into());
        fixture.images.of_slow(&Arc::new(scope), &fixture.window)
    };
    let alone: Vec<_> = (0..SLOW).map(|_| slow()).collect();
    assert!(alone.iter().all(|telling| matches!(telling, Telling::Alone(..))));
    assert!(matches!(slow(), Telling::Shared(..)));
    drop(alone);
    while !matches!(slow(), Telling::Alone(..)) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_image_whose_writing_breaks_off_is_given_up() {
    let fixture = Fixture::new(2);
    let place = Arc::clone(&fixture.images.places).try_acquire_owned().unwrap();
    let progress = watch::Sender::new(Progress::Made(0));
    let origin = Origin { revision: Revision::new(1), fresh: Clock::system().moment() };
    let image = Arc::new(Image { origin, chunks: RwLock::default(), progress, _place: place });
    let kept = Arc::downgrade(&image);
    let broken = std::iter::once_with(|| -> Encoded { panic!("a record that cannot be told") });
    let written = tokio::task::spawn_blocking(move || write(&kept, broken)).await;
    assert!(written.is_err());
    assert!(matches!(image.part(0).await, Part::Gone));
}

#[tokio::test]
async fn an_image_that_the_window_does_not_lead_on_from_is_not_shared() {
    let fixture = Fixture::new(2);
    let Telling::Shared(old, _) = fixture.of_account(1) else { panic!("there is room") };
    fixture.window.restart(Revision::new(9), fixture.images.store.state().sums().clone());
    assert!(matches!(fixture.of_account(1), Telling::Shared(image, _) if !Arc::ptr_eq(&image, &old)));
}
