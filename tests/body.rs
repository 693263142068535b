//! Bodies and their replays: whatever is cut, limited and rewound, the bytes are the first ones or there is an error.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use x402::body::{Body, BodyReader, Replay, ReplayLimits, Source};
use x402::error::{Error, Status};

/// The same numbers in each run (SplitMix64).
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(length);
        bytes
    }
}

/// A reader that gives pieces of random sizes, and can be told to misbehave.
struct Scripted {
    passes: Vec<Vec<u8>>,
    pass: usize,
    at: usize,
    sizes: Seeded,
    largest: u64,
    rewinds: bool,
    rewind_error: Option<i32>,
    fails_at: Option<usize>,
    claims: Option<usize>,
    given: Arc<AtomicU64>,
    reads: Arc<AtomicU64>,
}

impl Scripted {
    fn new(bytes: &[u8]) -> Scripted {
        Scripted {
            passes: vec![bytes.to_vec()],
            pass: 0,
            at: 0,
            sizes: Seeded(1),
            largest: u64::MAX,
            rewinds: false,
            rewind_error: None,
            fails_at: None,
            claims: None,
            given: Arc::default(),
            reads: Arc::default(),
        }
    }

    fn body(self, length: Option<u64>) -> Body {
        Body::new(Source::Reader { reader: Box::new(self), length })
    }
}

impl BodyReader for Scripted {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if let Some(claim) = self.claims {
            return Ok(buffer.len() + claim);
        }
        if self.fails_at.is_some_and(|at| self.at >= at) {
            return Err(Error::new(Status::BodyCallback, "the body's reader stopped the call").with_callback_value(7));
        }
        let bytes = &self.passes[self.pass.min(self.passes.len() - 1)];
        let most = (bytes.len() - self.at).min(buffer.len());
        let count = most.min(1 + self.sizes.below(self.largest.min(most as u64 + 1)) as usize);
        buffer[..count].copy_from_slice(&bytes[self.at..self.at + count]);
        self.at += count;
        self.given.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn can_rewind(&self) -> bool {
        self.rewinds
    }

    fn rewind(&mut self) -> Result<(), Error> {
        if let Some(value) = self.rewind_error {
            return Err(Error::new(Status::BodyCallback, "the body's rewinding failed").with_callback_value(value));
        }
        (self.pass, self.at) = (self.pass + 1, 0);
        Ok(())
    }
}

fn limits(memory_bytes: u64, disk_bytes: u64) -> ReplayLimits {
    ReplayLimits { memory_bytes, disk_bytes, ..ReplayLimits::default() }
}

fn read_upto(body: &mut Body, count: usize, sizes: &mut Seeded) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    while out.len() < count {
        let mut buffer = vec![0; (1 + sizes.below(70_000) as usize).min(count - out.len())];
        let n = body.read(&mut buffer).map_err(|cause| Error::from_io(cause, Status::Panic, "no error inside"))?;
        if n == 0 {
            break;
        }
        out.extend_from_slice(&buffer[..n]);
    }
    Ok(out)
}

fn read_all(body: &mut Body) -> Result<Vec<u8>, Error> {
    read_upto(body, usize::MAX, &mut Seeded(3))
}

fn assert_same(got: &[u8], want: &[u8], what: &str) {
    assert!(got == want, "{what}: {} bytes instead of {}, or others", got.len(), want.len());
}

#[test]
fn a_body_can_be_handed_to_another_thread() {
    fn assert_send<T: Send>() {}
    assert_send::<Body>();
}

