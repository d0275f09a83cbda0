/**
 * The package as users get it: `npm pack`, `npm install` of the tarball in an empty folder, without root, compiler or anything from apt, on the oldest
 * and on the newest Node that is supported; then the command, the library and its types.
 */
import { execFileSync, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from '../support/cli/cli.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'vmm-package-'));
const NODES = join(ROOT, '.cache', 'test-nodes', 'node_modules');
const isRoot = process.geteuid?.() === 0;
/** Somebody without rights, where tests run as root. */
const USER = 64321;
const own = (path: string): void => { if (isRoot) chownSync(path, USER, USER); };
/** A command that runs another as the user. On some machines only root may write /dev/null: the user gets another one then. */
const AS_USER: readonly string[] = !isRoot ? [] : [
  ...((lstatSync('/dev/null').mode & 0o002) !== 0 ? [] : ['unshare', '--mount', '/bin/sh', '-c', '/bin/mount --bind "$0" /dev/null && exec "$@"', join(FOLDER, 'null')]),
  'setpriv', '--reuid', `${USER}`, '--regid', `${USER}`, '--clear-groups',
];
const [SHELL = '', ...SHELL_ARGS] = [...AS_USER, '/bin/sh', '-c'].map((word) => (/^(unshare|setpriv)$/.test(word) ? execFileSync('which', [word], { encoding: 'utf8' }).trim() : word));

interface Place {
  readonly dir: string;
  /** Runs a shell command in the folder, as the user, with nothing on the path but a Node, npm and a few programs. */
  sh(script: string, env?: Readonly<Record<string, string>>): SpawnSyncReturns<string>;
}

let tarball: string;
beforeAll(() => {
  if (AS_USER.includes('unshare')) execFileSync('mknod', ['-m', '666', join(FOLDER, 'null'), 'c', '1', '3']);
  const packed = spawnSync('npm', ['pack', '--json', '--pack-destination', FOLDER], { cwd: ROOT, encoding: 'utf8' });
  expect(packed.status, packed.stderr).toBe(0);
  tarball = join(FOLDER, readdirSync(FOLDER).find((name) => name.endsWith('.tgz')) ?? '');
  chmodSync(FOLDER, 0o755);
});
afterAll(() => rmSync(FOLDER, { recursive: true }));

/** An empty folder, a home, and a path on which nothing can compile, install or become root. */
function makePlace(name: string, node: string): Place {
  const dir = join(FOLDER, name);
  const tools = join(dir, 'tools');
  mkdirSync(join(dir, 'home'), { recursive: true });
  mkdirSync(tools);
  copyFileSync(join(NODES, node, 'bin', 'node'), join(tools, 'node'));
  const npm = dirname(dirname(realpathSync(execFileSync('which', ['npm'], { encoding: 'utf8' }).trim())));
  for (const cli of ['npm', 'npx']) {
    writeFileSync(join(tools, cli), `#!/bin/sh\nexec "${tools}/node" "${npm}/bin/${cli}-cli.js" "$@"\n`);
    chmodSync(join(tools, cli), 0o755);
  }
  // flock is of util-linux, which every Debian has: the image store's lock without the FFI library.
  for (const program of ['sh', 'env', 'cat', 'ls', 'flock']) symlinkSync(execFileSync('which', [program], { encoding: 'utf8' }).trim(), join(tools, program));
  for (const path of [dir, join(dir, 'home')]) own(path);
  return { dir, sh: (script, env = {}) => spawnSync(SHELL, [...SHELL_ARGS, script], { cwd: dir, encoding: 'utf8', env: environment(dir, env) }) };
}

function environment(dir: string, env: Readonly<Record<string, string>>): Record<string, string> {
  const network = Object.entries(process.env).filter(([name]) => /^(npm_config_(registry|cafile|.*proxy)|https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE)$/i.test(name));
  return { ...Object.fromEntries(network) as Record<string, string>, PATH: join(dir, 'tools'), HOME: join(dir, 'home'), npm_config_update_notifier: 'false', ...env };
}

/** A container's root file system. */
function makeImage(dir: string): void {
  mkdirSync(join(dir, 'image', 'bin'), { recursive: true });
  copyFileSync('/bin/busybox', join(dir, 'image', 'bin', 'busybox'));
  chmodSync(join(dir, 'image', 'bin', 'busybox'), 0o755);
  symlinkSync('busybox', join(dir, 'image', 'bin', 'sh'));
}

function bytesBelow(dir: string): number {
  let sum = 0;
  for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
    const stats = lstatSync(join(dir, name));
    if (stats.isFile()) sum += stats.size;
  }
  return sum;
}

/** The CLI's own code; beside it lies that of the core, where this Node can keep it (docs/decisions/0027-kept-code.md). */
const cliCode = (dir: string): string[] => cacheOf(dir, 'code').filter((name) => !name.startsWith('core-'));

