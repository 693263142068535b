'use strict';
/* types.test.js: index.d.ts holds a program that uses all of it to the rules, and names what the library and lib know, no more
 * and no less. The same for both back ends. */
const fs = require('node:fs');
const path = require('node:path');
const ts = require('typescript');
const exported = require('../lib/index.js');
const { folder } = require('../src/generate.js');
const { assert, limit, test } = require('./support.js');

const header = fs.readFileSync(path.join(folder, 'x402.h'), 'utf8');
const declared = path.join(__dirname, '../index.d.ts');
const file = ts.createSourceFile(declared, fs.readFileSync(declared, 'utf8'), ts.ScriptTarget.Latest, true);
const named = (name) => file.statements.find((one) => one.name?.text === name);
const members = (node) => (node.members ?? node.type.members).map((one) => one.name.text).sort();
const literals = (name) => named(name).type.types.map((one) => one.literal.text).sort();
const member = (name, of) => named(of).members.find((one) => one.name.text === name).type;

test('tsc agrees with a program that uses every option, and with no misuse', limit, () => {
  const target = ts.ScriptTarget.ES2022;
  const options = { noEmit: true, strict: true, noUncheckedIndexedAccess: true, target, module: ts.ModuleKind.Node16, types: ['node'] };
  const program = ts.createProgram([path.join(__dirname, 'types.ts')], options);
  // Of our files alone: to check those of others takes several times as long.
  const ours = [path.join(__dirname, 'types.ts'), declared, path.join(__dirname, '../lib/raw.d.ts')];
  const found = ours.flatMap((name) => ts.getPreEmitDiagnostics(program, program.getSourceFile(name) ?? assert.fail(name)));
  const host = { getCurrentDirectory: () => __dirname, getCanonicalFileName: (name) => name, getNewLine: () => '\n' };
  assert.equal(ts.formatDiagnostics(found, host), '');
});

test('settings are those of the header, and of one request those that it marks', limit, () => {
  const [, list] = header.match(/Settings, for x402_config_set(.*?)\*\//s);
  const settings = [...list.matchAll(/^ \*  ([* ]) (\w+) {2,}/gm)];
  assert.ok(settings.length > 30);
  const ofRequests = settings.filter(([, mark]) => mark === '*').map(([, , name]) => name);
  assert.deepEqual(members(named('RequestSettings')), ofRequests.sort());
  assert.deepEqual([...members(named('ClientSettings')), ...ofRequests].sort(), settings.map(([, , name]) => name).sort());
});

test('codes and outcomes are those of the header', limit, () => {
  const codes = [...header.matchAll(/^ {4}(X402_ERROR_\w+) = \d+,/gm)].map(([, name]) => name);
  assert.ok(codes.length > 30);
  assert.deepEqual(literals('ErrorCode'), codes.sort());
  const money = [...header.matchAll(/^ {4}X402_MONEY_(\w+) = \d+,/gm)].map(([, name]) => name.toLowerCase());
  assert.deepEqual(literals('Money'), money.sort());
});

test('options are those that lib knows', limit, () => {
  const knownTo = (call) => {
    try {
      call();
    } catch (error) {
      return error.message.match(/there are (.*)$/)[1].split(', ').sort();
    }
    return assert.fail('an unknown option was taken');
  };
  const wrong = { notAnOption: 1 };
  assert.deepEqual(members(named('ClientOptions')), knownTo(() => new exported.Client(wrong)));
  assert.deepEqual(members(named('WalletOptions')), knownTo(() => new exported.Client({ wallet: wrong })));
  assert.deepEqual(members(named('PolicyOptions')), knownTo(() => new exported.Client({ policy: wrong })));
});

test('options of one request are those that lib knows', limit, async () => {
  const client = new exported.Client();
  const fetch = exported.createFetch(client);
  const knownTo = (promise) => promise.then(assert.fail, (error) => error.message.match(/there are (.*)$/)[1].split(', ').sort());
  assert.deepEqual(members(named('RequestOptions')), await knownTo(client.send({ url: '', notAnOption: 1 })));
  assert.deepEqual(member('x402', 'PayingInit').members.map((one) => one.name.text).sort(),
    await knownTo(fetch('http://127.0.0.1:1/', { x402: { notAnOption: 1 } })));
  client.close();
});

test('values and their methods are declared, and no others', limit, () => {
  const isValue = (one) => ts.isClassDeclaration(one) || ts.isFunctionDeclaration(one) || ts.isVariableStatement(one);
  const values = file.statements.filter(isValue).map((one) => (one.name ?? one.declarationList.declarations[0].name).text);
  assert.deepEqual(values.sort(), Object.keys(exported).sort());
  for (const name of ['Client', 'Payment']) {
    const methods = Object.getOwnPropertyNames(exported[name].prototype).filter((one) => one !== 'constructor');
    const isMethod = (one) => (ts.isMethodDeclaration(one) || ts.isGetAccessor(one)) && ts.isIdentifier(one.name);
    assert.deepEqual(named(name).members.filter(isMethod).map((one) => one.name.text).sort(), methods.sort());
  }
});
