//! Answers of every kind: whole, truncated, oversized, not HTTP; and connections that went stale.

mod support_transport;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support_transport::tls::{self, Authority};
use support_transport::{Counted, Gate, Server, get, read_all, read_error, request, transport};
use x402::error::Status;
use x402::transport::{Outgoing, OutgoingBody};

/// One connection, one answer, then the end.
fn once(answer: &'static str) -> Server {
    Server::start(move |peer| {
        if peer.head().is_some() {
            peer.send(answer);
        }
    })
}

#[test]
fn headers_keep_their_order_and_bytes() {
    let server = Server::start(|peer| {
        peer.head();
        peer.send(b"HTTP/1.1 200 Fine\r\nB: 1\r\nA:  \xfftwo \r\nb: 3\r\nContent-Length: 0\r\n\r\n");
    });
    let incoming = get(&transport(), &server.url("/")).unwrap();
    let expected: [(&str, &[u8]); 4] = [("b", b"1"), ("b", b"3"), ("a", b"\xfftwo"), ("content-length", b"0")];
    let expected: Vec<_> = expected.iter().map(|(name, value)| ((*name).to_string(), value.to_vec())).collect();
    let headers: Vec<_> =
        incoming.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    assert_eq!(headers, expected);
}

#[test]
fn answers_without_a_body_free_the_connection() {
    let server = Server::start(|peer| {
        while let Some(head) = peer.head() {
            let sent = match head.line().split(' ').nth(1).unwrap() {
                "/head" => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
                "/204" => peer.send("HTTP/1.1 204 No Content\r\n\r\n"),
                "/304" => peer.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
                _ => peer.send("HTTP/1.1 402 Payment Required\r\nContent-Length: 0\r\n\r\n"),
            };
            if !sent {
                return;
            }
        }
    });
    let transport = transport();
    for (method, path) in [("HEAD", "/head"), ("GET", "/204"), ("GET", "/304"), ("GET", "/0")] {
        let url = server.url(path);
        let incoming = transport.round_trip(request(method, &url)).unwrap();
        // Not even read: there is nothing.
        drop(incoming);
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn interim_answers_are_skipped_and_101_is_refused() {
    let server = Server::answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\nOdd: 1\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let transport = transport();
    for _ in 0..2 {
        let incoming = get(&transport, &server.url("/")).unwrap();
        assert_eq!((incoming.status, incoming.headers.len()), (200, 1));
        assert_eq!(read_all(incoming), b"ok");
    }
    assert_eq!(server.connections(), 1);
    let switching = once("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
    assert_eq!(get(&transport, &switching.url("/")).unwrap_err().error.status, Status::Protocol);
    let endless = Server::start(|peer| {
        peer.head();
        while peer.send("HTTP/1.1 102 Processing\r\n\r\n".repeat(10)) {}
    });
    let error = get(&transport, &endless.url("/")).unwrap_err().error;
    assert_eq!(error.status, Status::Protocol);
    assert!(error.message.contains("1000 interim"), "{error}");
}

#[test]
fn redirects_are_answers_like_others() {
    let server = Server::answering("HTTP/1.1 307 Temporary Redirect\r\nLocation: /x\r\nContent-Length: 2\r\n\r\nno");
    let (transport, url) = (transport(), server.url("/"));
    for method in ["GET", "POST"] {
        let incoming = transport.round_trip(request(method, &url)).unwrap();
        assert_eq!(incoming.status, 307);
        assert_eq!(read_all(incoming), b"no");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn chunked_answers_and_those_that_end_with_the_connection() {
    let chunked =
        Server::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    let transport = transport();
    for _ in 0..3 {
        assert_eq!(read_all(get(&transport, &chunked.url("/")).unwrap()), b"abcde");
    }
    assert_eq!(chunked.connections(), 1);
    let closing = once("HTTP/1.1 200 OK\r\n\r\nto the end");
    assert_eq!(read_all(get(&transport, &closing.url("/")).unwrap()), b"to the end");
}

#[test]
fn a_large_answer_arrives_whole() {
    const BYTES: usize = 20_000_000;
    let server = Server::start(|peer| {
        peer.head();
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n"));
        let body: Vec<u8> = (0..BYTES).map(|index| (index % 253) as u8).collect();
        peer.send(body);
    });
    let body = read_all(get(&transport(), &server.url("/")).unwrap());
    assert_eq!(body.len(), BYTES);
    assert!(body.iter().enumerate().all(|(index, byte)| *byte == (index % 253) as u8));
}

#[test]
fn truncated_bodies_are_errors_and_stay_errors() {
    let answers = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "4 of 10 bytes"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf", "4 bytes"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "4 bytes"),
    ];
    for (answer, words) in answers {
        let server = once(answer);
        let mut incoming = get(&transport(), &server.url("/")).unwrap();
        let error = read_error(&mut incoming);
        assert_eq!(error.status, Status::ConnectionLost, "{answer}: {error:?}");
        assert!(error.message.contains(words) && error.message.contains("truncated"), "{answer}: {error}");
        assert_eq!(read_error(&mut incoming).status, Status::ConnectionLost, "{answer}");
    }
}

#[test]
fn a_reset_is_not_the_end_of_a_body() {
    // Without a length, the connection's end is the body's; a reset must not pass for one.
    let server = Server::start(|peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\n\r\nhalf");
        peer.reset_at_end();
    });
    let error = read_error(&mut get(&transport(), &server.url("/")).unwrap());
    assert_eq!(error.status, Status::ConnectionLost);
    assert!(error.message.contains("broke"), "{error}");
}

#[test]
fn tls_must_announce_its_end() {
    let authority = Authority::new();
    let server = tls::server(&authority, |peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\n\r\nhalf");
        peer.socket.shutdown(std::net::Shutdown::Both).unwrap();
    });
    let mut incoming = get(&authority.transport(), &server.https_url("/")).unwrap();
    let error = read_error(&mut incoming);
    assert_eq!(error.status, Status::ConnectionLost);
}

#[test]
fn broken_chunks_are_a_protocol_error() {
    let server = once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n");
    let mut incoming = get(&transport(), &server.url("/")).unwrap();
    assert_eq!(read_error(&mut incoming).status, Status::Protocol);
}

#[test]
fn what_is_not_http_is_a_protocol_error() {
    let answers = [
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 2xx OK\r\n\r\n",
        "HTTP/1.1 099 Odd\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ];
    for answer in answers {
        let failure = get(&transport(), &once(answer).url("/")).unwrap_err();
        assert_eq!(failure.error.status, Status::Protocol, "{answer:?}: {failure:?}");
        assert!(failure.report.any_response_byte);
    }
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let servers: [fn() -> String; 3] = [
        || format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(66_000)),
        || format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-Line: 1\r\n".repeat(129)),
        || format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(2_000_000)),
    ];
    for answer in servers {
        let server = Server::start(move |peer| {
            peer.head();
            peer.send(answer());
            peer.drain();
        });
        let failure = get(&transport(), &server.url("/")).unwrap_err();
        assert_eq!(failure.error.status, Status::HeadLimit, "{failure:?}");
    }
    let server = Server::start(|peer| {
        peer.head();
        peer.send(format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "X-Line: 1\r\n".repeat(120)));
    });
    assert_eq!(get(&transport(), &server.url("/")).unwrap().headers.len(), 121);
}

