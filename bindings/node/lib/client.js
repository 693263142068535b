'use strict';
/* client.js: a request through a client without blocking, and the client's ledger. Knows nothing of fetch. */
const { raw, output, handle, text } = require('./raw.js');
const { X402Error, check, checkLater, make } = require('./error.js');
const { Answer } = require('./answer.js');
const { Body } = require('./callbacks.js');
const { Payment } = require('./payment.js');
const { untaken } = require('./queue.js');
const { State, known } = require('./setup.js');

const LENGTH_UNKNOWN = 0xffffffffffffffffn;
const PAGE_ENTRIES = 10_000;
const REQUEST = ['method', 'url', 'headers', 'body', 'settings', 'onProgress', 'signal'];

function takeText(out) {
  const found = text(out);
  raw.x402_string_free(out);
  return found;
}

/* A body is a text, bytes, a Body, or {file: path}. */
function giveBody(request, body) {
  if (typeof body === 'string' || ArrayBuffer.isView(body)) {
    const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    check('x402_request_body_bytes', request, bytes, bytes.length);
  } else if (body instanceof Body) {
    const { external } = body.callback;
    check('x402_request_body_reader', request, external, body.again ? external : null, external,
      body.length ?? LENGTH_UNKNOWN);
  } else if (typeof body?.file === 'string') {
    check('x402_request_body_file', request, body.file);
  } else {
    throw new TypeError('a body is a text, a Uint8Array, a Body, or {file: path}');
  }
}

function fillRequest(request, { headers = [], body, settings = {}, onProgress }) {
  for (const [name, value] of headers) check('x402_request_header', request, name, value);
  for (const [key, value] of Object.entries(settings)) check('x402_request_set', request, key, String(value));
  if (body !== undefined && body !== null) giveBody(request, body);
  if (!onProgress) return body instanceof Body ? body : null;
  const told = body instanceof Body ? body : new Body(null);
  told.onProgress = onProgress;
  check('x402_request_progress', request, told.callback.external, told.callback.external);
  return told;
}

/** {request, body, free}: a handle, the Body that the library may ask, if there is one, and how to let the handle go. */
function requestOf(options) {
  known(options, REQUEST, 'a request');
  const request = make('x402_request_new', options.method ?? 'GET', options.url);
  const free = () => raw.x402_request_free(request);
  try {
    return { request, free, body: fillRequest(request, options) };
  } catch (error) {
    free();
    if (options.body instanceof Body) options.body.end();
    throw error;
  }
}

/* What a body's source threw is why the call failed. */
function causedBy(error, body) {
  const failure = body?.callback.failure;
  if (failure !== undefined && error instanceof X402Error && error.cause === undefined) {
    Object.defineProperty(error, 'cause', { value: failure, enumerable: false, configurable: true });
  }
  return error;
}

const forgotten = new FinalizationRegistry((state) => state.close());

class Client {
  #state;
  constructor(options = {}) {
    this.#state = new State(options);
    forgotten.register(this, this.#state, this);
    this.addresses = this.#state.addresses;
  }

  #open() {
    if (!this.#state.client) throw new TypeError('this client was closed');
    return this.#state;
  }

  /** Sends a request and waits for the head of the answer, of whatever status, paying on the way if need be. */
  async send(options) {
    const state = this.#open();
    const { signal } = options;
    signal?.throwIfAborted();
    const { request, body, free } = requestOf(options);
    if (body) state.bodies.add(body);
    let operation;
    const abort = () => {
      operation.cancel();
      body?.callback.release();
    };
    try {
      operation = state.queue.send(request);
      signal?.addEventListener('abort', abort, { once: true });
      const response = await operation.promise;
      // The signal may have come after the answer, and before it was taken.
      if (signal?.aborted) throw untaken(response, 'cancelled when the answer had come');
      if (!state.client) throw untaken(response, 'the client was closed before its answer was taken');
      return new Answer(response, this, state, body);
    } catch (error) {
      if (body) {
        state.bodies.delete(body);
        body.end();
      }
      throw causedBy(error, body);
    } finally {
      signal?.removeEventListener('abort', abort);
      free();
    }
  }

  /* Runs NAME(client, request, ...) elsewhere; a signal ends it. */
  async #ask(name, options, ...values) {
    const { client } = this.#open();
    const { signal } = options;
    signal?.throwIfAborted();
    const { request, body, free } = requestOf(options);
    const abort = () => raw.x402_request_cancel(request);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const out = output();
      await checkLater(name, client, request, ...values, out);
      return out;
    } catch (error) {
      throw causedBy(error, body);
    } finally {
      signal?.removeEventListener('abort', abort);
      body?.end();
      free();
    }
  }

  /** What a request would cost, and what every rule says to it. Never pays. */
  async quote(options) {
    return JSON.parse(takeText(await this.#ask('x402_client_quote_json', options)));
  }

  /** Signs for a 402 that another HTTP client got: {status, headers, body}. Sends nothing. */
  async pay(options, { status, headers, body = '' }) {
    const pairs = [...headers];
    const bytes = Buffer.from(body);
    const out = await this.#ask('x402_client_pay_request', options, status, pairs.map(([name]) => name),
      pairs.map(([, value]) => value), pairs.length, bytes, bytes.length);
    return new Payment(handle(out), this.#state);
  }

  #ledger() {
    const { ledger } = this.#open();
    if (!ledger) throw new TypeError('this client has no ledger of its own: give it {ledger: path}, or "" for one in memory');
    return ledger;
  }

  #ledgerJson(name, ...values) {
    const out = output();
    check(name, this.#ledger(), ...values, out);
    return JSON.parse(takeText(out));
  }

  /** What counts by now. */
  totals() {
    return this.#ledgerJson('x402_ledger_totals_json');
  }

  entries({ afterId = 0, limit = PAGE_ENTRIES } = {}) {
    return this.#ledgerJson('x402_ledger_entries_json', afterId, limit);
  }

  /** Entries whose outcome is open. */
  unsettled({ afterId = 0, limit = PAGE_ENTRIES } = {}) {
    return this.#ledgerJson('x402_ledger_unsettled_json', afterId, limit);
  }

  /** Gives up an entry that is unsettled. If its payment settles after all, it was paid twice. */
  abandon(id) {
    check('x402_ledger_abandon', this.#ledger(), id);
  }

  /** Cancels what is under way and frees everything. Answers that were not read to their end break off. */
  close() {
    forgotten.unregister(this);
    this.#state.close();
  }

  [Symbol.dispose ?? Symbol.for('dispose')]() {
    this.close();
  }
}

module.exports = { Answer, Body, Client, Payment };
