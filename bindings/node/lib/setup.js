'use strict';
/* setup.js: what a client is made from, options to handles, and what it holds: apart from the client itself, so that it can
 * be let go once that was collected. An option that is not known is an error: it may be a limit, misspelt. */
const { raw, output, text } = require('./raw.js');
const { check, make } = require('./error.js');
const { Callback, LogCallback } = require('./callbacks.js');
const { Queue } = require('./queue.js');

const LOG_ERROR = 1;
const OTHER_KIND = -2;
const REFUSED = 1;
const OPTIONS = ['wallet', 'policy', 'ledger', 'settings', 'log'];
const WALLET = ['evmKey', 'solanaKey', 'mnemonic', 'keyfile', 'signer'];
const POLICY = ['maxPerPayment', 'budget', 'allow', 'prefer', 'approve'];

const list = (value) => (value === undefined || value === null ? [] : Array.isArray(value) ? value : [value]);

/** The options themselves, if none is unknown. */
function known(options, names, where) {
  if (typeof options !== 'object' || options === null) throw new TypeError(`${where} must be an object`);
  const other = Object.keys(options).find((name) => !names.includes(name));
  if (other !== undefined) throw new TypeError(`${where} knows no option ${other}; there are ${names.join(', ')}`);
  return options;
}

/* A signature comes as bytes or hexadecimal text, or as "other-kind". */
function signatureOf(given) {
  if (given === 'other-kind') return [OTHER_KIND];
  if (typeof given !== 'string') return [0, Buffer.from(given)];
  const hex = given.replace(/^0x/, '');
  if (!/^([0-9a-f]{2})+$/i.test(hex)) throw new TypeError('a signature as text must be hexadecimal');
  return [0, Buffer.from(hex, 'hex')];
}

/* What a function that says nothing back threw must be seen somewhere. */
function reporter(options, what) {
  return (error) => {
    const line = `${what} failed, so nothing is paid: ${error?.message ?? error}`;
    if (options.log) options.log(LOG_ERROR, line);
    else process.emitWarning(line, 'X402Warning');
  };
}

function fillWallet(wallet, options, signerOf) {
  for (const key of list(options.evmKey)) check('x402_wallet_add_evm_key', wallet, key);
  for (const key of list(options.solanaKey)) check('x402_wallet_add_solana_key', wallet, key);
  for (const { family = 'eip155', phrase, passphrase = null, path = null } of list(options.mnemonic)) {
    const verb = { eip155: 'evm', solana: 'solana' }[family];
    if (!verb) throw new TypeError(`a mnemonic's family is eip155 or solana, not ${family}`);
    check(`x402_wallet_add_${verb}_mnemonic`, wallet, phrase, passphrase, path);
  }
  for (const { path, password = null } of list(options.keyfile)) check('x402_wallet_add_keyfile', wallet, path, password);
  for (const one of list(options.signer)) {
    const external = signerOf(one);
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

function fillPolicy(policy, options) {
  for (const amount of list(options.maxPerPayment)) check('x402_policy_max_per_payment', policy, amount);
  for (const { scope = 'all', windowSeconds = 0, amount } of list(options.budget)) {
    check('x402_policy_budget', policy, scope, windowSeconds, amount);
  }
  for (const verb of ['allow', 'prefer']) {
    for (const [what, patterns] of Object.entries(options[verb] ?? {})) {
      for (const pattern of list(patterns)) check(`x402_policy_${verb}`, policy, what, pattern);
    }
  }
}

class State {
  constructor(options) {
    known(options, OPTIONS, 'a client');
    this.callbacks = [];
    this.bodies = new Set();
    this.answers = new Set();
    this.ledger = this.client = 0;
    const config = make('x402_config_new');
    try {
      this.#wallet(config, options);
      if (options.policy) this.#policy(config, options);
      if (options.ledger !== undefined) this.#ledger(config, options.ledger);
      for (const [key, value] of Object.entries(options.settings ?? {})) check('x402_config_set', config, key, String(value));
      if (options.log) {
        const { external } = this.#keep(new LogCallback(options.log));
        check('x402_config_log', config, external, external);
      }
      this.client = make('x402_client_new', config);
      this.queue = new Queue(this.client);
      live.add(this);
    } catch (error) {
      this.close();
      throw error;
    } finally {
      raw.x402_config_free(config);
    }
  }

  #keep(callback) {
    this.callbacks.push(callback);
    return callback;
  }

  #wallet(config, options) {
    const wallet = make('x402_wallet_new');
    try {
      fillWallet(wallet, known(options.wallet ?? {}, WALLET, 'wallet'), ({ sign }) => this.#keep(new Callback({
        other: async (data, room, kind) =>
          signatureOf(await sign(kind, kind === 'evm-typed-data' ? JSON.parse(data.toString()) : data)),
      }, reporter(options, 'sign'))).external);
      this.addresses = addressesOf(wallet);
      check('x402_config_wallet', config, wallet);
    } finally {
      raw.x402_wallet_free(wallet);
    }
  }

  #policy(config, options) {
    const { approve } = known(options.policy, POLICY, 'policy');
    const policy = make('x402_policy_new');
    try {
      fillPolicy(policy, options.policy);
      if (approve) {
        const { external } = this.#keep(new Callback({
          approve: async (offer) => {
            const answer = await approve(JSON.parse(offer.toString()));
            if (answer === true) return [0];
            return [Number.isInteger(answer) && answer !== 0 ? answer : REFUSED];
          },
        }, reporter(options, 'approve')));
        check('x402_policy_approve', policy, external, external);
      }
      check('x402_config_policy', config, policy);
    } finally {
      raw.x402_policy_free(policy);
    }
  }

  #ledger(config, path) {
    this.ledger = make('x402_ledger_open', path || null);
    check('x402_config_ledger', config, this.ledger);
  }

  /** First nobody waits for JavaScript any more, then the library is told to end. */
  close() {
    for (const callback of this.callbacks) callback.release();
    for (const body of this.bodies) body.end();
    this.queue?.close();
    for (const letGo of this.answers) letGo();
    raw.x402_client_free(this.client);
    raw.x402_ledger_free(this.ledger);
    this.client = this.ledger = 0;
    live.delete(this);
  }
}

/* Where a program or a worker ends, threads of the library's may still ask JavaScript, or would go on while the process is
 * taken down: they are stopped before. Ledgers and texts can still be read by whoever listens to the exit too. */
const live = new Set();
process.once('exit', () => {
  if (raw.end) raw.end();
  else for (const state of live) state.queue.close();
});

module.exports = { State, known };
