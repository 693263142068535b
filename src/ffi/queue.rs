//! `x402_queue`: the same engine without blocking, for event loops.
//!
//! Owns the crossing of events. A completed operation stays a value of Rust's until its event is taken, and becomes
//! handles only then, so that what nobody takes leaks nothing. The decision: the bytes of a read are copied to the
//! caller's buffer by the call that hands out the event, on the caller's thread. No thread of the library's ever writes
//! to memory of the caller's, whatever is cancelled or freed in the meantime.

use crate::client::Response;
use crate::client::queue::{Done, Event, Queue};
use crate::error::{Error, Status};
use crate::ffi::client::{ClientObject, x402_client};
use crate::ffi::error::{Fault, report, x402_error};
use crate::ffi::guard;
use crate::ffi::handle::{self, Kind, Noun};
use crate::ffi::request::{RequestObject, x402_request};
use crate::ffi::response::{ResponseObject, respond, x402_response};
use crate::ffi::status::x402_status;
use crate::ffi::text::{Output, buffer};
use std::mem::offset_of;
use std::time::Duration;

/// Sends and reads that do not block: given in with a token, taken out as events. Any thread, several at once.
///
///     x402_queue_send(queue, request, 7, &error);            returns at once
///     poll() on x402_queue_fd(queue), or x402_queue_wait     until something completed
///     while (x402_queue_next(queue, &event) == X402_OK)      take all of it
///         ... event.token == 7, event.response or event.error is yours to free
///
/// The work is done by threads of the queue's own, at most queue_threads of them (a setting of the client), started when
/// needed and ended when idle for some seconds, with the program's signals blocked. CALLBACKS OF WHAT IS GIVEN TO A QUEUE
/// RUN ON THESE THREADS (body, rewind, progress, approval, log), several at once, with a stack of 512 KiB. What is beyond
/// queue_threads waits in order; beyond queue_backlog more, events not taken included, X402_AGAIN.
///
/// A queue belongs to the process that made it: in a child after fork() every function but x402_queue_free answers
/// X402_ERROR_FORKED.
pub struct x402_queue {
    _opaque: [u8; 0],
}

/// A request was sent, or failed: x402_queue_send.
pub const X402_EVENT_SEND: i32 = 1;
/// A part of a body was read, or failed: x402_queue_read.
pub const X402_EVENT_READ: i32 = 2;

/// For x402_queue_wait: as long as it takes.
pub const X402_WAIT_FOREVER: u32 = u32::MAX;

/// One completed operation. Set `struct_size` to sizeof(x402_event) (or begin with X402_EVENT_INIT) and leave it: a later
/// library may know more members, and writes no more than it says. The other members are outputs.
///
/// On 64-bit machines it has 48 bytes, the members at 0, 8, 16, 20, 24, 32 and 40, for languages that read bytes.
#[repr(C)]
pub struct x402_event {
    /// In: the size of this struct, in bytes.
    pub struct_size: usize,
    /// The token the operation was given.
    pub token: u64,
    /// What the operation ended with; what x402_client_send or x402_response_read would have returned.
    pub status: x402_status,
    /// X402_EVENT_SEND or X402_EVENT_READ; others may come, to be ignored but for freeing.
    pub kind: i32,
    /// Of X402_EVENT_SEND with X402_OK: the response, yours to free with x402_response_free. Otherwise NULL.
    pub response: *mut x402_response,
    /// If status is not X402_OK: the error, yours to free with x402_error_free. Otherwise NULL.
    pub error: *mut x402_error,
    /// Of X402_EVENT_READ with X402_OK: how many bytes are in the buffer; 0 is the end of the body. Otherwise 0.
    pub len: usize,
}

/// The size of the event that the first version of the interface knows; also the size this version writes.
const EVENT_BYTES_MIN: usize = size_of::<x402_event>();

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(EVENT_BYTES_MIN == 48 && offset_of!(x402_event, token) == 8 && offset_of!(x402_event, status) == 16);
    assert!(offset_of!(x402_event, kind) == 20 && offset_of!(x402_event, response) == 24);
    assert!(offset_of!(x402_event, error) == 32 && offset_of!(x402_event, len) == 40);
};

/// Where the bytes of a read go when its event is taken; for a send, nowhere.
struct Destination {
    buffer: *mut u8,
    cap: usize,
}

// SAFETY: the address is only carried; it is written to by the thread that takes the event.
unsafe impl Send for Destination {}

pub struct QueueObject(Queue<Option<Destination>>);

impl Noun for QueueObject {
    type C = x402_queue;
    const KIND: Kind = Kind::Queue;
    const NAME: &'static str = "queue";
}

/// Makes a queue of a client, which it keeps alive. Free it with x402_queue_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_queue_new(
    client: *mut x402_client,
    out: *mut *mut x402_queue,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        // SAFETY: pointers are as the header's contract asks.
        let out = unsafe { Output::new("out", out, std::ptr::null_mut()) }?;
        let client = handle::get::<ClientObject>(client)?;
        out.set(handle::insert(QueueObject(Queue::new(client.client(), guard::quietly)?))?);
        Ok(())
    })
}

