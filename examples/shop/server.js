#!/usr/bin/env node
'use strict';
// Harbour Goods: a small real storefront to run Tidegate on. Node 18 or newer, no packages.
//
//   starting ── index built ──▶ ready ── SIGTERM, SIGINT ──▶ draining ── all answered ──▶ exit 0
//   /healthz 503                200                          503

const http = require('node:http');

const log = require('./lib/log');
const options = require('./lib/options').parse(process.argv.slice(2), process.env);
const { makeCatalogue } = require('./lib/catalogue');
const { Search } = require('./lib/search');
const { Pages } = require('./lib/pages');
const { Database } = require('./lib/database');
const { Orders } = require('./lib/orders');
const { Shop } = require('./lib/shop');
const { Faults } = require('./lib/faults');
const { Laboratory } = require('./lib/laboratory');
const websocket = require('./lib/websocket');

const KEEP_ALIVE_MS = 75000;   // longer than what stands in front keeps an idle connection
const DRAIN_MAX_MS = 30000;    // then what is left is cut off
const DRAIN_LOOK_MS = 50;      // how often connections that became idle are closed
const DRAIN_SILENT_MS = 1000;  // then connections that carry no request are closed
const REVIEWS_WHEN_TINY = 0;

const startedAt = Date.now();
const faults = new Faults();
const laboratory = new Laboratory();
const sockets = new Set();     // WebSockets
const inFlight = new Set();    // responses
const connections = new Set();
let state = 'starting';
let shop = null;

function sendText(response, status, text, fields = {}) {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(text), ...fields });
  response.end(text);
}

function answerHealth(response) {
  if (!faults.swallowHealth) {
    sendText(response, state === 'ready' ? 200 : 503, `${state}\n`, { 'Cache-Control': 'no-store' });
  }
}

function answerFault(request, response, query) {
  if (request.method === 'GET') {
    const text = JSON.stringify(faults.state());
    sendText(response, 200, text, { 'Content-Type': 'application/json' });
    return;
  }
  const wrong = request.method === 'POST' ? faults.apply(query) : 'expected POST';
  sendText(response, wrong === null ? 200 : 400, `${wrong ?? 'done'}\n`);
}

async function answerVisitor(request, response, url) {
  if (faults.swallow) {
    return;
  }
  if (faults.slowMs > 0) {
    await new Promise((resolve) => setTimeout(resolve, faults.slowMs));
  }
  if (faults.errorShare > 0 && faults.failNext()) {
    sendText(response, faults.errorStatus, 'fault\n');
    return;
  }
  const special = { '/stream': 'stream', '/echo': 'echo', '/bytes': 'bytes' }[url.pathname];
  if (special !== undefined) {
    laboratory[special](request, response, url.searchParams);
  } else {
    await shop.answer(request, response, url);
  }
}

function logRequest(request, response) {
  const began = process.hrtime.bigint();
  response.on('close', () => log.info('request', {
    method: request.method, path: request.url, status: response.statusCode,
    whole: response.writableFinished,
    ms: Number((process.hrtime.bigint() - began) / 10000n) / 100, trace_id: log.traceId(request),
  }));
}

function failRequest(request, response, error) {
  log.error('request_failed', { method: request.method, path: request.url,
    error: error.message, trace_id: log.traceId(request) });
  if (response.headersSent) {
    response.destroy();
  } else {
    sendText(response, 500, 'Something broke. It was written down.\n');
  }
}

function answer(request, response) {
  let url;
  try {
    url = new URL(request.url, 'http://shop');
  } catch {
    sendText(response, 400, 'Expected a path.\n');
    return;
  }
  if (options.logRequests) {
    logRequest(request, response);
  }
  inFlight.add(response);
  response.on('close', () => inFlight.delete(response));
  if (state === 'draining') {
    response.setHeader('Connection', 'close');
  }
  if (url.pathname === '/healthz') {
    answerHealth(response);
  } else if (url.pathname === '/__fault' && options.faults) {
    answerFault(request, response, url.searchParams);
  } else if (shop === null) {
    sendText(response, 503, 'The shop opens in a moment.\n', { 'Retry-After': '1' });
  } else {
    answerVisitor(request, response, url).catch((error) => failRequest(request, response, error));
  }
}

function upgrade(request, socket, head) {
  const echo = request.url === '/ws' && state === 'ready'
    ? websocket.accept(request, socket, head) : null;
  if (echo === null) {
    if (!socket.writableEnded) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    }
    return;
  }
  sockets.add(echo);
  socket.on('close', () => sockets.delete(echo));
}

/* Node counts a connection that never sent anything as busy, so we look ourselves. */
function closeSilent() {
  const busy = new Set([...inFlight].map((response) => response.socket));
  for (const socket of connections) {
    if (!busy.has(socket)) {
      socket.destroy();
    }
  }
}

/* Stop accepting, answer what is in flight, go. */
function drain(server, signal) {
  if (state === 'starting') {
    process.exit(0);   // nobody was promised anything yet
  }
  if (state === 'draining') {
    return;
  }
  state = 'draining';
  log.info('draining', { signal });
  server.close(() => {
    log.info('stopped', { seconds: Math.round((Date.now() - startedAt) / 1000) });
    process.exit(0);
  });
  inFlight.forEach((response) => response.headersSent || response.setHeader('Connection', 'close'));
  setInterval(() => server.closeIdleConnections(), DRAIN_LOOK_MS);
  server.closeIdleConnections();
  setTimeout(closeSilent, DRAIN_SILENT_MS);
  laboratory.close();
  sockets.forEach((echo) => echo.goAway());
  setTimeout(() => {
    log.warn('drain_cut_off', { after_ms: DRAIN_MAX_MS });
    process.exit(0);
  }, DRAIN_MAX_MS).unref();
}

async function open() {
  const products = makeCatalogue();
  const search = new Search(products);
  const tiny = options.startupMs !== null;
  const built = await search.build(tiny ? { reviewCount: REVIEWS_WHEN_TINY } : {});
  if (tiny) {
    const leftMs = startedAt + options.startupMs - Date.now();
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, leftMs)));
  }
  shop = new Shop({
    products, search, secret: options.secret,
    pages: new Pages(products, search),
    database: new Database({ pool: options.pool, seed: options.seed }),
    orders: new Orders(options.orders),
  });
  state = state === 'starting' ? 'ready' : state;
  const usage = process.cpuUsage();
  log.info('ready', { products: products.length, terms: built.terms, trigrams: built.trigrams,
    pool: options.pool, startup_ms: Date.now() - startedAt,
    startup_cpu_ms: Math.round((usage.user + usage.system) / 1000) });
}

function fail(event, error) {
  log.error(event, { error: error.message });
  process.exit(1);
}

function main() {
  if (options.failStart) {
    process.stderr.write('server.js: cannot reach the database at db.invalid:5432 (--fail-start)\n');
    process.exit(1);
  }
  const server = http.createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, answer);
  server.headersTimeout = KEEP_ALIVE_MS + 5000;
  server.requestTimeout = 0;   // a slow upload is the front door's business
  server.on('upgrade', upgrade);
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
  });
  server.on('error', (error) => fail('cannot_listen', error));
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, () => drain(server, signal));
  }
  server.listen(options.port, options.host, () => {
    const { port } = server.address();
    log.setInstance(`shop-${port}`);
    log.info('listening', { host: options.host, port, pid: process.pid });
    open().catch((error) => fail('cannot_open', error));
  });
}

main();
