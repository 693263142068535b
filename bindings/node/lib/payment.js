'use strict';
/* payment.js: a payment for a request that another HTTP client sends. Whoever has `headerValue` can take the money. */
const { raw } = require('./raw.js');
const { check, moneyName, paymentRecord } = require('./error.js');

const letGo = ({ payment }) => raw.x402_payment_free(payment);
const forgotten = new FinalizationRegistry(letGo);

class Payment {
  #held;
  /** `state` is that of its client, whose log may be told of the settlement. */
  constructor(payment, state) {
    this.#held = { payment, state };
    this.headerName = raw.x402_payment_header_name(payment);
    forgotten.register(this, this.#held, this);
  }

  get #payment() {
    if (!this.#held) throw new TypeError('this payment was closed');
    return this.#held.payment;
  }

  get headerValue() {
    return raw.x402_payment_header_value(this.#payment);
  }

  get record() {
    return paymentRecord(this.#payment);
  }

  /** Reads the receipt of what was answered; gives where the money is. */
  settle(status, headers) {
    const pairs = [...headers];
    check('x402_payment_settle', this.#payment, status, pairs.map(([name]) => name), pairs.map(([, value]) => value),
      pairs.length);
    return moneyName(raw.x402_payment_money(this.#payment));
  }

  /** One that was not settled counts as spent: its header may have been sent. */
  close() {
    if (!this.#held) return;
    forgotten.unregister(this);
    letGo(this.#held);
    this.#held = null;
  }

  [Symbol.dispose ?? Symbol.for('dispose')]() {
    this.close();
  }
}

module.exports = { Payment };
