//! A scenario: what the server listens on, what each path charges, and what it answers, step by step.
//!
//! Owns the JSON form of the script (`tests/cases/README.md` documents it) and nothing of sockets. Unknown
//! members are refused, so that a misspelt fault cannot silently become a well-behaved answer.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// Listeners by name, each with an address of its own; `{name}` in texts stands for its base URL.
    pub origins: BTreeMap<String, OriginKind>,
    /// By path, or by `origin:path` where two origins answer the same path differently.
    pub routes: BTreeMap<String, Route>,
    /// Keep the SHA-256 of every request body in the record.
    pub hash_bodies: bool,
    /// What the server holds of a payment channel that it sees for the first time.
    pub channel: ChannelBefore,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelBefore {
    pub balance: u64,
    pub charged: u64,
    /// What the last voucher lets it have, and its signature; absent: it has none to show.
    pub signed: u64,
    pub signature: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginKind {
    Http,
    /// A certificate of the test authority for localhost, 127.0.0.1, ::1 and the `.example` names.
    Https,
    /// As `https`, and the client must show a certificate of the test authority.
    HttpsClientCertificate,
    HttpsUntrusted,
    HttpsExpired,
    HttpsWrongName,
    /// A port nobody listens on.
    Closed,
    /// Accepts, reads, and never says a byte.
    Silent,
    /// An HTTP proxy (CONNECT and absolute form); whatever host is asked for, it goes to `base`.
    Proxy,
    /// A SOCKS5 proxy without authentication; likewise.
    Socks5,
    /// A unix socket that leads to `base`. Its URL is `unix:/path:`, so that a path can follow; its host is the path.
    Unix,
}

impl OriginKind {
    pub fn is_tls(self) -> bool {
        use OriginKind::*;
        matches!(self, Https | HttpsClientCertificate | HttpsUntrusted | HttpsExpired | HttpsWrongName)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// Present: the path charges.
    pub terms: Option<Terms>,
    /// Other terms that hold from the request with this number on, counted from 0.
    pub terms_later: Option<(usize, Terms)>,
    /// Answers of a path that does not charge. Of each list the n-th request gets the n-th answer, the last repeats.
    pub answers: Vec<Answer>,
    /// Answers to requests without a payment.
    pub unpaid: Vec<Answer>,
    /// Answers to requests with a payment that holds.
    pub paid: Vec<Answer>,
    /// Answers to requests with a payment that does not hold.
    pub refused: Vec<Answer>,
    /// What a payment presented a second time gets.
    pub replayed: Replayed,
}

impl Default for Route {
    fn default() -> Self {
        let plain = || vec![Answer::default()];
        Route {
            terms: None,
            terms_later: None,
            answers: plain(),
            unpaid: plain(),
            paid: plain(),
            refused: plain(),
            replayed: Replayed::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replayed {
    /// Refused as used: `invalid_exact_evm_nonce_already_used` or, on Solana, `duplicate_settlement`.
    #[default]
    Refused,
    /// Answered again with the first receipt; nothing is settled twice.
    Accepted,
}

/// The terms of payment. `offers` are completed with defaults; `offers_raw` go out as they stand.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Terms {
    /// 1 or 2; absent: 2.
    pub version: Option<u8>,
    pub offers: Vec<Value>,
    pub offers_raw: Option<Value>,
    pub error: Option<String>,
    /// Absent: made from the route. Null: left out.
    pub resource: Option<Value>,
    pub extensions: Option<Value>,
    /// Further members of the challenge; they replace members of the same name.
    pub members: serde_json::Map<String, Value>,
    pub place: Place,
    /// The `PAYMENT-REQUIRED` header as it stands.
    pub raw_header: Option<String>,
    /// The body of the 402 as it stands.
    pub raw_body: Option<String>,
    /// The token does not let Permit2 move it yet: a payment through Permit2 must bring the approval along.
    pub unapproved: bool,
    /// An ignored member `padding` of this many bytes.
    pub pad_bytes: usize,
    /// An ignored member `nested` of arrays this deep.
    pub depth: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Version 2 in the header, version 1 in the body.
    #[default]
    Usual,
    Header,
    Body,
    /// The same challenge in both.
    Both,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answer {
    /// Absent: 402 in `unpaid` and `refused`, else 200.
    pub status: Option<u16>,
    pub headers: Vec<(String, String)>,
    pub body: Content,
    pub coding: Option<Coding>,
    pub framing: Framing,
    /// A 402 carries the route's terms unless `bare`; `terms` are others, `error` is put into either.
    pub bare: bool,
    pub terms: Option<Terms>,
    pub error: Option<String>,
    /// Answer before the body was read, and what then.
    pub early: Option<Early>,
    /// Body bytes read before an early answer.
    pub early_after_bytes: u64,
    pub expect: ExpectAs,
    /// Interim statuses (103) sent before the answer.
    pub interim: Vec<u16>,
    /// Whether the payment is settled before this answer. Absent: yes for a `paid` answer below 300.
    pub settle: Option<Settle>,
    /// `errorReason` of a settlement that fails.
    pub settle_reason: Option<String>,
    /// `amount` of the receipt; of a payment by channel, what is charged.
    pub charged: Option<String>,
    /// A charge of a payment channel is told and not kept.
    pub forgets: bool,
    pub receipt: ReceiptAs,
    /// Wait until `/_server/release` before the first byte.
    pub hold: bool,
    /// Wait until released after this many bytes of the body.
    pub hold_at: Option<usize>,
    pub delay_ms: u64,
    pub drip: Option<Drip>,
    pub fault: Option<Fault>,
    pub close: Option<Close>,
    /// A header of this many bytes more.
    pub head_padding_bytes: usize,
    /// So many short headers more.
    pub header_lines: usize,
}

/// Bytes of a body. `Hash` and `Count` tell about the request's body, `Echo` is it, `Chat` and `SolanaNode` answer it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Nothing, or for a 402 what the terms say.
    #[default]
    Default,
    Text(String),
    Json(Value),
    Base64(String),
    /// This many bytes, the i-th being i mod 251.
    Pattern(usize),
    Hash,
    Count,
    Echo,
    /// A chat completion in OpenAI's shape, as server-sent events where the request says `stream`.
    Chat,
    /// A node of a Solana cluster: JSON-RPC.
    SolanaNode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    Gzip,
    Deflate,
    /// Says gzip and is not.
    BrokenGzip,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    #[default]
    Length,
    Chunked,
    /// Neither: the end of the connection ends the body.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Early {
    /// Reads the rest and keeps the connection.
    KeepReading,
    /// Says `Connection: close`, reads no more and keeps the socket open until the client closes or goes on with
    /// another request.
    StopReading,
    /// Closes at once with unread data: the client's kernel sees a reset.
    Reset,
    /// As `reset`, 200 ms later.
    ResetLate,
    /// Says the end, and reads until the client closes.
    LingerClose,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpectAs {
    /// `100` before the body is read; an early answer takes its place.
    #[default]
    Honour,
    /// No `100` ever; an early answer waits for the first body byte.
    Ignore,
    /// `100` in a packet of its own, then the answer, early or late.
    Continue,
    /// `100` and the early answer in one packet.
    WithFinal,
    /// 417 to a request that expects.
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settle {
    Yes,
    No,
    /// Not settled, and the receipt says so (`success: false`).
    Fail,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptAs {
    /// A receipt where something was settled or failed to be.
    #[default]
    Usual,
    None,
    /// The header's value as it stands.
    Raw(String),
    /// This object, in base64.
    Json(Value),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drip {
    pub bytes: usize,
    pub every_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Closes without a byte of an answer.
    Close,
    /// Resets without a byte of an answer.
    Reset,
    /// Closes without an answer, but only on a connection that served before; otherwise the answer.
    CloseIfReused,
    /// Ends the connection after this many bytes of the body.
    TruncateAt(usize),
    /// Resets the connection after this many bytes of the body.
    ResetAt(usize),
    /// Sends the whole answer twice; the second is an answer to nothing.
    Twice,
    /// Sends this instead of HTTP, and closes.
    Garbage(String),
    /// Never answers; waits for the client to close.
    Hang,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Close {
    /// `Connection: close`, and closes.
    Announced,
    /// Closes after the answer without having said so.
    Silent,
}

impl Scenario {
    pub fn parse(text: &str) -> Result<Scenario, String> {
        let scenario: Scenario = serde_json::from_str(text).map_err(|error| format!("the scenario: {error}"))?;
        scenario.completed()
    }

    pub fn from_value(value: &Value) -> Result<Scenario, String> {
        let scenario: Scenario = Scenario::deserialize(value).map_err(|error| format!("the scenario: {error}"))?;
        scenario.completed()
    }

    /// `base` exists always; no list of answers is empty.
    fn completed(mut self) -> Result<Scenario, String> {
        self.origins.entry("base".into()).or_insert(OriginKind::Http);
        for (path, route) in &self.routes {
            if !path.contains('/') {
                return Err(format!("the route {path:?} has no path"));
            }
            for (name, list) in [
                ("answers", &route.answers),
                ("unpaid", &route.unpaid),
                ("paid", &route.paid),
                ("refused", &route.refused),
            ] {
                if list.is_empty() {
                    return Err(format!("the route {path:?} has an empty list {name:?}"));
                }
            }
        }
        Ok(self)
    }
}

/// The i-th byte is i mod 251: a prime, so that a shifted or swapped block never looks right.
pub fn pattern(length: usize) -> Vec<u8> {
    let block: Vec<u8> = (0..251).collect();
    let mut out = block.repeat(length / block.len() + 1);
    out.truncate(length);
    out
}
