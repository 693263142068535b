/* index.d.ts: the types of what lib/index.js exports. The names of settings and errors are those of x402.h, and the options
 * are those that lib knows: tests/types.test.js compares them. */
/// <reference types="node" />

type OneOrMore<T> = T | readonly T[];
type Awaitable<T> = T | PromiseLike<T>;
type HeaderPairs = Iterable<readonly [string, string]>;

// ---- Where the money is

/** `none`: nothing was signed. `refused`: policy, budget or wallet declined. `unpaid`: signed, and proven not taken. `paid`: a
 * receipt says so. `unknown`: signed and perhaps sent; count it as spent. */
export type Money = 'none' | 'refused' | 'unpaid' | 'paid' | 'unknown';

/** What may be tried again without paying twice: nothing, the very same payment alone, new terms, or anything. */
export type Retry = 'never' | 'same-bytes' | 'new-quote' | 'safe';

/** One purchase: what was asked, signed and answered. Never a signature. Texts that are not known are "". */
export interface PaymentRecord {
  money: Money;
  /** In the asset's atomic units: "10000" is 0.01 of an asset with 6 decimals. */
  amount: string;
  asset: string;
  /** CAIP-2, such as "eip155:8453". */
  network: string;
  payee: string;
  transaction: string;
  /** Why nothing was paid. */
  refusal: string;
  details: PaymentDetails;
}

/** All that is known of a payment; what is not known is not there. */
export interface PaymentDetails {
  money?: Money;
  retry?: Retry;
  /** Atomic units that may settle yet although no receipt says so. */
  at_risk?: string;
  at_risk_usd?: string;
  /** Its id in the ledger. */
  entry?: number;
  scheme?: string;
  network?: string;
  asset?: string;
  amount?: string;
  payee?: string;
  payer?: string;
  transaction?: string;
  usd?: string;
  refusal?: string;
  note?: string;
  refusals?: Refusal[];
  /** As the server sent it. */
  receipt?: Record<string, unknown>;
  [more: string]: unknown;
}

export interface Refusal {
  /** The number of the offer in the server's list, from 0. */
  offer: number;
  scheme: string;
  network: string;
  reason: string;
}

/** The names of the statuses of x402.h. A newer library may have more of them: keep a default branch. */
export type ErrorCode =
  | 'X402_ERROR_ARGUMENT' | 'X402_ERROR_HANDLE' | 'X402_ERROR_URL' | 'X402_ERROR_METHOD' | 'X402_ERROR_HEADER'
  | 'X402_ERROR_KEY' | 'X402_ERROR_SETTING' | 'X402_ERROR_AMOUNT' | 'X402_ERROR_PATTERN' | 'X402_ERROR_BUSY'
  | 'X402_ERROR_FORKED' | 'X402_ERROR_BODY_CALLBACK' | 'X402_ERROR_BODY_LENGTH' | 'X402_ERROR_BODY_FILE'
  | 'X402_ERROR_CALLBACK' | 'X402_ERROR_RESOLVE' | 'X402_ERROR_CONNECT' | 'X402_ERROR_TLS' | 'X402_ERROR_TIMEOUT'
  | 'X402_ERROR_CANCELLED' | 'X402_ERROR_PROXY' | 'X402_ERROR_CONNECTION_LOST' | 'X402_ERROR_PROTOCOL'
  | 'X402_ERROR_REDIRECT' | 'X402_ERROR_ADDRESS_DENIED' | 'X402_ERROR_CONTENT_CODING' | 'X402_ERROR_CHALLENGE'
  | 'X402_ERROR_REFUSED' | 'X402_ERROR_SIGN' | 'X402_ERROR_REPLAY_LIMIT' | 'X402_ERROR_RESPONSE_LIMIT'
  | 'X402_ERROR_HEAD_LIMIT' | 'X402_ERROR_PANIC' | 'X402_ERROR_SYSTEM' | 'X402_ERROR_LEDGER';

