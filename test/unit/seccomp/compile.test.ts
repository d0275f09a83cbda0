import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isolationOf } from '../../../image/appc/schema/isolation.ts';
import { DEFAULT_FILTER } from '../../../vmm/seccomp/generated/default.ts';
import { compileProfile } from '../../../vmm/seccomp/compile.ts';
import { parseProfile } from '../../../vmm/seccomp/docker-json.ts';
import { dockerProfile } from '../../../vmm/seccomp/docker.ts';
import { changedFilter, compileDefault, DOCKER_CAPABILITIES } from '../../../vmm/seccomp/filter.ts';
import { type ArgumentTest, type Operator, type Profile, type Rule, syscallNumbers } from '../../../vmm/seccomp/rules.ts';

const X86_64 = 0xc000_003e;
const I386 = 0x4000_0003;
const [ALLOW, ERRNO, KILL_THREAD] = [0x7fff_0000, 0x5_0000, 0];
const [EPERM, ENOSYS] = [1, 38];

/** Runs classic BPF as <linux/filter.h> has it; the value returned, and how many instructions it took. Any other instruction is an error. */
function runFilter(program: Uint8Array, arch: number, nr: number, args: readonly bigint[] = []): { value: number; steps: number; readArguments: boolean } {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, nr, true);
  data.setUint32(4, arch, true);
  args.forEach((arg, i) => data.setBigUint64(16 + 8 * i, arg, true));
  const code = new DataView(program.buffer, program.byteOffset, program.length);
  let readArguments = false;
  for (let pc = 0, a = 0, steps = 1; ; pc++, steps++) {
    const [op, jt, jf, k] = [code.getUint16(8 * pc, true), code.getUint8(8 * pc + 2), code.getUint8(8 * pc + 3), code.getUint32(8 * pc + 4, true)];
    if (op === 0x20) {
      readArguments ||= k >= 16;
      a = data.getUint32(k, true);
    } else if (op === 0x54) a = (a & k) >>> 0;
    else if (op === 0x05) pc += k;
    else if (op === 0x15) pc += a === k ? jt : jf;
    else if (op === 0x25) pc += a > k ? jt : jf;
    else if (op === 0x35) pc += a >= k ? jt : jf;
    else if (op === 0x06) return { value: k, steps, readArguments };
    else throw new Error(`instruction ${op.toString(16)} at ${pc}`);
  }
}

function holds({ index, op, value, valueTwo = 0n }: ArgumentTest, args: readonly bigint[]): boolean {
  const arg = args[index] ?? 0n;
  const by: Record<Operator, boolean> = { EQ: arg === value, NE: arg !== value, LT: arg < value, LE: arg <= value, GT: arg > value, GE: arg >= value, MASKED_EQ: (arg & value) === valueTwo };
  return by[op];
}

/** What the rules say, read one by one. */
function expected(profile: Profile, name: string, args: readonly bigint[]): number {
  const rules = profile.rules.filter(({ names }) => names.includes(name));
  const always = rules.find((rule) => (rule.args ?? []).length === 0);
  return (always ?? rules.find((rule) => rule.args?.every((test) => holds(test, args))))?.action ?? profile.defaultAction;
}

const u64 = fc.oneof(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.bigInt({ min: 0n, max: 3n }), fc.constantFrom(0xffff_ffffn, 1n << 32n, (1n << 32n) + 1n));
const test = fc.record({ index: fc.integer({ min: 0, max: 1 }), op: fc.constantFrom<Operator>('EQ', 'NE', 'LT', 'LE', 'GT', 'GE', 'MASKED_EQ'), value: u64, valueTwo: u64 });
const NAMES = ['read', 'write', 'open', 'socket', 'clone', 'mseal', 'io_uring_setup'];
const rule: fc.Arbitrary<Rule> = fc.record({
  names: fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }),
  action: fc.constantFrom(ALLOW, ERRNO | EPERM, ERRNO | 99, 0x8000_0000),
  args: fc.array(test, { maxLength: 3 }),
});

