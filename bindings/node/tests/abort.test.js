'use strict';
/* abort.test.js: a signal ends a fetch at whatever moment it comes, and a body as soon as it does. */
const v8 = require('node:v8');
const vm = require('node:vm');
const { X402Error, paymentOf } = require('../lib/index.js');
const { KEY, addonOnly, assert, limit, raw, serve, test, until, url } = require('./support.js');

const COLLECTIONS = 5;
const server = serve();
v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc');
const aborted = { name: 'AbortError' };
const seen = async (target) => (await server.state()).requests_seen.filter((one) => one.target === target).length;
const block = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

test('while the head is waited for', limit, async () => {
  const fetch = server.fetch();
  const abort = new AbortController();
  const earlier = await seen('/held');
  const failed = assert.rejects(fetch(url(server, '/held'), { signal: abort.signal }), aborted);
  await until(async () => await seen('/held') > earlier, 'the request');
  abort.abort();
  await failed;
  await server.release();
});

test('before anything is sent', limit, async () => {
  const fetch = server.fetch();
  await assert.rejects(fetch(url(server, '/free'), { signal: AbortSignal.abort() }), aborted);
  await assert.rejects(fetch(url(server, '/free'), { signal: AbortSignal.abort(new RangeError('mine')) }), RangeError);
});

test('when the answer has come and was not taken yet', limit, async () => {
  const fetch = server.fetch();
  for (const route of ['/late', '/weather']) {
    const abort = new AbortController();
    const text = fetch(url(server, route), { signal: abort.signal }).then((response) => response.text());
    const failed = assert.rejects(text, aborted);
    await new Promise(setImmediate);
    block(200);
    abort.abort();
    await failed;
  }
});

test('a payment that was made is in the reason\'s cause', limit, async () => {
  const fetch = server.fetch();
  const verified = async () => (await server.state()).payments_verified;
  const earlier = await verified();
  const abort = new AbortController();
  const failed = assert.rejects(fetch(url(server, '/paid-held'), { signal: abort.signal }), (reason) =>
    reason.name === 'AbortError' && reason.cause instanceof X402Error && reason.cause.money === 'unknown');
  await until(async () => await verified() > earlier, 'the payment');
  abort.abort();
  await failed;
  await server.release();
});

test('between the head and the body, and while the body is read', limit, async () => {
  const fetch = server.fetch();
  for (const abortAt of ['head', 'body']) {
    const abort = new AbortController();
    const response = await fetch(url(server, '/stalls'), { signal: abort.signal });
    if (abortAt === 'head') abort.abort();
    const reading = assert.rejects(response.text(), aborted);
    setImmediate(() => abort.abort());
    await reading;
  }
  await server.release();
});

test('long after the request, when its garbage was collected', limit, async () => {
  const fetch = server.fetch();
  const abort = new AbortController();
  const response = await fetch(url(server, '/stalls'), { signal: abort.signal });
  const reading = assert.rejects(response.text(), aborted);
  for (let turn = 0; turn < COLLECTIONS; turn++) {
    await new Promise(setImmediate);
    collect();
  }
  abort.abort();
  await reading;
  await server.release();
});

test('a signal that comes after the end changes nothing, and a cancelled body lets go', limit, async () => {
  const fetch = server.fetch();
  const abort = new AbortController();
  const response = await fetch(url(server, '/weather'), { signal: abort.signal });
  const text = await response.text();
  abort.abort();
  assert.match(text, /sunny/);
  assert.equal(paymentOf(response).money, 'paid');
  const before = raw.x402_live_handles();
  const big = await fetch(url(server, '/big'));
  await big.body.cancel();
  assert.equal(raw.x402_live_handles(), before);
});

test('a body whose source never gives anything', addonOnly, async () => {
  const fetch = server.fetch();
  const abort = new AbortController();
  let cancelled;
  const asked = new Promise((resolve) => {
    const body = new ReadableStream({ pull: () => { resolve(); return new Promise(() => {}); }, cancel: () => { cancelled = true; } });
    assert.rejects(fetch(url(server, '/echo'), { method: 'POST', body, duplex: 'half', signal: abort.signal }), aborted)
      .then(() => { cancelled ??= 'ended'; });
  });
  await asked;
  abort.abort();
  await until(() => cancelled, 'the end');
});

test('a question about the price', limit, async () => {
  const client = server.client({ wallet: { evmKey: KEY } });
  const abort = new AbortController();
  const earlier = await seen('/held');
  const failed = assert.rejects(client.quote({ url: url(server, '/held'), signal: abort.signal }),
    { code: 'X402_ERROR_CANCELLED', money: 'none' });
  await until(async () => await seen('/held') > earlier, 'the request');
  abort.abort();
  await failed;
  await server.release();
});
