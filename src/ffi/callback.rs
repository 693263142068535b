//! What all callbacks share: the caller's `void *`, and what a value other than 0 means.

use crate::error::{Error, Status};
use std::ffi::c_void;

/// The caller's own pointer. Handed back, never looked at.
#[derive(Clone, Copy)]
pub struct Userdata(*mut c_void);

// SAFETY: the pointer is only ever passed to the caller's callbacks; that these may run on every thread that calls in
// is part of the contract (header, rule 8).
unsafe impl Send for Userdata {}
// SAFETY: as above.
unsafe impl Sync for Userdata {}

impl Userdata {
    pub fn new(pointer: *mut c_void) -> Self {
        Userdata(pointer)
    }

    pub fn pointer(self) -> *mut c_void {
        self.0
    }
}

/// The callback a function cannot do without.
pub fn required<F>(name: &str, callback: Option<F>) -> Result<F, Error> {
    callback.ok_or_else(|| Error::new(Status::Argument, format!("the callback {name} is NULL; pass a function")))
}

/// 0 goes on; anything else stops the call and comes back unchanged in the error.
pub fn go_on(name: &str, status: Status, value: i32) -> Result<(), Error> {
    if value == 0 {
        return Ok(());
    }
    let message = format!("the {name} callback stopped the call with the value {value}; return 0 to go on");
    Err(Error::new(status, message).with_callback_value(value))
}
