/** Times of whole processes, and copies of the built program that another Node runs. */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { envWithoutNode } from '../../scripts/lib.mjs';
import { markProgram } from '../../scripts/least-program.mjs';
import { multibootKernel } from '../../scripts/multiboot.mjs';

/** A folder that goes with the process. */
export const folder = mkdtempSync(join(tmpdir(), 'vmm-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
/** What the measured processes get: no NODE_*, and a store of their own. */
export const env: Readonly<Record<string, string | undefined>> = { ...envWithoutNode(), VMM_STORE: join(folder, 'store') };

export interface Ended {
  /** From start to end, ms. */
  readonly wall: number;
  readonly stderr: string;
}

/** Runs a process to its end. Throws when its status is another than `status`. */
export function ended([command = '', ...args]: readonly string[], status = 0): Ended {
  const start = performance.now();
  const { status: got, stderr } = spawnSync(command, args, { env, encoding: 'utf8' });
  const wall = performance.now() - start;
  if (got !== status) throw new Error(`${command} ${args.join(' ')}: status ${got}: ${stderr}`);
  return { wall, stderr };
}

/** User and system time, ms, of a process and its children from start to end; the clock counts in whole ones. Throws as `ended` does. */
export function cpuOf(command: readonly string[], status = 0): number {
  // bash's `time` is the one that tells a child's CPU time in milliseconds.
  const { stderr } = ended(['bash', '-c', 'TIMEFORMAT="times %U %S"; time "$@"', 'bash', ...command], status);
  const seconds = /^times ([\d.]+) ([\d.]+)$/m.exec(stderr);
  if (seconds === null) throw new Error(`no times in: ${stderr}`);
  return 1000 * (Number(seconds[1]) + Number(seconds[2]));
}

/** A script that does nothing. */
export function emptyScript(): string {
  const path = join(folder, 'empty.cjs');
  writeFileSync(path, '');
  return path;
}

/** `vmm boot` of a kernel of three instructions: the run ends with status 1. */
export function leastBoot(accel: string): string[] {
  const kernel = join(folder, 'kernel');
  if (!existsSync(kernel)) writeFileSync(kernel, multibootKernel(0));
  return ['boot', '-q', '--accel', accel, '--memory', '32', '--exit-on', 'port', '--kernel', kernel, '--timeline'];
}

/** Milliseconds from the process's start to the first guest entry, from what `--timeline` prints. */
export function firstEntry({ stderr }: Ended): number {
  const ms = Number(/([\d.]+) ms.*first guest entry/.exec(stderr)?.[1]);
  if (!(ms > 0)) throw new Error(`no first guest entry in: ${stderr}`);
  return ms;
}

/** An image of busybox and of a program that writes marks (bench/suite/marks.ts), as a directory. */
export function busyboxTree(): string {
  const dir = join(folder, 'image');
  if (existsSync(dir)) return dir;
  for (const sub of ['bin', 'dev', 'proc', 'sys', 'tmp', 'etc']) mkdirSync(join(dir, sub), { recursive: true });
  copyFileSync('/bin/busybox', join(dir, 'bin', 'busybox'));
  chmodSync(join(dir, 'bin', 'busybox'), 0o755);
  symlinkSync('busybox', join(dir, 'bin', 'true'));
  writeFileSync(join(dir, 'bin', 'mark'), markProgram(), { mode: 0o755 });
  return dir;
}

/** `vmm run` of that image's `true` on the software CPU. */
export function runTrue(): string[] {
  return ['run', '-q', '--accel', 'wasm', busyboxTree(), '/bin/true'];
}

/**
 * The built program of a checkout, as a command: a copy of its bin/ and dist/ with V8's code for `node`, as its `npm run build` does it. A first
 * container is run, so that the image is in the store.
 */
export function programOf(checkout: string, node: string, name: string): string[] {
  const tree = join(folder, name);
  mkdirSync(tree);
  for (const part of ['bin', 'dist', 'package.json']) cpSync(join(checkout, part), join(tree, part), { recursive: true });
  for (const part of ['node_modules', '.cache']) symlinkSync(join(checkout, part), join(tree, part));
  // A cache of its own: two cores of one version of Node would each throw away what the other has kept.
  const command = ['env', `XDG_CACHE_HOME=${join(tree, 'cache')}`, node, '--', join(tree, 'bin', 'vmm.js')];
  ended([...command, ...runTrue()]); // the image is in the store from here on
  // What `npm run build` has recorded is for its own Node.
  if (node !== process.execPath) ended(['env', 'VMM_RECORD_CODE=1', ...command, ...runTrue()]);
  return command;
}
