'use strict';
/* answer.js: the head of an answer, and its body read piece by piece. Owns the life of the response: freed at its end, when
 * its user or its client closes it, or by the garbage collector. */
const { raw, output, number } = require('./raw.js');
const { check, moneyName, paymentRecord } = require('./error.js');

const READ_BYTES = 64 * 1024;

/* One for all reads that do not wait. */
const atOnce = { bytes: Buffer.allocUnsafeSlow(READ_BYTES), length: output() };

function readAtOnce(response) {
  check('x402_response_read', response, atOnce.bytes, READ_BYTES, atOnce.length);
  return number(atOnce.length);
}

/* What an answer holds, apart from itself: `client`, so that it is not collected while an answer of it is being read; the
 * request's body, which the library may still tell how far it has come. */
class Held {
  constructor(response, client, state, body) {
    Object.assign(this, { response, client, state, body });
    this.letGo = () => this.free();
    state.answers.add(this.letGo);
  }

  free() {
    if (!this.response) return;
    raw.x402_response_free(this.response);
    this.response = 0;
    this.state.answers.delete(this.letGo);
    if (this.body) {
      this.state.bodies.delete(this.body);
      this.body.end();
    }
  }
}
const forgotten = new FinalizationRegistry((held) => held.free());

class Answer {
  #held;
  #buffer = null;
  #reading = false;
  #whole = false;
  #failure = null;

  constructor(response, client, state, body) {
    this.#held = new Held(response, client, state, body);
    forgotten.register(this, this.#held, this);
    this.status = raw.x402_response_status(response);
    this.url = raw.x402_response_url(response);
    this.headers = raw.headers_of(response);
    this.money = moneyName(raw.x402_response_money(response));
    this.payment = paymentRecord(raw.x402_response_payment(response));
  }

  /** The next bytes, as they come; null at the end, and at no other time. One read at a time. */
  async read() {
    if (this.#reading) throw new TypeError('this answer is being read: one read at a time');
    if (this.#whole) return null;
    if (this.#failure) throw this.#failure;
    const held = this.#held;
    if (!held.response) throw new TypeError('this answer was closed before its end');
    this.#reading = true;
    try {
      // A body's own functions are asked elsewhere: here they could only be waited for.
      const here = !held.body && raw.x402_response_is_whole(held.response) === 1;
      const buffer = here ? atOnce.bytes : (this.#buffer ??= Buffer.allocUnsafeSlow(READ_BYTES));
      const length = here ? readAtOnce(held.response) : await held.state.queue.read(held, buffer).promise;
      if (length > 0) return Uint8Array.prototype.slice.call(buffer, 0, length);
      this.#whole = true;
    } catch (error) {
      this.#failure = error;
      throw error;
    } finally {
      this.#reading = false;
      if (this.#whole || this.#failure) this.close();
    }
    return null;
  }

  async *[Symbol.asyncIterator]() {
    try {
      for (let bytes; (bytes = await this.read());) yield bytes;
    } finally {
      this.close();
    }
  }

  /** Lets the connection go; what was not read is lost. */
  close() {
    forgotten.unregister(this);
    this.#held.free();
    this.#buffer = null;
  }
}

module.exports = { Answer };
