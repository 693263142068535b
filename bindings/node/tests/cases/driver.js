'use strict';
/* driver.js: runs a case of tests/cases; the protocol is in its README. It judges nothing. */
const crypto = require('node:crypto');
const fs = require('node:fs');
const { Body, Client, X402Error } = require('../../lib/index.js');
const { raw } = require('../../lib/raw.js');

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
    approve: policy.approve === undefined ? undefined : () => policy.approve,
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

async function run(client, one) {
  const reader = { pulled: 0, rewinds: 0 };
  const stop = one.stop_progress_at;
  try {
    const options = { ...one, body: bodyOf(one.body, reader) };
    if (stop !== undefined && stop !== null) options.onProgress = ({ sent }) => (sent >= stop ? one.stop_with ?? 1 : 0);
    if (one.call === 'quote') return { outcome: 'quote', quote: await client.quote(options), reader };
    const answer = await client.send(options);
    const { status, url, headers, money, payment } = answer;
    const [body, body_error] = await received(answer);
    return { outcome: 'response', status, url, headers, body, body_error, money, payment: paymentOf(payment), reader };
  } catch (error) {
    return { outcome: 'error', error: errorOf(error), money: error.money, payment: paymentOf(error.payment), reader };
  }
}

async function main() {
  const given = JSON.parse(fs.readFileSync(0, 'utf8'));
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

main().then((result) => fs.writeSync(1, JSON.stringify(result)));