#[test]
fn a_connection_that_ends_before_or_in_the_head_is_lost() {
    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Le"] {
        let failure = get(&transport(), &once(answer).url("/")).unwrap_err();
        assert_eq!(failure.error.status, Status::ConnectionLost, "{answer:?}");
        assert_eq!(failure.report.any_response_byte, !answer.is_empty());
        assert!(failure.report.request_sent_any && !failure.report.reused);
    }
}

#[test]
fn a_connection_closed_while_idle_is_not_used() {
    let closed = Gate::default();
    let opener = closed.clone();
    let server = Server::start(move |peer| {
        peer.head();
        peer.answer("200 OK", "one");
        peer.socket.shutdown(std::net::Shutdown::Both).unwrap();
        opener.open();
    });
    let transport = transport();
    for connections in 1..3 {
        let incoming = get(&transport, &server.url("/")).unwrap();
        assert!(!incoming.report.reused);
        assert_eq!(read_all(incoming), b"one");
        assert_eq!(server.connections(), connections);
        assert!(closed.wait());
    }
}

#[test]
fn an_idle_connection_that_speaks_is_not_used() {
    let spoken = Gate::default();
    let opener = spoken.clone();
    let server = Server::start(move |peer| {
        while peer.head().is_some() {
            peer.answer("200 OK", "one");
            // A thing such as `408 Request Timeout`, which the next request must not take for its answer.
            peer.channel.write_all(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n").unwrap();
            opener.open();
        }
    });
    let transport = transport();
    for _ in 0..2 {
        let incoming = get(&transport, &server.url("/")).unwrap();
        assert_eq!((incoming.status, incoming.report.reused), (200, false));
        read_all(incoming);
        assert!(spoken.wait());
    }
}

#[test]
fn a_connection_that_dies_on_reuse_says_so() {
    // The server closes when the second request arrives: too late for any look beforehand.
    let first = Arc::new(AtomicBool::new(true));
    let server = Server::start(move |peer| {
        peer.head();
        peer.answer("200 OK", "one");
        if first.swap(false, Ordering::SeqCst) {
            peer.exactly(1);
            return;
        }
        peer.head();
        peer.answer("200 OK", "two");
    });
    let (transport, url) = (transport(), server.url("/"));
    read_all(get(&transport, &url).unwrap());
    let mut body = Counted::new(3);
    let outgoing = Outgoing { body: OutgoingBody::Sized(3, &mut body), ..request("POST", &url) };
    let failure = transport.round_trip(outgoing).unwrap_err();
    assert_eq!(failure.error.status, Status::ConnectionLost);
    assert!(failure.report.reused && !failure.report.any_response_byte);
    assert_eq!(failure.report.body_bytes_pulled, 3);
    let fresh = transport.round_trip(Outgoing { fresh_connection: true, ..request("GET", &url) }).unwrap();
    assert_eq!(read_all(fresh), b"one");
}
