//! What follows from what was there, and what does not.

use proptest::prelude::*;

use super::super::testing::{
    account, binding, change, changes, chunks, commit, contents, digest, empty_change, environment, event, furnished,
    global, group, heartbeat, policy, puts, reset, state, store_id, user,
};
use super::*;
use crate::model::identity::UserState;
use crate::model::mutation::Edit;
use crate::model::object::Object;
use crate::proto::doorward::watch_response::Event;
use crate::store::api::Store;
use crate::store::memory;

/// Has applied [`furnished`] at revision 5.
fn settled() -> Applied {
    let mut applied = Applied::default();
    applied.event(reset(store_id(), &state(5, furnished()))).unwrap();
    applied
}

/// The revision in use.
fn in_use(applied: &Applied) -> Option<u64> {
    applied.current.as_ref().map(|(_, state)| state.revision.get())
}

fn is_partial(step: &Step) -> bool {
    matches!(step, Step::Partial)
}

/// `wrong` is refused by a settled state, which stays in use as it was.
fn check_refused(wrong: pb::WatchResponse) -> EventRejected {
    let mut applied = settled();
    let before = contents(&applied.current.as_ref().unwrap().1);
    let rejected = applied.event(wrong).expect_err("an event that does not follow");
    assert_eq!(contents(&applied.current.as_ref().unwrap().1), before, "{rejected}");
    rejected
}

#[test]
fn a_partial_reset_leaves_the_old_state_in_use() {
    let mut applied = settled();
    let parts = chunks(store_id(), &state(9, furnished()), 3);
    assert_eq!(parts.len(), 3);
    for part in &parts[..2] {
        assert!(is_partial(&applied.event(event(Event::Reset(part.clone()))).unwrap()));
        assert_eq!(in_use(&applied), Some(5));
        assert_eq!(applied.event(heartbeat(5, 5)).unwrap_err(), EventRejected::NotReset);
        assert_eq!(applied.event(empty_change(6, 5)).unwrap_err(), EventRejected::NotReset);
    }
    let step = applied.event(event(Event::Reset(parts[2].clone()))).unwrap();
    let Step::Moved(moved) = step else { panic!("{step:?}") };
    assert_eq!((moved.store, contents(&moved.state)), (store_id(), contents(&state(9, furnished()))));
    assert_eq!(in_use(&applied), Some(9));
}

#[test]
fn a_reset_throws_away_what_came_before_it() {
    let mut applied = settled();
    let parts = chunks(store_id(), &state(9, furnished()), 3);
    applied.event(event(Event::Reset(parts[0].clone()))).unwrap();
    // It begins anew, with less in it and at an earlier revision: the other store's numbers say nothing.
    applied.event(reset(StoreId::random(), &state(2, vec![global()]))).unwrap();
    assert_eq!(contents(&applied.current.as_ref().unwrap().1).1.len(), 1);
    // A chunk of the one that was thrown away has no place any more.
    assert_eq!(applied.event(event(Event::Reset(parts[1].clone()))).unwrap_err(), EventRejected::BrokenReset);
}

#[test]
fn a_new_stream_begins_with_the_first_chunk() {
    let mut applied = settled();
    let parts = chunks(store_id(), &state(9, furnished()), 3);
    applied.event(event(Event::Reset(parts[0].clone()))).unwrap();
    applied.begin_stream(false);
    assert_eq!(applied.event(event(Event::Reset(parts[1].clone()))).unwrap_err(), EventRejected::BrokenReset);
    assert_eq!(in_use(&applied), Some(5));
}

#[test]
fn a_new_stream_begins_with_a_reset_even_where_a_change_would_fit() {
    // It may come from another store: a change does not say.
    for early in [empty_change(6, 5), heartbeat(5, 5)] {
        let mut applied = settled();
        applied.begin_stream(false);
        assert_eq!(applied.event(early).unwrap_err(), EventRejected::NotReset);
        assert_eq!(in_use(&applied), Some(5));
        applied.event(reset(store_id(), &state(5, furnished()))).unwrap();
        applied.event(empty_change(6, 5)).unwrap();
    }
}