/// The invariant of the whole module, over random sources, cuts, limits and rewind points.
#[test]
fn every_pass_gives_the_first_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let mut seeded = Seeded(402);
    for round in 0..300 {
        let length = seeded.below(300_000) as usize;
        let bytes = seeded.bytes(length);
        let declared = (seeded.below(2) == 0).then_some(length as u64);
        let kind = seeded.below(4);
        let folder = Some(directory.path().to_path_buf());
        let limits = ReplayLimits { directory: folder, ..limits(seeded.below(200_000), seeded.below(200_000)) };
        let what = format!("round {round}, kind {kind}, {length} bytes, declared {declared:?}, {limits:?}");
        let mut scripted = Scripted::new(&bytes);
        scripted.sizes = Seeded(seeded.next());
        scripted.largest = 1 + seeded.below(100_000);
        scripted.rewinds = kind == 2;
        let given = scripted.given.clone();
        let mut body = match kind {
            0 => Body::new(Source::Bytes(Arc::from(&bytes[..]))),
            1 => {
                let path = directory.path().join("body");
                fs::write(&path, &bytes).unwrap();
                Body::new(Source::File(path))
            }
            _ => scripted.body(declared),
        };
        let once = kind == 3;
        body.begin(&limits, true).unwrap();
        let passes = 1 + seeded.below(3);
        for _ in 0..passes {
            let part = seeded.below(length as u64 + 2) as usize;
            let got = read_upto(&mut body, part, &mut seeded).unwrap();
            assert_same(&got, &bytes[..part.min(length)], &what);
            assert!(body.memory_bytes() <= limits.memory_bytes && body.disk_bytes() <= limits.disk_bytes, "{what}");
            let kept = body.pulled() <= limits.memory_bytes + limits.disk_bytes
                && declared.is_none_or(|declared| declared <= limits.memory_bytes + limits.disk_bytes);
            match body.can_replay() {
                Replay::Yes => assert!(!once || kept, "{what}"),
                Replay::IfUnread => assert!(once && body.pulled() == 0, "{what}"),
                Replay::No(reason) => {
                    assert!(
                        once && !kept && reason.contains("replay_memory") && reason.contains("replay_disk"),
                        "{reason}"
                    );
                }
            }
            if once && !kept && body.pulled() > 0 {
                assert_eq!(body.rewind().unwrap_err().status, Status::ReplayLimit, "{what}");
                break;
            }
            body.rewind().unwrap();
        }
        if !matches!(body.can_replay(), Replay::No(_)) {
            body.rewind_final().unwrap();
            assert_same(&read_all(&mut body).unwrap(), &bytes, &what);
            assert_eq!((body.memory_bytes(), body.disk_bytes()), (0, 0), "{what}");
        } else {
            // Without a copy the sending itself goes on to its end.
            let at = body.position() as usize;
            assert_same(&read_all(&mut body).unwrap(), &bytes[at..], &what);
        }
        if once {
            assert_eq!(given.load(Ordering::Relaxed), length as u64, "{what}: each byte is pulled once");
        }
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().filter(|e| e.as_ref().unwrap().file_name() != "body").count(),
            0
        );
    }
}

#[test]
fn large_segments_and_the_file_behind_them() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = Seeded(9).bytes(20 << 20);
    for declared in [None, Some(bytes.len() as u64)] {
        let mut body = Scripted::new(&bytes).body(declared);
        let limits = ReplayLimits { directory: Some(directory.path().to_path_buf()), ..ReplayLimits::default() };
        body.begin(&limits, true).unwrap();
        let got = read_upto(&mut body, 19 << 20, &mut Seeded(4)).unwrap();
        assert_same(&got, &bytes[..19 << 20], "first pass");
        assert!(body.memory_bytes() <= 8 << 20);
        assert_eq!(body.disk_bytes(), 11 << 20);
        body.rewind_final().unwrap();
        let mut previous = body.memory_bytes();
        let mut replayed = Vec::new();
        for _ in 0..20 {
            replayed.extend(read_upto(&mut body, 1 << 20, &mut Seeded(5)).unwrap());
            assert!(body.memory_bytes() <= previous, "memory grows during the last replay");
            previous = body.memory_bytes();
        }
        assert_same(&replayed, &bytes, "replay");
        assert_eq!(read_all(&mut body).unwrap().len(), 0);
        assert_eq!((body.memory_bytes(), body.disk_bytes()), (0, 0));
        let Replay::No(reason) = body.can_replay() else { panic!("its copy is gone") };
        assert!(reason.contains("last sending"), "{reason}");
    }
}

/// How many descriptors of this process lie in `directory`.
#[cfg(target_os = "linux")]
fn descriptors_in(directory: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter(|target| target.starts_with(directory)).count()
}

