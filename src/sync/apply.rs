//! Events to state. Pure: what a stream said becomes the next state, or a reason to begin anew.

use std::sync::Arc;

use crate::model::object::Change;
use crate::model::revision::{InvalidRevisionToken, Revision, StoreId};
use crate::model::state::{ChangeRejected, State};
use crate::proto::doorward as pb;
use crate::proto::object::{InvalidMessage, to_change, to_record};

/// The state a stream has added up to.
#[derive(Debug, Default)]
pub struct Applied {
    /// A state that is complete.
    current: Option<(StoreId, Arc<State>)>,
    /// A reset that is not complete yet. The current state stays in use until it is.
    incoming: Option<(StoreId, State)>,
    /// A new stream has not brought its reset yet: a change in it may be another store's.
    unsettled: bool,
}

/// What an event did.
#[derive(Debug)]
pub enum Step {
    /// There is a new complete state.
    Moved(StoreId, Arc<State>),
    /// The state that is there is the newest.
    Confirmed(Revision),
    /// A part of a reset.
    Partial,
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
    /// The store's id cannot be read.
    #[error("the store id of a reset {0}")]
    StoreId(#[from] InvalidRevisionToken),
    /// A change that does not fit.
    #[error(transparent)]
    Change(#[from] ChangeRejected),
    /// A commit is missing or came twice.
    #[error("revision {found} came where {expected} was due")]
    Gap {
        /// The revision that was due.
        expected: Revision,
        /// The revision that came.
        found: Revision,
    },
    /// A change or heartbeat before the first reset was complete.
    #[error("an event came before the state was complete")]
    NotReset,
    /// Chunks of a reset that do not belong together.
    #[error("a chunk of a reset does not belong to the one before")]
    BrokenReset,
    /// A heartbeat of a revision that was never sent.
    #[error("the control plane is at revision {head}, this stream brought only {applied}")]
    Behind {
        /// The control plane's.
        head: Revision,
        /// Ours.
        applied: Revision,
    },
}

// === impl Applied ===

impl Applied {
    /// A new stream begins: a reset that was under way is thrown away, and another one is due.
    pub fn begin_stream(&mut self) {
        self.incoming = None;
        self.unsettled = true;
    }

    /// Applies one event.
    ///
    /// # Errors
    /// [`EventRejected`]; the complete state is then as it was.
    pub fn event(&mut self, event: pb::WatchResponse) -> Result<Step, EventRejected> {
        match event.event.ok_or(EventRejected::UnknownEvent)? {
            pb::watch_response::Event::Reset(reset) => self.reset(reset),
            pb::watch_response::Event::Change(change) => self.change(change),
            pb::watch_response::Event::Heartbeat(heartbeat) => self.heartbeat(heartbeat),
        }
    }

    fn reset(&mut self, message: pb::Reset) -> Result<Step, EventRejected> {
        let pb::Reset { store_id, revision, first, last, objects } = message;
        let store: StoreId = store_id.parse()?;
        let revision = Revision::new(revision);
        let under_way = self.incoming.take();
        let begun = if first { Some((store, State::default())) } else { under_way };
        let (begun_store, mut state) = begun.ok_or(EventRejected::BrokenReset)?;
        let continues = first || state.revision == revision;
        if begun_store != store || !continues {
            return Err(EventRejected::BrokenReset);
        }
        let records = objects.into_iter().map(|object| to_record(object).map(Change::Put));
        let changes: Vec<Change> = records.collect::<Result<_, _>>()?;
        state.apply(revision, &changes)?;
        if !last {
            self.incoming = Some((store, state));
            return Ok(Step::Partial);
        }
        self.unsettled = false;
        Ok(self.complete(store, state))
    }

    fn change(&mut self, message: pb::Change) -> Result<Step, EventRejected> {
        let pb::Change { revision, changes } = message;
        let (store, state) = self.settled()?;
        let found = Revision::new(revision);
        let expected = state.revision.next();
        if expected != Some(found) {
            return Err(EventRejected::Gap { expected: expected.unwrap_or(state.revision), found });
        }
        let changes: Vec<Change> = changes.into_iter().map(to_change).collect::<Result<_, _>>()?;
        let mut next = state.as_ref().clone();
        next.apply(found, &changes)?;
        Ok(self.complete(store, next))
    }

    fn heartbeat(&self, message: pb::Heartbeat) -> Result<Step, EventRejected> {
        let pb::Heartbeat { revision, time: _ } = message;
        let (_, state) = self.settled()?;
        let head = Revision::new(revision);
        if head == state.revision {
            return Ok(Step::Confirmed(head));
        }
        Err(EventRejected::Behind { head, applied: state.revision })
    }

    /// The complete state, while no reset is due or under way.
    fn settled(&self) -> Result<(StoreId, &Arc<State>), EventRejected> {
        match (&self.current, &self.incoming) {
            (Some((store, state)), None) if !self.unsettled => Ok((*store, state)),
            _ => Err(EventRejected::NotReset),
        }
    }

    fn complete(&mut self, store: StoreId, state: State) -> Step {
        let state = Arc::new(state);
        self.current = Some((store, Arc::clone(&state)));
        Step::Moved(store, state)
    }
}

#[cfg(test)]
mod tests;
