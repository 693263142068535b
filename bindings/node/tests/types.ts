/* types.ts: a program that uses every option, and lines that must not compile. tests/types.test.js gives it to tsc; nobody
 * runs it. */
import OpenAI from 'openai';
import { Body, Client, Payment, X402Error, backend, createFetch, paymentOf } from 'x402-native';
import type { Answer, ClientOptions, Entry, Money, Offer, PayingFetch, PaymentRecord, Quote, Total } from 'x402-native';
import { output, raw } from 'x402-native/raw';

const options: ClientOptions = {
  wallet: {
    evmKey: ['0x01', '0x02'],
    solanaKey: 'key',
    mnemonic: [{ phrase: 'words' }, { family: 'solana', phrase: 'words', passphrase: 'more', path: "m/44'/501'/0'/0'" }],
    keyfile: { path: 'key.json', password: 'secret' },
    signer: [
      {
        address: '0x03',
        sign: async (kind, message) => (kind === 'evm-typed-data' ? `0x${message.primaryType}` : message.subarray(0, 32)),
      },
      { family: 'eip155-contract', address: '0x04', sign: () => 'other-kind' },
      { family: 'solana', address: 'A', sign: (kind, message) => message },
    ],
  },
  policy: {
    maxPerPayment: '0.10 USD',
    budget: [{ amount: '1.00 USD' }, { scope: 'host', windowSeconds: 86400, amount: '0.50 USD' }],
    allow: {
      network: ['eip155:8453'], asset: '*', payee: '0x05', host: '*.example.com', scheme: 'exact', plain_http_host: 'a.example',
      approval: 'unlimited', receipt: 'upto', deposit: '5.00 USD',
    },
    prefer: { network: 'eip155:*', scheme: ['exact'], asset: 'USDC' },
    approve: async (offer: Offer) => offer.usd !== null && Number(offer.usd) < 0.05,
  },
  ledger: 'ledger.db',
  settings: {
    total_timeout_ms: 10_000, expect_continue: 'never', decompress: true, retry_policy: 3, tls_min: '1.3', proxy: 'http://a',
    deny_private_addresses: 'true', queue_threads: '64',
  },
  log: (level, line) => console.log(level.toFixed(), line.trim()),
};

async function withFetch(): Promise<Money | undefined> {
  const fetch: PayingFetch = createFetch(options);
  const other: typeof globalThis.fetch = createFetch(new Client());
  const openai = new OpenAI({ apiKey: 'none', fetch });
  await openai.models.list();
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(1);
  }
  const response = await fetch(new URL('http://a/'), {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: pieces(),
    duplex: 'half',
    signal: AbortSignal.timeout(1000),
    redirect: 'manual',
    x402: { settings: { prepay: true }, purchaseKey: 'report 7', onProgress: ({ sent, sendTotal }) => (sent > (sendTotal ?? 0) ? 1 : 0) },
  });
  await fetch('http://a/', { method: 'POST', x402: { file: 'report.bin', onProgress() {} } });
  await other(new Request('http://a/'));
  const paid = paymentOf(response);
  const record: PaymentRecord | null | undefined = paid?.payment;
  console.log(record?.amount, record?.details.receipt?.['transaction'], record?.details['charged']);
  fetch.client.close();
  return paid?.money;
}

