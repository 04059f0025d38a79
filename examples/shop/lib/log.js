'use strict';
// Structured log: one JSON object a line on stdout. An event has a name and says what, which, why.

const base = { instance: `pid-${process.pid}` };

function setInstance(name) {
  base.instance = name;
}

function write(level, event, fields) {
  const line = { time: new Date().toISOString(), level, event, ...base, ...fields };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** The trace id of a W3C traceparent field, undefined when there is none or it is not one. */
function traceId(request) {
  const match = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(
    request.headers.traceparent ?? '');
  return match && !/^0+$/.test(match[1]) ? match[1] : undefined;
}

module.exports = {
  setInstance,
  traceId,
  instance: () => base.instance,
  info: (event, fields) => write('info', event, fields),
  warn: (event, fields) => write('warn', event, fields),
  error: (event, fields) => write('error', event, fields),
};