const cacheOf = (dir: string, part: string): string[] => readdirSync(join(dir, 'home', '.cache', 'vmm', part)).sort();

describe.each(['node-oldest', 'node-newest'])('installed with %s', (node) => {
  let place: Place;
  beforeAll(() => {
    place = makePlace(node, node);
    makeImage(place.dir);
    const installed = place.sh(`npm init -y >init.log && npm install --no-audit --no-fund ${tarball}`);
    expect(installed.status, installed.stderr).toBe(0);
  });

  test('the tree is small and holds its manual and what its licences ask for', () => {
    const tree = join(place.dir, 'node_modules', 'vmm');
    expect(bytesBelow(tree)).toBeLessThan(20e6);
    expect(readdirSync(join(place.dir, 'node_modules')).sort()).toEqual(['.bin', '.package-lock.json', '@koromix', 'vmm']);
    for (const name of ['LICENSE', 'THIRD-PARTY.md', 'dist/guest/COPYING', 'guest-kernel/kernel/vmm.config', 'dist/licenses/assemblyscript-LICENSE', 'dist/licenses/sigstore-LICENSE', 'dist/man/vmm.1']) expect(existsSync(join(tree, name)), name).toBe(true);
    const texts = readdirSync(tree, { recursive: true, encoding: 'utf8' });
    expect(texts.filter((name) => /\.(map|code)$|node_modules|\.cache/.test(name))).toEqual([]);
  });

  test('npx vmm run: the first run fills the cache, the next one changes nothing', () => {
    const command = "npx --no vmm run -q -m 128m image /bin/sh -c 'echo from inside; exit 7'";
    expect(place.sh(command)).toMatchObject({ status: 7, stdout: 'from inside\n', stderr: '' });
    const guest = cacheOf(place.dir, 'guest');
    expect(guest.map((name) => name.replace(/-[0-9a-f]{16}$/, ''))).toEqual(expect.arrayContaining(['System.map', 'initramfs.cpio', 'vmlinux']));
    const [code = ''] = cliCode(place.dir);
    expect(code).toMatch(/^[0-9a-f]{16}-v\d+\.\d+\.\d+$/);
    const look = () => [...cacheOf(place.dir, 'guest'), ...cacheOf(place.dir, 'code')].join();
    const before = look();
    expect(place.sh(command)).toMatchObject({ status: 7, stdout: 'from inside\n', stderr: '' });
    expect(look()).toBe(before);
  });

  test("V8's code is used by the next run, and not when somebody else could have written it", () => {
    const path = join(place.dir, 'home', '.cache', 'vmm', 'code', cliCode(place.dir)[0] ?? '');
    const opened = `const vm = require('node:vm');
const { Script } = vm;
vm.Script = class extends Script {
  constructor(text, options) {
    super(text, options);
    process.stderr.write('code ' + (options.cachedData === undefined ? 'none' : this.cachedDataRejected ? 'rejected' : 'used') + '\\n');
  }
};`;
    writeFileSync(join(place.dir, 'look.cjs'), opened);
    const look = () => place.sh('node --require ./look.cjs -- node_modules/.bin/vmm run -q -m 128m image /bin/sh -c :').stderr;
    expect(look()).toBe('code used\n');
    chmodSync(path, 0o622);
    expect(look()).toBe('code none\n');
    chmodSync(path, 0o600);
  });

  test('the library: import and require give the same, and a container runs', () => {
    writeFileSync(join(place.dir, 'a.mjs'), `import * as vmm from 'vmm';
import { ContainerRun, hostFs, resolveImage, Sandbox } from 'vmm';
const image = await resolveImage('./image', { host: hostFs });
let text = '';
const run = new ContainerRun(image, { command: ['/bin/sh', '-c', 'echo library; exit 3'] }, { memoryMib: 128 }, { stdout: async (bytes) => { text += Buffer.from(bytes); }, stderr: async () => {} });
const result = await run.run();
await using box = await Sandbox.create({ image, memory: 128 });
const { stdout } = await box.exec('/bin/sh', ['-c', 'echo box']);
console.log(JSON.stringify({ text, stdout, kind: result.kind, names: Object.keys(vmm).length }));
`);
    writeFileSync(join(place.dir, 'b.cjs'), "const { Sandbox, ...rest } = require('vmm');\nconsole.log(typeof Sandbox.create, Object.keys(rest).length + 1);\n");
    const esm = place.sh('node a.mjs');
    expect(esm).toMatchObject({ status: 0, stderr: '' });
    const { names, ...ended } = JSON.parse(esm.stdout);
    expect(ended).toEqual({ text: 'library\n', stdout: 'box\n', kind: 'exited' });
    expect(place.sh('node b.cjs')).toMatchObject({ status: 0, stdout: `function ${names}\n`, stderr: '' });
  });
});

