//! What was applied, told to the control plane (design §5, sentences 7 and 8).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::follow::{Newest, Refused};
use super::source::WatchSource;
use crate::model::revision::RevisionToken;
use crate::proto::doorward as pb;

/// How long a report may take.
const LIMIT: Duration = Duration::from_secs(5);
/// Before a report that failed is made again, where nothing happens in between.
const RETRY: Duration = Duration::from_secs(5);
/// Bytes of a reason; a control plane takes no more.
const REASON_BYTES: usize = 1_024;

/// Tells a control plane what was applied, whenever that changes. Only the latest is told.
pub struct Reporter<S> {
    /// Where reports go.
    pub source: Arc<S>,
    /// The id of this process.
    pub instance: String,
    /// What is served.
    pub published: watch::Receiver<Option<RevisionToken>>,
    /// What was refused.
    pub refused: watch::Receiver<Option<Refused>>,
    /// After a new stream everything is told anew: it may be another control plane.
    pub newest: watch::Receiver<Newest>,
}

// === impl Reporter ===

impl<S: WatchSource> Reporter<S> {
    /// Reports until there is nothing more to report.
    pub async fn run(mut self) {
        let mut told = None;
        loop {
            let streams = self.newest.borrow_and_update().streams;
            let report = self.report();
            let is_new = streams > 0 && told.as_ref() != Some(&(streams, report.clone()));
            if is_new && self.tell(report.clone()).await {
                told = Some((streams, report));
                continue;
            }
            let moved = self.moved();
            let moved = if is_new { timeout(RETRY, moved).await.unwrap_or(true) } else { moved.await };
            if !moved {
                return;
            }
        }
    }

    async fn tell(&self, report: pb::ReportAppliedRequest) -> bool {
        match timeout(LIMIT, self.source.report(report)).await {
            Ok(Ok(())) => true,
            Ok(Err(status)) => {
                tracing::debug!(code = ?status.code(), reason = status.message(), "a report was not taken");
                false
            }
            Err(_) => false,
        }
    }

    fn report(&mut self) -> pb::ReportAppliedRequest {
        let applied = self.published.borrow_and_update().map(|token| token.to_string()).unwrap_or_default();
        let refused = self.refused.borrow_and_update().clone();
        let rejected = refused.map(|Refused { revision, reason }| pb::RejectedUpdate {
            revision: revision.get(),
            reason: reason
                .chars()
                .scan(0, |bytes, char| {
                    *bytes += char.len_utf8();
                    (*bytes <= REASON_BYTES).then_some(char)
                })
                .collect(),
        });
        pb::ReportAppliedRequest { instance: self.instance.clone(), applied, rejected, leaving: false }
    }

    /// Waits for something to report; `false` where nothing can come any more.
    async fn moved(&mut self) -> bool {
        let moved = tokio::select! {
            moved = self.published.changed() => moved,
            moved = self.refused.changed() => moved,
            moved = self.newest.changed() => moved,
        };
        moved.is_ok()
    }
}

/// Says that this process ends, so that nobody waits for it.
pub async fn leave<S: WatchSource>(source: &S, instance: String) {
    let report = pb::ReportAppliedRequest { instance, leaving: true, ..pb::ReportAppliedRequest::default() };
    // It is forgotten by itself, where this is not heard.
    let _ = timeout(LIMIT, source.report(report)).await;
}
