//! An answer that comes while the body is still being sent: in every way a server may go on afterwards.

mod support_transport;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use support_transport::tls::{self, Authority};
use support_transport::{Counted, Gate, PATIENCE, Peer, Server, read_all, request, transport};
use url::Url;
use x402::error::Status;
use x402::transport::{Deadlines, Failure, Incoming, Outgoing, OutgoingBody, Transport};

const BODY_BYTES: u64 = 64 * 1024 * 1024;
/// What may be on its way when the answer comes: the socket buffers of both ends, and what the server reads first.
const UNDERWAY_BYTES_MAX: u64 = 32 * 1024 * 1024;
const PAY: &str = "HTTP/1.1 402 Payment Required\r\nContent-Length: 3\r\nX-Offer: 1\r\n\r\npay";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// Reads the rest of the body.
    ReadsOn,
    /// Reads nothing more and keeps the connection open.
    Stops,
    /// Closes with unread bytes, so that its system answers with a reset.
    Resets,
    /// The same, once the client has seen the answer.
    ResetsLater,
    /// Sends its FIN and reads on.
    HalfCloses,
}

const AFTER: [After; 5] = [After::ReadsOn, After::Stops, After::Resets, After::ResetsLater, After::HalfCloses];

fn upload(transport: &Transport, url: &Url, body: &mut Counted, chunked: bool) -> Result<Incoming, Failure> {
    let length = body.left;
    let body = if chunked { OutgoingBody::Chunked(body) } else { OutgoingBody::Sized(length, body) };
    let deadlines = Deadlines { total: Instant::now().checked_add(PATIENCE), ..Deadlines::default() };
    transport.round_trip(Outgoing { body, deadlines, ..request("POST", url) })
}

fn early(after: After, seen: Gate, done: Gate) -> impl Fn(&mut Peer) + Send + Sync + 'static {
    move |peer| {
        let Some(head) = peer.head() else { return };
        if head.line().starts_with("GET") {
            peer.answer("200 OK", "fresh");
            return;
        }
        peer.exactly(100_000);
        peer.send(PAY);
        match after {
            After::ReadsOn => assert!(peer.drain() > 0),
            After::Stops => assert!(done.wait()),
            After::Resets => {}
            After::ResetsLater => assert!(seen.wait()),
            After::HalfCloses => {
                peer.socket.shutdown(std::net::Shutdown::Write).unwrap();
                peer.drain();
            }
        }
    }
}

fn check(transport: &Transport, server: &Server, url: &Url, after: After, chunked: bool, seen: &Gate, done: &Gate) {
    let case = format!("{after:?}, chunked: {chunked}, {}", url.scheme());
    let mut body = Counted::new(BODY_BYTES);
    let (taken, reads) = (body.taken.clone(), body.reads.clone());
    let begun = Instant::now();
    let incoming = upload(transport, url, &mut body, chunked).unwrap_or_else(|failure| panic!("{case}: {failure:?}"));
    let elapsed = begun.elapsed();
    let reads_at_answer = reads.load(Ordering::SeqCst);
    seen.open();
    assert_eq!(incoming.status, 402, "{case}");
    assert!(incoming.report.stopped_early && incoming.report.any_response_byte, "{case}");
    assert_eq!(incoming.report.body_bytes_pulled, taken.load(Ordering::SeqCst) as u64, "{case}");
    assert!(incoming.report.body_bytes_pulled < UNDERWAY_BYTES_MAX, "{case}: {:?}", incoming.report);
    assert!(incoming.headers.iter().any(|(name, value)| name == "x-offer" && value == "1"), "{case}");
    assert_eq!(read_all(incoming), b"pay", "{case}");
    assert_eq!(reads.load(Ordering::SeqCst), reads_at_answer, "{case}");
    assert!(elapsed < Duration::from_secs(10), "{case}: {elapsed:?}");
    let before = server.connections();
    let next = transport.round_trip(request("GET", url)).unwrap();
    assert!(!next.report.reused, "{case}");
    assert_eq!(read_all(next), b"fresh", "{case}");
    assert_eq!(server.connections(), before + 1, "{case}");
    done.open();
}

#[test]
fn early_answer_plain() {
    for after in AFTER {
        for chunked in [false, true] {
            let (seen, done) = (Gate::default(), Gate::default());
            let server = Server::start(early(after, seen.clone(), done.clone()));
            check(&transport(), &server, &server.url("/"), after, chunked, &seen, &done);
        }
    }
}

#[test]
fn early_answer_tls() {
    let authority = Authority::new();
    let transport = Arc::new(authority.transport());
    for after in AFTER {
        for chunked in [false, true] {
            let (seen, done) = (Gate::default(), Gate::default());
            let server = tls::server(&authority, early(after, seen.clone(), done.clone()));
            check(&transport, &server, &server.https_url("/"), after, chunked, &seen, &done);
        }
    }
}

