'use strict';
/* secp256k1.js: an ECDSA signature of a digest, as a key management service would give it: Node's own crypto only signs what
 * it has hashed itself. For the test keys alone, and slow. */
const crypto = require('node:crypto');

const P = 2n ** 256n - 2n ** 32n - 977n;
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const G = [0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
  0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n];

const mod = (value, by) => ((value % by) + by) % by;

function inverse(value, by) {
  let [a, b, x, y] = [mod(value, by), by, 1n, 0n];
  while (b) [a, b, x, y] = [b, a % b, y, x - (a / b) * y];
  return mod(x, by);
}

function add(a, b) {
  if (!a || !b) return a ?? b;
  if (a[0] === b[0] && a[1] !== b[1]) return null;
  const slope = a[0] === b[0] ? 3n * a[0] * a[0] * inverse(2n * a[1], P) : (b[1] - a[1]) * inverse(b[0] - a[0], P);
  const x = mod(slope * slope - a[0] - b[0], P);
  return [x, mod(slope * (a[0] - x) - a[1], P)];
}

function times(factor) {
  let [sum, power] = [null, G];
  for (let rest = factor; rest; rest >>= 1n) {
    if (rest & 1n) sum = add(sum, power);
    power = add(power, power);
  }
  return sum;
}

/** 64 bytes, r and s. */
function sign(key, digest) {
  const secret = BigInt(key);
  const number = (bytes) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  const k = mod(number(crypto.createHmac('sha256', key).update(digest).digest()), N);
  const r = mod(times(k)[0], N);
  const s = mod(inverse(k, N) * (number(digest) + r * secret), N);
  return Buffer.from([r, s].map((value) => value.toString(16).padStart(64, '0')).join(''), 'hex');
}

module.exports = { sign };