#[test]
fn chunks_that_do_not_belong_together_are_refused() {
    let parts = chunks(store_id(), &state(9, furnished()), 3);
    let other_revision = pb::Reset { revision: 10, ..parts[1].clone() };
    let other_store = pb::Reset { store_id: StoreId::random().to_string(), ..parts[1].clone() };
    for wrong in [other_revision, other_store] {
        let mut applied = settled();
        applied.event(event(Event::Reset(parts[0].clone()))).unwrap();
        assert_eq!(applied.event(event(Event::Reset(wrong))).unwrap_err(), EventRejected::BrokenReset);
        assert_eq!(in_use(&applied), Some(5));
    }
    assert_eq!(check_refused(event(Event::Reset(parts[1].clone()))), EventRejected::BrokenReset);
    let no_store = pb::Reset { store_id: "x".to_owned(), ..parts[0].clone() };
    assert!(matches!(check_refused(event(Event::Reset(no_store))), EventRejected::StoreId(_)));
    // What is owned comes after its owner.
    let mut orphans = chunks(store_id(), &state(9, furnished()), usize::MAX).remove(0);
    orphans.objects.remove(1);
    assert!(matches!(check_refused(event(Event::Reset(orphans))), EventRejected::Change(_)));
}

#[test]
fn a_commit_that_is_missing_or_comes_twice_is_refused() {
    let number = Revision::new;
    for (after, found) in [(6, 7), (5, 5), (4, 4), (3, 5), (5, 0), (6, u64::MAX)] {
        let wrong = pb::Change { after, revision: found, ..change(6, 5, Vec::new()) };
        let gap = EventRejected::Gap { applied: number(5), after: number(after), found: number(found) };
        assert_eq!(check_refused(event(Event::Change(wrong))), gap);
    }
    // What lies between is out of scope.
    for (after, found) in [(5, 6), (5, 9), (3, 6), (0, 7)] {
        let mut applied = settled();
        let next = pb::Change { after, revision: found, ..change(6, 5, Vec::new()) };
        applied.event(event(Event::Change(next))).unwrap();
        assert_eq!(in_use(&applied), Some(found));
    }
}

#[test]
fn what_comes_to_another_digest_is_refused() {
    let other = vec![7; Digest::BYTES];
    let is_diverged = |rejected| matches!(rejected, EventRejected::Diverged { .. });
    let change = pb::Change { digest: other.clone(), ..change(6, 5, Vec::new()) };
    assert!(is_diverged(check_refused(event(Event::Change(change)))));
    for revision in [5, 6] {
        let beat = pb::Heartbeat { revision, digest: other.clone(), time: None, age: None, signature: Vec::new() };
        assert!(is_diverged(check_refused(event(Event::Heartbeat(beat)))), "{revision}");
    }
    let whole = pb::Reset { digest: other, ..chunks(store_id(), &state(9, furnished()), usize::MAX).remove(0) };
    assert!(is_diverged(check_refused(event(Event::Reset(whole)))));
    for bytes in [0, 31, 33] {
        let beat = pb::Heartbeat { revision: 5, digest: vec![0; bytes], time: None, age: None, signature: Vec::new() };
        assert_eq!(field(event(Event::Heartbeat(beat))), "digest");
    }
}

#[test]
fn a_stream_that_was_asked_to_go_on_needs_no_reset() {
    let mut applied = settled();
    let position = applied.position().unwrap();
    assert_eq!((position.token.store, position.token.revision), (store_id(), Revision::new(5)));
    assert_eq!(position.digest.as_bytes().to_vec(), digest(&state(5, furnished())));
    applied.begin_stream(true);
    applied.event(empty_change(6, 5)).unwrap();
    assert_eq!(in_use(&applied), Some(6));
    assert_eq!(Applied::default().position(), None);
}

#[test]
fn nothing_follows_the_last_revision() {
    let mut applied = Applied::default();
    applied.event(reset(store_id(), &state(u64::MAX, furnished()))).unwrap();
    assert!(
        matches!(applied.event(empty_change(u64::MAX, u64::MAX)), Err(EventRejected::Gap { .. })),
        "it came already"
    );
}

#[test]
fn a_change_before_the_first_reset_is_refused() {
    for early in [empty_change(1, 1), heartbeat(0, 1)] {
        assert_eq!(Applied::default().event(early).unwrap_err(), EventRejected::NotReset);
    }
}

#[test]
fn a_heartbeat_confirms_what_was_applied() {
    let age = Some(prost_types::Duration { seconds: 3, nanos: 0 });
    for (age, seconds) in [(None, 0), (age, 3)] {
        let digest = digest(&state(5, furnished()));
        let beat = pb::Heartbeat { revision: 5, digest, time: None, age, signature: Vec::new() };
        let step = settled().event(event(Event::Heartbeat(beat))).unwrap();
        let Step::Confirmed(revision, age) = step else { panic!("{step:?}") };
        assert_eq!((revision.get(), age.as_secs()), (5, seconds));
    }
    let back = EventRejected::Back { head: Revision::new(4), applied: Revision::new(5) };
    assert_eq!(check_refused(heartbeat(4, 5)), back);
}

