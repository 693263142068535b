'use strict';
/* form.test.js: the same form is the same bytes, so that a repeat of it presents the same payment; and is a form to others. */
const { paymentOf } = require('../lib/index.js');
const { multipart } = require('../lib/form.js');
const { assert, limit, serve, test, url } = require('./support.js');

const server = serve();

function form(text = 'a voice') {
  const made = new FormData();
  made.append('model', 'test-model');
  made.append('file', new File([text, new Uint8Array([0, 13, 10, 255])], 'speech "1"\n.mp3', { type: 'audio/mpeg' }));
  made.append('file', new Blob(['untyped']));
  made.append('na\r\nme"', 'one\ntwo\rthree\r\nfour');
  return made;
}

test('what we write is what others read', limit, async () => {
  const { bytes, type } = await multipart(form());
  const read = await new Response(bytes, { headers: { 'content-type': type } }).formData();
  const [mine, theirs] = [[...form()], [...read]];
  assert.equal(theirs.length, mine.length);
  for (const [index, [name, value]] of mine.entries()) {
    const [readName, readValue] = theirs[index];
    assert.equal(readName, name.replace(/\r\n|\r|\n/g, '\r\n'));
    if (typeof value === 'string') {
      assert.equal(readValue, value.replace(/\r\n|\r|\n/g, '\r\n'));
      continue;
    }
    assert.equal(readValue.type, value.type || 'application/octet-stream');
    assert.deepEqual(Buffer.from(await readValue.arrayBuffer()), Buffer.from(await value.arrayBuffer()));
  }
});

test('the same parts are the same bytes, and others are not', limit, async () => {
  const [once, again, other] = [await multipart(form()), await multipart(form()), await multipart(form('another'))];
  assert.ok(once.bytes.equals(again.bytes));
  assert.equal(once.type, again.type);
  assert.notEqual(once.type, other.type);
  // Where one part ends and the next begins is part of it.
  const split = new FormData();
  split.append('a', 'b');
  const joined = new FormData();
  joined.append('ab', '');
  assert.notEqual((await multipart(split)).type, (await multipart(joined)).type);
  const empty = await multipart(new FormData());
  assert.match(empty.bytes.toString(), /^--x402-[0-9a-f]{40}--\r\n$/);
});

test('a form that is sent again after a failure is paid once', limit, async () => {
  const fetch = server.fetch();
  const earlier = await server.state();
  const first = await fetch(url(server, '/busy'), { method: 'POST', body: form() });
  assert.equal(first.status, 503);
  await first.text();
  const second = await fetch(url(server, '/busy'), { method: 'POST', body: form() });
  assert.equal(second.status, 200);
  const { length } = await second.json();
  assert.equal(length, (await multipart(form())).bytes.length);
  assert.notEqual(paymentOf(second).money, 'none');
  const { payments_settled: settled, payments_distinct: distinct } = await server.state();
  assert.equal(settled, earlier.payments_settled + 1);
  assert.equal(distinct, earlier.payments_distinct + 1);
});

test('a content type of the caller\'s own stays', limit, async () => {
  const seen = async (init) => {
    const response = await server.fetch()(url(server, '/upload'), { method: 'POST', body: form(), ...init });
    return JSON.stringify((await response.json()).headers).match(/content-type[^\]]*?","([^"]*)/i)?.[1];
  };
  assert.match(await seen({}), /^multipart\/form-data; boundary=x402-/);
  assert.equal(await seen({ headers: { 'Content-Type': 'text/mine' } }), 'text/mine');
});
