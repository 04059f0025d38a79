'use strict';
// The catalogue: a thousand products, the same in every instance and at every start.

const { generator, pick } = require('./random');
const words = require('./words');

const PRODUCTS = 1000;
const SEED = 20150311;
const DESCRIPTION_SENTENCES = 12;

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

/** Prices end as prices do: 12.90, 49.00. */
function priceCents(random, [least, most]) {
  const euros = least * Math.pow(most / least, random());
  return Math.max(1, Math.round(euros)) * 100 - (euros < 40 ? 10 : 0);
}

function fill(template, product, random) {
  const facts = {
    good: product.good, material: product.material, brand: product.brand,
    department: product.department.name.toLowerCase(), place: product.place,
    quality: product.quality, quality2: pick(random, words.QUALITIES),
    colour: product.colour, colour2: pick(random, words.COLOURS),
    colour3: pick(random, words.COLOURS),
    use: pick(random, product.department.uses), use2: pick(random, product.department.uses),
  };
  return capital(template.replace(/\{(\w+)\}/g, (_, name) => facts[name]));
}

function sentences(product, random, templates, count) {
  const first = Math.floor(random() * templates.length);
  const out = [];
  for (let i = 0; i < count; i++) {
    out.push(fill(templates[(first + i * 5) % templates.length], product, random));
  }
  return out.join(' ');
}

function makeProduct(id) {
  const random = generator(SEED + id * 7919);
  const department = words.DEPARTMENTS[(id - 1) % words.DEPARTMENTS.length];
  const product = {
    id, department,
    brand: pick(random, words.BRANDS),
    good: pick(random, department.goods),
    material: pick(random, department.materials),
    quality: pick(random, words.QUALITIES),
    colour: pick(random, words.COLOURS),
    place: pick(random, words.PLACES),
    priceCents: priceCents(random, department.price),
  };
  product.name = capital(`${product.quality} ${product.material} ${product.good}`);
  product.description = sentences(product, random, words.SENTENCES, DESCRIPTION_SENTENCES);
  product.stars = 3 + Math.round(random() * 20) / 10;
  return product;
}

/** What customers wrote: `count` reviews of a few sentences, made anew at each call. */
function reviews(product, count) {
  const random = generator(SEED ^ (product.id * 104729));
  const out = [];
  for (let i = 0; i < count; i++) {
    out.push(sentences(product, random, words.OPINIONS, 3));
  }
  return out;
}

/** All products; ids count from 1. */
function makeCatalogue() {
  return Array.from({ length: PRODUCTS }, (_, i) => makeProduct(i + 1));
}

module.exports = { makeCatalogue, reviews, PRODUCTS };
