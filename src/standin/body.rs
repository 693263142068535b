//! Stand-in for the request body until the real one is merged.
use crate::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
pub trait BodyReader: Send {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error>;
    fn can_rewind(&self) -> bool;
    fn rewind(&mut self) -> Result<(), Error>;
}
pub enum Source {
    Empty,
    Bytes(Arc<[u8]>),
    File(PathBuf),
    Reader { reader: Box<dyn BodyReader>, length: Option<u64> },
}
