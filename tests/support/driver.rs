//! What runs a case: a client in some language, given one JSON and giving back one JSON.
//!
//! Owns the process form of it: a driver is a program that reads a case from its input and writes the result
//! to its output. One that hangs is ended and counts as failed.

use serde_json::Value;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// More than any case needs.
pub const CASE_TIME_MAX: Duration = Duration::from_secs(60);

pub trait Driver: Send + Sync {
    fn run(&self, input: &Value) -> Result<Value, String>;
}

/// A driver program.
pub struct ProcessDriver {
    pub program: PathBuf,
}

impl Driver for ProcessDriver {
    fn run(&self, input: &Value) -> Result<Value, String> {
        let mut child = Command::new(&self.program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", self.program.display()))?;
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let text = input.to_string();
        let writer = thread::spawn(move || stdin.write_all(text.as_bytes()));
        let (done, answer) = mpsc::channel();
        let reader = thread::spawn(move || {
            let mut out = Vec::new();
            let _ = done.send(stdout.read_to_end(&mut out).map(|_| out));
        });
        let out = answer.recv_timeout(CASE_TIME_MAX);
        if out.is_err() {
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        let _ = (writer.join(), reader.join());
        let out = out.map_err(|_| format!("no result within {CASE_TIME_MAX:?}"))?.map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(format!("the driver ended with {status}"));
        }
        serde_json::from_slice(&out).map_err(|error| format!("the result is not JSON: {error}"))
    }
}
