'use strict';
/* wallet.test.js: keys of every form, several at once, signers, and the caller's own word: what pays, and what does not. */
const crypto = require('node:crypto');
const dns = require('node:dns/promises');
const fs = require('node:fs');
const path = require('node:path');
const secp256k1 = require('./secp256k1.js');
const { ADDRESS, KEY, PHRASE, SOLANA_KEY, addonOnly, assert, limit, serve, test, url } = require('./support.js');

const SECOND_KEY = '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d';
const SECOND_ADDRESS = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
/* The key pair of the seed 01 02 ... 20. */
const SOLANA_SEED = Buffer.from(Array.from({ length: 32 }, (_, index) => index + 1));
const SOLANA_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

const server = serve();

async function pays(options, route = '/weather') {
  const client = server.client(options);
  const answer = await client.send({ url: url(server, route) });
  answer.close();
  assert.equal(answer.money, 'paid', answer.payment?.refusal);
  return { ...answer.payment, addresses: client.addresses };
}

/* The test vector of Web3 Secret Storage, version 3. */
const KEYSTORE = {
  crypto: {
    cipher: 'aes-128-ctr',
    cipherparams: { iv: '6087dab2f9fdbbfaddc31a909735c1e6' },
    ciphertext: '5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46',
    kdf: 'pbkdf2',
    kdfparams: { c: 262144, dklen: 32, prf: 'hmac-sha256', salt: 'ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd' },
    mac: '517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2',
  },
  id: '3198bc9c-6672-5ab3-d995-4942343ae5b6',
  version: 3,
};
const KEYSTORE_PASSWORD = 'testpassword';
const KEYSTORE_ADDRESS = '0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b';

test('a phrase gives the keys of both families', limit, async () => {
  const { addresses } = await pays({ wallet: { mnemonic: { phrase: PHRASE } } });
  assert.deepEqual(addresses.eip155, [ADDRESS]);
  const second = await pays({ wallet: { mnemonic: { phrase: PHRASE, path: "m/44'/60'/0'/0/1" } } });
  assert.deepEqual(second.addresses.eip155, [SECOND_ADDRESS]);
  const solana = await pays({ wallet: { mnemonic: { family: 'solana', phrase: PHRASE, passphrase: 'more' } } }, '/solana');
  assert.equal(solana.addresses.solana.length, 1);
  assert.throws(() => server.client({ wallet: { mnemonic: { family: 'cosmos', phrase: PHRASE } } }), /not cosmos/);
  assert.throws(() => server.client({ wallet: { mnemonic: { phrase: `${PHRASE} junk` } } }),
    (error) => error.code === 'X402_ERROR_KEY' && !error.message.includes('junk'));
});

test('a key comes out of a file that is its owner\'s alone', limit, async () => {
  const file = path.join(server.folder, 'solana.json');
  const publicKey = crypto.createPublicKey(crypto.createPrivateKey({
    key: Buffer.concat([SOLANA_PKCS8, SOLANA_SEED]), format: 'der', type: 'pkcs8' })).export({ format: 'der', type: 'spki' });
  fs.writeFileSync(file, JSON.stringify([...SOLANA_SEED, ...publicKey.subarray(-32)]), { mode: 0o600 });
  await pays({ wallet: { keyfile: { path: file } } }, '/solana');
  fs.chmodSync(file, 0o644);
  assert.throws(() => server.client({ wallet: { keyfile: { path: file } } }), { code: 'X402_ERROR_KEY' });
});

test('a keystore opens with its password, and no other', limit, async () => {
  const file = path.join(server.folder, 'keystore.json');
  fs.writeFileSync(file, JSON.stringify(KEYSTORE), { mode: 0o600 });
  const { addresses } = await pays({ wallet: { keyfile: { path: file, password: KEYSTORE_PASSWORD } } });
  assert.deepEqual(addresses.eip155, [KEYSTORE_ADDRESS]);
  assert.throws(() => server.client({ wallet: { keyfile: { path: file, password: 'wrong' } } }), { code: 'X402_ERROR_KEY' });
});

test('several wallets at once, and one of them named', limit, async () => {
  const wallet = { evmKey: [KEY, SECOND_KEY], solanaKey: SOLANA_KEY };
  const first = await pays({ wallet });
  assert.deepEqual(first.addresses.eip155, [ADDRESS, SECOND_ADDRESS]);
  assert.equal(first.details.payer, ADDRESS);
  const named = await pays({ wallet, settings: { payer: SECOND_ADDRESS } });
  assert.equal(named.details.payer, SECOND_ADDRESS);
  assert.match((await pays({ wallet }, '/solana')).network, /^solana:/);
});

