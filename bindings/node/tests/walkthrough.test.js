'use strict';
/* walkthrough.test.js: the programs that the README shows are run. */
const { execFile } = require('node:child_process');
const { promisify } = require('node:util');
const { KEY, addonOnly, assert, serve, test } = require('./support.js');

const server = serve('demo');

test('the walkthrough gets, uploads, streams, fails and reads the ledger', addonOnly, async () => {
  const env = { ...process.env, EVM_PRIVATE_KEY: KEY };
  const program = require.resolve('../walkthrough.js');
  const { stdout } = await promisify(execFile)(process.execPath, [program, server.base, server.folder], { env, timeout: addonOnly.timeout });
  for (const said of [/^200 \{ weather: 'sunny', temperature: 21 \}\npaid 10000 0x\w{64} \n/, /\r\[#{20}\] 300000 of 300000/,
    /\nupload: 200 .*"length":300000.* paid\n/, /\npiece: \{.*"weather":"sunny".*\}\n/,
    /\nerror: X402_ERROR_CONNECT money: none retry: safe\n/, /\ntotal: all {2}0\.03\n/, /(\nentry: \d+ paid 127\.0\.0\.1:\d+ 0\.01){3}\n$/]) {
    assert.match(stdout, said);
  }
  assert.equal(await server.settled(), 3);
});
