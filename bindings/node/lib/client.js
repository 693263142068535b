'use strict';
/* client.js: a client made from options, and a request through it without blocking. Owns the life of handles: explicit
 * close first, the garbage collector as a net. Knows nothing of fetch. */
const { isMainThread } = require('node:worker_threads');
const { raw, output, handle, number, text } = require('./raw.js');
const { X402Error, check, checkLater, make, moneyName, paymentRecord } = require('./error.js');
const { Body, Callback, LogCallback } = require('./callbacks.js');
const { Queue } = require('./queue.js');

const READ_BYTES = 64 * 1024;
const PAGE_ENTRIES = 10_000;
const list = (value) => (value === undefined || value === null ? [] : Array.isArray(value) ? value : [value]);

function takeText(out) {
  const found = text(out);
  raw.x402_string_free(out);
  return found;
}

/* ---- making a client ---- */

function signer({ sign }, keep) {
  const callback = new Callback({
    other: async (data, room, kind) => {
      const typed = kind === 'evm-typed-data';
      const signature = await sign(kind, typed ? JSON.parse(data.toString()) : data);
      if (signature === 'other-kind') return [-2];
      const bytes = typeof signature === 'string' ? Buffer.from(signature.replace(/^0x/, ''), 'hex') : Buffer.from(signature);
      return [0, bytes];
    },
  });
  keep.push(callback);
  return callback.external;
}

function fillWallet(wallet, options, keep) {
  for (const key of list(options.evmKey)) check('x402_wallet_add_evm_key', wallet, key);
  for (const key of list(options.solanaKey)) check('x402_wallet_add_solana_key', wallet, key);
  for (const { family = 'eip155', phrase, passphrase = null, path = null } of list(options.mnemonic)) {
    check(`x402_wallet_add_${family === 'solana' ? 'solana' : 'evm'}_mnemonic`, wallet, phrase, passphrase, path);
  }
  for (const { path, password = null } of list(options.keyfile)) check('x402_wallet_add_keyfile', wallet, path, password);
  for (const one of list(options.signer)) {
    const external = signer(one, keep);
    check('x402_wallet_add_signer', wallet, one.family ?? 'eip155', one.address, external, external);
  }
}

function addressesOf(wallet) {
  const found = {};
  for (const family of ['eip155', 'solana']) {
    found[family] = [];
    const out = output();
    while (raw.x402_wallet_address(wallet, family, found[family].length, out, null) === 0) found[family].push(text(out));
  }
  return found;
}

function fillPolicy(policy, options, keep) {
  for (const amount of list(options.maxPerPayment)) check('x402_policy_max_per_payment', policy, amount);
  for (const { scope = 'all', windowSeconds = 0, amount } of list(options.budget)) {
    check('x402_policy_budget', policy, scope, windowSeconds, amount);
  }
  for (const verb of ['allow', 'prefer']) {
    for (const [what, patterns] of Object.entries(options[verb] ?? {})) {
      for (const pattern of list(patterns)) check(`x402_policy_${verb}`, policy, what, pattern);
    }
  }
  if (options.approve) {
    const callback = new Callback({
      approve: async (offer) => {
        const answer = await options.approve(JSON.parse(offer.toString()));
        return [answer === true ? 0 : typeof answer === 'number' ? answer : 1];
      },
    });
    keep.push(callback);
    check('x402_policy_approve', policy, callback.external, callback.external);
  }
}

/** What a client holds, apart from itself, so that it can be let go once the client is collected. */
class State {
  constructor(options) {
    this.callbacks = [];
    this.ends = new Set();
    this.ledger = this.client = 0;
    const config = make('x402_config_new');
    try {
      this.fill(config, options);
      this.client = make('x402_client_new', config);
      this.queue = new Queue(this.client);
    } catch (error) {
      this.close();
      throw error;
    } finally {
      raw.x402_config_free(config);
    }
  }

