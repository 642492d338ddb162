//! The administrative services as a client sees them: what is true of every noun, each sentence a test for each noun.
//!
//! [`audit`] is about what is told of changes, [`refusals`] about single fields, [`references`] about nouns that refer to each other, [`boundaries`] about what
//! a change of one does to its bindings, [`entrance`] about credentials.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: what goes wrong here fails the test, with its reason"
)]

#[path = "api_admin/audit.rs"]
mod audit;
#[path = "api_admin/boundaries.rs"]
mod boundaries;
#[path = "support/control_plane.rs"]
mod control_plane;
#[path = "api_admin/defaults.rs"]
mod defaults;
#[path = "api_admin/entrance.rs"]
mod entrance;
#[path = "support/nouns.rs"]
mod nouns;
#[path = "api_admin/references.rs"]
mod references;
#[path = "api_admin/refusals.rs"]
mod refusals;

use std::time::Duration;

use doorward::proto::doorward as pb;
use tonic::{Code, Status};

use crate::control_plane::{bearer, fields};
use crate::nouns::{
    Accounts, Answer, Bindings, Boundaries, Environments, Groups, How, Noun, PLAIN, Policies, ServiceUsers, Users,
    World,
};

/// An id of version 4 that nothing has.
const NOBODY: &str = "7f1c2c1e-3a52-4b7c-9a51-0d2f6f3b8e44";
/// A key that no binding has.
const NOTHING: &str = "0123456789abcdef0123456789abcdef";

/// Writes a test for each noun out of each sentence.
macro_rules! for_each_noun {
    ($($sentence:ident),+ $(,)?) => {$(
        mod $sentence {
            use super::{Accounts, Bindings, Boundaries, Environments, Groups, Policies, ServiceUsers, Users};
            for_each_noun!(@ $sentence, accounts Accounts, environments Environments, users Users,
                service_users ServiceUsers, groups Groups, policies Policies, boundaries Boundaries,
                bindings Bindings);
        }
    )+};
    (@ $sentence:ident, $($name:ident $noun:ident),+) => {$(
        #[tokio::test]
        async fn $name() {
            super::$sentence::<$noun>().await;
        }
    )+};
}

for_each_noun!(
    every_field_comes_back_as_it_was_given,
    times_and_revision_tell_what_happened,
    an_id_is_made_or_kept,
    what_is_taken_already_exists,
    what_is_not_there_is_not_found,
    a_stale_revision_is_aborted,
    a_repeated_request_is_answered_as_the_first_time,
    a_repeated_request_is_answered_so_after_others_changed_the_resource,
    a_request_id_of_another_request_is_refused,
    two_credentials_may_use_the_same_request_id,
    pages_hold_every_item_exactly_once,
    a_page_that_cannot_be_is_refused,
    a_resource_that_is_left_out_is_refused,
);

/// The resource without what Doorward sets.
fn bare<N: Noun>(mut form: N::Form) -> N::Form {
    N::set_id(&mut form, "");
    *N::metadata(&mut form) = None;
    form
}

fn stamp<N: Noun>(form: &N::Form) -> pb::Metadata {
    N::metadata(&mut form.clone()).expect("an answer with its metadata")
}

/// The id of a second one that nothing has, in the form of the noun.
fn unknown<N: Noun>() -> &'static str {
    if N::FIELD == "binding" { NOTHING } else { NOBODY }
}

async fn create<N: Noun>(world: &World, form: N::Form, how: &How) -> Result<Answer<N::Form>, Status> {
    N::create(world.caller(), &world.account, form, how).await
}

async fn get<N: Noun>(world: &World, form: &N::Form) -> Result<Answer<N::Form>, Status> {
    N::get(world.caller(), &world.account, &N::id(form)).await
}

/// Replaces `old` by `form`.
async fn update<N: Noun>(world: &World, old: &N::Form, form: N::Form, how: &How) -> Result<Answer<N::Form>, Status> {
    N::update(world.caller(), &world.account, &N::id(old), form, how).await
}

async fn delete<N: Noun>(world: &World, form: &N::Form, how: &How) -> Result<String, Status> {
    N::delete(world.caller(), &world.account, &N::id(form), how).await
}

