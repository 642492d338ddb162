//! Doorward itself. The reasons of D9 are read in every form.

use std::hint::black_box;

use doorward::eval::{Outcome, Prepared};
use doorward::model::decision::CheckRequest;
use doorward::model::id::AccountId;
use doorward::snapshot::build::Snapshot;

use super::engine::{Engine, Form, Kind, Lane, Row};
use super::world::{NOW, Told, World, store};

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

    fn prepare<'e>(&'e self, request: &'e Told<'_>) -> CheckRequest<'e> {
        request.check(&request.supplied, NOW).expect("the request is within the limits")
    }

    fn decide<'e>(&'e self, prepared: &CheckRequest<'e>) -> bool {
        let outcome = self.snapshot.decide(self.account, prepared).expect("the names exist");
        read_reason(&outcome);
        outcome.permit().is_some()
    }
}

impl Doorward {
    /// Decisions of requests whose names have been found before. They stay to the end of the process.
    pub(crate) fn by_ids<'a>(&'a self, world: &'a World, requests: usize) -> Lane<'a> {
        let program = self.snapshot.account(self.account).expect("the account of the workload");
        let told = Vec::leak(world.first_requests(requests).iter().map(Told::new).collect());
        let checks = Vec::leak(told.iter().map(|request| self.prepare(request)).collect());
        let found: Vec<_> = checks.iter().map(|it| Prepared::new(program, it).expect("the names exist")).collect();
        let row = Row { kind: Kind::Doorward, form: Form::Ids };
        Lane::new(row, found.len(), move |range| found[range].iter().filter(|it| is_allowed(black_box(it))).count())
    }
}

#[inline(never)]
fn is_allowed(found: &Prepared<'_, '_>) -> bool {
    let outcome = found.decide();
    read_reason(&outcome);
    outcome.permit().is_some()
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
