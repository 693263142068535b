'use strict';
/* driver.js: runs a case of tests/cases; the protocol is in its README. It judges nothing.
 *
 * What ffi-napi cannot express is run on the addon, so that the runner's list holds for both; leftOut.js says which, and why. */
const { execFileSync } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const { Body, Client, X402Error } = require('../../lib/index.js');
const { raw } = require('../../lib/raw.js');
const { leftOut } = require('./leftOut.js');

const TEXT_BYTES_MAX = 64 * 1024;

function contentOf(value) {
  if (value.text !== undefined) return Buffer.from(value.text);
  if (value.base64 !== undefined) return Buffer.from(value.base64, 'base64');
  return Buffer.from(Uint8Array.from({ length: value.pattern }, (_, index) => index % 251));
}

function clientOf({ keys, solana_keys: solanaKeys, settings, policy }) {
  const rules = policy && {
    maxPerPayment: policy.max_per_payment,
    budget: policy.budget?.map(([scope, windowSeconds, amount]) => ({ scope, windowSeconds, amount })),
    ...Object.fromEntries(['allow', 'prefer'].map((verb) => [verb, (policy[verb] ?? []).reduce(
      (all, [what, pattern]) => ({ ...all, [what]: [...(all[what] ?? []), pattern] }), {})])),
    approve: policy.approve === undefined ? undefined : () => policy.approve === 0 || policy.approve,
  };
  return new Client({ wallet: { evmKey: keys, solanaKey: solanaKeys }, settings, policy: rules });
}

const paymentOf = (payment) => payment && {
  amount: payment.amount, asset: payment.asset, network: payment.network, payee: payment.payee,
  transaction: payment.transaction, refusal: payment.refusal, json: payment.details,
};

function errorOf(error) {
  if (!(error instanceof X402Error)) throw error;
  return { status: error.code, message: error.message, money: error.money, retry: error.retry,
    callback_value: error.callbackValue || null };
}

function bodyOf(body, counted) {
  if (!body) return undefined;
  if (body.file) return { file: body.file };
  if (body.bytes) return contentOf(body.bytes);
  return new CountedBody(body.reader, counted);
}

/* A reader as a case wants it, with its faults: it answers the library's questions itself. */
class CountedBody extends Body {
  constructor(reader, counted) {
    const content = contentOf(reader.content);
    const length = reader.declare === undefined ? content.length : reader.declare ?? undefined;
    super(null, { again: reader.rewind === true, length });
    Object.assign(this, { reader, content, counted, at: 0 });
  }

  async read(room) {
    const { reader, content } = this;
    if (reader.fail_at !== undefined && reader.fail_at !== null && this.at >= reader.fail_at) return [reader.fail_with ?? 1];
    const end = Math.min(content.length, this.at + Math.min(room, reader.chunk || room), reader.fail_at ?? Infinity);
    const part = content.subarray(this.at, end);
    this.at = end;
    this.counted.pulled += part.length;
    return [0, part];
  }

  async rewind() {
    this.counted.rewinds += 1;
    this.at = 0;
    return [this.reader.rewind_fails ? this.reader.fail_with ?? 1 : 0];
  }
}

async function received(answer) {
  const parts = [];
  let failure = null;
  try {
    for (let part; (part = await answer.read());) parts.push(part);
  } catch (error) {
    failure = errorOf(error);
  }
  const all = Buffer.concat(parts);
  const text = all.toString();
  const isText = all.length <= TEXT_BYTES_MAX && Buffer.from(text).equals(all);
  const sha256 = crypto.createHash('sha256').update(all).digest('hex');
  return [{ length: all.length, sha256, text: isText ? text : null }, failure];
}

function optionsOf(one, counted) {
  const { method, url, headers, settings, stop_progress_at: stop, stop_with: value = 1 } = one;
  const options = { method, url, headers, settings, body: bodyOf(one.body, counted) };
  if (stop !== undefined && stop !== null) options.onProgress = ({ sent }) => (sent >= stop ? value : 0);
  return options;
}

async function run(client, one) {
  const reader = { pulled: 0, rewinds: 0 };
  try {
    const options = optionsOf(one, reader);
    if (one.call === 'quote') return { outcome: 'quote', quote: await client.quote(options), reader };
    const answer = await client.send(options);
    const [body, body_error] = await received(answer);
    const { status, url, headers, money, payment } = answer;
    return { outcome: 'response', status, url, headers, body, body_error, money, payment: paymentOf(payment), reader };
  } catch (error) {
    return { outcome: 'error', error: errorOf(error), money: error.money, payment: paymentOf(error.payment), reader };
  }
}

async function main(given) {
  const results = [];
  let client;
  try {
    client = clientOf(given.client ?? {});
  } catch (error) {
    return { results, setup_error: errorOf(error) };
  }
  for (const one of given.requests) results.push(await run(client, one));
  client.close();
  return { results, live_handles: raw.x402_live_handles() };
}

function onTheAddon(input) {
  const env = { ...process.env, X402_BACKEND: 'addon' };
  return JSON.parse(execFileSync(process.execPath, [__filename], { env, input, maxBuffer: 1 << 28, encoding: 'utf8' }));
}

const input = fs.readFileSync(0, 'utf8');
const given = JSON.parse(input);
const result = raw.name === 'ffi-napi' && leftOut(given) ? Promise.resolve(onTheAddon(input)) : main(given);
// All of it, though a pipe takes a part at a time.
result.then((found) => process.stdout.write(JSON.stringify(found)));