describe('a compiled profile', () => {
  it('says of each call what its rules say', () => {
    const profiles = fc.record({ defaultAction: fc.constantFrom(ALLOW, ERRNO | EPERM), architectures: fc.constant(['x86_64', 'i386'] as const), rules: fc.array(rule, { maxLength: 12 }) });
    fc.assert(fc.property(profiles, fc.constantFrom(...NAMES), u64, u64, (profile, name, first, second) => {
      const program = compileProfile(profile);
      const want = expected(profile, name, [first, second]);
      for (const [arch, table] of [[X86_64, 'x86_64'], [I386, 'i386']] as const) {
        expect(runFilter(program, arch, syscallNumbers(table).get(name) as number, [first, second]).value).toBe(want);
      }
    }), { numRuns: 2000 });
  });

  it('other architectures end the thread, newer calls are not there, x32 is not there', () => {
    const program = compileDefault(DOCKER_CAPABILITIES);
    expect(runFilter(program, 0xc000_00b7, 0).value).toBe(KILL_THREAD);
    expect(runFilter(program, X86_64, 600).value).toBe(ERRNO | ENOSYS);
    expect(runFilter(program, X86_64, 0x4000_0000).value).toBe(ERRNO | ENOSYS);
    const native = compileProfile({ defaultAction: ALLOW, architectures: ['x86_64'], rules: [] });
    expect([runFilter(native, I386, 3).value, runFilter(native, X86_64, 3).value, runFilter(native, X86_64, 600).value]).toEqual([KILL_THREAD, ALLOW, ALLOW]);
  });

  it('Docker’s: the table of each architecture, call by call', () => {
    for (const set of [DOCKER_CAPABILITIES, (1n << 41n) - 1n, 0n]) {
      const profile = dockerProfile(set);
      const program = compileDefault(set);
      for (const [arch, table] of [[X86_64, 'x86_64'], [I386, 'i386']] as const) {
        for (const [name, nr] of syscallNumbers(table)) expect([name, runFilter(program, arch, nr).value]).toEqual([name, expected(profile, name, [])]);
      }
    }
  });

  it('is small and quick: no call takes more than 14 instructions to its outcome, and none reads arguments that need not be', () => {
    const program = compileDefault(DOCKER_CAPABILITIES);
    expect(program.length / 8).toBeLessThan(500);
    for (const [name, nr] of syscallNumbers('x86_64')) {
      const { steps, readArguments } = runFilter(program, X86_64, nr);
      expect([name, readArguments]).toEqual([name, ['socket', 'clone', 'personality'].includes(name)]);
      if (!readArguments) expect(steps).toBeLessThanOrEqual(14);
    }
  });

  it('the one for the default capabilities is checked in as it would be made', () => {
    expect(DEFAULT_FILTER).toBe(Buffer.from(compileDefault(DOCKER_CAPABILITIES)).toString('base64'));
  });
});

