'use strict';
// Paths that no visitor needs, for trying what stands in front of the shop.
//
//   GET  /stream     server-sent events, one a second
//   any  /echo       what arrived: method, path, headers, bytes and SHA-256 of the body
//   GET  /bytes?n=N  N bytes, streamed

const crypto = require('node:crypto');

const BYTES_MAX = 16 * 1024 ** 3;
const BLOCK = Buffer.alloc(65536, 'harbour goods. ');
const STREAM_EVERY_MS = 1000;

class Laboratory {
  constructor() {
    this.streams = new Set();
  }

  stream(request, response) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    let number = 0;
    const send = () => response.write(`id: ${++number}\ndata: ${Date.now()}\n\n`);
    const timer = setInterval(send, STREAM_EVERY_MS);
    this.streams.add(response);
    response.on('close', () => {
      clearInterval(timer);
      this.streams.delete(response);
    });
    send();
  }

  echo(request, response) {
    const hash = crypto.createHash('sha256');
    let bytes = 0;
    request.on('data', (part) => {
      hash.update(part);
      bytes += part.length;
    });
    request.on('end', () => {
      const answer = JSON.stringify({
        method: request.method, path: request.url, headers: request.headers, bytes,
        sha256: hash.digest('hex'), trailers: request.trailers,
      });
      response.writeHead(200, { 'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(answer) });
      response.end(answer);
    });
    request.on('error', () => response.destroy());
  }

  bytes(request, response, query) {
    let left = Number(query.get('n') ?? '');
    if (!Number.isInteger(left) || left < 0 || left > BYTES_MAX) {
      response.writeHead(400, { 'Content-Type': 'text/plain' });
      response.end(`n: expected 0 to ${BYTES_MAX}\n`);
      return;
    }
    response.writeHead(200, { 'Content-Type': 'application/octet-stream',
      'Content-Length': left });
    const more = () => {
      while (left > 0) {
        const part = left >= BLOCK.length ? BLOCK : BLOCK.subarray(0, left);
        left -= part.length;
        if (!response.write(part)) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    if (request.method === 'HEAD') {
      response.end();
    } else {
      more();
    }
  }

  /** Ends what would never end by itself. */
  close() {
    for (const response of this.streams) {
      response.end();
    }
  }
}

module.exports = { Laboratory };
