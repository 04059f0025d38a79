'use strict';
// Faults that tests turn on over POST /__fault, in an instance started with --faults.
//
//   kind=leak&mb_per_s=20           memory grows
//   kind=hang&mode=block            the event loop stands still (for &seconds=, else for good)
//   kind=hang&mode=swallow          requests are read and never answered; &health=1: /healthz too
//   kind=slow&ms=400                each answer comes so much later, holding its connection
//   kind=errors&share=0.3&status=500
//   kind=crash                      gone at once; &after_ms= later
//   kind=off                        all well again

const log = require('./log');

const LEAK_EVERY_MS = 200;

class Faults {
  constructor() {
    this.clear();
  }

  clear() {
    clearInterval(this.leaking);
    this.leaked = [];
    this.swallow = false;
    this.swallowHealth = false;
    this.slowMs = 0;
    this.errorShare = 0;
    this.errorStatus = 500;
    this.errorDebt = 0;
  }

  /** Whether this request gets an error: the share is met exactly over any few requests. */
  failNext() {
    this.errorDebt += this.errorShare;
    if (this.errorDebt < 1) {
      return false;
    }
    this.errorDebt -= 1;
    return true;
  }

  state() {
    return {
      leaked_mb: Math.round(this.leaked.reduce((sum, block) => sum + block.length, 0) / 1e6),
      swallow: this.swallow, slow_ms: this.slowMs,
      errors: { share: this.errorShare, status: this.errorStatus },
    };
  }

  /** Turns one on. Returns null, or what was wrong with the request. */
  apply(query) {
    const kind = query.get('kind');
    const act = {
      leak: leak, hang: hang, slow: slow, errors: errors, crash: crash, off: (f) => f.clear(),
    }[kind];
    if (act === undefined) {
      return `kind: expected leak, hang, slow, errors, crash or off, found '${kind ?? ''}'`;
    }
    const wrong = act(this, query) ?? null;
    if (wrong === null) {
      log.warn('fault_set', { kind, query: query.toString() });
    }
    return wrong;
  }
}

function number(query, name, standard, most) {
  const text = query.get(name);
  const value = text === null ? standard : Number(text);
  return value >= 0 && value <= most ? value : NaN;
}

function leak(faults, query) {
  const mbPerSecond = number(query, 'mb_per_s', 10, 1000);
  if (Number.isNaN(mbPerSecond)) {
    return 'mb_per_s: expected 0 to 1000';
  }
  const bytes = Math.round(mbPerSecond * 1e6 * LEAK_EVERY_MS / 1000);
  clearInterval(faults.leaking);
  faults.leaking = setInterval(() => faults.leaked.push(Buffer.alloc(bytes, 1)), LEAK_EVERY_MS);
  return null;
}

function hang(faults, query) {
  const mode = query.get('mode') ?? 'block';
  const seconds = number(query, 'seconds', 1e9, 1e9);
  if ((mode !== 'block' && mode !== 'swallow') || Number.isNaN(seconds)) {
    return 'mode: expected block or swallow; seconds: a number';
  }
  if (mode === 'swallow') {
    faults.swallow = true;
    faults.swallowHealth = query.get('health') === '1';
    return null;
  }
  setTimeout(() => {          // once this request has its answer
    const end = Date.now() + seconds * 1000;
    while (Date.now() < end) {
      // The event loop stands still: that is the fault.
    }
  }, 20);
  return null;
}

function slow(faults, query) {
  const ms = number(query, 'ms', 500, 600000);
  if (Number.isNaN(ms)) {
    return 'ms: expected 0 to 600000';
  }
  faults.slowMs = ms;
  return null;
}

function errors(faults, query) {
  const share = number(query, 'share', 1, 1);
  const status = number(query, 'status', 500, 599);
  if (Number.isNaN(share) || !(status >= 400) || !Number.isInteger(status)) {
    return 'share: expected 0 to 1; status: 400 to 599';
  }
  faults.errorShare = share;
  faults.errorStatus = status;
  return null;
}

function crash(faults, query) {
  const afterMs = number(query, 'after_ms', 20, 600000);
  if (Number.isNaN(afterMs)) {
    return 'after_ms: expected 0 to 600000';
  }
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), afterMs);
  return null;
}

module.exports = { Faults };