describe('where something is missing', () => {
  let place: Place;
  beforeAll(() => {
    place = makePlace('bare', 'node-newest');
    makeImage(place.dir);
    const installed = place.sh(`npm init -y >init.log && npm install --no-audit --no-fund --omit=optional ${tarball}`);
    expect(installed.status, installed.stderr).toBe(0);
  });

  const run = "node node_modules/.bin/vmm run -m 128m image /bin/sh -c 'echo inside'";

  test('without the FFI library it runs on the software CPU', () => {
    expect(existsSync(join(place.dir, 'node_modules', '@koromix'))).toBe(false);
    expect(place.sh(run.replace('run', 'run -q'))).toMatchObject({ status: 0, stdout: 'inside\n', stderr: '' });
  });

  test('six first runs at once: all run, and each file is there once', async () => {
    rmSync(join(place.dir, 'home', '.cache'), { recursive: true });
    const ends = await Promise.all(Array.from({ length: 6 }, () => {
      const { promise, resolve } = Promise.withResolvers<string>();
      let text = '';
      const child = spawn(SHELL, [...SHELL_ARGS, run], { cwd: place.dir, env: environment(place.dir, {}), stdio: ['ignore', 'pipe', 'ignore'] });
      child.stdout.on('data', (data) => { text += data; });
      child.on('close', (status) => resolve(`${text}${status}`));
      return promise;
    }));
    expect(ends).toEqual(Array.from({ length: 6 }, () => 'inside\n0'));
    const names = [...cacheOf(place.dir, 'guest'), ...cacheOf(place.dir, 'code')].map((name) => name.split('-')[0]);
    expect(names).toHaveLength(new Set(names).size);
  });

  test('without a cache it runs from memory, and says so under --verbose alone', () => {
    const env = { XDG_CACHE_HOME: '/proc/none' };
    const says = /^vmm: the guest's files run from memory: E[A-Z]+.*$/m;
    const quiet = place.sh(run, env);
    expect(quiet).toMatchObject({ status: 0, stdout: 'inside\n' });
    expect(quiet.stderr).not.toMatch(says);
    const verbose = place.sh(run.replace('run', 'run --verbose'), env);
    expect(verbose).toMatchObject({ status: 0, stdout: 'inside\n' });
    expect(verbose.stderr).toMatch(says);
  });

  test('an old Node gets one line', () => {
    const old = makePlace('old', 'node-ancient');
    const door = join(place.dir, 'node_modules', 'vmm', 'bin', 'vmm.js');
    expect(old.sh(`node ${door} run image`)).toMatchObject({ status: 125, stdout: '', stderr: 'vmm: needs Node 24.11 or newer, this is v8.17.0\n' });
  });

  test('its types hold under strict, for both kinds of modules', () => {
    const text = `const config: MachineConfig = { kernel: 'k', append: '', memoryMib: 32, cpus: 1, accel: 'auto', console: 'serial' };
const machine = new Machine(config);
export const ended: Promise<MachineResult> = machine.run();
export const ran: Promise<ExecResult> = Sandbox.create({ image: 'python', network: { allow: ['example.org:443'] } }).then((box) => box.exec('python3', ['-c', 'print(1)'], { timeout: 1000 }));
// @ts-expect-error: there is no such network
export const bad: SandboxOptions = { image: 'python', network: 'bridge' };
// @ts-expect-error: no such accelerator
export const wrong: MachineConfig = { ...config, accel: 'xen' };
`;
    writeFileSync(join(place.dir, 't.mts'), `import { type ExecResult, Machine, type MachineConfig, type MachineResult, Sandbox, type SandboxOptions } from 'vmm';\n${text}`);
    writeFileSync(join(place.dir, 't.cts'), `import vmm = require('vmm');\nimport type { ExecResult, MachineConfig, MachineResult, SandboxOptions } from 'vmm';\nconst { Machine, Sandbox } = vmm;\n${text}`);
    const options = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--module', 'nodenext', '--target', 'es2024', '--types', 'node', '--typeRoots', join(ROOT, 'node_modules/@types')];
    const checked = spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), ...options, 't.mts', 't.cts'], { cwd: place.dir, encoding: 'utf8' });
    expect(checked.stdout + checked.stderr).toBe('');
  });

  test('nothing of the checkout is named in the package', () => {
    const tree = join(place.dir, 'node_modules', 'vmm');
    const named = readdirSync(tree, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(js|cjs|json|ts|md)$/.test(name) && readFileSync(join(tree, name), 'utf8').includes(ROOT));
    expect(named.map((name) => basename(name))).toEqual([]);
  });
});
