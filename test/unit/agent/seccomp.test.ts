/** Docker's profile, call by call: what init's container may do against crun (libseccomp) with the same profile in its JSON form, on the same kernel. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CAPABILITIES } from '../../../vmm/container/capabilities.ts';
import { dockerProfile } from '../../../vmm/seccomp/docker.ts';
import { DOCKER_CAPABILITIES, defaultFilter } from '../../../vmm/seccomp/filter.ts';
import type { Profile } from '../../../vmm/seccomp/rules.ts';
import { buildI386Sockets } from '../../support/guests/i386.ts';
import { type Guest, PROJECT, reasonToSkip, run, startGuest } from './harness.ts';

const RET_ERRNO = 0x50000;
const ARCHITECTURES = { x86_64: 'SCMP_ARCH_X86_64', i386: 'SCMP_ARCH_X86', x32: 'SCMP_ARCH_X32' };
const skip = reasonToSkip() ?? (spawnSync('crun', ['--version']).status === 0 ? undefined : 'needs crun');

const action = (value: number): { action: string; errnoRet?: number } =>
  (value & 0xffff_0000) === RET_ERRNO ? { action: 'SCMP_ACT_ERRNO', errnoRet: value & 0xffff } : { action: 'SCMP_ACT_ALLOW' };

/** "seccomp" of the OCI runtime specification. */
function ociSeccomp(profile: Profile): object {
  const whole = action(profile.defaultAction);
  return {
    defaultAction: whole.action,
    defaultErrnoRet: whole.errnoRet,
    architectures: profile.architectures.map((architecture) => ARCHITECTURES[architecture]),
    syscalls: profile.rules.map((rule) => ({
      names: rule.names,
      ...action(rule.action),
      args: (rule.args ?? []).map(({ index, op, value, valueTwo = 0n }) => ({ index, op: `SCMP_CMP_${op}`, value: Number(value), valueTwo: Number(valueTwo) })),
    })),
  };
}

const bit = (name: (typeof CAPABILITIES)[number]): bigint => 1n << BigInt(CAPABILITIES.indexOf(name));

describe.skipIf(skip !== undefined)(`Docker's seccomp profile${skip === undefined ? '' : ` (${skip})`}`, () => {
  let guest: Guest;
  let bundle: string;
  beforeAll(async () => {
    guest = startGuest();
    bundle = mkdtempSync(join(tmpdir(), 'vmm-crun-'));
    for (const name of ['dev', 'proc', 'bin']) mkdirSync(join(bundle, 'rootfs', name), { recursive: true });
    execFileSync('gcc', ['-O1', '-static', '-o', join(guest.root, 'bin/syscalls'), join(PROJECT, 'test/support/cli/syscalls.c')]);
    buildI386Sockets(join(guest.root, 'bin/i386-sockets'));
    for (const name of ['syscalls', 'i386-sockets']) copyFileSync(join(guest.root, 'bin', name), join(bundle, 'rootfs/bin', name));
    chmodSync(bundle, 0o755);
    await guest.session.hello();
  }, 60_000);
  afterAll(async () => {
    await guest[Symbol.asyncDispose]();
    rmSync(bundle, { recursive: true });
  });

  function byCrun(set: bigint, uid: number, program = '/bin/syscalls'): string {
    const names = CAPABILITIES.filter((name) => set & bit(name)).map((name) => `CAP_${name}`);
    const effective = uid === 0 ? names : [];
    writeFileSync(join(bundle, 'config.json'), JSON.stringify({
      ociVersion: '1.0.0',
      process: { user: { uid, gid: uid }, args: [program], env: ['PATH=/bin'], cwd: '/', capabilities: { bounding: names, effective, permitted: effective } },
      root: { path: 'rootfs' },
      mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }, { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['mode=755'] }],
      linux: { namespaces: ['pid', 'mount', 'ipc', 'uts', 'network'].map((type) => ({ type })), seccomp: ociSeccomp(dockerProfile(set)) },
    }));
    // crun refuses a hybrid cgroup mount.
    const script = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun --cgroup-manager=disabled run --bundle "$1" "$2"';
    return execFileSync('unshare', ['-m', 'sh', '-c', script, 'sh', bundle, `vmm-${process.pid}-${uid}-${set}`], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  const none = { inheritable: 0n, ambient: 0n };
  async function byInit(set: bigint, uid: number, program = '/bin/syscalls'): Promise<string> {
    const effective = uid === 0 ? set : 0n;
    const result = await run(guest, [program], {
      user: `${uid}:${uid}`, namespaces: { net: 'new' }, seccomp: { program: defaultFilter(set) },
      capabilities: { bounding: set, effective, permitted: effective, ...none },
    });
    return result.stdout;
  }

  const added = (['DAC_READ_SEARCH', 'SYS_MODULE', 'SYS_RAWIO', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'SYSLOG', 'PERFMON', 'BPF'] as const)
    .map((name) => [`with ${name}`, DOCKER_CAPABILITIES | bit(name), 0] as const);
  it.each([
    ['root', DOCKER_CAPABILITIES, 0], ['a user', DOCKER_CAPABILITIES, 1000], ['root without capabilities', 0n, 0], ['root without SYS_CHROOT', DOCKER_CAPABILITIES & ~bit('SYS_CHROOT'), 0], ...added,
  ] as const)('%s: the same verdict for each call', async (_name, set, uid) => {
    const ours = (await byInit(set, uid)).trim().split('\n');
    expect(ours.length).toBeGreaterThan(150);
    expect(ours).toEqual(byCrun(set, uid).trim().split('\n'));
  });

  it('a program of i386: the same verdicts', async () => {
    // Of TCP it can have no more than its network namespace has.
    const verdicts = (output: string): string[] => output.trim().split('\n').slice(1);
    const ours = verdicts(await byInit(DOCKER_CAPABILITIES, 0, '/bin/i386-sockets'));
    expect(ours).toContain('socket AF_VSOCK EPERM');
    expect(ours).toEqual(verdicts(byCrun(DOCKER_CAPABILITIES, 0, '/bin/i386-sockets')));
  });

  it('refuses what a container has no need of, and little else', async () => {
    const verdicts = new Map((await byInit(DOCKER_CAPABILITIES, 0)).trim().split('\n').map((line) => line.split(/\(| /) as [string, ...string[]]).map((words) => [words[0], words.at(-1)]));
    for (const name of ['unshare', 'mount', 'io_uring_setup', 'keyctl', 'add_key', 'syslog', 'userfaultfd', 'kexec_load', 'bpf', 'setns', 'pivot_root', 'reboot']) expect([name, verdicts.get(name)]).toEqual([name, 'EPERM']);
    expect(verdicts.get('clone3')).toBe('ENOSYS');
    for (const name of ['getuid', 'chroot', 'mknod', 'ptrace', 'openat2']) expect([name, verdicts.get(name)]).not.toEqual([name, 'EPERM']);
  });
});
