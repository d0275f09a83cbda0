/**
 * The real init of the checked-in initramfs as process 1 of fresh namespaces on this machine,
 * unix sockets in the place of vsock, and a session that drives it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  AgentSession,
  type Capabilities,
  type ContainerSpec,
  type ExitStatus,
  type ProcessHandle,
  type SessionOptions,
} from '../../../vmm/agent/index.ts';
import { UnixTransport } from './unix-transport.ts';

/** The checkout; named in the environment where this file runs bundled. */
export const PROJECT = process.env.VMM_TEST_PROJECT ?? join(dirname(fileURLToPath(import.meta.url)), '../../..');
const INITRAMFS = join(PROJECT, 'guest-kernel/artifacts/initramfs.cpio');
const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));

/** Why these tests cannot run here, or undefined. */
export function reasonToSkip(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'needs Linux on x86-64';
  if (process.getuid?.() !== 0) return 'needs root for namespaces and mounts';
  if (BUSYBOX === undefined) return 'needs busybox-static';
  return undefined;
}

/** A file of a newc archive. */
export function cpioFile(archive: Buffer, wanted: string): Buffer {
  let at = 0;
  while (at + 110 <= archive.length) {
    const field = (index: number) => Number.parseInt(archive.toString('latin1', at + 6 + 8 * index, at + 14 + 8 * index), 16);
    const size = field(6);
    const nameSize = field(11);
    const name = archive.toString('utf8', at + 110, at + 110 + nameSize - 1);
    const data = at + ((110 + nameSize + 3) & ~3);
    if (name === wanted) return archive.subarray(data, data + size);
    at = data + ((size + 3) & ~3);
  }
  throw new Error(`${wanted} is not in the archive`);
}

const CAP = (...numbers: number[]): bigint => numbers.reduce((mask, n) => mask | (1n << BigInt(n)), 0n);
/** Docker's default set. */
const DEFAULT_CAPS = CAP(0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31);
export const capabilities: Capabilities = {
  bounding: DEFAULT_CAPS,
  effective: DEFAULT_CAPS,
  permitted: DEFAULT_CAPS,
  inheritable: 0n,
  ambient: 0n,
};

const PASSWD = `root:x:0:0:root:/root:/bin/sh
alice:x:1000:1000:Alice:/home/alice:/bin/sh
1234:x:77:77:a numeric name:/:/bin/sh
`;
const GROUP = `root:x:0:
wheel:x:10:root,alice
alice:x:1000:
audio:x:29:alice
video:x:44:bob
`;

/** A small root file system with busybox; returns its directory. */
export function makeRoot(directory: string): string {
  const root = join(directory, 'rootfs');
  for (const name of ['bin', 'etc', 'root', 'home/alice', 'tmp', 'opt']) mkdirSync(join(root, name), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
  copyFileSync(BUSYBOX as string, join(root, 'bin/busybox'));
  chmodSync(join(root, 'bin/busybox'), 0o755);
  const applets = execFileSync(BUSYBOX as string, ['--list'], { encoding: 'utf8' }).split('\n');
  for (const applet of applets) {
    if (applet !== '' && applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet));
  }
  writeFileSync(join(root, 'etc/passwd'), PASSWD);
  writeFileSync(join(root, 'etc/group'), GROUP);
  writeFileSync(join(root, 'opt/not-executable'), 'text\n');
  writeFileSync(join(root, 'opt/bad-format'), '\u0001\u0002\u0003 not a program\n');
  chmodSync(join(root, 'opt/bad-format'), 0o755);
  writeFileSync(join(root, 'opt/no-interpreter'), '#!/does/not/exist\n');
  chmodSync(join(root, 'opt/no-interpreter'), 0o755);
  return root;
}

const UNIFIED = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) => existsSync(join(path, 'cgroup.procs')));

