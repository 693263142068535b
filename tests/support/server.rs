//! The server itself: its listeners, a thread for each connection, and its end.
//!
//! Owns the sockets and the prepared routes. Dropping a [`Server`] closes every connection and joins every
//! thread, so a test leaves nothing behind.

use super::admin;
use super::certificates::Authority;
use super::connection::Connection;
use super::exchange::{self, Next};
use super::proxy;
use super::relay::{self, UnixDoor};
use super::scenario::{Answer, ChannelBefore, OriginKind, Route, Scenario};
use super::state::{Snapshot, State};
use super::stream::Stream;
use super::terms::Challenge;
use rustls::ServerConfig;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const QUIET_WITHIN: Duration = Duration::from_secs(5);
const CLOSED_SLICE: Duration = Duration::from_millis(1);
/// How many connections may wait to be accepted.
const CONNECTIONS_WAITING_MAX: i32 = 4096;

/// A route with its terms made ready.
pub struct Charged {
    pub script: Route,
    pub challenge: Option<Challenge>,
    pub url: String,
    /// The same route on the terms that hold from some request on.
    later: Option<(usize, Box<Charged>)>,
}

impl Charged {
    /// The route as it stands for its n-th request.
    pub fn at(&self, number: usize) -> &Charged {
        match &self.later {
            Some((from, later)) if number >= *from => later,
            _ => self,
        }
    }
}

/// Copies of the sockets being served, so that the end of the server can be the end of them.
#[derive(Default)]
struct Sockets(Mutex<(u64, HashMap<u64, TcpStream>)>);

impl Sockets {
    fn insert(&self, socket: TcpStream) -> u64 {
        let mut inner = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        inner.0 += 1;
        let key = inner.0;
        inner.1.insert(key, socket);
        key
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).1.is_empty()
    }

    fn remove(&self, key: u64) {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).1.remove(&key);
    }

    fn shut_down(&self) {
        for socket in self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).1.values() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// What every connection's thread looks at.
pub struct Shared {
    pub state: State,
    pub hash_bodies: bool,
    pub channel: ChannelBefore,
    pub not_found: Answer,
    routes: HashMap<String, Charged>,
    sockets: Sockets,
}

impl Shared {
    /// The route of a path, and the name it has in the script.
    pub fn route(&self, origin: &str, path: &str) -> Option<(&str, &Charged)> {
        let own = self.routes.get_key_value(&format!("{origin}:{path}"));
        own.or_else(|| self.routes.get_key_value(path)).map(|(name, route)| (name.as_str(), route))
    }
}

/// One listener.
struct Origin {
    name: String,
    kind: OriginKind,
    tls: Option<Arc<ServerConfig>>,
    base: SocketAddr,
}

pub struct Server {
    shared: Arc<Shared>,
    pub authority: Authority,
    /// By origin name: its base URL.
    urls: BTreeMap<String, String>,
    addresses: Vec<SocketAddr>,
    _doors: Vec<UnixDoor>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    pub fn start(scenario: &Value) -> Result<Server, String> {
        Server::start_on(scenario, 0)
    }

    /// As [`Server::start`], with `base` on this port; 0 takes any.
    pub fn start_on(scenario: &Value, base_port: u16) -> Result<Server, String> {
        let parsed = Scenario::from_value(scenario)?;
        let mut listeners = Vec::new();
        let (mut urls, mut doors) = (BTreeMap::new(), Vec::new());
        for (name, kind) in &parsed.origins {
            if *kind == OriginKind::Unix {
                let door = UnixDoor::bind().map_err(|error| format!("bind: {error}"))?;
                urls.insert(name.clone(), door.url());
                doors.push(door);
                continue;
            }
            let port = if name == "base" { base_port } else { 0 };
            let listener = TcpListener::bind(("127.0.0.1", port)).map_err(|error| format!("bind: {error}"))?;
            // Again, with room: a client that opens more at once than std's line holds is kept waiting for a second.
            rustix::net::listen(&listener, CONNECTIONS_WAITING_MAX).map_err(|error| format!("listen: {error}"))?;
            let address = listener.local_addr().map_err(|error| error.to_string())?;
            let scheme = if kind.is_tls() { "https" } else { "http" };
            urls.insert(name.clone(), format!("{scheme}://{address}"));
            listeners.push((name.clone(), *kind, listener, address));
        }
        let scenario = Scenario::from_value(&expanded(scenario, &|text| with_urls(text, &urls)))?;
        let base = listeners.iter().find(|(name, ..)| name == "base").ok_or("no origin is called base")?.3;
        let shared = Arc::new(Shared {
            state: State::default(),
            hash_bodies: scenario.hash_bodies,
            channel: scenario.channel,
            not_found: Answer { status: Some(404), ..Answer::default() },
            routes: prepared(scenario.routes, &urls),
            sockets: Sockets::default(),
        });
        let authority = Authority::new();
        doors.iter_mut().for_each(|door| door.open(base));
        let (addresses, threads) = (Vec::new(), Vec::new());
        let mut server = Server { shared, authority, urls, addresses, _doors: doors, threads };
        for (name, kind, listener, address) in listeners {
            if kind == OriginKind::Closed {
                continue;
            }
            let origin = Origin { name, kind, tls: server.authority.server_config(kind), base };
            let shared = server.shared.clone();
            server.addresses.push(address);
            server.threads.push(thread::spawn(move || accept_all(&shared, origin, &listener)));
        }
        Ok(server)
    }

    /// The base URL of an origin.
    pub fn url(&self, origin: &str) -> &str {
        self.urls.get(origin).map_or("", String::as_str)
    }

