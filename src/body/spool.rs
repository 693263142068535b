//! The part of a replay copy that lies on disk.
//!
//! Owns one temporary file without a name: it vanishes with its descriptor, however the process ends. Knows
//! no limits. The directory is chosen without a look at the environment: `/var/tmp` before `/tmp`, because
//! the latter is often memory, which the disk is here to spare.

use crate::error::{Error, Status};
use std::fs::{File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

const SYSTEM_DIRECTORIES: [&str; 2] = ["/var/tmp", "/tmp"];

pub(super) struct Spool {
    file: File,
    written: u64,
    read: u64,
}

impl Spool {
    /// [`Status::System`], naming the setting, when no file can be made in `directory` (or the system's).
    pub(super) fn create(directory: Option<&Path>) -> Result<Spool, Error> {
        match directory {
            Some(directory) => unnamed_file(directory).map(Spool::over).map_err(|cause| {
                let message = format!(
                    "replay_dir {} cannot hold the replay copy of the body ({cause}): set it to a directory that can be \
                     written to",
                    directory.display()
                );
                Error::new(Status::System, message).with_cause(cause)
            }),
            None => Self::create_in_system_directory(),
        }
    }

    fn create_in_system_directory() -> Result<Spool, Error> {
        let mut reasons = Vec::new();
        for directory in SYSTEM_DIRECTORIES {
            match unnamed_file(Path::new(directory)) {
                Ok(file) => return Ok(Spool::over(file)),
                Err(cause) => reasons.push(format!("{directory}: {cause}")),
            }
        }
        let message = format!(
            "no temporary directory can hold the replay copy of the body ({}): set replay_dir to a directory that can be \
             written to, or replay_disk to 0",
            reasons.join("; ")
        );
        Err(Error::new(Status::System, message))
    }

    pub(super) fn over(file: File) -> Spool {
        Spool { file, written: 0, read: 0 }
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// All that was written has been read.
    pub(super) fn is_read(&self) -> bool {
        self.read == self.written
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.written)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn rewind(&mut self) {
        self.read = 0;
    }

    /// The next bytes; 0 only when all that was written has been read.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let left = usize::try_from(self.written - self.read).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        loop {
            // Invariant: `wanted` is at most the buffer's length.
            let failed = match self.file.read_at(&mut buffer[..wanted], self.read) {
                Ok(count) if count > 0 => {
                    self.read += count as u64;
                    return Ok(count);
                }
                Ok(_) => io::Error::from(ErrorKind::UnexpectedEof),
                Err(cause) if cause.kind() == ErrorKind::Interrupted => continue,
                Err(cause) => cause,
            };
            let message = format!("the replay copy of the body cannot be read back from disk: {failed}");
            return Err(Error::new(Status::System, message).with_cause(failed));
        }
    }
}

/// Readable by this user alone, should a way to its content be found.
fn unnamed_file(directory: &Path) -> io::Result<File> {
    let file = tempfile::tempfile_in(directory)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}
