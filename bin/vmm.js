#!/usr/bin/env -S node --
// The `--`: Node looks for its own options (--env-file) among the program's too.
// The CLI's door: the program itself is dist/cli.cjs, built by `npm start`, `npm test` or `npm run setup`. V8's code for it is kept, since start-up
// time is a feature: in a checkout beside it (scripts/build.mjs), for an installed package in the user's cache, one file for each version of Node.
// It is CommonJS, like the program: Node's loader of ES modules would take another tenth of an empty script's time.
// This file keeps to ES2015, so that any Node reads it to the line that says which one is wanted.
'use strict';

/** package.json's `engines`: major and minor version. */
const OLDEST = [24, 11];
/** Commands that only ask: their program is a small one (vmm/cli/client.ts). */
const CLIENT = ['ps', 'logs', 'stop', 'kill', 'wait', 'exec', 'attach', 'pause', 'unpause', 'stats', 'port', 'top'];
/** Commands that start a machine: each has a program of its own (vmm/cli/run-main.ts, boot-main.ts). */
const STARTS = ['run', 'boot'];
/** So many programs' code is kept, of all versions and all versions of Node: half a MB each. */
const MOST_CODE = 24;
/** Nobody takes as long to write one, ms. */
const LEFT_MS = 3600 * 1000;

function main() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    process.stderr.write(`vmm: needs Node ${OLDEST.join('.')} or newer, this is ${process.version}\n`);
    process.exitCode = 125;
    return;
  }
  const { join } = require('node:path');
  const words = process.argv.slice(2);
  const dist = join(__dirname, '../dist');
  const whole = () => open(join(dist, 'cli.cjs'), false);
  if (open(join(dist, programOf(words)), wantsThread(words), whole)) return;
  process.stderr.write('vmm: not built yet: run `npm run setup` in the checkout first\n');
  process.exitCode = 125;
}

/** Each of them has no more in it than its commands need: what V8 has to take in is a third of what a start costs beside Node's own. */
function programOf([command, ...rest]) {
  if (CLIENT.indexOf(command) >= 0 || (command === 'run' && leaves(rest))) return 'client.cjs';
  return STARTS.indexOf(command) >= 0 && rest.length > 0 ? `${command}.cjs` : 'cli.cjs';
}

/** Runs a program, with a thread that starts beside it if it wants one; false: it is not there. `whole`: what it calls when it lacks something. */
function open(filename, threaded, whole) {
  const { readFileSync } = require('node:fs');
  const { createRequire } = require('node:module');
  const { dirname, join } = require('node:path');
  const { Script } = require('node:vm');

  const thread = threaded ? startThread(join(dirname(filename), 'thread.cjs')) : undefined;
  const read = (name, encoding) => {
    try {
      return readFileSync(name, encoding);
    } catch (_) {
      return undefined;
    }
  };
  // ASCII, and a function as it is (scripts/build.mjs): V8 takes the bytes where they lie.
  const source = read(filename, 'latin1');
  if (source === undefined) return false;
  // Both begin with the same id (V8 itself only compares lengths): the bundle in a comment, the code as it is.
  const id = source.slice(2, 66);
  const built = read(`${filename}.code`);
  const path = built === undefined ? userCodePath(id) : `${filename}.code`;
  const record = process.env.VMM_RECORD_CODE === '1';
  const code = built === undefined ? readOwn(path) : built;
  const usable = code !== undefined && code.latin1Slice(0, 64) === id;
  const script = new Script(source, { filename, cachedData: usable ? code.subarray(64) : undefined });
  const bytes = () => Buffer.concat([Buffer.from(id, 'latin1'), script.createCachedData()]);
  const keep = !record && built === undefined && !usable ? () => keepOwn(path, bytes()) : undefined;
  script.runInThisContext()(createRequire(filename), filename, thread, keep, record ? recorder(`${filename}.code`, bytes) : undefined, whole);
  return true;
}

/**
 * At the end the functions that a run needs are compiled: their code is kept too, added to what another run has recorded. The file is opened now, since a run's process opens nothing later.
 * A thread has no end of its own: it calls what this returns when its first job is over.
 */
function recorder(path, bytes) {
  const { ftruncateSync, openSync, writeSync } = require('node:fs');
  const { isMainThread } = require('node:worker_threads');
  let fd;
  try {
    fd = openSync(path, 'w');
  } catch (_) {
    return undefined; // a thread of a process that is bound
  }
  const write = () => {
    ftruncateSync(fd);
    writeSync(fd, bytes(), 0, undefined, 0);
  };
  if (isMainThread) process.on('exit', write);
  return write;
}

/** Code is trusted as the program is: nobody else may have written it, or be able to. */
function isOwn(stats) {
  return stats.uid === process.geteuid() && (stats.mode & 0o022) === 0;
}

