//! `Expect: 100-continue`: the body waits for the server's word, and only so long.

mod support_transport;

use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use support_transport::tls::{self, Authority};
use support_transport::{Counted, Gate, PATIENCE, Peer, Server, read_all, request, transport};
use url::Url;
use x402::error::Status;
use x402::transport::{Deadlines, Expect, Failure, Incoming, Outgoing, OutgoingBody, Transport};

const BODY_BYTES: u64 = 2_000_000;

fn upload(transport: &Transport, url: &Url, body: &mut Counted, expect: Expect) -> Result<Incoming, Failure> {
    let length = body.left;
    let deadlines = Deadlines { total: Instant::now().checked_add(PATIENCE), ..Deadlines::default() };
    let body = if length.is_multiple_of(2) { OutgoingBody::Sized(length, body) } else { OutgoingBody::Chunked(body) };
    transport.round_trip(Outgoing { body, expect, deadlines, ..request("PUT", url) })
}

/// Answers a request that expects with `interim`, then reads the body and answers 200 with its length.
fn continuing(interim: &'static str) -> impl Fn(&mut Peer) + Send + Sync + 'static {
    move |peer| {
        while let Some(head) = peer.head() {
            if head.header("expect") == Some("100-continue") {
                assert_eq!(peer.pending_bytes(), 0, "the body must wait");
                peer.send(interim);
            }
            let Some(body) = peer.body(&head) else { return };
            peer.answer("200 OK", &body.len().to_string());
        }
    }
}

#[test]
fn the_body_follows_the_servers_word() {
    let server = Server::start(continuing("HTTP/1.1 100 Continue\r\n\r\n"));
    let transport = transport();
    for length in [BODY_BYTES, BODY_BYTES + 1] {
        let incoming = upload(&transport, &server.url("/"), &mut Counted::new(length), Expect::Require).unwrap();
        assert!(incoming.report.expect_sent && !incoming.report.stopped_early);
        assert_eq!(incoming.report.body_bytes_pulled, length);
        assert_eq!(read_all(incoming), length.to_string().into_bytes());
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn other_interim_answers_are_skipped() {
    let interim = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\nX-Odd: header\r\n\r\n";
    let server = Server::start(continuing(interim));
    let incoming = upload(&transport(), &server.url("/"), &mut Counted::new(BODY_BYTES), Expect::Require).unwrap();
    assert_eq!(read_all(incoming), BODY_BYTES.to_string().into_bytes());
}

/// A final answer in place of the server's word, on a connection that stays open.
fn refusing(answer: &'static str, done: Gate) -> impl Fn(&mut Peer) + Send + Sync + 'static {
    move |peer| {
        if peer.head().is_some() {
            peer.send(answer);
            done.wait();
        }
    }
}

#[test]
fn a_final_answer_leaves_the_body_untouched() {
    let answers = [
        ("HTTP/1.1 402 Payment Required\r\nContent-Length: 3\r\n\r\npay", 402),
        // As nginx has it: its word and the answer in one packet.
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 402 Payment Required\r\nContent-Length: 3\r\n\r\npay", 402),
        ("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 3\r\n\r\npay", 417),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\npay", 200),
        ("HTTP/1.1 307 Temporary Redirect\r\nLocation: /x\r\nContent-Length: 3\r\n\r\npay", 307),
    ];
    let authority = Authority::new();
    let trusting = authority.transport();
    for (answer, status) in answers {
        for (is_tls, length) in [(false, BODY_BYTES), (false, BODY_BYTES + 1), (true, BODY_BYTES)] {
            let done = Gate::default();
            let script = refusing(answer, done.clone());
            let server = if is_tls { tls::server(&authority, script) } else { Server::start(script) };
            let url = if is_tls { server.https_url("/") } else { server.url("/") };
            let mut body = Counted::new(length);
            let reads = body.reads.clone();
            let begun = Instant::now();
            let incoming = upload(&trusting, &url, &mut body, Expect::Require).unwrap();
            assert!(begun.elapsed() < Duration::from_millis(900), "{answer}: waited {:?}", begun.elapsed());
            assert_eq!(incoming.status, status);
            assert_eq!((incoming.report.body_bytes_pulled, incoming.report.stopped_early), (0, true), "{answer}");
            assert_eq!(reads.load(Ordering::SeqCst), 0, "{answer}");
            assert_eq!(read_all(incoming), b"pay");
            done.open();
        }
    }
}

#[test]
fn a_refusal_in_pieces_is_recognised() {
    let server = Server::start(|peer| {
        if peer.head().is_some() {
            for byte in b"HTTP/1.1 402 Payment Required\r\nContent-Length: 3\r\n\r\npay" {
                peer.channel.write_all(&[*byte]).unwrap();
            }
            peer.drain();
        }
    });
    let incoming = upload(&transport(), &server.url("/"), &mut Counted::new(BODY_BYTES), Expect::Require).unwrap();
    assert_eq!((incoming.status, incoming.report.body_bytes_pulled), (402, 0));
    assert_eq!(read_all(incoming), b"pay");
}

#[test]
fn the_connection_of_a_refused_body_is_not_used_again() {
    let server = Server::start(|peer| {
        while peer.head().is_some() {
            peer.answer("402 Payment Required", "pay");
        }
    });
    let transport = transport();
    for round in 1..4 {
        let incoming = upload(&transport, &server.url("/"), &mut Counted::new(BODY_BYTES), Expect::Require).unwrap();
        assert_eq!(read_all(incoming), b"pay");
        assert_eq!(server.connections(), round);
    }
}

#[test]
fn silence_sends_the_body_and_is_remembered() {
    let server = Server::start(continuing(""));
    let transport = transport();
    let begun = Instant::now();
    let first = upload(&transport, &server.url("/a"), &mut Counted::new(BODY_BYTES), Expect::Prefer).unwrap();
    let waited = begun.elapsed();
    assert!(first.report.expect_sent);
    assert!((Duration::from_millis(990)..Duration::from_secs(5)).contains(&waited), "{waited:?}");
    assert_eq!(read_all(first), BODY_BYTES.to_string().into_bytes());

    let second = upload(&transport, &server.url("/b"), &mut Counted::new(BODY_BYTES), Expect::Prefer).unwrap();
    assert!(!second.report.expect_sent);
    assert_eq!(read_all(second), BODY_BYTES.to_string().into_bytes());
    assert_eq!(server.connections(), 1);

    let other = Server::start(continuing("HTTP/1.1 100 Continue\r\n\r\n"));
    let third = upload(&transport, &other.url("/"), &mut Counted::new(BODY_BYTES), Expect::Prefer).unwrap();
    assert!(third.report.expect_sent, "another origin was not asked before");
    drop(third);
}

#[test]
fn a_late_word_is_skipped() {
    let server = Server::start(|peer| {
        let Some(head) = peer.head() else { return };
        let Some(_) = peer.body(&head) else { return };
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        peer.answer("200 OK", "late");
    });
    let incoming = upload(&transport(), &server.url("/"), &mut Counted::new(BODY_BYTES), Expect::Require).unwrap();
    assert_eq!(read_all(incoming), b"late");
}

#[test]
fn an_answer_right_after_the_word_stops_the_upload() {
    let server = Server::start(|peer| {
        let Some(_) = peer.head() else { return };
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        peer.exactly(1);
        peer.answer("402 Payment Required", "pay");
        peer.drain();
    });
    let incoming = upload(&transport(), &server.url("/"), &mut Counted::new(64_000_000), Expect::Require).unwrap();
    assert_eq!((incoming.status, incoming.report.stopped_early), (402, true));
}

#[test]
fn a_request_without_a_body_does_not_ask() {
    let server = Server::start(|peer| {
        while let Some(head) = peer.head() {
            peer.answer("200 OK", head.header("expect").unwrap_or("none"));
        }
    });
    let url = server.url("/");
    let transport = transport();
    for body in [OutgoingBody::None, OutgoingBody::Sized(0, &mut std::io::empty())] {
        let outgoing = Outgoing { body, expect: Expect::Require, ..request("POST", &url) };
        assert_eq!(read_all(transport.round_trip(outgoing).unwrap()), b"none");
    }
}

#[test]
fn the_callers_own_expect_header_counts() {
    let server = Server::start(continuing("HTTP/1.1 100 Continue\r\n\r\n"));
    let url = server.url("/");
    let headers = [(http::header::EXPECT, http::HeaderValue::from_static("100-Continue"))];
    let mut body = Counted::new(10);
    let outgoing = Outgoing { body: OutgoingBody::Sized(10, &mut body), headers: &headers, ..request("POST", &url) };
    let incoming = transport().round_trip(outgoing).unwrap();
    assert!(incoming.report.expect_sent);
    assert_eq!(read_all(incoming), b"10");
}

#[test]
fn a_connection_closed_instead_of_a_word_is_lost() {
    let server = Server::start(|peer| drop(peer.head()));
    let failure = upload(&transport(), &server.url("/"), &mut Counted::new(BODY_BYTES), Expect::Require).unwrap_err();
    assert_eq!(failure.error.status, Status::ConnectionLost);
    assert_eq!(failure.report.body_bytes_pulled, 0);
}