/// Sends a request as x402_client_send would, without waiting; an event of kind X402_EVENT_SEND tells the outcome.
///
/// The request is the queue's until that event: X402_ERROR_BUSY for every use but x402_request_cancel and
/// x402_request_free. It may be freed at once. Its callbacks run on a thread of the queue's, and what they use must stay
/// valid until the event, or until x402_queue_free returned.
///
/// @param token  any number, to know the event by; free to be used again once that was taken
///
/// Whatever is not X402_OK: nothing was submitted, and no event comes. X402_AGAIN if the queue is full: take events and
/// try again. X402_ERROR_BUSY if the request or the token is in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_queue_send(
    queue: *mut x402_queue,
    request: *mut x402_request,
    token: u64,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let queue = handle::get::<QueueObject>(queue)?;
        let request = handle::get::<RequestObject>(request)?;
        queue.0.send(Box::new(request.lend()?), token, None)?;
        Ok(())
    })
}

/// Reads the next bytes of a response's body as x402_response_read would, without waiting; an event of kind
/// X402_EVENT_READ tells the outcome. One read of a response at a time; for the next bytes, submit another.
///
/// The response may come from a queue or not. It is the queue's until the event: X402_ERROR_BUSY for every use but those
/// of its head and x402_response_free, which cancels the read.
///
/// @param buffer  filled with up to `cap` bytes, at most 64 KiB of them. It is written to by the very call of
///                x402_queue_next or x402_queue_wait that hands out the event, at no other time and by no other thread;
///                it must stay until then, or until x402_queue_free returned.
/// @param token   as for x402_queue_send
///
/// A completed read keeps what it read, at most 64 KiB, until its event is taken. A read occupies a thread of the queue
/// for as long as it waits for the server: queue_threads (256) answers that stall hold up everything else that the queue
/// was given, until one of them gets bytes, is cancelled, or ends by idle_timeout_ms. Give long streams a queue of their
/// own, or raise queue_threads.
///
/// Whatever is not X402_OK: nothing was submitted, and no event comes. X402_AGAIN if the queue is full.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_queue_read(
    queue: *mut x402_queue,
    response: *mut x402_response,
    buffer: *mut u8,
    cap: usize,
    token: u64,
    error: *mut *mut x402_error,
) -> x402_status {
    guard::call(error, || {
        let queue = handle::get::<QueueObject>(queue)?;
        let response = handle::get::<ResponseObject>(response)?;
        // SAFETY: pointers are as the header's contract asks; nothing is written here.
        if unsafe { self::buffer("buffer", buffer, cap) }?.is_empty() {
            return Err(Error::new(Status::Argument, "cap is 0; pass room for at least one byte").into());
        }
        queue.0.read(Box::new(response.lend()?), cap, token, Some(Destination { buffer, cap }))?;
        Ok(())
    })
}

/// A descriptor that is readable while an event waits, and not otherwise: for poll, epoll, asyncio, libuv, a Go runtime.
///
/// Level-triggered; for edge-triggered loops too, if x402_queue_next is called until X402_AGAIN each time. Never read it,
/// write it or close it (a loop that cannot help reading does no harm if it then takes all events). It ends with the
/// queue: remove it from the loop before x402_queue_free. The same each time; -1 for a queue that is not alive, or was
/// made before fork().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_queue_fd(queue: *const x402_queue) -> i32 {
    guard::get(-1, || handle::get::<QueueObject>(queue).ok()?.0.fd().ok())
}

/// Takes an event, if one waits. Events come in the order of completion, exactly one for each operation submitted.
///
/// @param event  see x402_event; on X402_OK, its response and error are yours to free
///
/// X402_AGAIN if none waits. X402_ERROR_ARGUMENT if `event` is NULL or its struct_size too small.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_queue_next(queue: *mut x402_queue, event: *mut x402_event) -> x402_status {
    guard::call(std::ptr::null_mut(), || {
        // SAFETY: pointers are as the header's contract asks.
        let event = unsafe { Place::new(event) }?;
        let queue = handle::get::<QueueObject>(queue)?;
        event.set(queue.0.next()?)
    })
}

/// Takes an event, waiting for one if need be: for programs without an event loop, or a thread of their own for this.
///
/// @param timeout_ms  how long to wait, in milliseconds; 0 is x402_queue_next; X402_WAIT_FOREVER
/// @param event       as for x402_queue_next
///
/// X402_AGAIN if none came in time. X402_ERROR_HANDLE if another thread frees the queue meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_queue_wait(
    queue: *mut x402_queue,
    timeout_ms: u32,
    event: *mut x402_event,
) -> x402_status {
    guard::call(std::ptr::null_mut(), || {
        // SAFETY: pointers are as the header's contract asks.
        let event = unsafe { Place::new(event) }?;
        let queue = handle::get::<QueueObject>(queue)?;
        let timeout = (timeout_ms != X402_WAIT_FOREVER).then(|| Duration::from_millis(timeout_ms.into()));
        event.set(queue.0.wait(timeout)?)
    })
}