#[test]
fn a_reset_and_a_change_are_as_old_as_the_response_says() {
    let whole = reset(store_id(), &state(5, furnished()));
    for (told, age) in [(None, 0), (Some(3), 3)] {
        let age_told = told.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
        let mut applied = Applied::default();
        for event in [whole.clone(), empty_change(6, 5)] {
            let step = applied.event(pb::WatchResponse { age: age_told, ..event }).unwrap();
            assert_eq!(step.age().as_secs(), age, "{step:?}");
        }
    }
    for event in [whole, empty_change(6, 5)] {
        let age = Some(prost_types::Duration { seconds: -1, nanos: 0 });
        let refused = check_refused(pb::WatchResponse { age, ..event });
        assert!(matches!(&refused, EventRejected::Message(it) if it.field == "age"), "{refused:?}");
    }
}

#[test]
fn a_heartbeat_of_a_later_revision_advances_past_what_is_out_of_scope() {
    let mut applied = settled();
    let step = applied.event(heartbeat(8, 5)).unwrap();
    let Step::Moved(moved) = step else { panic!("{step:?}") };
    assert_eq!(moved.state.revision.get(), 8);
    assert_eq!(contents(&moved.state).1, contents(&state(5, furnished())).1);
    applied.event(empty_change(9, 5)).unwrap();
}

#[test]
fn an_unknown_event_is_refused() {
    assert_eq!(check_refused(pb::WatchResponse { event: None, age: None }), EventRejected::UnknownEvent);
}

/// A change of one object at revision 6.
fn put(object: pb::Object) -> pb::WatchResponse {
    let put = pb::ObjectChange { change: Some(pb::object_change::Change::Put(object)) };
    event(Event::Change(change(6, 5, vec![put])))
}

/// The message of `object` after `change`.
fn message(object: Object, change: impl FnOnce(&mut pb::object::Object)) -> pb::Object {
    let state = state(6, vec![global(), account(1, "one"), object]);
    let mut message = crate::proto::object::from_record(&state.records().last().unwrap());
    change(message.object.as_mut().unwrap());
    message
}

fn field(wrong: pb::WatchResponse) -> &'static str {
    match check_refused(wrong) {
        EventRejected::Message(invalid) => invalid.field,
        other => panic!("{other}"),
    }
}

#[test]
fn a_value_that_this_version_does_not_know_is_refused_and_never_guessed() {
    use pb::object::Object as It;
    for unknown in [0, 99, -1] {
        let of_user = |set: fn(&mut pb::User, i32)| {
            message(user(1, 2, UserState::Inactive), |it| {
                let It::User(user) = it else { panic!("{it:?}") };
                set(user, unknown);
            })
        };
        assert_eq!(field(put(of_user(|user, value| user.state = value))), "state");
        assert_eq!(field(put(of_user(|user, value| user.origin = value))), "origin");
        let owner = message(group(1, 2), |it| {
            let It::Group(group) = it else { panic!("{it:?}") };
            group.owner = unknown;
        });
        assert_eq!(field(put(owner)), "owner");
        let key = pb::ObjectKey { account: account_text(), kind: unknown, id: String::new() };
        let delete = pb::ObjectChange { change: Some(pb::object_change::Change::Delete(key)) };
        let delete = event(Event::Change(change(6, 5, vec![delete])));
        assert_eq!(field(delete), "kind");
    }
    assert_eq!(field(put(pb::Object { account: account_text(), object: None })), "object");
    let nothing = change(6, 5, vec![pb::ObjectChange { change: None }]);
    assert_eq!(field(event(Event::Change(nothing))), "change");
}

fn account_text() -> String {
    super::super::testing::account_id(1).to_string()
}

#[test]
fn a_binding_under_a_key_that_is_not_its_own_is_refused() {
    use pb::object::Object as It;
    let wrong = message(binding(1, 2), |it| {
        let It::Binding(binding) = it else { panic!("{it:?}") };
        binding.key = "0".repeat(32);
    });
    assert_eq!(field(put(wrong)), "key");
    let other = message(binding(1, 2), |it| {
        let It::Binding(binding) = it else { panic!("{it:?}") };
        binding.parameters.insert("x".to_owned(), "y".to_owned());
    });
    assert_eq!(field(put(other)), "key");
}

#[test]
fn a_change_of_an_account_that_is_not_there_is_refused() {
    let stranger = message(account(2, "two"), |_| {});
    let mut owned = message(group(1, 2), |_| {});
    owned.account.clone_from(&super::super::testing::account_id(2).to_string());
    assert!(matches!(check_refused(put(owned)), EventRejected::Change(_)));
    // The account itself fits; what it comes to is another state than the change says.
    assert!(matches!(check_refused(put(stranger)), EventRejected::Diverged { .. }));
}

