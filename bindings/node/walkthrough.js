/* walkthrough.js: what one does with libx402 from Node, one part after the other, against the paying test server.
 *
 *     EVM_PRIVATE_KEY=0x... node walkthrough.js http://127.0.0.1:4021 FOLDER
 */
'use strict';
const fs = require('node:fs');
const path = require('node:path');

/* cut: fetch */
const { X402Error, createFetch, paymentOf } = require('x402-native');

// A key, limits, a ledger that outlives the program. Make one fetch and share it.
function payingFetch(key, ledger) {
  return createFetch({
    wallet: { evmKey: key },
    policy: { maxPerPayment: '0.10 USD', budget: { windowSeconds: 86400, amount: '2.00 USD' } },
    ledger,
  });
}
/* end of cut */

/* cut: get */
async function get(fetch, url) {
  const response = await fetch(url);
  console.log(response.status, await response.json());
  const { money, payment } = paymentOf(response);
  if (payment) console.log(money, payment.amount, payment.transaction, payment.refusal);
}
/* end of cut */

/* cut: upload */
async function upload(fetch, url, file) {
  const onProgress = ({ sent, sendTotal }) => {
    const bar = '#'.repeat((20 * sent) / sendTotal).padEnd(20);
    process.stdout.write(`\r[${bar}] ${sent} of ${sendTotal}`);
  };
  const headers = { 'content-type': 'application/octet-stream' };
  const x402 = { file, purchaseKey: 'report 2026-11', onProgress };
  const response = await fetch(url, { method: 'POST', headers, x402 });
  console.log('\nupload:', response.status, await response.text(), paymentOf(response).money);
}
/* end of cut */

/* cut: stream */
async function stream(fetch, url) {
  const response = await fetch(url);
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    console.log('piece:', text); // each as soon as it came
  }
}
/* end of cut */

/* cut: errors */
async function errors(fetch, url) {
  try {
    await fetch(url);
  } catch ({ cause }) {
    if (!(cause instanceof X402Error)) throw cause;
    console.log('error:', cause.code, 'money:', cause.money, 'retry:', cause.retry);
  }
}
/* end of cut */

/* cut: ledger */
function ledger({ client }) {
  for (const { scope, key, usd } of client.totals()) console.log('total:', scope, key, usd);
  for (const { id, state, host, usd } of client.entries()) console.log('entry:', id, state, host, usd);
}
/* end of cut */

async function main(base, folder) {
  const file = path.join(folder, 'report.bin');
  fs.writeFileSync(file, Buffer.alloc(300_000, 'x'));
  const fetch = payingFetch(process.env.EVM_PRIVATE_KEY, path.join(folder, 'ledger'));
  await get(fetch, `${base}/weather`);
  await upload(fetch, `${base}/upload`, file);
  await stream(fetch, `${base}/weather`);
  await errors(fetch, 'http://127.0.0.1:1/');
  ledger(fetch);
  fetch.client.close();
}

main(...process.argv.slice(2));
