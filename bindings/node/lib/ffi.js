'use strict';
/* ffi.js: the functions of x402.h through ffi-napi, for machines without a C compiler.
 *
 * Handles are declared uint64, never pointer: each pointer costs ffi-napi an external ArrayBuffer, and that a full garbage
 * collection a call. No callback crosses: the library's come from threads of its own, and ffi-napi cannot be relied on
 * there. A queue is waited for on one thread of libuv's. */
const path = require('node:path');
const ffi = require('ffi-napi');
const ref = require('ref-napi');
const functions = require('./functions.json');

const TYPES = { h: 'uint64', s: 'string', b: 'pointer', u: 'uint64', i: 'int32', a: 'pointer', f: 'pointer', d: 'pointer', v: 'void' };
/* Numbers narrower than 64 bits come back with whatever stands beside them in the register. */
const NARROW = { x402_abi_version: 'uint32', x402_response_status: 'uint16' };

function listed(texts, keep) {
  const pointers = Buffer.alloc((texts.length + 1) * ref.sizeof.pointer);
  texts.forEach((one, index) => {
    const copied = ref.allocCString(one);
    keep.push(copied);
    ref.writePointer(pointers, index * ref.sizeof.pointer, copied);
  });
  return pointers;
}

function taken(name, kind, value, keep) {
  if (value === null || value === undefined) {
    if (kind === 'u' || kind === 'i') throw new TypeError(`${name}: a number is missing`);
    return kind === 'h' ? 0 : null;
  }
  const wrong = () => new TypeError(`${name}: ${typeof value} is not of the argument's kind`);
  if (kind === 's' || kind === 'a') {
    const texts = kind === 's' ? [value] : value;
    if (!Array.isArray(texts) || texts.some((one) => typeof one !== 'string')) throw wrong();
    if (texts.some((one) => one.includes('\0'))) throw new TypeError(`${name}: a text holds a NUL`);
    return kind === 's' ? value : listed(value, keep);
  }
  if (kind === 'f') throw new TypeError(`${name}: callbacks need the addon (node build.js); ffi-napi has none`);
  if (kind === 'b' || kind === 'd') {
    if (!Buffer.isBuffer(value)) throw wrong();
    keep.push(value);
    return kind === 'b' ? value : ref.readPointer(value, 0);
  }
  if (typeof value === 'bigint') return value.toString();
  if (!Number.isSafeInteger(value) || (kind !== 'i' && value < 0)) throw wrong();
  return value;
}

function bind(name, [result, takes], find) {
  let found;
  const native = () => (found ??= find());
  const arguments_ = (values, keep) => {
    if (values.length !== takes.length) {
      throw new TypeError(`${name}: takes ${takes.length} arguments, not ${values.length}`);
    }
    return values.map((value, index) => taken(name, takes[index], value, keep));
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

function load() {
  const file = process.env.X402_LIBRARY ||
    (process.env.X402_LIB_DIR ? path.join(process.env.X402_LIB_DIR, 'libx402.so.0') : 'libx402.so.0');
  const library = new ffi.DynamicLibrary(file, ffi.DynamicLibrary.FLAGS.RTLD_NOW);
  const bound = { name: 'ffi-napi' };
  for (const [name, [result, takes]] of Object.entries(functions)) {
    bound[name] = bind(name, [result, takes], () =>
      ffi.ForeignFunction(library.get(name), NARROW[name] || TYPES[result], [...takes].map((kind) => TYPES[kind])));
  }
  bound.bytes_at = (output, length) => {
    const address = ref.readPointer(output, 0, length ?? 0);
    if (address.isNull()) return null;
    return length === undefined ? Buffer.from(ref.readCString(address, 0)) : Buffer.from(address);
  };
  return bound;
}

module.exports = load();
