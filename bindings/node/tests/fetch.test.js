'use strict';
/* fetch.test.js: what a fetch that pays promises, against the paying server; run once for each back end. */
const { test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const OpenAI = require('openai');
const { X402Error, backend, createFetch, paymentOf } = require('../lib/index.js');
const { raw } = require('../lib/raw.js');

const KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80'; // the first test account of anvil
let server;
let base;
let fetch;

before(async () => {
  assert.equal(backend, process.env.X402_BACKEND, 'the back end that was asked for');
  server = spawn(process.env.X402_PAYING_SERVER, ['--openai'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = await once(server.stdout, 'data');
  base = line.toString().match(/listening (\S+)/)[1];
  fetch = createFetch({ wallet: { evmKey: KEY } });
});
after(() => {
  fetch.client.close();
  server.kill();
  assert.equal(raw.x402_live_handles(), 0, 'every handle was freed');
});

const chat = (content, more = {}) => ({ model: 'test-model', messages: [{ role: 'user', content }], ...more });
const settled = async () => (await (await globalThis.fetch(`${base}/_server/state`)).json()).payments_settled;
const openai = (path) => new OpenAI({ apiKey: 'none', baseURL: base + path, fetch });
const post = (path, content, more) =>
  fetch(`${base}${path}/chat/completions`, { method: 'POST', body: JSON.stringify(chat(content)), ...more });

test('a paid answer comes with its payment', async () => {
  const response = await post('/v1', 'a paid answer');
  assert.equal(response.status, 200);
  assert.match(await response.text(), /a paid answer/);
  assert.equal(paymentOf(response).money, 'paid');
  assert.equal(paymentOf(response).payment.amount, '10000');
});

test('the OpenAI SDK pays once a call, streamed or not', async () => {
  const earlier = await settled();
  const whole = await openai('/v1').chat.completions.create(chat('whole'));
  assert.match(whole.choices[0].message.content, /whole/);
  let text = '';
  for await (const part of await openai('/v1').chat.completions.create(chat('in pieces', { stream: true }))) {
    text += part.choices[0]?.delta?.content ?? '';
  }
  assert.match(text, /in pieces/);
  assert.equal(await settled(), earlier + 2);
});

for (const path of ['/lost/v1', '/busy/v1']) {
  test(`the OpenAI SDK pays once where ${path} makes it try again`, async () => {
    const earlier = await settled();
    const answer = await openai(path).chat.completions.create(chat(`again at ${path}`));
    assert.match(answer.choices[0].message.content, /again/);
    assert.equal(await settled(), earlier + 1);
  });
}

test('an offer above the limits is refused, and the 402 is handed over whole', async () => {
  const response = await post('/expensive/v1', 'too much');
  assert.equal(response.status, 402);
  assert.equal(paymentOf(response).money, 'refused');
  assert.notEqual(paymentOf(response).payment.refusal, '');
  await response.text();
});

test('a failure is a TypeError that says where the money is', async () => {
  await assert.rejects(fetch('http://127.0.0.1:1/'), (error) => error instanceof TypeError &&
    error.cause instanceof X402Error && error.cause.code === 'X402_ERROR_CONNECT' && error.cause.money === 'none');
});

test('an abort ends the reading of an answer', async () => {
  const abort = new AbortController();
  const response = await post('/held/v1', 'held '.repeat(300), { signal: abort.signal });
  const reading = response.text();
  setImmediate(() => abort.abort());
  await assert.rejects(reading, { name: 'AbortError' });
  await assert.rejects(post('/v1', 'never sent', { signal: abort.signal }), { name: 'AbortError' });
});

test('a stream is sent with the addon, and as bytes without', async () => {
  const pieces = [JSON.stringify(chat('streamed up')).slice(0, 9), JSON.stringify(chat('streamed up')).slice(9)];
  const body = new ReadableStream({
    pull: (controller) => (pieces.length ? controller.enqueue(Buffer.from(pieces.shift())) : controller.close()),
  });
  const response = await fetch(`${base}/v1/chat/completions`, { method: 'POST', duplex: 'half', body });
  assert.match(await response.text(), /streamed up/);
  assert.equal(paymentOf(response).money, 'paid');
});
