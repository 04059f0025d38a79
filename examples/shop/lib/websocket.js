'use strict';
// WebSocket echo (RFC 6455) by hand: sends back every message, answers pings and the closing
// handshake. Not here: extensions, and checking that text is UTF-8.

const crypto = require('node:crypto');

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const CLOSE_WAIT_MS = 1000;   // for the other side to close too
const MESSAGE_BYTES_MAX = 1 << 20;
const OPCODE = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 };
const CLOSE = { GOING_AWAY: 1001, PROTOCOL_ERROR: 1002, TOO_BIG: 1009 };

function encode(opcode, payload) {
  const length = payload.length;
  let head;
  if (length < 126) {
    head = Buffer.from([0x80 | opcode, length]);
  } else if (length < 65536) {
    head = Buffer.from([0x80 | opcode, 126, length >> 8, length & 255]);
  } else {
    head = Buffer.alloc(10);
    head[0] = 0x80 | opcode;
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, payload]);
}

/** The frame at the start of `bytes`: null when it is not whole, a number to close with when bad. */
function decode(bytes) {
  if (bytes.length < 2) {
    return null;
  }
  const final = (bytes[0] & 0x80) !== 0;
  const opcode = bytes[0] & 0x0f;
  let length = bytes[1] & 0x7f;
  let at = 2;
  const control = opcode >= OPCODE.CLOSE;
  const known = opcode <= OPCODE.BINARY || (control && opcode <= OPCODE.PONG);
  const masked = (bytes[1] & 0x80) !== 0;
  if ((bytes[0] & 0x70) !== 0 || !known || !masked || (control && (!final || length > 125))) {
    return CLOSE.PROTOCOL_ERROR;
  }
  if (length === 126) {
    if (bytes.length < 4) {
      return null;
    }
    length = bytes.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (bytes.length < 10) {
      return null;
    }
    length = Number(bytes.readBigUInt64BE(2));
    at = 10;
  }
  if (length > MESSAGE_BYTES_MAX) {
    return CLOSE.TOO_BIG;
  }
  if (bytes.length < at + 4 + length) {
    return null;
  }
  const mask = bytes.subarray(at, at + 4);
  const payload = Buffer.from(bytes.subarray(at + 4, at + 4 + length));
  for (let i = 0; i < payload.length; i++) {
    payload[i] ^= mask[i & 3];
  }
  return { final, opcode, payload, end: at + 4 + length };
}

class EchoSocket {
  constructor(socket) {
    this.socket = socket;
    this.unread = Buffer.alloc(0);
    this.parts = [];          // of a message that came in several frames
    this.partsOpcode = 0;
    this.closing = false;
    socket.on('data', (bytes) => this.take(bytes));
    socket.on('error', () => socket.destroy());
    socket.on('drain', () => socket.resume());
  }

  take(bytes) {
    this.unread = this.unread.length === 0 ? bytes : Buffer.concat([this.unread, bytes]);
    while (!this.closing) {
      const frame = decode(this.unread);
      if (frame === null) {
        return;
      }
      if (typeof frame === 'number') {
        this.close(frame);
        return;
      }
      this.unread = this.unread.subarray(frame.end);
      this.answer(frame);
    }
  }

  answer({ final, opcode, payload }) {
    if (opcode === OPCODE.PING) {
      this.send(OPCODE.PONG, payload);
    } else if (opcode === OPCODE.CLOSE) {
      this.finish(payload.subarray(0, 2));
    } else if (opcode !== OPCODE.PONG) {
      this.answerData(final, opcode, payload);
    }
  }

  answerData(final, opcode, payload) {
    const goesOn = this.parts.length > 0;
    if ((opcode === OPCODE.CONTINUATION) !== goesOn) {
      this.close(CLOSE.PROTOCOL_ERROR);
      return;
    }
    this.partsOpcode = goesOn ? this.partsOpcode : opcode;
    this.parts.push(payload);
    if (this.parts.reduce((sum, part) => sum + part.length, 0) > MESSAGE_BYTES_MAX) {
      this.close(CLOSE.TOO_BIG);
    } else if (final) {
      this.send(this.partsOpcode, Buffer.concat(this.parts));
      this.parts = [];
    }
  }

  send(opcode, payload) {
    if (!this.socket.write(encode(opcode, payload))) {
      this.socket.pause();
    }
  }

  close(code) {
    this.finish(Buffer.from([code >> 8, code & 255]));
  }

  finish(payload) {
    if (!this.closing) {
      this.closing = true;
      this.socket.end(encode(OPCODE.CLOSE, payload));
      setTimeout(() => this.socket.destroy(), CLOSE_WAIT_MS).unref();
    }
  }

  goAway() {
    this.close(CLOSE.GOING_AWAY);
  }
}

/** Answers the upgrade. Null, with the request refused, when it is not a WebSocket handshake. */
function accept(request, socket, head) {
  const key = request.headers['sec-websocket-key'] ?? '';
  if (request.method !== 'GET' || request.headers['sec-websocket-version'] !== '13' ||
      (request.headers.upgrade ?? '').toLowerCase() !== 'websocket' ||
      Buffer.from(key, 'base64').length !== 16) {
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    return null;
  }
  const accepted = crypto.createHash('sha1').update(key + GUID).digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    `Sec-WebSocket-Accept: ${accepted}\r\n\r\n`);
  const echo = new EchoSocket(socket);
  if (head.length > 0) {
    echo.take(head);
  }
  return echo;
}

module.exports = { accept };
