//! Every deadline in every phase: the setting's name, its value, and what was going on.

mod support_transport;

use std::io::Read;
use std::time::{Duration, Instant};
use support_transport::blocked::Deaf;
use support_transport::tls::{self, Authority};
use support_transport::{Counted, Gate, Peer, Server, read_all, read_error, request, transport};
use url::Url;
use x402::error::{Error, Status};
use x402::transport::proxy::{Proxy, ProxyChoice};
use x402::transport::{Deadlines, Expect, Failure, Outgoing, OutgoingBody, Settings, Transport};

const LIMIT: Duration = Duration::from_millis(120);
/// A busy machine may be late; a deadline that does not work at all is later than this.
const LATE_MAX: Duration = Duration::from_secs(3);

fn connect_limit() -> Deadlines {
    Deadlines { connect: Some(LIMIT), ..Deadlines::default() }
}

fn first_byte_limit() -> Deadlines {
    Deadlines { first_byte: Some(LIMIT), ..Deadlines::default() }
}

fn idle_limit() -> Deadlines {
    Deadlines { idle: Some(LIMIT), ..Deadlines::default() }
}

fn total_limit() -> Deadlines {
    Deadlines { total: Instant::now().checked_add(LIMIT), ..Deadlines::default() }
}

fn assert_timeout(error: &Error, begun: Instant, words: &[&str]) {
    let took = begun.elapsed();
    assert_eq!(error.status, Status::Timeout, "{error:?}");
    for word in words {
        assert!(error.message.contains(word), "`{word}` is not in: {error}");
    }
    assert!((LIMIT..LIMIT + LATE_MAX).contains(&took), "{took:?}: {error}");
}

fn failure(transport: &Transport, url: &Url, deadlines: Deadlines) -> Failure {
    transport.round_trip(Outgoing { deadlines, ..request("GET", url) }).unwrap_err()
}

