'use strict';
/* queue.js: operations of one client that do not block, as promises. Owns tokens, the buffers of reads and the wait for
 * events, by the queue's descriptor. The program is kept running while something is under way, and not otherwise. */
const { raw, output, handle, number } = require('./raw.js');
const { AGAIN, CANCELLED, errorOf, make, moneyName, paymentRecord, takeError } = require('./error.js');

const EVENT_BYTES = 48;
const EVENT_SEND = 1;
const PENDING_RETRY_MS = 50;
const NOT_SENT = { money: 'none', retry: 'safe' };

/** An answer that nobody takes any more: an error that says what became of the money. The response is freed. */
function untaken(response, message) {
  const money = moneyName(raw.x402_response_money(response));
  const payment = paymentRecord(raw.x402_response_payment(response));
  raw.x402_response_free(response);
  return errorOf(CANCELLED, { money, payment, retry: money === 'none' ? 'safe' : 'same-bytes' }, message);
}

class Queue {
  constructor(client) {
    this.handle = make('x402_queue_new', client);
    this.operations = new Map();
    this.waiting = [];
    this.token = 0;
    this.event = Buffer.alloc(EVENT_BYTES);
    this.running = false;
    this.watch = raw.watch(raw.x402_queue_fd(this.handle), () => this.drain());
  }

  /** Gives {promise, cancel}; keeps `keep` until the end. The promise gives the event's response or length; it fails with an X402Error. */
  submit(name, values, keep) {
    if (!this.handle) throw new TypeError('this client was closed');
    const operation = { token: ++this.token, name, values, keep };
    operation.promise = new Promise((resolve, reject) => Object.assign(operation, { resolve, reject }));
    operation.cancel = () => this.cancel(operation);
    this.operations.set(operation.token, operation);
    this.give(operation);
    this.keepRunning();
    return operation;
  }

  send(request) {
    return this.submit('x402_queue_send', [request]);
  }

  /** `held` has the response, and is kept until the read has ended. */
  read(held, buffer) {
    return this.submit('x402_queue_read', [held.response, buffer, buffer.length], held);
  }

  give(operation) {
    const error = output();
    const status = raw[operation.name](this.handle, ...operation.values, operation.token, error);
    operation.given = status === 0;
    if (operation.given) return;
    if (status === AGAIN) {
      raw.x402_error_free(handle(error));
      this.waiting.push(operation);
      // Usually the next event makes room; this is for a queue that other operations than ours fill.
      this.retry ??= setTimeout(() => { this.retry = undefined; this.giveWaiting(); }, PENDING_RETRY_MS);
      return;
    }
    this.operations.delete(operation.token);
    operation.reject(takeError(handle(error), status));
  }

  giveWaiting() {
    const waiting = this.waiting;
    this.waiting = [];
    for (const operation of waiting) if (this.handle) this.give(operation);
    this.keepRunning();
  }

  cancel(operation) {
    if (operation.given) {
      if (this.handle) raw.x402_queue_cancel(this.handle, operation.token);
      return;
    }
    if (!this.operations.delete(operation.token)) return;
    this.waiting = this.waiting.filter((one) => one !== operation);
    operation.reject(this.failure(operation, 'cancelled before it was sent, while the queue was full'));
    this.keepRunning();
  }

  /** Takes all events that wait. */
  drain(finish = this.finish) {
    for (;;) {
      if (!this.handle) return;
      this.event.fill(0);
      this.event.writeUInt32LE(EVENT_BYTES, 0);
      if (raw.x402_queue_next(this.handle, this.event) !== 0) break;
      finish.call(this, this.event);
    }
    if (this.waiting.length) this.giveWaiting();
    this.keepRunning();
  }

  finish(event, closing = false) {
    const token = number(event, 8);
    const operation = this.operations.get(token);
    const status = event.readInt32LE(16);
    this.operations.delete(token);
    if (status !== 0) operation.reject(takeError(handle(event, 32), status));
    else if (event.readInt32LE(20) !== EVENT_SEND) operation.resolve(number(event, 40));
    else if (closing) operation.reject(untaken(handle(event, 24), 'the client was closed before its answer was taken'));
    else operation.resolve(handle(event, 24));
  }

  keepRunning() {
    const busy = this.operations.size > 0;
    if (!this.handle || busy === this.running) return;
    raw.watch_set(this.watch, busy ? 1 : 2);
    this.running = busy;
  }

  /** Of an operation that ends without an event. A send may have paid by then; a read changes nothing of the money. */
  failure({ name, values, given }, message) {
    if (name === 'x402_queue_send') return errorOf(CANCELLED, given ? undefined : NOT_SENT, message);
    return errorOf(CANCELLED, { money: moneyName(raw.x402_response_money(values[0])) }, message);
  }

  /** Cancels what is under way and waits for its end in the library; what was not answered yet fails. */
  close() {
    if (!this.handle) return;
    clearTimeout(this.retry);
    this.drain((event) => this.finish(event, true));
    const queue = this.handle;
    this.handle = 0;
    raw.watch_set(this.watch, 0);
    const failures = [...this.operations.values()].map((one) => [one, this.failure(one, 'the client was closed meanwhile')]);
    raw.x402_queue_free(queue);
    this.operations.clear();
    this.waiting = [];
    for (const [operation, failure] of failures) operation.reject(failure);
  }
}

module.exports = { Queue, untaken };
