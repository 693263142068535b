//! Cancelling a call that is blocked, wherever it is blocked.

mod support_transport;

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support_transport::blocked::{Deaf, Watched};
use support_transport::tls::{self, Authority};
use support_transport::{Counted, Gate, Server, get, read_all, request, transport};
use url::Url;
use x402::error::{Error, Status};
use x402::transport::proxy::{Proxy, ProxyChoice};
use x402::transport::{Cancel, Expect, Failure, Incoming, Outgoing, OutgoingBody, Settings, Transport};

/// Room for a busy machine (`make bench` has the number: well under a millisecond), and less than the second after which a
/// blocked receive looks around by itself: a wake-up that does not work is later than this.
const CANCEL_MAX: Duration = Duration::from_millis(750);

/// Runs `work` on a thread, cancels it once it is blocked, and returns its result.
fn cancelled<T: Send + 'static>(what: &str, reached: &Gate, work: impl FnOnce(Cancel) -> T + Send + 'static) -> T {
    let cancel = Cancel::new();
    let handle = cancel.clone();
    let thread = Watched::spawn(move || {
        let result = work(handle);
        (result, Instant::now())
    });
    assert!(reached.wait(), "{what}: not reached");
    thread.wait_until_blocked();
    let begun = Instant::now();
    cancel.cancel();
    let (result, ended) = thread.join();
    let took = ended.saturating_duration_since(begun);
    println!("{what}: {took:?}");
    assert!(took < CANCEL_MAX, "{what}: {took:?}");
    result
}

fn assert_cancelled(what: &str, result: Result<Incoming, Failure>) {
    let failure = result.expect_err(what);
    assert_eq!(failure.error.status, Status::Cancelled, "{what}: {failure:?}");
    assert!(failure.error.message.contains("cancelled"), "{what}: {failure:?}");
}

/// A server that opens `reached` when `until` has happened on a connection, and then does nothing.
fn silent(reached: &Gate, until: impl Fn(&mut support_transport::Peer) + Send + Sync + 'static) -> (Server, Gate) {
    let (reached, done) = (reached.clone(), Gate::default());
    let end = done.clone();
    let server = Server::start(move |peer| {
        until(peer);
        reached.open();
        end.wait();
    });
    (server, done)
}

#[test]
fn while_waiting_for_the_answer() {
    let reached = Gate::default();
    let (server, done) = silent(&reached, |peer| drop(peer.head()));
    let url = server.url("/");
    let result = cancelled("answer", &reached, move |cancel| {
        transport().round_trip(Outgoing { cancel, ..request("GET", &url) })
    });
    assert_cancelled("answer", result);
    done.open();
}

#[test]
fn while_sending() {
    let reached = Gate::default();
    let (server, done) = silent(&reached, |peer| drop(peer.head()));
    let url = server.url("/");
    let result = cancelled("sending", &reached, move |cancel| {
        let mut body = Counted::new(1 << 40);
        let body = OutgoingBody::Sized(1 << 40, &mut body);
        transport().round_trip(Outgoing { cancel, body, ..request("PUT", &url) })
    });
    assert_cancelled("sending", result);
    done.open();
}

#[test]
fn while_waiting_to_be_asked_for_the_body() {
    let reached = Gate::default();
    let (server, done) = silent(&reached, |peer| drop(peer.head()));
    let url = server.url("/");
    let result = cancelled("expect", &reached, move |cancel| {
        let mut body = Counted::new(100);
        let body = OutgoingBody::Sized(100, &mut body);
        transport().round_trip(Outgoing { cancel, body, expect: Expect::Require, ..request("PUT", &url) })
    });
    assert_cancelled("expect", result);
    done.open();
}

#[test]
fn while_connecting() {
    let deaf = Deaf::new();
    let url = Url::parse(&format!("http://{}/", deaf.address)).unwrap();
    let reached = Gate::default();
    reached.open();
    let result = cancelled("connect", &reached, move |cancel| {
        transport().round_trip(Outgoing { cancel, ..request("GET", &url) })
    });
    assert_cancelled("connect", result);
}

#[test]
fn while_negotiating_tls() {
    let reached = Gate::default();
    let (server, done) = silent(&reached, |peer| drop(peer.exactly(1)));
    let url = server.https_url("/");
    let result =
        cancelled("tls", &reached, move |cancel| transport().round_trip(Outgoing { cancel, ..request("GET", &url) }));
    assert_cancelled("tls", result);
    done.open();
}

#[test]
fn while_asking_a_proxy() {
    for scheme in ["http", "socks5h"] {
        let reached = Gate::default();
        let (server, done) = silent(&reached, |peer| drop(peer.exactly(1)));
        let proxy = Proxy::parse(&format!("{scheme}://{}", server.address)).unwrap();
        let result = cancelled("proxy", &reached, move |cancel| {
            let settings = Settings { proxy: ProxyChoice::Fixed(proxy), ..Settings::default() };
            let url = Url::parse("http://example.invalid/").unwrap();
            Transport::new(settings).unwrap().round_trip(Outgoing { cancel, ..request("GET", &url) })
        });
        assert_cancelled("proxy", result);
        done.open();
    }
}

