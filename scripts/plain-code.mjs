// `node --hash-seed=1 --random-seed=1 scripts/plain-code.mjs FILE…`: V8's code of bundles as they are before they run, in FILE.code for bin/vmm.js.
// With both seeds given the same bytes come out each time; what functions a run compiles depends on its moments, so that code of a run would not do for an
// image that can be built again. V8 compares a hash of all flags: the seeds are the usual ones again before the code is taken.
import { readFileSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

/** Of the program's id, which stands in a comment of its first bytes. */
const ID = [2, 66];

const scripts = process.argv.slice(2).map((filename) => ({ filename, script: new Script(readFileSync(filename, 'latin1'), { filename: 'bundle' }) }));
for (const seed of ['hash', 'random']) setFlagsFromString(`--${seed}-seed=0`);
for (const { filename, script } of scripts) {
  const id = readFileSync(filename).subarray(...ID);
  writeFileSync(`${filename}.code`, Buffer.concat([id, script.createCachedData()]));
}