async function withClient(client: Client): Promise<void> {
  const answer: Answer = await client.send({
    method: 'POST',
    url: 'http://a/',
    headers: new Headers({ a: 'b' }),
    body: new Body(async function* () { yield Buffer.from('bytes'); }, { again: true, length: 5 }),
    settings: { purchase_key: 'one' },
    onProgress: async ({ received, receiveTotal }) => console.log(received, receiveTotal),
    signal: new AbortController().signal,
  });
  for await (const bytes of answer) console.log(bytes.length);
  const next: Uint8Array | null = await answer.read();
  answer.close();
  for (const [name, value] of answer.headers) console.log(name, value, answer.status, answer.url, next);
  for (const body of ['text', new Uint8Array(1), { file: 'report.bin' }, null]) await client.send({ url: 'http://a/', body });
  const quote: Quote = await client.quote({ url: 'http://a/', headers: [['a', 'b']] });
  console.log(quote.chosen !== null && quote.offers[quote.chosen]?.rules[0]?.verdict, quote.offers[0]?.amount.length);
  const payment: Payment = await client.pay({ url: 'http://a/' }, { status: 402, headers: new Headers(), body: '{}' });
  const money: Money = payment.settle(200, [['payment-response', 'a']]);
  console.log(payment.headerName, payment.headerValue, payment.record.money, money);
  payment.close();
  const totals: Total[] = client.totals();
  const entries: Entry[] = client.entries({ afterId: 1, limit: 10 });
  for (const { id, state } of client.unsettled()) if (state === 'unknown') client.abandon(id);
  console.log(totals, entries, client.addresses.eip155[0], client.addresses.solana.length, backend === 'addon');
  client.close();
}

function whatFailed(error: unknown): string {
  if (!(error instanceof TypeError) || !(error.cause instanceof X402Error)) throw error;
  const { code, money, retry, callbackValue, payment } = error.cause;
  if (code === 'X402_ERROR_TIMEOUT' && money === 'unknown' && retry === 'same-bytes') return payment?.transaction ?? '';
  return `${callbackValue} ${new X402Error('mine', { code: 'X402_ERROR_CALLBACK', money: 'none' }).message}`;
}

function underTheirOwnNames(): string {
  const error = output();
  raw.x402_config_new?.(output(), error);
  raw.x402_client_send?.later(1, 2, output(), error, (status: number) => console.log(status));
  return raw.name;
}

function misuse(fetch: PayingFetch, client: Client, error: X402Error): void {
  // @ts-expect-error a limit, misspelt
  createFetch({ policy: { maxPerPaymnt: '0.10 USD' } });
  // @ts-expect-error an amount is text with its unit
  createFetch({ policy: { maxPerPayment: 0.1 } });
  // @ts-expect-error no such option
  createFetch({ budget: '1.00 USD' });
  // @ts-expect-error no such scope
  createFetch({ policy: { budget: { scope: 'day', amount: '1.00 USD' } } });
  // @ts-expect-error a budget without an amount
  createFetch({ policy: { budget: { scope: 'all' } } });
  // @ts-expect-error nothing of that kind can be allowed
  createFetch({ policy: { allow: { chain: 'eip155:1' } } });
  // @ts-expect-error a payee is not preferred
  createFetch({ policy: { prefer: { payee: '0x05' } } });
  // @ts-expect-error only true pays, and text is not true
  createFetch({ policy: { approve: () => 'yes' } });
  // @ts-expect-error no such setting
  createFetch({ settings: { timeout_ms: 1 } });
  // @ts-expect-error not a value of that setting
  createFetch({ settings: { expect_continue: true } });
  // @ts-expect-error no such family
  createFetch({ wallet: { mnemonic: { family: 'cosmos', phrase: 'words' } } });
  // @ts-expect-error a signer without an address
  createFetch({ wallet: { signer: { sign: () => '0x' } } });
  // @ts-expect-error a Solana signer is asked for no typed data
  createFetch({ wallet: { signer: { family: 'solana', address: 'A', sign: (kind: 'evm-typed-data') => kind } } });
  // @ts-expect-error of a client, not of one request
  fetch('http://a/', { x402: { settings: { proxy: 'http://a' } } });
  // @ts-expect-error the name in JavaScript is purchaseKey
  fetch('http://a/', { x402: { purchase_key: 'one' } });
  // @ts-expect-error a request needs a URL
  client.send({ method: 'POST' });
  // @ts-expect-error a plain object is no body
  client.send({ url: 'http://a/', body: { json: 1 } });
  // @ts-expect-error made by client.pay() alone
  new Payment();
  // @ts-expect-error no such code
  console.log(error.code === 'X402_ERROR_TIME_OUT');
  // @ts-expect-error money is never true or false
  console.log(error.money === true);
  // @ts-expect-error a response of another fetch has none
  console.log(paymentOf(new Response()).money);
}

export { misuse, underTheirOwnNames, whatFailed, withClient, withFetch };