/// Few objects, so that they meet often.
fn any_edit() -> impl Strategy<Value = Edit> {
    let object = prop_oneof![
        (1..3_u8, 0..2_u8).prop_map(|(owner, form)| account(owner, &format!("name {form}"))),
        (1..3_u8, 0..2_u8).prop_map(|(owner, form)| environment(owner, "prod", &format!("name {form}"))),
        (1..3_u8, 1..4_u8).prop_map(|(owner, number)| group(owner, number)),
        (1..3_u8, 1..4_u8, any::<bool>()).prop_map(|(owner, number, active)| {
            user(owner, number, if active { UserState::Active } else { UserState::Pending })
        }),
        (1..3_u8, 1..3_u8, 0..2_u8).prop_map(|(owner, number, form)| policy(
            owner,
            number,
            ["ALLOW a:b:c;", "DENY a:b:c;"][form as usize]
        )),
        (1..3_u8, 1..3_u8).prop_map(|(owner, number)| binding(owner, number)),
    ];
    (object, 0..4_u8).prop_map(|(object, choice)| match choice {
        0 => Edit::Delete(object.key()),
        _ => Edit::Put(object),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_reset_and_the_changes_after_it_add_up_to_the_store(
        load in proptest::collection::vec(proptest::collection::vec(any_edit(), 1..6), 1..12),
        begin in 0..12_usize,
        size in 1..8_usize,
    ) {
        let store = memory::open().unwrap();
        let whole = puts([global(), account(1, "one"), account(2, "two")]);
        commit(&store, whole);
        let mut begun = store.state();
        for (number, edits) in load.into_iter().enumerate() {
            if number == begin {
                begun = store.state();
            }
            let at = jiff::Timestamp::UNIX_EPOCH;
            let (expected, subject) = (store.state().revision, edits[0].key());
            let actor = crate::model::mutation::Actor::system();
            // An edit that does not fit is refused whole, and is no commit then.
            let _ = store.commit(crate::model::mutation::Mutation { actor, at, expected, request: None, subject, edits });
        }
        let mut applied = Applied::default();
        for chunk in chunks(store_id(), &begun, size) {
            applied.event(event(Event::Reset(chunk))).unwrap();
        }
        for change in changes(&store, &begun) {
            applied.event(change).unwrap();
        }
        prop_assert_eq!(contents(&applied.current.unwrap().1), contents(&store.state()));
    }
}

#[test]
fn an_event_that_is_not_signed_by_the_trusted_key_is_refused() {
    let (signer, verifier) = crate::signature::tests::pair();
    let trust = Trust { verifier, scope: Scope::everything() };
    let whole = state(5, furnished());
    let signature = |store: StoreId, revision: u64, scope: &Scope| {
        let token = RevisionToken { store, revision: Revision::new(revision) };
        signer.sign(&Statement { token, scope, digest: whole.sums().whole().digest() })
    };
    let reset = |signature| pb::Reset { signature, ..chunks(store_id(), &whole, usize::MAX).remove(0) };
    let refused = |event: Event| {
        let mut applied = Applied::begin(None, Some(trust.clone()));
        let rejected = applied.event(pb::WatchResponse { event: Some(event), age: None }).unwrap_err();
        assert!(matches!(rejected, EventRejected::Unsigned { .. }) && rejected.kind() == "signature", "{rejected}");
    };
    let all = Scope::everything();
    refused(Event::Reset(reset(Vec::new())));
    refused(Event::Reset(reset(signature(StoreId::random(), 5, &all))));
    refused(Event::Reset(reset(signature(store_id(), 6, &all))));
    refused(Event::Reset(reset(signature(store_id(), 5, &Scope::of([].into())))));
    let mut applied = Applied::begin(None, Some(trust.clone()));
    applied.event(event(Event::Reset(reset(signature(store_id(), 5, &all))))).unwrap();
    let next = |signature| event(Event::Change(pb::Change { signature, ..change(6, 5, Vec::new()) }));
    assert!(matches!(applied.event(next(Vec::new())), Err(EventRejected::Unsigned { .. })));
    assert_eq!(in_use(&applied), Some(5));
    let Step::Moved(moved) = applied.event(next(signature(store_id(), 6, &all))).unwrap() else { panic!("it fits") };
    assert_eq!(moved.signature, signature(store_id(), 6, &all));
    let beat = |signature| {
        let digest = digest(&whole);
        event(Event::Heartbeat(pb::Heartbeat { revision: 6, digest, time: None, age: None, signature }))
    };
    assert!(matches!(applied.event(beat(signature(store_id(), 5, &all))), Err(EventRejected::Unsigned { .. })));
    assert!(matches!(applied.event(beat(signature(store_id(), 6, &all))), Ok(Step::Confirmed(..))));
}
