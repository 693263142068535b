'use strict';
/* index.js: what users of x402 see: a fetch that pays, its client, its errors. */
const { raw } = require('./raw.js');
const { X402Error } = require('./error.js');
const { Body, Client, Payment } = require('./client.js');
const { createFetch, paymentOf } = require('./fetch.js');

/** "addon" or "ffi-napi". */
const backend = raw.name;

module.exports = { Body, Client, Payment, X402Error, backend, createFetch, paymentOf };
