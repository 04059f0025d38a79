'use strict';
// Orders: each is written exactly once, whatever is repeated, by whichever instance.
//
// An order belongs to a token (it is in the checkout form; a reload or a retry sends the same one).
// All instances append to one file, a line an order, with O_APPEND in one write. To write, one must
// hold the lock of the token:
//
//   look in the file ─ found ─▶ the same order number again
//        │ not there
//   link own note as <token>.lock ─ taken by a living process ─▶ wait, look again
//        │ ours                   └ taken by a dead one ─▶ whoever creates <nonce>.reap takes over
//   look in the file again, append, remove the lock
//
// A lock is never taken from a process that lives, even one that is stopped: rather no answer than
// two orders. Written data outlives the process, not the machine: there is no fsync here.

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const TOKEN = /^[A-Za-z0-9_-]{8,64}$/;
const LOCK_WAIT_MS = 15;
const LOCK_PATIENCE_MS = 5000;

function processLives(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code !== 'ESRCH';
  }
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

class Orders {
  constructor(file) {
    this.file = file;
    this.locks = `${file}.locks`;
    this.placed = new Map();   // token → order number
    this.offset = 0;           // of the file: what lies before it is in `placed`
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.mkdirSync(this.locks, { recursive: true });
    this.append = fs.openSync(file, 'a');
    this.read = fs.openSync(file, 'r');
    this.refresh();
  }

  /** Takes in what other instances have appended. A last line that is not whole waits. */
  refresh() {
    const size = fs.fstatSync(this.read).size;
    if (size <= this.offset) {
      return;
    }
    const bytes = Buffer.alloc(size - this.offset);
    const got = fs.readSync(this.read, bytes, 0, bytes.length, this.offset);
    const end = bytes.subarray(0, got).lastIndexOf(0x0a) + 1;
    for (const line of bytes.toString('utf8', 0, end).split('\n')) {
      try {
        const order = JSON.parse(line);
        this.placed.set(order.token, order.order);
      } catch {
        // Not an order: an empty line, or one that a full disk cut.
      }
    }
    this.offset += end;
  }

  find(token) {
    if (!this.placed.has(token)) {
      this.refresh();
    }
    return this.placed.get(token) ?? null;
  }

  lockPath(token) {
    const name = crypto.createHash('sha256').update(token).digest('hex').slice(0, 32);
    return path.join(this.locks, `${name}.lock`);
  }

  /** A note that says who holds a lock, in a file of its own, created exclusively (O_EXCL). */
  writeNote() {
    const nonce = crypto.randomBytes(12).toString('hex');
    const note = path.join(this.locks, `${nonce}.note`);
    fs.writeFileSync(note, `${process.pid} ${nonce}\n`, { flag: 'wx' });
    return note;
  }

  /** Whether we hold the lock now. link() is exclusive, and the lock is never seen half written. */
  tryLock(lock) {
    const note = this.writeNote();
    try {
      fs.linkSync(note, lock);
      return true;
    } catch (error) {
      if (error.code !== 'EEXIST') {
        throw error;
      }
      return this.takeOver(lock, note);
    } finally {
      fs.rmSync(note, { force: true });
    }
  }

  /** The holder may have died. Its nonce names the right to replace it, and only one gets that. */
  takeOver(lock, note) {
    let holder;
    try {
      holder = fs.readFileSync(lock, 'utf8').trim().split(' ');
    } catch (error) {
      if (error.code === 'ENOENT') {
        return false;   // just released
      }
      throw error;
    }
    if (processLives(Number(holder[0]))) {
      return false;
    }
    try {
      fs.writeFileSync(path.join(this.locks, `${holder[1]}.reap`), '', { flag: 'wx' });
    } catch (error) {
      if (error.code === 'EEXIST') {
        return false;
      }
      throw error;
    }
    fs.renameSync(note, lock);
    return true;
  }

  write(order) {
    const line = Buffer.from(`${JSON.stringify(order)}\n`);
    const written = fs.writeSync(this.append, line);
    if (written !== line.length) {
      fs.writeSync(this.append, '\n');   // what follows must not be glued to half an order
      throw new Error(`order ${order.order}: ${written} of ${line.length} bytes written`);
    }
    this.placed.set(order.token, order.order);
  }

  /**
   * Places the order of `token`, or finds it placed: { number, repeated }. Null when another
   * process holds the token and does not let go.
   */
  async place(token, details) {
    const lock = this.lockPath(token);
    const patienceEnds = Date.now() + LOCK_PATIENCE_MS;
    for (;;) {
      const placed = this.find(token);
      if (placed !== null) {
        return { number: placed, repeated: true };
      }
      if (this.tryLock(lock)) {
        return this.placeLocked(token, details, lock);
      }
      if (Date.now() >= patienceEnds) {
        return null;
      }
      await sleep(LOCK_WAIT_MS);
    }
  }

  /* From lock to release nothing is awaited: no other order of this process comes between. */
  placeLocked(token, details, lock) {
    try {
      this.refresh();
      const placed = this.placed.get(token);
      if (placed !== undefined) {
        return { number: placed, repeated: true };
      }
      const number = `T${crypto.randomBytes(6).toString('hex').toUpperCase()}`;
      this.write({ order: number, token, ...details, time: new Date().toISOString() });
      return { number, repeated: false };
    } finally {
      fs.rmSync(lock, { force: true });
    }
  }

  static validToken(text) {
    return typeof text === 'string' && TOKEN.test(text);
  }

  static newToken() {
    return crypto.randomBytes(16).toString('base64url');
  }
}

module.exports = { Orders };
