//! The digest by which a body is known again.
//!
//! Owns SHA-256. Knows no purchase. A body that comes from a caller's reader has none: reading it to its end before
//! it is sent would cost the caller what streaming is for, and a reader need not give the same bytes twice. The copy that is
//! kept for a replay does not help: with an early 402 or `Expect: 100-continue` the payment is decided before the body was
//! pulled, and one request would be known or not by how fast its server answered.

use super::source::open_regular;
use crate::error::{Error, Status};
use ring::digest::{Context, SHA256};
use std::io::Read;
use std::path::Path;

/// The SHA-256 of parts, each preceded by its length, so that no two lists of parts are one text.
pub fn of_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    finished(context)
}

pub(super) fn of_bytes(bytes: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    finished(context)
}

/// Reads the whole file, through a handle of its own; `go_on` is asked before each piece, and its error ends it.
pub(super) fn of_file(path: &Path, go_on: &mut dyn FnMut() -> Result<(), Error>) -> Result<[u8; 32], Error> {
    const PIECE_BYTES: usize = 256 * 1024;
    let (mut file, _) = open_regular(path)?;
    let mut context = Context::new(&SHA256);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        go_on()?;
        match file.read(&mut piece) {
            Ok(0) => return Ok(finished(context)),
            Ok(count) => context.update(piece.get(..count).unwrap_or(&[])),
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
            Err(cause) => {
                return Err(Error::from_io(cause, Status::BodyFile, "the body file cannot be read to its end"));
            }
        }
    }
}

fn finished(context: Context) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}
