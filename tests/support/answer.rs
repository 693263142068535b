//! An answer of the script as bytes: status line, headers, body with its framing and coding.
//!
//! Owns no timing and no socket; it renders once, into one buffer, so that a well-behaved answer is one write.

use super::chat;
use super::connection::Head;
use super::scenario::{Answer, Close, Coding, Content, Early, Framing, pattern};
use super::solana;
use super::terms::Challenge;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::json;
use std::io::Write;

const CHUNK_BYTES: usize = 4096;

/// What an answer may tell about its request, and what the payment came to.
pub struct Facts<'a> {
    pub head: &'a Head,
    /// Headers with payments replaced by their hashes.
    pub headers: &'a [(String, String)],
    pub body_bytes: u64,
    pub body_sha256: Option<String>,
    /// The request's body, kept for an echo.
    pub body: Vec<u8>,
    pub challenge: Option<&'a Challenge>,
    /// Name and value of the receipt's header.
    pub receipt: Option<(&'static str, String)>,
}

/// The answer's bytes; its body, framing included, starts at `body_at`.
pub struct Wire {
    pub bytes: Vec<u8>,
    pub body_at: usize,
}

pub fn render(answer: &Answer, status: u16, facts: &Facts<'_>) -> Wire {
    let (content, kind) = content(answer, facts);
    let content = match answer.coding {
        Some(coding) => encoded(coding, &content),
        None => content,
    };
    let mut bytes = Vec::with_capacity(512 + content.len());
    let mut line = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            bytes.extend_from_slice(part.as_bytes());
        }
    };
    if let Some(challenge) = facts.challenge.and_then(|challenge| challenge.header.as_deref()) {
        line("PAYMENT-REQUIRED", challenge);
        line("Cache-Control", "no-store");
    }
    if let Some((name, value)) = &facts.receipt {
        line(name, value);
    }
    if !kind.is_empty() && !answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        line("Content-Type", kind);
    }
    for (name, value) in &answer.headers {
        line(name, value);
    }
    if answer.head_padding_bytes > 0 {
        line("X-Padding", &"x".repeat(answer.head_padding_bytes));
    }
    for number in 0..answer.header_lines {
        line(&format!("X-{number}"), "x");
    }
    if let Some(coding) = answer.coding {
        line("Content-Encoding", if coding == Coding::Deflate { "deflate" } else { "gzip" });
    }
    let bodiless = status < 200 || status == 204 || status == 304;
    match answer.framing {
        _ if bodiless => {}
        Framing::Length => line("Content-Length", &content.len().to_string()),
        Framing::Chunked => line("Transfer-Encoding", "chunked"),
        Framing::Close => {}
    }
    // A server that reads no more and does not say so would have its own client wait for ever.
    let reads_no_more = answer.early == Some(Early::StopReading);
    if answer.close == Some(Close::Announced) || answer.framing == Framing::Close || reads_no_more {
        line("Connection", "close");
    }
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status)).into_bytes();
    head.append(&mut bytes);
    head.extend_from_slice(b"\r\n");
    let mut wire = Wire { body_at: head.len(), bytes: head };
    if !bodiless && facts.head.method != "HEAD" {
        match answer.framing {
            Framing::Chunked => append_chunked(&mut wire.bytes, &content),
            _ => wire.bytes.extend_from_slice(&content),
        }
    }
    wire
}

fn append_chunked(out: &mut Vec<u8>, content: &[u8]) {
    for chunk in content.chunks(CHUNK_BYTES) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
}

/// The body and its type.
fn content(answer: &Answer, facts: &Facts<'_>) -> (Vec<u8>, &'static str) {
    const JSON: &str = "application/json";
    match &answer.body {
        Content::Default => match facts.challenge {
            Some(challenge) => (challenge.body.clone(), JSON),
            None => (Vec::new(), ""),
        },
        Content::Text(text) => (text.clone().into_bytes(), "text/plain; charset=utf-8"),
        Content::Json(value) => (value.to_string().into_bytes(), JSON),
        Content::Base64(text) => (BASE64.decode(text).unwrap_or_default(), "application/octet-stream"),
        Content::Pattern(length) => (pattern(*length), "application/octet-stream"),
        Content::Echo => (facts.body.clone(), "application/octet-stream"),
        Content::Chat => chat::answer(&facts.body),
        Content::SolanaNode => (solana::node_answer(&facts.body), JSON),
        Content::Count => (json!({"length": facts.body_bytes}).to_string().into_bytes(), JSON),
        Content::Hash => {
            let seen = json!({"sha256": facts.body_sha256, "length": facts.body_bytes,
                "method": facts.head.method, "headers": facts.headers});
            (seen.to_string().into_bytes(), JSON)
        }
    }
}

fn encoded(coding: Coding, content: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Coding::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Coding::BrokenGzip => content.to_vec(),
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        103 => "Early Hints",
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        402 => "Payment Required",
        404 => "Not Found",
        412 => "Precondition Failed",
        417 => "Expectation Failed",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
