// `npm run check`: types, lint, artifacts, and the rules of scripts/check/, one file each.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { constants } from './check/constants.mjs';
import { docs } from './check/docs.mjs';
import { format } from './check/format.mjs';
import { functions } from './check/functions.mjs';
import { imports } from './check/imports.mjs';
import { lintAssembly } from './check/lint-assembly.mjs';
import { NOT_YET } from './check/not-yet.mjs';
import { resolvers } from './check/resolvers.mjs';
import { unusedCore } from './check/unused-core.mjs';
import { unused } from './check/unused.mjs';
import { words } from './check/words.mjs';
import { root } from './lib.mjs';

let failures = 0;
const known = new Set();
const report = (message) => {
  const entry = NOT_YET.find((pattern) => pattern.test(message));
  if (entry !== undefined) {
    known.add(entry);
    return;
  }
  failures += 1;
  process.stdout.write(`${message}\n`);
};
const run = (label, command, args) => {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (result.status !== 0) report(`check: ${label} failed`);
};
const bin = (name) => join(root, 'node_modules', '.bin', name);

run('types (tsc)', bin('tsc'), ['-p', '.']);
run('lint (biome)', bin('biome'), ['lint', '--error-on-warnings', 'base', 'vmm', 'image', 'scripts', 'test', 'bench', 'bin']);
run('guest artifacts against their sources', process.execPath, [join(root, 'guest-kernel', 'check.mjs')]);
for (const rule of [lintAssembly, format, imports, functions, constants, resolvers, unusedCore, unused, words]) rule(report);
await docs(report);
for (const entry of NOT_YET) if (!known.has(entry)) report(`scripts/check/not-yet.mjs: ${entry} meets nothing any more: take it out`);

process.stdout.write(failures === 0 ? 'check: all good\n' : `check: ${failures} finding(s)\n`);
process.exit(failures === 0 ? 0 : 1);