/// What goes wrong has this code, and the store is as it was.
async fn refused<T: std::fmt::Debug>(
    world: &World,
    code: Code,
    call: impl Future<Output = Result<T, Status>>,
) -> Status {
    let before = world.server.contents();
    let status = call.await.expect_err("a refusal");
    assert_eq!(status.code(), code, "{status:?}");
    assert_eq!(world.server.contents(), before, "a refusal changes nothing: {status:?}");
    status
}

async fn every_field_comes_back_as_it_was_given<N: Noun>() {
    let world = World::new().await;
    let sample = N::sample(&world, 1);
    let made = create::<N>(&world, sample.clone(), PLAIN).await.unwrap();
    assert_eq!(bare::<N>(made.form.clone()), bare::<N>(sample), "made");
    assert_eq!(get::<N>(&world, &made.form).await.unwrap().form, made.form, "read");

    let changed = N::changed(&world, made.form.clone());
    let updated = update::<N>(&world, &made.form, changed.clone(), PLAIN).await.unwrap();
    assert_eq!(bare::<N>(updated.form.clone()), bare::<N>(changed), "replaced");
    assert_eq!(get::<N>(&world, &updated.form).await.unwrap().form, updated.form, "read again");
    let listed = N::list(world.caller(), &world.account, 1_000, "").await.unwrap().0;
    assert!(listed.contains(&updated.form), "listed");
}

async fn times_and_revision_tell_what_happened<N: Noun>() {
    let world = World::new().await;
    let made_at = world.server.clock.now();
    let made = create::<N>(&world, N::sample(&world, 1), PLAIN).await.unwrap();
    let first = stamp::<N>(&made.form);
    let seconds = |time: &Option<prost_types::Timestamp>| time.map(|time| time.seconds);
    assert_eq!((seconds(&first.create_time), first.create_time), (Some(made_at.as_second()), first.update_time));
    assert_eq!(first.revision, world.server.revision());
    assert_eq!(made.revision_token, format!("{}.{}", world.server.store.id(), first.revision));

    world.server.clock.pass(Duration::from_mins(1));
    let changed = N::changed(&world, made.form.clone());
    let updated = update::<N>(&world, &made.form, changed.clone(), PLAIN).await.unwrap();
    let second = stamp::<N>(&updated.form);
    assert_eq!(seconds(&second.update_time), Some(made_at.as_second() + 60));
    assert_eq!(second.revision, first.revision + 1);
    // A binding's identity is its content: with another content it is another binding.
    let born = if N::FIELD == "binding" { second.update_time } else { first.create_time };
    assert_eq!(second.create_time, born);

    world.server.clock.pass(Duration::from_mins(1));
    let again = update::<N>(&world, &updated.form, updated.form.clone(), PLAIN).await.unwrap();
    assert_eq!(again.form, updated.form, "what is so already is no change");
    assert_eq!(world.server.revision(), second.revision);

    let gone = delete::<N>(&world, &updated.form, PLAIN).await.unwrap();
    assert_eq!(gone, format!("{}.{}", world.server.store.id(), second.revision + 1));
}

async fn an_id_is_made_or_kept<N: Noun>() {
    let world = World::new().await;
    let made = create::<N>(&world, N::sample(&world, 1), PLAIN).await.unwrap();
    let mut wished = N::sample(&world, 2);
    let is_v4 = |id: &str| uuid::Uuid::try_parse(id).is_ok_and(|id| id.get_version_num() == 4);
    match N::FIELD {
        "binding" => {
            N::set_id(&mut wished, NOTHING);
            let made = create::<N>(&world, wished, PLAIN).await.unwrap();
            assert_ne!(N::id(&made.form), NOTHING, "a key is a name for the content, never chosen");
            assert_eq!(N::id(&made.form).len(), 32);
        }
        "environment" => {
            N::set_id(&mut wished, "");
            let status = refused(&world, Code::InvalidArgument, create::<N>(&world, wished, PLAIN)).await;
            assert_eq!(fields(&status), ["environment.id"], "the short id is the account's choice");
        }
        _ => {
            assert!(is_v4(&N::id(&made.form)), "{made:?}");
            N::set_id(&mut wished, NOBODY);
            let made = create::<N>(&world, wished, PLAIN).await.unwrap();
            assert_eq!(N::id(&made.form), NOBODY);
        }
    }
}

