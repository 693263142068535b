/* walkthrough.js URL: gets a paid URL with the key in EVM_PRIVATE_KEY, and says what became of the money. */
'use strict';
const { createFetch, paymentOf } = require('./lib/index.js'); // 'x402-native' in a project of yours

async function main(url) {
  const fetch = createFetch({ wallet: { evmKey: process.env.EVM_PRIVATE_KEY }, policy: { maxPerPayment: '0.10 USD' } });
  const response = await fetch(url);
  console.log(await response.text(), paymentOf(response).money);
  fetch.client.close();
}

main(process.argv[2]);
