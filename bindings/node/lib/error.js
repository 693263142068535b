'use strict';
/* error.js: what a call ended with, as a JavaScript error and as a record of the payment. */
const { raw, handle, output } = require('./raw.js');

const MONEY = ['none', 'refused', 'unpaid', 'paid', 'unknown'];
const moneyName = (value) => MONEY[value] ?? 'unknown';
const AGAIN = 1;
const CANCELLED = 204;

/* In the order of raw.js, the last as JSON; the payment may be gone when it is looked at. */
function recordOf([money, amount, asset, network, payee, transaction, refusal, json]) {
  let details;
  return {
    money: moneyName(money), amount, asset, network, payee, transaction, refusal,
    // Most who pay never look, and reading them costs more than all else here.
    get details() { return (details ??= JSON.parse(json || '{}')); },
  };
}

/** What was asked, signed and answered; never a signature. */
const paymentRecord = (payment) => (payment ? recordOf(raw.record_of(payment)) : null);

/* Places for an error: a call may ask a function of JavaScript's, which makes another call, so there may be several in use. */
const places = [];

/** Why a call failed, and where the money is: where that is not said, it counts as spent, and only the very same payment may
 * be presented again. `code` is the status's name, such as X402_ERROR_TIMEOUT. */
class X402Error extends Error {
  constructor(message, { code, money = 'unknown', retry = 'same-bytes', callbackValue = 0, payment = null, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'X402Error';
    Object.assign(this, { code, money, retry, callbackValue, payment });
  }
}

/** An error that the library gave no handle for; `known` is what is known of the money. */
function errorOf(status, known, message) {
  const code = raw.x402_status_name(status);
  return new X402Error(message ?? code, { code, ...known });
}

/** Takes the error: it is freed here. */
function takeError(error, status) {
  if (!error) return errorOf(status);
  try {
    return new X402Error(raw.x402_error_message(error), {
      code: raw.x402_status_name(status),
      money: moneyName(raw.x402_error_money(error)),
      retry: raw.x402_error_retry(error),
      callbackValue: raw.x402_error_callback_value(error),
      payment: paymentRecord(raw.x402_error_payment(error)),
    });
  } finally {
    raw.x402_error_free(error);
  }
}

/** Calls NAME with the arguments and a place for its error; throws it. */
function check(name, ...values) {
  const error = places.pop() ?? output();
  const status = raw[name](...values, error);
  const failed = status === 0 ? 0 : handle(error);
  places.push(error);
  if (status !== 0) throw takeError(failed, status);
}

/** The same for a function whose last output is a handle. */
function make(name, ...values) {
  const out = output();
  check(name, ...values, out);
  return handle(out);
}

/* Calls that wait, each on a thread. Of ffi-napi's they are libuv's four, which the program needs too. */
const LATER_MAX = raw.callback ? 256 : 2;
const later = { running: 0, waiting: [] };

function runLater({ name, values, resolve, reject }) {
  const error = output();
  const over = () => {
    later.running -= 1;
    if (later.waiting.length) runLater(later.waiting.shift());
  };
  later.running += 1;
  try {
    raw[name].later(...values, error, (status) => {
      over();
      if (status) reject(takeError(handle(error), status));
      else resolve();
    });
  } catch (thrown) {
    over();
    reject(thrown);
  }
}

/** NAME on another thread, for calls that wait. */
function checkLater(name, ...values) {
  return new Promise((resolve, reject) => {
    const one = { name, values, resolve, reject };
    if (later.running < LATER_MAX) runLater(one);
    else later.waiting.push(one);
  });
}

module.exports = { AGAIN, CANCELLED, X402Error, check, checkLater, errorOf, make, moneyName, paymentRecord, takeError };
