// Compiles assembly/ into dist/core.wasm, and into dist/core-kvm.wasm without the CPU, each when a source that it reaches changed.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { cache, hashFiles, root, run, say, step, tryLock } from './lib.mjs';

/** The files that `entry` imports, it included: only these decide whether the module is stale. */
function reachable(entry) {
  const seen = new Set();
  const visit = (path) => {
    if (seen.has(path) || !existsSync(path)) return;
    seen.add(path);
    for (const [, from] of readFileSync(path, 'utf8').matchAll(/^\s*(?:import|export|\}).*?from\s+["'](\.[^"']*)["']/gm)) {
      const target = resolve(dirname(path), from);
      visit(existsSync(`${target}.ts`) ? `${target}.ts` : join(target, 'index.ts'));
    }
  };
  visit(join(root, entry));
  return [...seen].sort();
}

/** Test processes start at the same time: one compiles, the others wait for it. */
function locked(name, work) {
  const lock = join(cache, `${name}-build.lock`);
  mkdirSync(cache, { recursive: true });
  while (!tryLock(lock)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  try {
    return work();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** asc over `entries` unless nothing that they reach has changed since; true when it compiled. */
function compile(name, entries, target, out) {
  const asc = join(root, 'node_modules', '.bin', 'asc');
  const version = JSON.parse(readFileSync(join(root, 'node_modules', 'assemblyscript', 'package.json'), 'utf8')).version;
  const sources = [...new Set(entries.flatMap(reachable)), join(root, 'asconfig.json')];
  return step(name, hashFiles(sources) + version, [join(root, out)], () => {
    say(`compiling ${out}`);
    run(asc, [...entries, '--config', 'asconfig.json', '--target', target, '--outFile', out, '--disableWarning', '112']);
  });
}

/** dist/'s modules: the file with their exports, and the target of asconfig.json. */
const MODULES = [
  { name: 'core', entry: 'assembly/index.ts', target: 'release' },
  { name: 'core-kvm', entry: 'assembly/devices.ts', target: 'kvm' },
];

/** True when it compiled. */
export function buildCore() {
  return locked('core', () => MODULES.map(({ name, entry, target }) => compile(name, [entry], target, join('dist', `${name}.wasm`))).includes(true));
}

/** The core with what its tests call beside its exports, one module for all of them; returns its path. */
export function buildTestCore() {
  const out = join('.cache', 'test', 'core.wasm');
  mkdirSync(join(cache, 'test'), { recursive: true });
  locked('test-core', () => compile('test-core', ['assembly/index.ts', ...['fp', 'int', 'sys'].map((name) => `assembly/test/${name}.ts`)], 'release', out));
  return join(root, out);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) buildCore();
