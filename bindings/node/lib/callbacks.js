'use strict';
/* callbacks.js: JavaScript functions that the library may ask. Only with the addon; each may return a promise.
 *
 * A thread of the library's waits for every answer. What a function throws refuses, and is kept for whoever awaits the call. */
const { raw } = require('./raw.js');

const FAILED = -1;
const LENGTH_UNKNOWN = 0xffffffffffffffffn;

function needAddon() {
  if (raw.callback) return;
  throw new TypeError('functions that the library calls (approve, sign, log, onProgress, streamed bodies) need the addon ' +
    `(node build.js); ${raw.name} has none`);
}

class Callback {
  /** `answers` maps a kind of question to function(data, room, kind), which gives [number, bytes] or a promise of it. */
  constructor(answers, failed = () => {}) {
    needAddon();
    this.failure = undefined;
    this.external = raw.callback(async (id, kind, data, room) => {
      let answer;
      try {
        answer = await (answers[kind] ?? answers.other)(data, room, kind);
      } catch (error) {
        this.failure ??= error;
        answer = [FAILED];
        failed(error);
      }
      raw.answer(id, ...answer);
    });
  }

  /** From now on every question is refused. The object must be kept while the library may ask. */
  release() {
    raw.release(this.external);
  }
}

/** A function for lines of the log: nobody waits for it, and nothing comes back. */
class LogCallback {
  constructor(log) {
    needAddon();
    this.external = raw.callback(log);
  }

  release() {
    raw.release(this.external);
  }
}

/* {sent, sendTotal, received, receiveTotal} in bytes; a total that is not known is undefined. */
function progressOf(data) {
  const at = (index) => data.readBigUInt64LE(index * 8);
  const total = (index) => (at(index) === LENGTH_UNKNOWN ? undefined : Number(at(index)));
  return { sent: Number(at(0)), sendTotal: total(1), received: Number(at(2)), receiveTotal: total(3) };
}

/** Bytes for a request's body: from a function that opens the source anew, or from one source that cannot. */
class Body {
  /** `open` gives an async iterable of Uint8Array; `again`: it may be called more than once. */
  constructor(open, { again = false, length } = {}) {
    this.open = open;
    this.length = length;
    this.again = again;
    this.onProgress = undefined;
    this.rest = null;
    this.iterator = null;
    this.callback = new Callback({
      read: (data, room) => this.read(room),
      rewind: () => this.rewind(),
      progress: async (data) => [Number(await this.onProgress(progressOf(data))) || 0],
    });
  }

  async read(room) {
    this.iterator ??= this.open()[Symbol.asyncIterator]();
    while (!this.rest?.length) {
      const { done, value } = await this.iterator.next();
      if (done) return [0, Buffer.alloc(0)];
      if (!ArrayBuffer.isView(value)) throw new TypeError('a body\'s stream must give Uint8Array chunks');
      this.rest = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
    const part = this.rest.subarray(0, room);
    this.rest = this.rest.subarray(part.length);
    return [0, part];
  }

  async rewind() {
    if (!this.again) return [FAILED];
    await this.iterator?.return?.();
    this.iterator = this.rest = null;
    return [0];
  }

  end() {
    this.callback.release();
    // A source that was not read to its end is told so; what it makes of that is its own affair.
    const { iterator } = this;
    this.iterator = null;
    Promise.resolve().then(() => iterator?.return?.()).catch(() => {});
  }
}

module.exports = { Body, Callback, LogCallback };
