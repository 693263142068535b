//! ureq, told to do nothing on its own.
//!
//! Owns the agent's configuration and the hand-over of a connection to it. Knows no sockets. ureq asks a
//! connector for a connection and gives it no handle on the request; as it does so on the caller's thread, the
//! link that was prepared for this very request waits in a thread-local slot for the moment between "run" and
//! "connect", and in no other. Reading the answer's body later, on any thread, needs no such slot.

use super::link::Link;
use super::outgoing::Feed;
use std::cell::RefCell;
use std::fmt;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout};
use ureq::{Agent, Body, SendBody};

/// An answer's head that is longer than this is refused.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;

thread_local! {
    static HANDED_OVER: RefCell<Option<Link>> = const { RefCell::new(None) };
}

pub(super) fn agent() -> Agent {
    let config = Config::builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent("")
        .accept("")
        .accept_encoding("")
        .allow_non_standard_methods(true)
        .max_response_header_size(HEAD_BYTES_MAX)
        // The pool is ours; ureq drops a connection instead of keeping it, and the drop decides.
        .max_idle_connections(0)
        .max_idle_connections_per_host(0)
        .build();
    Agent::with_parts(config, HandOver, NoResolver)
}

/// Sends a request over `link` and reads the head of the answer.
pub(super) fn run(
    agent: &Agent,
    request: http::Request<()>,
    body: Option<&mut Feed<'_>>,
    link: Link,
) -> Result<http::Response<Body>, ureq::Error> {
    let _slot = Slot::fill(link);
    match body {
        Some(feed) => agent.run(request.map(|()| SendBody::from_reader(feed))),
        None => agent.run(request.map(|()| SendBody::none())),
    }
}

/// Empties the thread's slot again, however the run ends.
struct Slot;

impl Slot {
    fn fill(link: Link) -> Slot {
        let forgotten = HANDED_OVER.replace(Some(link));
        drop(forgotten);
        Slot
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        drop(HANDED_OVER.take());
    }
}

struct HandOver;

impl Connector for HandOver {
    type Out = Link;

    fn connect(&self, _: &ConnectionDetails, _: Option<()>) -> Result<Option<Link>, ureq::Error> {
        Ok(HANDED_OVER.take())
    }
}

impl fmt::Debug for HandOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandOver")
    }
}

/// Names are resolved where a connection is made, and only then.
#[derive(Debug)]
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &http::Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}
