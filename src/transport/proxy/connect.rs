//! The CONNECT handshake of an HTTP proxy (RFC 9110 §9.3.6).
//!
//! Owns the request and the reading of the answer's head. Knows nothing of what the tunnel will carry. The
//! head is read byte by byte: whatever follows it belongs to the tunnel, and a stream cannot be given it back.

use super::{Credentials, Proxy, authority, broken};
use crate::error::{Error, Status, printable};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{Read, Write};
use zeroize::Zeroizing;

/// All heads of one answer together, interim ones included.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const PROXY_AUTHENTICATION_REQUIRED: u16 = 407;

pub(super) fn open_tunnel(
    proxy: &Proxy,
    stream: &mut (impl Read + Write),
    target_host: &str,
    target_port: u16,
) -> Result<(), Error> {
    let target = authority(target_host, target_port);
    let mut request = Zeroizing::new(Vec::with_capacity(512));
    request.extend_from_slice(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").as_bytes());
    if let Some(credentials) = &proxy.credentials {
        request.extend_from_slice(b"Proxy-Authorization: Basic ");
        request.extend_from_slice(basic(credentials).as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).and_then(|()| stream.flush()).map_err(|cause| broken(proxy, cause))?;

    let mut budget = HEAD_BYTES_MAX;
    loop {
        let head = read_head(proxy, stream, &mut budget)?;
        match status_of(&head) {
            Some((100..=199, _)) => continue,
            Some((200..=299, _)) => return Ok(()),
            Some((status, reason)) => return Err(refusal(proxy, &target, status, &reason, &head)),
            None => {
                return Err(Error::new(
                    Status::Proxy,
                    format!("the proxy {proxy} did not answer in HTTP: check that it is an HTTP proxy"),
                ));
            }
        }
    }
}

fn basic(credentials: &Credentials) -> Zeroizing<String> {
    let mut pair = Zeroizing::new(Vec::with_capacity(credentials.user.len() + 1 + credentials.password.len()));
    pair.extend_from_slice(&credentials.user);
    pair.push(b':');
    pair.extend_from_slice(&credentials.password);
    Zeroizing::new(STANDARD.encode(&*pair))
}

/// One head, its blank line included. `budget` is what may still be read.
fn read_head(proxy: &Proxy, stream: &mut impl Read, budget: &mut usize) -> Result<Vec<u8>, Error> {
    let mut head = Vec::with_capacity(256);
    let mut byte = [0_u8];
    while !(head.ends_with(b"\r\n\r\n") || head.ends_with(b"\n\n")) {
        if *budget == 0 {
            return Err(Error::new(
                Status::Proxy,
                format!("the proxy {proxy} answered with a head of more than {HEAD_BYTES_MAX} bytes"),
            ));
        }
        match stream.read(&mut byte) {
            Ok(0) => {
                let when = if head.is_empty() { "without answering" } else { "in the middle of its answer" };
                return Err(Error::new(Status::Proxy, format!("the proxy {proxy} closed the connection {when}")));
            }
            Ok(_) => {
                head.extend_from_slice(&byte);
                *budget -= 1;
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(broken(proxy, cause)),
        }
    }
    Ok(head)
}

/// Status and reason phrase of `HTTP/1.x NNN reason`.
fn status_of(head: &[u8]) -> Option<(u16, String)> {
    let line = head.split(|b| *b == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let rest = line.trim_end().strip_prefix("HTTP/1.")?;
    let mut parts = rest.splitn(3, ' ');
    let minor = parts.next()?;
    let digits = parts.next()?;
    if minor.len() != 1 || digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let status = digits.parse().ok()?;
    Some((status, printable(parts.next().unwrap_or("").trim())))
}

fn refusal(proxy: &Proxy, target: &str, status: u16, reason: &str, head: &[u8]) -> Error {
    let answer = if reason.is_empty() { status.to_string() } else { format!("{status} {reason}") };
    let message = match (status, proxy.has_credentials()) {
        (PROXY_AUTHENTICATION_REQUIRED, true) => {
            let asked = asked_scheme(head);
            format!("the proxy {proxy} refused the user name and password ({answer}{asked}): only Basic is supported")
        }
        (PROXY_AUTHENTICATION_REQUIRED, false) => {
            let asked = asked_scheme(head);
            format!("the proxy {proxy} asks for a user name and password ({answer}{asked}): put them into its URL")
        }
        _ => format!("the proxy {proxy} refused to connect to {}: {answer}", printable(target)),
    };
    Error::new(Status::Proxy, message)
}

/// `, it asks for Negotiate`, from the first Proxy-Authenticate header (RFC 9110 §11.7.1).
fn asked_scheme(head: &[u8]) -> String {
    let head = String::from_utf8_lossy(head);
    let challenge = head.lines().skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("proxy-authenticate").then(|| value.trim().to_string())
    });
    match challenge.as_deref().and_then(|value| value.split_whitespace().next()) {
        Some(scheme) => format!(", it asks for {}", printable(scheme)),
        None => String::new(),
    }
}
