//! The table of handles: what a C pointer of ours means.
//!
//! Owns the encoding and the life of handles; knows nothing of the objects behind them. A handle's value is kind,
//! generation and index, never an address: a freed, stale, foreign or invented one is recognised and refused without
//! touching memory. On 64-bit machines the value lies between 2^48 and 2^53 on purpose: above every address a program
//! can map, so that a C program that dereferences one faults at once, and below the point where a double (the number
//! type of some languages that bind us) stops being exact. A slot whose generations are used up is never used again.
//!
//! The table is cut into shards, each behind its own mutex held for a few instructions; handles are spread over them.

use super::text;
use crate::error::{Error, Status};
use crate::{ledger, wallet};
use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, TryLockError};

#[cfg(target_pointer_width = "64")]
mod layout {
    pub const INDEX_BITS: u32 = 22;
    pub const GENERATION_BITS: u32 = 26;
}
#[cfg(target_pointer_width = "32")]
mod layout {
    pub const INDEX_BITS: u32 = 16;
    pub const GENERATION_BITS: u32 = 12;
}
use layout::{GENERATION_BITS, INDEX_BITS};

const INDEX_MAX: usize = (1 << INDEX_BITS) - 1;
const GENERATION_MAX: u32 = (1 << GENERATION_BITS) - 1;
const SHARDS: usize = 16;

/// The nouns of the C interface. A number is part of a handle's value, so that one noun's handle never passes for
/// another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Kind {
    Error = 1,
    Wallet = 2,
    Policy = 3,
    Config = 4,
    Client = 5,
    Request = 6,
    Response = 7,
    Payment = 8,
    Ledger = 9,
    Queue = 10,
}

/// What a handle can name: ties the Rust object to the opaque C type, so that mixing them up does not compile.
pub trait Noun: Send + Sync + 'static {
    /// The opaque type of the header.
    type C;
    const KIND: Kind;
    /// The type's name in the header, for messages.
    const NAME: &'static str;
}

struct Slot {
    generation: u32,
    /// Counted by [`live`]: the caller must free it.
    owned: bool,
    object: Option<Arc<dyn Any + Send + Sync>>,
}

struct Shard {
    slots: Vec<Slot>,
    free: Vec<usize>,
}

static TABLE: [Mutex<Shard>; SHARDS] = [const { Mutex::new(Shard { slots: Vec::new(), free: Vec::new() }) }; SHARDS];
static NEXT_SHARD: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicU64 = AtomicU64::new(0);

/// The parts of a handle's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Value {
    kind: usize,
    generation: u32,
    index: usize,
}

impl Value {
    fn of<C>(handle: *const C) -> Value {
        let bits = handle.addr();
        Value {
            kind: bits >> (INDEX_BITS + GENERATION_BITS),
            generation: (bits >> INDEX_BITS) as u32 & GENERATION_MAX,
            index: bits & INDEX_MAX,
        }
    }

    fn handle<C>(self) -> *mut C {
        let bits = self.kind << (INDEX_BITS + GENERATION_BITS) | (self.generation as usize) << INDEX_BITS | self.index;
        std::ptr::without_provenance_mut(bits)
    }
}

fn lock(shard: usize) -> MutexGuard<'static, Shard> {
    // No code that can panic runs under this lock, and a poisoned table would be whole all the same.
    TABLE[shard % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// All that every process has once, held by a thread that is inside of fork().
    static HELD: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// From now on, fork() waits for a moment in which no thread is inside of the table, or of what else every process has
/// once: a child gets them whole and unlocked. Without that, one in which a thread of the parent's was would wait for ever
/// for a thread that it does not have. Whoever has one of them never asks for another, so they can be taken in any order.
fn keep_whole_over_fork() {
    extern "C" fn hold() {
        HELD.with_borrow_mut(|held| {
            held.extend((0..SHARDS).map(|shard| Box::new(lock(shard)) as Box<dyn Any>));
            held.extend([text::hold_given(), wallet::hold_pages(), ledger::hold_entries()]);
        });
    }
    extern "C" fn release() {
        HELD.with_borrow_mut(Vec::clear);
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // It fails for want of memory alone, and then fork() is as it was.
        // SAFETY: plain functions that live as long as the library, which is never unloaded.
        let _ = unsafe { libc::pthread_atfork(Some(hold), Some(release), Some(release)) };
    });
}

