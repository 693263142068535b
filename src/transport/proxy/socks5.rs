//! The SOCKS5 handshake (RFC 1928), with a user name and password where the proxy's URL has them (RFC 1929).
//!
//! Owns the messages and the meaning of the reply codes. Knows nothing of what the tunnel will carry. Every
//! message has a length that is known before it is read, so no byte of the tunnel is ever taken.

use super::{Credentials, Proxy, ProxyKind, broken};
use crate::error::{Error, Status, printable};
use std::io::{Read, Write};
use std::net::IpAddr;
use zeroize::Zeroizing;

const VERSION: u8 = 5;
const METHOD_NONE: u8 = 0;
const METHOD_PASSWORD: u8 = 2;
const METHOD_REFUSED: u8 = 0xff;
const PASSWORD_VERSION: u8 = 1;
const COMMAND_CONNECT: u8 = 1;
const ADDRESS_IPV4: u8 = 1;
const ADDRESS_DOMAIN: u8 = 3;
const ADDRESS_IPV6: u8 = 4;

pub(super) fn open_tunnel(
    proxy: &Proxy,
    stream: &mut (impl Read + Write),
    target_host: &str,
    target_port: u16,
) -> Result<(), Error> {
    let request = connect_request(proxy, target_host, target_port)?;
    let greeting: &[u8] = match proxy.credentials {
        Some(_) => &[VERSION, 2, METHOD_NONE, METHOD_PASSWORD],
        None => &[VERSION, 1, METHOD_NONE],
    };
    send(proxy, stream, greeting)?;
    let [version, method] = receive(proxy, stream)?;
    if version != VERSION {
        return Err(not_socks5(proxy));
    }
    match (method, &proxy.credentials) {
        (METHOD_NONE, _) => {}
        (METHOD_PASSWORD, Some(credentials)) => authenticate(proxy, stream, credentials)?,
        (METHOD_REFUSED, None) => {
            return Err(proxy_error(format!(
                "the proxy {proxy} does not let anyone in without authentication: put a user name and password into \
                 its URL"
            )));
        }
        (METHOD_REFUSED, Some(_)) => {
            return Err(proxy_error(format!("the proxy {proxy} accepts no user name and password")));
        }
        (other, _) => {
            return Err(proxy_error(format!(
                "the proxy {proxy} chose authentication method {other}, which was not offered"
            )));
        }
    }
    send(proxy, stream, &request)?;
    read_reply(proxy, stream, target_host, target_port)
}

/// VER CMD RSV ATYP DST.ADDR DST.PORT (RFC 1928 §4). An address travels as an address even where names may.
fn connect_request(proxy: &Proxy, target_host: &str, target_port: u16) -> Result<Vec<u8>, Error> {
    let mut request = vec![VERSION, COMMAND_CONNECT, 0];
    match target_host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            request.push(ADDRESS_IPV4);
            request.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(ADDRESS_IPV6);
            request.extend_from_slice(&address.octets());
        }
        Err(_) if proxy.kind == ProxyKind::Socks5 => {
            return Err(Error::new(
                Status::Resolve,
                format!(
                    "{} must be resolved to an address before the proxy {proxy} is asked: use socks5h:// to let the \
                     proxy resolve it",
                    printable(target_host)
                ),
            ));
        }
        Err(_) => {
            let length = u8::try_from(target_host.len()).ok().filter(|length| *length > 0);
            let Some(length) = length else {
                return Err(proxy_error(format!(
                    "the host name has {} bytes, and SOCKS5 carries 1 to 255",
                    target_host.len()
                )));
            };
            request.extend_from_slice(&[ADDRESS_DOMAIN, length]);
            request.extend_from_slice(target_host.as_bytes());
        }
    }
    request.extend_from_slice(&target_port.to_be_bytes());
    Ok(request)
}

/// VER ULEN UNAME PLEN PASSWD, then VER STATUS (RFC 1929 §2).
fn authenticate(proxy: &Proxy, stream: &mut (impl Read + Write), credentials: &Credentials) -> Result<(), Error> {
    let mut message = Zeroizing::new(Vec::with_capacity(3 + credentials.user.len() + credentials.password.len()));
    message.push(PASSWORD_VERSION);
    for part in [&credentials.user, &credentials.password] {
        let length = u8::try_from(part.len())
            .map_err(|_| proxy_error("a SOCKS5 user name or password has at most 255 bytes"))?;
        message.push(length);
        message.extend_from_slice(part);
    }
    send(proxy, stream, &message)?;
    let [_, status] = receive(proxy, stream)?;
    if status != 0 {
        return Err(proxy_error(format!("the proxy {proxy} refused the user name and password")));
    }
    Ok(())
}

/// VER REP RSV ATYP BND.ADDR BND.PORT (RFC 1928 §6). The bound address is read past and not used.
fn read_reply(proxy: &Proxy, stream: &mut impl Read, target_host: &str, target_port: u16) -> Result<(), Error> {
    let [version, code, _, address_type] = receive(proxy, stream)?;
    if version != VERSION {
        return Err(not_socks5(proxy));
    }
    if code != 0 {
        let target = super::authority(target_host, target_port);
        let reason = reason_of(code);
        return Err(proxy_error(format!("the proxy {proxy} could not connect to {}: {reason}", printable(&target))));
    }
    match address_type {
        ADDRESS_IPV4 => receive::<6>(proxy, stream).map(drop),
        ADDRESS_IPV6 => receive::<18>(proxy, stream).map(drop),
        ADDRESS_DOMAIN => {
            let [length] = receive(proxy, stream)?;
            let mut rest = vec![0; usize::from(length) + 2];
            receive_into(proxy, stream, &mut rest)
        }
        _ => Err(not_socks5(proxy)),
    }
}

fn reason_of(code: u8) -> String {
    let known = match code {
        1 => "general failure",
        2 => "forbidden by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => return format!("unknown reply code {code}"),
    };
    format!("{known} (reply code {code})")
}

fn send(proxy: &Proxy, stream: &mut impl Write, message: &[u8]) -> Result<(), Error> {
    stream.write_all(message).and_then(|()| stream.flush()).map_err(|cause| broken(proxy, cause))
}

fn receive<const N: usize>(proxy: &Proxy, stream: &mut impl Read) -> Result<[u8; N], Error> {
    let mut message = [0; N];
    receive_into(proxy, stream, &mut message)?;
    Ok(message)
}

fn receive_into(proxy: &Proxy, stream: &mut impl Read, message: &mut [u8]) -> Result<(), Error> {
    stream.read_exact(message).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            proxy_error(format!("the proxy {proxy} closed the connection during its handshake"))
        }
        _ => broken(proxy, cause),
    })
}

fn not_socks5(proxy: &Proxy) -> Error {
    proxy_error(format!("the proxy {proxy} did not answer in SOCKS5: check its scheme and port"))
}

fn proxy_error(message: impl Into<String>) -> Error {
    Error::new(Status::Proxy, message)
}
