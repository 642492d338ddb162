//! How a replica learns of the commits of others: it watches the log, and reads on where a watch broke off or fell silent.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::super::api::{LogEntry, StoreError};
use super::layout::{Keys, Series};
use super::replica::{Met, Replica};
use super::wire::pb::event::EventType;
use super::wire::pb::{Event, WatchCreateRequest, WatchResponse};
use crate::model::revision::Revision;

/// Between two watches: after one that worked, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Follows until it is stopped. Whatever goes wrong is told once, until it works again.
pub(super) async fn follow(replica: Arc<Replica>) {
    let (first, longest) = PAUSES;
    let mut pause = first;
    loop {
        let mut began = false;
        let ended = watch_once(&replica, || began = true).await;
        pause = if began { first } else { longest.min(pause * 2) };
        match ended {
            Ok(why) => tracing::debug!(place = replica.place, why, "the watch of the log ended; it is begun again"),
            Err(error) => tracing::warn!(
                place = replica.place,
                revision = %replica.revision(),
                error = &error as &dyn std::error::Error,
                "the log cannot be followed; the last state is served on"
            ),
        }
        sleep(pause).await;
    }
}

/// Catches up, and publishes what comes until the watch ends.
async fn watch_once(replica: &Replica, began: impl FnOnce()) -> Result<String, StoreError> {
    let known = replica.catch_up().await?;
    let watched = replica.keys.watched();
    let request = WatchCreateRequest {
        key: watched.start.into(),
        range_end: watched.end.into(),
        // Everything up to there is published: what was compacted before does not matter.
        start_revision: known + 1,
        fragment: true,
    };
    let mut answers = replica.client.watch(request).await.map_err(|failed| replica.unusable(failed))?;
    tracing::debug!(place = replica.place, revision = %replica.revision(), "following the log");
    began();
    loop {
        let answer = tokio::select! {
            // Whoever has not come to what was told is slow, and not uninformed.
            biased;
            answer = answers.message() => answer,
            head = missed(replica) => return Ok(silent(replica, head).await),
        };
        match answer {
            Ok(Some(answer)) if answer.canceled => return Ok(cancelled(&answer)),
            Ok(Some(answer)) => {
                for event in answer.events {
                    take(replica, event).await?;
                }
            }
            Ok(None) => return Ok("the member ended it".to_owned()),
            Err(status) => return Ok(status.message().to_owned()),
        }
    }
}

/// Waits for a head that etcd has and the watch has not told in time.
async fn missed(replica: &Replica) -> Revision {
    let mut missed = replica.missed.subscribe();
    let head = missed.wait_for(|head| *head > replica.revision()).await.map(|head| *head);
    match head {
        Ok(head) => head,
        // The replica that is borrowed here holds the sender.
        Err(_) => pending().await,
    }
}

/// Leaves a connection on which reads are answered and a watch is not: whatever holds it up there, a stream that is begun
/// beside it may be held up as well.
async fn silent(replica: &Replica, head: Revision) -> String {
    let (place, revision) = (&replica.place, replica.revision());
    tracing::warn!(place, %head, %revision, "etcd is ahead of what its watch tells; it is read, and watched anew");
    replica.client.turn().await;
    "it was silent".to_owned()
}

async fn take(replica: &Replica, event: Event) -> Result<(), StoreError> {
    let (of, Some(kv)) = (event.r#type(), event.kv) else { return Ok(()) };
    let keys = &replica.keys;
    let is = |key: String| kv.key == key.as_bytes();
    if is(keys.meta()) || (is(keys.head()) && of == EventType::Delete) {
        // `meta` was written before, and is never written again: what comes next is of another store.
        return Err(replica.damaged(String::from_utf8_lossy(&kv.key), "it was deleted or written again; start anew"));
    }
    if of == EventType::Delete || !keys.is_document(Series::Log, &kv.key) {
        return Ok(());
    }
    // Its own commits come back to each writer: they are known by their keys.
    if let Some(revision) = Keys::revision(&kv.key)
        && replica.met(revision, kv.mod_revision)? == Met::Known
    {
        return Ok(());
    }
    if !replica.meet_row(replica.row::<LogEntry>(&kv)?).await? {
        replica.catch_up().await?;
    }
    Ok(())
}

fn cancelled(answer: &WatchResponse) -> String {
    match answer.compact_revision {
        0 => answer.cancel_reason.clone(),
        revision => format!("etcd compacted its history up to its revision {revision}"),
    }
}