/** Why a call failed, and where the money is. A fetch that fails has it as the `cause` of its TypeError. */
export class X402Error extends Error {
  constructor(message: string, known?: {
    code?: ErrorCode; money?: Money; retry?: Retry; callbackValue?: number; payment?: PaymentRecord | null; cause?: unknown;
  });
  readonly code: ErrorCode;
  readonly money: Money;
  readonly retry: Retry;
  /** What your own `onProgress` returned to stop the call; 0 if it did not. */
  readonly callbackValue: number;
  readonly payment: PaymentRecord | null;
}

// ---- Settings, as x402.h describes them

type Milliseconds = number | string;
type Bytes = number | string;
type Count = number | string;
type Switch = boolean | 'true' | 'false';

/** Those that may also be set for one request. */
export interface RequestSettings {
  connect_timeout_ms?: Milliseconds;
  first_byte_timeout_ms?: Milliseconds;
  idle_timeout_ms?: Milliseconds;
  total_timeout_ms?: Milliseconds;
  sign_timeout_ms?: Milliseconds;
  max_redirects?: Count;
  user_agent?: string;
  expect_continue?: 'auto' | 'always' | 'never';
  decompress?: Switch;
  replay_memory?: Bytes;
  replay_disk?: Bytes;
  replay_dir?: string;
  purchase_key?: string;
  retry_policy?: 'never' | 'same-bytes' | 'proven' | number | `${number}`;
  prepay?: Switch;
  sign_in?: Switch;
  builder_code?: string;
  v1_networks?: string;
}

export interface ClientSettings extends RequestSettings {
  proxy?: string;
  proxy_from_env?: Switch;
  ca_file?: string;
  ca_builtin?: Switch;
  ca_system?: Switch;
  client_cert_file?: string;
  client_key_file?: string;
  tls_min?: '1.2' | '1.3';
  pool_idle?: Count;
  pool_per_host?: Count;
  payer?: string;
  evm_rpc?: string;
  solana_rpc?: string;
  rpc_timeout_ms?: Milliseconds;
  queue_threads?: Count;
  queue_backlog?: Count;
  unix_socket?: string;
  deny_private_addresses?: Switch;
}

// ---- Wallet and policy

export interface Mnemonic {
  /** "eip155" unless said otherwise. */
  family?: 'eip155' | 'solana';
  phrase: string;
  passphrase?: string | null;
  path?: string | null;
}

export interface Keyfile {
  path: string;
  /** Of a keystore; none for a Solana key pair. */
  password?: string | null;
}

/** Bytes, or hexadecimal text; `other-kind` asks for another form of the same message. */
export type Signature = Uint8Array | string | 'other-kind';

/** What eth_signTypedData_v4 takes (EIP-712). */
export interface TypedData {
  domain: Record<string, unknown>;
  types: Record<string, { name: string; type: string }[]>;
  primaryType: string;
  message: Record<string, unknown>;
}

/** A key that stays elsewhere. What `sign` throws refuses the payment. Needs the addon. */
export interface EvmSigner {
  /** "eip155" unless said otherwise; "eip155-contract" for a smart wallet (ERC-1271). */
  family?: 'eip155' | 'eip155-contract';
  address: string;
  /** The digest is asked for after `other-kind` alone. */
  sign(...asked: [kind: 'evm-typed-data', message: TypedData] | [kind: 'evm-digest', message: Buffer]): Awaitable<Signature>;
}

/** The same for Solana: an ed25519 signature, always the same for the same message. */
export interface SolanaSigner {
  family: 'solana';
  address: string;
  sign(kind: 'solana-message', message: Buffer): Awaitable<Signature>;
}

export type Signer = EvmSigner | SolanaSigner;

export interface WalletOptions {
  evmKey?: OneOrMore<string>;
  solanaKey?: OneOrMore<string>;
  mnemonic?: OneOrMore<Mnemonic>;
  keyfile?: OneOrMore<Keyfile>;
  signer?: OneOrMore<Signer>;
}

