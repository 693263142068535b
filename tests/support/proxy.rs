//! An HTTP proxy in small: whatever host a client names, it gets the `base` origin.
//!
//! Owns CONNECT and the absolute form. So a test can speak to `http://shop.example` without a name server.

use super::relay::relay;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Serves one proxy connection to its end.
pub fn serve(mut client: TcpStream, target: SocketAddr) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if client.read(&mut byte)? == 0 || head.len() > HEAD_BYTES_MAX {
            return Ok(());
        }
        head.push(byte[0]);
    }
    let mut server = TcpStream::connect(target)?;
    if head.starts_with(b"CONNECT ") {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        server.write_all(&head)?;
    }
    relay(client, server)
}
