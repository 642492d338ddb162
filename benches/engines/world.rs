//! What every engine is given: the account of a size and the requests about it.

use std::ops::Deref;

use doorward::model::attribute::Supplied;
use doorward::model::moment::Moment;
use doorward::model::revision::StoreId;
use doorward::model::state::{AccountState, State};
use doorward::snapshot::build::Snapshot;
use doorward::threads::Threads;
use doorward::workload::{Dimensions, Request, Size, Workload};

/// The instant of every request. No condition of the workload is about time.
pub(crate) const NOW: Moment = Moment::from_nanoseconds(1_800_000_000_000_000_000);
const SEED: u64 = 14;
/// Users among whom the worst is looked for.
const WORST_AMONG: usize = 10_000;

/// An account, and requests that own their texts.
pub(crate) struct World {
    pub(crate) size: Size,
    pub(crate) workload: Workload,
    pub(crate) state: State,
    /// By any users.
    pub(crate) requests: Vec<Request>,
    /// By the user whose groups have the most bindings.
    pub(crate) worst: Vec<Request>,
}

// === impl World ===

impl World {
    /// The account of this size, and as many requests of each kind.
    pub(crate) fn new(size: Size, requests: usize) -> Self {
        Self::of(size, size.dimensions(), requests)
    }

    /// An account of these dimensions in the place of that of a size.
    pub(crate) fn of(size: Size, dimensions: Dimensions, requests: usize) -> Self {
        let workload = Workload::new(dimensions, SEED);
        let state = workload.state().expect("parents come before what they own");
        let worst = workload.requests_of_worst(SEED, WORST_AMONG).take(requests).collect();
        let requests = workload.requests(SEED).take(requests).collect();
        Self { size, workload, state, requests, worst }
    }

    /// The only account.
    pub(crate) fn account(&self) -> &AccountState {
        self.state.account(self.workload.account()).expect("the account of the workload")
    }

    /// The first requests, for engines that are too slow for all of them.
    pub(crate) fn first_requests(&self, count: usize) -> &[Request] {
        self.requests.get(..count).unwrap_or(&self.requests)
    }
}

/// A request as strings: what every engine starts from.
pub(crate) struct Told<'w> {
    request: &'w Request,
    /// The attributes, as Doorward takes a list of them.
    pub(crate) supplied: Supplied<'w>,
}

// === impl Told ===

impl<'w> Told<'w> {
    pub(crate) fn new(request: &'w Request) -> Self {
        Self { request, supplied: request.supplied() }
    }
}

impl Deref for Told<'_> {
    type Target = Request;

    fn deref(&self) -> &Request {
        self.request
    }
}

/// The snapshot of a state, made as a sidecar makes it.
pub(crate) fn build(state: &State, previous: Option<&Snapshot>) -> Snapshot {
    Snapshot::build_with(&Threads::default(), store(), state, previous).expect("the workload compiles")
}

/// Whose revisions these are.
pub(crate) fn store() -> StoreId {
    "00000000000000000000000000000001".parse().expect("the id of a store")
}
