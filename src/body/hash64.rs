//! XXH64, a fast 64-bit hash of a stream of bytes.
//!
//! Owns the arithmetic (the published XXH64 algorithm, seed 0). It guards against accidents, not against an
//! adversary: the one who could forge a collision here is the caller, with a body of their own. A cryptographic
//! hash would cost as much time as sending the body over a local connection does.

const PRIMES: [u64; 5] =
    [0x9e37_79b1_85eb_ca87, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9, 0x85eb_ca77_c2b2_ae63, 0x27d4_eb2f_1656_67c5];
const STRIPE_BYTES: usize = 32;

/// The hash of what was written so far; how it was cut into pieces makes no difference.
#[derive(Clone)]
pub(super) struct Hash64 {
    lanes: [u64; 4],
    /// The beginning of a stripe that is not whole yet.
    rest: [u8; STRIPE_BYTES],
    length: u64,
}

impl Default for Hash64 {
    fn default() -> Self {
        let lanes = [PRIMES[0].wrapping_add(PRIMES[1]), PRIMES[1], 0, 0_u64.wrapping_sub(PRIMES[0])];
        Hash64 { lanes, rest: [0; STRIPE_BYTES], length: 0 }
    }
}

impl Hash64 {
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) {
        let held = (self.length % STRIPE_BYTES as u64) as usize;
        self.length += bytes.len() as u64;
        if held > 0 {
            let (now, later) = bytes.split_at(bytes.len().min(STRIPE_BYTES - held));
            // Invariant: `held + now.len()` is at most a stripe by the line above.
            self.rest[held..held + now.len()].copy_from_slice(now);
            if held + now.len() < STRIPE_BYTES {
                return;
            }
            let stripe = self.rest;
            self.mix(&stripe);
            bytes = later;
        }
        let (stripes, tail) = bytes.as_chunks::<STRIPE_BYTES>();
        for stripe in stripes {
            self.mix(stripe);
        }
        // Invariant: what is left after whole stripes is shorter than one.
        self.rest[..tail.len()].copy_from_slice(tail);
    }

    fn mix(&mut self, stripe: &[u8; STRIPE_BYTES]) {
        let (words, _) = stripe.as_chunks::<8>();
        for (lane, word) in self.lanes.iter_mut().zip(words) {
            *lane = round(*lane, u64::from_le_bytes(*word));
        }
    }

    pub(super) fn value(&self) -> u64 {
        let [one, two, three, four] = self.lanes;
        let mut hash = if self.length >= STRIPE_BYTES as u64 {
            let start = one
                .rotate_left(1)
                .wrapping_add(two.rotate_left(7))
                .wrapping_add(three.rotate_left(12))
                .wrapping_add(four.rotate_left(18));
            self.lanes
                .iter()
                .fold(start, |hash, lane| (hash ^ round(0, *lane)).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]))
        } else {
            PRIMES[4]
        };
        hash = hash.wrapping_add(self.length);
        // Invariant: a remainder by the stripe's length is within the stripe.
        let rest = &self.rest[..(self.length % STRIPE_BYTES as u64) as usize];
        let (words, rest) = rest.as_chunks::<8>();
        for word in words {
            let word = round(0, u64::from_le_bytes(*word));
            hash = (hash ^ word).rotate_left(27).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]);
        }
        let (halves, rest) = rest.as_chunks::<4>();
        for half in halves {
            let half = u64::from(u32::from_le_bytes(*half)).wrapping_mul(PRIMES[0]);
            hash = (hash ^ half).rotate_left(23).wrapping_mul(PRIMES[1]).wrapping_add(PRIMES[2]);
        }
        for byte in rest {
            hash = (hash ^ u64::from(*byte).wrapping_mul(PRIMES[4])).rotate_left(11).wrapping_mul(PRIMES[0]);
        }
        hash = (hash ^ (hash >> 33)).wrapping_mul(PRIMES[1]);
        hash = (hash ^ (hash >> 29)).wrapping_mul(PRIMES[2]);
        hash ^ (hash >> 32)
    }
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIMES[1])).rotate_left(31).wrapping_mul(PRIMES[0])
}

#[cfg(test)]
mod tests {
    use super::Hash64;

    fn hash(bytes: &[u8]) -> u64 {
        let mut hash = Hash64::default();
        hash.write(bytes);
        hash.value()
    }

    /// Values of the reference implementation (xxhsum -H1), seed 0.
    #[test]
    fn known_values() {
        assert_eq!(hash(b""), 0xef46_db37_51d8_e999);
        assert_eq!(hash(b"a"), 0xd24e_c4f1_a98c_6e5b);
        assert_eq!(hash(b"abc"), 0x44bc_2cf5_ad77_0999);
        assert_eq!(hash(b"Nobody inspects the spammish repetition"), 0xfbce_a83c_8a37_8bf1);
    }

    #[test]
    fn pieces_make_no_difference() {
        let bytes: Vec<u8> = (0..200_u32).map(|i| (i * 37 % 251) as u8).collect();
        for first in 0..bytes.len() {
            for second in (first..bytes.len()).step_by(7) {
                let mut pieces = Hash64::default();
                pieces.write(&bytes[..first]);
                pieces.write(&bytes[first..second]);
                pieces.write(&bytes[second..]);
                assert_eq!(pieces.value(), hash(&bytes), "cut at {first} and {second}");
            }
        }
    }
}
