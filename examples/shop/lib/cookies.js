'use strict';
// Cookies. The cart travels in one, signed, so that any instance can serve any visitor.

const crypto = require('node:crypto');

const CART_LINES_MAX = 30;
const QUANTITY_MAX = 20;

/** Cookies of a request as an object; the first of a name counts. */
function parse(header) {
  const out = Object.create(null);
  for (const part of (header ?? '').split(';')) {
    const at = part.indexOf('=');
    const name = part.slice(0, at).trim();
    if (at > 0 && !(name in out)) {
      out[name] = part.slice(at + 1).trim();
    }
  }
  return out;
}

function signature(text, secret) {
  return crypto.createHmac('sha256', secret).update(text).digest('base64url').slice(0, 22);
}

function emptyCart() {
  return { token: null, lines: new Map() };
}

/** { token, lines: Map(product id → quantity) }; empty when it is not ours. */
function readCart(value, secret) {
  const [text, signed] = (value ?? '').split('~');
  const mine = Buffer.from(signature(text, secret));
  const theirs = Buffer.from(signed ?? '');
  if (mine.length !== theirs.length || !crypto.timingSafeEqual(mine, theirs)) {
    return emptyCart();
  }
  const [token, ...items] = text.split('.');
  const lines = new Map(items.map((item) => item.split('x').map(Number)));
  return { token, lines };
}

function writeCart(cart, secret) {
  const items = [...cart.lines].map(([id, quantity]) => `${id}x${quantity}`);
  const text = [cart.token, ...items].join('.');
  return `cart=${text}~${signature(text, secret)}; Path=/; HttpOnly; SameSite=Lax`;
}

/** Whether there was room. */
function addToCart(cart, id, quantity) {
  if (!cart.lines.has(id) && cart.lines.size >= CART_LINES_MAX) {
    return false;
  }
  cart.lines.set(id, Math.min(QUANTITY_MAX, (cart.lines.get(id) ?? 0) + quantity));
  return true;
}

const CLEAR_CART = 'cart=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax';

module.exports = { parse, readCart, writeCart, addToCart, emptyCart, CLEAR_CART };
