//! The transport's ordinary business: requests, answers, reuse of connections.

mod support_transport;

use http::HeaderValue;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use support_transport::{Counted, Head, Server, get, read_all, request, transport};
use x402::error::{Error, Status};
use x402::transport::{Header, Outgoing, OutgoingBody, Settings, Transport};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

type Seen = Arc<Mutex<Vec<(Head, Vec<u8>)>>>;

/// A server that answers 200 and keeps what it was sent.
fn recording() -> (Server, Seen) {
    let seen: Seen = Arc::default();
    let record = seen.clone();
    let server = Server::start(move |peer| {
        while let Some(head) = peer.head() {
            let Some(body) = peer.body(&head) else { return };
            record.lock().unwrap().push((head, body));
            peer.send(OK);
        }
    });
    (server, seen)
}

fn headers(list: &[(&str, &str)]) -> Vec<Header> {
    let one =
        |(name, value): &(&str, &str)| (name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    list.iter().map(one).collect()
}

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
        let outgoing = request("POST", &url);
        let incoming =
            transport.round_trip(Outgoing { body: OutgoingBody::Sized(length, &mut body), ..outgoing }).unwrap();
        assert_eq!(incoming.report.body_bytes_pulled, length);
        assert_eq!(read_all(incoming), format!("length {length}").into_bytes());

        let mut body = Counted::new(length);
        let outgoing = request("POST", &url);
        let incoming = transport.round_trip(Outgoing { body: OutgoingBody::Chunked(&mut body), ..outgoing }).unwrap();
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

#[test]
fn a_body_dropped_before_its_end_closes_the_connection() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let transport = transport();
    for connections in 1..4 {
        let mut incoming = get(&transport, &server.url("/")).unwrap();
        incoming.body.read_exact(&mut [0; 4]).unwrap();
        drop(incoming);
        assert_eq!(server.connections(), connections);
    }
}

#[test]
fn a_fresh_connection_when_asked() {
    let server = Server::answering(OK);
    let (transport, url) = (transport(), server.url("/"));
    for connections in 1..4 {
        let incoming = transport.round_trip(Outgoing { fresh_connection: true, ..request("GET", &url) }).unwrap();
        assert!(!incoming.report.reused);
        assert_eq!(read_all(incoming), b"ok");
        assert_eq!(server.connections(), connections);
    }
}

#[test]
fn what_goes_out_is_what_was_asked() {
    let (server, seen) = recording();
    let (transport, url) = (transport(), server.url("/a%20b?c=d&e=%2F"));
    let list = headers(&[("X-One", "1"), ("X-Two", "a"), ("X-Two", "b"), ("Accept", "text/plain")]);
    read_all(transport.round_trip(Outgoing { headers: &list, ..request("PROPFIND", &url) }).unwrap());
    let own = headers(&[("Host", "other.example"), ("Content-Length", "3")]);
    let mut body: &[u8] = b"abc";
    let body = OutgoingBody::Sized(3, &mut body);
    read_all(transport.round_trip(Outgoing { headers: &own, body, ..request("GET", &url) }).unwrap());
    let mut body: &[u8] = b"abcd";
    let body = OutgoingBody::Chunked(&mut body);
    read_all(transport.round_trip(Outgoing { body, ..request("DELETE", &url) }).unwrap());
    for method in ["POST", "OPTIONS"] {
        read_all(transport.round_trip(request(method, &url)).unwrap());
    }
    let seen = seen.lock().unwrap();
    let (first, body) = &seen[0];
    assert_eq!(first.line(), "PROPFIND /a%20b?c=d&e=%2F HTTP/1.1");
    assert_eq!(first.headers("host"), [server.address.to_string()]);
    assert_eq!(first.headers("x-two"), ["a", "b"]);
    assert_eq!(first.text.lines().count(), 1 + 5 + 1, "nothing was added but Host: {}", first.text);
    assert!(body.is_empty());
    let (second, body) = &seen[1];
    assert_eq!((second.headers("host"), second.headers("content-length")), (vec!["other.example"], vec!["3"]));
    assert_eq!(body, b"abc");
    assert_eq!((seen[2].0.line(), seen[2].1.as_slice()), ("DELETE /a%20b?c=d&e=%2F HTTP/1.1", &b"abcd"[..]));
    assert_eq!(seen[3].0.headers("content-length"), ["0"]);
    assert_eq!(seen[4].0.headers("content-length"), Vec::<&str>::new());
}

