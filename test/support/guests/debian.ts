/**
 * A Debian 12 root with the programs of test/support/guests/debian-cases.ts, made once below .cache/debian by debootstrap (as
 * root: it makes device nodes), as a directory for native runs and as an image in a store of its own.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CliOptions, type CliResult, ROOT, vmm } from '../cli/cli.ts';

const PACKAGES = [
  'ca-certificates', 'e2fsprogs', 'fzf', 'gcc', 'git', 'libc6-dev', 'libpython3.11-testsuite', 'make', 'musl-tools', 'nginx-light', 'nodejs', 'perl',
  'procps', 'python3', 'ripgrep', 'sqlite3', 'stress-ng', 'wget',
];
const CACHE = join(ROOT, '.cache', 'debian');
/** Name of the image in the store. */
export const DEBIAN = 'debian:12';

export interface DebianRoot {
  /** The root file system. Nothing may change it. */
  readonly dir: string;
  /** VMM_STORE with the image `DEBIAN` in it. */
  readonly store: string;
}

/** Makes what is missing: some minutes and 200 MB of packages the first time. */
export async function debianRoot(): Promise<DebianRoot> {
  const key = createHash('sha256').update(PACKAGES.join()).digest('hex').slice(0, 16);
  const dir = join(CACHE, `root-${key}`);
  const store = join(CACHE, `store-${key}`);
  if (!existsSync(dir)) {
    if (process.getuid?.() !== 0) throw new Error('the Debian root is made by debootstrap, as root: run this test as root once');
    if (!existsSync('/usr/sbin/debootstrap')) must('apt-get', ['-qq', '-y', '--no-install-recommends', 'install', 'debootstrap']);
    const temp = `${dir}.${process.pid}`;
    mkdirSync(CACHE, { recursive: true });
    must('debootstrap', ['--variant=minbase', `--include=${PACKAGES.join()}`, 'bookworm', temp]);
    must('chroot', [temp, 'apt-get', 'clean']);
    // debootstrap copies the host's.
    for (const name of ['resolv.conf', 'hostname']) writeFileSync(join(temp, 'etc', name), '');
    renameSync(temp, dir);
  }
  if (!existsSync(store)) {
    const temp = `${store}.${process.pid}`;
    const imported = await vmm(['image', 'import', '-q', `dir:${dir}`, DEBIAN], { env: { VMM_STORE: temp }, limit: 600_000 });
    if (imported.status !== 0) throw new Error(`import of the Debian root: ${imported.stderr}`);
    renameSync(temp, store);
  }
  return { dir, store };
}

function must(command: string, args: readonly string[]): void {
  const result = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, maxBuffer: 2 ** 26 });
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.error?.message ?? result.stderr.slice(-2000)}`);
}

/**
 * What a container has in its environment, natively and in the guest. glibc takes other code for sin and its like where the
 * CPU has FMA, with other last digits: natively it shall take what the guest's CPU model has.
 */
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive', GLIBC_TUNABLES: 'glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-FMA,-FMA4' };

/** Name spaces of its own, an overlay so that the root stays as it is, and nothing of the host but the kernel. */
const NATIVE = `set -e
at=$1 script=$2
shift 2
mount --make-rprivate /
mount -t tmpfs none "$at"
mkdir "$at/upper" "$at/work" "$at/root"
mount -t overlay none -o "lowerdir=$0,upperdir=$at/upper,workdir=$at/work" "$at/root"
mount -t proc none "$at/root/proc"
mount --rbind /dev "$at/root/dev"
mount -t tmpfs none "$at/root/tmp"
ip link set lo up
exec chroot "$at/root" env -i "$@" bash -c "$script"`;

/** Runs a bash script in the root on this machine's own CPU and kernel; the root does not change. */
export function native(root: DebianRoot, script: string): Promise<CliResult> {
  const at = mkdtempSync(join(tmpdir(), 'vmm-debian-'));
  const environment = Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  return new Promise((resolve, reject) => {
    const child = spawn('unshare', ['--mount', '--pid', '--fork', '--kill-child', '--ipc', '--uts', '--net', 'bash', '-c', NATIVE, root.dir, at, script, ...environment], { stdio: ['ignore', 'pipe', 'pipe'] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.on('error', reject);
    child.on('close', (status, signal) => {
      rmSync(at, { recursive: true, force: true });
      resolve({ status, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() });
    });
  });
}

/** Arguments of `vmm run` for a bash script in the root. */
export function guestArgs(script: string, options: readonly string[]): string[] {
  const environment = Object.entries(ENVIRONMENT).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
  return ['run', '-q', ...options, ...environment, DEBIAN, 'bash', '-c', script];
}

/** Runs a bash script in a guest of that root. */
export function guest(root: DebianRoot, script: string, options: readonly string[], cli: CliOptions = {}): Promise<CliResult> {
  return vmm(guestArgs(script, options), { ...cli, env: { VMM_STORE: root.store, ...cli.env } });
}
