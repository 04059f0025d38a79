'use strict';
// The shop itself: what each path does. Every visit of a page is a query to the database, and what
// the visitor gets is decided while that holds its connection.

const crypto = require('node:crypto');
const { Orders } = require('./orders');
const cookies = require('./cookies');
const log = require('./log');

const FORM_BYTES_MAX = 16384;
const CUSTOMER = /^[A-Za-z0-9._@-]{1,64}$/;
const SESSION = /^[A-Za-z0-9_-]{8,64}$/;

/** The body as form fields; null when it is larger than a form of ours can be. */
async function readForm(request) {
  const parts = [];
  let bytes = 0;
  for await (const part of request) {
    bytes += part.length;
    if (bytes <= FORM_BYTES_MAX) {
      parts.push(part);
    }
  }
  return bytes > FORM_BYTES_MAX ? null : new URLSearchParams(Buffer.concat(parts).toString('utf8'));
}

class Shop {
  constructor({ products, search, pages, database, orders, secret }) {
    Object.assign(this, { products, search, pages, database, orders, secret });
  }

  /** Who asks: cookies, cart, and the fields to set in the answer. */
  visit(request, response) {
    const sent = cookies.parse(request.headers.cookie);
    const cart = cookies.readCart(sent.cart, this.secret);
    const known = SESSION.test(sent.sid ?? '');
    const session = known ? sent.sid : crypto.randomBytes(12).toString('base64url');
    const customer = CUSTOMER.test(sent.customer_id ?? '') ? sent.customer_id : null;
    let cartCount = 0;
    for (const quantity of cart.lines.values()) {
      cartCount += quantity;
    }
    return {
      request, response, cart, session, customer, cartCount,
      setCookies: known ? [] : [`sid=${session}; Path=/; HttpOnly; SameSite=Lax`],
      gone: () => response.destroyed,
    };
  }

