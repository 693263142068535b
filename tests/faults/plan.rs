//! What can go wrong with each operation, and which failures of a traced call are tried.
//!
//! Owns the table of failures that fit (an errno that the system call can give, half of the bytes where it may be
//! half, the end of the process or of the power) and the choice of a sample. Runs nothing.

use std::collections::HashSet;

/// Failures by operation, each "action" or "action:value"; the actions are those of shim.c, a value is an errno, a
/// callback's answer, or seconds of a clock. No `lost` for `send`, because a send that says it failed has taken nothing,
/// and neither for `unlock`, which has nothing to fail at.
const FAILURES: [(&str, &str); 44] = [
    ("access", "fail:5"),
    ("approve-callback", "fail:7 kill:0 cut:0"),
    ("chunk-callback", "fail:7 kill:0 cut:0"),
    ("clock", "jump:250 jump:-250"),
    ("close", "lost:5 lost:4 kill:0 cut:0"),
    ("connect", "fail:111 fail:110 lost:4 kill:0 cut:0"),
    ("create", "fail:13 fail:24 fail:28 lost:5 kill:0 cut:0"),
    ("fchmod", "fail:1"),
    ("fchown", "fail:1"),
    ("fcntl", "fail:22 lost:5"),
    ("fsync", "fail:5 lost:5 kill:0 cut:0"),
    ("ftruncate", "fail:5 fail:28 lost:5 kill:0 cut:0"),
    ("getaddrinfo", "fail:-2 fail:-3 kill:0"),
    ("getrandom", "fail:5 fail:4 short:0"),
    ("getsockopt", "fail:12"),
    ("ioctl", "fail:22 kill:0"),
    ("lock", "fail:11 fail:37 fail:5 lost:4 kill:0 cut:0"),
    ("log-callback", "kill:0 cut:0"),
    ("lseek", "fail:5"),
    ("mkdir", "fail:13"),
    ("mmap", "fail:12 kill:0 cut:0"),
    ("monotonic", "jump:7200"),
    ("munmap", "fail:12 kill:0"),
    ("nanosleep", "fail:4"),
    ("open", "fail:24 fail:13 fail:2 lost:5"),
    ("peek", "fail:104 fail:4 end:0 kill:0"),
    ("poll", "fail:4 fail:12 kill:0"),
    ("pread", "fail:5 short:0 end:0 lost:5"),
    ("progress-callback", "fail:7 kill:0 cut:0"),
    ("pwrite", "fail:5 fail:28 short:0 torn:5 torn:28 lost:5 kill:0 torn-kill:0 cut:0 torn-cut:0"),
    ("read", "fail:5 fail:4 short:0 end:0"),
    ("read-callback", "fail:7 kill:0 cut:0"),
    ("readlink", "fail:13"),
    ("recv", "fail:104 fail:4 fail:110 short:0 end:0 lost:104 kill:0 cut:0"),
    ("rewind-callback", "fail:7 kill:0 cut:0"),
    ("send", "fail:104 fail:32 fail:4 fail:105 short:0 torn:104 kill:0 torn-kill:0 cut:0 torn-cut:0"),
    ("setsockopt", "fail:12"),
    ("shutdown", "fail:107 kill:0"),
    ("socket", "fail:24 fail:97 kill:0"),
    ("socketpair", "fail:24 kill:0"),
    ("stat", "fail:5 fail:2"),
    ("unlink", "fail:13 lost:5 kill:0 cut:0"),
    ("unlock", "kill:0 cut:0"),
    ("write", "fail:5 fail:28 short:0 torn:28 lost:5 kill:0 cut:0"),
];

/// One failure of one operation of a traced call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    pub number: usize,
    pub operation: String,
    /// What it was done to.
    pub on: String,
    pub action: String,
    pub value: i32,
}

impl Fault {
    /// For the shim.
    pub fn plan(&self) -> String {
        format!("{} {} {} {}", self.number, self.operation, self.action, self.value)
    }

    /// Whether the process does not outlive it.
    pub fn ends_process(&self) -> bool {
        ["kill", "torn-kill", "cut", "torn-cut"].contains(&self.action.as_str())
    }

    /// Whether the clock is wrong afterwards, so that a server with a right one may refuse what is signed.
    pub fn is_jump(&self) -> bool {
        self.action == "jump"
    }
}

fn failures(operation: &str) -> Option<impl Iterator<Item = (&'static str, i32)>> {
    let (_, list) = FAILURES.iter().find(|(known, _)| *known == operation)?;
    Some(
        list.split(' ')
            .map(|failure| failure.split_once(':').map(|(action, value)| (action, value.parse().unwrap())).unwrap()),
    )
}

/// Every failure of every operation in a trace, which has one line "NUMBER OPERATION nothing 0 ON" for each.
pub fn all(trace: &str) -> Vec<Fault> {
    let mut out = Vec::new();
    for line in trace.lines() {
        let mut words = line.split(' ');
        let (number, operation) = (words.next().unwrap(), words.next().unwrap());
        let on = words.nth(2).unwrap_or("");
        let fitting = failures(operation).unwrap_or_else(|| panic!("how can {operation} fail? Say it in FAILURES"));
        out.extend(fitting.map(|(action, value)| Fault {
            number: number.parse().unwrap(),
            operation: operation.into(),
            on: on.into(),
            action: action.into(),
            value,
        }));
    }
    out
}

/// At most `most` of the experiments (a shape's number and a failure), in a random order: one of each kind before a
/// second of any.
pub fn sample(mut all: Vec<(usize, Fault)>, most: usize, dice: &mut Dice) -> Vec<(usize, Fault)> {
    for at in (1..all.len()).rev() {
        all.swap(at, dice.throw(at as u64 + 1) as usize);
    }
    let mut kinds = HashSet::new();
    let kind = |fault: &Fault| (fault.operation.clone(), fault.on.clone(), fault.action.clone(), fault.value);
    let (mut out, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, fault)| kinds.insert(kind(fault)));
    out.extend(others);
    out.truncate(most);
    out
}

/// The failures that chance chooses from, for the shim. Left out: clock jumps, whose harm is that nothing is paid for
/// minutes; power cuts, which many processes at once would each see differently; and a lock that is held and unknown to
/// its holder, which would keep the other processes out until its process ends.
pub fn table() -> String {
    let all = FAILURES.iter().flat_map(|(operation, list)| list.split(' ').map(move |failure| (operation, failure)));
    let fitting = all.filter(|(operation, failure)| {
        let keeps_others_out = **operation == "lock" && failure.starts_with("lost");
        !failure.contains("cut") && !failure.starts_with("jump") && !keeps_others_out
    });
    fitting.map(|(operation, failure)| format!(" {operation}:{failure}")).collect()
}

/// Numbers in a fixed order (xorshift), so that a seed repeats a run.
pub struct Dice(u64);

impl Dice {
    /// From `X402_SEED`, or else from the clock; prints it.
    pub fn seeded() -> Dice {
        let given = std::env::var("X402_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| {
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1
        });
        println!("X402_SEED={seed}");
        Dice(seed)
    }

    pub fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}
