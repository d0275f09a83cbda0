// Preloaded (--require): makes calls of Node's fs that change the file system slow, fail or be the last, as the environment says.
//   FAULT_DELAY=MS       each unlink and rename takes so long before it happens
//   FAULT_AT=N           the Nth change (from 1) …
//   FAULT_CALL=NAME      … of this function alone (fsyncSync), from then on
//   FAULT=kill|ENOSPC    … is not made: the process is killed by SIGKILL, or the call fails
//   FAULT_SAYS=1         says on standard error that the first such call waits
//   FAULT_COUNT=FILE     writes how many changes there were when the process ends
// A process that lives on arms it by globalThis.faults.arm() for each command, with the environment of then.
'use strict';
const fs = require('node:fs');
const { syncBuiltinESMExports } = require('node:module');

const delay = Number(process.env.FAULT_DELAY ?? 0);
let at = Number(process.env.FAULT_AT ?? 0);
const never = new Int32Array(new SharedArrayBuffer(4));
let count = 0;
let says = process.env.FAULT_SAYS !== undefined;
globalThis.faults = {
  arm() {
    at = Number(process.env.FAULT_AT ?? 0);
    count = 0;
  },
  /** How many changes there were. */
  disarm() {
    at = 0;
    return count;
  },
};

function fault(name) {
  const { FAULT_CALL } = process.env;
  if (FAULT_CALL !== undefined && name !== FAULT_CALL) return;
  count += 1;
  if (count !== at) return;
  if (process.env.FAULT === 'kill') process.kill(process.pid, 'SIGKILL');
  const error = new Error(`${process.env.FAULT}: injected, ${name}`);
  error.code = process.env.FAULT;
  throw error;
}

const say = fs.writeSync;
function wrap(name, slow) {
  const real = fs[name];
  fs[name] = function (...args) {
    // Standard streams are no part of the store.
    if (name !== 'writeSync' || args[0] > 2) fault(name);
    if (slow && delay > 0) {
      if (says) say(2, 'waits\n');
      says = false;
      Atomics.wait(never, 0, 0, delay);
    }
    return real.apply(this, args);
  };
}
for (const name of ['mkdirSync', 'writeSync', 'writeFileSync', 'linkSync', 'fsyncSync', 'utimesSync', 'fchmodSync']) wrap(name, false);
for (const name of ['unlinkSync', 'renameSync', 'rmSync']) wrap(name, true);
const open = fs.openSync;
fs.openSync = function (path, flags, ...rest) {
  const writes = typeof flags === 'string' ? /[wa+]/.test(flags) : (flags & 3) !== 0;
  if (writes) fault('openSync');
  return open.call(this, path, flags, ...rest);
};
syncBuiltinESMExports();
if (process.env.FAULT_COUNT) process.on('exit', () => fs.writeFileSync(process.env.FAULT_COUNT, String(count)));
