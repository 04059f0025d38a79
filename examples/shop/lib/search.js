'use strict';
// Full-text search, built anew at every start: this is the shop's start-up work, and nothing of it
// is idle waiting.
//
//   text ─▶ tokens ─▶ stems ─▶ postings (stem → product, weight)      ranking by BM25
//                        └───▶ trigrams of the vocabulary             "tepott" finds "teapot"
//   postings ─▶ tf-idf vectors ─▶ nearest neighbours                  "you may also like"

const { reviews } = require('./catalogue');

const REVIEWS_INDEXED = 220;  // of each product: this sets how long a start takes
const SLICE_MS = 8;           // of building between two turns of the event loop
const NEIGHBOURS = 4;
const NEIGHBOUR_TERMS = 120;  // heaviest terms of a product that are compared
const FIELD_WEIGHT = { name: 12, department: 6, description: 2, review: 0.2 };
const BM25_K = 1.2;
const BM25_B = 0.4;
const TYPO_LONG = 6;          // from this length on two typing errors are forgiven, else one
const QUERY_TOKENS_MAX = 8;
const CACHE_MAX = 500;
const RESULTS_MAX = 24;

const STOP = new Set(('a an and are as at be but by can for from had has have i if in is it its my ' +
  'no not of on once or our so than that the there this to was we which with within yet').split(' '));

/** Folds the commonest English endings; the same for what is indexed and what is asked. */
function stem(word) {
  if (word.length > 4 && word.endsWith('ies')) {
    return `${word.slice(0, -3)}y`;
  }
  if (word.length > 5 && word.endsWith('ing')) {
    return word.slice(0, -3);
  }
  if (word.length > 4 && word.endsWith('es') && /(s|x|ch|sh)es$/.test(word)) {
    return word.slice(0, -2);
  }
  if (word.length > 3 && word.endsWith('s') && !word.endsWith('ss')) {
    return word.slice(0, -1);
  }
  return word;
}

function tokens(text) {
  const found = text.toLowerCase().normalize('NFKD').match(/[a-z0-9]+/g) ?? [];
  return found.filter((word) => !STOP.has(word)).map(stem);
}

function trigrams(word) {
  const padded = `  ${word} `;
  const out = [];
  for (let i = 0; i + 3 <= padded.length; i++) {
    out.push(padded.slice(i, i + 3));
  }
  return out;
}

/** Damerau-Levenshtein distance (optimal string alignment), `limit` + 1 when it is more. */
function distance(a, b, limit) {
  if (Math.abs(a.length - b.length) > limit) {
    return limit + 1;
  }
  let before = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j], before[j - 2] + 1);
      }
    }
    before = last;
    last = row;
  }
  return last[b.length];
}

class Search {
  constructor(products) {
    this.products = products;
    this.postings = new Map();    // stem → Map(product index → weight)
    this.lengths = new Float64Array(products.length);
    this.meanLength = 1;
    this.trigramTerms = new Map();
    this.neighbours = products.map(() => []);
    this.cache = new Map();
  }

  add(index, text, weight) {
    for (const term of tokens(text)) {
      let posting = this.postings.get(term);
      if (posting === undefined) {
        posting = new Map();
        this.postings.set(term, posting);
      }
      posting.set(index, (posting.get(index) ?? 0) + weight);
      this.lengths[index] += weight;
    }
  }

  addProduct(index, reviewCount) {
    const product = this.products[index];
    this.add(index, `${product.name} ${product.brand}`, FIELD_WEIGHT.name);
    this.add(index, product.department.name, FIELD_WEIGHT.department);
    this.add(index, product.description, FIELD_WEIGHT.description);
    for (const review of reviews(product, reviewCount)) {
      this.add(index, review, FIELD_WEIGHT.review);
    }
  }

