'use strict';
// The pages. What does not depend on the visitor is rendered once and kept; the frame around it
// (cart badge, customer's name) is put together for each answer.

const style = require('./style');
const { reviews } = require('./catalogue');

const FEATURED = 20;
const REVIEWS_SHOWN = 4;

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escape(text) {
  return String(text).replace(/[&<>"']/g, (c) => ENTITIES[c]);
}

function money(cents) {
  return `€ ${(cents / 100).toFixed(2)}`;
}

/** Everything but the main part: visitor = { cartCount, customer, search }. */
function frame(title, main, visitor) {
  const { cartCount = 0, customer = '', search = '' } = visitor;
  const account = customer
    ? `<span class="soft">${escape(customer)}</span>` : '<a href="/login">Sign in</a>';
  const badge = cartCount > 0 ? ` (${cartCount})` : '';
  return `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escape(title)} · Harbour Goods</title><style>${style}</style></head><body>
<header><a href="/"><b>Harbour Goods</b></a>
<form action="/search" role="search"><input name="q" type="search" value="${escape(search)}"` +
` placeholder="Search 1,000 products" aria-label="Search"><button>Search</button></form>
${account}<a href="/cart">Cart${badge}</a></header>
<main>${main}</main>
<footer>Harbour Goods · things that last · an example shop of Tidegate</footer></body></html>`;
}

function art(product) {
  const hue = product.department.hue;
  const turn = (product.id * 37) % 360;
  const letter = escape(product.good[0].toUpperCase());
  return `<div class="art" style="background:linear-gradient(${turn}deg,hsl(${hue} 45% 38%),` +
    `hsl(${(hue + 40) % 360} 55% 58%))" aria-hidden="true">${letter}</div>`;
}

function card(product) {
  return `<li><a class="card" href="/product/${product.id}">${art(product)}` +
    `<p>${escape(product.name)}</p><p>${money(product.priceCents)}</p></a></li>`;
}

function grid(products) {
  return `<ul class="grid">${products.map(card).join('')}</ul>`;
}

class Pages {
  constructor(products, search) {
    this.products = products;
    this.search = search;
    this.cards = grid(products.slice(0, FEATURED));
    this.productMains = new Map();
    const aisles = [...new Set(products.map((p) => p.department.name))]
      .map((name) => `<li><a href="/search?q=${encodeURIComponent(name)}">${escape(name)}</a></li>`);
    this.homeMain = '<section class="hero"><h1>Things that last.</h1><p>A thousand goods for ' +
      'kitchen, garden and the road, from workshops we know by name.</p></section>' +
      `<ul class="aisles">${aisles.join('')}</ul><h2>New this week</h2>${this.cards}`;
  }

  home(visitor) {
    return frame('Home', this.homeMain, visitor);
  }

  product(product, visitor) {
    let main = this.productMains.get(product.id);
    if (main === undefined) {
      main = this.productMain(product);
      this.productMains.set(product.id, main);
    }
    return frame(product.name, main, visitor);
  }

  productMain(product) {
    const quotes = reviews(product, REVIEWS_SHOWN)
      .map((text) => `<blockquote>${escape(text)}</blockquote>`).join('');
    const like = this.search.neighbours[product.id - 1];
    const also = like.length > 0 ? `<h2>You may also like</h2>${grid(like)}` : '';
    return `<div class="two">${art(product)}<div><p class="soft">` +
      `${escape(product.department.name)} · ${escape(product.brand)}</p>` +
      `<h1>${escape(product.name)}</h1><p class="price">${money(product.priceCents)}</p>` +
      `<p><span class="stars">★</span> ${product.stars.toFixed(1)} of 5</p>` +
      `<form method="post" action="/cart"><input type="hidden" name="product" value="${product.id}">` +
      '<label>Quantity <input name="quantity" type="number" value="1" min="1" max="20"></label> ' +
      '<button class="go">Add to cart</button></form>' +
      `<p>${escape(product.description)}</p></div></div>` +
      `<h2>What customers say</h2>${quotes}${also}`;
  }

  results(text, result, visitor) {
    const hint = result.corrected ? `<p class="soft">Showing results for ` +
      `<b>${escape(result.corrected)}</b>.</p>` : '';
    const body = result.products.length > 0 ? grid(result.products)
      : '<p>Nothing found. Try a more general word, such as “lamp” or “linen”.</p>';
    const title = text ? `Search: ${text}` : 'Search';
    return frame(title, `<h1>${escape(title)}</h1>${hint}${body}`, { ...visitor, search: text });
  }

  cartTable(cart) {
    let total = 0;
    const rows = [...cart.lines].map(([id, quantity]) => {
      const product = this.products[id - 1];
      total += product.priceCents * quantity;
      return `<tr><td><a href="/product/${id}">${escape(product.name)}</a></td>` +
        `<td>${quantity}</td><td>${money(product.priceCents * quantity)}</td></tr>`;
    });
    return '<table><thead><tr><th>Product</th><th>Quantity</th><th>Price</th></tr></thead>' +
      `<tbody>${rows.join('')}<tr><th colspan="2">Total</th><th>${money(total)}</th></tr></tbody>` +
      '</table>';
  }

  cart(cart, visitor) {
    const main = cart.lines.size === 0 ? '<p>Your cart is empty.</p>'
      : `${this.cartTable(cart)}<p><a class="go" href="/checkout">Go to checkout</a></p>`;
    return frame('Your cart', `<h1>Your cart</h1>${main}`, visitor);
  }

  checkout(cart, visitor) {
    const main = `${this.cartTable(cart)}<form class="panel" method="post" action="/checkout">` +
      `<input type="hidden" name="token" value="${escape(cart.token)}">` +
      '<label for="name">Name</label><input id="name" name="name" autocomplete="name">' +
      '<label for="address">Address</label>' +
      '<input id="address" name="address" autocomplete="street-address">' +
      '<button class="go">Place order</button></form>';
    return frame('Checkout', `<h1>Checkout</h1>${main}`, visitor);
  }

  order(number, visitor) {
    return frame('Thank you', '<div class="panel"><h1>Thank you!</h1><p>Your order number is ' +
      `<b id="order">${escape(number)}</b>.</p><p><a class="go" href="/">Back to the shop</a></p></div>`,
    visitor);
  }

  login(visitor) {
    return frame('Sign in', '<form class="panel" method="post" action="/login"><h1>Sign in</h1>' +
      '<label for="customer">Customer number</label>' +
      '<input id="customer" name="customer" placeholder="C1042" required>' +
      '<button class="go">Sign in</button></form>', visitor);
  }

  message(title, text, visitor) {
    return frame(title, `<h1>${escape(title)}</h1><p>${escape(text)}</p>` +
      '<p><a class="go" href="/">Back to the shop</a></p>', visitor);
  }
}

module.exports = { Pages, escape };
