//! How a replica knows that what it serves is the newest: it asks etcd, whose answer is that of a majority.
//!
//! It notices a watch that has fallen silent, too: such a one has no end that could be seen, as etcd answers everything
//! else (etcd-io/etcd#15402, #17529).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::replica::Replica;
use super::wire::get;
use crate::model::revision::Revision;
use crate::store::api::StoreError;

/// Between two questions. A commit is told by the watch in milliseconds.
const EVERY: Duration = Duration::from_secs(1);

/// What the questions so far have told.
#[derive(Debug, Default)]
struct Attendance {
    /// The head of the last answer, where the replica was behind it.
    ahead: Option<Revision>,
    /// The last question was not answered.
    is_out: bool,
}

/// What an answer says of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It has the newest state.
    Newest,
    /// It is behind, as it may be for a while.
    Behind,
    /// It is behind a head that was there one question ago.
    Missed,
    /// It is ahead of etcd.
    Lost,
}

/// Asks until it is stopped. A replica that is cut off from the majority gets no answer, and grows stale.
pub(super) async fn attend(replica: Arc<Replica>) {
    let mut attendance = Attendance::default();
    loop {
        attendance.ask(&replica).await;
        sleep(EVERY).await;
    }
}

/// The newest revision of the store, as a majority of the members knows it.
async fn newest(replica: &Replica) -> Result<Revision, StoreError> {
    let reads = [get(replica.keys.head()), get(replica.keys.meta())];
    let (_, [head, meta]) = replica.client.read(reads).await.map_err(|failed| replica.unusable(failed))?;
    replica.check_identity(&meta)?;
    replica.number("head", &head)?.ok_or_else(|| replica.damaged("head", "it is missing"))
}

// === impl Attendance ===

impl Attendance {
    async fn ask(&mut self, replica: &Replica) {
        let (place, asked, known) = (&replica.place, Instant::now(), replica.revision());
        match newest(replica).await {
            Ok(head) => {
                if self.is_answered() {
                    tracing::info!(place, %head, "etcd tells its head again");
                }
                match self.standing(known, head, replica.revision()) {
                    Standing::Newest => replica.confirm(asked),
                    Standing::Behind => {}
                    // Whoever watches reads what it was not told.
                    Standing::Missed => {
                        replica.missed.send_replace(head);
                    }
                    // A store that was put back has lost what is served here.
                    Standing::Lost => {
                        tracing::error!(place, %head, %known, "etcd is behind what it acknowledged; start anew");
                    }
                }
            }
            Err(error) if self.is_unanswered() => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(place, %known, error, "etcd does not tell its head; the last state is served on and grows stale");
            }
            Err(_) => {}
        }
    }

    /// Where a replica stands that was at `known` before the question and is at `now` after the answer.
    fn standing(&mut self, known: Revision, head: Revision, now: Revision) -> Standing {
        let before = self.ahead.take();
        if head < known {
            return Standing::Lost;
        }
        if head <= now {
            return Standing::Newest;
        }
        if before.is_some_and(|before| before > now) {
            return Standing::Missed;
        }
        self.ahead = Some(head);
        Standing::Behind
    }

    /// Notes an answer; whether it is the first one after an outage.
    fn is_answered(&mut self) -> bool {
        std::mem::replace(&mut self.is_out, false)
    }

    /// Notes that there is no answer; whether an outage begins with it.
    fn is_unanswered(&mut self) -> bool {
        !std::mem::replace(&mut self.is_out, true)
    }
}

#[cfg(test)]
mod tests;