/** $XDG_CACHE_HOME/vmm/code/ID-VERSION, as base/user-cache.ts has it; without a home there is none. */
function userCodePath(id) {
  const { isAbsolute, join } = require('node:path');
  const set = process.env.XDG_CACHE_HOME || '';
  const home = process.env.HOME || '';
  return isAbsolute(set) || isAbsolute(home) ? join(isAbsolute(set) ? set : join(home, '.cache'), 'vmm', 'code', `${id.slice(0, 16)}-${process.version}`) : undefined;
}

function readOwn(path) {
  const { closeSync, fstatSync, openSync, readFileSync } = require('node:fs');
  try {
    const fd = openSync(path);
    try {
      return isOwn(fstatSync(fd)) ? readFileSync(fd) : undefined;
    } finally {
      closeSync(fd);
    }
  } catch (_) {
    return undefined;
  }
}

/** Keeps the code for runs to come. The program calls it before a guest's first instruction. Whoever cannot keep it compiles again next time. */
function keepOwn(path, bytes) {
  const { lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } = require('node:fs');
  const { dirname } = require('node:path');
  const temporary = `${path}.${process.pid}`;
  try {
    // Root makes nothing in a home that is somebody else's.
    const home = dirname(dirname(dirname(path)));
    if (process.geteuid() === 0 && lstatSync(home).uid !== 0) return;
    for (const folder of [home, dirname(dirname(path)), dirname(path)]) {
      try {
        mkdirSync(folder, 0o700);
      } catch (error) {
        if (error.code !== 'EEXIST') throw error;
      }
    }
    if (!isOwn(lstatSync(dirname(path)))) return;
    writeFileSync(temporary, bytes, { mode: 0o600, flag: 'wx' });
    renameSync(temporary, path);
    sweep(dirname(path));
  } catch (_) {
    rmSync(temporary, { force: true });
  }
}

/** Code of programs and versions of Node that nobody has used for longest goes, and what a process that was killed has left. */
function sweep(folder) {
  const { lstatSync, readdirSync, unlinkSync } = require('node:fs');
  const { join } = require('node:path');
  const found = [];
  for (const name of readdirSync(folder)) {
    const match = /^[0-9a-f]{16}-v[0-9]+\.[0-9]+\.[0-9]+(\.[0-9]+)?$/.exec(name);
    if (match === null) continue;
    const path = join(folder, name);
    const stats = lstatSync(path);
    if (!stats.isFile()) continue;
    // Reading it is not told at each time: to the day, or never.
    const used = Math.max(stats.atimeMs, stats.mtimeMs);
    if (match[1] === undefined) found.push({ path, used });
    else if (used < Date.now() - LEFT_MS) unlinkSync(path);
  }
  found.sort((a, b) => b.used - a.used);
  for (const { path } of found.slice(MOST_CODE)) unlinkSync(path);
}

/**
 * A machine's first thread takes as long to start as Node itself: it does so beside all that follows. Not for what needs none: with a name the machine is in another
 * process, and a container on the software CPU runs before it has a thread (vmm/accel/head-start.ts). A guess, which costs time where it is wrong.
 */
function wantsThread([command, ...rest]) {
  if (command !== 'owner') {
    if (STARTS.indexOf(command) < 0 || rest.length === 0 || rest.some((word) => word === '--help' || word.startsWith('--icount'))) return false;
    if (command === 'boot') return true;
    if (leaves(rest) || rest.some((word, at) => word === '--accel=wasm' || (word === 'wasm' && rest[at - 1] === '--accel'))) return false;
  }
  const { existsSync } = require('node:fs');
  return ['kvm_intel', 'kvm_amd'].some((name) => existsSync(`/sys/module/${name}`));
}

/** Is the machine in another process? With a name, and where a terminal's keys may leave it. A guess: the options are read by the program. */
function leaves(words) {
  if (words.some((word) => /^(-[a-z]*d[a-z]*|--(detach|help|verbose|gdb|icount|record|replay|timeline|pod)(=.*)?)$/.test(word))) return false;
  if (words.some((word) => word.startsWith('--name'))) return true;
  const asks = (short, long) => words.some((word) => word === long || (/^-[a-z]+$/.test(word) && word.indexOf(short) > 0));
  if (!asks('t', '--tty') || !asks('i', '--interactive')) return false;
  const { fstatSync } = require('node:fs');
  try {
    return [0, 1].every((fd) => fstatSync(fd).isCharacterDevice());
  } catch (_) {
    return false; // one of them is closed
  }
}

function startThread(path) {
  const { Worker } = require('node:worker_threads');
  try {
    // Its streams are nobody's: to pipe them into ours would make process.stdout, with all of Node's network modules (vmm/machine/thread.ts).
    const worker = new Worker(path, { execArgv: [], trackUnmanagedFds: false, stdout: true, stderr: true });
    // dist/ is not there, or not whole: the program says so, and nobody waits for the thread.
    worker.once('error', () => {});
    worker.unref();
    return worker;
  } catch (_) {
    return undefined; // a limit on threads: whoever needs one says so
  }
}

if (require.main === module) main();
// rkt's stage1 loads its own program so, and tests ask.
else module.exports = { open, programOf, CLIENT };
