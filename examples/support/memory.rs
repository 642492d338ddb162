//! The memory of a process, as Linux tells it.

use std::fs;

use anyhow::Context as _;

/// Bytes that it holds now.
pub fn resident(process: u32) -> anyhow::Result<u64> {
    field(process, "VmRSS:")
}

/// The most bytes that it ever held.
pub fn peak(process: u32) -> anyhow::Result<u64> {
    field(process, "VmHWM:")
}

fn field(process: u32, name: &str) -> anyhow::Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("`{path}` cannot be read"))?;
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = value.and_then(|value| value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    Ok(kibibytes.with_context(|| format!("`{path}` has no `{name}`"))? * 1_024)
}
