//! The end of a process: a signal, health first, then the listeners, then whatever is still under way.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How far the end of the process has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Not at all.
    Serving,
    /// Nobody new is to come, and whoever asks is told so.
    Draining,
    /// Nobody new can come, and what is under way ends.
    Ending,
}

/// Tells everybody how far the end has come. Dropping it is the end.
#[derive(Debug)]
pub struct Shutdown(watch::Sender<Stage>);

/// Waits for the end. A cheap clone.
#[derive(Debug, Clone)]
pub struct ShutdownSignal(watch::Receiver<Stage>);

// === impl Shutdown ===

impl Shutdown {
    /// A shutdown that has not come, and the way to wait for it.
    #[must_use]
    pub fn new() -> (Self, ShutdownSignal) {
        let (sender, receiver) = watch::channel(Stage::Serving);
        (Self(sender), ShutdownSignal(receiver))
    }

    /// Nobody new is to come.
    pub fn drain(&self) {
        self.0.send_replace(Stage::Draining);
    }

    /// The end has come.
    pub fn end(&self) {
        self.0.send_replace(Stage::Ending);
    }
}

// === impl ShutdownSignal ===

impl ShutdownSignal {
    /// Whether anybody new may come.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        *self.0.borrow() == Stage::Serving
    }

    /// Returns when nobody new is to come.
    pub async fn draining(self) {
        self.reached(Stage::Draining).await;
    }

    /// Returns when the end has come.
    pub async fn ended(self) {
        self.reached(Stage::Ending).await;
    }

    async fn reached(mut self, stage: Stage) {
        // An error means that the sender is gone, which is an end as well.
        let _ = self.0.wait_for(|now| *now >= stage).await;
    }
}

/// Returns when the process is asked to end: SIGTERM or SIGINT.
///
/// # Errors
/// Where the process may not listen to signals.
pub async fn asked_to_end() -> std::io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}
