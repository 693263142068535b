'use strict';
/* parity.test.js: every function of the header is in both back ends. */
const { test } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { read, table } = require('../src/generate.js');
const { raw } = require('../lib/raw.js');

test('functions.json is what the header says', () => {
  const written = fs.readFileSync(path.join(__dirname, '../lib/functions.json'), 'utf8');
  assert.equal(written, table(read()), 'run node src/generate.js');
});

test('no function of the header is missing', () => {
  const header = fs.readFileSync(path.join(__dirname, '../../../include/x402.h'), 'utf8');
  const names = new Set([...header.matchAll(/^X402_API [^(]*?(x402_\w+)\(/gm)].map(([, name]) => name));
  assert.ok(names.size > 50);
  for (const name of names) {
    assert.equal(typeof raw[name], 'function', name);
    assert.equal(typeof raw[name].later, 'function', `${name}.later`);
  }
});
