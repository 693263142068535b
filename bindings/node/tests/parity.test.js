'use strict';
/* parity.test.js: every function of the header is in both back ends, and a program reaches it through the public interface. */
const fs = require('node:fs');
const path = require('node:path');
const { Body, createFetch } = require('../lib/index.js');
const { read, table } = require('../src/generate.js');
const { ADDRESS, KEY, PHRASE, SOLANA_KEY, assert, backend, limit, raw, serve, test, url } = require('./support.js');

/* Functions that the package has no use for, each with its reason. */
const LEFT_OUT = {
  x402_client_get: 'x402_queue_send says the same and more',
  x402_client_post: 'x402_queue_send says the same and more',
  x402_client_send: 'it would stop the program; x402_queue_send does not',
  x402_client_pay: 'x402_client_pay_request says which purchase it is, too',
  x402_error_status: 'the call that failed gave it already',
  x402_response_header: 'an object of all headers is made by x402_response_header_at',
  x402_response_read_all: 'answers are read piece by piece; Response.text() puts them together',
  x402_response_each: 'answers are read piece by piece',
  x402_queue_wait: 'it would stop the program; its loop waits for x402_queue_fd',
};
/* Without callbacks there are none of these; what they are for is told by fetch.test.js. */
const NEED_CALLBACKS = {
  x402_config_log: 'a function of the program\'s',
  x402_policy_approve: 'a function of the program\'s',
  x402_request_body_reader: 'a function of the program\'s',
  x402_request_progress: 'a function of the program\'s',
  x402_wallet_add_signer: 'a function of the program\'s',
};
/* Functions of the addon's own that call these in C. */
const IN_C = {
  headers_of: ['x402_response_header_count', 'x402_response_header_at'],
  record_of: ['amount', 'asset', 'network', 'payee', 'transaction', 'refusal', 'json', 'money'].map((one) => `x402_payment_${one}`),
};

const server = serve();
const called = new Set();

/* What a program does with a client, all of it once. */
async function everything() {
  const hasCallbacks = backend === 'addon';
  const keyfile = path.join(server.folder, 'key.json');
  const file = path.join(server.folder, 'body');
  fs.writeFileSync(keyfile, JSON.stringify([...Buffer.alloc(32, 1), ...Buffer.from(
    '8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c', 'hex')]), { mode: 0o600 });
  fs.writeFileSync(file, 'abc');
  const client = server.client({
    wallet: { evmKey: KEY, solanaKey: SOLANA_KEY, keyfile: { path: keyfile },
      mnemonic: [{ phrase: PHRASE, path: 'm/44\'/60\'/0\'/0/1' }, { family: 'solana', phrase: PHRASE }],
      signer: hasCallbacks ? { address: `0x${'11'.repeat(20)}`, sign: () => 'other-kind' } : [] },
    policy: { maxPerPayment: '1.00 USD', budget: { amount: '2.00 USD' }, allow: { network: '*' }, prefer: { scheme: 'exact' },
      ...(hasCallbacks && { approve: () => true }) },
    ledger: '',
    settings: { user_agent: 'parity' },
    ...(hasCallbacks && { log: () => {} }),
  });
  assert.equal(client.addresses.eip155[0], ADDRESS);
  const answer = await client.send({ method: 'POST', url: url(server, '/upload'), headers: [['X-One', 'one']], body: 'abc',
    settings: { purchase_key: 'parity' }, ...(hasCallbacks && { onProgress: () => 0 }) });
  for await (const bytes of answer) assert.ok(bytes.length);
  assert.equal(answer.payment.details.payer, ADDRESS);
  for await (const bytes of await client.send({ url: url(server, '/free') })) assert.equal(String(Buffer.from(bytes)), 'free');
  (await client.send({ method: 'POST', url: url(server, '/upload'), body: { file } })).close();
  if (hasCallbacks) (await client.send({ method: 'POST', url: url(server, '/echo'), body: new Body(async function* one() { yield Buffer.from('a'); }) })).close();
  const abort = new AbortController();
  const held = client.send({ url: url(server, '/held'), signal: abort.signal });
  const priced = client.quote({ url: url(server, '/held'), signal: abort.signal });
  setImmediate(() => abort.abort());
  // Both at once: either may be the first to fail.
  await Promise.all([held, priced].map((call) => assert.rejects(call, { code: 'X402_ERROR_CANCELLED' })));
  await client.quote({ url: url(server, '/weather') });
  const large = await client.send({ url: url(server, '/big') });
  assert.ok((await large.read()).length);
  large.close();
  const challenge = await globalThis.fetch(url(server, '/weather'));
  const payment = await client.pay({ url: url(server, '/weather') },
    { status: 402, headers: challenge.headers, body: await challenge.text() });
  const paid = await globalThis.fetch(url(server, '/weather'), { headers: { [payment.headerName]: payment.headerValue } });
  assert.equal(payment.settle(paid.status, paid.headers), 'paid');
  payment.close();
  await assert.rejects(client.send({ url: url(server, '/gone') }), { money: 'unknown' });
  client.entries();
  client.abandon(client.unsettled()[0].id);
  client.totals();
  client.close();
  createFetch({}).client.close();
}

test('functions.json is what the header says', limit, () => {
  const written = fs.readFileSync(path.join(__dirname, '../lib/functions.json'), 'utf8');
  assert.equal(written, table(read()), 'run node src/generate.js');
});

test('every function of the header is reached, or left out for a reason', limit, async () => {
  const names = read().map(({ name }) => name);
  assert.ok(names.length > 50);
  for (const name of [...names, ...Object.keys(IN_C)]) {
    const original = raw[name];
    assert.equal(typeof original, 'function', name);
    const counted = (...values) => { called.add(name); return original(...values); };
    if (original.later) counted.later = (...values) => { called.add(name); return original.later(...values); };
    raw[name] = counted;
  }
  raw.x402_version();
  raw.x402_abi_version();
  raw.x402_live_handles();
  await everything();
  for (const [name, inside] of Object.entries(IN_C)) if (called.has(name)) inside.forEach((one) => called.add(one));
  const leftOut = { ...LEFT_OUT, ...(backend === 'ffi-napi' && NEED_CALLBACKS) };
  assert.deepEqual(names.filter((name) => !called.has(name) && !leftOut[name]), [], 'reached by nothing');
  assert.deepEqual(Object.keys(leftOut).filter((name) => called.has(name) || !names.includes(name)), [], 'listed, and reached');
});