async fn what_is_taken_already_exists<N: Noun>() {
    let world = World::new().await;
    let made = create::<N>(&world, N::sample(&world, 1), PLAIN).await.unwrap();
    let mut same_id = N::sample(&world, 2);
    N::set_id(&mut same_id, &N::id(&made.form));
    if N::FIELD != "binding" {
        refused(&world, Code::AlreadyExists, create::<N>(&world, same_id, PLAIN)).await;
    }
    let same_name = N::sample(&world, 1);
    if N::UNIQUE {
        refused(&world, Code::AlreadyExists, create::<N>(&world, same_name, PLAIN)).await;
        let other = create::<N>(&world, N::sample(&world, 3), PLAIN).await.unwrap();
        let mut taken = N::sample(&world, 1);
        N::set_id(&mut taken, &N::id(&other.form));
        // An e-mail cannot change at all, so that a user cannot even try to take another's.
        let code = if N::FIELD.ends_with("user") { Code::InvalidArgument } else { Code::AlreadyExists };
        refused(&world, code, update::<N>(&world, &other.form, taken, PLAIN)).await;
    }
}

async fn what_is_not_there_is_not_found<N: Noun>() {
    let world = World::new().await;
    let mut form = N::sample(&world, 1);
    N::set_id(&mut form, unknown::<N>());
    let how = PLAIN;
    refused(&world, Code::NotFound, get::<N>(&world, &form)).await;
    refused(&world, Code::NotFound, update::<N>(&world, &form, form.clone(), how)).await;
    refused(&world, Code::NotFound, delete::<N>(&world, &form, how)).await;
    if N::FIELD != "account" {
        let made = create::<N>(&world, N::sample(&world, 1), how).await.unwrap().form;
        let other = world.server.account("Other").await;
        // There is no look-up without an account, neither in one that is not there nor in one that has it not.
        for account in [NOBODY, &other] {
            let id = N::id(&made);
            refused(&world, Code::NotFound, N::get(world.caller(), account, &id)).await;
            refused(&world, Code::NotFound, N::update(world.caller(), account, &id, made.clone(), how)).await;
            refused(&world, Code::NotFound, N::delete(world.caller(), account, &id, how)).await;
        }
        refused(&world, Code::NotFound, N::list(world.caller(), NOBODY, 1, "")).await;
        refused(&world, Code::NotFound, N::create(world.caller(), NOBODY, N::sample(&world, 2), how)).await;
    }
    let made = create::<N>(&world, N::sample(&world, 4), how).await.unwrap().form;
    delete::<N>(&world, &made, how).await.unwrap();
    refused(&world, Code::NotFound, get::<N>(&world, &made)).await;
    refused(&world, Code::NotFound, delete::<N>(&world, &made, how)).await;
}

async fn a_stale_revision_is_aborted<N: Noun>() {
    let world = World::new().await;
    let made = create::<N>(&world, N::sample(&world, 1), PLAIN).await.unwrap().form;
    // Something else changes: the resource is still as it was read.
    world.make::<Environments>(Environments::sample(&world, 200)).await;
    let read = How { expected_revision: stamp::<N>(&made).revision, ..How::default() };
    let updated = update::<N>(&world, &made, N::changed(&world, made.clone()), &read).await.unwrap().form;
    if N::FIELD != "binding" {
        refused(&world, Code::Aborted, update::<N>(&world, &updated, made.clone(), &read)).await;
        refused(&world, Code::Aborted, delete::<N>(&world, &updated, &read)).await;
    }
    let ahead = How { expected_revision: stamp::<N>(&updated).revision + 1, ..How::default() };
    refused(&world, Code::Aborted, delete::<N>(&world, &updated, &ahead)).await;
    refused(&world, Code::Aborted, update::<N>(&world, &updated, updated.clone(), &ahead)).await;
    let read = How { expected_revision: stamp::<N>(&updated).revision, ..How::default() };
    delete::<N>(&world, &updated, &read).await.unwrap();
}

fn request(id: &str) -> How {
    How { request_id: id.to_owned(), ..How::default() }
}

