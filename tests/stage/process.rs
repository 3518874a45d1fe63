//! Looking at processes and ending them.

use std::fs;
use std::io;

use rustix::process::{Pid, Signal};

/// Sends a signal to a process.
pub(crate) fn signal(pid: u32, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::kill_process(pid, signal)?)
}

/// The parent of a process that has not ended.
pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything.
    let mut rest = text.rsplit_once(") ")?.1.split(' ');
    // A process that waits to be reaped has ended.
    let lives = rest.next()? != "Z";
    let parent = rest.next()?.parse().ok()?;
    lives.then_some(parent)
}

/// The living processes that it has started.
pub(crate) fn children_of(pid: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|child| parent_of(*child) == Some(pid)).collect()
}

/// Memory of a process by the name of its line in the kernel's summary, in KiB.
pub(crate) fn memory_kib(pid: u32, line: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let rest = text.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(':'))?;
    rest.trim().split(' ').next()?.parse().ok()
}

/// How many sockets a process holds, connections and what it listens on.
#[allow(dead_code, reason = "not every harness counts them")]
pub(crate) fn sockets_of(pid: u32) -> u32 {
    let held = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let sockets = held.filter_map(|entry| fs::read_link(entry.path()).ok());
    let count = sockets.filter(|target| target.to_string_lossy().starts_with("socket:")).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}
