//! A reading at one revision of etcd that others overtake.

use super::*;

#[test]
fn a_large_entry_is_read_as_it_was_though_its_parts_are_gone_since() {
    let Some(place) = Prefix::new() else { return };
    drop(furnished(&place));
    let store = open(&place);
    let (stand, step) = planned(&store, many(2_000, "large"));
    let fate = store.wait(store.replica.write(&draft(&step), stand.head_mod)).unwrap();
    let Fate::Done { head_mod, pending: true } = fate else { panic!("{fate:?}") };
    reaches(&store, step.revision());
    store.compact(&Retention { commits: 0, requests: PATIENCE, audit: PATIENCE }, at(0)).unwrap();
    let keys = place.member.ctl(&["get", "--prefix", "--keys-only", &place.config.prefix]);
    assert!(!keys.contains("log-parts"), "{keys}");
    let read = store.wait(store.replica.entry_at(step.revision(), head_mod)).unwrap();
    assert_eq!(read.unwrap(), step.entry);
}
