'use strict';
/* queue.js: operations of one client that do not block, as promises. Owns tokens, the buffers of reads and the wait for
 * events: by the queue's descriptor with the addon, by one parked thread of libuv's with ffi-napi. The program is kept
 * running while something is under way, and not otherwise. */
const { raw, output, handle, number } = require('./raw.js');
const { AGAIN, CANCELLED, make, takeError } = require('./error.js');

const EVENT_BYTES = 48;
const WAIT_MS = 60_000;
const PENDING_RETRY_MS = 50;

class Queue {
  constructor(client) {
    this.handle = make('x402_queue_new', client);
    this.operations = new Map();
    this.waiting = [];
    this.token = 0;
    this.event = Buffer.alloc(EVENT_BYTES);
    this.parked = false;
    if (raw.watch) this.watch = raw.watch(raw.x402_queue_fd(this.handle), () => this.drain());
  }

  /** Gives {promise, cancel}. The promise gives the event's response or length; it fails with an X402Error. */
  submit(name, values) {
    const token = ++this.token;
    const operation = { token, name, values, cancelled: false };
    operation.promise = new Promise((resolve, reject) => Object.assign(operation, { resolve, reject }));
    this.operations.set(token, operation);
    this.give(operation);
    this.keepRunning();
    operation.cancel = () => {
      operation.cancelled = true;
      if (this.handle) raw.x402_queue_cancel(this.handle, token);
    };
    return operation;
  }

  send(request) {
    return this.submit('x402_queue_send', [request]);
  }

  read(response, buffer) {
    return this.submit('x402_queue_read', [response, buffer, buffer.length]);
  }

  give(operation) {
    const error = output();
    const status = raw[operation.name](this.handle, ...operation.values, operation.token, error);
    if (status === 0) {
      operation.given = true;
      if (operation.cancelled) raw.x402_queue_cancel(this.handle, operation.token);
      return true;
    }
    if (status === AGAIN) {
      raw.x402_error_free(handle(error));
      this.waiting.push(operation);
      // Usually the next event makes room; this is for a queue that other operations than ours fill.
      this.retry ??= setTimeout(() => { this.retry = undefined; this.giveWaiting(); }, PENDING_RETRY_MS);
      return false;
    }
    this.operations.delete(operation.token);
    operation.reject(takeError(handle(error), status));
    return true;
  }

  giveWaiting() {
    const waiting = this.waiting;
    this.waiting = [];
    for (const operation of waiting) if (this.handle) this.give(operation);
    this.keepRunning();
  }

  /** Takes all events that wait. */
  drain() {
    for (;;) {
      if (!this.handle) return;
      this.event.fill(0);
      this.event.writeUInt32LE(EVENT_BYTES, 0);
      if (raw.x402_queue_next(this.handle, this.event) !== 0) break;
      this.finish(this.event);
    }
    if (this.waiting.length) this.giveWaiting();
    this.keepRunning();
  }

  finish(event) {
    const operation = this.operations.get(number(event, 8));
    const status = event.readInt32LE(16);
    this.operations.delete(number(event, 8));
    if (!operation) { // taken by the parked thread at the moment of close()
      raw.x402_response_free(handle(event, 24));
      raw.x402_error_free(handle(event, 32));
    } else if (status !== 0) operation.reject(takeError(handle(event, 32), status));
    else if (event.readInt32LE(20) === 1) operation.resolve(handle(event, 24));
    else operation.resolve(number(event, 40));
  }

  keepRunning() {
    const busy = this.operations.size > 0;
    if (!this.handle) return;
    if (this.watch) {
      if (busy !== this.running) raw.watch_set(this.watch, busy ? 1 : 2);
      this.running = busy;
    } else if (busy && !this.parked) {
      this.park();
    }
  }

  /** One thread of libuv's waits for the next event; without operations nobody waits. */
  park() {
    this.parked = true;
    const event = Buffer.alloc(EVENT_BYTES);
    event.writeUInt32LE(EVENT_BYTES, 0);
    raw.x402_queue_wait.later(this.handle, WAIT_MS, event, (status) => {
      this.parked = false;
      if (status === 0) this.finish(event);
      this.drain();
    });
  }

  /** Cancels what is under way and waits for its end in the library; what was not answered yet fails. */
  close() {
    if (!this.handle) return;
    clearTimeout(this.retry);
    if (this.watch) raw.watch_set(this.watch, 0);
    raw.x402_queue_free(this.handle);
    this.handle = 0;
    for (const operation of this.operations.values()) operation.reject(takeError(0, CANCELLED));
    this.operations.clear();
  }
}

module.exports = { Queue };
