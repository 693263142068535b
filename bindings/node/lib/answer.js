'use strict';
/* answer.js: the head of an answer, and its body read piece by piece. Owns the life of the response: freed at its end, when
 * its user or its client closes it, or by the garbage collector. */
const { raw, output, number, text } = require('./raw.js');
const { check, moneyName, paymentRecord } = require('./error.js');

const READ_BYTES = 64 * 1024;

function headersOf(response) {
  const [name, value, length] = [output(), output(), output()];
  return Array.from({ length: raw.x402_response_header_count(response) }, (_, index) => {
    check('x402_response_header_at', response, index, name, value, length);
    return [text(name), text(value, 'latin1', number(length))];
  });
}

/* What an answer holds, apart from itself: `client`, so that it is not collected while an answer of it is being read; the
 * request's body, which the library may still tell how far it has come. */
class Held {
  constructor(response, client, state, body) {
    Object.assign(this, { response, client, state, body, slot: raw.own?.('response', response) });
    this.letGo = () => this.free();
    state.answers.add(this.letGo);
  }

  free() {
    if (!this.response) return;
    raw.x402_response_free(this.response);
    raw.disown?.(this.slot);
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
    this.headers = headersOf(response);
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
    this.#buffer ??= Buffer.allocUnsafeSlow(READ_BYTES);
    this.#reading = true;
    try {
      const length = await held.state.queue.read(held, this.#buffer).promise;
      if (length > 0) return Uint8Array.prototype.slice.call(this.#buffer, 0, length);
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