async fn a_repeated_request_is_answered_as_the_first_time<N: Noun>() {
    let world = World::new().await;
    let form = N::sample(&world, 1);
    let first = create::<N>(&world, form.clone(), &request("c")).await.unwrap();
    let revision = world.server.revision();
    assert_eq!(create::<N>(&world, form, &request("c")).await.unwrap(), first);

    let changed = N::changed(&world, first.form.clone());
    let updated = update::<N>(&world, &first.form, changed.clone(), &request("u")).await.unwrap();
    assert_eq!(update::<N>(&world, &first.form, changed, &request("u")).await.unwrap(), updated);

    let gone = delete::<N>(&world, &updated.form, &request("d")).await.unwrap();
    assert_eq!(delete::<N>(&world, &updated.form, &request("d")).await.unwrap(), gone);
    assert_eq!(world.server.revision(), revision + 2, "one commit for each request");
}

async fn a_repeated_request_is_answered_so_after_others_changed_the_resource<N: Noun>() {
    let world = World::new().await;
    let form = N::sample(&world, 1);
    let first = create::<N>(&world, form.clone(), &request("c")).await.unwrap();
    world.server.clock.pass(Duration::from_secs(1));
    let changed = N::changed(&world, first.form.clone());
    let updated = update::<N>(&world, &first.form, changed.clone(), &request("u")).await.unwrap();
    assert_eq!(create::<N>(&world, form.clone(), &request("c")).await.unwrap(), first, "changed since");
    delete::<N>(&world, &updated.form, &request("d")).await.unwrap();
    let revision = world.server.revision();
    assert_eq!(create::<N>(&world, form, &request("c")).await.unwrap(), first, "deleted since");
    assert_eq!(update::<N>(&world, &first.form, changed, &request("u")).await.unwrap(), updated);
    assert_eq!(world.server.revision(), revision, "a repetition brings nothing back");
}

async fn a_request_id_of_another_request_is_refused<N: Noun>() {
    let world = World::new().await;
    let made = create::<N>(&world, N::sample(&world, 1), &request("same")).await.unwrap().form;
    let same = request("same");
    let other = create::<N>(&world, N::sample(&world, 2), &same);
    assert_eq!(fields(&refused(&world, Code::InvalidArgument, other).await), ["request_id"]);
    let changed = update::<N>(&world, &made, N::changed(&world, made.clone()), &same);
    assert_eq!(fields(&refused(&world, Code::InvalidArgument, changed).await), ["request_id"]);
    let deleted = delete::<N>(&world, &made, &same);
    assert_eq!(fields(&refused(&world, Code::InvalidArgument, deleted).await), ["request_id"]);
    for wrong in ["a\0b", &"x".repeat(129)] {
        let wrong = request(wrong);
        let deleted = delete::<N>(&world, &made, &wrong);
        assert_eq!(fields(&refused(&world, Code::InvalidArgument, deleted).await), ["request_id"]);
    }
    delete::<N>(&world, &made, &request(&"x".repeat(128))).await.unwrap();
}

async fn two_credentials_may_use_the_same_request_id<N: Noun>() {
    let world = World::new().await;
    let first = create::<N>(&world, N::sample(&world, 1), &request("same")).await.unwrap();
    let other = world.server.caller_with(&[&bearer(&world.server.other_root)]);
    let second = N::create(other, &world.account, N::sample(&world, 2), &request("same")).await.unwrap();
    assert_ne!(N::id(&first.form), N::id(&second.form));
}

async fn pages_hold_every_item_exactly_once<N: Noun>() {
    let world = World::new().await;
    for number in 0..5 {
        world.make::<N>(N::sample(&world, number)).await;
    }
    let (all, end) = N::list(world.caller(), &world.account, 1_000, "").await.unwrap();
    let ids: Vec<_> = all.iter().map(N::id).collect();
    assert!(ids.len() >= 5 && ids.is_sorted() && end.is_empty(), "{ids:?}");
    for size in [1, 2, 3, i32::try_from(all.len()).unwrap(), 1_000, 0] {
        let mut walked = Vec::new();
        let mut token = String::new();
        loop {
            let (page, next) = N::list(world.caller(), &world.account, size, &token).await.unwrap();
            assert!(size == 0 || page.len() <= size.unsigned_abs() as usize);
            walked.extend(page);
            if next.is_empty() {
                break;
            }
            token = next;
        }
        assert_eq!(walked, all, "page size {size}");
    }
}

