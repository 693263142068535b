'use strict';
/* build.js: compiles the addon with the C compiler and the headers that came with this node; nothing is downloaded.
 * X402_LIB_DIR names the folder of libx402.so; without it, pkg-config is asked. */
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { folder, forC, read } = require('./src/generate.js');

const SOURCES = ['addon', 'callbacks', 'calls', 'owned', 'values', 'watch'];
const here = (...parts) => path.join(__dirname, ...parts);
const headers = [process.env.NODE_INCLUDE_DIR, path.join(path.dirname(process.execPath), '../include/node'), '/usr/include/node']
  .find((one) => one && fs.existsSync(path.join(one, 'node_api.h')));
if (!headers) {
  console.error('node_api.h was not found beside this node; install libnode-dev or set NODE_INCLUDE_DIR');
  process.exit(1);
}
const directory = process.env.X402_LIB_DIR && path.resolve(process.env.X402_LIB_DIR);
const link = directory
  ? [`-L${directory}`, `-Wl,-rpath,${directory}`, '-lx402']
  : execFileSync('pkg-config', ['--libs', 'x402'], { encoding: 'utf8' }).trim().split(/\s+/);
fs.mkdirSync(here('build'), { recursive: true });
fs.writeFileSync(here('build/functions.h'), forC(read()));
execFileSync(process.env.CC || 'cc', ['-std=gnu11', '-O2', '-g', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', '-pthread',
  `-I${here('build')}`, `-I${folder}`, `-I${headers}`, ...SOURCES.map((name) => here('src', `${name}.c`)),
  '-o', here('build/x402.node.new'), ...link], { stdio: 'inherit' });
fs.renameSync(here('build/x402.node.new'), here('build/x402.node'));
