//! Opening a ledger file, and the words for what can be wrong with one.
//!
//! Owns the checks before a file is trusted (a regular file, mode 0600, this application's, this version) and the
//! settings of the connection. Repairs nothing and overwrites nothing: a file that is not plainly a ledger is left
//! as it is.

use super::turn;
use crate::error::{Error, Status};
use crate::ledger::owner::FileId;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// "x402", so that file(1) and this library know a ledger from any other database.
const APPLICATION_ID: i64 = 0x7834_3032;
/// What makes of a file of each version one of the next, from an empty one on: a new file goes the way of an old one.
const SCHEMAS: [&str; 2] = [include_str!("../schema.sql"), include_str!("../schema_2.sql")];
/// The version of the schema.
const VERSION: i64 = SCHEMAS.len() as i64;

/// How long a call waits for another process's transaction.
const BUSY_WAIT_MS: i32 = 5000;
pub(super) const BUSY_WAIT: Duration = Duration::from_millis(BUSY_WAIT_MS as u64);

/// Opens `path`, or makes a ledger there if nothing is.
pub(super) fn open(path: &Path, shown: &str) -> Result<Connection, Error> {
    make_private(path, shown)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let mut connection = Connection::open_with_flags(path, flags).map_err(|cause| fault(shown, "open", cause))?;
    prepare(&mut connection, shown)?;
    Ok(connection)
}

/// Makes the file if there is none, for its owner alone from the first moment, and checks what is there.
fn make_private(path: &Path, shown: &str) -> Result<(), Error> {
    let bad = |why: String| Error::new(Status::Ledger, format!("the ledger {shown} {why}"));
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(bad(format!("cannot be made: {error}")).with_cause(error)),
    }
    let metadata = std::fs::metadata(path).map_err(|error| bad(format!("cannot be looked at: {error}")))?;
    if !metadata.is_file() {
        return Err(bad("is not a regular file; give the path of a file".into()));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(bad(format!("can be opened by others (mode {mode:03o}); run chmod 600 on it")));
    }
    Ok(())
}

/// What the file at `path` is known by.
pub(super) fn id(path: &Path, shown: &str) -> Result<FileId, Error> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        Error::new(Status::Ledger, format!("the ledger {shown} cannot be looked at: {error}")).with_cause(error)
    })?;
    Ok((metadata.dev(), metadata.ino()))
}

fn prepare(connection: &mut Connection, shown: &str) -> Result<(), Error> {
    let failed = |cause| fault(shown, "open", cause);
    connection.busy_handler(Some(wait)).map_err(failed)?;
    check_identity(connection, shown)?;
    // Only where it is not yet so: changing the journal needs the file for oneself.
    if pragma_text(connection, "journal_mode").map_err(failed)? != "wal" {
        set_wal(connection, shown)?;
    }
    connection.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA trusted_schema = OFF;").map_err(failed)?;
    durability(connection, true).map_err(failed)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let version = pragma_number(&transaction, "user_version").map_err(failed)?;
    if version < VERSION {
        for schema in SCHEMAS.iter().skip(usize::try_from(version).unwrap_or(0)) {
            transaction.execute_batch(schema).map_err(failed)?;
        }
        let mark = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};");
        transaction.execute_batch(&mark).map_err(failed)?;
    }
    // A write at once: a file that cannot be written is found now, and the log's first fsync is not a payment's.
    transaction.execute("UPDATE openings SET count = count + 1", []).map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// Another program's database, or a later version's ledger, is not touched.
fn check_identity(connection: &mut Connection, shown: &str) -> Result<(), Error> {
    let failed = |cause| fault(shown, "open", cause);
    // One snapshot: another process may be making this very ledger now.
    let snapshot = connection.transaction_with_behavior(TransactionBehavior::Deferred).map_err(failed)?;
    let tables: i64 = snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let application = pragma_number(&snapshot, "application_id").map_err(failed)?;
    let version = pragma_number(&snapshot, "user_version").map_err(failed)?;
    drop(snapshot);
    if application != APPLICATION_ID && (application, version, tables) != (0, 0, 0) {
        let message = format!("the ledger {shown} is another program's database; give the path of a new file");
        return Err(Error::new(Status::Ledger, message));
    }
    if version > VERSION {
        let message = format!(
            "the ledger {shown} is of version {version} and this library knows versions up to {VERSION}; use a newer \
             library"
        );
        return Err(Error::new(Status::Ledger, message));
    }
    Ok(())
}

/// Two processes that make the same ledger at once exclude each other here, and SQLite does not wait by itself.
fn set_wal(connection: &Connection, shown: &str) -> Result<(), Error> {
    let mut tries = 0;
    loop {
        let set: rusqlite::Result<String> = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        match set {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                let message = format!(
                    "the ledger {shown} lies where SQLite cannot keep a write-ahead log (it stays in mode {mode}); move \
                     it to a local disk"
                );
                return Err(Error::new(Status::Ledger, message));
            }
            Err(cause) if is_busy(&cause) && wait(tries) => tries += 1,
            Err(cause) => return Err(fault(shown, "open", cause)),
        }
    }
}

/// One more millisecond for another process's transaction, up to [`BUSY_WAIT_MS`]. Short and even, so that no
/// process starves behind others that come later.
fn wait(tries: i32) -> bool {
    if tries >= BUSY_WAIT_MS || turn::is_over() {
        return false;
    }
    std::thread::sleep(Duration::from_millis(1));
    true
}

fn is_busy(cause: &rusqlite::Error) -> bool {
    matches!(cause.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn pragma_text(connection: &Connection, name: &str) -> rusqlite::Result<String> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

fn pragma_number(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// Whether each commit waits for the disk. The pragma acts when it is compiled, so it is compiled each time.
pub(super) fn durability(connection: &Connection, each_commit: bool) -> rusqlite::Result<()> {
    connection.execute_batch(if each_commit { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" })
}

/// Other threads of this process have it, and one of them waits in vain for another process.
pub(super) fn held(shown: &str) -> Error {
    let message = format!(
        "the ledger {shown} has been in use by other threads for {} s; find out which other process has it locked",
        BUSY_WAIT_MS / 1000
    );
    Error::new(Status::Ledger, message)
}

/// The sentence for an error of SQLite's.
pub(super) fn fault(shown: &str, what: &str, cause: rusqlite::Error) -> Error {
    let why = match cause.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("has been locked by another process for {} s; find out who holds it", BUSY_WAIT_MS / 1000)
        }
        Some(ErrorCode::NotADatabase) => "is not a ledger; give the path of a ledger or of a new file".into(),
        Some(ErrorCode::DatabaseCorrupt) => "is corrupt; restore it from a copy, or begin a new one".into(),
        Some(ErrorCode::DiskFull) => "cannot grow because the disk is full; make room".into(),
        Some(ErrorCode::ReadOnly) => "cannot be written; make the file and its folder writable".into(),
        Some(ErrorCode::CannotOpen) => {
            "cannot be opened; SQLite needs to write the file and to make files beside it".into()
        }
        _ => format!("cannot be used to {what}: {cause}"),
    };
    Error::new(Status::Ledger, format!("the ledger {shown} {why}")).with_cause(cause)
}

/// Wall-clock seconds, for judging whether an operator may give up a signature.
pub(super) fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
