'use strict';
/* money.test.js: where the money is, and which payment may be presented again, when a call ends in an unusual way. */
const { X402Error } = require('../lib/index.js');
const { assert, limit, serve, test, until, url } = require('./support.js');

const HELD_AT_BYTES = 495; // 500 on the wire, less the size of the chunk
const server = serve();
const cancelled = (money, retry) => (error) => error instanceof X402Error && error.code === 'X402_ERROR_CANCELLED' &&
  error.money === money && error.retry === retry;

test('a client that is closed during a paid call does not say that nothing was paid', limit, async () => {
  const client = server.client();
  const verified = async () => (await server.state()).payments_verified;
  const earlier = await verified();
  const sending = client.send({ url: url(server, '/paid-held') });
  const failed = assert.rejects(sending, cancelled('unknown', 'same-bytes'));
  await until(async () => await verified() > earlier, 'the payment');
  client.close();
  await failed;
  await server.release();
});

test('an answer that came when its client was closed says that it was paid', limit, async () => {
  const client = server.client();
  const earlier = await server.settled();
  const sending = client.send({ url: url(server, '/weather') });
  const failed = assert.rejects(sending, (error) => ['paid', 'unknown'].includes(error.money) && error.retry === 'same-bytes');
  // JavaScript's thread is kept busy until the answer waits to be taken.
  for (let turn = 0; turn < 100; turn++) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  client.close();
  await failed;
  assert.equal(await server.settled(), earlier + 1);
});

test('a read that a closed client ends leaves the money where it was', limit, async () => {
  const client = server.client();
  const answer = await client.send({ url: url(server, '/stalls') });
  for (let come = 0; come < HELD_AT_BYTES;) come += (await answer.read()).length;
  const failed = assert.rejects(answer.read(), cancelled('none', 'same-bytes'));
  client.close();
  await failed;
  await assert.rejects(answer.read(), cancelled('none', 'same-bytes'));
  await server.release();
});

test('an answer that broke off never ends as if it were whole', limit, async () => {
  const answer = await server.client().send({ url: url(server, '/breaks-off') });
  let length = 0;
  await assert.rejects(async () => {
    for (let part; (part = await answer.read());) length += part.length;
  }, { code: 'X402_ERROR_CONNECTION_LOST' });
  assert.equal(length, 50000);
  for (let again = 0; again < 3; again++) await assert.rejects(answer.read(), { code: 'X402_ERROR_CONNECTION_LOST' });
});

test('an answer that was closed before its end does not end as if it were whole, and is read by one at a time', limit, async () => {
  const client = server.client();
  const whole = await client.send({ url: url(server, '/free') });
  assert.equal((await whole.read()).length, 4);
  assert.equal(await whole.read(), null);
  assert.equal(await whole.read(), null);
  const closed = await client.send({ url: url(server, '/big') });
  const [first, second] = await Promise.allSettled([closed.read(), closed.read()]);
  assert.equal(first.status, 'fulfilled');
  assert.match(second.reason.message, /one read at a time/);
  closed.close();
  await assert.rejects(closed.read(), /closed before its end/);
});

test('a request that waits for a full queue can be cancelled, and was not sent', limit, async () => {
  const client = server.client({ settings: { queue_threads: 1, queue_backlog: 0 } });
  const first = client.send({ url: url(server, '/held') });
  const abort = new AbortController();
  const waiting = client.send({ url: url(server, '/weather'), signal: abort.signal });
  const failed = assert.rejects(waiting, cancelled('none', 'safe'));
  await until(async () => (await server.state()).requests_seen.some(({ target }) => target === '/held'), 'the first');
  abort.abort();
  await failed;
  const paid = await server.settled();
  const unsent = assert.rejects(client.send({ url: url(server, '/weather') }), cancelled('none', 'safe'));
  const underWay = assert.rejects(first, cancelled('unknown', 'same-bytes'));
  client.close();
  await Promise.all([unsent, underWay]);
  await server.release();
  assert.equal(await server.settled(), paid);
});

test('options that are misspelt are errors, for they may be limits', limit, () => {
  assert.throws(() => server.client({ polcy: { maxPerPayment: '0.01 USD' } }), /knows no option polcy/);
  assert.throws(() => server.client({ policy: { maxPerPaymnt: '0.01 USD' } }), /knows no option maxPerPaymnt/);
  assert.throws(() => server.client({ policy: { maxPerPayment: 'a lot' } }), { code: 'X402_ERROR_AMOUNT', money: 'none' });
});
