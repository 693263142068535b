'use strict';
/* ffi.js: the functions of x402.h through ffi-napi, for machines without a C compiler.
 *
 * Handles are declared uint64, never pointer: each pointer costs ffi-napi an external ArrayBuffer, and that a full garbage
 * collection a call. No callback crosses: the library's come from threads of its own, and ffi-napi cannot be relied on
 * there. A queue's descriptor is watched by Node's own socket, so that no thread waits for it; that reads what is written
 * there, which a queue allows to whoever then takes all events. */
const net = require('node:net');
const path = require('node:path');
const ffi = require('ffi-napi');
const ref = require('ref-napi');
const functions = require('./functions.json');

const TYPES = { h: 'uint64', s: 'string', u: 'uint64', l: 'uint64', n: 'uint64', i: 'int32', v: 'void' };
/* Numbers narrower than 64 bits come back with whatever stands beside them in the register. */
const NARROW = { x402_abi_version: 'uint32', x402_response_status: 'uint16' };
const OUTPUT_BYTES = 8;
const typeOf = (kind) => TYPES[kind] ?? 'pointer';

function listed(texts, keep) {
  const pointers = Buffer.alloc((texts.length + 1) * ref.sizeof.pointer);
  texts.forEach((one, index) => {
    const copied = ref.allocCString(one);
    keep.push(copied);
    ref.writePointer(pointers, index * ref.sizeof.pointer, copied);
  });
  return pointers;
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
    return kind === 'h' ? 0 : null;
  }
  const wrong = () => new TypeError(`${name}: ${typeof value} is not of the argument's kind, or has too little room`);
  if (kind === 's' || kind === 'a') {
    const texts = kind === 's' ? [value] : value;
    if (!Array.isArray(texts) || texts.some((one) => typeof one !== 'string')) throw wrong();
    if (texts.some((one) => one.includes('\0'))) throw new TypeError(`${name}: a text holds a NUL`);
    return kind === 's' ? value : listed(value, keep);
  }
  if (kind === 'f') throw new TypeError(`${name}: callbacks need the addon (node build.js); ffi-napi has none`);
  if ('boed'.includes(kind)) {
    if (!roomy(kind, value)) throw wrong();
    keep.push(value);
    return kind === 'd' ? ref.readPointer(value, 0) : value;
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

function bind(name, [result, takes], find) {
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
  const given = (value) => (result === 'h' || result === 'u' ? Number(value) : value);
  const call = (...values) => given(native()(...arguments_(values, [])));
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
  const dup = ffi.ForeignFunction(new ffi.DynamicLibrary(null).get('dup'), 'int', ['int']);
  const bound = { name: 'ffi-napi' };
  for (const [name, [result, takes]] of Object.entries(functions)) {
    bound[name] = bind(name, [result, takes], () =>
      ffi.ForeignFunction(library.get(name), NARROW[name] || typeOf(result), [...takes].map(typeOf)));
  }
  bound.bytes_at = (output, length) => {
    const address = ref.readPointer(output, 0, length ?? 0);
    if (address.isNull()) return null;
    return length === undefined ? Buffer.from(ref.readCString(address, 0)) : Buffer.from(address);
  };
  bound.watch = (fd, ready) => watch(fd, ready, dup);
  bound.watch_set = watchSet;
  return bound;
}

module.exports = load();
