//! The one error of the library: what happened, where, and where the money is.
//!
//! Owns the status numbers that the C header promises (families with gaps, never reused), the money state
//! and the retry advice. Knows nothing of HTTP, payments or C. An [`Error`] is a value with a cause; its
//! message is one sentence that names the field, the value (never a secret) and what to do.

use std::borrow::Cow;
use std::fmt;

/// What a call ended with. The numbers are the C interface's: append only, never reuse one.
///
/// 1xx: the caller's mistake. 2xx: network. 3xx: payment. 4xx: limits. 5xx: internal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum Status {
    Ok = 0,
    /// No failure: nothing is there yet, or there is no room yet.
    Again = 1,
    /// An argument is NULL, out of range, or not UTF-8.
    Argument = 100,
    /// A handle is NULL, freed, stale, or of another kind.
    Handle = 101,
    /// The URL cannot be parsed or its scheme is not served.
    Url = 102,
    /// The method is not an HTTP token.
    Method = 103,
    /// A header name or value holds a character that HTTP does not allow.
    Header = 104,
    /// A private key is malformed or out of range.
    Key = 105,
    /// A setting is unknown, or its value is not of the setting's form.
    Setting = 106,
    /// An amount is not of the form `0.10 USD` or `10000 eip155:8453/erc20:0x…`.
    Amount = 107,
    /// A pattern of a policy rule is malformed.
    Pattern = 108,
    /// The handle is busy in another call.
    Busy = 109,
    /// The handle was made by the parent process; a child has none of its threads.
    Forked = 110,
    /// A body callback failed or stopped the call.
    BodyCallback = 120,
    /// The body ended before, or went on after, the length it was declared with.
    BodyLength = 121,
    /// A body file cannot be opened or read.
    BodyFile = 122,
    /// Another callback of the caller (chunk, progress) stopped the call.
    Callback = 123,

    /// The host name could not be resolved.
    Resolve = 200,
    /// No address of the host accepted a connection.
    Connect = 201,
    /// The TLS handshake failed, the certificate was refused included.
    Tls = 202,
    /// A deadline passed.
    Timeout = 203,
    /// The call was cancelled.
    Cancelled = 204,
    /// The proxy refused or could not be spoken to.
    Proxy = 205,
    /// The connection was lost before the answer was whole.
    ConnectionLost = 206,
    /// The server's answer is not HTTP.
    Protocol = 207,
    /// A redirect that cannot or must not be followed.
    Redirect = 208,
    /// The address of the host is private and `deny_private_addresses` is on.
    AddressDenied = 209,
    /// The answer's content coding is broken.
    ContentCoding = 210,

    /// The server's terms of payment are malformed.
    Challenge = 300,
    /// Policy, budget or wallet declined the payment.
    Refused = 301,
    /// The signer failed.
    Sign = 302,

    /// The body is larger than may be kept for a replay.
    ReplayLimit = 400,
    /// The answer is larger than the caller's bound.
    ResponseLimit = 401,
    /// The answer's head is larger than the bound.
    HeadLimit = 402,

    /// A defect of this library was caught; the handle involved should be freed.
    Panic = 500,
    /// The operating system refused something the library needs (a temporary file, randomness, memory).
    System = 501,
    /// The ledger file cannot be opened, read or written; nothing was signed.
    Ledger = 502,
}

