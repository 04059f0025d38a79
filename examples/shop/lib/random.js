'use strict';
// Random numbers that can be repeated: the catalogue is the same in every instance, and a test may
// fix the database's service times.

/** A generator of numbers in [0, 1) from a 32-bit seed (mulberry32, public domain). */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** An element of `list`. */
function pick(random, list) {
  return list[Math.floor(random() * list.length)];
}

/** A standard normal number (Box and Muller). */
function normal(random) {
  const radius = Math.sqrt(-2 * Math.log(1 - random()));
  return radius * Math.cos(2 * Math.PI * random());
}

/** A lognormal number of that mean; `sigma` is the deviation of its logarithm. */
function lognormal(random, mean, sigma) {
  return mean * Math.exp(sigma * normal(random) - (sigma * sigma) / 2);
}

module.exports = { generator, pick, normal, lognormal };