#[cfg(target_os = "linux")]
#[test]
fn the_file_has_no_name_and_goes_with_the_body() {
    use std::os::unix::fs::MetadataExt;
    let directory = tempfile::tempdir().unwrap();
    let limits = ReplayLimits { directory: Some(directory.path().to_path_buf()), ..limits(100, 1 << 20) };
    let mut body = Scripted::new(&Seeded(5).bytes(50_000)).body(None);
    body.begin(&limits, true).unwrap();
    read_all(&mut body).unwrap();
    assert_eq!(body.disk_bytes(), 49_900);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "a name is left in the directory");
    assert_eq!(descriptors_in(directory.path()), 1);
    for entry in fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok) {
        if fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(directory.path())) {
            assert_eq!(fs::metadata(entry.path()).unwrap().mode() & 0o777, 0o600);
        }
    }
    body.rewind().unwrap();
    assert_eq!(read_all(&mut body).unwrap().len(), 50_000);
    drop(body);
    assert_eq!(descriptors_in(directory.path()), 0, "the descriptor is still open");
}

#[cfg(target_os = "linux")]
#[test]
fn a_body_file_is_closed_at_its_end_and_when_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("body");
    fs::write(&path, [1; 5000]).unwrap();
    let mut body = Body::new(Source::File(path));
    assert_eq!(body.length().unwrap(), Some(5000));
    body.begin(&ReplayLimits::default(), true).unwrap();
    assert_eq!(descriptors_in(directory.path()), 1);
    read_all(&mut body).unwrap();
    assert_eq!(descriptors_in(directory.path()), 0);
    body.rewind().unwrap();
    read_upto(&mut body, 10, &mut Seeded(1)).unwrap();
    drop(body);
    assert_eq!(descriptors_in(directory.path()), 0);
}

#[test]
fn a_directory_that_is_not_there_is_named_with_its_setting() {
    let limits = ReplayLimits { directory: Some("/nonexistent/replay".into()), ..limits(10, 1000) };
    let mut unknown = Scripted::new(&[1; 100]).body(None);
    unknown.begin(&limits, true).unwrap();
    let error = read_all(&mut unknown).unwrap_err();
    assert_eq!(error.status, Status::System);
    assert!(error.message.contains("replay_dir") && error.message.contains("/nonexistent/replay"), "{error}");

    let scripted = Scripted::new(&[1; 100]);
    let reads = scripted.reads.clone();
    let mut known = scripted.body(Some(100));
    assert_eq!(known.begin(&limits, true).unwrap_err().status, Status::System, "before the first byte");
    assert_eq!(reads.load(Ordering::Relaxed), 0);

    let mut small = Scripted::new(&[1; 10]).body(None);
    small.begin(&limits, true).unwrap();
    assert_eq!(read_all(&mut small).unwrap().len(), 10, "a directory that is not needed is not looked at");
}

#[test]
fn a_length_beyond_the_limits_is_known_before_the_first_byte() {
    let body = Scripted::new(&[1; 100]).body(Some(100));
    let error = body.replay_would_exceed(&limits(60, 39)).unwrap();
    assert_eq!(error.status, Status::ReplayLimit);
    for part in ["100 bytes", "replay_memory (60 bytes)", "replay_disk (39 bytes)"] {
        assert!(error.message.contains(part), "{error}");
    }
    assert!(body.replay_would_exceed(&limits(60, 40)).is_none());
    assert!(body.replay_would_exceed(&limits(u64::MAX, u64::MAX)).is_none());
    assert!(Scripted::new(&[1; 100]).body(None).replay_would_exceed(&limits(0, 0)).is_none());
    assert!(Body::new(Source::Bytes(Arc::from([1; 100]))).replay_would_exceed(&limits(0, 0)).is_none());
    let mut rewinding = Scripted::new(&[1; 100]);
    rewinding.rewinds = true;
    assert!(rewinding.body(Some(100)).replay_would_exceed(&limits(0, 0)).is_none());
}