test('what is preferred weighs more than the price, and what is not allowed is not paid', limit, async () => {
  assert.equal((await pays({}, '/choice')).network, 'eip155:84532');
  assert.equal((await pays({ policy: { prefer: { network: 'eip155:8453' } } }, '/choice')).network, 'eip155:8453');
  assert.equal((await pays({ policy: { prefer: { network: ['solana:*', 'eip155:8453'], scheme: 'exact' } } }, '/choice')).network,
    'eip155:8453');
  assert.equal((await pays({ policy: { allow: { network: ['eip155:8453'] } } }, '/choice')).network, 'eip155:8453');
  const refused = await server.client({ policy: { allow: { network: ['eip155:1'] } } }).send({ url: url(server, '/choice') });
  refused.close();
  assert.equal(refused.money, 'refused');
  const budget = server.client({ policy: { budget: { windowSeconds: 3600, amount: '0.015 USD' } } });
  for (const money of ['paid', 'refused']) {
    const answer = await budget.send({ url: url(server, '/weather') });
    answer.close();
    assert.equal(answer.money, money);
  }
});

/* A signer that has to ask elsewhere before it answers. */
function kms(seen = []) {
  return { address: ADDRESS, sign: async (kind, message) => {
    seen.push(kind);
    if (kind === 'evm-typed-data') {
      assert.equal(message.primaryType, 'TransferWithAuthorization');
      return 'other-kind';
    }
    await dns.lookup('localhost');
    await fs.promises.readFile(__filename);
    return secp256k1.sign(KEY, message);
  } };
}

test('signers elsewhere pay, EVM and Solana', addonOnly, async () => {
  const seen = [];
  await pays({ wallet: { signer: kms(seen) } });
  assert.deepEqual(seen, ['evm-typed-data', 'evm-digest']);
  const key = crypto.createPrivateKey({ key: Buffer.concat([SOLANA_PKCS8, SOLANA_SEED]), format: 'der', type: 'pkcs8' });
  const { addresses: { solana: [address] } } = server.client({ wallet: { solanaKey: SOLANA_KEY } });
  await pays({ wallet: { signer: { family: 'solana', address, sign: (kind, message) => crypto.sign(null, message, key) } } },
    '/solana');
  const hexadecimal = kms();
  const { sign } = hexadecimal;
  hexadecimal.sign = async (...asked) => {
    const signature = await sign(...asked);
    return typeof signature === 'string' ? signature : `0x${signature.toString('hex')}`;
  };
  await pays({ wallet: { signer: hexadecimal } });
});

test('signers and readers that need libuv\'s threads do not wait for each other', addonOnly, async () => {
  const client = server.client({ wallet: { signer: kms() } });
  const challenge = await globalThis.fetch(url(server, '/weather'));
  const body = await challenge.text();
  const payments = await Promise.all(Array.from({ length: 8 }, (_, index) => client.pay(
    { url: url(server, '/weather'), settings: { purchase_key: `at once ${index}` } },
    { status: challenge.status, headers: challenge.headers, body })));
  for (const payment of payments) {
    assert.equal(payment.headerName, 'PAYMENT-SIGNATURE');
    payment.close();
  }
});

test('a signer that fails refuses, and says so', addonOnly, async () => {
  const lines = [];
  const failing = [
    () => { throw new Error('the HSM burns'); },
    async () => { throw new Error('the HSM burns'); },
    async () => 'no hexadecimal',
    async () => Buffer.alloc(5000),
    async () => Buffer.alloc(64, 1),
  ];
  for (const sign of failing) {
    const client = server.client({ wallet: { signer: { address: ADDRESS, sign } }, log: (level, line) => lines.push(line) });
    const answer = await client.send({ url: url(server, '/weather') });
    answer.close();
    assert.equal(answer.status, 402);
    assert.equal(answer.money, 'refused');
  }
  assert.equal(lines.filter((line) => line.includes('the HSM burns')).length, 2);
  assert.ok(lines.every((line) => !line.includes(KEY.slice(2))));
});

test('approve is asked with the offer, and only true pays', addonOnly, async () => {
  const offers = [];
  const answers = [[true, 'paid'], [Promise.resolve(true), 'paid'], [false, 'refused'], [0, 'refused'], [7, 'refused'],
    [undefined, 'refused'], ['yes', 'refused']];
  for (const [answer, money] of answers) {
    const client = server.client({ policy: { approve: (offer) => {
      offers.push(offer);
      return answer;
    } } });
    const paid = await client.send({ url: url(server, '/weather') });
    paid.close();
    assert.equal(paid.money, money, String(answer));
    if (answer === 7) assert.match(paid.payment.refusal, /7/);
  }
  assert.equal(offers.length, answers.length);
  assert.equal(offers[0].amount, '10000');
});

test('what approve throws refuses, and is not lost', addonOnly, async () => {
  const warned = new Promise((resolve) => { process.once('warning', resolve); });
  const client = server.client({ policy: { approve: () => { throw new Error('nobody is at the desk'); } } });
  const answer = await client.send({ url: url(server, '/weather') });
  answer.close();
  assert.equal(answer.money, 'refused');
  assert.match((await warned).message, /nobody is at the desk/);
});