async fn a_page_that_cannot_be_is_refused<N: Noun>() {
    let world = World::new().await;
    for number in 0..2 {
        world.make::<N>(N::sample(&world, number)).await;
    }
    for (size, token, field) in [
        (-1, "", "page_size"),
        (1_001, "", "page_size"),
        (i32::MIN, "", "page_size"),
        (1, "nonsense", "page_token"),
        (1, ".", "page_token"),
        (1, "a\0b", "page_token"),
    ] {
        let status = refused(&world, Code::InvalidArgument, N::list(world.caller(), &world.account, size, token)).await;
        assert_eq!(fields(&status), [field], "{size} {token:?}");
    }
    let (_, token) = N::list(world.caller(), &world.account, 1, "").await.unwrap();
    assert!(!token.is_empty());
    let other = world.server.account("Other").await;
    if N::FIELD != "account" {
        let elsewhere = N::list(world.caller(), &other, 1, &token);
        assert_eq!(fields(&refused(&world, Code::InvalidArgument, elsewhere).await), ["page_token"]);
    }
    if N::FIELD != "group" {
        let elsewhere = Groups::list(world.caller(), &world.account, 1, &token);
        assert_eq!(fields(&refused(&world, Code::InvalidArgument, elsewhere).await), ["page_token"]);
    }
}

/// An empty message stands for one that is left out: every noun needs something in it.
async fn a_resource_that_is_left_out_is_refused<N: Noun>() {
    let world = World::new().await;
    let status = refused(&world, Code::InvalidArgument, create::<N>(&world, N::Form::default(), PLAIN)).await;
    let named = fields(&status);
    assert!(!named.is_empty() && named.iter().all(|field| field.starts_with(&format!("{}.", N::FIELD))), "{named:?}");
}

#[tokio::test]
async fn a_page_of_size_0_holds_100() {
    let world = World::new().await;
    for number in 0..101 {
        world.make::<Users>(Users::sample(&world, number)).await;
    }
    let (page, next) = Users::list(world.caller(), &world.account, 0, "").await.unwrap();
    assert_eq!(page.len(), 100);
    let (rest, end) = Users::list(world.caller(), &world.account, 0, &next).await.unwrap();
    assert_eq!((rest.len(), end.as_str()), (1, ""));
    assert!(!page.contains(&rest[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_all_succeed_and_the_log_has_each_once() {
    let world = World::new().await;
    let before = world.server.store.state().revision;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8_u8 {
        let (caller, account) = (world.caller(), world.account.clone());
        let samples: Vec<_> = (0..4_u8).map(|n| Users::sample(&world, writer * 4 + n)).collect();
        writers.spawn(async move {
            for form in samples {
                let made = Users::create(caller.clone(), &account, form, PLAIN).await;
                made.expect("a user of its own");
            }
        });
    }
    writers.join_all().await;
    let log = world.server.store.changes_after(before, usize::MAX).unwrap();
    let revisions: Vec<_> = log.iter().map(|entry| entry.revision.get()).collect();
    assert_eq!(revisions, (before.get() + 1..=before.get() + 32).collect::<Vec<_>>());
    let mut subjects: Vec<_> = log.iter().map(|entry| entry.subject.clone()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    assert_eq!(subjects.len(), 32);
    assert_eq!(Users::list(world.caller(), &world.account, 1_000, "").await.unwrap().0.len(), 32);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_that_is_sent_eight_times_at_once_is_carried_out_once() {
    for round in 0..8 {
        let world = World::new().await;
        let before = world.server.revision();
        let mut senders = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (caller, account, form) = (world.caller(), world.account.clone(), Users::sample(&world, 1));
            senders.spawn(async move { Users::create(caller, &account, form, &request("once")).await });
        }
        let answers = senders.join_all().await;
        let first = answers[0].as_ref().unwrap();
        for answer in &answers {
            assert_eq!(answer.as_ref().unwrap(), first, "round {round}");
        }
        assert_eq!(world.server.revision(), before + 1);
    }
}
