'use strict';
/* worker.test.js: threads of the program's, and its end. Each program here is run as one of its own: what is tested is that it
 * ends, with the status it should. */
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { KEY, addonOnly, assert, backend, limit, serve, test, url } = require('./support.js');

const PROGRAM_LIMIT_MS = 15_000;
const server = serve();
const index = JSON.stringify(require.resolve('../lib/index.js'));
const rawFile = JSON.stringify(require.resolve('../lib/raw.js'));

function run(program, ...args) {
  const file = path.join(server.folder, 'program.js');
  fs.writeFileSync(file, `'use strict';\nconst { Client, createFetch } = require(${index});\n${program}`);
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [file, server.base, ...args],
    { encoding: 'utf8', timeout: PROGRAM_LIMIT_MS, env: { ...process.env, EVM_PRIVATE_KEY: KEY } });
  assert.deepEqual([status, signal], [0, null], stderr);
  return stdout;
}

const MAKE = 'createFetch({ wallet: { evmKey: process.env.EVM_PRIVATE_KEY } })';

test('a program ends by itself when nothing is under way, closed or not', limit, () => {
  assert.match(run(`const fetch = ${MAKE};
    fetch(process.argv[2] + '/weather').then((response) => response.text()).then(console.log);`), /sunny/);
});

test('a client works in worker threads, in several at once', addonOnly, () => {
  const out = run(`const { Worker, isMainThread, workerData } = require('node:worker_threads');
    if (isMainThread) {
      for (let i = 0; i < 4; i++) new Worker(__filename, { workerData: process.argv[2], argv: [process.argv[2]] });
    } else {
      const fetch = createFetch({ wallet: { evmKey: process.env.EVM_PRIVATE_KEY }, policy: { approve: async () => true } });
      fetch(workerData + '/weather').then((response) => response.text()).then((text) => console.log(text));
    }`);
  assert.equal(out.match(/sunny/g).length, 4);
});

test('ffi-napi refuses worker threads, and says what to do', { ...limit, skip: backend === 'addon' }, () => {
  assert.match(run(`const { Worker } = require('node:worker_threads');
    const worker = new Worker('require(' + JSON.stringify(${index}) + ')', { eval: true });
    worker.on('error', (error) => console.log(error.message));`), /build the addon \(node build.js\), or call x402 from the main/);
});

/* What a worker does when it is ended: wait for an answer, for its own signer, read a stream, ask for a price. */
const BUSY = {
  held: `fetch(workerData + '/held')`,
  stalls: `fetch(workerData + '/stalls').then((response) => response.text())`,
  upload: `fetch(workerData + '/echo', { method: 'POST', duplex: 'half',
    body: new ReadableStream({ pull: () => new Promise(() => {}) }) })`,
  endless: `fetch(workerData + '/echo', { method: 'POST', duplex: 'half',
    body: new ReadableStream({ pull(controller) { controller.enqueue(new Uint8Array(1000)); } }) })`,
  quote: `fetch.client.quote({ url: workerData + '/held' })`,
  approve: `createFetch({ wallet: { evmKey: process.env.EVM_PRIVATE_KEY }, policy: { approve: () => new Promise(() => {}) },
    log: () => {} })(workerData + '/weather')`,
  log: `createFetch({ log: () => {} })(workerData + '/held')`,
};

for (const [name, doing] of Object.entries(BUSY)) {
  test(`a worker that is terminated leaves nothing behind: ${name}`, addonOnly, () => {
    const out = run(`const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
      const { raw } = require(${rawFile});
      if (isMainThread) {
        let left = 8;
        const start = () => {
          const worker = new Worker(__filename, { workerData: process.argv[2], argv: [process.argv[2]] });
          worker.once('message', () => setTimeout(() => worker.terminate(), left % 2 * 30));
          worker.once('exit', () => { if (--left) start(); else console.log('handles', raw.x402_live_handles()); });
        };
        start();
      } else {
        const fetch = ${MAKE};
        (${doing}).catch(() => {});
        setImmediate(() => parentPort.postMessage('busy'));
      }`);
    assert.equal(out, 'handles 0\n');
  });
  test(`process.exit ends the program while it is busy: ${name}`, addonOnly, () => {
    assert.equal(run(`const workerData = process.argv[2];
      const fetch = ${MAKE};
      (${doing}).catch(() => {});
      process.on('exit', () => console.log('exit'));
      setTimeout(() => process.exit(), 30);`), 'exit\n');
  });
}

test('the ledger can still be read when the program ends', limit, () => {
  assert.match(run(`const client = new Client({ wallet: { evmKey: process.env.EVM_PRIVATE_KEY }, ledger: '' });
    process.on('exit', () => console.log(JSON.stringify(client.totals())));
    client.send({ url: process.argv[2] + '/weather' }).then((answer) => process.exit());`), /"usd":"0.01"/);
});

test('what a callback throws into the loop ends the program as any such error does', addonOnly, () => {
  const file = path.join(server.folder, 'throws.js');
  fs.writeFileSync(file, `const { createFetch } = require(${index});
    process.on('uncaughtException', (error) => { console.log(error.message); process.exit(); });
    createFetch({ wallet: { evmKey: '${KEY}' }, log: () => { throw new Error('the log is full'); } })('${url(server, '/weather')}');
    setTimeout(() => {}, 5000);`);
  assert.match(execFileSync(process.execPath, [file], { encoding: 'utf8', timeout: PROGRAM_LIMIT_MS }), /the log is full/);
});

test('ECMAScript modules find every name', limit, () => {
  const file = path.join(server.folder, 'module.mjs');
  fs.writeFileSync(file, `import { Body, Client, Payment, X402Error, backend, createFetch, paymentOf } from ${index};
    console.log([Body, Client, Payment, X402Error, backend, createFetch, paymentOf].map((one) => typeof one).join());`);
  assert.match(execFileSync(process.execPath, [file], { encoding: 'utf8' }), /^function,function,function,function,string,function,function/);
});
