'use strict';
// The shop's database, simulated where it matters for capacity: a pool of a few connections. A
// query holds a connection for its service time; who finds none free waits, first come first
// served, without bound, as in a real shop. So an instance carries about
// pool ÷ mean service time requests a second, however idle its CPU is.

const { generator, lognormal } = require('./random');

const SERVICE_MS = { browse: 30, product: 28, search: 45, cart: 30, login: 30, checkout: 60 };
const SERVICE_SIGMA = 0.35;

class Database {
  constructor({ pool, seed }) {
    this.free = pool;
    this.random = generator(seed);
    this.waiting = [];
    this.head = 0;      // of `waiting`: shift() would cost the length of the queue each time
    this.served = 0;
    this.abandoned = 0;
  }

  get queued() {
    return this.waiting.length - this.head;
  }

  /**
   * Answers with what `work` returns once a connection was held for the service time of `kind`.
   * A waiter whose visitor has gone meanwhile (`gone()` is true) costs no connection: null.
   */
  query(kind, work, gone = () => false) {
    return new Promise((resolve, reject) => {
      this.waiting.push({ kind, work, gone, resolve, reject });
      this.dispatch();
    });
  }

  dispatch() {
    while (this.free > 0 && this.head < this.waiting.length) {
      const query = this.waiting[this.head++];
      if (this.head > 1024 && this.head * 2 > this.waiting.length) {
        this.waiting.splice(0, this.head);
        this.head = 0;
      }
      if (query.gone()) {
        this.abandoned++;
        query.resolve(null);
        continue;
      }
      this.free--;
      const ms = lognormal(this.random, SERVICE_MS[query.kind], SERVICE_SIGMA);
      setTimeout(() => this.finish(query), Math.round(ms));
    }
  }

  finish(query) {
    this.free++;
    this.served++;
    try {
      query.resolve(query.work());
    } catch (error) {
      query.reject(error);
    }
    this.dispatch();
  }
}

module.exports = { Database, SERVICE_MS };
