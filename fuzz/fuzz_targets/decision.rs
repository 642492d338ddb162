//! The engine against the reference, as in `tests/differential.rs`: any bytes make a state and questions about it.
//!
//! What is found is told as a vector file; `-minimize_crash=1` makes the bytes, and with them the case, smaller.

#![no_main]

#[path = "../../tests/differential/found.rs"]
#[expect(dead_code, reason = "libFuzzer makes a case small in its own way")]
mod found;
#[path = "../../tests/reference/mod.rs"]
mod reference;

use doorward::model::revision::StoreId;
use doorward::snapshot::build::Snapshot;
use libfuzzer_sys::fuzz_target;

use crate::found::compare;
use crate::reference::Reference;
use crate::reference::engine;
use crate::reference::generate::{Choices, question, world};
use crate::reference::vector::vector;

/// Questions asked about one state, while there are bytes.
const QUESTIONS: usize = 16;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices::new(bytes);
    let world = world(&mut choices);
    let reference = Reference::new(&world.state, world.account);
    let snapshot = Snapshot::build(store(), &world.state, None);
    for _ in 0..QUESTIONS {
        let question = question(&mut choices, &world);
        let edges = &world.mentioned.edges;
        let (answer, wrong) =
            compare(&engine::ask_until, &reference, snapshot.as_ref(), world.account, &question, edges);
        if let Some(wrong) = wrong {
            let text = vector(&world.accepted, world.account, &world.forgotten, &question, &answer);
            panic!("{text}\nreference: {answer:#?}\nengine: {wrong}");
        }
        if choices.is_empty() {
            break;
        }
    }
});

fn store() -> StoreId {
    "00000000000000000000000000000001".parse().expect("the id of a store")
}