/// Runs `script`, then holds the connection until the returned gate opens.
fn holding(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> (Server, Gate) {
    let done = Gate::default();
    let end = done.clone();
    let server = Server::start(move |peer| {
        script(peer);
        end.wait();
    });
    (server, done)
}

#[test]
fn connecting() {
    let deaf = Deaf::new();
    let url = Url::parse(&format!("http://{}/", deaf.address)).unwrap();
    let begun = Instant::now();
    let failed = failure(&transport(), &url, connect_limit());
    assert_timeout(&failed.error, begun, &["connect_timeout_ms (120)", "connecting"]);
    assert!(!failed.report.request_sent_any);
    let begun = Instant::now();
    assert_timeout(&failure(&transport(), &url, total_limit()).error, begun, &["total_timeout_ms", "connecting"]);
}

#[test]
fn negotiating_tls() {
    let (server, done) = holding(|_| {});
    let begun = Instant::now();
    let failed = failure(&transport(), &server.https_url("/"), connect_limit());
    assert_timeout(&failed.error, begun, &["connect_timeout_ms (120)", "negotiating TLS"]);
    done.open();
}

#[test]
fn asking_a_proxy() {
    let (server, done) = holding(|_| {});
    for scheme in ["http", "socks5h"] {
        let proxy = Proxy::parse(&format!("{scheme}://{}", server.address)).unwrap();
        let settings = Settings { proxy: ProxyChoice::Fixed(proxy), ..Settings::default() };
        let url = Url::parse("http://example.invalid/").unwrap();
        let begun = Instant::now();
        let failed = failure(&Transport::new(settings).unwrap(), &url, connect_limit());
        assert_timeout(&failed.error, begun, &["connect_timeout_ms (120)", "proxy"]);
    }
    done.open();
}

#[test]
fn waiting_for_the_answer() {
    let (server, done) = holding(|peer| drop(peer.head()));
    let url = server.url("/");
    for (deadlines, setting) in
        [(first_byte_limit as fn() -> _, "first_byte_timeout_ms (120)"), (total_limit as fn() -> _, "total_timeout_ms")]
    {
        let begun = Instant::now();
        let failed = failure(&transport(), &url, deadlines());
        assert_timeout(&failed.error, begun, &[setting, "waiting for the first byte"]);
        assert!(failed.report.request_sent_any && !failed.report.any_response_byte);
    }
    done.open();
}

#[test]
fn first_byte_counts_from_the_end_of_sending_and_interim_answers_do_not_end_it() {
    let (server, done) = holding(|peer| {
        let head = peer.head().unwrap();
        peer.body(&head).unwrap();
        peer.send("HTTP/1.1 102 Processing\r\n\r\n");
    });
    let url = server.url("/");
    let mut body = Counted::new(100);
    let body = OutgoingBody::Sized(100, &mut body);
    let begun = Instant::now();
    let failed =
        transport().round_trip(Outgoing { body, deadlines: first_byte_limit(), ..request("POST", &url) }).unwrap_err();
    assert_timeout(&failed.error, begun, &["first_byte_timeout_ms (120)"]);
    done.open();
}

/// A server that takes the payment, answers, and reads no more: what it said is the outcome, not the time it wasted.
#[test]
fn an_answer_that_came_is_not_lost_to_a_limit_that_passes_while_sending() {
    for limits in [idle_limit as fn() -> _, total_limit] {
        let (server, done) = holding(|peer| {
            peer.head();
            peer.exactly(100_000);
            peer.send("HTTP/1.1 200 OK\r\nPayment-Response: receipt\r\nContent-Length: 5\r\n\r\ngoods");
        });
        let url = server.url("/");
        let mut body = Counted::new(64 << 20);
        let sized = OutgoingBody::Sized(64 << 20, &mut body);
        let outcome = transport().round_trip(Outgoing { body: sized, deadlines: limits(), ..request("POST", &url) });
        let incoming = outcome.unwrap();
        assert_eq!((incoming.status, incoming.report.stopped_early), (200, true));
        let (name, value) = &incoming.headers[0];
        assert_eq!((name.as_str(), value.as_bytes()), ("payment-response", b"receipt".as_slice()));
        assert_eq!(read_all(incoming), b"goods");
        done.open();
    }
}

#[test]
fn a_slow_answer_is_not_idleness() {
    // Between the request and its answer only first_byte and total count.
    let gate = Gate::default();
    let hold = gate.clone();
    let server = Server::start(move |peer| {
        peer.head();
        hold.wait();
        peer.answer("200 OK", "at last");
    });
    let url = server.url("/");
    let idle = Duration::from_millis(1);
    let deadlines = Deadlines { idle: Some(idle), ..Deadlines::default() };
    let opener = std::thread::spawn(move || {
        // Any wait at all is longer than the idle limit.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(50) {
            std::thread::yield_now();
        }
        gate.open();
    });
    let incoming = transport().round_trip(Outgoing { deadlines, ..request("GET", &url) }).unwrap();
    assert_eq!(incoming.status, 200);
    opener.join().unwrap();
}

#[test]
fn sending() {
    let (server, done) = holding(|peer| drop(peer.head()));
    let url = server.url("/");
    for (deadlines, setting) in [
        (idle_limit as fn() -> _, "idle_timeout_ms (120) passed without a byte moving"),
        (total_limit as fn() -> _, "total_timeout_ms"),
    ] {
        let mut body = Counted::new(1 << 40);
        let body = OutgoingBody::Sized(1 << 40, &mut body);
        let begun = Instant::now();
        let failed =
            transport().round_trip(Outgoing { body, deadlines: deadlines(), ..request("POST", &url) }).unwrap_err();
        assert_timeout(&failed.error, begun, &[setting, "sending the request"]);
    }
    done.open();
}

#[test]
fn waiting_to_be_asked_for_the_body() {
    let (server, done) = holding(|peer| drop(peer.head()));
    let url = server.url("/");
    let mut body = Counted::new(100);
    let body = OutgoingBody::Sized(100, &mut body);
    let begun = Instant::now();
    let outgoing = Outgoing { body, expect: Expect::Require, deadlines: total_limit(), ..request("POST", &url) };
    let failed = transport().round_trip(outgoing).unwrap_err();
    assert_timeout(&failed.error, begun, &["total_timeout_ms", "waiting for the server to ask"]);
    assert_eq!(failed.report.body_bytes_pulled, 0);
    done.open();
}