impl Status {
    /// Every status, in numeric order, with the name that the C header gives it.
    pub const ALL: &'static [(Status, &'static str)] = &[
        (Status::Ok, "X402_OK"),
        (Status::Again, "X402_AGAIN"),
        (Status::Argument, "X402_ERROR_ARGUMENT"),
        (Status::Handle, "X402_ERROR_HANDLE"),
        (Status::Url, "X402_ERROR_URL"),
        (Status::Method, "X402_ERROR_METHOD"),
        (Status::Header, "X402_ERROR_HEADER"),
        (Status::Key, "X402_ERROR_KEY"),
        (Status::Setting, "X402_ERROR_SETTING"),
        (Status::Amount, "X402_ERROR_AMOUNT"),
        (Status::Pattern, "X402_ERROR_PATTERN"),
        (Status::Busy, "X402_ERROR_BUSY"),
        (Status::Forked, "X402_ERROR_FORKED"),
        (Status::BodyCallback, "X402_ERROR_BODY_CALLBACK"),
        (Status::BodyLength, "X402_ERROR_BODY_LENGTH"),
        (Status::BodyFile, "X402_ERROR_BODY_FILE"),
        (Status::Callback, "X402_ERROR_CALLBACK"),
        (Status::Resolve, "X402_ERROR_RESOLVE"),
        (Status::Connect, "X402_ERROR_CONNECT"),
        (Status::Tls, "X402_ERROR_TLS"),
        (Status::Timeout, "X402_ERROR_TIMEOUT"),
        (Status::Cancelled, "X402_ERROR_CANCELLED"),
        (Status::Proxy, "X402_ERROR_PROXY"),
        (Status::ConnectionLost, "X402_ERROR_CONNECTION_LOST"),
        (Status::Protocol, "X402_ERROR_PROTOCOL"),
        (Status::Redirect, "X402_ERROR_REDIRECT"),
        (Status::AddressDenied, "X402_ERROR_ADDRESS_DENIED"),
        (Status::ContentCoding, "X402_ERROR_CONTENT_CODING"),
        (Status::Challenge, "X402_ERROR_CHALLENGE"),
        (Status::Refused, "X402_ERROR_REFUSED"),
        (Status::Sign, "X402_ERROR_SIGN"),
        (Status::ReplayLimit, "X402_ERROR_REPLAY_LIMIT"),
        (Status::ResponseLimit, "X402_ERROR_RESPONSE_LIMIT"),
        (Status::HeadLimit, "X402_ERROR_HEAD_LIMIT"),
        (Status::Panic, "X402_ERROR_PANIC"),
        (Status::System, "X402_ERROR_SYSTEM"),
        (Status::Ledger, "X402_ERROR_LEDGER"),
    ];
}

/// Where the money is. Every error and every response says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum Money {
    /// Nothing was signed.
    #[default]
    None = 0,
    /// Payment was asked for and declined here: policy, budget, or no key.
    Refused = 1,
    /// Signed, and proven not taken.
    Unpaid = 2,
    /// Settled: a receipt was read, with this answer or an earlier one.
    Paid = 3,
    /// Signed and perhaps sent, outcome not known: counts as spent.
    Unknown = 4,
}

/// What a caller who wants to try again may do without paying twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// The same call will fail in the same way.
    #[default]
    Never,
    /// Only by presenting the very same payment again.
    SameBytes,
    /// By asking for new terms; the earlier payment cannot settle.
    NewQuote,
    /// Freely: nothing was signed.
    Safe,
}

impl Retry {
    pub fn name(self) -> &'static str {
        match self {
            Retry::Never => "never",
            Retry::SameBytes => "same-bytes",
            Retry::NewQuote => "new-quote",
            Retry::Safe => "safe",
        }
    }
}

