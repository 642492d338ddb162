//! Events to state. Pure: what a stream said becomes the next state, or a reason to begin anew.

use std::sync::Arc;
use std::time::Duration;

use crate::model::digest::Digest;
use crate::model::object::Change;
use crate::model::revision::{InvalidRevisionToken, Revision, RevisionToken, StoreId};
use crate::model::scope::Scope;
use crate::model::state::{Batch, ChangeRejected, Loading, State};
use crate::proto::doorward as pb;
use crate::proto::object::{InvalidMessage, to_change, to_record};
use crate::signature::{Statement, Verifier};

/// The state a stream has added up to.
#[derive(Debug, Default)]
pub struct Applied {
    /// A state that is complete.
    current: Option<(StoreId, Arc<State>)>,
    /// A reset that is not complete yet. The current state stays in use until it is.
    incoming: Option<Incoming>,
    /// A stream that was not asked to go on has not brought its reset yet: a change in it may be another store's.
    unsettled: bool,
    /// What signatures are held against, if they are; the scope is the one that was asked for.
    trust: Option<Trust>,
    /// An event was rejected, and no reset has come since: streams do not go on from what there is.
    doubted: bool,
}

/// Whose signatures are good, and for which scope.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The key of the control planes.
    pub verifier: Verifier,
    /// The scope that is asked for.
    pub scope: Scope,
}

/// A reset that is under way.
#[derive(Debug)]
struct Incoming {
    store: StoreId,
    digest: Digest,
    state: Loading,
}

/// A chunk of a reset whose objects are read. That is the costly part of it, which needs no state and any thread can do.
#[derive(Debug)]
pub struct Chunk {
    store: StoreId,
    revision: Revision,
    first: bool,
    last: bool,
    digest: Digest,
    signature: Vec<u8>,
    objects: Batch,
}

/// What an event did.
#[derive(Debug)]
pub enum Step {
    /// There is a new complete state.
    Moved(Moved),
    /// The state that is there is the newest, or was so long ago.
    Confirmed(Revision, Duration),
    /// A part of a reset.
    Partial,
}

/// A new complete state.
#[derive(Debug, Clone)]
pub struct Moved {
    /// The store it belongs to.
    pub store: StoreId,
    /// The state.
    pub state: Arc<State>,
    /// When the change that led to it was committed, by the control plane's clock; `None` for another event.
    pub committed: Option<jiff::Timestamp>,
    /// How long ago it was last known to be the newest, by the control plane.
    pub age: Duration,
    /// The control plane's signature of it; empty where it does not sign.
    pub signature: Vec<u8>,
}

/// What there is, for a stream that is to go on from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The revision.
    pub token: RevisionToken,
    /// The digest of the state.
    pub digest: Digest,
}

/// An event that does not follow from what was there: the stream is given up, and the next one begins with a reset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventRejected {
    /// Not one of the events this build knows.
    #[error("the event is none that this version knows; upgrade the sidecar")]
    UnknownEvent,
    /// A field that cannot be used.
    #[error(transparent)]
    Message(#[from] InvalidMessage),
    /// Not signed by the key that is trusted.
    #[error("revision {revision} is not signed by the key in `sync.public_key_file`")]
    Unsigned {
        /// The revision.
        revision: Revision,
    },
    /// The store's id cannot be read.
    #[error("the store id of a reset {0}")]
    StoreId(#[from] InvalidRevisionToken),
    /// A change that does not fit.
    #[error(transparent)]
    Change(#[from] ChangeRejected),
    /// A commit is missing or came twice.
    #[error("revision {found} follows {after}, but this stream has come to {applied}")]
    Gap {
        /// Where the stream has come to.
        applied: Revision,
        /// What the commit that came follows.
        after: Revision,
        /// The commit that came.
        found: Revision,
    },
    /// What was applied is not what the control plane has.
    #[error("at revision {revision} the control plane has the digest {told}, this sidecar {computed}")]
    Diverged {
        /// Where they are not the same.
        revision: Revision,
        /// The control plane's.
        told: Digest,
        /// Ours.
        computed: Digest,
    },
    /// A change or heartbeat before the first reset was complete.
    #[error("an event came before the state was complete")]
    NotReset,
    /// Chunks of a reset that do not belong together.
    #[error("a chunk of a reset does not belong to the one before")]
    BrokenReset,
    /// A heartbeat of a revision before what was sent.
    #[error("the control plane says it is at revision {head}, this stream brought {applied} already")]
    Back {
        /// The control plane's.
        head: Revision,
        /// Ours.
        applied: Revision,
    },
}

// === impl Step ===

impl Step {
    /// How long ago the control plane last knew that it has the newest.
    #[must_use]
    pub const fn age(&self) -> Duration {
        match self {
            Self::Moved(moved) => moved.age,
            Self::Confirmed(_, age) => *age,
            Self::Partial => Duration::ZERO,
        }
    }
}

// === impl EventRejected ===

impl EventRejected {
    /// A name of what is wrong, for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::UnknownEvent | Self::Message(_) | Self::StoreId(_) => "message",
            Self::Change(_) => "change",
            Self::Gap { .. } | Self::NotReset | Self::BrokenReset | Self::Back { .. } => "order",
            Self::Diverged { .. } => "digest",
            Self::Unsigned { .. } => "signature",
        }
    }
}

