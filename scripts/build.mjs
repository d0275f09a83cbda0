// `npm run build`: dist/ from the sources: the WebAssembly core by asc, the CLI, its threads and the library by esbuild.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildCore } from './build-core.mjs';
import { unpackGuest } from './guest-files.mjs';
import { leastProgram } from './least-program.mjs';
import { multibootKernel } from './multiboot.mjs';
import { continueWithOwnNode, envWithoutNode, fail, filesBelow, hashFiles, root, run, say, step } from './lib.mjs';

const bin = (name) => join(root, 'node_modules', '.bin', name);

const NODE = ['--bundle', '--platform=node', '--target=node24', '--sourcemap', '--external:koffi', '--external:@koromix/*', '--log-level=warning',
  // A file of its own: who signs or verifies nothing does not load it, and its licence wants that it can be exchanged.
  '--alias:openpgp=./openpgp.cjs', '--external:./openpgp.cjs'];
const REQUIRE = "--banner:js=import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";
const COMMON_JS = ['--format=cjs', '--minify-syntax', '--minify-whitespace', '--define:import.meta.url=__url', '--supported:dynamic-import=false'];
const FILE_URL = "const __url = require('node:url').pathToFileURL(__filename).href;";
/** Node's modules that a start may do without: each is loaded at the first use of what it exports (crypto alone is 20 modules of Node's). */
const LAZY = ['child_process', 'crypto', 'dgram', 'dns', 'dns/promises', 'fs/promises', 'http', 'https', 'net', 'readline', 'stream', 'stream/promises', 'timers/promises', 'tls', 'tty', 'v8', 'zlib'];
const BUILTIN = 'const builtin = (name) => { let all; return new Proxy({}, { get: (_, key) => (all ??= require(name))[key] }); };';

/** Programs with V8's code beside them. */
const RECORDED = ['cli', 'run', 'boot', 'client', 'thread-jobs'];
/** What the program of `vmm run` leaves out, for the whole program: each is imported late, and before a machine is made (vmm/cli/run-main.ts). */
const RARE = ['image/aci.ts', 'image/by-policy.ts', 'image/pull.ts', 'vmm/cli/run-joined.ts', 'vmm/cli/run-detached.ts', 'vmm/cli/run-pod.ts'];
const LEFT_OUT = "class __LeftOut extends Error {} require = ((inner) => (name) => { if (name.endsWith('.ts')) throw new __LeftOut(name); return inner(name); })(require);";

/** The entry points of rkt's stage1 (stage1/entries). */
export const STAGE1 = readdirSync(join(root, 'stage1', 'entries')).map((name) => name.replace(/\.ts$/, ''));

/** dist/ from the sources: the library with its code split into chunks; the CLI and its threads in one file each that needs no loader. */
export async function build() {
  await unpackGuest();
  buildCore();
  const sources = ['assembly/contract', 'vmm', 'image', 'base', 'stage1', 'oci', 'bench'].flatMap((dir) => filesBelow(dir, (name) => name.endsWith('.ts')));
  sources.push(...['assembly/core/layout.ts', 'scripts/build.mjs', 'bin/vmm.js', 'bin/thread.js', 'package-lock.json'].map((path) => join(root, path)));
  const id = hashFiles(sources);
  // Kept code is found by its program's id.
  const idOf = (name) => createHash('sha256').update(`${name} ${id}`).digest('hex');
  step('dist', id + process.version, [...RECORDED.flatMap((name) => [`${name}.cjs`, `${name}.cjs.code`]), 'thread.cjs', 'vmm.js', 'openpgp.cjs', 'bench.cjs', 'stage1-pod.cjs', ...STAGE1.map((name) => `stage1-${name}.cjs`)].map((name) => join(root, 'dist', name)), () => {
    say('building dist/');
    const start = Date.now();
    const esbuild = (entries, ...options) => run(bin('esbuild'), [...entries, ...NODE, ...options]);
    esbuild(['vmm=vmm/api/index.ts'], '--format=esm', '--outdir=dist', '--splitting', '--chunk-names=chunk-[hash]', REQUIRE);
    const program = (own, before = '') => [`--banner:js=/*${own}*/(function (require, __filename, __thread, __keepCode, __record, __whole) { ${before}${BUILTIN}${FILE_URL}`, '--footer:js=})'];
    esbuild(['vmm/machine/thread.ts'], ...COMMON_JS, '--outfile=dist/thread-jobs.cjs', ...program(idOf('thread')));
    esbuild(['bin/thread.js'], ...COMMON_JS, '--outfile=dist/thread.cjs');
    const built = join('dist', `cli.${process.pid}.cjs`);
    esbuild(['vmm/cli/main.ts'], ...COMMON_JS, `--outfile=${built}`, ...program(id));
    esbuild(['run=vmm/cli/run-main.ts'], ...COMMON_JS, '--outdir=dist', '--out-extension:.js=.cjs', ...RARE.map((path) => `--external:./${path}`), ...program(idOf('run'), LEFT_OUT));
    esbuild(['boot=vmm/cli/boot-main.ts'], ...COMMON_JS, '--outdir=dist', '--out-extension:.js=.cjs', ...program(idOf('boot')));
    esbuild(['client=vmm/cli/client.ts'], ...COMMON_JS, '--outdir=dist', '--out-extension:.js=.cjs', ...program(idOf('client')));
    // Each entry point of rkt's stage1 in a file of its own: who enters a pod loads nothing that runs a machine.
    esbuild(STAGE1.map((name) => `stage1-${name}=stage1/entries/${name}.ts`), ...COMMON_JS, '--outdir=dist', '--out-extension:.js=.cjs', `--banner:js=${BUILTIN}${FILE_URL}`);
    esbuild(['bench=bench/suite/main.ts'], ...COMMON_JS, '--outdir=dist', '--out-extension:.js=.cjs', `--banner:js=${BUILTIN}${FILE_URL}`);
    esbuild(['stage1-pod=stage1/pod.ts'], ...COMMON_JS, '--outdir=dist', '--out-extension:.js=.cjs', ...program(id));
    for (const name of [built, ...['thread-jobs', 'run', 'boot', 'client', 'stage1-pod', ...STAGE1.map((each) => `stage1-${each}`)].map((each) => `dist/${each}.cjs`)]) loadLate(join(root, name));
    for (const name of RECORDED) rmSync(join(root, 'dist', `${name}.cjs.code`), { force: true });
    renameSync(join(root, built), join(root, 'dist', 'cli.cjs'));
    renameSync(join(root, `${built}.map`), join(root, 'dist', 'cli.cjs.map'));
    recordCode();
    writeFileSync(join(root, 'dist', 'openpgp.cjs'), readFileSync(join(root, 'node_modules/openpgp/dist/node/openpgp.min.cjs')));
    removeOlder(start);
  });
  buildKernelBlocks();
}