#[test]
fn receiving_the_head_and_the_body() {
    let answers = ["HTTP/1.1 200 OK\r\nContent-", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"];
    for (index, answer) in answers.into_iter().enumerate() {
        let (server, done) = holding(move |peer| {
            peer.head();
            peer.send(answer);
        });
        let url = server.url("/");
        for (deadlines, setting) in
            [(idle_limit as fn() -> _, "idle_timeout_ms (120)"), (total_limit as fn() -> _, "total_timeout_ms")]
        {
            let begun = Instant::now();
            let result = transport().round_trip(Outgoing { deadlines: deadlines(), ..request("GET", &url) });
            let error = match result {
                Ok(mut incoming) if index == 1 => {
                    incoming.body.read_exact(&mut [0; 4]).unwrap();
                    read_error(&mut incoming)
                }
                Ok(_) => panic!("half a head is no answer"),
                Err(failed) => failed.error,
            };
            assert_timeout(&error, begun, &[setting, "receiving the answer"]);
        }
        done.open();
    }
}

#[test]
fn an_error_of_the_body_comes_again() {
    let (server, done) = holding(|peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
    });
    let url = server.url("/");
    let mut incoming = transport().round_trip(Outgoing { deadlines: idle_limit(), ..request("GET", &url) }).unwrap();
    let first = read_error(&mut incoming);
    let second = read_error(&mut incoming);
    assert_eq!((first.status, &first.message), (second.status, &second.message));
    assert_eq!(first.status, Status::Timeout);
    done.open();
}

#[test]
fn a_total_that_has_passed_already_fails_at_once() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let url = server.url("/");
    let deadlines = Deadlines { total: Some(Instant::now()), ..Deadlines::default() };
    let failed = failure(&transport(), &url, deadlines);
    assert_eq!(failed.error.status, Status::Timeout);
}

#[test]
fn bytes_that_have_arrived_are_read_whatever_the_limit() {
    // Several TLS records in one packet: the later ones wait in this process, where no socket tells of them.
    const BYTES: usize = 60_000;
    let authority = Authority::new();
    let done = Gate::default();
    let end = done.clone();
    let server = tls::server(&authority, move |peer| {
        peer.head();
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BYTES + 1));
        peer.send(vec![b'r'; BYTES]);
        end.wait();
    });
    let (transport, url) = (authority.transport(), server.https_url("/"));
    let begun = Instant::now();
    let mut incoming = transport.round_trip(Outgoing { deadlines: idle_limit(), ..request("GET", &url) }).unwrap();
    incoming.body.read_exact(&mut vec![0; BYTES]).unwrap();
    assert!(begun.elapsed() < LATE_MAX);
    let begun = Instant::now();
    assert_timeout(&read_error(&mut incoming), begun, &["idle_timeout_ms (120)"]);
    done.open();
}

#[test]
fn the_wait_for_the_servers_word_is_not_idleness() {
    let server = Server::start(|peer| {
        let Some(head) = peer.head() else { return };
        let Some(body) = peer.body(&head) else { return };
        peer.answer("200 OK", &body.len().to_string());
    });
    let url = server.url("/");
    let mut body = Counted::new(100);
    let body = OutgoingBody::Sized(100, &mut body);
    let outgoing = Outgoing { body, expect: Expect::Require, deadlines: idle_limit(), ..request("POST", &url) };
    let incoming = transport().round_trip(outgoing).unwrap();
    assert_eq!(read_all(incoming), b"100");
}

#[test]
fn a_total_passes_even_where_nothing_ever_blocks() {
    let (server, done) = holding(|peer| {
        let head = peer.head().unwrap();
        if head.line().starts_with("PUT") {
            peer.drain();
        } else {
            peer.send("HTTP/1.1 200 OK\r\n\r\n");
            while peer.send([b'z'; 65536]) {}
        }
    });
    let url = server.url("/");
    let mut body = Counted::new(1 << 40);
    let body = OutgoingBody::Sized(1 << 40, &mut body);
    let begun = Instant::now();
    let failed =
        transport().round_trip(Outgoing { body, deadlines: total_limit(), ..request("PUT", &url) }).unwrap_err();
    assert_timeout(&failed.error, begun, &["total_timeout_ms", "sending the request"]);
    let begun = Instant::now();
    let mut incoming = transport().round_trip(Outgoing { deadlines: total_limit(), ..request("GET", &url) }).unwrap();
    let mut buffer = vec![0; 65536];
    let cause = loop {
        match incoming.body.read(&mut buffer) {
            Ok(bytes) => assert!(bytes > 0),
            Err(cause) => break cause,
        }
    };
    let error = Error::from_io(cause, Status::Panic, "not the library's");
    assert_timeout(&error, begun, &["total_timeout_ms", "receiving the answer"]);
    done.open();
}
