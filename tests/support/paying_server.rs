//! The paying test server as a program, for the demo, C programs and benchmarks.
//!
//! `paying_server --demo | --openai | --scenario FILE [--port N] [--tls] [--ca FILE]` prints `listening URL` (one line for
//! each origin, `base` first and bare) and `ca FILE` where it speaks TLS, and runs until its input ends.

#[path = "mod.rs"]
mod support;

use serde_json::Value;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

struct Options {
    scenario: Value,
    port: u16,
    ca: PathBuf,
}

fn options() -> Result<Options, String> {
    let mut text = None;
    let (mut port, mut tls) = (0, false);
    let mut ca = std::env::temp_dir().join(format!("paying-server-{}-ca.pem", std::process::id()));
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--openai" => text = Some(support::OPENAI.to_string()),
            "--demo" => text = Some(support::DEMO.to_string()),
            "--scenario" => {
                let path = value()?;
                text = Some(std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?);
            }
            "--port" => port = value()?.parse().map_err(|_| "--port needs a number".to_string())?,
            "--ca" => ca = value()?.into(),
            "--tls" => tls = true,
            other => return Err(format!("unknown argument {other}")),
        }
    }
    let text = text.ok_or("say --demo, --openai or --scenario FILE")?;
    let mut scenario: Value = serde_json::from_str(&text).map_err(|error| format!("the scenario: {error}"))?;
    if tls {
        scenario["origins"]["base"] = "https".into();
    }
    Ok(Options { scenario, port, ca })
}

fn run() -> Result<(), String> {
    let options = options()?;
    let server = support::Server::start_on(&options.scenario, options.port)?;
    let origins = options.scenario["origins"].as_object().cloned().unwrap_or_default();
    let mut lines = format!("listening {}\n", server.url("base"));
    for name in origins.keys().filter(|name| *name != "base") {
        lines += &format!("origin {name} {}\n", server.url(name));
    }
    let speaks_tls = origins.keys().any(|name| server.url(name).starts_with("https:"));
    if speaks_tls {
        server.write_ca(&options.ca).map_err(|error| format!("{}: {error}", options.ca.display()))?;
        lines += &format!("ca {}\n", options.ca.display());
    }
    io::stdout().write_all(lines.as_bytes()).map_err(|error| error.to_string())?;
    io::stdout().flush().map_err(|error| error.to_string())?;
    let _ = io::stdin().read_to_end(&mut Vec::new());
    if speaks_tls {
        let _ = std::fs::remove_file(&options.ca);
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("paying_server: {message}");
            ExitCode::FAILURE
        }
    }
}
