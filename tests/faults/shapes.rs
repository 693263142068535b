//! The forms of a paid call that are put to the test, each with its script for driver and server.
//!
//! Owns the steps. Every shape ends with a repeat of its purchase, a free call, and purchases until the budget is
//! used up, so that what a failure left behind shows.

use super::lab::PRICE;
use serde_json::{Value, json};

/// Three payments fit into the driver's budget.
pub const BUDGET_PAYMENTS: u64 = 3;
const BODY_BYTES: usize = 100_000;

pub struct Shape {
    pub name: &'static str,
    arguments: &'static str,
    /// The steps whose operations are numbered.
    numbered: &'static str,
    /// The purchase has a name, and is paid once for ever.
    pub named: bool,
    /// The ledger is a file, and a second process goes on where the first one ended.
    pub file: bool,
    pub has_body: bool,
    /// The caller sends with a client of its own: each payment is a purchase, and counts once it is signed.
    pub detached: bool,
    /// The call runs on a queue's threads, which let go of the client in their own time: descriptors are not counted.
    pub queued: bool,
    /// The second purchase of the first process is paid with its first request.
    pub prepaid: bool,
    /// The server settles the first payment and says nothing.
    first_answer_lost: bool,
    kind: Kind,
}

/// What the server asks to be signed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Eip3009,
    Permit2,
    Solana,
}

const GET: Shape = Shape {
    name: "get",
    arguments: "named=1",
    numbered: "buy:a close",
    named: true,
    file: true,
    has_body: false,
    detached: false,
    queued: false,
    prepaid: false,
    first_answer_lost: false,
    kind: Kind::Eip3009,
};

const POST: Shape =
    Shape { name: "post", arguments: "named=1 method=POST body=100000 rewind=1 declare=1", has_body: true, ..GET };

pub const SHAPES: [Shape; 14] = [
    GET,
    Shape { name: "get-unnamed", arguments: "", named: false, ..GET },
    Shape { name: "get-by-name", arguments: "named=1 localhost=1", ..GET },
    Shape { name: "get-repeated", numbered: "buy:a buy:a close", first_answer_lost: true, ..GET },
    Shape { name: "get-detached", arguments: "", numbered: "pay:a close", named: false, detached: true, ..GET },
    Shape { name: "get-queued", arguments: "named=1 queued=1", queued: true, ..GET },
    Shape {
        name: "get-prepaid",
        arguments: "prepay=1",
        numbered: "buy:a buy:a close",
        named: false,
        prepaid: true,
        ..GET
    },
    Shape { name: "get-permit2", kind: Kind::Permit2, ..GET },
    Shape { name: "get-solana", kind: Kind::Solana, ..GET },
    Shape { name: "get-in-memory", numbered: "buy:a", file: false, ..GET },
    POST,
    Shape { name: "post-spooled", arguments: "named=1 method=POST body=100000 memory=30000", ..POST },
    Shape {
        name: "post-redirected",
        arguments: "named=1 method=POST body=100000 memory=30000 declare=1 redirect=1",
        ..POST
    },
    Shape { name: "post-in-memory", numbered: "buy:a", file: false, ..POST },
];

impl Shape {
    /// What the server asks for.
    pub fn offer(&self) -> Value {
        let price = PRICE.to_string();
        match self.kind {
            Kind::Eip3009 => json!({"price": price}),
            Kind::Permit2 => {
                json!({"price": price, "extra": {"name": "USDC", "version": "2", "assetTransferMethod": "permit2"}})
            }
            Kind::Solana => json!({
                "price": price,
                "network": "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
                "asset": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
                "payTo": "9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu",
                "extra": {
                    "feePayer": "GyGKxMyg1p9SsHfm15MkNUu1u9TN2JtTspcdmrtGUdse",
                    "recentBlockhash": "5NzX7jrPWeTkGsDnVnszdEa7T3Yyr3nSgyc78z3CwjWQ",
                },
            }),
        }
    }

    /// What the server answers to payments that hold.
    pub fn paid(&self) -> Value {
        let goods = json!({"body": {"text": "goods"}});
        if self.first_answer_lost { json!([{"fault": "close"}, goods]) } else { json!([goods]) }
    }

    /// The driver's arguments before its steps.
    pub fn arguments(&self, base: &str, other: &str, folder: &std::path::Path) -> Vec<String> {
        let mut out = vec![format!("base={base}"), format!("other={other}")];
        if self.file {
            out.push(format!("ledger={}", folder.join("ledger").display()));
        }
        for argument in self.arguments.split_whitespace() {
            match argument {
                "localhost=1" => out[0] = out[0].replace("127.0.0.1", "localhost"),
                other => out.push(other.to_string()),
            }
        }
        out
    }

    /// The steps of the process that meets the failure. A purchase that the library can tell again is repeated at
    /// once; without a name a second one would be another purchase.
    pub fn first_steps(&self) -> Vec<&'static str> {
        let mut steps = vec!["+"];
        steps.extend(self.numbered.split(' '));
        steps.push("-");
        if self.named {
            steps.push("buy:a");
        }
        steps.extend(if self.file { FREE_CALLS.as_slice() } else { LAST_STEPS.as_slice() });
        steps
    }

    /// The steps of the process after it, where there is one.
    pub fn second_steps(&self) -> Option<Vec<&'static str>> {
        let repeat = if self.detached { "pay:a" } else { "buy:a" };
        self.file.then(|| [&[repeat], LAST_STEPS.as_slice()].concat())
    }

    pub fn body(&self) -> Vec<u8> {
        if self.has_body { crate::support::scenario::pattern(BODY_BYTES) } else { Vec::new() }
    }
}

const FREE_CALLS: [&str; 2] = ["free", "elsewhere"];
const LAST_STEPS: [&str; 5] = ["free", "elsewhere", "buy:f1", "buy:f2", "buy:f3"];