// === impl Chunk ===

impl TryFrom<pb::Reset> for Chunk {
    type Error = EventRejected;
    fn try_from(message: pb::Reset) -> Result<Self, EventRejected> {
        let pb::Reset { store_id, revision, first, last, objects, digest, signature } = message;
        let records = objects.into_iter().map(to_record).collect::<Result<_, _>>()?;
        let (store, digest, revision) = (store_id.parse()?, told(&digest)?, Revision::new(revision));
        Ok(Self { store, revision, first, last, digest, signature, objects: Batch::of(records) })
    }
}

// === impl Applied ===

impl Applied {
    /// Begins with what was kept, if anything was, and holds what comes against `trust`.
    #[must_use]
    pub fn begin(kept: Option<(StoreId, Arc<State>)>, trust: Option<Trust>) -> Self {
        Self { current: kept, trust, ..Self::default() }
    }

    /// What a stream can go on from; `None` before a reset is complete, the first one or that after a rejected event.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        let (store, state) = self.current.as_ref().filter(|_| !self.doubted)?;
        let token = RevisionToken { store: *store, revision: state.revision };
        Some(Position { token, digest: digest(state) })
    }

    /// A new stream begins: a reset that was under way is thrown away, and another one is due unless the stream was asked to
    /// go on from [`Self::position`].
    pub fn begin_stream(&mut self, goes_on: bool) {
        self.incoming = None;
        self.unsettled = !goes_on;
    }

    /// Applies one event.
    ///
    /// # Errors
    /// [`EventRejected`]; the complete state is then as it was.
    pub fn event(&mut self, event: pb::WatchResponse) -> Result<Step, EventRejected> {
        let pb::WatchResponse { event, age } = event;
        let applied = match event {
            Some(pb::watch_response::Event::Reset(reset)) => self.reset(reset, age),
            Some(pb::watch_response::Event::Change(change)) => self.change(change, age),
            Some(pb::watch_response::Event::Heartbeat(heartbeat)) => self.heartbeat(heartbeat),
            None => Err(EventRejected::UnknownEvent),
        };
        self.doubted |= applied.is_err();
        applied
    }

    fn reset(&mut self, message: pb::Reset, age: Option<prost_types::Duration>) -> Result<Step, EventRejected> {
        let under_way = self.incoming.take();
        self.chunk_after(under_way, message.try_into()?, told_age(age)?)
    }

    /// Applies a chunk of a reset, as the newest there is.
    ///
    /// # Errors
    /// [`EventRejected`]; the complete state is then as it was.
    pub fn chunk(&mut self, chunk: Chunk) -> Result<Step, EventRejected> {
        let under_way = self.incoming.take();
        let applied = self.chunk_after(under_way, chunk, Duration::ZERO);
        self.doubted |= applied.is_err();
        applied
    }

    fn chunk_after(&mut self, under_way: Option<Incoming>, chunk: Chunk, age: Duration) -> Result<Step, EventRejected> {
        let Chunk { store, revision, first, last, digest, signature, objects } = chunk;
        let begun = if first { Some(Incoming { store, digest, state: Loading::default() }) } else { under_way };
        let mut incoming = begun.ok_or(EventRejected::BrokenReset)?;
        let continues = first || incoming.state.revision() == revision;
        if incoming.store != store || incoming.digest != digest || !continues {
            return Err(EventRejected::BrokenReset);
        }
        incoming.state.put(revision, objects)?;
        if !last {
            self.incoming = Some(incoming);
            return Ok(Step::Partial);
        }
        let state = incoming.state.finish();
        check_digest(&state, digest)?;
        self.check_signature(store, revision, digest, &signature)?;
        (self.unsettled, self.doubted) = (false, false);
        Ok(self.complete(Moved { store, state: state.into(), committed: None, age, signature }))
    }

    fn change(&mut self, message: pb::Change, age: Option<prost_types::Duration>) -> Result<Step, EventRejected> {
        let age = told_age(age)?;
        let pb::Change { revision, changes, after, digest, time, signature } = message;
        let (store, state) = self.settled()?;
        let (applied, after, found) = (state.revision, Revision::new(after), Revision::new(revision));
        if !(after <= applied && applied < found) {
            return Err(EventRejected::Gap { applied, after, found });
        }
        let digest = told(&digest)?;
        let changes: Vec<Change> = changes.into_iter().map(to_change).collect::<Result<_, _>>()?;
        let mut next = state.as_ref().clone();
        next.apply(found, &changes)?;
        check_digest(&next, digest)?;
        self.check_signature(store, found, digest, &signature)?;
        let (state, committed) = (Arc::new(next), time.and_then(to_time));
        Ok(self.complete(Moved { store, state, committed, age, signature }))
    }

    fn heartbeat(&mut self, message: pb::Heartbeat) -> Result<Step, EventRejected> {
        let pb::Heartbeat { revision, time: _, digest, age, signature } = message;
        let (store, state) = self.settled()?;
        let (head, applied) = (Revision::new(revision), state.revision);
        if head < applied {
            return Err(EventRejected::Back { head, applied });
        }
        let mut next = state.as_ref().clone();
        next.revision = head;
        let digest = told(&digest)?;
        check_digest(&next, digest)?;
        self.check_signature(store, head, digest, &signature)?;
        let age = told_age(age)?;
        if head == applied {
            return Ok(Step::Confirmed(head, age));
        }
        // What was committed in between is out of scope.
        Ok(self.complete(Moved { store, state: next.into(), committed: None, age, signature }))
    }

    /// The complete state, while no reset is due or under way.
    fn settled(&self) -> Result<(StoreId, &Arc<State>), EventRejected> {
        match (&self.current, &self.incoming) {
            (Some((store, state)), None) if !self.unsettled => Ok((*store, state)),
            _ => Err(EventRejected::NotReset),
        }
    }

    fn complete(&mut self, moved: Moved) -> Step {
        self.current = Some((moved.store, Arc::clone(&moved.state)));
        Step::Moved(moved)
    }

    fn check_signature(
        &self,
        store: StoreId,
        revision: Revision,
        digest: Digest,
        signature: &[u8],
    ) -> Result<(), EventRejected> {
        let Some(Trust { verifier, scope }) = &self.trust else { return Ok(()) };
        let statement = Statement { token: RevisionToken { store, revision }, scope, digest };
        let is_good = verifier.verifies(&statement, signature);
        is_good.then_some(()).ok_or(EventRejected::Unsigned { revision })
    }
}

/// The digest of a state: a sidecar has nothing that is out of its scope.
fn digest(state: &State) -> Digest {
    state.sums().whole().digest()
}

/// How old something is by the control plane; what says nothing is not old.
fn told_age(age: Option<prost_types::Duration>) -> Result<Duration, InvalidMessage> {
    let age = age.map_or(Ok(Duration::ZERO), Duration::try_from);
    age.map_err(|_| InvalidMessage { field: "age", problem: "is negative".to_owned() })
}

fn told(bytes: &[u8]) -> Result<Digest, InvalidMessage> {
    Digest::try_from(bytes).map_err(|problem| InvalidMessage { field: "digest", problem: problem.to_string() })
}

fn check_digest(state: &State, told: Digest) -> Result<(), EventRejected> {
    let computed = digest(state);
    if computed == told {
        return Ok(());
    }
    Err(EventRejected::Diverged { revision: state.revision, told, computed })
}

fn to_time(time: prost_types::Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::new(time.seconds, time.nanos).ok()
}

#[cfg(test)]
mod tests;