describe('a profile from a file', () => {
  const caps = (...names: string[]): Set<string> => new Set(names.map((name) => `CAP_${name}`));
  const of = (json: object, capabilities = caps()): Profile => parseProfile(JSON.stringify(json), capabilities) as Profile;

  it('names, actions, errnos, architectures', () => {
    const profile = of({
      defaultAction: 'SCMP_ACT_ERRNO', archMap: [{ architecture: 'SCMP_ARCH_AARCH64' }, { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
      syscalls: [{ names: ['read', 'write'], action: 'SCMP_ACT_ALLOW' }, { name: 'open', action: 'SCMP_ACT_ERRNO', errnoRet: 38 }, { names: ['close'], action: 'SCMP_ACT_KILL_PROCESS' }],
    });
    expect(profile).toEqual({
      defaultAction: ERRNO | EPERM, architectures: ['x86_64', 'i386'],
      rules: [{ names: ['read', 'write'], action: ALLOW, args: [] }, { names: ['open'], action: ERRNO | 38, args: [] }, { names: ['close'], action: 0x8000_0000, args: [] }],
    });
  });

  it('includes and excludes: capabilities, architectures, kernels', () => {
    const entry = (more: object): object => ({ names: ['bpf'], action: 'SCMP_ACT_ALLOW', ...more });
    const count = (more: object, capabilities = caps()): number => of({ defaultAction: 'SCMP_ACT_ERRNO', syscalls: [entry(more)] }, capabilities).rules.length;
    expect(count({ includes: { caps: ['CAP_BPF'] } })).toBe(0);
    expect(count({ includes: { caps: ['CAP_BPF'] } }, caps('BPF'))).toBe(1);
    expect(count({ includes: { caps: ['CAP_BPF', 'CAP_SYS_ADMIN'] } }, caps('BPF'))).toBe(0);
    expect(count({ excludes: { caps: ['CAP_BPF', 'CAP_SYS_ADMIN'] } }, caps('BPF'))).toBe(0);
    expect([count({ includes: { arches: ['arm64'] } }), count({ includes: { arches: ['amd64'] } }), count({ excludes: { arches: ['s390x'] } })]).toEqual([0, 1, 1]);
    expect([count({ includes: { minKernel: '4.8' } }), count({ includes: { minKernel: '7.0' } }), count({ excludes: { minKernel: '6.12' } })]).toEqual([1, 0, 0]);
  });

  it('arguments of 64 bits are exact; two tests of one argument are two rules', () => {
    const text = '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["clone"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":18446744073709551615,"op":"SCMP_CMP_EQ"},{"index":0,"value":1,"valueTwo":2,"op":"SCMP_CMP_MASKED_EQ"}]}]}';
    expect(parseProfile(text, caps())?.rules.map(({ args }) => args)).toEqual([[{ index: 0, op: 'EQ', value: (1n << 64n) - 1n, valueTwo: 0n }], [{ index: 0, op: 'MASKED_EQ', value: 1n, valueTwo: 2n }]]);
  });

  it.each(['', '[]', '{"defaultAction":"SCMP_ACT_NOTIFY"}', '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":{}}', '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":[1],"action":"SCMP_ACT_ALLOW"}]}',
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":6,"op":"SCMP_CMP_EQ"}]}]}', '{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":70000}'])('refused: %s', (text) => {
    expect(() => parseProfile(text, caps())).toThrow(/^--security-opt seccomp: /);
  });

  it('an empty one restricts nothing', () => {
    expect(parseProfile('{}', caps())).toBeUndefined();
  });

  const crun = '/usr/share/containers/seccomp.json';
  it.skipIf(!existsSync(crun))('podman’s own: taken as it is', () => {
    const profile = parseProfile(readFileSync(crun, 'utf8'), caps('CHOWN')) as Profile;
    const program = compileProfile(profile);
    const numbers = syscallNumbers('x86_64');
    const verdict = (name: string): number => runFilter(program, X86_64, numbers.get(name) as number).value;
    expect([verdict('read'), verdict('kexec_load'), verdict('clone3')]).toEqual([ALLOW, ERRNO | EPERM, expect.any(Number)]);
  });
});

describe("an app's seccomp isolator with sets of rkt's", () => {
  const app = { exec: [], user: '0', group: '0', supplementaryGIDs: [], eventHandlers: [], workingDirectory: undefined, environment: [], mountPoints: [], ports: [], userAnnotations: undefined, userLabels: undefined };
  const made = (kind: 'retain' | 'remove', set: readonly string[], errno?: string) => isolationOf({ ...app, isolators: [{ name: `os/linux/seccomp-${kind}-set`, value: { set, ...(errno === undefined ? {} : { errno }) } }] });
  /** What becomes of calls, by the filter that init would load. */
  const outcomes = (isolation: ReturnType<typeof made>, ...names: readonly string[]): number[] => {
    const { seccomp, seccompChanges } = isolation ?? {};
    const program = seccompChanges !== undefined ? changedFilter(DOCKER_CAPABILITIES, seccompChanges) : seccomp === undefined ? compileDefault(DOCKER_CAPABILITIES) : compileProfile(parseProfile(seccomp, new Set()) as Profile);
    return names.map((name) => runFilter(program, X86_64, syscallNumbers('x86_64').get(name) as number).value);
  };
  const KILL_PROCESS = 0x8000_0000;

  it('the default list, with calls beside it: those are allowed, or blocked, and all others stay as they are', () => {
    expect(outcomes(made('retain', ['@docker/default-whitelist', 'mount']), 'mount', 'read', 'reboot')).toEqual([ALLOW, ALLOW, ERRNO | EPERM]);
    expect(outcomes(made('remove', ['@rkt/default-blacklist', 'read'], 'ENOSYS'), 'read', 'write', 'reboot')).toEqual([ERRNO | ENOSYS, ALLOW, ERRNO | EPERM]);
    expect(outcomes(made('remove', ['@appc.io/empty', 'read']), 'read', 'write', 'reboot')).toEqual([KILL_PROCESS, ALLOW, ERRNO | EPERM]);
    expect(made('remove', ['@appc.io/empty'])).toBeUndefined();
    expect(made('retain', ['@docker/default-whitelist'])).toBeUndefined();
  });

  it("systemd's sets are their calls", () => {
    expect(outcomes(made('remove', ['@systemd/mount', 'read'], 'EPERM'), 'umount2', 'read', 'write', 'reboot')).toEqual([ERRNO | EPERM, ERRNO | EPERM, ALLOW, ALLOW]);
    expect(outcomes(made('retain', ['@systemd/network-io', 'read']), 'socket', 'read', 'fork')).toEqual([ALLOW, ALLOW, KILL_PROCESS]);
    expect(made('remove', ['@systemd/mount'])?.ignored).toBeUndefined();
  });

  it('a set that nobody knows: the default filter, what is to be removed is, what is to be retained is no more than that; it is told', () => {
    expect(outcomes(made('remove', ['@other/set', 'read']), 'read', 'write')).toEqual([KILL_PROCESS, ALLOW]);
    expect(outcomes(made('retain', ['@other/set', 'mount']), 'mount', 'read')).toEqual([ERRNO | EPERM, ALLOW]);
    expect(made('retain', ['@other/set', 'mount'])?.ignored).toEqual([expect.stringContaining('@other/set is not known')]);
  });
});