  fill(config, options) {
    const wallet = make('x402_wallet_new');
    const policy = make('x402_policy_new');
    try {
      fillWallet(wallet, options.wallet ?? {}, this.callbacks);
      this.addresses = addressesOf(wallet);
      check('x402_config_wallet', config, wallet);
      if (options.policy) {
        fillPolicy(policy, options.policy, this.callbacks);
        check('x402_config_policy', config, policy);
      }
    } finally {
      raw.x402_wallet_free(wallet);
      raw.x402_policy_free(policy);
    }
    if (options.ledger !== undefined) {
      this.ledger = make('x402_ledger_open', options.ledger || null);
      check('x402_config_ledger', config, this.ledger);
    }
    for (const [key, value] of Object.entries(options.settings ?? {})) check('x402_config_set', config, key, String(value));
    if (options.log) {
      const callback = new LogCallback(options.log);
      this.callbacks.push(callback);
      check('x402_config_log', config, callback.external, callback.external);
    }
  }

  /** First nobody waits for JavaScript any more, then the library is told to end. */
  close() {
    for (const callback of this.callbacks) callback.release();
    for (const end of this.ends) end();
    this.queue?.close();
    raw.x402_client_free(this.client);
    raw.x402_ledger_free(this.ledger);
    this.client = this.ledger = 0;
    live.delete(this);
  }
}

const live = new Set();
const forgotten = new FinalizationRegistry((state) => state.close());
const unread = new FinalizationRegistry((response) => raw.x402_response_free(response));
if (!isMainThread) process.once('exit', () => live.forEach((state) => state.close()));

/* ---- an answer ---- */

/** The head of an answer, and its body read piece by piece. */
class Answer {
  constructor(response, queue, ended) {
    Object.defineProperties(this, {
      response: { value: response, writable: true },
      queue: { value: queue },
      ended: { value: ended },
      buffer: { value: null, writable: true },
      reading: { value: null, writable: true },
    });
    this.status = raw.x402_response_status(response);
    this.url = raw.x402_response_url(response);
    this.headers = headersOf(response);
    this.money = moneyName(raw.x402_response_money(response));
    this.payment = paymentRecord(raw.x402_response_payment(response));
    unread.register(this, response, this);
  }

  /** The next bytes, as they come; null at the end. One read at a time. */
  async read() {
    if (!this.response) return null;
    this.buffer ??= Buffer.allocUnsafeSlow(READ_BYTES);
    let length;
    try {
      this.reading = this.queue.read(this.response, this.buffer);
      length = await this.reading.promise;
    } catch (error) {
      this.close();
      throw error;
    }
    if (length > 0) return Uint8Array.prototype.slice.call(this.buffer, 0, length);
    this.close();
    return null;
  }

  /** Lets the connection go; what was not read is lost. */
  close() {
    if (!this.response) return;
    unread.unregister(this);
    raw.x402_response_free(this.response);
    this.response = 0;
    this.buffer = null;
    this.ended();
  }
}

function headersOf(response) {
  const [name, value, length] = [output(), output(), output()];
  return Array.from({ length: raw.x402_response_header_count(response) }, (_, index) => {
    check('x402_response_header_at', response, index, name, value, length);
    return [text(name), text(value, 'latin1', number(length))];
  });
}

/** A payment for a request that another HTTP client sends. Whoever has `headerValue` can take the money. */
class Payment {
  #handle;
  constructor(payment) {
    this.#handle = payment;
    this.headerName = raw.x402_payment_header_name(payment);
    payments.register(this, payment, this);
  }