  send(visit, status, html, fields = {}) {
    const { request, response } = visit;
    if (response.destroyed || response.headersSent) {
      return;
    }
    const body = Buffer.from(html);
    response.writeHead(status, {
      'Content-Type': 'text/html; charset=utf-8', 'Content-Length': body.length,
      'Cache-Control': 'private, no-cache', 'X-Instance': log.instance(),
      ...(visit.setCookies.length > 0 ? { 'Set-Cookie': visit.setCookies } : {}), ...fields,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  redirect(visit, location) {
    this.send(visit, 303, '', { Location: location });
  }

  message(visit, status, title, text, fields) {
    this.send(visit, status, this.pages.message(title, text, visit), fields);
  }

  async home(visit) {
    const html = await this.database.query('browse', () => this.pages.home(visit), visit.gone);
    this.send(visit, 200, html ?? '');
  }

  async find(visit, query) {
    const text = (query.get('q') ?? '').slice(0, 200);
    const html = await this.database.query('search',
      () => this.pages.results(text, this.search.query(text), visit), visit.gone);
    this.send(visit, 200, html ?? '');
  }

  productOf(text) {
    return /^[0-9]{1,6}$/.test(text ?? '') ? this.products[Number(text) - 1] ?? null : null;
  }

  async product(visit, id) {
    const product = this.productOf(id);
    const html = await this.database.query('product',
      () => (product === null ? null : this.pages.product(product, visit)), visit.gone);
    if (product === null) {
      this.message(visit, 404, 'Not here', 'We have no such product.');
    } else {
      this.send(visit, 200, html ?? '');
    }
  }

  async showCart(visit) {
    const html = await this.database.query('cart', () => this.pages.cart(visit.cart, visit),
      visit.gone);
    this.send(visit, 200, html ?? '');
  }

  async addToCart(visit) {
    const form = await readForm(visit.request);
    const product = this.productOf(form?.get('product'));
    const quantity = Number(form?.get('quantity') ?? 1);
    if (product === null || !Number.isInteger(quantity) || quantity < 1 || quantity > 20) {
      this.message(visit, 400, 'Not understood', 'Expected product and quantity (1 to 20).');
      return;
    }
    await this.database.query('cart', () => {
      visit.cart.token ??= Orders.newToken();
      cookies.addToCart(visit.cart, product.id, quantity);
    }, visit.gone);
    visit.setCookies.push(cookies.writeCart(visit.cart, this.secret));
    this.redirect(visit, '/cart');
  }

  async showCheckout(visit) {
    const html = await this.database.query('checkout', () => (visit.cart.lines.size === 0
      ? this.pages.cart(visit.cart, visit) : this.pages.checkout(visit.cart, visit)), visit.gone);
    this.send(visit, 200, html ?? '');
  }

  totalCents(cart) {
    let total = 0;
    for (const [id, quantity] of cart.lines) {
      total += this.products[id - 1].priceCents * quantity;
    }
    return total;
  }

  /* `product` in the form buys that at once, for a visitor whose cart is empty. */
  fillCart(visit, form) {
    const product = this.productOf(form.get('product'));
    if (visit.cart.lines.size === 0 && product !== null) {
      cookies.addToCart(visit.cart, product.id, 1);
    }
  }

  async placeOrder(visit) {
    const form = await readForm(visit.request);
    const token = form?.get('token') ?? visit.cart.token;
    if (form === null || !Orders.validToken(token)) {
      this.message(visit, 400, 'Not understood', 'Expected the token of the checkout form.');
      return;
    }
    this.fillCart(visit, form);
    /* Not given up when the visitor has gone: the order was sent, and asking again finds it. */
    const order = await this.database.query('checkout', () => this.orderOf(visit, token));
    if (order === 'empty') {
      this.message(visit, 409, 'Nothing to order', 'Your cart is empty.');
    } else if (order === null) {
      this.message(visit, 503, 'One moment', 'Your order is being placed. Please try again.',
        { 'Retry-After': '2' });
    } else {
      visit.setCookies.push(cookies.CLEAR_CART);
      this.send(visit, 200, this.pages.order(order.number, { ...visit, cartCount: 0 }));
    }
  }

  async orderOf(visit, token) {
    if (visit.cart.lines.size === 0) {
      const number = this.orders.find(token);
      return number === null ? 'empty' : { number };
    }
    const details = {
      session: visit.session, customer: visit.customer, total_cents: this.totalCents(visit.cart),
      instance: log.instance(),
    };
    const order = await this.orders.place(token, details);
    log.info(order?.repeated ? 'order_repeated' : order ? 'order_placed' : 'order_waits', {
      order: order?.number, token, total_cents: details.total_cents,
      trace_id: log.traceId(visit.request),
    });
    return order;
  }

  async login(visit) {
    const form = await readForm(visit.request);
    const customer = form?.get('customer') ?? '';
    if (!CUSTOMER.test(customer)) {
      this.message(visit, 400, 'Not understood', 'Expected a customer number such as C1042.');
      return;
    }
    await this.database.query('login', () => null, visit.gone);
    visit.setCookies.push(`customer_id=${customer}; Path=/; HttpOnly; SameSite=Lax`);
    this.redirect(visit, '/');
  }

  /** Does what method and path ask for; `url` is parsed. */
  async answer(request, response, url) {
    const visit = this.visit(request, response);
    const get = request.method === 'GET' || request.method === 'HEAD';
    const pages = {
      '/': [() => this.home(visit)],
      '/search': [() => this.find(visit, url.searchParams)],
      '/cart': [() => this.showCart(visit), () => this.addToCart(visit)],
      '/checkout': [() => this.showCheckout(visit), () => this.placeOrder(visit)],
      '/login': [async () => this.send(visit, 200, this.pages.login(visit)),
        () => this.login(visit)],
    };
    const id = /^\/product\/([^/]+)$/.exec(url.pathname)?.[1];
    const [onGet, onPost] = id !== undefined ? [() => this.product(visit, id)]
      : pages[url.pathname] ?? [];
    const act = get ? onGet : request.method === 'POST' ? onPost : undefined;
    if (act !== undefined) {
      await act();
    } else if (onGet === undefined) {
      this.message(visit, 404, 'Not here', 'There is no such page.');
    } else {
      this.message(visit, 405, 'Not so', 'This page cannot be asked in that way.',
        { Allow: onPost ? 'GET, HEAD, POST' : 'GET, HEAD' });
    }
  }
}

module.exports = { Shop };
