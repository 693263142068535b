'use strict';
/* load.test.js: many calls leave nothing behind, and many at once do not wait for each other. */
const fs = require('node:fs');
const v8 = require('node:v8');
const vm = require('node:vm');
const { X402Error, paymentOf } = require('../lib/index.js');
const { addonOnly, assert, backend, limit, raw, serve, test, until, url } = require('./support.js');

/* ffi-napi makes garbage with each call, and a quarter of the calls shows a leak as well. */
const CALLS = Number(process.env.X402_SOAK_CALLS ?? (backend === 'addon' ? 10_000 : 2500));
const SOAK_LIMIT_MS = 300_000;
/* As many as it takes until malloc and V8 keep no more for themselves. */
const WARM_CALLS = 8000;
const AT_ONCE = 16;
/* What V8 keeps for itself varies; a leak of 3 KiB a call would be as much. */
const GROWTH_MAX_BYTES = 32 * 1024 * 1024;
const TOGETHER = 256;
/* One after the other, four at a time even, would take 12.8 s. What ffi-napi costs comes to one or two by itself. */
const TOGETHER_MAX_MS = backend === 'addon' ? 2000 : 8000;

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc');

const server = serve();
const descriptors = () => fs.readdirSync('/proc/self/fd').length;

/* Mostly paid, the rest in every other way a call can end. */
function call(fetch, index) {
  const abort = new AbortController();
  switch (index % 10) {
    case 0: return fetch(url(server, '/big')).then((response) => response.body.cancel());
    case 1: return fetch(url(server, '/expensive')).then((response) => response.text());
    case 2: return assert.rejects(fetch('http://127.0.0.1:1/'), ({ cause }) => cause instanceof X402Error);
    case 3:
      setImmediate(() => abort.abort());
      return fetch(url(server, '/late'), { signal: abort.signal }).then((response) => response.text()).catch(() => {});
    case 4: return fetch(url(server, '/upload'), { method: 'POST', duplex: 'half', body: new Blob([`call ${index}`]).stream() })
      .then((response) => response.text());
    default: return fetch(url(server, '/weather')).then(async (response) => {
      assert.match(await response.text(), /sunny/);
      assert.equal(paymentOf(response).money, 'paid');
    });
  }
}

async function calls(fetch, count) {
  let next = 0;
  const lane = async () => { while (next < count) await call(fetch, next++); };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

test(`${CALLS} calls leak neither memory, handles nor descriptors`, { timeout: SOAK_LIMIT_MS }, async (t) => {
  const fetch = server.fetch({ policy: { budget: { amount: '100000 USD' } } });
  await calls(fetch, Math.min(WARM_CALLS, CALLS));
  collect();
  const before = { handles: raw.x402_live_handles(), descriptors: descriptors(), memory: process.memoryUsage.rss() };
  await calls(fetch, CALLS);
  collect();
  await until(() => raw.x402_live_handles() === before.handles, 'the last handle\'s end');
  const grown = process.memoryUsage.rss() - before.memory;
  t.diagnostic(`${CALLS} calls: ${Math.round(grown / 1024)} KiB more`);
  assert.ok(grown < GROWTH_MAX_BYTES, `${grown} bytes more`);
  assert.ok(descriptors() <= before.descriptors + AT_ONCE, `${descriptors()} descriptors, ${before.descriptors} before`);
});

test('clients come and go', limit, async () => {
  const before = { handles: raw.x402_live_handles(), descriptors: descriptors() };
  for (let index = 0; index < 50; index++) {
    const client = server.client({ policy: { maxPerPayment: '0.10 USD' }, ledger: '' });
    const answer = await client.send({ url: url(server, '/free') });
    await answer.read();
    client.close();
  }
  assert.equal(raw.x402_live_handles(), before.handles);
  await until(() => descriptors() <= before.descriptors + 2, 'the last descriptor\'s end');
});

test('answers that nobody reads, and clients that nobody closes, are collected', limit, async () => {
  const before = raw.x402_live_handles();
  const { Client } = require('../lib/index.js');
  for (let index = 0; index < 20; index++) await new Client().send({ url: url(server, '/big') });
  await until(() => {
    collect();
    return raw.x402_live_handles() === before;
  }, 'the collection');
});

test(`${TOGETHER} requests of 200 ms are answered together`, { timeout: SOAK_LIMIT_MS }, async (t) => {
  const fetch = server.fetch();
  const get = () => fetch(url(server, '/slow')).then((response) => response.text());
  await get();
  const begun = performance.now();
  await Promise.all(Array.from({ length: TOGETHER }, get));
  const took = performance.now() - begun;
  t.diagnostic(`${Math.round(took)} ms`);
  assert.ok(took < TOGETHER_MAX_MS, `${took} ms`);
});

test('idle streams of many clients keep nobody else waiting', limit, async () => {
  const streams = await Promise.all(Array.from({ length: 8 }, () => server.fetch()(url(server, '/stalls'))));
  const readings = streams.map((response) => response.text());
  assert.match(await (await server.fetch()(url(server, '/weather'))).text(), /sunny/);
  await fs.promises.readFile(__filename);
  await server.release();
  for (const text of await Promise.all(readings)) assert.equal(text.length > 900, true);
});

test('calls that wait for a full queue are all made', limit, async () => {
  const fetch = server.fetch({ settings: { queue_threads: 2, queue_backlog: 2 } });
  const texts = await Promise.all(Array.from({ length: 50 }, () => fetch(url(server, '/free')).then((response) => response.text())));
  assert.deepEqual(new Set(texts), new Set(['free']));
});

test('progress and approval of many calls at once', addonOnly, async () => {
  const fetch = server.fetch({ policy: { approve: async () => true, budget: { amount: '1000 USD' } } });
  const upload = async (index) => {
    let sent = 0;
    const response = await fetch(url(server, '/upload'), { method: 'POST', body: `upload ${index}`,
      x402: { onProgress: async (now) => { sent = Math.max(sent, now.sent); } } });
    assert.equal((await response.json()).length, `upload ${index}`.length);
    assert.equal(sent, `upload ${index}`.length);
  };
  await Promise.all(Array.from({ length: 100 }, (_, index) => upload(index)));
  assert.equal(backend, 'addon');
});