/// A failed call. Cheap to move; `Debug` and `Display` never hold a secret because messages never do.
#[derive(Debug)]
pub struct Error {
    pub status: Status,
    pub message: String,
    pub money: Money,
    pub retry: Retry,
    /// What a caller's own callback returned to stop the call, unchanged.
    pub callback_value: Option<i32>,
    /// The system's or another library's error behind this one.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        let retry = match status as i32 {
            200..=207 => Retry::Safe,
            _ => Retry::Never,
        };
        Error { status, message: message.into(), money: Money::None, retry, callback_value: None, cause: None }
    }

    pub fn with_cause(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    pub fn with_callback_value(mut self, value: i32) -> Self {
        self.callback_value = Some(value);
        self
    }

    /// The same error with the fate of a payment attached.
    pub fn with_money(mut self, money: Money, retry: Retry) -> Self {
        self.money = money;
        self.retry = retry;
        self
    }

    /// The same error for whoever asks again, without its cause: that is told once.
    pub fn again(&self) -> Self {
        let Error { status, message, money, retry, callback_value, cause: _ } = self;
        let (status, money, retry, callback_value) = (*status, *money, *retry, *callback_value);
        Error { status, message: message.clone(), money, retry, callback_value, cause: None }
    }

    /// Carries this error through an interface that only knows `io::Error`; [`Error::from_io`] takes it out again.
    pub fn into_io(self) -> std::io::Error {
        std::io::Error::other(self)
    }

    /// The [`Error`] that an `io::Error` carries, or else one of `status` with `what` as its sentence.
    pub fn from_io(error: std::io::Error, status: Status, what: &str) -> Self {
        match error.downcast::<Error>() {
            Ok(inner) => inner,
            Err(other) => {
                let message = format!("{what}: {other}");
                Error::new(status, message).with_cause(other)
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

/// Text from outside, fit for a message: control characters replaced, length bounded.
pub fn printable(text: &str) -> String {
    const PRINTABLE_CHARS_MAX: usize = 120;
    // As nearly every text is: a paid call shows a dozen.
    if text.len() <= PRINTABLE_CHARS_MAX && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return text.to_string();
    }
    let mut out: String = text
        .chars()
        .take(PRINTABLE_CHARS_MAX)
        .map(|c| if c.is_control() || is_direction_override(c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(PRINTABLE_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}

/// As [`printable`], for what a server says of a payment: some repeat the call that failed, its signature included,
/// and that signature may still be good. Long runs of hexadecimal or base64 digits are cut to their first eight.
pub fn printable_claim(text: &str) -> String {
    const HEX_DIGITS_MAX: usize = 40;
    const BASE64_DIGITS_MAX: usize = 64;
    let text = without_runs(text, |c| c.is_ascii_hexdigit(), HEX_DIGITS_MAX);
    printable(&without_runs(&text, |c| c.is_ascii_alphanumeric() || "+/-_=".contains(c), BASE64_DIGITS_MAX))
}

/// `text` with every run of more than `most` digits cut short.
fn without_runs(text: &str, is_digit: impl Fn(char) -> bool, most: usize) -> Cow<'_, str> {
    const DIGITS_SHOWN: usize = 8;
    // As nearly every text is. What is beyond ASCII is no digit, so that its bytes end a run as its character does.
    let runs = text.as_bytes().split(|byte| !is_digit(char::from(*byte)));
    if text.len() <= most || runs.map(<[u8]>::len).max().is_none_or(|longest| longest <= most) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut run = String::new();
    for c in text.chars().map(Some).chain(std::iter::once(None)) {
        if let Some(c) = c.filter(|c| is_digit(*c)) {
            run.push(c);
            continue;
        }
        if run.len() > most {
            run.truncate(DIGITS_SHOWN);
            run.push('…');
        }
        out.push_str(&run);
        run.clear();
        out.extend(c);
    }
    Cow::Owned(out)
}

/// The same JSON with every character that [`printable`] would replace written as an escape: serde leaves DEL, the C1
/// controls and the overrides of direction as they are, and a terminal obeys them. Outside of strings JSON has none.
pub fn printable_json(json: String) -> String {
    let is_plain = json.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if is_plain || !json.chars().any(|c| c.is_control() || is_direction_override(c)) {
        return json;
    }
    let escape = |c: char| match c {
        _ if c.is_control() || is_direction_override(c) => format!("\\u{:04x}", u32::from(c)),
        _ => c.to_string(),
    };
    json.chars().map(escape).collect()
}

/// Characters that make a terminal show a text in another order than it is stored.
fn is_direction_override(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_from_outside_are_bounded_and_hold_no_controls() {
        assert_eq!(printable("a\u{1b}[31m\u{202e}b"), "a\u{fffd}[31m\u{fffd}b");
        assert_eq!(printable(&"x".repeat(500)).chars().count(), 121);
    }

    #[test]
    fn json_with_controls_escaped_is_the_same_json() {
        let json = serde_json::json!({"a": "\u{9b}31m\u{7f}\u{202e}\n\u{1b}é"}).to_string();
        let shown = printable_json(json.clone());
        assert!(!shown.chars().any(|c| c.is_control() || is_direction_override(c)), "{shown}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&shown), read(&json));
    }

    #[test]
    fn a_signature_in_a_claim_is_cut_and_an_address_is_not() {
        let address = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
        let r = "9c0f49cd8230a08b5b67c89a0c482970858f2707ea16d0d150c9ea859374019d";
        let shown = printable_claim(&format!("from {address} r 0x{r}"));
        assert_eq!(shown, format!("from {address} r 0x9c0f49cd…"));
        assert_eq!(printable_claim(r), "9c0f49cd…");
        assert_eq!(printable_claim("fed"), "fed");
        let base64 = "yp".repeat(44);
        assert_eq!(printable_claim(&format!("\"{base64}\" is used")), "\"ypypypyp…\" is used");
    }
}