/// Cancels an operation, from any thread, at any time. Its event still comes, exactly once and soon: with
/// X402_ERROR_CANCELLED, or with the outcome if that was quicker. A callback of yours that is running must return first.
///
/// It stops this operation alone: the request may be sent again. (A response that x402_client_send gave is stopped
/// together with its request.) The body of an answer ends with its cancelled read.
///
/// X402_ERROR_ARGUMENT if no operation has that token, because its event was taken already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_queue_cancel(queue: *mut x402_queue, token: u64) -> x402_status {
    guard::call(std::ptr::null_mut(), || {
        handle::get::<QueueObject>(queue)?.0.cancel(token)?;
        Ok(())
    })
}

/// Frees a queue: cancels what is under way, waits until it has ended, and drops every event that was not taken, with
/// its response or error. Afterwards no callback runs for it any more and no buffer is written to. NULL is nothing.
///
/// A callback that does not return holds this up for at most 10 seconds, and is then left to itself; freed from a
/// callback of its own, the queue does not wait for that one. What was paid stays paid: the budgets know, and a request
/// with a purchase_key can be sent again. In a child after fork() the parent's queue is let go, and the child's copies of
/// its descriptors are closed, nothing else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn x402_queue_free(queue: *mut x402_queue) {
    guard::get((), || {
        let object = handle::get::<QueueObject>(queue).ok()?;
        handle::remove::<QueueObject>(queue);
        // Not left to the object's end, which another thread's wait would put off.
        object.0.close();
        for fd in object.0.let_go().into_iter().flatten() {
            // SAFETY: this process's copies of descriptors that it has from its parent; the queue's own owner of them is
            // never dropped here, and they are given out once.
            unsafe { libc::close(fd) };
        }
        None
    });
}

/// The caller's event: checked and cleared at the start, written once.
struct Place(*mut x402_event);

impl Place {
    /// # Safety
    /// `event` is NULL, or its first member can be read, and as many bytes as that says can be written.
    unsafe fn new(event: *mut x402_event) -> Result<Self, Error> {
        if event.is_null() {
            return Err(Error::new(Status::Argument, "event is NULL; pass the address of an x402_event"));
        }
        // SAFETY: by the caller's promise. Unaligned, because some languages keep structs in plain bytes.
        let size = unsafe { (&raw const (*event).struct_size).read_unaligned() };
        if size < EVENT_BYTES_MIN {
            let message = format!("event.struct_size is {size}; set it to sizeof(x402_event)");
            return Err(Error::new(Status::Argument, message));
        }
        let place = Place(event);
        place.write(size, 0, Outcome::default());
        Ok(place)
    }

    fn set(self, event: Option<Event<Option<Destination>>>) -> Result<(), Fault> {
        let Some(Event { token, note, done, taking }) = event else { return Err(Error::new(Status::Again, "").into()) };
        // SAFETY: as in `new`.
        let size = unsafe { (&raw const (*self.0).struct_size).read_unaligned() };
        self.write(size, token, outcome(done, note));
        // Until here x402_queue_free waits: the caller's buffer was written to.
        drop(taking);
        Ok(())
    }

    fn write(&self, struct_size: usize, token: u64, outcome: Outcome) {
        let Outcome { status, kind, response, error, len } = outcome;
        // SAFETY: as in `new`.
        unsafe { self.0.write_unaligned(x402_event { struct_size, token, status, kind, response, error, len }) };
    }
}

struct Outcome {
    status: x402_status,
    kind: i32,
    response: *mut x402_response,
    error: *mut x402_error,
    len: usize,
}

impl Default for Outcome {
    fn default() -> Self {
        let (response, error) = (std::ptr::null_mut(), std::ptr::null_mut());
        Outcome { status: Status::Ok as x402_status, kind: 0, response, error, len: 0 }
    }
}

/// Makes the handles of an outcome, and fills the buffer of a read.
fn outcome(done: Done, destination: Option<Destination>) -> Outcome {
    let (kind, made) = match done {
        Done::Sent(sent) => (X402_EVENT_SEND, sent.map_err(Fault::from).and_then(responded)),
        Done::Read(read) => (X402_EVENT_READ, read.map_err(Fault::from).map(|bytes| filled(&bytes, destination))),
    };
    let made = made.unwrap_or_else(|fault| {
        let status = fault.error.status as x402_status;
        // Without an error handle, if not even that can be made: the status is what counts.
        Outcome { status, error: report(fault).unwrap_or(std::ptr::null_mut()), ..Outcome::default() }
    });
    Outcome { kind, ..made }
}

fn responded(response: Response) -> Result<Outcome, Fault> {
    respond(response).map(|response| Outcome { response, ..Outcome::default() })
}

fn filled(bytes: &[u8], destination: Option<Destination>) -> Outcome {
    let Some(Destination { buffer, cap }) = destination else { return Outcome::default() };
    let len = bytes.len().min(cap);
    // SAFETY: `cap` bytes at `buffer` are the caller's word of x402_queue_read, good until this event.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer, len) };
    Outcome { len, ..Outcome::default() }
}
