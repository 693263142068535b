// What is checked. A payment counts when the balances moved on the chain, by the price and no more; what
// the client says of it is then held against the chain.
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { getAddress } from "viem";
import {
  DOLLAR, EMPTY, PAYEE, PAYER, PAYER_FUNDS, PRICE, SOLANA_EMPTY, SOLANA_PAYEE, SOLANA_PAYER, UPLOAD_BYTES, UPLOAD_SHA256,
} from "./world.mjs";

const REPLAY_MS_MAX = 15_000;
// A body that waits for its 100 crosses once; 2 % and 64 KiB are for chunk framing and heads.
const onceOnTheWire = (bytes) => bytes * 1.02 + 65_536;

const decode = (header) => JSON.parse(Buffer.from(header, "base64").toString());

async function balances(chain, server, wallet) {
  const [payer, payee] = await Promise.all([chain.balance(wallet.address), chain.balance(PAYEE[server.protocol])]);
  return { payer, payee };
}

async function assertUnmoved(chain, server, wallet, before) {
  assert.deepEqual(await balances(chain, server, wallet), before, "no balance may move");
}

/** One call of the client, with the requests the server saw and the balances around it. */
async function call(context, server, method, path, { wallet = PAYER, solana = SOLANA_PAYER, uploadBytes, solanaNode = "" } = {}) {
  const before = await balances(context.chain, server, wallet);
  const bytesBefore = server.bytesIn();
  server.exchanges.length = 0;
  context.facilitator.answers.length = 0;
  const said = await context.client({
    key: wallet.key, solanaKey: solana.key, protocol: server.protocol, method, url: server.url + path, uploadBytes,
    node: context.chain.url, solanaNode, spareNode: context.solana.url,
  });
  const seen = [...server.exchanges];
  return { said, seen, before, paidWith: seen.filter((each) => each.payment), bytes: server.bytesIn() - bytesBefore };
}

/** `signed`: what the client says that it signed for, where the price is less. */
async function assertPaid(context, server, result, price, signed = price) {
  const { said, before, seen, paidWith } = result;
  assert.equal(said.status, 200, `the client got ${said.status}: ${said.refusal} ${said.body}`);
  assert.equal(paidWith.length, 1, "exactly one request may carry a payment");
  assert.equal(seen.length, 2, "one request is refused and one is paid");
  const after = await balances(context.chain, server, PAYER);
  assert.equal(after.payee - before.payee, price.amount, "the payee must have the price");
  assert.equal(before.payer - after.payer, price.amount, "the payer must be down by the price");
  assert.equal(said.money, "paid");
  assert.equal(said.amount, String(signed.amount));
  assert.match(said.transaction, /^0x[0-9a-f]{64}$/);

  const { authorization, permit2Authorization } = decode(paidWith[0].payment).payload;
  const { status, events } = await context.chain.transaction(said.transaction);
  assert.equal(status, "success", "the transaction of the receipt must have succeeded");
  const named = (name) => events.filter((event) => event.eventName === name).map((event) => event.args);
  assert.deepEqual(named("Transfer"), [
    { from: PAYER.address, to: getAddress(PAYEE[server.protocol]), value: price.amount },
  ]);
  if (permit2Authorization) {
    assert.equal(await context.chain.permitUsed(PAYER.address, permit2Authorization.nonce), true);
  } else {
    assert.deepEqual(named("AuthorizationUsed"), [{ authorizer: PAYER.address, nonce: authorization.nonce }]);
  }
  context.settled.push(said.transaction);
}

async function free(context, server) {
  const result = await call(context, server, "GET", "/free");
  assert.equal(result.said.status, 200);
  assert.deepEqual(JSON.parse(result.said.body), { free: true });
  assert.equal(result.said.money, "none");
  assert.equal(result.seen.length, 1, "a request that is not charged is sent once");
  await assertUnmoved(context.chain, server, PAYER, result.before);
  return "200, nothing signed";
}

async function get(context, server) {
  const result = await call(context, server, "GET", "/weather");
  await assertPaid(context, server, result, PRICE.weather);
  assert.deepEqual(JSON.parse(result.said.body), { weather: "sunny", celsius: 21 });
  context.captured[server.protocol] = result.paidWith[0].payment;
  return `${PRICE.weather.amount} units moved in ${result.said.transaction}`;
}

const upload = (path) => async (context, server) => {
  const result = await call(context, server, "POST", path, { uploadBytes: UPLOAD_BYTES });
  await assertPaid(context, server, result, PRICE.upload);
  assert.deepEqual(JSON.parse(result.said.body), { sha256: UPLOAD_SHA256, length: UPLOAD_BYTES });
  const waited = path === "/upload-continue" && result.seen[0].expect;
  if (waited) assert.ok(result.bytes <= onceOnTheWire(UPLOAD_BYTES), `${result.bytes} bytes for one body`);
  return `${UPLOAD_BYTES} bytes, sha256 equal, ${result.bytes} on the wire${waited ? " (waited for its 100)" : ""}`;
};