/** What the software CPU decodes in a boot of the guest's kernel: of this core and this kernel. */
function buildKernelBlocks() {
  const out = join(root, 'dist', 'kernel-blocks.bin');
  const sources = ['dist/core.wasm', '.cache/guest/vmlinux', '.cache/guest/initramfs.cpio', 'scripts/kept-blocks/main.ts', 'scripts/kept-blocks/recorder.ts', 'vmm/core/kept-blocks.ts', 'vmm/jit/uop-table.ts', 'assembly/core/layout.ts'].map((path) => join(root, path));
  step('kernel-blocks', hashFiles(sources), [out], () => {
    say('recording what a boot decodes');
    withLeastImage('vmm-blocks-', (image, dir) => {
      run(process.execPath, ['--', join(root, 'scripts', 'kept-blocks', 'main.ts'), image, '/true'], { env: { ...envWithoutNode(), VMM_STORE: join(dir, 'store') }, timeout: 120_000, killSignal: 'SIGKILL' });
    });
  });
}

/** `use` with a directory of its own, and in it an image whose /true does nothing. */
function withLeastImage(prefix, use) {
  const dir = mkdtempSync(join(tmpdir(), prefix));
  try {
    const image = join(dir, 'image');
    mkdirSync(image);
    writeFileSync(join(image, 'true'), leastProgram(), { mode: 0o755 });
    use(image, dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Has a bundle load Node's modules late. The words are as long as each other: the source map stays right. */
function loadLate(path) {
  const names = new Set(LAZY.map((name) => `node:${name}`));
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace(/(?<==)require\("([a-z0-9:/_]+)"\)/g, (all, name) => (names.has(name) ? `builtin("${name}")` : all)));
}

/** What earlier builds have left: chunks have their content's hash in their names. */
function removeOlder(time) {
  for (const name of readdirSync(join(root, 'dist'))) {
    const path = join(root, 'dist', name);
    if (/\.(js|cjs|map)$/.test(name) && statSync(path).mtimeMs < time) rmSync(path);
  }
}

/**
 * Runs a container and a kernel with the CLI, and a client that finds none: V8's code of all that they needed is kept for those to come. The container twice, for with the second one its image is in the store. Without the
 * translator, whose thread sets a flag of V8's: code that is made after it is refused by a start, which has not set it.
 */
function recordCode() {
  withLeastImage('vmm-record-', (image, dir) => {
    const env = { ...envWithoutNode(), VMM_RECORD_CODE: '1', VMM_STORE: join(dir, 'store') };
    const door = join(root, 'bin', 'vmm.js');
    const recorded = (expected, ...args) => node(expected, '--', door, ...args);
    const node = (expected, ...args) => {
      const { status, signal, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8', timeout: 120_000, killSignal: 'SIGKILL' });
      if (status !== expected) fail(`build: ${args.join(' ')}, whose code is to be kept, ends with ${status ?? signal}: ${stderr}`);
    };
    const forget = () => {
      for (const name of RECORDED) rmSync(join(root, 'dist', `${name}.cjs.code`), { force: true });
    };
    const container = ['run', '-q', '--accel', 'wasm', '--jit', 'off', '-m', '128m', image, '/true'];
    recorded(0, ...container);
    // What an import needs is not a start's.
    forget();
    recorded(0, ...container);
    const kernel = join(dir, 'kernel');
    writeFileSync(kernel, multibootKernel(0));
    recorded(1, 'boot', '-q', '--accel', 'wasm', '--jit', 'off', '--memory', '32', '--exit-on', 'port', '--kernel', kernel);
    recorded(125, 'exec', '--root', join(dir, 'none'), 'none', 'true');
    // A container in the background is started by the whole program.
    node(0, '-e', "require(process.argv[1]).open(require('node:path').join(process.argv[1], '../../dist/cli.cjs'), true)", '--', door, ...container);
    const kept = join(dir, 'kept');
    recorded(0, 'run', '--root', kept, '--name', 'recorded', ...container.slice(1));
    awaitOwners(join(kept, 'containers'));
  });
}

/** Until the processes of the containers have ended. */
function awaitOwners(containers) {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const last = Date.now() + 60_000;
  for (const id of readdirSync(containers)) {
    const { pid } = JSON.parse(readFileSync(join(containers, id, 'life.json'), 'utf8'));
    while (existsSync(`/proc/${pid}`)) {
      if (Date.now() > last) fail(`build: the process ${pid} of a container does not end`);
      Atomics.wait(pause, 0, 0, 20);
    }
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  continueWithOwnNode();
  await build();
}
