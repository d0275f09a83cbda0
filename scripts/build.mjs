// `npm run build`: dist/ from the sources: the WebAssembly core by asc, the CLI, its threads and the library by esbuild.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildCore } from './build-core.mjs';
import { cache, continueWithOwnNode, envWithoutNode, fail, filesBelow, hashFiles, root, run, say, step } from './lib.mjs';
import { multibootKernel } from './multiboot.mjs';

const bin = (name) => join(root, 'node_modules', '.bin', name);

const NODE = ['--bundle', '--platform=node', '--target=node24', '--sourcemap', '--external:koffi', '--external:@koromix/*', '--log-level=warning',
  // A file of its own: who signs or verifies nothing does not load it, and its licence wants that it can be exchanged.
  '--alias:openpgp=./openpgp.cjs', '--external:./openpgp.cjs'];
const REQUIRE = "--banner:js=import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";
const COMMON_JS = ['--format=cjs', '--minify-syntax', '--minify-whitespace', '--define:import.meta.url=__url', '--supported:dynamic-import=false'];
const FILE_URL = "const __url = require('node:url').pathToFileURL(__filename).href;";

/** The entry points of rkt's stage1 (stage1/entries). */
export const STAGE1 = readdirSync(join(root, 'stage1', 'entries')).map((name) => name.replace(/\.ts$/, ''));

/** dist/ from the sources: the library with its code split into chunks; the CLI and its threads in one file each that needs no loader. */
export function build() {
  buildCore();
  const sources = ['assembly/contract', 'vmm', 'image', 'base', 'stage1', 'oci', 'bench'].flatMap((dir) => filesBelow(dir, (name) => name.endsWith('.ts')));
  sources.push(...['assembly/core/layout.ts', 'scripts/build.mjs', 'bin/vmm.js', 'package-lock.json'].map((path) => join(root, path)));
  const id = hashFiles(sources);
  step('dist', id + process.version, ['cli.cjs', 'cli.cjs.code', 'thread.cjs', 'vmm.js', 'openpgp.cjs', 'stage1-pod.cjs', ...STAGE1.map((name) => `stage1-${name}.cjs`)].map((name) => join(root, 'dist', name)), () => {
    say('building dist/');
    const start = Date.now();
    const esbuild = (entries, ...options) => run(bin('esbuild'), [...entries, ...NODE, ...options]);
    esbuild(['vmm=vmm/api/index.ts'], '--format=esm', '--outdir=dist', '--splitting', '--chunk-names=chunk-[hash]', REQUIRE);
    esbuild(['vmm/machine/thread.ts'], ...COMMON_JS, '--outfile=dist/thread.cjs', `--banner:js=${FILE_URL}`);
    const built = join('dist', `cli.${process.pid}.cjs`);
    esbuild(['vmm/cli/main.ts'], ...COMMON_JS, `--outfile=${built}`, `--banner:js=/*${id}*/ ${FILE_URL}`);
    // Each entry point of rkt's stage1 in a file of its own: who enters a pod loads nothing that runs a machine.
    esbuild(STAGE1.map((name) => `stage1-${name}=stage1/entries/${name}.ts`), ...COMMON_JS, '--outdir=dist', '--out-extension:.js=.cjs', `--banner:js=${FILE_URL}`);
    esbuild(['stage1-pod=stage1/pod.ts'], ...COMMON_JS, '--outdir=dist', '--out-extension:.js=.cjs', `--banner:js=/*${id}*/ ${FILE_URL}`);
    rmSync(join(root, 'dist', 'cli.cjs.code'), { force: true });
    renameSync(join(root, built), join(root, 'dist', 'cli.cjs'));
    renameSync(join(root, `${built}.map`), join(root, 'dist', 'cli.cjs.map'));
    recordCode();
    writeFileSync(join(root, 'dist', 'openpgp.cjs'), readFileSync(join(root, 'node_modules/openpgp/dist/node/openpgp.min.cjs')));
    removeOlder(start);
  });
}

/** What earlier builds have left: chunks have their content's hash in their names. */
function removeOlder(time) {
  for (const name of readdirSync(join(root, 'dist'))) {
    const path = join(root, 'dist', name);
    if (/\.(js|cjs|map)$/.test(name) && statSync(path).mtimeMs < time) rmSync(path);
  }
}

/** Runs a machine with the CLI once: V8's code of all that it needed is kept for those to come. */
function recordCode() {
  const kernel = join(cache, `first.${process.pid}.bin`);
  writeFileSync(kernel, multibootKernel(1));
  const env = envWithoutNode();
  const args = ['boot', '-q', '--accel', 'wasm', '--memory', '32', '--console', 'none', '--exit-on', 'port', '--kernel', kernel];
  const { status, stderr } = spawnSync(process.execPath, ['--', join(root, 'bin', 'vmm.js'), ...args], { env: { ...env, VMM_RECORD_CODE: '1' }, encoding: 'utf8', timeout: 60_000 });
  rmSync(kernel);
  if (status !== 3) fail(`build: the first machine ends with ${status}: ${stderr}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  continueWithOwnNode();
  build();
}