async function emptyWallet(context, server) {
  const result = await call(context, server, "GET", "/weather", { wallet: EMPTY });
  const { said } = result;
  await assertUnmoved(context.chain, server, EMPTY, result.before);
  assert.equal(said.status, 402);
  assert.equal(result.paidWith.length, 1, "the payment is offered once");
  assert.ok(["unpaid", "unknown"].includes(said.money), `money must be unpaid or unknown, is ${said.money}`);
  assert.equal(said.transaction, "");
  const { reason } = context.facilitator.answers.at(-1);
  assert.match(reason, /insufficient_balance/);
  assert.ok(said.refusal.includes(reason), `the refusal must hold the facilitator's ${reason}: ${said.refusal}`);
  return `402, ${reason}`;
}

/** The payment's balance goes while the handler runs: verified, then not settled. */
async function drained(context, server) {
  let result;
  try {
    result = await call(context, server, "GET", "/drained");
    assert.equal(await context.chain.balance(PAYER.address), 0n, "the handler must have run");
  } finally {
    await context.chain.setBalance(PAYER.address, context.funds());
  }
  const { said } = result;
  await assertUnmoved(context.chain, server, PAYER, result.before);
  assert.equal(said.status, 402);
  assert.equal(result.paidWith.length, 1, "the payment is offered once");
  assert.ok(["unpaid", "unknown"].includes(said.money), `money must be unpaid or unknown, is ${said.money}`);
  const { action, reason } = context.facilitator.answers.at(-1);
  assert.equal(action, "settle");
  const spoken = reason.split("\n")[0];
  assert.ok(said.refusal.includes(spoken), `the refusal must hold the facilitator's ${spoken}: ${said.refusal}`);
  // The facilitator's own words quote the call that failed, signature and all; it is still good until it expires.
  const { signature } = decode(result.paidWith[0].payment).payload;
  assert.ok(!said.refusal.includes(signature.slice(2, 66)), "the refusal must not repeat the signature");
  return `402, ${spoken}`;
}

/** What is paid is moved by Permit2, which the payer's token has to allow; exactly the price is left of that. */
async function permit2(context, server) {
  await context.chain.setAllowance(PAYER.address, PRICE.weather.amount);
  const result = await call(context, server, "GET", "/permit2");
  await assertPaid(context, server, result, PRICE.weather);
  assert.equal(await context.chain.allowance(PAYER.address), 0n, "no more than the price may be taken");
  return `${PRICE.weather.amount} units moved in ${result.said.transaction}`;
}

async function permit2Unapproved(context, server) {
  await context.chain.setAllowance(PAYER.address, 0n);
  const result = await call(context, server, "GET", "/permit2");
  const { said } = result;
  await assertUnmoved(context.chain, server, PAYER, result.before);
  assert.ok([402, 412].includes(said.status), `the client got ${said.status}`);
  assert.equal(result.paidWith.length, 1, "the payment is offered once");
  assert.ok(["unpaid", "unknown"].includes(said.money), `money must be unpaid or unknown, is ${said.money}`);
  const { reason } = context.facilitator.answers.at(-1);
  assert.match(reason, /permit2_allowance_required/);
  assert.ok(said.refusal.includes(reason), `the refusal must hold the facilitator's ${reason}: ${said.refusal}`);
  return `${said.status}, ${reason}`;
}

/** Nothing was approved: a permit of the token's goes along, for the price alone, and the facilitator hands it in. */
async function permit2WithPermit(context, server) {
  await context.chain.setAllowance(PAYER.address, 0n);
  const result = await call(context, server, "GET", "/permit2-permit");
  await assertPaid(context, server, result, PRICE.weather);
  assert.equal(await context.chain.allowance(PAYER.address), 0n, "no more than the price may be approved");
  return `${PRICE.weather.amount} units moved in ${result.said.transaction}, approved by the payment itself`;
}

async function upto(context, server) {
  await context.chain.setAllowance(PAYER.address, PRICE.ceiling.amount);
  const result = await call(context, server, "GET", "/upto");
  await assertPaid(context, server, result, PRICE.taken, PRICE.ceiling);
  await context.chain.setAllowance(PAYER.address, 0n);
  return `${PRICE.taken.amount} of ${PRICE.ceiling.amount} units moved in ${result.said.transaction}`;
}

/** On Solana: with the offer's blockhash nothing is asked of a node, without one the client asks `solanaNode`. */
async function solanaPaid(context, server, options) {
  const balances = () => Promise.all([SOLANA_PAYER.address, SOLANA_PAYEE].map(context.solana.balance));
  const [payer, payee] = await balances();
  const { said, seen, paidWith } = await call(context, server, "GET", "/solana", options);
  assert.equal(said.status, 200, `the client got ${said.status}: ${said.refusal} ${said.body}`);
  assert.equal(paidWith.length, 1, "exactly one request may carry a payment");
  assert.equal(seen.length, 2, "one request is refused and one is paid");
  assert.deepEqual(await balances(), [payer - PRICE.weather.amount, payee + PRICE.weather.amount]);
  assert.deepEqual([said.money, said.amount], ["paid", String(PRICE.weather.amount)]);
  assert.match(said.transaction, /^[1-9A-HJ-NP-Za-km-z]{64,88}$/);
  assert.ok(context.solana.transaction(said.transaction).succeeded, "the transaction of the receipt must have succeeded");
  context.captured.solana = paidWith[0].payment;
  return `${PRICE.weather.amount} units moved in ${said.transaction}`;
}

