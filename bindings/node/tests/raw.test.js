'use strict';
/* raw.test.js: the functions under their own names never let C read or write beyond what JavaScript gave them. */
const { assert, limit, raw, test } = require('./support.js');
const { handle, output } = require('../lib/raw.js');

test('a length that is larger than its buffer is refused', limit, () => {
  const [request, error] = [output(), output()];
  assert.equal(raw.x402_request_new('POST', 'http://127.0.0.1:1/', request, error), 0);
  const bytes = Buffer.from('12345678');
  assert.equal(raw.x402_request_body_bytes(handle(request), bytes, 8, error), 0);
  assert.equal(raw.x402_request_body_bytes(handle(request), null, 0, error), 0);
  for (const wrong of [() => raw.x402_request_body_bytes(handle(request), bytes, 9, error),
    () => raw.x402_request_body_bytes(handle(request), null, 1, error),
    () => raw.x402_request_body_bytes(handle(request), bytes, -1, error),
    () => raw.x402_request_body_bytes(handle(request), bytes, 2 ** 63, error),
    () => raw.x402_request_body_bytes(handle(request), bytes, NaN, error),
    () => raw.x402_response_read(0, Buffer.alloc(4), 5, output(), error),
    () => raw.x402_queue_read(0, 0, Buffer.alloc(4), 64 * 1024, 1, error)]) assert.throws(wrong, TypeError);
  raw.x402_request_free(handle(request));
});

test('an output without its room, an event that says too much, and a count beyond its lists are refused', limit, () => {
  const event = (said, room) => {
    const made = Buffer.alloc(room);
    made.writeUInt32LE(said, 0);
    return made;
  };
  for (const wrong of [() => raw.x402_config_new(Buffer.alloc(7), output()),
    () => raw.x402_queue_next(0, event(48, 40)),
    () => raw.x402_queue_next(0, Buffer.alloc(4)),
    () => raw.x402_payment_settle(0, 200, ['a'], ['b'], 2, output()),
    () => raw.x402_payment_settle(0, 200, ['a', 'b'], ['c'], 2, output()),
    () => raw.x402_payment_settle(0, 200, null, null, 1, output()),
    () => raw.x402_string_free(Buffer.alloc(4)),
    () => raw.x402_version(1),
    () => raw.x402_config_set(0, 'a', 'b\0c', output()),
    () => raw.x402_config_set(0, 'a', 7, output()),
    () => raw.x402_error_status('1')]) assert.throws(wrong, TypeError);
  assert.notEqual(raw.x402_queue_next(0, event(48, 48)), 0);
  assert.notEqual(raw.x402_payment_settle(0, 200, ['a'], ['b'], 1, null), 0);
});

test('a callback is what callback() gave, and nothing else', limit, () => {
  for (const wrong of [{}, () => 0, Buffer.alloc(8)]) {
    assert.throws(() => raw.x402_policy_approve(0, wrong, wrong, output()), TypeError);
  }
});