export interface Budget {
  /** "all" unless said otherwise. */
  scope?: 'all' | 'purchase' | 'host' | 'payee';
  /** Seconds that the spending is summed over; 0, or nothing: for ever. */
  windowSeconds?: number;
  amount: string;
}

/** What a server asks. `symbol`, `decimals` and `usd` are those of a known asset. */
export interface Terms {
  offer: number;
  scheme: string;
  network: string;
  asset: string;
  symbol: string | null;
  decimals: number | null;
  amount: string;
  usd: string | null;
  payee: string;
  description: string | null;
  max_timeout_s: number;
  [more: string]: unknown;
}

/** The offer that `approve` is asked for. */
export interface Offer extends Terms {
  payer: string;
  method: string;
  url: string;
}

/** Names, "*", a beginning and "*" ("eip155:*"), or for hosts "*." and a domain. */
type Patterns = OneOrMore<string>;

/** Amounts are "0.10 USD", or atomic units and the asset: "10000 eip155:8453/erc20:0x8335…". */
export interface PolicyOptions {
  maxPerPayment?: OneOrMore<string>;
  budget?: OneOrMore<Budget>;
  /** The first rule of a kind makes it a list: only what is on it is paid. */
  allow?: {
    network?: Patterns; asset?: Patterns; payee?: Patterns; host?: Patterns; scheme?: Patterns;
    /** A host that may be paid over plain http, as otherwise only loopback may. */
    plain_http_host?: Patterns;
    approval?: 'unlimited';
    receipt?: 'upto';
    /** An amount: the most that one signature may deposit in a payment channel. */
    deposit?: OneOrMore<string>;
  };
  /** Earlier ones win over later ones, and any of them over the price. */
  prefer?: { network?: Patterns; scheme?: Patterns; asset?: Patterns };
  /** Asked last; only `true` pays. A number is named in the refusal. Needs the addon. */
  approve?(offer: Offer): Awaitable<boolean | number | undefined | void>;
}

export interface ClientOptions {
  wallet?: WalletOptions;
  policy?: PolicyOptions;
  /** A file, or "" for one in memory that can be read. */
  ledger?: string;
  settings?: ClientSettings;
  /** Levels: 1 error, 2 warning, 3 information, 4 detail. Needs the addon. */
  log?(level: number, line: string): void;
}

// ---- A client

export interface Progress {
  sent: number;
  /** Undefined while it is not known. */
  sendTotal: number | undefined;
  received: number;
  receiveTotal: number | undefined;
}

/** A number that is not 0 stops the call. Needs the addon. */
export type OnProgress = (progress: Progress) => Awaitable<number | undefined | void>;

/** Bytes from a source that is read when they are needed. Needs the addon. */
export class Body {
  /** `again`: `open` may be called once more, and gives the same bytes from their beginning. */
  constructor(open: () => AsyncIterable<Uint8Array>, options?: { again?: boolean; length?: number });
  readonly again: boolean;
  readonly length: number | undefined;
}

