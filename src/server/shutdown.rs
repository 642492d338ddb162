//! The end of a process: a signal, health first, then the listeners, then whatever is still under way.

use tokio::signal::unix::{Signal, SignalKind, signal};
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

/// The signals that ask a process to end: SIGTERM and SIGINT.
#[derive(Debug)]
pub struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

// === impl EndSignals ===

impl EndSignals {
    /// From here on they are heard, and no longer end the process at once.
    ///
    /// # Errors
    /// Where the process may not listen to signals.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Returns the name of the next one that comes.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
