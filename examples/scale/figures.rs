//! The figures as one table.

use std::fmt;
use std::time::Duration;

use doorward::workload::Dimensions;

use crate::changes::Seen;
use crate::support::figures::{Times, mib, ms, seconds};

/// What was measured. Bytes of memory are those that Linux counts as resident.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) size: &'static str,
    pub(crate) dimensions: Dimensions,
    pub(crate) load: Duration,
    pub(crate) load_peak: u64,
    pub(crate) store_bytes: u64,
    /// From the start of the control plane until it served.
    pub(crate) ready: Duration,
    /// From the start of the sidecar to its first snapshot.
    pub(crate) reset: Duration,
    pub(crate) control_reset_peak: u64,
    pub(crate) sidecar_reset_peak: u64,
    pub(crate) seen: Seen,
    pub(crate) control_resident: u64,
    pub(crate) control_peak: u64,
    pub(crate) sidecar_resident: u64,
    pub(crate) sidecar_peak: u64,
    /// How long the sidecar took to end, its snapshot kept.
    pub(crate) ended: Duration,
    pub(crate) saved_bytes: u64,
    /// From the start of a sidecar to a snapshot from disk, and to its first answer.
    pub(crate) disk: Duration,
    pub(crate) disk_check: Duration,
    pub(crate) disk_peak: u64,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            size: "",
            dimensions: Dimensions { policies: 0, groups: 0, users: 0 },
            load: Duration::ZERO,
            load_peak: 0,
            store_bytes: 0,
            ready: Duration::ZERO,
            reset: Duration::ZERO,
            control_reset_peak: 0,
            sidecar_reset_peak: 0,
            seen: Seen::default(),
            control_resident: 0,
            control_peak: 0,
            sidecar_resident: 0,
            sidecar_peak: 0,
            ended: Duration::ZERO,
            saved_bytes: 0,
            disk: Duration::ZERO,
            disk_check: Duration::ZERO,
            disk_peak: 0,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dimensions { policies, groups, users } = self.dimensions;
        writeln!(f, "{}: {users} users, {groups} groups, {policies} policies", self.size)?;
        let mut row = |name: &str, time: String, bytes: String| writeln!(f, "{name:<46}{time:>12}  {bytes}");
        row("import", seconds(self.load), format!("peak {}, file {}", mib(self.load_peak), mib(self.store_bytes)))?;
        row("control plane, restart to ready", seconds(self.ready), String::new())?;
        row(
            "sidecar, start to snapshot by a full reset",
            seconds(self.reset),
            format!("peak {}", mib(self.sidecar_reset_peak)),
        )?;
        row("  the control plane meanwhile", String::new(), format!("peak {}", mib(self.control_reset_peak)))?;
        row("after the changes: control plane", String::new(), memory(self.control_resident, self.control_peak))?;
        row("after the changes: sidecar", String::new(), memory(self.sidecar_resident, self.sidecar_peak))?;
        row("sidecar, end with its snapshot kept", seconds(self.ended), format!("file {}", mib(self.saved_bytes)))?;
        row("sidecar, start to snapshot from disk alone", seconds(self.disk), format!("peak {}", mib(self.disk_peak)))?;
        row("  to its first answer", seconds(self.disk_check), String::new())?;
        writeln!(f, "\n{:<46}{:>12}{:>12}{:>12}", "call to Check that answers by it", "p50", "p99", "most")?;
        let Seen { membership, binding, policy, all, answered, flush } = &self.seen;
        let mut row = |name: &str, times: &Times| {
            let [half, nearly, most] = [50, 99, 100].map(|percent| ms(times.percentile(percent)));
            writeln!(f, "{name:<46}{half:>12}{nearly:>12}{most:>12}")
        };
        row("a user into a group, out of it", membership)?;
        row("a binding made, taken away", binding)?;
        row("a policy with another text", policy)?;
        row("all of them", all)?;
        row("  until the control plane answered", answered)?;
        row("4 KiB written and flushed beside the store", flush)
    }
}

fn memory(resident: u64, peak: u64) -> String {
    format!("{}, peak {}", mib(resident), mib(peak))
}