export interface RequestOptions {
  /** "GET" unless said otherwise. */
  method?: string;
  url: string;
  headers?: HeaderPairs;
  body?: string | NodeJS.ArrayBufferView | Body | { file: string } | null;
  settings?: RequestSettings;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** An answer of whatever status. Read it to its end, or close it. */
export interface Answer extends AsyncIterable<Uint8Array> {
  readonly status: number;
  /** After redirects. */
  readonly url: string;
  readonly headers: [string, string][];
  readonly money: Money;
  /** Null where nothing was asked. */
  readonly payment: PaymentRecord | null;
  /** The next bytes, as they come; null at the end, and at no other time. */
  read(): Promise<Uint8Array | null>;
  /** What was not read is lost. */
  close(): void;
}

export interface QuotedOffer extends Terms {
  verdict: 'payable' | 'refused';
  reason: string | null;
  rules: {
    rule: string; verdict: 'allowed' | 'refused' | 'not asked'; reason?: string; scope?: string; window_s?: number;
  }[];
}

export interface Quote {
  status: number;
  url: string;
  money: 'none';
  error?: string | null;
  /** The number of the offer that would be paid. */
  chosen: number | null;
  offers: QuotedOffer[];
  malformed?: Refusal[];
}

export interface Total {
  scope: 'all' | 'host' | 'payee' | 'channel';
  key: string;
  unit?: string;
  amount: string;
  usd?: string | null;
  [more: string]: unknown;
}

export interface Entry {
  id: number;
  state: 'open' | 'unknown' | 'paid' | 'released' | 'abandoned';
  in_flight: boolean;
  at_s: number;
  host: string;
  payee: string;
  unit: string;
  amount: string;
  counted: string;
  usd: string | null;
  payer: string;
  valid_before_s: number;
  named: boolean;
  turned_down: boolean;
  transaction: string;
  broke_off: boolean;
  [more: string]: unknown;
}

export interface Page {
  /** The last id of the page before. */
  afterId?: number;
  /** 10,000 at most. */
  limit?: number;
}

/** A payment for a request that another HTTP client sends, from `client.pay()`. */
export class Payment {
  private constructor();
  readonly headerName: string;
  /** Whoever has it can take the money: send it to the origin that asked and to nobody else, and keep it out of logs. */
  get headerValue(): string;
  get record(): PaymentRecord;
  /** Reads the receipt of what was answered; gives where the money is. */
  settle(status: number, headers: HeaderPairs): Money;
  /** One that was not settled counts as spent: its header may have been sent. */
  close(): void;
  [Symbol.dispose](): void;
}

export class Client {
  /** Without a policy: 1.00 USD a payment and 10.00 USD in all. */
  constructor(options?: ClientOptions);
  /** Of the wallet's keys, in the order in which they were given. */
  readonly addresses: { eip155: string[]; solana: string[] };
  /** Sends a request and waits for the head of the answer, paying on the way if need be. */
  send(request: RequestOptions): Promise<Answer>;
  /** What a request would cost, and what every rule says to it. Never pays. */
  quote(request: RequestOptions): Promise<Quote>;
  /** Signs for a 402 that another HTTP client got. Sends nothing. */
  pay(request: RequestOptions, answer: { status: number; headers: HeaderPairs; body?: string | Uint8Array }): Promise<Payment>;
  /** What counts by now. This and the following need the option `ledger`. */
  totals(): Total[];
  entries(page?: Page): Entry[];
  /** Entries whose outcome is open. */
  unsettled(page?: Page): Entry[];
  /** Gives up an entry that is unsettled. If its payment settles after all, it was paid twice. */
  abandon(id: number): void;
  /** Cancels what is under way and frees everything. */
  close(): void;
  [Symbol.dispose](): void;
}

// ---- fetch

export interface PayingInit extends Omit<RequestInit, 'body'> {
  body?: RequestInit['body'] | AsyncIterable<Uint8Array>;
  /** Wanted where the body is a stream. */
  duplex?: 'half';
  x402?: {
    settings?: RequestSettings;
    /** Names what the request buys: a repeat presents the same payment, also after a crash with a ledger file. */
    purchaseKey?: string;
    onProgress?: OnProgress;
    /** A file that is the body. */
    file?: string;
  };
}

export interface PayingFetch {
  (input: string | URL | Request, init?: PayingInit): Promise<Response>;
  /** Close it when done. */
  readonly client: Client;
}

/** A fetch that pays: of a client, or of one made from options. */
export function createFetch(clientOrOptions?: Client | ClientOptions): PayingFetch;

/** What became of the money; undefined for a response of another fetch. `payment` is null where nothing was asked. */
export function paymentOf(response: Response): { money: Money; payment: PaymentRecord | null } | undefined;

/** What calls the library. */
export const backend: 'addon' | 'ffi-napi';
