// A service that calls another one for each of its requests.
//   node calling.js --port N [--host ADDRESS] [--from ADDRESS] --to URL --times N [--trace 0]
// It calls from the address it listens on, and hands the trace on unless told otherwise.
'use strict';
const http = require('node:http');

function option(name, fallback) {
  const at = process.argv.indexOf('--' + name);
  return at < 0 ? fallback : process.argv[at + 1];
}

const host = option('host', '127.0.0.1');
const from = option('from', host);
const to = option('to', '');
const times = Number(option('times', 1));
const traced = option('trace', '1') === '1';
const agent = new http.Agent({ keepAlive: true });

function call(headers) {
  return new Promise((done) => {
    const request = http.get(to, { agent, localAddress: from, headers }, (answer) => {
      answer.on('end', done).resume();
    });
    request.on('error', done);
  });
}

async function answer(request, response) {
  const trace = request.headers.traceparent;
  const headers = traced && trace ? { traceparent: trace } : {};
  if (request.url !== '/healthz') {
    for (let i = 0; i < times; i++) await call(headers);
  }
  response.end('called\n');
}

const server = http.createServer(answer);
server.keepAliveTimeout = 60000;
server.listen(Number(option('port', 0)), host, () => console.log(`listening on ${server.address().port}`));
process.on('SIGTERM', () => process.exit(0));
