'use strict';
/* support.js: the paying server for a file of tests, and what they share. Nothing here waits longer than it must: a test
 * that would hang is ended by its own limit. */
const { after, before, test } = require('node:test');
const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Client, backend, createFetch } = require('../lib/index.js');
const { raw } = require('../lib/raw.js');

/* The first test accounts of every local chain; they hold nothing. */
const KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
const ADDRESS = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
const PHRASE = 'test test test test test test test test test test test junk';
const SOLANA_KEY = '2Ana1pUpv2ZbMVkwF5FXapYeBEjdxDatLn7nvJkhgTSdZd8hbDHTd21as7EAsg7ypityqfsw2pMQKJcVDVcAEsd';
const TEST_LIMIT_MS = 60_000;
const TURNS_MAX = 1000;
const TURN_MS = 5;

const limit = { timeout: TEST_LIMIT_MS };
/** For tests of what only the addon can: functions that the library calls. */
const addonOnly = { ...limit, skip: backend === 'addon' ? false : 'ffi-napi has no callbacks' };

/** A server of its own for the tests of a file; every client made by client() or fetch() is closed at the end. */
function serve(scenario = path.join(__dirname, 'scenario.json')) {
  const server = { clients: [] };
  before(async () => {
    assert.equal(backend, process.env.X402_BACKEND ?? backend, 'the back end that was asked for');
    const options = ['demo', 'openai'].includes(scenario) ? [`--${scenario}`] : ['--scenario', scenario];
    server.process = spawn(process.env.X402_PAYING_SERVER, options, { stdio: ['pipe', 'pipe', 'inherit'] });
    const [line] = await once(server.process.stdout, 'data');
    server.base = line.toString().match(/listening (\S+)/)[1];
    server.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'x402-node-'));
  });
  after(() => {
    for (const client of server.clients) client.close();
    server.process.kill();
    fs.rmSync(server.folder, { recursive: true, force: true });
    assert.equal(raw.x402_live_handles(), 0, 'every handle was freed');
  });
  return Object.assign(server, {
    client(options) {
      const made = new Client({ wallet: { evmKey: KEY }, ...options });
      server.clients.push(made);
      return made;
    },
    fetch: (options) => createFetch(server.client(options)),
    state: async () => (await globalThis.fetch(`${server.base}/_server/state`)).json(),
    release: () => globalThis.fetch(`${server.base}/_server/release`, { method: 'POST' }),
    settled: async () => (await server.state()).payments_settled,
  });
}

/** Waits for what must come soon, and fails if it does not. */
async function until(holds, what) {
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    if (await holds()) return;
    await new Promise((resolve) => { setTimeout(resolve, TURN_MS); });
  }
  assert.fail(`${what} did not come`);
}

const url = (server, route) => server.base + route;

module.exports = { ADDRESS, KEY, PHRASE, SOLANA_KEY, addonOnly, assert, backend, limit, raw, serve, test, until, url };
