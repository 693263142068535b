'use strict';
/* ffi.js: the functions of x402.h through ffi-napi, for machines without a C compiler.
 *
 * Handles and addresses are declared uint64, never pointer nor string: each of those costs ffi-napi an external ArrayBuffer,
 * and a few of them a full garbage collection. What C writes to is a Buffer that is kept while it does; what C gives is
 * copied by C. No callback crosses: the library's come from threads of its own, and ffi-napi cannot be relied on there. A
 * queue's descriptor is watched by Node's own socket, so that no thread waits for it; that reads what is written there,
 * which a queue allows to whoever then takes all events. */
const net = require('node:net');
const path = require('node:path');
const ffi = require('ffi-napi');
const ref = require('ref-napi');
const functions = require('./functions.json');

const TYPES = { i: 'int32', v: 'void' };
/* Numbers narrower than 64 bits come back with whatever stands beside them in the register. */
const NARROW = { x402_abi_version: 'uint32', x402_response_status: 'uint16' };
const OUTPUT_BYTES = 8;
const TEXT_BYTES = 512;
const typeOf = (kind) => TYPES[kind] ?? 'uint64';

/* Of a Buffer, which must be kept. Addresses are below 2^53. */
function addressOf(buffer, keep) {
  keep.push(buffer);
  return buffer.length ? ref.address(buffer) : 0;
}

const textOf = (text, keep) => addressOf(Buffer.from(`${text}\0`), keep);

function listed(texts, keep) {
  const pointers = Buffer.alloc((texts.length + 1) * OUTPUT_BYTES);
  texts.forEach((one, index) => pointers.writeBigUInt64LE(BigInt(textOf(one, keep)), index * OUTPUT_BYTES));
  return addressOf(pointers, keep);
}

/* Whether a buffer has the room that C takes for granted. */
function roomy(kind, value) {
  if (!Buffer.isBuffer(value)) return false;
  if (kind === 'e') return value.length >= 8 && value.readBigUInt64LE(0) <= value.length;
  return kind === 'b' || value.length >= OUTPUT_BYTES;
}

function taken(name, kind, value, keep) {
  if (value === null || value === undefined) {
    if ('uiln'.includes(kind)) throw new TypeError(`${name}: a number is missing`);
    return 0;
  }
  const wrong = () => new TypeError(`${name}: ${typeof value} is not of the argument's kind, or has too little room`);
  if (kind === 's' || kind === 'a') {
    const texts = kind === 's' ? [value] : value;
    if (!Array.isArray(texts) || texts.some((one) => typeof one !== 'string')) throw wrong();
    if (texts.some((one) => one.includes('\0'))) throw new TypeError(`${name}: a text holds a NUL`);
    return kind === 's' ? textOf(value, keep) : listed(value, keep);
  }
  if (kind === 'f') throw new TypeError(`${name}: callbacks need the addon (node build.js); ffi-napi has none`);
  if ('boed'.includes(kind)) {
    if (!roomy(kind, value)) throw wrong();
    return kind === 'd' ? Number(value.readBigUInt64LE(0)) : addressOf(value, keep);
  }
  if (typeof value === 'bigint') return value.toString();
  if (!Number.isSafeInteger(value) || (kind !== 'i' && value < 0)) throw wrong();
  return value;
}

/* A length, of the bytes before it; a count, of both lists before it. */
function fits(name, kind, index, values) {
  const before = [values[index - 1], ...(kind === 'n' ? [values[index - 2]] : [])];
  if (before.some((one) => values[index] > (one?.length ?? 0))) {
    throw new TypeError(`${name}: argument ${index + 1} says more than there is`);
  }
}

function bind(name, [result, takes], find, textAt) {
  let found;
  const native = () => (found ??= find());
  const kinds = [...takes];
  const arguments_ = (values, keep) => {
    if (values.length !== kinds.length) throw new TypeError(`${name}: takes ${kinds.length} arguments, not ${values.length}`);
    return values.map((value, index) => {
      const kind = kinds[index];
      const given = taken(name, kind, value, keep);
      if (kind === 'l' || kind === 'n') fits(name, kind, index, values);
      return given;
    });
  };
  const given = (value) => {
    if (result === 's') return textAt(Number(value))?.toString() ?? null;
    return result === 'h' || result === 'u' ? Number(value) : value;
  };
  const call = (...values) => {
    const keep = [];
    const value = native()(...arguments_(values, keep));
    keep.length = 0;
    return given(value);
  };
  call.later = (...values) => {
    const done = values.pop();
    const keep = [];
    native().async(...arguments_(values, keep), (error, value) => {
      keep.length = 0;
      if (error) throw error;
      done(given(value));
    });
  };
  return call;
}

/* Bytes at an address, copied by C: most texts are short, and one call gets them. */
function readerOf(libc) {
  const call = (name, result, types) => ffi.ForeignFunction(libc.get(name), result, types);
  const memcpy = call('memcpy', 'void', ['uint64', 'uint64', 'uint64']);
  const strncpy = call('strncpy', 'void', ['uint64', 'uint64', 'uint64']);
  const strlen = call('strlen', 'uint64', ['uint64']);
  const short = Buffer.allocUnsafeSlow(TEXT_BYTES);
  const shortAt = ref.address(short);
  const bytesAt = (address, length) => {
    const copy = Buffer.allocUnsafeSlow(length);
    if (length) memcpy(ref.address(copy), address, length);
    return copy;
  };
  const textAt = (address) => {
    if (!address) return null;
    strncpy(shortAt, address, TEXT_BYTES);
    const end = short.indexOf(0);
    return end < 0 ? bytesAt(address, Number(strlen(address))) : Buffer.from(short.subarray(0, end));
  };
  return { bytesAt, textAt };
}

/* The socket closes what it was given, and the descriptor is the queue's: it gets a copy. */
function watch(fd, ready, dup) {
  const copy = dup(fd);
  if (copy < 0) throw new Error('the descriptor of a queue could not be copied: too many are open');
  const socket = new net.Socket({ fd: copy, readable: true, writable: false });
  socket.on('data', ready).on('error', ready).unref();
  return socket;
}

function watchSet(socket, what) {
  if (what === 0) socket.destroy();
  else if (what === 1) socket.ref();
  else socket.unref();
}

function load() {
  const file = process.env.X402_LIBRARY ||
    (process.env.X402_LIB_DIR ? path.join(process.env.X402_LIB_DIR, 'libx402.so.0') : 'libx402.so.0');
  const library = new ffi.DynamicLibrary(file, ffi.DynamicLibrary.FLAGS.RTLD_NOW);
  const libc = new ffi.DynamicLibrary(null);
  const dup = ffi.ForeignFunction(libc.get('dup'), 'int', ['int']);
  const { bytesAt, textAt } = readerOf(libc);
  const bound = { name: 'ffi-napi' };
  for (const [name, [result, takes]] of Object.entries(functions)) {
    bound[name] = bind(name, [result, takes], () =>
      ffi.ForeignFunction(library.get(name), NARROW[name] || typeOf(result), [...takes].map(typeOf)), textAt);
  }
  bound.bytes_at = (output, length) => {
    const address = Number(output.readBigUInt64LE(0));
    if (!address) return null;
    return length === undefined ? textAt(address) : bytesAt(address, length);
  };
  bound.watch = (fd, ready) => watch(fd, ready, dup);
  bound.watch_set = watchSet;
  return bound;
}

module.exports = load();
