//! The paying test server: an HTTP/1.1 server that charges, verifies real payments and misbehaves when told to.
//!
//! Owns everything a test needs on the other end of the wire; it shares no code with the library, so that a
//! mistake made there cannot be made here again. A test file takes it in with
//! `#[path = "support/mod.rs"] mod support;`; `paying_server.rs` is the same as a program.
#![allow(dead_code)] // Each test binary uses its own part of this module.

pub mod admin;
pub mod answer;
pub mod approval;
pub mod batch;
pub mod certificates;
pub mod chat;
pub mod connection;
pub mod eip712;
pub mod exchange;
pub mod payment;
pub mod permit2;
pub mod proxy;
pub mod relay;
pub mod scenario;
pub mod server;
pub mod solana;
pub mod state;
pub mod stream;
pub mod terms;

#[allow(unused_imports)] // Some tests need no sockets.
pub use server::Server;

/// The scenario that `paying_server --demo` serves.
pub const DEMO: &str = include_str!("demo.json");

/// The scenario that `paying_server --openai` serves: chat completions that charge, in the ways that make SDKs retry.
pub const OPENAI: &str = include_str!("openai.json");
