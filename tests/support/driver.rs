//! What runs a case: a client in some language, given one JSON and giving back one JSON.
//!
//! Owns the process form of it: a driver is a program that reads a case from its input and writes the result
//! to its output. One that hangs is ended and counts as failed. Which programs there are is said by the builds that make
//! them, in `X402_DRIVERS`.

use serde_json::Value;
use std::io::{Read, Write};
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
    /// Its language, for people.
    pub name: String,
    /// As one would type it: the shell splits it into words.
    pub command: String,
}

/// The drivers that `X402_DRIVERS` names: `name=command`, separated by `;`. None if it is not set.
pub fn drivers_of_environment() -> Vec<ProcessDriver> {
    let Some(list) = std::env::var_os("X402_DRIVERS") else { return Vec::new() };
    let drivers = parse_drivers(list.to_str().expect("X402_DRIVERS is UTF-8"));
    drivers.unwrap_or_else(|problem| panic!("X402_DRIVERS: {problem}"))
}

/// A list that names nothing is an error, because a test that runs no driver would pass.
pub fn parse_drivers(list: &str) -> Result<Vec<ProcessDriver>, String> {
    let mut drivers: Vec<ProcessDriver> = Vec::new();
    for entry in list.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
        let parts = entry.split_once('=').map(|(name, command)| (name.trim(), command.trim()));
        let Some((name, command)) = parts.filter(|(name, command)| !name.is_empty() && !command.is_empty()) else {
            return Err(format!("{entry:?} is not name=command"));
        };
        if drivers.iter().any(|driver| driver.name == name) {
            return Err(format!("{name} is there twice"));
        }
        drivers.push(ProcessDriver { name: name.to_owned(), command: command.to_owned() });
    }
    if drivers.is_empty() { Err("it is set, and names no driver".to_owned()) } else { Ok(drivers) }
}

impl Driver for ProcessDriver {
    fn run(&self, input: &Value) -> Result<Value, String> {
        // `exec`, so that the program itself is what is ended when it hangs.
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {}", self.command)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", self.command))?;
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
