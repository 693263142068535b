'use strict';
/* raw.js: the functions of x402.h under their own names, from one of two back ends.
 *
 * A handle is a number, 0 is NULL. Text is a string or null. Whatever a function writes to (`x402_error **`, `size_t *`,
 * a buffer) is a Buffer, of 8 bytes for a handle, address or length: output(), handle(), number(), text() below. Lists of
 * texts are arrays. Callbacks are what callback() gives, once as the callback and once as its userdata; NULL is null.
 * `NAME.later(arguments..., done)` runs a call that waits on another thread. */
const { isMainThread } = require('node:worker_threads');
const path = require('node:path');

const ABI_VERSION = 0;

function addon() {
  const file = path.join(__dirname, '../build/x402.node');
  try {
    return { name: 'addon', ...require(file) };
  } catch (cause) {
    if (cause.code === 'MODULE_NOT_FOUND') return { missing: `the addon is not built (node build.js makes ${file})` };
    return { missing: `the addon cannot be loaded: ${cause.message}` };
  }
}

function ffi() {
  if (!isMainThread) {
    return { missing: 'ffi-napi crashes the process when a worker thread ends, so it is not loaded in one: ' +
      'build the addon (node build.js), or call x402 from the main thread' };
  }
  try {
    return require('./ffi.js');
  } catch (cause) {
    if (cause.code === 'MODULE_NOT_FOUND') {
      return { missing: 'ffi-napi is not installed (FFI_NAPI=1 npm install ffi-napi@4.0.3 ref-napi@3.0.3; without ' +
        'FFI_NAPI=1 its install script fails)' };
    }
    return { missing: `ffi-napi cannot be used: ${cause.message}` };
  }
}

/** X402_BACKEND=addon or ffi-napi insists on one; otherwise the addon is taken if it is built. */
function choose() {
  const wanted = process.env.X402_BACKEND || '';
  if (!['', 'addon', 'ffi-napi'].includes(wanted)) throw new Error(`X402_BACKEND is ${wanted}; it may be addon or ffi-napi`);
  const tried = [];
  for (const [name, load] of [['addon', addon], ['ffi-napi', ffi]]) {
    if (wanted && wanted !== name) continue;
    const found = load();
    if (!found.missing) return found;
    tried.push(found.missing);
  }
  throw new Error(`x402 has no way to call libx402: ${tried.join('; ')}`);
}

/* [name, value] of each header, as they came. */
function headersOf(response) {
  const [name, value, length] = [output(), output(), output()];
  return Array.from({ length: raw.x402_response_header_count(response) }, (_, index) => {
    raw.x402_response_header_at(response, index, name, value, length, null);
    return [text(name), text(value, 'latin1', number(length))];
  });
}

/* Money, texts and JSON of a payment. */
function recordOf(payment) {
  const texts = ['amount', 'asset', 'network', 'payee', 'transaction', 'refusal', 'json'];
  return [raw.x402_payment_money(payment), ...texts.map((name) => raw[`x402_payment_${name}`](payment) ?? '')];
}

const raw = choose();
raw.record_of ??= recordOf;
raw.headers_of ??= headersOf;
if (raw.x402_abi_version() !== ABI_VERSION) {
  throw new Error(`libx402 ${raw.x402_version()} has ABI ${raw.x402_abi_version()}, this package wants ${ABI_VERSION}`);
}

const output = (bytes = 8) => Buffer.alloc(bytes);
const number = (from, at = 0) => from.readUInt32LE(at) + from.readUInt32LE(at + 4) * 4294967296;
/** The text at the address in an output; `length` where it is known. Header values are bytes: latin1. */
const text = (from, encoding = 'utf8', length = undefined) => raw.bytes_at(from, length)?.toString(encoding) ?? null;

module.exports = { raw, output, number, handle: number, text };