#[test]
fn what_can_be_replayed_when() {
    let mut body = Scripted::new(&[1; 100]).body(None);
    body.begin(&limits(60, 0), true).unwrap();
    assert_eq!(body.can_replay(), Replay::IfUnread, "its length may yet pass the limit");
    read_upto(&mut body, 60, &mut Seeded(1)).unwrap();
    assert_eq!(body.can_replay(), Replay::Yes);
    read_upto(&mut body, 1, &mut Seeded(1)).unwrap();
    let Replay::No(reason) = body.can_replay() else { panic!("beyond the limit") };
    assert!(reason.contains("replay_memory (60 bytes)"), "{reason}");
    assert_eq!(read_all(&mut body).unwrap().len(), 39, "the sending itself goes on");

    let mut known = Scripted::new(&[1; 100]).body(Some(100));
    known.begin(&limits(100, 0), true).unwrap();
    assert_eq!(known.can_replay(), Replay::Yes);

    let mut unkept = Scripted::new(&[1; 100]).body(Some(100));
    unkept.begin(&limits(100, 0), false).unwrap();
    assert_eq!(unkept.can_replay(), Replay::IfUnread);
    unkept.rewind().unwrap();
    assert_eq!(read_all(&mut unkept).unwrap().len(), 100);
    let Replay::No(reason) = unkept.can_replay() else { panic!("nothing was kept") };
    assert!(reason.contains("no copy was kept"), "{reason}");
    assert_eq!(unkept.memory_bytes(), 0);
}

#[test]
fn a_last_replay_can_be_repeated_while_nothing_of_it_is_gone() {
    let bytes = Seeded(8).bytes(200_000);
    let mut body = Scripted::new(&bytes).body(None);
    body.begin(&ReplayLimits::default(), true).unwrap();
    read_upto(&mut body, 150_000, &mut Seeded(1)).unwrap();
    body.rewind_final().unwrap();
    read_upto(&mut body, 10, &mut Seeded(1)).unwrap();
    assert_eq!(body.can_replay(), Replay::Yes);
    body.rewind().unwrap();
    assert_same(&read_all(&mut body).unwrap(), &bytes, "an ordinary replay after it");
    body.rewind_final().unwrap();
    assert_same(&read_all(&mut body).unwrap(), &bytes, "the rest was kept again");
    assert!(matches!(body.can_replay(), Replay::No(_)));
    assert_eq!(body.rewind().unwrap_err().status, Status::ReplayLimit);
}

#[test]
fn a_failing_reader_gives_the_callers_value_and_no_replay() {
    let mut scripted = Scripted::new(&[1; 1000]);
    scripted.fails_at = Some(10);
    scripted.largest = 10;
    let mut body = scripted.body(Some(1000));
    body.begin(&ReplayLimits::default(), true).unwrap();
    let error = read_all(&mut body).unwrap_err();
    assert_eq!((error.status, error.callback_value), (Status::BodyCallback, Some(7)));
    assert_eq!(read_all(&mut body).unwrap_err().status, Status::BodyCallback, "it does not go on after an error");
    let Replay::No(reason) = body.can_replay() else { panic!("it failed in the middle") };
    assert!(reason.contains("failed"), "{reason}");
    assert_eq!(body.begin(&ReplayLimits::default(), true).unwrap_err().status, Status::BodyCallback);
}

#[test]
fn a_reader_that_gives_another_length_than_declared() {
    for (real, declared) in [(10, 11), (0, 1), (99_999, 100_000), (11, 10), (100_001, 100_000), (1, 0), (300_000, 10)] {
        for rewinds in [false, true] {
            let mut scripted = Scripted::new(&vec![1; real]);
            scripted.rewinds = rewinds;
            let mut body = scripted.body(Some(declared));
            body.begin(&ReplayLimits::default(), true).unwrap();
            let mut received = 0;
            let error = loop {
                let mut buffer = [0; 4096];
                match body.read(&mut buffer) {
                    Ok(0) => panic!("{real} bytes passed for {declared}"),
                    Ok(count) => received += count as u64,
                    Err(cause) => break Error::from_io(cause, Status::Panic, "no error inside"),
                }
            };
            assert_eq!(error.status, Status::BodyLength, "{real} for {declared}");
            assert!(received == 0 || received < declared, "a body of {declared} bytes was completed with {real}");
            assert!(error.message.contains(&declared.to_string()), "{error}");
            let other = if (real as u64) < declared { format!("after {real}") } else { "at least".to_string() };
            assert!(error.message.contains(&other), "{error}");
        }
    }
}

