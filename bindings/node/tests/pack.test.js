'use strict';
/* pack.test.js: the package is built and pays in a project of its own, far from this repository. */
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');
const { name, files, version } = require('../package.json');
const { folder } = require('../src/generate.js');
const { KEY, assert, backend, limit, serve, test, url } = require('./support.js');

const root = path.join(__dirname, '..');
const server = serve('demo');
const once = { ...limit, skip: backend === 'addon' ? false : 'the same package, and the addon is what is built' };

const PROGRAM = `
const { backend, createFetch, paymentOf } = require('${name}');
const fetch = createFetch({ wallet: { evmKey: process.env.KEY } });
fetch(process.argv[2]).then(async (response) => {
  console.log(backend, (await response.json()).weather, paymentOf(response).money, typeof require('${name}/raw').output);
  fetch.client.close();
});
`;

/* A copy of what is packed, because packing puts a header beside it that other tests must not find. */
function repository() {
  const copy = path.join(server.folder, 'repository');
  const own = path.join(copy, 'bindings/node');
  for (const one of ['package.json', ...files.filter((file) => fs.existsSync(path.join(root, file)))]) {
    fs.cpSync(path.join(root, one), path.join(own, one), { recursive: true });
  }
  fs.cpSync(folder, path.join(copy, 'include'), { recursive: true });
  for (const one of ['LICENSE-APACHE', 'LICENSE-MIT']) fs.cpSync(path.join(root, '../..', one), path.join(copy, one));
  return own;
}

test('the package has its header, is built where it is installed, and pays there', once, async () => {
  const own = repository();
  const env = { ...process.env, KEY, npm_config_cache: path.join(server.folder, 'cache'), npm_config_offline: 'true' };
  delete env.X402_BACKEND;
  const run = (cwd, program, ...values) => promisify(execFile)(program, values, { cwd, env, timeout: limit.timeout });
  await run(own, 'npm', 'pack', '--silent', '--pack-destination', server.folder);
  assert.ok(!fs.existsSync(path.join(own, 'include')), 'no copy of the header stays behind');

  const project = path.join(server.folder, 'project');
  fs.mkdirSync(project);
  fs.writeFileSync(path.join(project, 'package.json'), '{"name": "project", "private": true}');
  fs.writeFileSync(path.join(project, 'program.js'), PROGRAM);
  await run(project, 'npm', 'install', '--silent', path.join(server.folder, `${name}-${version}.tgz`));
  const installed = path.join(project, 'node_modules', name);
  for (const file of files) assert.ok(fs.existsSync(path.join(installed, file)), file);
  assert.ok(!fs.existsSync(path.join(installed, 'tests')));
  await run(installed, process.execPath, 'build.js');
  const { stdout } = await run(project, process.execPath, 'program.js', url(server, '/weather'));
  assert.equal(stdout, 'addon sunny paid function\n');
});
