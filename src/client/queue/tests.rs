//! The queue against servers of a few lines: order, bounds, cancel, close, and wake-ups that must not get lost.

use super::*;
use crate::client::Config;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Deref;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

/// What no test may wait longer for; reached only by a defect.
const LONG: Duration = Duration::from_secs(30);

struct Own<T>(T);

impl<T> Deref for Own<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Own<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

fn catch(body: &mut dyn FnMut()) -> Result<(), String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).map_err(|_| "a test's panic".to_string())
}

fn queue(settings: &[(&str, &str)]) -> Queue<u64> {
    let mut config = Config::new().unwrap();
    for (key, value) in settings {
        config.set(key, value).unwrap();
    }
    Queue::new(&Client::new(&config).unwrap(), catch).unwrap()
}

fn get(url: &str) -> Lent<Request> {
    Box::new(Own(Request::new("GET", url).unwrap()))
}

/// A server that answers each request once told to, with a body of its path.
struct Server {
    url: String,
    arrived: Receiver<()>,
    go: Sender<()>,
}

fn answer(mut socket: TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if socket.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or("").to_string();
    let _ = write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{path}", path.len());
}

fn server() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (came, arrived) = mpsc::channel();
    let (go, going) = mpsc::channel();
    let going = Arc::new(Mutex::new(going));
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (came, going) = (came.clone(), going.clone());
            thread::spawn(move || {
                let _ = came.send(());
                if going.lock().unwrap().recv().is_ok() {
                    answer(socket.unwrap());
                }
            });
        }
    });
    Server { url, arrived, go }
}

/// A server that answers at once.
fn open_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().for_each(|socket| answer(socket.unwrap())));
    url
}

/// Whether the queue's descriptor can be read.
fn readable(queue: &Queue<u64>) -> bool {
    let fd = queue.fd().unwrap();
    // SAFETY: the queue, which owns the descriptor, outlives the look.
    let mut polled = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    unsafe { libc::poll(&mut polled, 1, 0) == 1 }
}

fn wait(queue: &Queue<u64>) -> Event<u64> {
    queue.wait(Some(LONG)).unwrap().expect("an event in time")
}

fn sent(event: Event<u64>) -> Result<Response, Failure> {
    match event.done {
        Done::Sent(outcome) => outcome,
        Done::Read(_) => panic!("a send's event was expected"),
    }
}

fn status(event: Event<u64>) -> Status {
    sent(event).err().map_or(Status::Ok, |failure| failure.error.status)
}

