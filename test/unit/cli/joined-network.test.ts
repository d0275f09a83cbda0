/** `--network container:NAME` beside options that the other container's network has decided: Docker's words (runconfig/errors.go, 20.10). */
import { describe, expect, it } from 'vitest';
import { EMPTY_CONFIG } from '../../../image/documents/config.ts';
import { parseArgs } from '../../../vmm/cli/args.ts';
import { containerOptions, RUN } from '../../../vmm/cli/run-options.ts';
import { joinedContainer } from '../../../vmm/container/joined.ts';
import { execSpec } from '../../../vmm/container/exec.ts';
import { joinedSpecOf, processOf, specText } from '../../../vmm/container/spec-text.ts';

const optionsOf = (...words: string[]) => containerOptions(parseArgs([...words, 'image', 'true'], RUN).options, EMPTY_CONFIG, ['true']);

describe('options beside it', () => {
  it.each([
    [['--network', 'none'], 'container sharing network namespace with another container or host cannot be connected to any other network'],
    [['-h', 'name'], 'conflicting options: hostname and the network mode'],
    [['--domainname', 'name'], 'conflicting options: hostname and the network mode'],
    [['--dns', '10.0.0.1'], 'conflicting options: dns and the network mode'],
    [['--add-host', 'a:10.0.0.1'], 'conflicting options: custom host-to-IP mapping and the network mode'],
    [['--mac-address', '02:00:00:00:00:01'], 'conflicting options: mac-address and the network mode'],
    [['-p', '80:80'], 'conflicting options: port publishing and the container type network mode'],
    [['-P'], 'conflicting options: port publishing and the container type network mode'],
    [['--expose', '80'], 'conflicting options: port exposing and the container type network mode'],
    [['--ip', '10.0.2.7'], 'an IP address'],
    [['--network-alias', 'db'], 'network-scoped aliases'],
    [['--egress', 'deny'], '--egress'],
    [['--uts', 'host'], 'UTS mode'],
    [['--hotplug', 'disks'], '--hotplug'],
  ] as const)('%j', (words, message) => {
    expect(() => optionsOf('--network', 'container:web', ...words)).toThrow(expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(message) }));
  });

  it('what is a machine’s is refused, settings of its own namespaces are not', () => {
    const of = (...words: string[]) => () => joinedContainer(EMPTY_CONFIG, optionsOf('--network', 'container:web', ...words));
    expect(of('--sysctl', 'net.core.somaxconn=1')).toThrow(/the kernel is that of/);
    expect(of('--device-read-bps', '/dev/vda:1mb')).toThrow(/limits of disks/);
    expect(of('--sysctl', 'kernel.shmmax=1000')().spec.sysctls).toEqual(['kernel.shmmax=1000']);
    expect(() => optionsOf('--network', 'container:')).toThrow(/invalid container format/);
  });
});

describe('what is asked of the other’s process', () => {
  const { spec } = joinedContainer(EMPTY_CONFIG, { ...optionsOf('--network', 'container:web', '--ulimit', 'nofile=10', '--device', '/dev/fuse', '--tmpfs', '/t', '-v', '/anon', '--group-add', '5', '--oom-score-adj', '5', '-u', '1:2'), memoryLimit: 1e6 });

  it('comes as it was', () => {
    const again = joinedSpecOf(specText(spec));
    expect(again.capabilities).toEqual(spec.capabilities);
    expect(Buffer.from(again.seccomp?.program ?? []).equals(Buffer.from(spec.seccomp?.program ?? []))).toBe(true);
    expect({ ...again, seccomp: 0 }).toEqual({ ...Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined)), seccomp: 0 });
    const command = execSpec(spec, { args: ['sh'], env: ['A=b'], privileged: true, stdin: true, tty: true, detach: false, size: { rows: 3, columns: 4 } });
    expect(processOf(specText(command))).toMatchObject({ args: ['sh'], size: { rows: 3, columns: 4 }, capabilities: command.capabilities });
  });

  const changed = (change: object): string => JSON.stringify({ ...JSON.parse(specText(spec)), ...change });
  it.each([
    ['a root', { root: { kind: 'directory', path: '/' } }],
    ['files', { files: [] }],
    ['a mount of the machine’s own directories', { mounts: [{ target: '/x', source: { kind: 'directory', path: '/' } }] }],
    ['a mount of a disk', { mounts: [{ target: '/x', source: { kind: 'block', serial: 'root', fstype: 'erofs' } }] }],
    ['a namespace of another container', { namespaces: { pid: { container: 1 } } }],
    ['the network’s namespace', { namespaces: { net: 'new' } }],
    ['a number for a text', { args: [1] }],
    ['a NUL', { env: ['A=\0'] }],
    ['a capability set beyond 64 bits', { capabilities: { bounding: { $n: '18446744073709551616' } } }],
    ['no arguments', { args: undefined }],
    ['__proto__', JSON.parse('{"__proto__":{"x":1}}')],
  ])('%s is refused', (_, change) => {
    expect(() => joinedSpecOf(changed(change))).toThrow(expect.objectContaining({ code: 'OWNER_REFUSED' }));
  });

  it.each(['', '[]', 'null', '5', '{', `${'['.repeat(100_000)}`])('%.10s is refused', (text) => {
    expect(() => joinedSpecOf(text)).toThrow(expect.objectContaining({ code: 'OWNER_REFUSED' }));
  });
});