export interface Guest extends AsyncDisposable {
  session: AgentSession;
  directory: string;
  root: string;
  /** The path of the cgroup that holds the containers', or undefined. */
  cgroup: string | undefined;
  /** init itself, behind unshare. */
  child: ChildProcess;
  exited: Promise<number | null>;
  console: () => string;
}

/** Starts init and its session. */
export function startGuest(options: SessionOptions = {}): Guest {
  const directory = mkdtempSync(join(tmpdir(), 'vmm-agent-'));
  const init = join(directory, 'init');
  writeFileSync(init, cpioFile(readFileSync(INITRAMFS), 'init'));
  chmodSync(init, 0o755);
  const root = makeRoot(directory);
  const session = new AgentSession(new UnixTransport(directory), options);
  const args = ['--mount', '--pid', '--fork', '--uts', '--ipc', '--net', '--kill-child', init, '--test-socket', directory];
  let cgroup: string | undefined;
  if (UNIFIED !== undefined) {
    cgroup = mkdtempSync(join(UNIFIED, 'vmm-test-'));
    args.push('--test-cgroup', cgroup);
  }
  // Where the kernel has vsock_loopback, and a relay carries it on to the directory of this link (test/nested/agent).
  const link = process.env.VMM_TEST_VSOCK;
  if (link !== undefined) {
    args.push('--test-vsock');
    rmSync(link, { force: true });
    symlinkSync(directory, link);
  }
  const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  child.stderr.on('data', (chunk) => {
    text += chunk;
  });
  const exited = new Promise<number | null>((resolve) => {
    child.on('exit', (code) => resolve(code));
  });
  exited.then(() => session.close());
  return {
    session,
    directory,
    root,
    cgroup,
    child,
    exited,
    console: () => text,
    async [Symbol.asyncDispose]() {
      session.close();
      child.kill('SIGKILL');
      await exited;
      if (cgroup !== undefined) await removeCgroup(cgroup);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Processes of a killed init are gone only a moment after it. */
async function removeCgroup(path: string): Promise<void> {
  const directories = readdirSync(path).filter((name) => /^c\d+$/.test(name));
  for (const directory of [...directories.map((name) => join(path, name)), path]) {
    for (let attempt = 0; ; attempt++) {
      try {
        rmdirSync(directory);
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || attempt === 500) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

/** A container of the test's root, as `vmm run` would ask for it. */
export function container(guest: Guest, args: string[], more: Partial<ContainerSpec> = {}): ContainerSpec {
  return {
    args,
    env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    root: { kind: 'directory', path: guest.root },
    overlay: { kind: 'tmpfs' },
    hostname: 'box',
    capabilities,
    ...more,
  };
}

export interface Result {
  status: ExitStatus;
  stdout: string;
  stderr: string;
}

/** Collects all output and the end of a process. */
export async function finish(process: ProcessHandle): Promise<Result> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  process.onStdout((chunk) => {
    stdout.push(Buffer.from(chunk));
  });
  process.onStderr((chunk) => {
    stderr.push(Buffer.from(chunk));
  });
  const status = await process.wait();
  return { status, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
}

/** Runs a command in a container of its own. */
export function run(guest: Guest, args: string[], more: Partial<ContainerSpec> = {}): Promise<Result> {
  return finish(guest.session.start(container(guest, args, more)));
}

export function sh(guest: Guest, script: string, more: Partial<ContainerSpec> = {}): Promise<Result> {
  return run(guest, ['/bin/sh', '-c', script], more);
}

/** Output that arrives bit by bit, for tests that wait for a text. */
export class Reader {
  text = '';
  #waiting: { text: string; resolve: () => void }[] = [];

  constructor(process: ProcessHandle) {
    process.onStdout((chunk) => {
      this.text += Buffer.from(chunk).toString();
      this.#waiting = this.#waiting.filter((entry) => {
        if (!this.text.includes(entry.text)) return true;
        entry.resolve();
        return false;
      });
    });
  }

  /** Resolves when the output contains the text. */
  until(text: string): Promise<void> {
    if (this.text.includes(text)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push({ text, resolve });
    });
  }
}
