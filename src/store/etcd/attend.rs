//! How a replica knows that what it serves is the newest: it asks etcd, whose answer is that of a majority.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::replica::Replica;
use super::wire::get;
use crate::model::revision::Revision;
use crate::store::api::StoreError;

/// Between two questions.
const EVERY: Duration = Duration::from_secs(1);

/// Asks until it is stopped. A replica that is cut off from the majority gets no answer, and grows stale.
pub(super) async fn attend(replica: Arc<Replica>) {
    loop {
        let (asked, known) = (Instant::now(), replica.revision());
        match newest(&replica).await {
            // A store that was put back has lost what is served here.
            Ok(head) if head < known => {
                tracing::error!(place = replica.place, %head, %known, "etcd is behind what it acknowledged; start anew");
            }
            Ok(head) if head <= replica.revision() => replica.confirm(asked),
            Ok(_) | Err(_) => {}
        }
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

#[cfg(test)]
mod tests;
