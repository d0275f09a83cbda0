#!/usr/bin/env -S node --
// The `--`: Node looks for its own options (--env-file) among the program's too.
// The CLI's door: the program itself is dist/cli.cjs, built by `npm start`, `npm test` or `npm run setup`. V8's code for it is
// kept beside it (scripts/build.mjs): start-up time is a feature. Another version of Node refuses that and compiles anew.
// It is CommonJS, like the program: Node's loader of ES modules would take another tenth of an empty script's time.
// This file keeps to ES2015, so that any Node reads it to the line that says which one is wanted.
'use strict';

/** package.json's `engines`: major and minor version. */
const OLDEST = [24, 11];

function main() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    process.stderr.write(`vmm: needs Node ${OLDEST.join('.')} or newer, this is ${process.version}\n`);
    process.exitCode = 125;
    return;
  }
  const { readFileSync, writeFileSync } = require('node:fs');
  const { createRequire } = require('node:module');
  const { join } = require('node:path');
  const { Script } = require('node:vm');

  const filename = join(__dirname, '../dist/cli.cjs');
  const thread = wantsThread(process.argv.slice(2)) ? startThread(join(__dirname, '../dist/thread.cjs')) : undefined;
  const read = (path, encoding) => {
    try {
      return readFileSync(path, encoding);
    } catch (_) {
      return undefined;
    }
  };
  const source = read(filename, 'utf8');
  if (source === undefined) {
    process.stderr.write('vmm: not built yet: run `npm run setup` in the checkout first\n');
    process.exitCode = 125;
    return;
  }
  // Both begin with the same id (V8 itself only compares lengths): the bundle in a comment, the code as it is.
  const id = source.slice(2, 66);
  const code = read(`${filename}.code`);
  const record = process.env.VMM_RECORD_CODE === '1';
  const usable = !record && code !== undefined && code.latin1Slice(0, 64) === id;
  const script = new Script(`(function (require, __filename, __thread) {${source}\n})`, { filename, cachedData: usable ? code.subarray(64) : undefined });
  // At the end the functions that a run needs are compiled: their code is kept too.
  if (record) process.on('exit', () => writeFileSync(`${filename}.code`, Buffer.concat([Buffer.from(id, 'latin1'), script.createCachedData()])));
  script.runInThisContext()(createRequire(filename), filename, thread);
}

/** A machine's first thread takes as long to start as Node itself: it does so beside all that follows. Not for what needs none. */
function wantsThread([command, ...rest]) {
  return (command === 'run' || command === 'boot') && rest.length > 0 && !rest.some((word) => word === '--help' || word.startsWith('--icount'));
}

function startThread(path) {
  const { Worker } = require('node:worker_threads');
  try {
    const worker = new Worker(path, { execArgv: [], trackUnmanagedFds: false });
    // dist/ is not there, or not whole: the program says so, and nobody waits for the thread.
    worker.once('error', () => {});
    worker.unref();
    return worker;
  } catch (_) {
    return undefined; // a limit on threads: whoever needs one says so
  }
}

main();
