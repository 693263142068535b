'use strict';
/* fetch.js: a WHATWG fetch over a client, with the Request, Response and Headers of this node. Adds no retry, no
 * redirect and no copy of its own: those are the library's. */
const { Body, Client } = require('./client.js');
const { X402Error } = require('./error.js');
const { multipart } = require('./form.js');
const { raw } = require('./raw.js');
const { known } = require('./setup.js');

/* A larger Blob is read piece by piece, and again for the paid replay. */
const BLOB_BYTES_MAX = 8 * 1024 * 1024;
const NO_BODY = new Set([101, 103, 204, 205, 304]);
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const OURS = ['settings', 'purchaseKey', 'onProgress', 'file'];
const records = new WeakMap();

/** {money, payment} of a response of ours; undefined for others. `payment` is null where nothing was asked. */
const paymentOf = (response) => records.get(response);

function isStream(body) {
  return body instanceof ReadableStream || (typeof body === 'object' && body !== null && Symbol.asyncIterator in body &&
    !(body instanceof Blob) && !ArrayBuffer.isView(body));
}

/* {init, ours, body}: what Request may see, our own options, and the body that only we know how to send. */
async function split({ x402: ours = {}, ...init } = {}) {
  known(ours, OURS, 'init.x402');
  if (ours.file !== undefined) {
    if (init.body !== undefined && init.body !== null) throw new TypeError('init.x402.file is a body, and init.body is another');
    // A body that takes its place, for a Request would refuse a GET with one, as it should.
    return { init: { ...init, body: '' }, ours, body: { file: String(ours.file) } };
  }
  if (!(init.body instanceof FormData)) return { init, ours };
  const { bytes, type } = await multipart(init.body);
  const headers = new Headers(init.headers);
  if (!headers.has('content-type')) headers.set('content-type', type);
  return { init: { ...init, body: bytes, headers }, ours, body: bytes };
}

/* Bytes where they are at hand, because then the library knows the purchase by them; else a source to read from. */
async function bodyOf(request, given) {
  if (request.body === null) return undefined;
  if (isStream(given) && raw.callback) return new Body(() => request.body);
  if (given instanceof Blob && given.size > BLOB_BYTES_MAX && raw.callback) {
    return new Body(() => given.stream(), { again: true, length: given.size });
  }
  return new Uint8Array(await request.arrayBuffer());
}

function headersFor(request, ours, body) {
  // Of a file's type nothing is known; what stands there is that of the body in its place.
  const headers = [...request.headers].filter(([name, value]) => !(body?.file && name === 'content-type' &&
    value === 'text/plain;charset=UTF-8'));
  if (!request.headers.has('accept')) headers.push(['accept', '*/*']);
  const settings = { decompress: !request.headers.has('accept-encoding'), ...ours.settings };
  if (ours.purchaseKey !== undefined) settings.purchase_key = ours.purchaseKey;
  if (request.redirect !== 'follow') settings.max_redirects = 0;
  return { headers, settings };
}

function failure(error, signal) {
  if (!(error instanceof X402Error)) return error;
  if (signal.aborted && error.code === 'X402_ERROR_CANCELLED') {
    const { reason } = signal;
    // Where the money is goes along with the reason, unless that has a cause of its own.
    if (reason instanceof Error && reason.cause === undefined && Object.isExtensible(reason)) {
      Object.defineProperty(reason, 'cause', { value: error, configurable: true, enumerable: false, writable: true });
    }
    return reason;
  }
  return new TypeError(`fetch failed: ${error.message}`, { cause: error });
}

/** The body as a stream that reads when it is asked, and not ahead. It keeps the request: Node lets go of what ties a
 * request's signal to the caller's together with the request, and an abort would then never arrive. */
function streamOf(answer, request) {
  const { signal } = request;
  let abort;
  const done = () => signal.removeEventListener('abort', abort);
  return new ReadableStream({
    start(controller) {
      abort = () => {
        controller.error(request.signal.reason);
        answer.close();
      };
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
    },
    async pull(controller) {
      try {
        const bytes = await answer.read();
        if (signal.aborted) return;
        if (bytes) return void controller.enqueue(bytes);
        done();
        controller.close();
      } catch (error) {
        done();
        if (!signal.aborted) controller.error(failure(error, signal));
      }
    },
    cancel() {
      done();
      answer.close();
    },
  }, { highWaterMark: 0 });
}

function responseOf(answer, request) {
  const headers = new Headers();
  for (const [name, value] of answer.headers) headers.append(name, value);
  const empty = NO_BODY.has(answer.status) || request.method === 'HEAD';
  if (empty) answer.close();
  const response = new Response(empty ? null : streamOf(answer, request), { status: answer.status, headers });
  Object.defineProperties(response, {
    url: { value: answer.url },
    redirected: { value: answer.url !== request.url.replace(/#.*/s, '') },
  });
  records.set(response, { money: answer.money, payment: answer.payment });
  return response;
}

/** A fetch of a client, or of one made from options. `fetch.client` is that client; close it when done. */
function createFetch(clientOrOptions) {
  const client = clientOrOptions instanceof Client ? clientOrOptions : new Client(clientOrOptions);
  async function fetch(input, given) {
    const { init, ours, body } = await split(given);
    const request = new Request(input, init);
    const { signal } = request;
    signal.throwIfAborted();
    let answer;
    try {
      answer = await client.send({
        method: request.method,
        url: request.url.replace(/#.*/s, ''),
        ...headersFor(request, ours, body),
        body: body ?? await bodyOf(request, init.body),
        onProgress: ours.onProgress,
        signal,
      });
    } catch (error) {
      throw failure(error, signal);
    }
    if (request.redirect === 'error' && REDIRECTS.has(answer.status)) {
      answer.close();
      throw new TypeError(`fetch failed: ${request.url} answered with a redirect, and redirect is "error"`);
    }
    try {
      return responseOf(answer, request);
    } catch (error) {
      answer.close();
      throw new TypeError(`fetch failed: status ${answer.status} or its headers fit no Response`, { cause: error });
    }
  }
  return Object.defineProperty(fetch, 'client', { value: client });
}

module.exports = { createFetch, paymentOf };