  get headerValue() {
    return raw.x402_payment_header_value(this.#handle);
  }

  get record() {
    return paymentRecord(this.#handle);
  }

  /** Reads the receipt of what was answered; gives where the money is. */
  settle(status, headers) {
    const pairs = [...headers];
    check('x402_payment_settle', this.#handle, status, pairs.map(([name]) => name), pairs.map(([, value]) => value),
      pairs.length);
    return moneyName(raw.x402_payment_money(this.#handle));
  }

  close() {
    payments.unregister(this);
    raw.x402_payment_free(this.#handle);
    this.#handle = 0;
  }
}
const payments = new FinalizationRegistry((payment) => raw.x402_payment_free(payment));

/* ---- the client ---- */

class Client {
  #state;
  constructor(options = {}) {
    this.#state = new State(options);
    live.add(this.#state);
    forgotten.register(this, this.#state, this);
    this.addresses = this.#state.addresses;
  }

  #open() {
    if (!this.#state.client) throw new TypeError('this client was closed');
    return this.#state;
  }

  #request({ method = 'GET', url, headers = [], body, settings = {}, onProgress }) {
    const made = { request: make('x402_request_new', method, url), body: null };
    try {
      for (const [name, value] of headers) check('x402_request_header', made.request, name, value);
      for (const [key, value] of Object.entries(settings)) check('x402_request_set', made.request, key, String(value));
      if (body instanceof Body) made.body = body;
      else if (onProgress) made.body = new Body(null, { onProgress });
      if (made.body) made.body.onProgress = onProgress;
      const external = made.body?.callback.external;
      if (typeof body === 'string' || ArrayBuffer.isView(body)) {
        const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
        check('x402_request_body_bytes', made.request, bytes, bytes.length);
      } else if (body instanceof Body) {
        check('x402_request_body_reader', made.request, external, body.again ? external : null, external,
          body.length ?? 0xffffffffffffffffn);
      } else if (body) {
        check('x402_request_body_file', made.request, body.file);
      }
      if (onProgress) check('x402_request_progress', made.request, external, external);
      return made;
    } catch (error) {
      raw.x402_request_free(made.request);
      throw error;
    }
  }

  /** Sends a request and waits for the head of the answer, of whatever status, paying on the way if need be. */
  async send(options) {
    const state = this.#open();
    const { signal } = options;
    signal?.throwIfAborted();
    const { request, body } = this.#request(options);
    const end = () => {
      state.ends.delete(end);
      body?.end();
    };
    state.ends.add(end);
    const operation = state.queue.send(request);
    const abort = () => {
      operation.cancel();
      body?.callback.release();
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return new Answer(await operation.promise, state.queue, this.#ender(end));
    } catch (error) {
      end();
      const failure = body?.callback.failure;
      if (failure !== undefined && error instanceof X402Error && error.cause === undefined) {
        Object.defineProperty(error, 'cause', { value: failure, enumerable: false, configurable: true });
      }
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
      raw.x402_request_free(request);
    }
  }

  /** Holding the client, so that it is not collected while an answer of it is being read. */
  #ender(end) {
    return () => {
      if (this.#state) end();
    };
  }

  /** What a request would cost, and what every rule says to it. Never pays. */
  async quote(options) {
    const { client } = this.#open();
    const { request, body } = this.#request(options);
    try {
      const out = output();
      await checkLater('x402_client_quote_json', client, request, out);
      return JSON.parse(takeText(out));
    } finally {
      body?.end();
      raw.x402_request_free(request);
    }
  }

  /** Signs for a 402 that another HTTP client got: {status, headers, body}. Sends nothing. */
  async pay(options, { status, headers, body = '' }) {
    const { client } = this.#open();
    const pairs = [...headers];
    const bytes = Buffer.from(body);
    const { request } = this.#request(options);
    try {
      const out = output();
      await checkLater('x402_client_pay_request', client, request, status, pairs.map(([name]) => name),
        pairs.map(([, value]) => value), pairs.length, bytes, bytes.length, out);
      return new Payment(handle(out));
    } finally {
      raw.x402_request_free(request);
    }
  }

  #ledgerJson(name, ...values) {
    const { ledger } = this.#open();
    if (!ledger) throw new TypeError('this client has no ledger of its own: give it {ledger: path}, or "" for one in memory');
    const out = output();
    check(name, ledger, ...values, out);
    return JSON.parse(takeText(out));
  }

  /** What counts by now. */
  totals() {
    return this.#ledgerJson('x402_ledger_totals_json');
  }

  entries({ afterId = 0, limit = PAGE_ENTRIES } = {}) {
    return this.#ledgerJson('x402_ledger_entries_json', afterId, limit);
  }

  unsettled({ afterId = 0, limit = PAGE_ENTRIES } = {}) {
    return this.#ledgerJson('x402_ledger_unsettled_json', afterId, limit);
  }

  abandon(entry) {
    check('x402_ledger_abandon', this.#open().ledger, entry);
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