#[test]
fn a_reader_that_claims_more_than_the_buffer_holds() {
    let mut scripted = Scripted::new(&[]);
    scripted.claims = Some(1);
    let mut body = scripted.body(None);
    body.begin(&ReplayLimits::default(), true).unwrap();
    let error = read_all(&mut body).unwrap_err();
    assert_eq!((error.status, error.callback_value), (Status::BodyCallback, None));
    assert!(error.message.contains("buffer"), "{error}");
}

#[test]
fn an_ended_reader_is_not_asked_again() {
    let scripted = Scripted::new(&[1; 10]);
    let reads = scripted.reads.clone();
    let mut body = scripted.body(None);
    body.begin(&ReplayLimits::default(), true).unwrap();
    assert_eq!(read_all(&mut body).unwrap().len(), 10);
    let asked = reads.load(Ordering::Relaxed);
    for _ in 0..3 {
        assert_eq!(body.read(&mut [0; 8]).unwrap(), 0);
        body.rewind().unwrap();
        assert_eq!(read_all(&mut body).unwrap().len(), 10);
    }
    assert_eq!(reads.load(Ordering::Relaxed), asked);
}

#[test]
fn a_rewinding_reader_must_give_the_same_bytes() {
    let bytes = Seeded(6).bytes(100_000);
    let mut other = bytes.clone();
    other[70_000] ^= 1;
    let longer = [&bytes[..], b"x"].concat();
    let cases = [
        ("one bit", other.clone(), None, 100_000),
        ("one bit, known length", other.clone(), Some(100_000), 100_000),
        ("one bit, stopped in between", other, Some(100_000), 80_000),
        ("longer", longer, None, usize::MAX),
        ("shorter", bytes[..99_999].to_vec(), None, usize::MAX),
        ("empty", Vec::new(), None, usize::MAX),
    ];
    for (what, second, declared, first_part) in cases {
        let mut scripted = Scripted::new(&bytes);
        scripted.passes.push(second);
        scripted.rewinds = true;
        let mut body = scripted.body(declared);
        body.begin(&limits(0, 0), true).unwrap();
        read_upto(&mut body, first_part, &mut Seeded(2)).unwrap();
        body.rewind_final().unwrap();
        let error = read_all(&mut body).expect_err(what);
        assert_eq!(error.status, Status::BodyCallback, "{what}");
        assert!(error.message.contains("changed between"), "{what}: {error}");
        assert!(body.position() < 100_000, "{what}: the body was completed");
    }
}

#[test]
fn a_new_purchase_may_bring_new_bytes() {
    let mut scripted = Scripted::new(b"first");
    scripted.passes.extend([b"second".to_vec(), b"third".to_vec()]);
    scripted.rewinds = true;
    let mut body = scripted.body(None);
    body.begin(&ReplayLimits::default(), true).unwrap();
    assert_eq!(read_all(&mut body).unwrap(), b"first");
    body.begin(&ReplayLimits::default(), true).unwrap();
    assert_eq!(body.pulled(), 0);
    body.rewind().unwrap();
    body.begin(&ReplayLimits::default(), true).unwrap();
    assert_eq!(read_all(&mut body).unwrap(), b"second", "a reader that was not read is not rewound");
}

#[test]
fn a_second_purchase_with_a_reader_that_cannot_rewind() {
    let bytes = Seeded(7).bytes(100_000);
    let mut kept = Scripted::new(&bytes).body(None);
    kept.begin(&ReplayLimits::default(), true).unwrap();
    read_all(&mut kept).unwrap();
    kept.begin(&ReplayLimits::default(), true).unwrap();
    assert_same(&read_all(&mut kept).unwrap(), &bytes, "from the copy");

    let mut unkept = Scripted::new(&bytes).body(None);
    unkept.begin(&ReplayLimits::default(), false).unwrap();
    read_all(&mut unkept).unwrap();
    let error = unkept.begin(&ReplayLimits::default(), true).unwrap_err();
    assert_eq!(error.status, Status::BodyCallback);
    assert!(error.message.contains("used up"), "{error}");
}

#[test]
fn a_rewinding_that_fails_gives_the_callers_value() {
    let mut scripted = Scripted::new(&[1; 100]);
    (scripted.rewinds, scripted.rewind_error) = (true, Some(9));
    let mut body = scripted.body(None);
    body.begin(&ReplayLimits::default(), true).unwrap();
    body.rewind().unwrap();
    read_upto(&mut body, 10, &mut Seeded(1)).unwrap();
    let error = body.rewind().unwrap_err();
    assert_eq!((error.status, error.callback_value), (Status::BodyCallback, Some(9)));
    assert!(body.read(&mut [0; 10]).is_err(), "its place is not known");
}