fn place<N: Noun>(object: Arc<N>, owned: bool) -> Result<*mut N::C, Error> {
    #[cfg(test)]
    if FULL_FOR_A_TEST.get() {
        return Err(Error::new(Status::System, "full, for a test"));
    }
    // Before the first handle nobody is inside of the table, and from here on a fork() may meet any thread there.
    keep_whole_over_fork();
    let number = NEXT_SHARD.fetch_add(1, Ordering::Relaxed) % SHARDS;
    let mut shard = lock(number);
    let position = match shard.free.pop() {
        Some(position) => position,
        None => {
            let position = shard.slots.len();
            if position * SHARDS + number > INDEX_MAX {
                let message = format!("more than {INDEX_MAX} handles are alive; free what is no longer needed");
                return Err(Error::new(Status::System, message));
            }
            shard.slots.push(Slot { generation: 0, owned: false, object: None });
            position
        }
    };
    let Some(slot) = shard.slots.get_mut(position) else {
        return Err(Error::new(Status::System, "the handle table lost a slot"));
    };
    slot.owned = owned;
    slot.object = Some(object);
    let value = Value { kind: N::KIND as usize, generation: slot.generation, index: position * SHARDS + number };
    if owned {
        LIVE.fetch_add(1, Ordering::Relaxed);
    }
    Ok(value.handle())
}

/// A new handle that the caller must free.
pub fn insert<N: Noun>(object: N) -> Result<*mut N::C, Error> {
    insert_shared(Arc::new(object))
}

/// As [`insert`], for an object that must outlive a refusal.
pub fn insert_shared<N: Noun>(object: Arc<N>) -> Result<*mut N::C, Error> {
    place(object, true)
}