async function solanaHinted(context, server) {
  server.hints.rpcUrl = context.solana.url;
  return solanaPaid(context, server, {});
}

async function solanaAsked(context, server) {
  server.hints.rpcUrl = undefined;
  return solanaPaid(context, server, { solanaNode: context.solana.url });
}

async function solanaEmpty(context, server) {
  server.hints.rpcUrl = context.solana.url;
  const payee = await context.solana.balance(SOLANA_PAYEE);
  const { said, paidWith } = await call(context, server, "GET", "/solana", { solana: SOLANA_EMPTY });
  assert.equal(said.status, 402);
  assert.equal(paidWith.length, 1, "the payment is offered once");
  assert.ok(["unpaid", "unknown"].includes(said.money), `money must be unpaid or unknown, is ${said.money}`);
  assert.equal(await context.solana.balance(SOLANA_PAYEE), payee, "no balance may move");
  const reason = context.facilitator.answers.at(-1).reason.split("\n")[0];
  assert.ok(said.refusal.includes(reason), `the refusal must hold the facilitator's ${reason}: ${said.refusal}`);
  return `402, ${reason}`;
}

async function solanaReplay(context, server) {
  assert.ok(context.captured.solana, "the paid GET must have run first");
  const payee = await context.solana.balance(SOLANA_PAYEE);
  const answer = await present(server.url, "payment-signature", context.captured.solana, "/solana");
  assert.equal(answer.status, 402);
  assert.equal(await context.solana.balance(SOLANA_PAYEE), payee, "no balance may move");
  const { errorReason } = decode(answer.headers["payment-response"]);
  assert.ok(errorReason, "the facilitator must say why");
  return `402, ${errorReason}`;
}

function present(url, header, value, path = "/weather") {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url + path, {
      headers: { [header]: value }, agent: false, signal: AbortSignal.timeout(REPLAY_MS_MAX),
    }, async (response) => {
      let body = "";
      try {
        for await (const chunk of response) body += chunk;
        resolve({ status: response.statusCode, headers: response.headers, body });
      } catch (error) {
        reject(error);
      }
    });
    request.once("error", reject);
    request.end();
  });
}

/** The very header that paid is presented once more, as someone who recorded it would. */
async function replay(context, server) {
  const payment = context.captured[server.protocol];
  assert.ok(payment, "the paid GET must have run first");
  const { authorization } = decode(payment).payload;
  assert.equal(await context.chain.nonceUsed(PAYER.address, authorization.nonce), true);
  const before = await balances(context.chain, server, PAYER);
  const answer = await present(server.url, server.protocol === 1 ? "x-payment" : "payment-signature", payment);
  await assertUnmoved(context.chain, server, PAYER, before);
  assert.equal(answer.status, 402);
  const challenge = answer.headers["payment-required"];
  const { error } = challenge ? decode(challenge) : JSON.parse(answer.body);
  assert.match(error, /nonce_already_used/);
  return `402, ${error}`;
}

/** Every transfer on the chain is one that a check accounted for, and the sums agree. */
async function books(context) {
  const transfers = await context.chain.transfers();
  const hashes = transfers.map((each) => each.transactionHash);
  assert.deepEqual(hashes.sort(), [...context.settled].sort());
  assert.ok(hashes.length > 0, "some payment must have settled");
  assert.equal(await context.chain.balance(PAYER.address), PAYER_FUNDS - sum(transfers));
  return `${hashes.length} transfers, ${sum(transfers)} units of ${DOLLAR.address}`;
}

const sum = (transfers) => transfers.reduce((total, each) => total + each.args.value, 0n);

export const SERVER_CHECKS = [
  ["a free GET costs nothing", free],
  ["GET pays", get],
  ["a streamed POST pays, body read before the 402", upload("/upload")],
  ["a streamed POST pays, 402 before the body was read", upload("/upload-early")],
  ["a streamed POST pays, 402 in place of the 100", upload("/upload-continue")],
  ["an empty wallet gets the facilitator's reason", emptyWallet],
  ["a balance gone before settlement gets the facilitator's reason", drained],
  ["a replayed payment is refused", replay],
];
export const V2_CHECKS = [
  ["GET pays through Permit2", permit2],
  ["what Permit2 may not move is not paid, and the facilitator's reason said", permit2Unapproved],
  ["a permit beside the payment approves it", permit2WithPermit],
  ["GET pays up to a ceiling, and what was taken moved", upto],
  ["GET pays on Solana, with the offer's blockhash", solanaHinted],
  ["GET pays on Solana, with a blockhash from a node", solanaAsked],
  ["an empty wallet on Solana gets the facilitator's reason", solanaEmpty],
  ["a replayed payment on Solana is refused", solanaReplay],
];
export const CLOSING_CHECKS = [["the chain holds these payments and no other", books]];