  /** All of it, in slices, so that health checks and signals are answered meanwhile. */
  async build({ reviewCount = REVIEWS_INDEXED } = {}) {
    let sliceEnd = Date.now() + SLICE_MS;
    const breathe = async () => {
      if (Date.now() >= sliceEnd) {
        await new Promise(setImmediate);
        sliceEnd = Date.now() + SLICE_MS;
      }
    };
    for (let i = 0; i < this.products.length; i++) {
      this.addProduct(i, reviewCount);
      await breathe();
    }
    this.meanLength = this.lengths.reduce((a, b) => a + b, 0) / this.products.length;
    this.indexTrigrams();
    await breathe();
    const vectors = this.vectors();
    for (let i = 0; i < this.products.length; i++) {
      this.neighbours[i] = this.nearest(vectors, i);
      await breathe();
    }
    return { terms: this.postings.size, trigrams: this.trigramTerms.size };
  }

  indexTrigrams() {
    for (const term of this.postings.keys()) {
      for (const gram of new Set(trigrams(term))) {
        const terms = this.trigramTerms.get(gram);
        if (terms === undefined) {
          this.trigramTerms.set(gram, [term]);
        } else {
          terms.push(term);
        }
      }
    }
  }

  idf(posting) {
    return Math.log(1 + (this.products.length - posting.size + 0.5) / (posting.size + 0.5));
  }

  /** For each product its heaviest terms as [term, weight], of length 1. */
  vectors() {
    const all = this.products.map(() => []);
    for (const [term, posting] of this.postings) {
      const idf = this.idf(posting);
      for (const [index, weight] of posting) {
        all[index].push([term, Math.log1p(weight) * idf]);
      }
    }
    return all.map((vector) => {
      const heavy = vector.sort((a, b) => b[1] - a[1]).slice(0, NEIGHBOUR_TERMS);
      const norm = Math.sqrt(heavy.reduce((sum, [, w]) => sum + w * w, 0)) || 1;
      return new Map(heavy.map(([term, w]) => [term, w / norm]));
    });
  }

  /** The products most like this one, of its own department (the others are a different aisle). */
  nearest(vectors, index) {
    const own = vectors[index];
    const scored = [];
    for (let other = 0; other < this.products.length; other++) {
      if (other === index ||
          this.products[other].department !== this.products[index].department) {
        continue;
      }
      let cosine = 0;
      for (const [term, weight] of vectors[other]) {
        cosine += weight * (own.get(term) ?? 0);
      }
      scored.push([cosine, other]);
    }
    scored.sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    return scored.slice(0, NEIGHBOURS).map(([, other]) => this.products[other]);
  }

  /** The known term meant by a token that nobody wrote; null when there is none near. */
  correct(token) {
    const allowed = token.length >= TYPO_LONG ? 2 : 1;
    const shared = new Map();
    for (const gram of new Set(trigrams(token))) {
      for (const term of this.trigramTerms.get(gram) ?? []) {
        shared.set(term, (shared.get(term) ?? 0) + 1);
      }
    }
    let best = null;
    for (const [term, count] of shared) {
      const far = distance(token, term, allowed);
      if (far <= allowed && (best === null || far < best.far ||
          (far === best.far && count > best.count))) {
        best = { term, far, count };
      }
    }
    return best?.term ?? null;
  }

  score(term, scores) {
    const posting = this.postings.get(term);
    const idf = this.idf(posting);
    for (const [index, weight] of posting) {
      const norm = BM25_K * (1 - BM25_B + BM25_B * this.lengths[index] / this.meanLength);
      scores.set(index, (scores.get(index) ?? 0) + idf * weight * (BM25_K + 1) / (weight + norm));
    }
  }

  /** { products: best first, corrected: what was asked for after correction, or null }. */
  query(text) {
    const asked = tokens(text).slice(0, QUERY_TOKENS_MAX);
    const key = asked.join(' ');
    const known = this.cache.get(key);
    if (known !== undefined) {
      return known;
    }
    const used = asked.map((t) => (this.postings.has(t) ? t : this.correct(t)))
      .filter((t) => t !== null);
    const scores = new Map();
    for (const term of used) {
      this.score(term, scores);
    }
    const best = [...scores].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, RESULTS_MAX);
    const result = {
      products: best.map(([index]) => this.products[index]),
      corrected: used.join(' ') === key ? null : used.join(' '),
    };
    if (this.cache.size >= CACHE_MAX) {
      this.cache.delete(this.cache.keys().next().value);
    }
    this.cache.set(key, result);
    return result;
  }
}

module.exports = { Search, tokens, stem, distance };
