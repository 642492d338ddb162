//! Doorward itself. The reasons of D9 are read in every form.

use std::hint::black_box;

use doorward::eval::Outcome;
use doorward::model::decision::CheckRequest;
use doorward::model::id::AccountId;
use doorward::snapshot::build::Snapshot;
use doorward::workload::Request;

use super::engine::Engine;
use super::world::{NOW, World, store};

/// A snapshot of the account.
pub(crate) struct Doorward {
    snapshot: Snapshot,
    account: AccountId,
}

// === impl Doorward ===

impl Doorward {
    pub(crate) fn new(world: &World) -> Self {
        let snapshot = Snapshot::build(store(), &world.state, None).expect("the workload compiles");
        Self { snapshot, account: world.workload.account() }
    }
}

impl Engine for Doorward {
    type Prepared<'e> = CheckRequest<'e>;

    fn prepare<'e>(&'e self, request: &'e Request) -> CheckRequest<'e> {
        request.check(NOW).expect("the request is within the limits")
    }

    fn decide<'e>(&'e self, prepared: &CheckRequest<'e>) -> bool {
        let outcome = self.snapshot.decide(self.account, prepared).expect("the names exist");
        read_reason(&outcome);
        outcome.permit().is_some()
    }
}

/// Reads what an answer names: the statement, its policy, its binding and its boundary.
fn read_reason(outcome: &Outcome<'_>) {
    let reason = outcome.reason();
    black_box(reason.code);
    if let Some(statement) = reason.statement {
        let boundary = statement.boundary().map(|boundary| boundary.id);
        black_box((statement.policy().id, statement.statement(), statement.binding(), boundary));
    }
}
