// A service for the tests of processes: quick to start, says who it is, can be told to fail.
//   node app.js --port N [--start-ms N] [--work-ms N]
'use strict';
const http = require('node:http');

function option(name, fallback) {
  const at = process.argv.indexOf('--' + name);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
}

const port = option('port', 0);
const workMs = option('work-ms', 0);
let draining = false;
let failing = false;

const server = http.createServer((request, response) => {
  if (request.url === '/healthz') {
    response.writeHead(draining ? 503 : 200).end();
    return;
  }
  if (request.url === '/fail') failing = true;
  if (request.url === '/crash') process.exit(7);
  const answer = () => {
    response.writeHead(failing ? 500 : 200, { 'content-type': 'text/plain' });
    response.end(`${process.pid}\n`);
  };
  if (workMs > 0) setTimeout(answer, workMs);
  else answer();
});
server.keepAliveTimeout = 60000;

process.on('SIGTERM', () => {
  draining = true;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});

setTimeout(() => {
  server.listen(port, '127.0.0.1', () => console.log(`listening on ${port}`));
}, option('start-ms', 0));
