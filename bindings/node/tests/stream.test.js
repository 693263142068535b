'use strict';
/* stream.test.js: bytes up and down, each as soon as it is there, none lost, and progress told on the way. */
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { paymentOf } = require('../lib/index.js');
const { addonOnly, assert, limit, serve, test, url } = require('./support.js');

const UPLOAD_BYTES = 3_000_000;
const server = serve();
const content = Buffer.from(Array.from({ length: UPLOAD_BYTES }, (_, index) => index % 251));
const digest = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');

/* As many pieces as it takes, each only when it is asked for. */
function streamOf(bytes, piece = 70_001) {
  let at = 0;
  return new ReadableStream({ pull(controller) {
    if (at >= bytes.length) return controller.close();
    controller.enqueue(bytes.subarray(at, at += piece));
  } });
}

test('bytes are not held back, and not one is lost', limit, async () => {
  const fetch = server.fetch();
  const reader = (await fetch(url(server, '/stalls'))).body.getReader();
  let length = 0;
  while (length < 495) length += (await reader.read()).value.length;
  assert.ok(length <= 500, 'what the server has not sent yet is not here');
  await server.release();
  for (let part; !(part = await reader.read()).done;) length += part.value.length;
  assert.equal(length, 1000);
  const big = Buffer.from(await (await fetch(url(server, '/big'))).arrayBuffer());
  assert.ok(big.equals(content));
});

test('a stream that breaks off is an error, also for who reads it to its end at once', limit, async () => {
  const response = await server.fetch()(url(server, '/breaks-off'));
  await assert.rejects(response.text(), (error) => error instanceof TypeError && error.cause.code === 'X402_ERROR_CONNECTION_LOST');
});

test('a stream goes up, is paid for, and comes back', limit, async () => {
  const fetch = server.fetch();
  const sent = await fetch(url(server, '/upload'), { method: 'POST', duplex: 'half', body: streamOf(content) });
  assert.equal(paymentOf(sent).money, 'paid');
  assert.equal((await sent.json()).sha256, digest(content));
  const echoed = await fetch(url(server, '/echo'), { method: 'POST', duplex: 'half', body: streamOf(content) });
  assert.ok(Buffer.from(await echoed.arrayBuffer()).equals(content));
});

test('other bodies: bytes, text, forms of a URL, blobs, iterables, files', limit, async () => {
  const fetch = server.fetch();
  const file = path.join(server.folder, 'upload');
  fs.writeFileSync(file, content);
  const large = new Blob([content, content, content, content]);
  async function* pieces() {
    yield content.subarray(0, 10);
    yield content.subarray(10);
  }
  const bodies = [
    [{ body: content }, content], [{ body: 'text' }, 'text'], [{ body: content.buffer.slice(0, 10) }, content.subarray(0, 10)],
    [{ body: new URLSearchParams({ a: '1 2' }) }, 'a=1+2'], [{ body: new Blob(['blob']) }, 'blob'],
    [{ body: large }, Buffer.concat([content, content, content, content])], [{ body: pieces(), duplex: 'half' }, content],
    [{ x402: { file } }, content], [{}, ''],
  ];
  for (const [init, expected] of bodies) {
    const response = await fetch(url(server, '/upload'), { method: 'POST', ...init });
    const { sha256, length } = await response.json();
    assert.equal(paymentOf(response).money, 'paid');
    assert.deepEqual([sha256, length], [digest(expected), Buffer.byteLength(expected)]);
  }
  await assert.rejects(fetch(url(server, '/upload'), { method: 'POST', body: 'x', x402: { file } }), /init\.body is another/);
  await assert.rejects(fetch(url(server, '/upload'), { x402: { file } }), /GET/);
  await assert.rejects(fetch(url(server, '/free'), { x402: { purchase_key: 'misspelt' } }), /knows no option purchase_key/);
});

test('progress is told for what goes up and what comes down', addonOnly, async () => {
  const fetch = server.fetch();
  const told = [];
  const onProgress = (now) => { told.push(now); };
  for (const body of [content, streamOf(content), new Blob([content])]) {
    told.length = 0;
    const response = await fetch(url(server, '/upload'), { method: 'POST', duplex: 'half', body, x402: { onProgress } });
    await response.text();
    const last = told.at(-1);
    assert.equal(last.sent, UPLOAD_BYTES);
    assert.ok(last.received > 0 && told.length > 2);
    assert.equal(last.sendTotal, UPLOAD_BYTES);
    assert.equal(told[0].sendTotal, body instanceof ReadableStream ? undefined : UPLOAD_BYTES);
  }
  const stopped = fetch(url(server, '/echo'), { method: 'POST', body: content, x402: { onProgress: ({ sent }) => (sent ? 42 : 0) } });
  await assert.rejects(stopped, ({ cause }) => cause.code === 'X402_ERROR_CALLBACK' && cause.callbackValue === 42);
});

test('what a source throws is why the call failed, and a source that is not needed is let go', addonOnly, async () => {
  const fetch = server.fetch();
  const failing = new ReadableStream({ pull() { throw new RangeError('the camera is off'); } });
  await assert.rejects(fetch(url(server, '/echo'), { method: 'POST', duplex: 'half', body: failing }), ({ cause }) =>
    cause.code === 'X402_ERROR_BODY_CALLBACK' && cause.cause instanceof RangeError);
  const texts = new ReadableStream({ pull(controller) { controller.enqueue('text'); } });
  await assert.rejects(fetch(url(server, '/echo'), { method: 'POST', duplex: 'half', body: texts }), TypeError);
});