#[test]
fn credentials_of_the_url_become_a_header() {
    let (server, seen) = recording();
    let mut url = server.url("/");
    url.set_username("us%er").unwrap();
    url.set_password(Some("p@ss:w")).unwrap();
    read_all(get(&transport(), &url).unwrap());
    let list = headers(&[("Authorization", "Bearer x")]);
    read_all(transport().round_trip(Outgoing { headers: &list, ..request("GET", &url) }).unwrap());
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].0.headers("authorization"), ["Basic dXMlZXI6cEBzczp3"]);
    assert_eq!(seen[1].0.headers("authorization"), ["Bearer x"]);
}

#[test]
fn requests_that_cannot_be_sent_touch_no_connection() {
    let server = Server::answering(OK);
    let (transport, url) = (transport(), server.url("/"));
    let try_headers = |list: &[(&str, &str)]| {
        let list = headers(list);
        let mut body: &[u8] = b"abc";
        let body = OutgoingBody::Sized(3, &mut body);
        transport.round_trip(Outgoing { headers: &list, body, ..request("POST", &url) }).unwrap_err().error
    };
    assert_eq!(try_headers(&[("Host", "ho\u{17f}t")]).status, Status::Header);
    for (name, value) in [("Content-Length", "4"), ("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "gzip")] {
        let error = try_headers(&[(name, value)]);
        assert_eq!(error.status, Status::Header);
        assert!(error.message.contains("leave it out"), "{error}");
    }
    for method in ["", "A B", "GET\r\n", "CONNECT"] {
        let failure = transport.round_trip(request(method, &url)).unwrap_err();
        assert_eq!(failure.error.status, Status::Method, "{method:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_large_header_goes_out_whole() {
    let (server, seen) = recording();
    let value = "v".repeat(200_000);
    let list = headers(&[("X-Large", &value)]);
    let (transport, url) = (transport(), server.url("/"));
    let mut body: &[u8] = b"abc";
    let body = OutgoingBody::Sized(3, &mut body);
    read_all(transport.round_trip(Outgoing { headers: &list, body, ..request("POST", &url) }).unwrap());
    read_all(transport.round_trip(Outgoing { headers: &list, ..request("GET", &url) }).unwrap());
    let seen = seen.lock().unwrap();
    assert_eq!((seen[0].0.header("x-large"), seen[0].1.as_slice()), (Some(value.as_str()), &b"abc"[..]));
    assert_eq!(seen[1].0.header("x-large"), Some(value.as_str()));
}

#[test]
fn head_and_body_leave_in_one_packet() {
    let server = Server::start(|peer| {
        while let Some(head) = peer.head() {
            let together = peer.pending_bytes();
            let Some(_) = peer.body(&head) else { return };
            peer.answer("200 OK", &together.to_string());
        }
    });
    let (transport, url) = (transport(), server.url("/"));
    let mut body = Counted::new(1000);
    let sized = Outgoing { body: OutgoingBody::Sized(1000, &mut body), ..request("POST", &url) };
    assert_eq!(read_all(transport.round_trip(sized).unwrap()), b"1000");
    let mut body = Counted::new(1000);
    let chunked = Outgoing { body: OutgoingBody::Chunked(&mut body), ..request("POST", &url) };
    let together: usize = String::from_utf8(read_all(transport.round_trip(chunked).unwrap())).unwrap().parse().unwrap();
    assert!(together >= 1007, "{together}");
}

#[test]
fn a_body_that_is_not_as_long_as_declared() {
    let server = Server::answering(OK);
    let (transport, url) = (transport(), server.url("/"));
    let mut short = Counted::new(10);
    let reads = short.reads.clone();
    let failure = transport
        .round_trip(Outgoing { body: OutgoingBody::Sized(100, &mut short), ..request("POST", &url) })
        .unwrap_err();
    assert_eq!(failure.error.status, Status::BodyLength);
    assert!(failure.error.message.contains("after 10 of the 100 bytes"), "{}", failure.error);
    assert_eq!((failure.report.body_bytes_pulled, reads.load(Ordering::SeqCst)), (10, 2));

    let mut long = Counted::new(1000);
    let taken = long.taken.clone();
    let incoming =
        transport.round_trip(Outgoing { body: OutgoingBody::Sized(100, &mut long), ..request("POST", &url) }).unwrap();
    assert!(!incoming.report.reused, "the connection of a failed body is closed");
    assert_eq!(read_all(incoming), b"ok");
    assert_eq!(taken.load(Ordering::SeqCst), 100, "not a byte more is asked for");
}

struct Failing(fn() -> io::Error);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err((self.0)())
    }
}

#[test]
fn a_readers_own_error_comes_back_as_it_is() {
    let server = Server::answering(OK);
    let (transport, url) = (transport(), server.url("/"));
    let own = || Error::new(Status::BodyCallback, "the callback said no").with_callback_value(42).into_io();
    let mut body = Failing(own);
    let outgoing = Outgoing { body: OutgoingBody::Chunked(&mut body), ..request("POST", &url) };
    let failure = transport.round_trip(outgoing).unwrap_err();
    assert_eq!((failure.error.status, failure.error.callback_value), (Status::BodyCallback, Some(42)));
    assert_eq!(failure.error.message, "the callback said no");
    assert!(!failure.report.request_sent_any, "the head waits for the body's first piece");

    let mut body = Failing(|| io::Error::from(io::ErrorKind::UnexpectedEof));
    let outgoing = Outgoing { body: OutgoingBody::Sized(5, &mut body), ..request("POST", &url) };
    assert_eq!(transport.round_trip(outgoing).unwrap_err().error.status, Status::BodyCallback);
}

#[test]
fn a_reader_that_panics_leaves_the_transport_usable() {
    let server = Server::answering(OK);
    let (transport, url) = (transport(), server.url("/"));
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let mut body = Failing(|| panic!("in the callback"));
        let outgoing = Outgoing { body: OutgoingBody::Chunked(&mut body), ..request("POST", &url) };
        drop(transport.round_trip(outgoing));
    }));
    assert!(unwound.is_err());
    assert_eq!(read_all(get(&transport, &url).unwrap()), b"ok");
}

