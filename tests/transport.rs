//! The transport's ordinary business: requests, answers, reuse of connections.

mod support_transport;

use std::io::Read;
use std::sync::atomic::Ordering;
use support_transport::{Counted, Server, get, read_all, request, transport};
use x402::transport::OutgoingBody;

#[test]
fn get_and_reuse() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello");
    let transport = transport();
    let url = server.url("/path?q=1#fragment");
    for round in 0..3 {
        let incoming = get(&transport, &url).unwrap();
        assert_eq!(incoming.status, 200);
        assert_eq!(incoming.report.reused, round > 0);
        assert_eq!(read_all(incoming), b"hello");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn post_with_declared_length_and_chunked() {
    let server = Server::start(|peer| {
        while let Some(head) = peer.head() {
            let Some(body) = peer.body(&head) else { return };
            let kind = if head.header("content-length").is_some() { "length" } else { "chunked" };
            peer.answer("200 OK", &format!("{kind} {}", body.len()));
        }
    });
    let transport = transport();
    let url = server.url("/");
    for length in [0, 1, 1000, 131_072, 131_073, 1_000_000] {
        let mut body = Counted::new(length);
        let outgoing = support_transport::request("POST", &url);
        let incoming = transport
            .round_trip(x402::transport::Outgoing { body: OutgoingBody::Sized(length, &mut body), ..outgoing })
            .unwrap();
        assert_eq!(incoming.report.body_bytes_pulled, length);
        assert_eq!(read_all(incoming), format!("length {length}").into_bytes());

        let mut body = Counted::new(length);
        let outgoing = request("POST", &url);
        let incoming = transport
            .round_trip(x402::transport::Outgoing { body: OutgoingBody::Chunked(&mut body), ..outgoing })
            .unwrap();
        assert_eq!(incoming.report.body_bytes_pulled, length);
        assert_eq!(read_all(incoming), format!("chunked {length}").into_bytes());
        assert!(body.taken.load(Ordering::SeqCst) as u64 == length);
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_body_read_to_exactly_its_length_frees_the_connection() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let transport = transport();
    for _ in 0..3 {
        let mut incoming = get(&transport, &server.url("/")).unwrap();
        incoming.body.read_exact(&mut [0; 5]).unwrap();
    }
    assert_eq!(server.connections(), 1);
}
