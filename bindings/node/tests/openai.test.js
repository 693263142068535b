'use strict';
/* openai.test.js: the example with the OpenAI SDK pays once a call, and gives every word as soon as it came. */
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { KEY, assert, limit, serve, test, until } = require('./support.js');

const WHOLE = 'You said: hello\n';
const server = serve('openai');

/* The program with what it has said by now. It must end by itself: with a limit, in case it does not. */
function example(path) {
  const program = spawn(process.execPath, [require.resolve('../examples/openai.js'), server.base + path],
    { env: { ...process.env, EVM_PRIVATE_KEY: KEY }, stdio: ['ignore', 'pipe', 'inherit'], timeout: limit.timeout });
  program.said = '';
  program.stdout.setEncoding('utf8').on('data', (text) => { program.said += text; });
  return program;
}

test('a completion and a streamed one are paid once each', limit, async () => {
  const earlier = await server.settled();
  const program = example('/v1');
  assert.deepEqual(await once(program, 'close'), [0, null]);
  assert.equal(program.said, WHOLE + WHOLE);
  assert.equal(await server.settled(), earlier + 2);
});

test('the words of a stream are there before it ends', limit, async () => {
  const earlier = await server.settled();
  const program = example('/held/v1');
  const ended = once(program, 'close');
  // The server sends no more than 700 bytes of the events before it is told to.
  await until(() => program.said.length > WHOLE.length, 'the first word');
  assert.ok(WHOLE.startsWith(program.said.slice(WHOLE.length)) && program.said.length < 2 * WHOLE.length, program.said);
  assert.equal(program.exitCode, null);
  await server.release();
  assert.deepEqual(await ended, [0, null]);
  assert.equal(program.said, WHOLE + WHOLE);
  assert.equal(await server.settled(), earlier + 2);
});