#[test]
fn a_file_that_changes_between_passes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("upload.bin");
    let bytes = Seeded(10).bytes(50_000);
    let mut other = bytes.clone();
    other[49_999] ^= 0x80;
    type Change<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let changes: [Change; 4] = [
        ("longer", Box::new(|| fs::write(&path, [&bytes[..], b"x"].concat()).unwrap())),
        ("shorter", Box::new(|| fs::write(&path, &bytes[1..]).unwrap())),
        ("gone", Box::new(|| fs::remove_file(&path).unwrap())),
        ("other bytes", Box::new(|| fs::write(&path, &other).unwrap())),
    ];
    for (what, change) in changes {
        fs::write(&path, &bytes).unwrap();
        let mut body = Body::new(Source::File(path.clone()));
        body.begin(&limits(0, 0), true).unwrap();
        assert_same(&read_all(&mut body).unwrap(), &bytes, what);
        change();
        let error = body.rewind().and_then(|()| read_all(&mut body).map(drop)).expect_err(what);
        assert_eq!(error.status, Status::BodyFile, "{what}");
        assert!(error.message.contains("upload.bin"), "{what}: {error}");
        assert!(body.position() < 50_000 || what != "other bytes", "the body was completed");
    }
}

#[test]
fn a_file_that_changes_while_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("upload.bin");
    for (what, length) in [("grows", 60_000), ("shrinks", 40_000)] {
        fs::write(&path, [1; 50_000]).unwrap();
        let mut body = Body::new(Source::File(path.clone()));
        body.begin(&limits(0, 0), true).unwrap();
        read_upto(&mut body, 10, &mut Seeded(1)).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
        let error = read_all(&mut body).expect_err(what);
        assert_eq!(error.status, Status::BodyFile, "{what}");
        assert!(error.message.contains("50000 bytes") && error.message.contains("upload.bin"), "{what}: {error}");
        assert!(body.position() < 50_000, "{what}: the body was completed");
    }
}

#[test]
fn what_is_no_regular_file_is_refused() {
    for path in [Path::new("/nonexistent/body"), Path::new("/tmp"), Path::new("/dev/zero")] {
        let mut body = Body::new(Source::File(path.to_path_buf()));
        assert_eq!(body.length().unwrap_err().status, Status::BodyFile);
        let error = body.begin(&ReplayLimits::default(), true).unwrap_err();
        assert_eq!(error.status, Status::BodyFile);
        assert!(error.message.contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn empty_bodies() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("empty");
    fs::write(&path, b"").unwrap();
    let sources = [
        Source::Empty,
        Source::Bytes(Arc::from([])),
        Source::File(path),
        Source::Reader { reader: Box::new(Scripted::new(&[])), length: Some(0) },
    ];
    for source in sources {
        let mut body = Body::new(source);
        body.begin(&ReplayLimits::default(), true).unwrap();
        assert!(body.is_empty());
        assert_eq!(read_all(&mut body).unwrap().len(), 0);
        body.rewind_final().unwrap();
        assert_eq!(read_all(&mut body).unwrap().len(), 0);
        assert_eq!((body.pulled(), body.position()), (0, 0));
    }
    assert!(!Scripted::new(&[]).body(None).is_empty(), "not known to be");
}

/// The order of the brief moment that matters: a 402 came before anything was read, and nothing is kept for it.
#[test]
fn an_early_answer_costs_no_copy() {
    let bytes = Seeded(11).bytes(1 << 20);
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut body = Scripted::new(&bytes).body(Some(1 << 20));
    body.begin(&ReplayLimits::default(), true).unwrap();
    body.rewind_final().unwrap();
    for _ in 0..16 {
        let got = read_upto(&mut body, 64 << 10, &mut Seeded(1)).unwrap();
        log.lock().unwrap().extend(got);
        assert_eq!((body.memory_bytes(), body.disk_bytes()), (0, 0));
    }
    assert_same(&log.lock().unwrap(), &bytes, "the only sending");
}