    /// `{origin}` in every text of `value` replaced by the origin's URL, `{origin_host}` by host and port.
    pub fn expand(&self, value: &Value) -> Value {
        expanded(value, &|text| with_urls(text, &self.urls))
    }

    pub fn write_ca(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, &self.authority.ca_pem)
    }

    /// By channel: what was deposited and what was charged.
    pub fn channels(&self) -> HashMap<String, (u64, u64)> {
        self.shared.state.channels()
    }

    /// What was seen, once every request under way is done.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.state.wait_quiet(QUIET_WITHIN);
        self.shared.state.snapshot()
    }

    /// Once the clients are done: waits until every connection they made was taken and has ended, so that a
    /// snapshot is final. False: one is still open.
    pub fn wait_closed(&self, patience: Duration) -> bool {
        // Connections are taken in their order: once these are served, those before them are.
        for address in &self.addresses {
            if let Ok(mut socket) = TcpStream::connect(address) {
                let _ = socket.shutdown(Shutdown::Write);
                let _ = socket.read(&mut [0]);
            }
        }
        self.shared.state.release();
        let until = Instant::now() + patience;
        while !self.shared.sockets.is_empty() {
            if Instant::now() > until {
                return false;
            }
            thread::sleep(CLOSED_SLICE);
        }
        true
    }

    pub fn state(&self) -> &State {
        &self.shared.state
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.state.stop();
        for address in &self.addresses {
            // Wakes the accepting thread, which then sees the stop.
            let _ = TcpStream::connect(address);
        }
        self.shared.sockets.shut_down();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn with_urls(text: &str, urls: &BTreeMap<String, String>) -> String {
    let mut out = text.to_string();
    for (name, url) in urls {
        if out.contains('{') {
            let host = match url.strip_prefix("unix:") {
                Some(path) => path.trim_end_matches(':'),
                None => url.split_once("://").map_or("", |(_, host)| host),
            };
            out = out.replace(&format!("{{{name}}}"), url).replace(&format!("{{{name}_host}}"), host);
        }
    }
    out
}

/// `value` with every string in it changed.
pub fn expanded(value: &Value, change: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(items) => items.iter().map(|item| expanded(item, change)).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), expanded(value, change))).collect())
        }
        other => other.clone(),
    }
}

fn prepared(routes: BTreeMap<String, Route>, urls: &BTreeMap<String, String>) -> HashMap<String, Charged> {
    let prepare = |(name, script): (String, Route)| {
        let (origin, path) = match name.split_once(":/") {
            Some((origin, path)) => (origin, format!("/{path}")),
            None => ("base", name.clone()),
        };
        let url = format!("{}{path}", urls.get(origin).map_or("", String::as_str));
        let charged = |script: Route, later| {
            let challenge = script.terms.as_ref().map(|terms| Challenge::new(terms, &url, None));
            Charged { challenge, script, url: url.clone(), later }
        };
        let later = script
            .terms_later
            .clone()
            .map(|(from, terms)| (from, Box::new(charged(Route { terms: Some(terms), ..script.clone() }, None))));
        (name, charged(script, later))
    };
    routes.into_iter().map(prepare).collect()
}

fn accept_all(shared: &Arc<Shared>, origin: Origin, listener: &TcpListener) {
    let origin = Arc::new(origin);
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for socket in listener.incoming().flatten() {
        if shared.state.stopped() {
            break;
        }
        let Ok(copy) = socket.try_clone() else { continue };
        let key = shared.sockets.insert(copy);
        let (shared, origin) = (shared.clone(), origin.clone());
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread::spawn(move || {
            serve_socket(&shared, &origin, socket);
            shared.sockets.remove(key);
        }));
    }
    shared.sockets.shut_down();
    for thread in threads {
        let _ = thread.join();
    }
}

fn serve_socket(shared: &Shared, origin: &Origin, socket: TcpStream) {
    if matches!(socket.peek(&mut [0]), Ok(0)) {
        return; // Ended before its first byte: nothing that a count should hold.
    }
    match origin.kind {
        OriginKind::Proxy => {
            let _ = proxy::serve(socket, origin.base);
        }
        OriginKind::Socks5 => {
            let _ = relay::serve_socks5(socket, origin.base);
        }
        _ => match Stream::accept(socket, origin.tls.clone()) {
            Ok(stream) => serve_connection(shared, origin, Connection::new(stream)),
            Err(_) => shared.state.handshake_failed(),
        },
    }
}

fn serve_connection(shared: &Shared, origin: &Origin, mut connection: Connection) {
    let mut id = None;
    let mut next = Next::Keep;
    if origin.kind == OriginKind::Silent {
        id = Some(shared.state.connection_opened());
        connection.drain();
        next = Next::Drop;
    }
    while next == Next::Keep {
        let Ok(Some(head)) = connection.read_head() else {
            break;
        };
        if admin::is_admin(&head) {
            next = match connection.write(&admin::answer(&shared.state, &head)) {
                Ok(()) if head.keeps_alive() => Next::Keep,
                _ => Next::Close,
            };
            continue;
        }
        connection.requests += 1;
        let id = *id.get_or_insert_with(|| shared.state.connection_opened());
        next = exchange::serve(shared, &origin.name, id, &mut connection, &head);
    }
    let left_over = connection.received_anew();
    match next {
        Next::Keep | Next::Close => connection.stream.finish_writing(),
        Next::Drop => {}
        Next::Reset => connection.stream.set_reset(),
    }
    drop(connection);
    if id.is_some() {
        shared.state.connection_closed(left_over);
    }
}
