/** Root file systems that all containers of a scenario have. */
import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { busyboxTree, env, folder } from '../start/process.ts';
import { microScript } from './marks.ts';
import { HERE, type Program, type Scenario, WORD } from './peer.ts';

const LARGE = 100_000_000;
const MICRO = 16_000_000;

export function treeOf(scenario: Scenario): string {
  if (scenario === 'python') return pythonTree();
  if (scenario === 'micro') return microTree();
  return scenario.startsWith('large') ? largeTree() : busyboxTree();
}

/** Makes a tree once; one that could not be made whole is not left. */
function made(name: string, fill: (dir: string) => void): string {
  const dir = join(folder, name);
  if (existsSync(dir)) return dir;
  cpSync(busyboxTree(), `${dir}.part`, { recursive: true, verbatimSymlinks: true });
  fill(`${dir}.part`);
  execFileSync('mv', [`${dir}.part`, dir], { timeout: 60_000 });
  return dir;
}

/** Bytes that nothing compresses, in files of 1 MB. */
function fill(dir: string, bytes: number): void {
  mkdirSync(join(dir, 'data'));
  for (let i = 0; i < bytes / 1e6; i++) writeFileSync(join(dir, 'data', `${i}`), randomFillSync(Buffer.alloc(1e6)));
}

const largeTree = (): string => made('large', (dir) => fill(dir, LARGE));

function microTree(): string {
  return made('micro', (dir) => {
    fill(dir, MICRO);
    writeFileSync(join(dir, 'micro'), microScript(WORD));
  });
}

/** All files of a tree. */
export function filesOf(tree: string): string[] {
  return readdirSync(tree, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** The host's Python with its library, and what it is linked with. Throws where there is none. */
function pythonTree(): string {
  const python = '/usr/bin/python3';
  if (!existsSync(python)) throw new Error('the host has no /usr/bin/python3 to make an image of');
  return made('python', (dir) => {
    const real = realpathSync(python);
    const [library] = readdirSync('/usr/lib').filter((name) => real.endsWith(name) && name.startsWith('python3.'));
    if (library === undefined) throw new Error(`no library of ${real} in /usr/lib`);
    const linked = [...execFileSync('ldd', [real], { encoding: 'utf8', timeout: 60_000 }).matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path!);
    for (const path of [...linked, real]) {
      mkdirSync(join(dir, dirname(path)), { recursive: true });
      cpSync(realpathSync(path), join(dir, path));
    }
    if (real !== python) cpSync(real, join(dir, python));
    cpSync(join('/usr/lib', library), join(dir, 'usr/lib', library), { recursive: true, filter: (path) => !/\/(dist-packages|test|config-[^/]*)$/.test(path) });
  });
}

const disks = new Map<string, string>();
/** The EROFS disk that a vmm makes of a tree, in its own store: all machines boot from this one's. */
export function diskOf(tree: string, { command: [program = '', ...before], store }: Program = HERE): string {
  const key = `${store} ${tree}`;
  const known = disks.get(key);
  if (known !== undefined) return known;
  const dir = join(store, 'rootfs');
  const list = (): string[] => (existsSync(dir) ? readdirSync(dir).filter((entry) => entry.endsWith('.erofs')) : []);
  const there = new Set(list());
  execFileSync(program, [...before, 'run', '-q', '--accel', 'wasm', tree, '/bin/busybox', 'true'], { env: env as NodeJS.ProcessEnv, timeout: 120_000 });
  const name = list().find((entry) => !there.has(entry)) ?? list()[0];
  if (name === undefined) throw new Error(`${dir} holds no disk`);
  disks.set(key, join(dir, name));
  return join(dir, name);
}
