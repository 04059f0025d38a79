'use strict';
// The command line and the environment. What is not understood is an error, not a guess.

const path = require('node:path');

const USAGE = `usage: node server.js --port N [option...]
  --port N          where to listen (or PORT in the environment)
  --host ADDRESS    default 127.0.0.1
  --pool N          database connections, default 4
  --orders FILE     where orders are appended, default var/orders.jsonl beside server.js
  --log events|requests   what is logged: what happens (default), or each request too
  --seed N          of the database's service times; default: another one in each process
  --startup-ms N    a small search index, ready no earlier than N ms after the start (for tests)
  --fail-start      say why and exit with status 1 (for tests)
  --faults          accept POST /__fault (or SHOP_FAULTS=1)
`;

function fail(message) {
  process.stderr.write(`server.js: ${message}\n${USAGE}`);
  process.exit(2);
}

function integer(name, text, least, most) {
  const value = /^[0-9]{1,10}$/.test(text ?? '') ? Number(text) : NaN;
  if (!(value >= least && value <= most)) {
    fail(`${name}: expected a number from ${least} to ${most}, found '${text ?? ''}'`);
  }
  return value;
}

const TAKES = {
  '--port': (o, v) => { o.port = integer('--port', v, 0, 65535); },
  '--host': (o, v) => { o.host = v; },
  '--pool': (o, v) => { o.pool = integer('--pool', v, 1, 1000); },
  '--orders': (o, v) => { o.orders = path.resolve(v); },
  '--seed': (o, v) => { o.seed = integer('--seed', v, 0, 4294967295); },
  '--startup-ms': (o, v) => { o.startupMs = integer('--startup-ms', v, 0, 600000); },
  '--log': (o, v) => {
    if (v !== 'events' && v !== 'requests') {
      fail(`--log: expected events or requests, found '${v}'`);
    }
    o.logRequests = v === 'requests';
  },
};

const FLAGS = {
  '--faults': (o) => { o.faults = true; },
  '--fail-start': (o) => { o.failStart = true; },
};

function parse(argv, environment) {
  const options = {
    port: null, host: '127.0.0.1', pool: 4, startupMs: null, failStart: false, logRequests: false,
    orders: path.join(__dirname, '..', 'var', 'orders.jsonl'), seed: process.pid,
    faults: environment.SHOP_FAULTS === '1',
    secret: environment.SHOP_SECRET || 'the-secret-of-the-example-shop',
  };
  for (let i = 0; i < argv.length; i++) {
    const [name, inline] = argv[i].split(/=(.*)/s);
    if (FLAGS[name] && inline === undefined) {
      FLAGS[name](options);
    } else if (TAKES[name]) {
      const value = inline ?? argv[++i];
      if (value === undefined) {
        fail(`${name} needs a value`);
      }
      TAKES[name](options, value);
    } else if (name === '--help') {
      process.stdout.write(USAGE);
      process.exit(0);
    } else {
      fail(`'${argv[i]}' is not an option`);
    }
  }
  if (options.port === null) {
    if (!environment.PORT) {
      fail('expected --port N');
    }
    options.port = integer('PORT', environment.PORT, 0, 65535);
  }
  return options;
}

module.exports = { parse };