fn read_later(is_tls: bool) {
    let reached = Gate::default();
    let done = Gate::default();
    let (end, authority) = (done.clone(), Authority::new());
    let script = move |peer: &mut support_transport::Peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome");
        end.wait();
    };
    let server = if is_tls { tls::server(&authority, script) } else { Server::start(script) };
    let url = if is_tls { server.https_url("/") } else { server.url("/") };
    let begun = reached.clone();
    let transport = authority.transport();
    let error = cancelled("body", &reached, move |cancel| {
        let mut incoming = transport.round_trip(Outgoing { cancel, ..request("GET", &url) }).unwrap();
        // The body moves to a thread that had no part in the request.
        let reader = std::thread::spawn(move || {
            let mut some = [0; 4];
            incoming.body.read_exact(&mut some).unwrap();
            begun.open();
            support_transport::read_error(&mut incoming)
        });
        reader.join().unwrap()
    });
    assert_eq!(error.status, Status::Cancelled, "{error:?}");
    done.open();
}

#[test]
fn while_reading_the_body_on_another_thread() {
    read_later(false);
    read_later(true);
}

#[test]
fn before_the_call_and_after_it() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let (transport, cancel, url) = (transport(), Cancel::new(), server.url("/"));
    cancel.cancel();
    assert!(cancel.is_cancelled());
    let result = transport.round_trip(Outgoing { cancel: cancel.clone(), ..request("GET", &url) });
    assert_cancelled("before", result);
    assert_eq!(server.connections(), 0);
    let cancel = Cancel::new();
    let incoming = transport.round_trip(Outgoing { cancel: cancel.clone(), ..request("GET", &url) }).unwrap();
    assert_eq!(read_all(incoming), b"ok");
    // A call that is over is not touched, nor is the connection it has given back.
    cancel.cancel();
    let next = get(&transport, &url).unwrap();
    assert!(next.report.reused);
    assert_eq!(read_all(next), b"ok");
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_body_callback_that_cancels_ends_its_own_call() {
    struct Cancelling(Cancel, u32);
    impl Read for Cancelling {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 += 1;
            if self.1 == 3 {
                self.0.cancel();
            }
            Ok(buffer.len())
        }
    }
    let server = Server::start(|peer| {
        peer.drain();
    });
    let (cancel, url) = (Cancel::new(), server.url("/"));
    let mut body = Cancelling(cancel.clone(), 0);
    let outgoing = Outgoing { cancel, body: OutgoingBody::Chunked(&mut body), ..request("POST", &url) };
    assert_cancelled("callback", transport().round_trip(outgoing));
    assert_eq!(body.1, 3);
}

/// Cancellations at any moment: each call ends with its answer or as cancelled, and none disturbs another's.
#[test]
fn cancelling_at_random_disturbs_nobody_else() {
    const CALLS: usize = 300;
    let server = Arc::new(Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    let transport = Arc::new(transport());
    let current: Arc<Mutex<Option<Cancel>>> = Arc::default();
    let (finished, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let quiet = {
        let (transport, server, finished) = (transport.clone(), server.clone(), finished.clone());
        std::thread::spawn(move || {
            while finished.load(Ordering::SeqCst) < CALLS {
                assert_eq!(read_all(get(&transport, &server.url("/quiet")).unwrap()), b"ok");
            }
        })
    };
    let canceller = {
        let (current, finished) = (current.clone(), finished.clone());
        std::thread::spawn(move || {
            while finished.load(Ordering::SeqCst) < CALLS {
                if let Some(cancel) = current.lock().unwrap().take() {
                    cancel.cancel();
                }
                std::thread::yield_now();
            }
        })
    };
    for _ in 0..CALLS {
        let cancel = Cancel::new();
        *current.lock().unwrap() = Some(cancel.clone());
        let url = server.url("/stopped");
        let outcome = transport.round_trip(Outgoing { cancel, ..request("GET", &url) });
        let status = outcome.map_err(|failure| failure.error).and_then(|mut incoming| {
            let mut out = Vec::new();
            let read = incoming.body.read_to_end(&mut out);
            read.map_err(|cause| Error::from_io(cause, Status::Panic, "not the library's"))
        });
        if let Err(error) = status {
            assert_eq!(error.status, Status::Cancelled, "{error:?}");
            stopped.fetch_add(1, Ordering::SeqCst);
        }
        finished.fetch_add(1, Ordering::SeqCst);
    }
    canceller.join().unwrap();
    quiet.join().unwrap();
    assert!(stopped.load(Ordering::SeqCst) > 0, "no call was ever caught");
}
