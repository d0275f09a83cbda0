/** A process that locks itself down and then tries what it must not be able to do. Prints JSON: what came of each. Run by test/unit/host/lockdown.test.ts. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, openSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { declare, lastErrno } from '../../../vmm/host/ffi.ts';
import { errnoName } from '../../../vmm/host/errno.ts';
import { lockDown } from '../../../vmm/host/lockdown/index.ts';

const [dir = '', reopen = ''] = process.argv.slice(2);
const raw = declare<(nr: number, a: number, b: number, c: number, d: number, e: number) => number>('long syscall(long, long, long, long, long, long)');

/** `ok`, or the errno's name. */
function outcome(action: () => unknown): string {
  try {
    action();
    return 'ok';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function call(nr: number, ...args: number[]): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = args;
  return raw(nr, a, b, c, d, e) < 0 ? errnoName(lastErrno()) : 'ok';
}

/** Of every thread: no_new_privs, seccomp mode, permitted and effective capabilities. */
const threads = (): string[] => readdirSync('/proc/self/task').map((tid) => {
  const status = readFileSync(`/proc/self/task/${tid}/status`, 'latin1');
  return ['NoNewPrivs', 'Seccomp', 'CapPrm', 'CapEff'].map((name) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1]).join(' ');
});

const opened = openSync(join(dir, 'opened'), 'a');
lockDown({ paths: { read: [join(dir, 'readable'), '/proc/self'], device: ['/dev/null'], remove: [join(dir, 'sockets')] }, kvm: false, reopen: reopen === 'reopen' });

const results: Record<string, unknown> = {
  'read what is listed': outcome(() => readFileSync(join(dir, 'readable', 'file'))),
  'read what is not': outcome(() => readFileSync('/etc/passwd')),
  'write to what was open': outcome(() => appendFileSync(opened, 'x')),
  'open for writing': outcome(() => openSync(join(dir, 'readable', 'file'), 'r+')),
  'open a device for writing': outcome(() => openSync('/dev/null', 'r+')),
  'create a file': outcome(() => writeFileSync(join(dir, 'new'), '')),
  'remove a file': outcome(() => unlinkSync(join(dir, 'readable', 'file'))),
  'remove a socket of ours': outcome(() => unlinkSync(join(dir, 'sockets', 'own'))),
  'run a program': outcome(() => execFileSync('/bin/true')),
  socket: call(41, 1, 1, 0),
  'open_by_handle_at': call(304, 0, 0, 0),
  ptrace: call(101, 16, process.ppid, 0, 0),
  'process_vm_readv': call(310, process.ppid, 0, 0, 0, 0),
  mount: call(165, 0, 0, 0, 0, 0),
  unshare: call(272, 0x1000_0000),
  setns: call(308, 0, 0),
  bpf: call(321, 0, 0, 0),
  'io_uring_setup': call(425, 1, 0),
  'openat2': call(437, -100, 0, 0, 0),
  fork: call(57),
  'clone of a process': call(56, 17, 0, 0, 0, 0),
  'clone3': call(435, 0, 0),
  'signal to another process': call(62, process.ppid, 0),
  'signal to this process': call(62, process.pid, 0),
  'prlimit with a new limit': call(302, 0, 7, 1, 0),
  'x32 getpid': call(0x4000_0000 + 39),
};
const server = createServer();
server.on('error', (error: NodeJS.ErrnoException) => finish(error.code));
server.listen(join(dir, 'sockets', 'new'), () => finish('ok'));

/** A worker that starts now is bound, too. */
function finish(listen: string | undefined): void {
  results['listen'] = listen;
  const worker = new Worker("require('node:fs').writeFileSync(require('node:worker_threads').workerData, '')", { eval: true, workerData: join(dir, 'by-worker') });
  worker.on('error', (error: NodeJS.ErrnoException) => {
    results['a new thread creates a file'] = error.code;
  });
  worker.on('exit', () => {
    results['made by the thread'] = existsSync(join(dir, 'by-worker'));
    results['threads'] = [...new Set(threads())];
    results['thread count'] = threads().length;
    process.stdout.write(JSON.stringify(results));
    process.exit(0);
  });
}
