//! Which process has an entry in hand, and whether it still lives.
//!
//! Owns the name of a process that no other process bears: boot, pid namespace, pid and start time. A program that
//! replaces itself (`exec`) keeps that name and nothing that it had in hand, so for the own process the list of what it
//! has decides, over all handles of a file. A process that cannot be seen from here (another boot, another container) is
//! never called alive, because presenting the same signature twice costs nothing while waiting for the dead costs the
//! purchase. Must not know what an entry says.

use std::any::Any;
use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether a process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Alive,
    Dead,
    /// Of another pid namespace: it cannot be asked.
    Unseen,
}

/// A file, under whatever path: device and inode.
pub(super) type FileId = (u64, u64);

/// The entries of files that this process has in hand.
static HELD: Mutex<BTreeSet<(FileId, u64)>> = Mutex::new(BTreeSet::new());

fn held() -> MutexGuard<'static, BTreeSet<(FileId, u64)>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps other threads out of the list until it is dropped.
pub fn hold_entries() -> Box<dyn Any> {
    Box::new(held())
}

/// This process takes the entry in hand.
pub(super) fn take(file: FileId, entry: u64) {
    held().insert((file, entry));
}

/// This process has nothing more to do with the entry.
pub(super) fn let_go(file: FileId, entry: u64) {
    held().remove(&(file, entry));
}

/// Whether this process has the entry in hand.
pub(super) fn holds(file: FileId, entry: u64) -> bool {
    held().contains(&(file, entry))
}

/// This process's name.
pub(super) fn this_process() -> String {
    let pid = std::process::id();
    format!("{} {} {pid} {}", boot(), namespace(), start(pid).unwrap_or_default())
}

/// Whether the process of that name lives.
pub(super) fn life_of(owner: &str) -> Life {
    let parts: Vec<&str> = owner.split(' ').collect();
    let [of_boot, of_namespace, pid, of_start] = parts.as_slice() else { return Life::Unseen };
    if *of_boot != boot() {
        return Life::Dead;
    }
    if *of_namespace != namespace() {
        return Life::Unseen;
    }
    match pid.parse().ok().and_then(start) {
        Some(now) if now == *of_start => Life::Alive,
        _ => Life::Dead,
    }
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or_else(|_| "?".into(), |text| text.trim().to_string())
}

fn namespace() -> String {
    fs::read_link("/proc/self/ns/pid").map_or_else(|_| "?".into(), |link| link.display().to_string())
}

/// When process `pid` began, in clock ticks since boot (proc(5), field 22 of `stat`); a zombie has ended.
fn start(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before the last parenthesis may itself hold spaces and parentheses.
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace();
    let state = fields.next()?;
    /// Field 22 comes as the 19th after the state, which is field 3.
    const START_AFTER_STATE: usize = 18;
    fields.nth(START_AFTER_STATE).filter(|_| state != "Z" && state != "X").map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_its_name_on_another_start_does_not() {
        let own = this_process();
        assert_eq!(life_of(&own), Life::Alive);
        assert_eq!(life_of(&format!("{own}1")), Life::Dead);
        assert_eq!(life_of(&own.replacen(&boot(), "another-boot", 1)), Life::Dead);
        assert_eq!(life_of(&own.replacen(&namespace(), "pid:[1]", 1)), Life::Unseen);
        assert_eq!(life_of("nonsense"), Life::Unseen);
    }

    #[test]
    fn a_process_that_ended_is_dead_even_before_it_is_waited_for() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let name = format!("{} {} {} 1", boot(), namespace(), child.id());
        assert_eq!(life_of(&name), Life::Dead);
        child.wait().unwrap();
        assert_eq!(life_of(&name), Life::Dead);
    }
}