#[test]
fn a_reader_may_send_a_request_of_its_own() {
    struct Nesting<'a>(&'a Transport, url::Url, bool);
    impl Read for Nesting<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.2, true) {
                return Ok(0);
            }
            let inner = get(self.0, &self.1).map_err(|failure| failure.error.into_io())?;
            let answer = read_all(inner);
            buffer[..answer.len()].copy_from_slice(&answer);
            Ok(answer.len())
        }
    }
    let (server, seen) = recording();
    let (transport, url) = (transport(), server.url("/outer"));
    let mut body = Nesting(&transport, server.url("/inner"), false);
    let outgoing = Outgoing { body: OutgoingBody::Chunked(&mut body), ..request("POST", &url) };
    assert_eq!(read_all(transport.round_trip(outgoing).unwrap()), b"ok");
    let seen = seen.lock().unwrap();
    assert_eq!((seen[0].0.line(), seen[1].1.as_slice()), ("GET /inner HTTP/1.1", &b"ok"[..]));
}

#[test]
fn progress_is_told_and_may_stop_the_call() {
    let server = Server::answering(OK);
    let (transport, url) = (transport(), server.url("/"));
    let mut told = Vec::new();
    let mut progress = |sent: u64| {
        told.push(sent);
        Ok(())
    };
    let mut body = Counted::new(300_000);
    let body = OutgoingBody::Sized(300_000, &mut body);
    let outgoing = Outgoing { body, progress: Some(&mut progress), ..request("POST", &url) };
    read_all(transport.round_trip(outgoing).unwrap());
    assert_eq!(told.last(), Some(&300_000));
    assert!(told.is_sorted() && told.len() >= 3, "{told:?}");

    let mut stop = |sent: u64| match sent {
        0..200_000 => Ok(()),
        _ => Err(Error::new(Status::Callback, "enough").with_callback_value(7)),
    };
    let mut body = Counted::new(3_000_000);
    let body = OutgoingBody::Sized(3_000_000, &mut body);
    let outgoing = Outgoing { body, progress: Some(&mut stop), ..request("POST", &url) };
    let failure = transport.round_trip(outgoing).unwrap_err();
    assert_eq!((failure.error.status, failure.error.callback_value), (Status::Callback, Some(7)));
    assert!(failure.report.body_bytes_pulled < 500_000);
}

