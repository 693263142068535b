'use strict';
/* paid_get.js URL CALLS [fetch]: paid GETs, measured as tests/bench/x402_paid.c measures its own, and told in the same line.
 * By the client, whose calls are those of the program in C, or by the fetch over it, which makes a Request and a Response. */
const fs = require('node:fs');
const { createFetch, paymentOf } = require('../lib/index.js');

/* Calls before the clock starts: until V8 compiles nothing more, which the program in C has done before it runs. */
const WARMUP_CALLS = 10_000;
/* The development keys that the program in C has. */
const EVM_KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
const SOLANA_KEY = '2Ana1pUpv2ZbMVkwF5FXapYeBEjdxDatLn7nvJkhgTSdZd8hbDHTd21as7EAsg7ypityqfsw2pMQKJcVDVcAEsd';

function check(status, money) {
  if (status !== 200 || money !== 'paid') throw new Error(`status ${status}, money ${money}`);
}

async function byClient({ client }, url) {
  const answer = await client.send({ url });
  let length = 0;
  for await (const bytes of answer) length += bytes.length;
  check(answer.status, answer.money);
  return length;
}

async function byFetch(fetch, url) {
  const response = await fetch(url);
  const { byteLength } = await response.arrayBuffer();
  check(response.status, paymentOf(response).money);
  return byteLength;
}

const peakKib = () => Number(fs.readFileSync('/proc/self/status', 'utf8').match(/^VmHWM:\s*(\d+) kB$/m)[1]);
const rounded = (value) => Number(value.toFixed(3));

async function main(url, calls, call) {
  const fetch = createFetch({ wallet: { evmKey: EVM_KEY, solanaKey: SOLANA_KEY } });
  for (let i = 0; i < WARMUP_CALLS; i++) await call(fetch, url);
  let bytes = 0;
  const [cpu, wallNs] = [process.cpuUsage(), process.hrtime.bigint()];
  for (let i = 0; i < calls; i++) bytes += await call(fetch, url);
  const wallUs = Number(process.hrtime.bigint() - wallNs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const line = { iterations: calls, cpu_us_per_call: rounded((user + system) / calls), wall_us_per_call: rounded(wallUs / calls),
    maxrss_kib: peakKib(), bytes };
  console.log(JSON.stringify(line));
  fetch.client.close();
}

const [url, calls, how, ...more] = process.argv.slice(2);
if (!/^[1-9]\d*$/.test(calls ?? '') || ![undefined, 'fetch'].includes(how) || more.length) {
  console.error('usage: paid_get.js URL CALLS [fetch]');
  process.exit(1);
}
main(url, Number(calls), how ? byFetch : byClient).catch((error) => {
  console.error(error);
  process.exit(1);
});
