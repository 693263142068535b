//! Content codings: what an encoder wrote comes back byte for byte, and what is broken is never a short answer.

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use std::io::{self, ErrorKind, Read, Write};
use x402::error::{Error, Status};
use x402::transport::decode::{ACCEPT_ENCODING, decoder, decodes};

/// The same numbers in each run (SplitMix64).
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Bytes that compress somewhat: runs and noise.
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let run = 1 + self.below(200);
            match self.below(2) {
                0 => bytes.resize(bytes.len() + run, self.next() as u8),
                _ => bytes.extend((0..run).map(|_| self.next() as u8)),
            }
        }
        bytes.truncate(length);
        bytes
    }
}

/// Gives the bytes in random pieces, then ends, or fails as told.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    seeded: Seeded,
    failure: Option<fn() -> io::Error>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = (self.bytes.len() - self.at).min(buffer.len());
        if left == 0 {
            return self.failure.map_or(Ok(0), |failure| Err(failure()));
        }
        if self.seeded.below(8) == 0 {
            return Err(ErrorKind::Interrupted.into());
        }
        let count = 1 + self.seeded.below(left.min(5000));
        buffer[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

fn decoded_from(coding: &str, bytes: &[u8], failure: Option<fn() -> io::Error>) -> io::Result<Vec<u8>> {
    let pieces = Pieces { bytes: bytes.to_vec(), at: 0, seeded: Seeded(bytes.len() as u64), failure };
    let mut reader = decoder(coding.as_bytes(), Box::new(pieces)).expect(coding);
    let mut out = Vec::new();
    match reader.read_to_end(&mut out) {
        Ok(_) => Ok(out),
        Err(cause) => {
            assert!(reader.read(&mut [0; 10]).is_err(), "after an error there must be no end that looks like success");
            Err(cause)
        }
    }
}

fn decoded(coding: &str, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    decoded_from(coding, bytes, None).map_err(|cause| Error::from_io(cause, Status::Panic, "no error inside"))
}

fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn raw(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_an_encoder_wrote_comes_back() {
    let mut seeded = Seeded(402);
    for round in 0..120 {
        let length = seeded.below(120_000);
        let bytes = seeded.bytes(length);
        let level = round % 10;
        assert!(decoded("gzip", &gzip(&bytes, level)).unwrap() == bytes, "gzip, round {round}");
        assert!(decoded("deflate", &zlib(&bytes, level)).unwrap() == bytes, "zlib, round {round}");
        assert!(decoded("deflate", &raw(&bytes, level)).unwrap() == bytes, "raw, round {round}");
        let cut = seeded.below(length + 1);
        let members = [gzip(&bytes[..cut], level), gzip(b"", 6), gzip(&bytes[cut..], 9)].concat();
        assert!(decoded("x-gzip", &members).unwrap() == bytes, "several members, round {round}");
    }
}

#[test]
fn names_and_lists_of_codings() {
    let bytes = Seeded(1).bytes(10_000);
    assert!(decoded("GZip", &gzip(&bytes, 6)).unwrap() == bytes);
    assert!(decoded("deflate, gzip", &gzip(&zlib(&bytes, 6), 6)).unwrap() == bytes, "the last was applied last");
    assert!(decoded("identity", &bytes).unwrap() == bytes);
    assert!(decoded(" gzip , identity", &gzip(&bytes, 6)).unwrap() == bytes);
    for unknown in ["br", "zstd", "gzip, br", "gzipped", "gzip,gzip,gzip,gzip,gzip,gzip"] {
        assert!(!decodes(unknown.as_bytes()), "{unknown}");
        assert!(decoder(unknown.as_bytes(), Box::new(io::empty())).is_none(), "{unknown}");
    }
    assert!(!decodes(b"gzip\xff"));
    for asked in ACCEPT_ENCODING.split(", ") {
        assert!(decodes(asked.as_bytes()), "{asked}");
    }
}

#[test]
fn a_body_of_no_bytes_decodes_to_none() {
    for coding in ["gzip", "deflate", "gzip, deflate"] {
        assert_eq!(decoded(coding, b"").unwrap(), b"");
    }
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = Seeded(2).bytes(600);
    for (coding, whole) in [("gzip", gzip(&bytes, 6)), ("deflate", zlib(&bytes, 6)), ("deflate", raw(&bytes, 6))] {
        for cut in 1..whole.len() {
            let error = decoded(coding, &whole[..cut]).expect_err(coding);
            assert_eq!(error.status, Status::ContentCoding, "{coding} cut at {cut}: {error}");
            let names_it = error.message.contains("in the middle") && error.message.contains(coding);
            assert!(names_it, "{coding} cut at {cut}: {error}");
        }
    }
}

#[test]
fn damage_and_what_follows_the_end_are_errors() {
    let bytes = Seeded(3).bytes(5000);
    for (coding, whole) in [("gzip", gzip(&bytes, 6)), ("deflate", zlib(&bytes, 6))] {
        let mut wrong_check = whole.clone();
        let place = wrong_check.len() - 3;
        wrong_check[place] ^= 1;
        assert_eq!(decoded(coding, &wrong_check).unwrap_err().status, Status::ContentCoding, "{coding}");
        let mut wrong_middle = whole.clone();
        wrong_middle[whole.len() / 2] ^= 0x55;
        assert_eq!(decoded(coding, &wrong_middle).unwrap_err().status, Status::ContentCoding, "{coding}");
        let followed = [&whole[..], b"garbage"].concat();
        assert_eq!(decoded(coding, &followed).unwrap_err().status, Status::ContentCoding, "{coding}");
        assert_eq!(decoded(coding, b"<html>not coded</html>").unwrap_err().status, Status::ContentCoding, "{coding}");
    }
    let error = decoded("deflate", &[&raw(&bytes, 6)[..], b"x"].concat()).unwrap_err();
    assert!(error.message.contains("after its end"), "{error}");
}

#[test]
fn errors_from_below_are_handed_on() {
    let whole = gzip(&Seeded(4).bytes(5000), 6);
    for (coding, bytes) in [("gzip", whole), ("deflate", zlib(&Seeded(4).bytes(5000), 6))] {
        for cut in [0, 5, bytes.len() / 2, bytes.len()] {
            let ours = || Error::new(Status::ConnectionLost, "the connection was lost").into_io();
            let cause = decoded_from(coding, &bytes[..cut], Some(ours)).unwrap_err();
            let error = Error::from_io(cause, Status::Panic, "no error inside");
            assert_eq!(error.status, Status::ConnectionLost, "{coding} cut at {cut}");
            for kind in [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof] {
                let plain: fn() -> io::Error = match kind {
                    ErrorKind::UnexpectedEof => || ErrorKind::UnexpectedEof.into(),
                    _ => || ErrorKind::ConnectionReset.into(),
                };
                let cause = decoded_from(coding, &bytes[..cut], Some(plain)).unwrap_err();
                assert_eq!(cause.kind(), kind, "{coding} cut at {cut}");
                assert!(cause.get_ref().is_none(), "{coding} cut at {cut}: {cause}");
            }
        }
    }
}

/// An event stream must arrive event by event: what the encoder flushed comes out before more goes in.
#[test]
fn what_was_flushed_comes_out_at_once() {
    struct Events(Vec<Vec<u8>>);
    impl Read for Events {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            assert!(!self.0.is_empty(), "the decoder reads on although it has something to give");
            let event = self.0.remove(0);
            buffer[..event.len()].copy_from_slice(&event);
            Ok(event.len())
        }
    }
    let mut gz = GzEncoder::new(Vec::new(), Compression::default());
    let mut zl = ZlibEncoder::new(Vec::new(), Compression::default());
    let (mut gz_events, mut zl_events) = (Vec::new(), Vec::new());
    for event in ["data: one\n\n", "data: two\n\n", "data: three\n\n"] {
        gz.write_all(event.as_bytes()).unwrap();
        gz.flush().unwrap();
        gz_events.push(std::mem::take(gz.get_mut()));
        zl.write_all(event.as_bytes()).unwrap();
        zl.flush().unwrap();
        zl_events.push(std::mem::take(zl.get_mut()));
    }
    for (coding, events) in [("gzip", gz_events), ("deflate", zl_events)] {
        let mut reader = decoder(coding.as_bytes(), Box::new(Events(events))).unwrap();
        for event in ["data: one\n\n", "data: two\n\n", "data: three\n\n"] {
            let mut buffer = [0; 100];
            let mut got = Vec::new();
            while got.len() < event.len() {
                let count = reader.read(&mut buffer).unwrap();
                got.extend_from_slice(&buffer[..count]);
            }
            assert_eq!(String::from_utf8(got).unwrap(), event, "{coding}");
        }
    }
}

/// A small response that unfolds without end is read in bounded memory, as far as the reader wants.
#[test]
fn a_bomb_is_read_as_far_as_wanted() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let reader = decoder(b"gzip", Box::new(io::Cursor::new(bomb))).unwrap();
    let mut out = Vec::new();
    reader.take(100_000).read_to_end(&mut out).unwrap();
    assert_eq!(out.len(), 100_000);
}