#[test]
fn many_answers_of_402_leave_one_socket_open() {
    let server = Server::answering("HTTP/1.1 402 Payment Required\r\nContent-Length: 3\r\n\r\npay");
    let (transport, url) = (transport(), server.url("/"));
    let sockets = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    read_all(get(&transport, &url).unwrap());
    let before = sockets();
    for _ in 0..200 {
        let incoming = get(&transport, &url).unwrap();
        assert_eq!(incoming.status, 402);
        read_all(incoming);
    }
    assert_eq!(server.connections(), 1);
    // Other tests of this program open sockets too, but not one per call of this one.
    assert!(sockets() < before + 100, "{before} became {}", sockets());
}

#[test]
fn the_pool_keeps_its_limits() {
    let servers = [Server::answering(OK), Server::answering(OK), Server::answering(OK)];
    let settings = Settings { pool_idle: 2, pool_per_host: 1, ..Settings::default() };
    let transport = Transport::new(settings).unwrap();
    let fetch = |server: &Server| {
        let incoming = get(&transport, &server.url("/")).unwrap();
        let reused = incoming.report.reused;
        (incoming, reused)
    };
    let (first, second) = (fetch(&servers[0]).0, fetch(&servers[0]).0);
    read_all(first);
    read_all(second);
    assert_eq!(servers[0].connections(), 2);
    let (one, two) = (fetch(&servers[0]), fetch(&servers[0]));
    assert_eq!((one.1, two.1), (true, false), "one was kept, not two");
    read_all(one.0);
    read_all(fetch(&servers[1]).0);
    read_all(fetch(&servers[2]).0);
    assert!(!fetch(&servers[0]).1, "the oldest of three had to go");
    assert!(fetch(&servers[2]).1);

    let none = Transport::new(Settings { pool_idle: 0, ..Settings::default() }).unwrap();
    for _ in 0..2 {
        let incoming = get(&none, &servers[0].url("/")).unwrap();
        assert!(!incoming.report.reused);
        read_all(incoming);
    }
}

#[test]
fn threads_share_a_transport() {
    let server = Arc::new(Server::start(|peer| {
        while let Some(head) = peer.head() {
            let Some(body) = peer.body(&head) else { return };
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            peer.send(body);
        }
    }));
    let transport = Arc::new(transport());
    let threads: Vec<_> = (0..8_u8)
        .map(|id| {
            let (server, transport) = (server.clone(), transport.clone());
            std::thread::spawn(move || {
                let url = server.url("/");
                for round in 0..50_usize {
                    let sent = vec![id; 1 + round * 977];
                    let mut reader = sent.as_slice();
                    let body = OutgoingBody::Sized(sent.len() as u64, &mut reader);
                    let incoming = transport.round_trip(Outgoing { body, ..request("POST", &url) }).unwrap();
                    assert!(read_all(incoming) == sent);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
