//! A beginning whose answer is lost, and what is found where something is.

use super::super::super::tests::etcd::Prefix;
use super::super::super::tests::furnished;
use super::*;
use crate::store::etcd::client::Client;
use crate::store::etcd::layout::Keys;
use crate::store::etcd::{EtcdError, runtime};

fn replica(place: &Prefix) -> Replica {
    let (config, store) = (&place.config, StoreId::random());
    let identity = Identity { store, written: 0 };
    Replica::new(Client::new(config).unwrap(), Keys::new(&config.prefix), config.place(), identity)
}

fn keys(place: &Prefix) -> usize {
    place.member.ctl(&["get", "--prefix", "--keys-only", &place.config.prefix]).split_whitespace().count()
}

#[test]
fn a_beginning_of_unknown_fate_is_taken_away_and_nothing_else() {
    let Some(place) = Prefix::new() else { return };
    let runtime = runtime("it").unwrap();
    let (own, other) = (replica(&place), replica(&place));
    runtime.block_on(begin(&own)).unwrap();
    assert_eq!(keys(&place), 3);
    runtime.block_on(withdraw(&other));
    assert_eq!(keys(&place), 3, "it is of another one");
    runtime.block_on(withdraw(&own));
    assert_eq!(keys(&place), 0);
    drop(furnished(&place));
    let before = keys(&place);
    runtime.block_on(withdraw(&own));
    assert_eq!(keys(&place), before);
}

#[test]
fn only_another_store_or_something_else_is_called_taken() {
    let (own, place) = (StoreId::random(), String::new);
    let check = |found: Result<Identity, StoreError>, expected: Option<bool>| {
        assert_eq!(is_own(found, own).ok(), expected);
    };
    check(Ok(Identity { store: own, written: 7 }), Some(true));
    check(Ok(Identity { store: StoreId::random(), written: 7 }), Some(false));
    check(Err(StoreError::Foreign { place: place(), found: String::new() }), Some(false));
    check(Err(StoreError::Format { place: place(), found: String::new(), known: "1" }), Some(false));
    for error in [EtcdError::NoLeader, EtcdError::PermissionDenied, EtcdError::AuthFailed] {
        check(Err(StoreError::Remote { place: place(), source: error.into() }), None);
    }
}