#[test]
fn an_early_reset_never_loses_the_answer() {
    let (seen, done) = (Gate::default(), Gate::default());
    let server = Server::start(early(After::Resets, seen, done));
    let transport = transport();
    for round in 0..50 {
        let incoming = upload(&transport, &server.url("/"), &mut Counted::new(BODY_BYTES), round % 2 == 0).unwrap();
        assert_eq!(incoming.status, 402);
        assert_eq!(read_all(incoming), b"pay");
    }
}

#[test]
fn an_early_answer_without_a_length_survives_the_reset() {
    let server = Server::start(|peer| {
        let Some(_) = peer.head() else { return };
        peer.exactly(100_000);
        peer.send("HTTP/1.1 402 Payment Required\r\n\r\nall of it");
    });
    let incoming = upload(&transport(), &server.url("/"), &mut Counted::new(BODY_BYTES), false).unwrap();
    assert_eq!(read_all(incoming), b"all of it");
}

#[test]
fn interim_answers_do_not_stop_an_upload() {
    let server = Server::start(|peer| {
        while let Some(head) = peer.head() {
            peer.send("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
            let Some(body) = peer.body(&head) else { return };
            peer.answer("200 OK", &body.len().to_string());
        }
    });
    let transport = transport();
    for chunked in [false, true] {
        let incoming = upload(&transport, &server.url("/"), &mut Counted::new(4_000_000), chunked).unwrap();
        assert!(!incoming.report.stopped_early);
        assert!(matches!(&incoming.headers[..], [(name, value)] if name == "content-length" && value == "7"));
        assert_eq!(read_all(incoming), b"4000000");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn an_early_success_lets_the_upload_finish() {
    let server = Server::start(|peer| {
        while let Some(head) = peer.head() {
            peer.answer("200 OK", "early");
            let Some(body) = peer.body(&head) else { return };
            assert_eq!(body.len() as u64, 8_000_000);
        }
    });
    let transport = transport();
    for round in 0..4 {
        let incoming = upload(&transport, &server.url("/"), &mut Counted::new(8_000_000), round % 2 == 1).unwrap();
        assert_eq!((incoming.status, incoming.report.body_bytes_pulled), (200, 8_000_000));
        assert!(!incoming.report.stopped_early);
        assert_eq!(read_all(incoming), b"early");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn an_early_success_before_a_reset_is_returned() {
    let server = Server::start(|peer| {
        let Some(_) = peer.head() else { return };
        peer.exactly(100_000);
        peer.answer("201 Created", "enough");
    });
    let incoming = upload(&transport(), &server.url("/"), &mut Counted::new(BODY_BYTES), false).unwrap();
    assert_eq!((incoming.status, incoming.report.stopped_early), (201, true));
    assert_eq!(read_all(incoming), b"enough");
}

#[test]
fn an_answer_larger_than_the_buffer_arrives_whole() {
    // A server that answers while it reads, with more than this client keeps while it is sending.
    const ECHO_BYTES: usize = 5_000_000;
    let server = Server::start(|peer| {
        let Some(head) = peer.head() else { return };
        let mut socket = peer.socket.try_clone().unwrap();
        let writer = thread::spawn(move || {
            write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: {ECHO_BYTES}\r\n\r\n").unwrap();
            socket.write_all(&vec![b'e'; ECHO_BYTES]).unwrap();
        });
        assert_eq!(peer.body(&head).unwrap().len() as u64, BODY_BYTES);
        writer.join().unwrap();
    });
    let incoming = upload(&transport(), &server.url("/"), &mut Counted::new(BODY_BYTES), false).unwrap();
    assert_eq!((incoming.report.body_bytes_pulled, incoming.report.stopped_early), (BODY_BYTES, false));
    assert_eq!(read_all(incoming), vec![b'e'; ECHO_BYTES]);
}

#[test]
fn a_connection_that_ends_without_an_answer_is_lost() {
    for half in [true, false] {
        let server = Server::start(move |peer| {
            let Some(_) = peer.head() else { return };
            peer.exactly(100_000);
            if half {
                peer.socket.shutdown(std::net::Shutdown::Write).unwrap();
                peer.drain();
            }
        });
        let failure = upload(&transport(), &server.url("/"), &mut Counted::new(BODY_BYTES), false).unwrap_err();
        assert_eq!(failure.error.status, Status::ConnectionLost, "{failure:?}");
        assert!(failure.report.request_sent_any && !failure.report.any_response_byte);
        assert!(failure.report.body_bytes_pulled < BODY_BYTES);
    }
}

#[test]
fn early_garbage_is_a_protocol_error_at_once() {
    let done = Gate::default();
    let end = done.clone();
    let server = Server::start(move |peer| {
        let Some(_) = peer.head() else { return };
        peer.send("SSH-2.0-OpenSSH_9.2\r\n");
        end.wait();
    });
    let failure = upload(&transport(), &server.url("/"), &mut Counted::new(BODY_BYTES), false).unwrap_err();
    assert_eq!(failure.error.status, Status::Protocol, "{failure:?}");
    done.open();
}