#[cfg(test)]
thread_local! {
    /// No handle can be made by this thread.
    pub static FULL_FOR_A_TEST: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// The object a handle names.
pub fn get<N: Noun>(handle: *const N::C) -> Result<Arc<N>, Error> {
    if handle.is_null() {
        return Err(refused::<N>("is NULL"));
    }
    let value = Value::of(handle);
    if value.kind != N::KIND as usize {
        return Err(refused::<N>("is not one of that kind"));
    }
    let shard = lock(value.index % SHARDS);
    let found = match shard.slots.get(value.index / SHARDS) {
        Some(slot) if slot.generation == value.generation => slot.object.clone(),
        _ => None,
    };
    drop(shard);
    found.and_then(|object| object.downcast::<N>().ok()).ok_or_else(|| refused::<N>("was freed before, or never made"))
}

/// Ends a handle. NULL is nothing; so is a handle that is not alive, because there is nobody to tell.
pub fn remove<N: Noun>(handle: *mut N::C) {
    let value = Value::of(handle);
    if handle.is_null() || value.kind != N::KIND as usize {
        return;
    }
    let mut shard = lock(value.index % SHARDS);
    let position = value.index / SHARDS;
    let Some(slot) = shard.slots.get_mut(position) else { return };
    // The slot's own type decides too: another kind may live in it under the same generation.
    if slot.generation != value.generation || !slot.object.as_deref().is_some_and(|object| object.is::<N>()) {
        return;
    }
    let object = slot.object.take();
    if slot.owned {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
    if slot.generation < GENERATION_MAX {
        slot.generation += 1;
        shard.free.push(position);
    }
    drop(shard);
    // Outside the lock: an object's end may close sockets and end the handles it lent.
    drop(object);
}

/// Handles made and not yet freed.
pub fn live() -> u64 {
    LIVE.load(Ordering::Relaxed)
}

fn refused<N: Noun>(why: &str) -> Error {
    let message = format!("the {} handle {why}; pass one that is alive", N::NAME);
    Error::new(Status::Handle, message)
}

/// A handle that belongs to another object and ends with it; the caller does not free it.
pub struct Lent<N: Noun> {
    handle: usize,
    noun: PhantomData<fn() -> N>,
}

impl<N: Noun> Lent<N> {
    pub fn new(object: Arc<N>) -> Result<Lent<N>, Error> {
        let handle = place(object, false)?;
        Ok(Lent { handle: handle.addr(), noun: PhantomData })
    }

    pub fn handle(&self) -> *mut N::C {
        std::ptr::without_provenance_mut(self.handle)
    }
}

impl<N: Noun> Drop for Lent<N> {
    fn drop(&mut self) {
        remove::<N>(self.handle());
    }
}

/// State that one thread may use at a time; a second is told so instead of waiting. It can be lent to an operation that
/// outlasts the call: until it comes back, everyone is a second.
pub struct Exclusive<T>(Arc<Mutex<Place<T>>>);

enum Place<T> {
    Here(T),
    Lent,
    /// The operation it was lent to met a defect in the middle of a change.
    Lost,
}

impl<T> Exclusive<T> {
    pub fn new(value: T) -> Self {
        Exclusive(Arc::new(Mutex::new(Place::Here(value))))
    }

    pub fn take(&self, name: &str) -> Result<Taken<'_, T>, Error> {
        let place = self.0.try_lock().map_err(|refusal| match refusal {
            TryLockError::WouldBlock => busy(name),
            TryLockError::Poisoned(_) => lost(name),
        })?;
        match &*place {
            Place::Here(_) => Ok(Taken(place)),
            Place::Lent => Err(busy(name)),
            Place::Lost => Err(lost(name)),
        }
    }

    /// Takes the value away until the loan is dropped. It then comes back, or ends if its owner is gone.
    pub fn lend(&self, name: &str) -> Result<Loan<T>, Error> {
        let mut taken = self.take(name)?;
        match std::mem::replace(&mut *taken.0, Place::Lent) {
            Place::Here(value) => Ok(Loan { home: self.0.clone(), value: Some(value) }),
            _ => Err(busy(name)),
        }
    }

    pub fn is_lent(&self) -> bool {
        self.0.try_lock().is_ok_and(|place| matches!(&*place, Place::Lent))
    }
}

fn busy(name: &str) -> Error {
    let message = format!(
        "the {name} is in use by another call, or by an operation of a queue; one at a time, and not from its own \
         callbacks"
    );
    Error::new(Status::Busy, message)
}

fn lost(name: &str) -> Error {
    let message = format!("an earlier call on this {name} met a defect of the library; free it and make another");
    Error::new(Status::Panic, message)
}

/// The value, for the length of one call.
pub struct Taken<'a, T>(MutexGuard<'a, Place<T>>);

impl<T> Deref for Taken<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &*self.0 {
            Place::Here(value) => value,
            // Invariant: `take` gives only what is here, and the lock keeps it here.
            _ => unreachable!("a taken value is here"),
        }
    }
}

impl<T> DerefMut for Taken<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut *self.0 {
            Place::Here(value) => value,
            // Invariant: as in `deref`.
            _ => unreachable!("a taken value is here"),
        }
    }
}

/// The value, away from home.
pub struct Loan<T> {
    home: Arc<Mutex<Place<T>>>,
    value: Option<T>,
}

impl<T> Deref for Loan<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // Invariant: only `drop` takes the value.
        self.value.as_ref().expect("a loan has its value")
    }
}

impl<T> DerefMut for Loan<T> {
    fn deref_mut(&mut self) -> &mut T {
        // Invariant: only `drop` takes the value.
        self.value.as_mut().expect("a loan has its value")
    }
}

impl<T> Drop for Loan<T> {
    fn drop(&mut self) {
        let back = match self.value.take() {
            Some(value) if !std::thread::panicking() => Place::Here(value),
            _ => Place::Lost,
        };
        // Held by others only while they look whether the value is here.
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = back;
    }
}

#[cfg(test)]
mod tests;
