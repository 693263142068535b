'use strict';
/* ledger.test.js: what was promised outlives the client, in a file and in memory, and what a repeat of a purchase presents. */
const path = require('node:path');
const { assert, limit, serve, test, url } = require('./support.js');

const server = serve();

test('a file keeps totals and entries for the next client, and its budgets', limit, async () => {
  const ledger = path.join(server.folder, 'ledger');
  const policy = { budget: { amount: '0.015 USD' } };
  const first = server.client({ ledger, policy });
  assert.deepEqual(first.totals(), []);
  (await first.send({ url: url(server, '/weather') })).close();
  first.close();
  const second = server.client({ ledger, policy });
  assert.equal(second.totals().find(({ scope }) => scope === 'all').usd, '0.01');
  const entries = second.entries();
  assert.equal(entries.length, 1);
  assert.equal(entries[0].state, 'paid');
  assert.deepEqual(second.entries({ afterId: entries[0].id }), []);
  const refused = await second.send({ url: url(server, '/weather') });
  refused.close();
  assert.equal(refused.money, 'refused');
  assert.throws(() => first.totals(), /was closed/);
});

test('what is unsettled is presented again, and is paid once', limit, async () => {
  const client = server.client({ ledger: '' });
  const request = { url: url(server, '/lost'), settings: { purchase_key: 'a report' } };
  const earlier = await server.settled();
  await assert.rejects(client.send(request), { money: 'unknown', retry: 'same-bytes' });
  assert.deepEqual(client.unsettled().map(({ state }) => state), ['unknown']);
  const answer = await client.send(request);
  answer.close();
  assert.equal(answer.status, 200);
  assert.equal(await server.settled(), earlier + 1);
});

test('what is unsettled can be given up', limit, async () => {
  const client = server.client({ ledger: '' });
  await assert.rejects(client.send({ url: url(server, '/gone') }), { money: 'unknown', retry: 'same-bytes' });
  const [open] = client.unsettled();
  assert.equal(open.state, 'unknown');
  assert.deepEqual(client.unsettled({ afterId: open.id }), []);
  assert.equal(client.totals().find(({ scope }) => scope === 'all').usd, '0.01');
  client.abandon(open.id);
  assert.deepEqual([client.unsettled(), client.totals()], [[], []]);
  assert.throws(() => client.abandon(open.id), { code: 'X402_ERROR_ARGUMENT' });
});

test('without a ledger of its own a client says how to get one', limit, () => {
  const client = server.client();
  assert.throws(() => client.totals(), /give it \{ledger: path\}/);
  assert.throws(() => client.abandon(1), /give it \{ledger: path\}/);
  assert.throws(() => server.client({ ledger: path.join(server.folder, 'no/such/folder') }), { code: 'X402_ERROR_LEDGER' });
});

test('a quote pays nothing, and says what each rule makes of it', limit, async () => {
  const client = server.client({ ledger: '' });
  const earlier = await server.settled();
  const quote = await client.quote({ url: url(server, '/weather') });
  assert.match(JSON.stringify(quote), /10000/);
  assert.match(JSON.stringify(await client.quote({ url: url(server, '/expensive') })), /max_per_payment|1\.00 USD|refus/i);
  await assert.rejects(client.quote({ url: 'no url' }), { code: 'X402_ERROR_URL', money: 'none' });
  assert.equal(await server.settled(), earlier);
  assert.deepEqual(client.totals(), []);
});

test('a 402 that another HTTP client got is paid for, and its receipt read', limit, async () => {
  const client = server.client({ ledger: '' });
  const challenge = await globalThis.fetch(url(server, '/weather'));
  const body = Buffer.from(await challenge.arrayBuffer());
  const request = { url: url(server, '/weather'), settings: { purchase_key: 'for another' } };
  const payment = await client.pay(request, { status: 402, headers: challenge.headers, body });
  assert.equal(payment.record.money, 'unknown');
  const paid = await globalThis.fetch(url(server, '/weather'), { headers: { [payment.headerName]: payment.headerValue } });
  assert.equal(paid.status, 200);
  assert.equal(payment.settle(paid.status, paid.headers), 'paid');
  assert.equal(payment.record.money, 'paid');
  assert.notEqual(payment.record.transaction, '');
  assert.ok(!JSON.stringify(payment.record).includes(payment.headerValue));
  payment.close();
  payment.close();
  assert.throws(() => payment.record, /was closed/);
  await paid.arrayBuffer();
  await assert.rejects(client.pay(request, { status: 200, headers: [] }), { code: 'X402_ERROR_ARGUMENT' });
});