/// Tokens and outcomes come back as they went in, and never do more than `queue_threads` requests stand at the server.
#[test]
fn at_most_so_many_are_under_way() {
    const THREADS: u64 = 3;
    let server = server();
    let queue = queue(&[("queue_threads", "3")]);
    for token in 0..9 {
        queue.send(get(&format!("{}/{token}", server.url)), token, token * 10).unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..THREADS {
        server.arrived.recv_timeout(LONG).unwrap();
    }
    for _ in 0..9 {
        assert!(server.arrived.try_recv().is_err(), "a fourth came");
        server.go.send(()).unwrap();
        let event = wait(&queue);
        assert_eq!(event.note, event.token * 10);
        seen.push(event.token);
        let mut response = sent(event).unwrap();
        assert_eq!(response.read_all(10).unwrap(), format!("/{}", seen[seen.len() - 1]).into_bytes());
        if seen.len() as u64 + THREADS <= 9 {
            server.arrived.recv_timeout(LONG).unwrap();
        }
    }
    assert_eq!(queue.shared().unwrap().books().threads, 3);
    seen.sort_unstable();
    assert_eq!(seen, (0..9).collect::<Vec<_>>());
}

#[test]
fn the_descriptor_is_readable_exactly_while_an_event_waits() {
    let url = open_server();
    let queue = queue(&[]);
    assert!(!readable(&queue));
    for _ in 0..50 {
        (0..3).for_each(|token| queue.send(get(&url), token, 0).unwrap());
        for left in (0..3).rev() {
            let event = wait(&queue);
            assert_eq!(status(event), Status::Ok);
            // With none under way, what the descriptor says is the whole truth.
            assert!(left > 0 || !readable(&queue));
        }
    }
    queue.send(get(&url), 7, 0).unwrap();
    while !readable(&queue) {
        thread::yield_now();
    }
    assert!(queue.next().unwrap().is_some());
    assert!(queue.next().unwrap().is_none());
    assert!(!readable(&queue));
}

/// Many submit, one takes by poll alone: a lost wake-up would leave it waiting for ever.
#[test]
fn no_wake_up_is_lost() {
    const EACH: u64 = 500;
    const THREADS: u64 = 4;
    let queue = queue(&[("queue_threads", "8")]);
    let fd = queue.fd().unwrap();
    thread::scope(|scope| {
        for part in 0..THREADS {
            let queue = &queue;
            scope.spawn(move || {
                for token in part * EACH..(part + 1) * EACH {
                    // Refused at once by the request's own cancel: as fast as operations can be.
                    let request = Request::new("GET", "http://127.0.0.1:9/").unwrap();
                    request.cancel_handle().cancel();
                    queue.send(Box::new(Own(request)), token, 0).unwrap();
                }
            });
        }
        let mut seen = vec![0; (THREADS * EACH) as usize];
        let mut left = seen.len();
        while left > 0 {
            let mut polled = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
            // SAFETY: one pollfd of this frame.
            assert_eq!(unsafe { libc::poll(&mut polled, 1, 30_000) }, 1, "{left} never came");
            while let Some(event) = queue.next().unwrap() {
                seen[event.token as usize] += 1;
                assert_eq!(status(event), Status::Cancelled);
                left -= 1;
            }
        }
        assert!(seen.iter().all(|count| *count == 1));
    });
}

#[test]
fn a_defect_is_an_event_and_the_thread_lives_on() {
    let url = open_server();
    let queue = queue(&[("queue_threads", "1")]);
    let mut request = Request::new("GET", &url).unwrap();
    request.progress(Box::new(|_, _, _, _| panic!("a defect")));
    request.body(crate::body::Source::Bytes(b"body".to_vec().into()));
    queue.send(Box::new(Own(request)), 1, 0).unwrap();
    let failure = sent(wait(&queue)).err().unwrap();
    assert_eq!((failure.error.status, failure.error.money), (Status::Panic, crate::error::Money::Unknown));
    queue.send(get(&url), 1, 0).unwrap();
    assert_eq!(status(wait(&queue)), Status::Ok);
}

#[test]
fn what_is_lent_is_home_before_its_event() {
    struct Noting(Request, Sender<()>);
    impl Deref for Noting {
        type Target = Request;
        fn deref(&self) -> &Request {
            &self.0
        }
    }
    impl DerefMut for Noting {
        fn deref_mut(&mut self) -> &mut Request {
            &mut self.0
        }
    }
    impl Drop for Noting {
        fn drop(&mut self) {
            let _ = self.1.send(());
        }
    }
    let url = open_server();
    let queue = queue(&[("queue_threads", "1"), ("queue_backlog", "1")]);
    let (home, came_home) = mpsc::channel();
    for _ in 0..100 {
        queue.send(Box::new(Noting(Request::new("GET", &url).unwrap(), home.clone())), 1, 0).unwrap();
        let event = wait(&queue);
        came_home.try_recv().expect("home before the event");
        assert_eq!(status(event), Status::Ok);
    }
    // Refused, it is home as well.
    (1..3).for_each(|token| queue.send(get("http://127.0.0.1:9/"), token, 0).unwrap());
    let refused = queue.send(Box::new(Noting(Request::new("GET", &url).unwrap(), home.clone())), 3, 0).unwrap_err();
    assert_eq!(refused.status, Status::Again);
    came_home.try_recv().unwrap();
}

#[test]
fn idle_threads_are_used_before_new_ones_are_started() {
    let url = open_server();
    let queue = queue(&[]);
    for _ in 0..50 {
        queue.send(get(&url), 1, 0).unwrap();
        assert_eq!(status(wait(&queue)), Status::Ok);
        while queue.shared().unwrap().books().idle.is_empty() {
            thread::yield_now();
        }
    }
    assert_eq!(queue.shared().unwrap().books().threads, 1);
}

#[test]
fn a_closed_queue_has_no_thread_left_and_refuses() {
    let server = server();
    let queue = queue(&[("queue_threads", "4")]);
    (0..8).for_each(|token| queue.send(get(&server.url), token, 0).unwrap());
    server.arrived.recv_timeout(LONG).unwrap();
    queue.close();
    assert_eq!(queue.shared().unwrap().books().threads, 0);
    for refusal in [queue.next().err(), queue.wait(None).err(), queue.cancel(1).err(), queue.fd().err()] {
        assert_eq!(refusal.map(|error| error.status), Some(Status::Handle));
    }
    assert_eq!(queue.send(get(&server.url), 9, 0).err().map(|error| error.status), Some(Status::Handle));
    queue.close();
}

/// A thread that is counted gone, but still holds what it shares with its queue, would keep descriptors open behind the
/// caller's back.
#[test]
fn nothing_holds_the_client_once_its_queue_is_closed() {
    const CLOSES: usize = 300;
    let url = open_server();
    let client = Client::new(&Config::new().unwrap()).unwrap();
    for _ in 0..CLOSES {
        let queue: Queue<u64> = Queue::new(&client, catch).unwrap();
        (0..3).for_each(|token| queue.send(get(&url), token, 0).unwrap());
        drop(wait(&queue));
        queue.close();
        assert_eq!(Arc::strong_count(queue.shared().unwrap()), 1);
        drop(queue);
        assert_eq!(Arc::strong_count(&client.0), 1);
    }
}

/// Whoever took an event may still write to what its note names, which its owner frees once the queue is closed.
#[test]
fn closing_waits_for_those_who_took_an_event() {
    const LOOKS: usize = 1000;
    let url = open_server();
    let queue = queue(&[]);
    queue.send(get(&url), 1, 0).unwrap();
    let event = wait(&queue);
    let written = AtomicBool::new(false);
    thread::scope(|scope| {
        let closing = scope.spawn(|| {
            queue.close();
            written.load(Ordering::SeqCst)
        });
        while !queue.shared().unwrap().books().closed {
            thread::yield_now();
        }
        for _ in 0..LOOKS {
            assert!(!closing.is_finished(), "closed under the hands of who took the event");
            thread::yield_now();
        }
        written.store(true, Ordering::SeqCst);
        drop(event);
        assert!(closing.join().unwrap());
    });
    assert!(queue.shared().unwrap().alive.is_nobody());
}
