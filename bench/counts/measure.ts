/** Counts of one start of `vmm run IMAGE true`: what does not depend on the machine's load, and shows where a start's time goes. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { leastProgram } from '../../scripts/least-program.mjs';
import { envWithoutNode } from '../../scripts/lib.mjs';
import { ROOT } from '../harness.ts';
import { exitsOf } from './exits.ts';

export type Counts = Readonly<Record<string, number>>;

const LIMIT_MS = 120_000;
/** Of the runs in virtual time; the others have the default, with which a user starts. */
const COUNTED_MIB = 128;
/** Calls that wait, that V8 makes for its heap and threads, or the lock-down until each thread has come: their number is chance. */
const BY_CHANCE = new Set(['futex', 'epoll_wait', 'epoll_pwait', 'poll', 'ppoll', 'restart_syscall', 'sched_yield', 'madvise', 'mmap', 'munmap', 'mprotect', 'mremap', 'brk', 'rt_sigprocmask', 'rt_sigreturn', 'io_uring_enter', 'getpid', 'write', 'read', 'close', 'getdents64', 'newfstatat']);
const ON_PATHS = new Set(['openat', 'open', 'stat', 'lstat', 'statx', 'access', 'faccessat', 'faccessat2', 'readlink', 'readlinkat', 'mkdir', 'mkdirat', 'statfs', 'unlink', 'unlinkat', 'rename', 'llistxattr', 'lgetxattr', 'utimensat']);

/** Throws when a run does not end as it should. */
export function measure(): Counts {
  const folder = mkdtempSync(join(tmpdir(), 'vmm-counts-'));
  try {
    const image = join(folder, 'image');
    mkdirSync(image);
    writeFileSync(join(image, 'true'), leastProgram(), { mode: 0o755 });
    const env = { ...envWithoutNode(), VMM_STORE: join(folder, 'store'), XDG_CACHE_HOME: join(folder, 'cache') };
    const run = (command: readonly string[], options: readonly string[]): string => {
      const { status, signal, stderr, error } = spawnSync(command[0]!, [...command.slice(1), ...options, image, '/true'], { env, encoding: 'utf8', timeout: LIMIT_MS, killSignal: 'SIGKILL' });
      if (status !== 0) throw new Error(`${command.join(' ')}: ${error?.message ?? `status ${status ?? signal}`}: ${stderr}`);
      return stderr;
    };
    const vmm = ['--', join(ROOT, 'bin', 'vmm.js'), 'run', '-q'];
    // The first one also imports the image and keeps the core's code.
    run([process.execPath, ...vmm], ['--accel', 'wasm']);
    const instructions = instructionsOf(run([process.execPath, ...vmm], ['--icount', '--timeline', '-m', `${COUNTED_MIB}m`]));
    const [calls, modules] = [join(folder, 'calls'), join(folder, 'modules')];
    writeFileSync(join(folder, 'modules.cjs'), MODULES);
    // A program of 20 lines in front, which takes a few calls itself: it is the same in each measurement.
    run(['strace', '-f', '-qq', '-o', calls, '-E', `VMM_COUNT_MODULES=${modules}`, process.execPath, '--require', join(folder, 'modules.cjs'), ...vmm], ['--accel', 'wasm']);
    const exits = exitsOf({ library: join(ROOT, 'dist', 'vmm.js'), file: join(folder, 'trace'), memoryMib: COUNTED_MIB, image, command: ['/true'], env, limitMs: LIMIT_MS });
    return { ...instructions, ...callsOf(readFileSync(calls, 'latin1'), folder), 'modules of Node': Number(readFileSync(modules, 'latin1')), 'port accesses': exits.ports, 'device register accesses': exits.registers };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The process is bound at its end: the file is opened before. */
const MODULES = `const { openSync, writeSync } = require('node:fs');
const fd = openSync(process.env.VMM_COUNT_MODULES, 'w');
process.on('exit', () => writeSync(fd, String(process.moduleLoadList.filter((name) => name.startsWith('NativeModule')).length)));
`;

/** From --timeline of a counted run; iterations of REP count as instructions. */
function instructionsOf(stderr: string): Counts {
  const spent = new Map([...stderr.matchAll(/^ +\d+ +\+ *(\d+) +REP \+ *(\d+) +[\d.]+ ms {2}(.+)$/gm)].map(([, count, repetitions, name]) => [name!, Number(count) + Number(repetitions)]));
  const of = (name: string): number => {
    const count = spent.get(name);
    if (count === undefined) throw new Error(`no ${name} in:\n${stderr}`);
    return count;
  };
  return { 'guest instructions, entry to init': of('init: main'), 'guest instructions, init to the container’s first': of('container: command executed') };
}

/** From strace's lines, `PID NAME(…` . */
function callsOf(text: string, folder: string): Counts {
  const names: string[] = [];
  const files = new Set<string>();
  for (const line of text.split('\n')) {
    const call = /^\d+ +([a-z_0-9]+)\(/.exec(line);
    if (call === null || line.includes('"/proc/')) continue; // the end of a call that others interrupted, an exit, a signal; what is not the disk's
    names.push(call[1]!);
    const path = /^\d+ +openat\(AT_FDCWD, "([^"]+)"/.exec(line)?.[1];
    if (path?.startsWith(ROOT) && existsSync(path) && path !== process.execPath) files.add(path);
  }
  if (names.length === 0) throw new Error(`strace wrote no calls to ${folder}`);
  const program = [...files].filter((path) => /^(bin|dist|node_modules|base|vmm|image)\//.test(relative(ROOT, path)));
  return {
    'system calls, without those by chance': names.filter((name) => !BY_CHANCE.has(name)).length,
    'system calls on paths': names.filter((name) => ON_PATHS.has(name)).length,
    'threads made': names.filter((name) => name === 'clone3' || name === 'clone').length,
    'files of the program': program.length,
    'KiB of the program’s files': Math.ceil(program.reduce((sum, path) => sum + statSync(path).size, 0) / 1024),
  };
}
